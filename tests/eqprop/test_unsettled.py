"""What becomes of examples that do not settle, and when a phase has settled well enough."""

import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import eqprop as ep
from eqprop.data import Data, Split
from eqprop.training.evaluation import evaluate
from eqprop.training.settled import SHARE, settling

COST = ep.SquaredError(on=0.2)
ESTIMATOR = ep.EqProp.one_sided(0.1)


class Tilted(ep.Energy):
    """½ c Σ (s − x)² − √a s₀, with c = 0 for an example whose third input is 1: it falls for ever.

    Elsewhere it settles at s = (x₀ + √a, x₁).
    """

    a: jax.Array

    def __call__(self, state, x):
        c = jnp.where(x[2] == 1, 0.0, 1.0)
        return c * jnp.sum((state - x[:2]) ** 2) / 2 - jnp.sqrt(self.a) * state[0]

    def init_state(self, x):
        return jnp.zeros(2)

    def outputs(self, state):
        return state


def examples(wrong, count=20):
    """Return examples of two classes, of which those numbered `wrong` have no minimum."""
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 3))
    x[list(wrong), 2] = 1
    return Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))


def rows(split, keep):
    return Split(split.x[keep], split.y[keep])


WRONG = (4, 11)
TRAIN, TEST = examples(WRONG), examples(())


def fit(train=TRAIN, *, estimator=ESTIMATOR, **change):
    settings = {"rates": {"a": 0.1}, "epochs": 2, "key": jax.random.key(0)} | change
    return ep.fit(Tilted(jnp.asarray(0.25)), COST, Data(train, TEST), estimator, **settings)


def test_examples_that_do_not_settle_are_left_out_of_the_mean():
    """Training on the whole set is then training on those that settle, all of them a batch."""
    good = rows(TRAIN, np.setdiff1d(np.arange(20), WRONG))
    skipped, kept = fit(unsettled="skip", batch=20), fit(good, batch=18)
    np.testing.assert_allclose(skipped.net.a, kept.net.a, rtol=1e-12)
    for name in ("loss", "train_accuracy", "test_loss"):
        np.testing.assert_allclose(skipped.history[name], kept.history[name], rtol=1e-12)
    assert skipped.history["unsettled"].tolist() == [2, 2]
    assert kept.history["unsettled"].tolist() == [0, 0]
    assert abs(kept.net.a - 0.25) > 1e-3  # the control: something is learned at all


def test_the_mean_of_an_epoch_is_over_the_examples_that_counted():
    """At rate 0, in batches of 2: also where a batch has none that settles."""
    train = examples((6, 13))
    still = fit(train, unsettled="skip", batch=2, epochs=1, rates={"a": 0.0})
    good = rows(train, np.setdiff1d(np.arange(20), (6, 13)))
    np.testing.assert_allclose(
        still.history["loss"], evaluate(still.net, COST, good).loss, rtol=1e-12
    )
    alone = fit(examples((0,)), unsettled="skip", batch=1, epochs=1, rates={"a": 0.01})
    assert alone.history["unsettled"].tolist() == [1]
    assert np.isfinite(alone.history["loss"]).all()


def test_the_progress_line_says_how_well_phases_settle_and_what_is_left_out():
    out = io.StringIO()
    fit(unsettled="skip", batch=20, console=Console(file=out, width=200))
    assert "of the nudge  2 examples left out" in out.getvalue()
    assert "phases settled to " in out.getvalue()


def test_an_example_that_does_not_settle_ends_training_and_is_named():
    with pytest.raises((ep.NotSettledError, ep.TrainingError)) as caught:
        fit(batch=20, epochs=1)
    named = int(str(caught.value).split("example ")[1].split()[0])
    assert named in WRONG
    assert "training step 0" in str(caught.value)


def test_too_many_of_them_end_training_too():
    with pytest.raises(
        ep.NotSettledError, match=r"more than 10% of the examples of epoch 0 did not settle: the"
    ):
        fit(examples((1, 4, 11)), unsettled="skip", batch=20)


def test_a_resumed_run_counts_on(tmp_path):
    first = fit(unsettled="skip", checkpoint=tmp_path / "run.npz")
    again = fit(unsettled="skip", checkpoint=tmp_path / "run.npz")
    assert again.history["unsettled"].tolist() == first.history["unsettled"].tolist() == [2, 2]
    with pytest.raises(ep.CheckpointError, match="`unsettled` is 'raise', and was 'skip'"):
        fit(checkpoint=tmp_path / "run.npz")


@pytest.mark.parametrize(
    "estimator", [ep.Implicit(), ep.EqProp.one_sided(0.1, subtract=True)], ids=["exact", "subtract"]
)
def test_what_cannot_leave_out_says_so(estimator):
    with pytest.raises(ValueError, match="`unsettled` must be 'raise' for an estimator that does"):
        fit(estimator=estimator, unsettled="skip")


def test_the_word_must_be_known():
    with pytest.raises(ValueError, match="`unsettled` must be 'raise' or 'skip', but is 'ignore'"):
        fit(unsettled="ignore")


@pytest.mark.parametrize("method", [None, ep.Newton()], ids=["default", "own"])
@pytest.mark.parametrize("phase", ["free", "nudged"])
def test_a_phase_has_settled_when_its_error_is_small_against_what_the_nudge_moves(method, phase):
    """Unless a method of one's own says otherwise: its tolerance is then the measure."""
    net, estimator = Tilted(jnp.asarray(0.25)), ep.EqProp.centred(0.1, method)
    estimate = estimator.estimate(net, COST, jnp.asarray(TEST.x), jnp.asarray(TEST.y))
    moved = np.max(np.abs(estimate.displacements), axis=(1, 2))
    moved = moved.min() if phase == "free" else moved[0]

    def settled(error):
        where = (0,) if phase == "free" else (0, 0)
        equilibrium = getattr(estimate, phase)
        wrong = eqx.tree_at(
            lambda e: (e.error, e.settled),
            equilibrium,
            (equilibrium.error.at[where].set(error), equilibrium.settled.at[where].set(False)),
        )
        return settling(net, estimator, eqx.tree_at(lambda e: getattr(e, phase), estimate, wrong))

    close, far = settled(0.5 * SHARE * moved), settled(2 * SHARE * moved)
    assert bool(close.examples[0]) is (method is None)
    assert not far.examples[0]
    assert close.examples[1:].all()
    assert not settled(np.inf).examples[0]  # a saddle
    assert not settled(np.nan).examples[0]
    if method is None:
        np.testing.assert_allclose(close.error, 0.5 * SHARE * moved / moved.min(), rtol=0.2)


@pytest.mark.parametrize("name", ["train", "test", "validation"])
def test_targets_that_are_no_numbers_are_refused_by_name(name):
    y = np.zeros((20, 2))
    y[3, 1] = np.nan
    good, wrong = Split(TEST.x, np.zeros((20, 2))), Split(TEST.x, y)
    data = Data(**{key: wrong if key == name else good for key in ("train", "test", "validation")})
    with pytest.raises(
        ValueError,
        match=rf"`data.{name}.y` must hold finite targets, but 1 of 20 examples have others, the "
        r"first of them example 3: \[ 0. nan\]",
    ):
        ep.fit(Tilted(jnp.ones(())), COST, data, ESTIMATOR, rates={"a": 0.1}, epochs=1, key=None)


def test_evaluation_refuses_targets_that_cannot_be():
    net = Tilted(jnp.ones(()))
    with pytest.raises(ValueError, match=r"`split.y` must hold finite targets, but 20 of 20"):
        evaluate(net, COST, Split(TEST.x, np.full((20, 2), np.nan)))
    with pytest.raises(ValueError, match=r"`split.y`: labels must be from 0 to 1, .* go from 2 to"):
        evaluate(net, COST, Split(TEST.x, TEST.y + 2))
