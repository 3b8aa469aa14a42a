"""Training learns, keeps its rules, and stops at what is wrong."""

import dataclasses
import io
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.networks import network
from rich.console import Console

import eqprop as ep
import eqprop.plotting
import eqprop.training.evaluation
import eqprop.training.loop
import eqprop.training.seeds
from eqprop.data import Data, Split
from eqprop.training.runs import Run
from eqprop.training.state import TrainingState
from eqprop.training.steps import Steps, train_steps

COST = ep.SquaredError(on=0.2)
BETA = 0.1


def toy(seed=0, n=40):
    """Return two classes that a line parts."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))


DATA = Data(toy(0), toy(1))
MOMENTUM = optax.sgd(0.5, momentum=0.9)
CONDUCTANCES = optax.multi_transform(
    {"learn": optax.sgd(0.5), "rest": optax.set_to_zero()},
    lambda net: jax.tree_util.tree_map_with_path(
        lambda path, _: "learn" if "conductances" in str(path) else "rest", net
    ),
)
ESTIMATOR = ep.EqProp.centred(BETA, ep.FixedSweeps(n=6))
ONE_SIDED = ep.EqProp.one_sided(BETA, ep.FixedSweeps(n=2))


def linear(seed=0, biases=0.0):
    """Return a network that compiles fast."""
    return network(device=None, seed=seed, biases=biases)


class Rooted(ep.Energy):
    """½ Σ (s − x)² − √a s₀, which settles at s = (x₀ + √a, x₁).

    With a = 0 states are finite, and the gradient with respect to a is not.
    """

    a: jax.Array

    def __call__(self, state, x):
        return jnp.sum((state - x[:2]) ** 2) / 2 - jnp.sqrt(self.a) * state[0]

    def init_state(self, x):
        return jnp.zeros(2)

    def outputs(self, state):
        return state

    def parameter_bounds(self):
        return {"a": (0.0, jnp.inf)}


def fit(net=None, *, cost=COST, data=DATA, estimator=ESTIMATOR, **change):
    settings = {"rates": {"conductances*": 0.5}, "epochs": 15, "key": jax.random.key(0)} | change
    return ep.fit(linear() if net is None else net, cost, data, estimator, **settings)


def apart(a, b):
    """The largest difference between the leaves of two networks."""
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.max(np.abs(np.asarray(x) - np.asarray(y)))) for x, y in leaves)


def same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_it_learns():
    result = fit(epochs=30)
    assert result.history["test_accuracy"][-1] >= 0.9
    assert result.history["loss"][-1] < result.history["loss"][0] / 2
    assert ep.evaluate(result.net, COST, DATA.test).accuracy == result.history["test_accuracy"][-1]
    assert result.epoch == 29
    reverse = fit(rates={"conductances*": -0.01}, epochs=2)
    assert (
        reverse.history["loss"][-1] > reverse.history["loss"][0]
    )  # the control: up the gradient it unlearns


def test_only_what_a_pattern_names_moves_and_bounds_hold():
    net = linear(biases=0.1)
    result = fit(net, rates={"conductances.0": 0.5}, epochs=2).net
    assert not np.array_equal(result.conductances[0], net.conductances[0])
    np.testing.assert_array_equal(result.conductances[1], net.conductances[1])
    np.testing.assert_array_equal(result.biases[0], net.biases[0])
    filled = dataclasses.replace(net, conductances=tuple(g + 0.01 for g in net.conductances))
    trained = fit(filled, epochs=1, rates={"*": -0.01}).net
    assert float(jnp.min(trained.conductances[0])) == 0.0


def test_the_same_key_is_the_same_training():
    first, again, other = fit(epochs=2), fit(epochs=2), fit(epochs=2, key=jax.random.key(1))
    assert same(first.net, again.net)
    assert not same(first.net, other.net)


def test_one_step_is_the_gradient():
    """In closed form: (s₀ − t₀) / 2√a at the free states, over 1 + β for a one-sided nudge."""
    result = fit(
        Rooted(jnp.asarray(0.25)), batch=40, epochs=1, rates={"a": 0.1}, estimator=ONE_SIDED
    )
    off = DATA.train.x[:, 0] + 0.5 - 0.2 * (DATA.train.y == 0)
    np.testing.assert_allclose(
        result.net.a, 0.25 - 0.1 * np.mean(off) / (2 * 0.5) / (1 + BETA), rtol=1e-12
    )


def test_chunks_do_not_show(monkeypatch):
    whole = fit(epochs=2)
    monkeypatch.setattr(eqprop.training.loop, "CHUNK", 5)
    pieces = fit(epochs=2)
    for a, b in zip(jax.tree.leaves(whole.net), jax.tree.leaves(pieces.net), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(whole.history["loss"], pieces.history["loss"], rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.sgd(0.5),
        optax.adam(0.1),
        optax.adamw(0.1, weight_decay=1e-3),
        optax.adam(optax.linear_schedule(0.2, 0.0, 50)),
    ],
    ids=["sgd", "adam", "adamw", "schedule"],
)
def test_it_learns_by_an_optimizer_of_optax(optimizer):
    """The loss falls, and rises by the same updates the other way: the control."""
    settings = {"optimizer": optimizer, "epochs": 4, "batch": 4}
    forth, back = fit(rates=None, **settings), fit(rates={"*": -0.02}, **settings)
    assert forth.history["loss"][-1] < 0.8 * forth.history["loss"][0]
    assert forth.history["loss"][-1] < 0.8 * back.history["loss"][-1]
    assert back.history["loss"][-1] > back.history["loss"][0]


def test_plain_descent_by_rates_is_that_of_optax():
    """To rounding: three programs, each compiled on its own."""
    plain = fit(epochs=2).net
    by_optax = fit(epochs=2, rates=None, optimizer=CONDUCTANCES).net
    half = fit(epochs=2, rates={"conductances*": 0.5}, optimizer=optax.sgd(1.0)).net
    other = fit(epochs=2, rates={"conductances*": 0.4}, optimizer=optax.sgd(1.0)).net
    for net in (by_optax, half):  # a rate is a factor of the update
        assert apart(plain, net) < 1e-14
    assert apart(plain, other) > 1e-4  # the control


def test_what_no_pattern_names_does_not_learn_by_an_optimizer_either():
    """Not even by what needs no gradient, and nothing of it is in what the optimiser sees."""
    net, leaf_counts = linear(biases=0.1), []

    def update(updates, state, params=None):
        leaf_counts.append(len(jax.tree.leaves(updates)))
        return jax.tree.map(lambda p: -0.1 * p, params), state

    decay = optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    trained = fit(net, rates={"conductances.0": 1.0}, optimizer=decay, epochs=1).net
    np.testing.assert_array_equal(trained.conductances[1], net.conductances[1])
    np.testing.assert_array_equal(trained.biases[0], net.biases[0])
    np.testing.assert_allclose(trained.conductances[0], net.conductances[0] * 0.9**10, rtol=1e-12)
    assert set(leaf_counts) == {1}


def test_a_schedule_counts_steps():
    """From its 5th step on the rate is 0, in the first of two epochs of 10 steps."""
    switched = optax.sgd(lambda count: jnp.where(count < 5, 0.5, 0.0))
    first, second = (fit(rates=None, optimizer=switched, epochs=n).net for n in (1, 2))
    assert same(first, second)
    assert not same(first, linear())


def test_bounds_hold_after_an_optimizer():
    trained = fit(rates={"conductances*": -1.0}, optimizer=optax.adam(0.5), epochs=1).net
    assert float(jnp.min(trained.conductances[0])) == 0.0


def test_an_optimizer_that_climbs_is_refused():
    for climbs in (optax.scale_by_adam(), optax.trace(0.9), optax.sgd(-0.1)):
        with pytest.raises(ValueError, match="`optimizer` must return updates that descend"):
            fit(optimizer=climbs)
    with pytest.raises(ValueError, match="`optimizer` must be an optimiser of optax"):
        fit(optimizer=optax.adam)


def test_the_rate_decays():
    assert same(fit(epochs=2, decay=0.0).net, fit(epochs=1).net)


def test_float32_stays_float32():
    result = fit(
        Rooted(jnp.ones((), jnp.float32)),
        epochs=1,
        rates={"a": 0.01},
        estimator=ONE_SIDED,
        optimizer=MOMENTUM,
    )
    assert result.net.a.dtype == jnp.float32
    assert result.net.a != 1


def test_the_best_epoch_on_validation_is_returned():
    wild = {"rates": {"conductances*": 5.0}, "epochs": 7}
    data = Data(DATA.train, DATA.test, toy(2))
    best, last = fit(data=data, **wild), fit(**wild)
    accuracies = best.history["validation_accuracy"]
    assert 0 < best.epoch == np.argmax(accuracies) < 6
    assert accuracies[best.epoch] > accuracies[-1]
    assert ep.evaluate(best.net, COST, data.validation).accuracy == accuracies[best.epoch]
    assert (
        ep.evaluate(best.net, COST, data.validation).loss
        == best.history["validation_loss"][best.epoch]
    )
    assert last.epoch == 6  # the control: without a validation set it is the last
    assert "validation_loss" not in last.history
    assert not same(best.net, last.net)
    np.testing.assert_array_equal(best.history["loss"], last.history["loss"])


def test_the_test_set_decides_nothing():
    wild = {"rates": {"conductances*": 5.0}, "epochs": 7}
    one = fit(data=Data(DATA.train, DATA.test, toy(2)), **wild)
    other = fit(data=Data(DATA.train, Split(DATA.test.x, 1 - DATA.test.y), toy(2)), **wild)
    assert same(one.net, other.net)
    assert one.epoch == other.epoch
    assert not np.array_equal(one.history["test_accuracy"], other.history["test_accuracy"])


@pytest.mark.parametrize(("labels", "best"), [(False, 2), (True, 1)])
def test_an_epoch_whose_score_is_no_number_is_not_the_best(labels, best):
    """As of a cost with a logarithm, whose outputs are below 0 in some epochs."""
    split = toy(2) if labels else Split(toy(2).x, 0.1 * toy(2).x[:, :2])
    run = Run(
        net=linear(),
        cost=COST,
        data=Data(DATA.train, DATA.test, split),
        estimator=ONE_SIDED,
        rates={"*": 0.1},
        optimizer=None,
        epochs=5,
        key=jax.random.key(0),
        batch=4,
        decay=1.0,
        unsettled="raise",
        chunk=4,
    )
    scores = [np.nan, 2.0, 1.0, np.nan, 1.0]
    history = {"validation_loss": scores, "validation_accuracy": scores}
    assert run.best(history) == best


def test_targets_that_are_no_labels_have_no_accuracy_and_the_lowest_loss_is_best():
    data = Data(*(Split(split.x, 0.1 * split.x[:, :2]) for split in (DATA.train, toy(1), toy(2))))
    result = fit(data=data, rates={"*": 0.05}, epochs=3)
    assert np.isnan(result.history["test_accuracy"]).all()
    assert result.history["loss"][1] < result.history["loss"][0]
    assert result.epoch == np.argmin(result.history["validation_loss"])
    reverse = fit(data=data, rates={"*": -0.01}, epochs=3)
    assert reverse.epoch == np.argmin(reverse.history["validation_loss"]) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"rates": {"conductance": 0.1}},
            ValueError,
            r"`rates` must name parameters, but 'conductance' matches none of \['conductances.0'",
        ),
        (
            {"rates": {"*": 0.1, "biases*": 0.1}},
            ValueError,
            r"`rates` must match each parameter once, but \['\*', 'biases\*'\]",
        ),
        (
            {"rates": None},
            ValueError,
            "`rates` or `optimizer` must be given, but both are None",
        ),
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1, but is 0"),
        ({"batch": 41}, ValueError, "`batch` must be at most the 40 training examples, but is 41"),
        (
            {"devices": []},
            ValueError,
            "`batch` must be divisible by the number of devices, but they are 4 and 0",
        ),
        (
            {"estimator": ep.EqProp.centred(50.0, ep.FixedSweeps(n=6))},
            ep.NudgeError,
            "`beta` must be below",
        ),
    ],
)
def test_what_is_wrong_stops_it(change, error, message):
    with pytest.raises(error, match=message):
        fit(**change)


class Strange(ep.Cost):
    """A squared error, infinite for class 1 by `lift`, or without a slope by a `kink` of 0."""

    lift: bool = False
    kink: jax.Array | None = None

    def __call__(self, outputs, y):
        value = COST(outputs, y) + (jnp.where(y == 1, jnp.inf, 0.0) if self.lift else 0.0)
        return value + (0.0 if self.kink is None else jnp.sum(jnp.sqrt(self.kink * outputs**2)))

    def decide(self, outputs):
        return jnp.argmax(outputs)


ORDER = np.asarray(jax.random.permutation(jax.random.fold_in(jax.random.key(0), 0), 40)).reshape(
    10, 4
)


def step_of(chosen):
    """Return the first step that meets one of the `chosen` examples."""
    return int(np.argmax(np.isin(ORDER, np.flatnonzero(chosen)).any(1)))


HURT = 7
BROKEN = Split(
    np.where(np.arange(40)[:, None] == ORDER[HURT, 2], np.nan, DATA.train.x), DATA.train.y
)
STILL = Split(np.zeros((40, 3)), DATA.train.y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"data": Data(BROKEN, DATA.test)},
            ep.TrainingError,
            f"the free phase of example {ORDER[HURT, 2]} of `data.train` is not finite at "
            f"training step {HURT}$",
        ),
        (
            {
                "net": Rooted(jnp.ones(())),
                "rates": {"a": 0.1},
                "cost": Strange(lift=True),
                "estimator": ONE_SIDED,
            },
            ep.TrainingError,
            f"the loss is not finite at training step {step_of(DATA.train.y == 1)}$",
        ),
        (
            {
                "net": Rooted(jnp.ones(())),
                "rates": {"a": 0.1},
                "cost": Strange(kink=jnp.zeros(())),
                "estimator": ONE_SIDED,
            },
            ep.TrainingError,
            rf"nudged phase 1 \(nudge = 0.1\) of example {ORDER[0, 0]} of `data.train` is not "
            "finite at training step 0$",
        ),
        (
            {
                "net": Rooted(jnp.zeros(())),
                "rates": {"a": 1.0},
                "estimator": ONE_SIDED,
                "batch": 40,
            },
            ep.TrainingError,
            "the gradient of a is not finite at training step 0$",
        ),
        (
            {
                "net": Rooted(jnp.zeros(())),
                "rates": {"a": -1.0},
                "estimator": ONE_SIDED,
                "batch": 40,
            },
            ep.TrainingError,
            "the gradient of a is not finite at training step 0$",
        ),
        (
            {"rates": {"conductances.1": np.inf}},
            ep.TrainingError,
            "the update of conductances.1 is not finite at training step 0$",
        ),
        (
            {"estimator": ep.EqProp.centred(0.1, ep.BlockNewton(sweeps=2))},
            ep.NotSettledError,
            r"the free phase of example \d+ of `data.train`, and of 3 more of its batch, did not "
            r"settle at training step 0: after 2 steps of BlockNewton\(.*\) its error is 0\.\d+. "
            "Give the estimator another `method`, .*, leave such examples out by "
            '`unsettled="skip"`',
        ),
        (
            {
                "data": Data(STILL, DATA.test),
                "estimator": ep.EqProp.centred(0.1, ep.BlockNewton(sweeps=2)),
            },
            ep.NotSettledError,
            r"nudged phase 1 \(nudge = 0.1\) of example \d+ .* did not settle at training step 0: ",
        ),
    ],
)
def test_what_breaks_in_a_step_is_named(change, error, message, monkeypatch):
    """In chunks of 5 steps, so that it is also found in the middle of a later one."""
    monkeypatch.setattr(eqprop.training.loop, "CHUNK", 5)
    with pytest.raises(error, match=message):
        fit(epochs=1, **change)


def test_the_control_of_what_breaks_trains():
    assert np.isfinite(
        fit(
            Rooted(jnp.ones(())), rates={"a": 0.01}, cost=Strange(), estimator=ONE_SIDED, epochs=1
        ).history["loss"]
    ).all()


def test_a_held_out_set_that_does_not_settle_is_named():
    wild = Split(np.full((3, 3), np.nan), np.zeros(3, np.int32))
    with pytest.raises(
        ep.NotSettledError,
        match=r"`data.validation` after epoch 0: the free phase did not settle in 3 of 3 examples",
    ):
        fit(data=Data(DATA.train, DATA.test, wild), epochs=1)


def compilations(caplog, call):
    """Return the names of the functions that a call compiles, on any thread."""
    caplog.clear()
    jax.config.update("jax_log_compiles", True)
    try:
        call()
    finally:
        jax.config.update("jax_log_compiles", False)
    return [
        record.getMessage().split()[1]
        for record in caplog.records
        if record.getMessage().startswith("Compiling ")
    ]


def test_nothing_but_a_new_shape_compiles_again(caplog):
    fit(epochs=2)
    other, estimator = Data(toy(5), toy(6)), ep.EqProp.centred(0.05, ep.FixedSweeps(n=6))
    changed = {
        "data": other,
        "key": jax.random.key(7),
        "rates": {"conductances.*": 0.3},
        "decay": 0.9,
    }
    assert (
        compilations(caplog, lambda: fit(linear(3), estimator=estimator, epochs=3, **changed)) == []
    )
    assert (
        compilations(caplog, lambda: fit(epochs=1, batch=8)).count("jit(train_steps)") == 1
    )  # the control


def test_the_progress_bar_says_loss_and_accuracy():
    out, threads = io.StringIO(), threading.active_count()
    thread_counts = []

    class Watched(io.StringIO):
        def write(self, text):
            thread_counts.append(threading.active_count())
            return out.write(text)

    fit(epochs=2, console=Console(file=Watched(), width=120), name="toy")
    assert "toy" in out.getvalue()
    assert "2/2 epochs  loss" in out.getvalue()
    assert "test" in out.getvalue()
    assert max(thread_counts) <= threads  # it is drawn between chunks, by no thread of its own


def test_progress_goes_to_a_terminal_where_there_is_one(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        fit(epochs=1)
        assert ("1/1 epochs" in stream.getvalue()) is shown


@pytest.mark.parametrize(
    ("method", "used"), [(ep.BlockNewton(), True), (ep.FixedSweeps(n=6), False), (None, False)]
)
def test_phases_are_evaluated_by_the_method_of_the_estimator_that_has_a_tolerance(
    monkeypatch, method, used
):
    methods, evaluate = [], ep.evaluate

    def watched(net, cost, split, *, method):
        methods.append(method)
        return evaluate(net, cost, split, method=method)

    monkeypatch.setattr("eqprop.training.loop.evaluate", watched)
    fit(epochs=1, estimator=ep.EqProp.centred(BETA, method))
    assert methods == [method if used else None]


def test_epochs_without_an_error_are_marked_below():
    perfect = ep.Fit(
        linear(),
        {"train_accuracy": np.array([0.9, 1.0, 0.95]), "test_accuracy": np.array([0.8, 1.0, 1.0])},
        2,
    )
    curves = eqprop.plotting.training({"toy": perfect}).get_lines()
    train, none_wrong, test, none_missed = (line.get_xydata() for line in curves)
    np.testing.assert_allclose(train[:, 1], [10.0, np.nan, 5.0])
    np.testing.assert_allclose(test[:, 1], [20.0, np.nan, np.nan])
    np.testing.assert_allclose(none_wrong, [[2, 0]])
    np.testing.assert_allclose(none_missed, [[2, 0], [3, 0]])


def test_inputs_that_are_not_finite_are_said_and_not_taken_for_a_nudge_that_is_too_strong():
    wrong = Data(Split(np.full_like(toy(0).x, np.nan), toy(0).y), toy(1))
    with pytest.raises(
        ep.TrainingError,
        match=r"the free phase of example \d+ of `data.train` is not finite at training step 0",
    ):
        fit(data=wrong)


def test_the_curve_has_axes_and_a_legend():
    ax = eqprop.plotting.training({"toy": fit(epochs=2)})
    assert ax.get_xlabel() == "epoch"
    assert "toy, test" in ax.get_legend().get_texts()[1].get_text()
    assert not ax.collections


def test_digits_are_split_once_and_fairly():
    data = ep.data.digits(0)
    assert (len(data.train), len(data.test)) == (1437, 360)
    assert data.train.x.min() == -1
    assert data.train.x.max() == 1
    rows = {row.tobytes() for row in data.train.x}
    assert sum(row.tobytes() in rows for row in data.test.x) == 0
    np.testing.assert_array_equal(ep.data.digits(0).test.y, data.test.y)
    assert not np.array_equal(ep.data.digits(1).test.y, data.test.y)
    assert np.ptp(np.bincount(data.test.y)) <= 3


def test_a_label_needs_an_output():
    for wrong in (
        Data(Split(DATA.train.x, DATA.train.y + 1), DATA.test),
        Data(DATA.train, DATA.test, Split(DATA.train.x, DATA.train.y + 1)),
    ):
        with pytest.raises(
            ValueError,
            match=r"`data\.\w*\.y`: labels must be from 0 to 1, one for each output, but go from 1 "
            "to 2",
        ):
            fit(data=wrong, rates={"*": 0.05}, epochs=1)


def test_a_split_must_fit():
    with pytest.raises(ValueError, match="`x` and `y` must hold the same number of examples"):
        Split(np.zeros((3, 2)), np.zeros(2))


def test_evaluation_in_blocks_is_that_of_each_example(monkeypatch):
    monkeypatch.setattr(eqprop.training.evaluation, "BLOCK", 6)
    split = toy(3, 20)
    evaluated = ep.evaluate(Rooted(jnp.asarray(0.04)), COST, split)
    outputs = split.x[:, :2] + [0.2, 0]
    np.testing.assert_array_equal(evaluated.decisions, np.argmax(outputs, 1))
    np.testing.assert_allclose(
        evaluated.loss,
        np.mean(np.sum((outputs - 0.2 * np.eye(2)[split.y]) ** 2, 1) / 2),
        rtol=1e-12,
    )
    assert evaluated.accuracy == np.mean(evaluated.decisions == split.y)


def test_evaluation_takes_no_more_memory_for_more_examples():
    def used(n, block):
        arguments = linear(), COST, jnp.zeros((n, 3)), jnp.zeros(n, int), ep.FixedSweeps(n=2), block
        return (
            eqprop.training.evaluation._evaluate.lower(*arguments)
            .compile()
            .compiled.memory_analysis()
            .temp_size_in_bytes
        )

    few, more = used(64, 32), 512 * 3 * 8  # a loss, a decision and an error for each example
    assert used(512, 32) < few + more
    assert used(512, 512) > few + more  # the control


def test_training_takes_no_more_memory_for_more_examples_or_weights_times_examples():
    """Never an array (batch, n, m), which one gradient an example would be."""
    batch, n, m = 64, 2 * 48, 40

    def used(examples):
        random = np.random.default_rng(0)
        split = Split(random.uniform(-1, 1, (examples, n // 2)), random.integers(0, 2, examples))
        net = ep.Resistive.init(jax.random.key(0), (n // 2, m, 2))
        order = {"epochs": 1, "key": jax.random.key(0), "batch": batch, "decay": 1.0, "chunk": 2}
        data, estimator = (
            eqprop.training.loop.on_device(Data(split, split)),
            ep.EqProp.centred(0.1, ep.FixedSweeps(n=4)),
        )
        run = Run(
            net,
            COST,
            data,
            estimator,
            rates={"*": 0.1},
            optimizer=None,
            unsettled="raise",
            **order,
        )
        arguments = next(Steps(run, None).chunks(TrainingState.begin(run)))
        return size(train_steps.lower(**arguments))

    def size(lowered):
        return lowered.compile().compiled.memory_analysis().temp_size_in_bytes

    few, whole = used(256), batch * n * m * 8
    assert used(4096) <= few + 4096
    assert few < whole / 2
    each = jax.jit(lambda u, v: jnp.sort((u[:, :, None] - v[:, None, :]) ** 2, axis=0)[0])
    control = each.lower(jnp.zeros((batch, n)), jnp.zeros((batch, m))).compile().memory_analysis()
    assert control.temp_size_in_bytes >= whole


SEEDS = {"rates": {"conductances*": 0.5}, "epochs": 3}


def random_net(key):
    return ep.Resistive.init(key, (3, 8, 2), input_gain=4.0, unit=1e-5)


def test_a_seed_among_others_is_that_seed_alone(caplog):
    settings = {"rates": {"conductances*": 0.5}, "epochs": 3, "batch": 10}
    results = []
    compiled = compilations(
        caplog,
        lambda: results.append(
            ep.fit_seeds(random_net, COST, DATA, ESTIMATOR, seeds=(3, 1), **settings)
        ),
    )
    assert compiled.count("jit(train_steps)") == 1  # two seeds share what is compiled
    many = results[0]
    assert many.seeds == (3, 1)
    for seed, result in zip(many.seeds, many.fits, strict=True):
        init_key, key = jax.random.split(jax.random.key(seed))
        alone = fit(random_net(init_key), key=key, **settings)
        assert same(alone.net, result.net)
        np.testing.assert_array_equal(alone.history["loss"], result.history["loss"])
    assert not same(many.fits[0].net, many.fits[1].net)
    losses = np.array([result.history["loss"] for result in many.fits])
    np.testing.assert_allclose(many.mean("loss"), (losses[0] + losses[1]) / 2, rtol=1e-15)
    np.testing.assert_allclose(
        many.std("loss"), np.abs(losses[0] - losses[1]) / np.sqrt(2), rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"`name` must be one of \['loss', .*, but is 'los'"):
        many.mean("los")
    band = eqprop.plotting.training({"toy": many})
    assert len(band.collections) == 2
    assert "2 seeds" in band.get_legend().get_texts()[1].get_text()


def test_one_seed_has_no_spread():
    one = ep.fit_seeds(random_net, COST, DATA, ESTIMATOR, seeds=[0], **SEEDS)
    assert np.isnan(one.std("loss")).all()
    assert not eqprop.plotting.training({"toy": one}).collections


@pytest.mark.parametrize("cores", [2, 1])
def test_two_seeds_train_at_the_same_time_on_two_cores(cores, monkeypatch):
    """Each waits for the other after its first epoch: for ever on one core, the control."""
    meeting, real = (
        threading.Barrier(2, timeout=60 if cores == 2 else 0.5),
        eqprop.training.loop.evaluate,
    )
    monkeypatch.setattr(eqprop.training.seeds, "_cores", lambda: cores)
    monkeypatch.setattr(
        eqprop.training.loop,
        "evaluate",
        lambda *args, **how: (meeting.wait(), real(*args, **how))[1],
    )
    if cores == 2:
        assert len(ep.fit_seeds(random_net, COST, DATA, ESTIMATOR, seeds=(0, 1), **SEEDS).fits) == 2
    else:
        with pytest.raises(threading.BrokenBarrierError):
            ep.fit_seeds(random_net, COST, DATA, ESTIMATOR, seeds=(0, 1), **SEEDS)


@pytest.mark.parametrize(("estimator", "threads"), [(ESTIMATOR, 2), (ep.Implicit(), 1)])
def test_seeds_that_call_lapack_take_turns(estimator, threads, monkeypatch):
    """As jaxlib can hang where two programs call it at a time."""
    asked, turns = [], eqprop.training.seeds._Turns
    monkeypatch.setattr(
        eqprop.training.seeds, "_Turns", lambda most: asked.append(most) or turns(most)
    )
    monkeypatch.setattr(eqprop.training.seeds, "_cores", lambda: 2)
    monkeypatch.setattr(eqprop.training.seeds, "train", lambda *args, **settings: None)
    ep.fit_seeds(random_net, COST, DATA, estimator, **SEEDS)
    assert asked == [threads]


def test_a_seed_that_fails_is_named_and_stops_the_others():
    wrong = jax.random.key_data(jax.random.split(jax.random.key(1))[0])

    def init(key):
        net = random_net(key)
        return (
            dataclasses.replace(net, biases=(net.biases[0] + 1e308, net.biases[1]))
            if (jax.random.key_data(key) == wrong).all()
            else net
        )

    out = io.StringIO()
    endless = {
        "rates": {"*": 0.1},
        "epochs": 10**9,
        "console": Console(file=out, width=120),
        "name": "toy",
    }
    with pytest.raises(ep.TrainingError, match=r"seed 1: the .* is not finite at training step 0"):
        ep.fit_seeds(init, COST, DATA, ESTIMATOR, **endless)
    assert "toy, seed 2" in out.getvalue()


def test_seeds_must_differ():
    for seeds in ((), (0, 0)):
        with pytest.raises(
            ValueError, match="`seeds` must be at least one, and all different, but are"
        ):
            ep.fit_seeds(random_net, COST, DATA, ESTIMATOR, seeds=seeds, **SEEDS)
