"""Training learns, keeps its rules, and stops at what is wrong."""

import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import network
from rich.console import Console

import eqprop as ep
import eqprop.plotting
from eqprop.data import Data, Split

COST = ep.SquaredError(on=0.2)


def toy(seed=0, n=40):
    """Two classes that a line parts."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))


DATA = Data(toy(0), toy(1))
ESTIMATOR = ep.EqProp.centred(0.1, ep.Sweeps(n=6))


def fit(net=None, **change):
    settings = {"rates": {"conductances*": 0.5}, "epochs": 15, "key": jax.random.key(0)} | change
    estimator = settings.pop("estimator", ESTIMATOR)
    return ep.fit(network(biases=0.0) if net is None else net, COST, DATA, estimator, **settings)


def test_it_learns():
    result = fit(epochs=30)
    assert result.history["test_accuracy"][-1] >= 0.9
    assert result.history["loss"][-1] < result.history["loss"][0] / 2
    assert ep.evaluate(result.net, COST, DATA.test).accuracy == result.history["test_accuracy"][-1]
    reverse = fit(rates={"conductances*": -0.1}, epochs=2)
    assert reverse.history["loss"][-1] > reverse.history["loss"][0]  # the control: up the gradient it unlearns


def test_only_what_a_pattern_names_moves_and_bounds_hold():
    net = network(biases=0.1)
    result = fit(net, rates={"conductances.0": 0.5}, epochs=2).net
    assert not np.array_equal(result.conductances[0], net.conductances[0])
    np.testing.assert_array_equal(result.conductances[1], net.conductances[1])
    np.testing.assert_array_equal(result.biases[0], net.biases[0])
    filled = dataclasses.replace(net, conductances=tuple(g + 0.01 for g in net.conductances))
    trained = fit(filled, epochs=3).net
    assert float(jnp.min(trained.conductances[0])) == 0.0


def test_the_same_key_is_the_same_training():
    first, again, other = fit(epochs=2), fit(epochs=2), fit(epochs=2, key=jax.random.key(1))
    np.testing.assert_array_equal(first.net.conductances[0], again.net.conductances[0])
    assert not np.array_equal(first.net.conductances[0], other.net.conductances[0])


def test_one_step_is_the_gradient():
    net = network(biases=0.0)
    result = fit(net, batch=40, epochs=1, rates={"conductances*": 0.1})
    grad = ESTIMATOR(net, COST, DATA.train.x, DATA.train.y).grad
    expected = jnp.maximum(net.conductances[0] - 0.1 * grad.conductances[0], 0)
    np.testing.assert_allclose(result.net.conductances[0], expected, rtol=1e-10)


def test_a_transform_of_optax():
    plain, momentum = fit(epochs=3), fit(epochs=3, transform=optax.trace(0.9))
    assert momentum.history["loss"][-1] != plain.history["loss"][-1]


def test_the_rate_decays():
    slow = fit(epochs=2, decay=0.0)
    np.testing.assert_array_equal(slow.net.conductances[0], fit(epochs=1).net.conductances[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"rates": {"conductance": 0.1}},
            ValueError,
            r"`rates` must name parameters, but 'conductance' matches none of \['conductances.0'",
        ),
        ({"rates": {"*": 0.1, "biases*": 0.1}}, ValueError, r"`rates` must match each parameter once, but \['\*', 'biases\*'\]"),
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1, but is 0"),
        ({"batch": 41}, ValueError, "`batch` must be at most the 40 training examples, but is 41"),
        ({"rates": {"conductances*": np.inf}}, ep.TrainingError, "not finite at training step [01]"),
        ({"estimator": ep.EqProp.centred(0.1, ep.BlockNewton(sweeps=1))}, ep.NotSettledError, "did not settle at training step 0"),
        ({"estimator": ep.EqProp.centred(50.0, ep.Sweeps(n=6))}, ep.NudgeError, "`beta` must be below"),
    ],
)
def test_what_is_wrong_stops_it(change, error, message):
    with pytest.raises(error, match=message):
        fit(**change)


def test_the_progress_bar_says_loss_and_accuracy():
    out = io.StringIO()
    fit(epochs=2, console=Console(file=out, width=120), name="toy")
    assert "toy" in out.getvalue()
    assert "2/2 epochs  loss" in out.getvalue()
    assert "test" in out.getvalue()


def test_the_curve_has_axes_and_a_legend():
    ax = eqprop.plotting.training({"toy": fit(epochs=2)})
    assert ax.get_xlabel() == "epoch"
    assert "toy, test" in ax.get_legend().get_texts()[1].get_text()


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


def test_targets_that_are_no_labels_have_no_accuracy():
    x = DATA.train.x
    data = Data(Split(x, 0.1 * x[:, :2]), Split(x[:2], 0.1 * x[:2, :2]))
    result = ep.fit(network(biases=0.0), COST, data, ESTIMATOR, rates={"*": 0.05}, epochs=2, key=jax.random.key(0))
    assert np.isnan(result.history["test_accuracy"]).all()
    assert result.history["loss"][1] < result.history["loss"][0]


def test_a_label_needs_an_output():
    wrong = Data(Split(DATA.train.x, DATA.train.y + 1), DATA.test)
    with pytest.raises(ValueError, match="labels must be from 0 to 1, one for each output, but go from 1 to 2"):
        ep.fit(network(), COST, wrong, ESTIMATOR, rates={"*": 0.05}, epochs=1, key=jax.random.key(0))


def test_a_split_must_fit():
    with pytest.raises(ValueError, match="`x` and `y` must hold the same number of examples"):
        Split(np.zeros((3, 2)), np.zeros(2))
