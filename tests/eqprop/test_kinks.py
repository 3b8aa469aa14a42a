"""Kinks of a cost are rounded off where a nudged phase may rest on them, and nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import eqprop as ep
from eqprop.settling.kinks import EXPONENT, has_kinks, rounded_cost, widths


class Cost(ep.Cost):
    """A cost by a function of the outputs and a target."""

    function: object

    def __call__(self, outputs, y):
        return self.function(outputs, y)

    def decide(self, outputs):
        return jnp.argmax(outputs)


KINKED = {
    "abs": lambda o, y: jnp.sum(jnp.abs(o - y)),
    "max": lambda o, y: jnp.sum(jnp.maximum(0.0, 1 + o - y)),
    "min": lambda o, y: -jnp.sum(jnp.minimum(2 * o, y)),
    "relu": lambda o, y: jnp.sum(jax.nn.relu(o - y)),
    "largest of all": lambda o, y: jnp.max(o - y),
    "least of all": lambda o, y: -jnp.min(o - y),
    "clip": lambda o, y: jnp.sum(-jnp.clip(o, -1.0, y)),
}
OUTPUTS, TARGET = jnp.array([0.3, -0.7, 1.9]), jnp.array([0.1, 0.2, 0.4])
WIDTH = np.finfo(float).eps ** EXPONENT


@pytest.mark.parametrize("name", KINKED)
def test_far_from_its_kinks_a_cost_is_itself(name):
    cost = Cost(KINKED[name])
    assert has_kinks(cost, OUTPUTS, TARGET)

    def rounded(o):
        return rounded_cost(cost, o, TARGET, jnp.asarray(1.0))

    value, slope = jax.value_and_grad(rounded)(OUTPUTS)
    assert value == pytest.approx(float(cost(OUTPUTS, TARGET)), abs=10 * WIDTH**2)
    np.testing.assert_allclose(slope, jax.grad(cost)(OUTPUTS, TARGET), atol=10 * WIDTH**2)


def test_on_a_kink_it_curves_by_one_over_the_width():
    cost = Cost(lambda o, y: jnp.sum(jnp.abs(o - y)))
    for wider in (1.0, 100.0):
        hessian = jax.hessian(lambda o, w=wider: rounded_cost(cost, o, TARGET, jnp.asarray(w)))(
            TARGET
        )
        np.testing.assert_allclose(hessian, np.eye(3) / (wider * WIDTH), rtol=1e-9)


@pytest.mark.parametrize(
    "function",
    [
        lambda o, y: jnp.sum((o - y) ** 2),
        lambda o, y: jnp.sum(jnp.where(o > y, o, 0.0)),
        lambda o, y: jnp.sum(o * jax.lax.stop_gradient(jnp.abs(o))),
    ],
)
def test_a_cost_without_kinks_is_left_alone(function):
    assert not has_kinks(Cost(function), OUTPUTS, TARGET)


def test_a_cross_entropy_is_what_it_was():
    """Its logarithm of a sum has a magnitude in it, of what is 1 at least."""
    cost = Cost(lambda o, y: logsumexp(o) - o[0])
    value = rounded_cost(cost, OUTPUTS, TARGET, jnp.asarray(1.0))
    assert value == pytest.approx(float(cost(OUTPUTS, TARGET)), abs=WIDTH**2)


def test_the_widths_end_at_one():
    for dtype in (np.float32, np.float64):
        factors = widths(dtype)
        assert factors[-1] == 1.0
        assert factors[0] * np.finfo(dtype).eps ** EXPONENT == pytest.approx(0.1)
        assert np.all(np.diff(factors) < 0)


@pytest.mark.parametrize("beta", [0.3, -0.3])
@pytest.mark.parametrize("target", [0.9, 1.05, 0.2, 1.6])
def test_a_nudge_by_a_distance_is_a_soft_threshold(beta, target):
    """(s - 1)²/2 + β |s - t| is least at t where |1 - t| < β, else at 1 + β sign(t - 1)."""
    net = ep.energy(
        lambda params, s, x: jnp.sum((s - 1) ** 2) / 2,
        {},
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )
    cost = Cost(lambda o, y: jnp.sum(jnp.abs(o - y)))
    nudged = ep.Nudged(net, cost, jnp.array([target]), beta)
    equilibrium = ep.relax(net, jnp.zeros(()), start=jnp.ones(1))
    equilibrium = ep.relax(nudged, jnp.zeros(()), start=equilibrium.state)
    least = target if beta > 0 and abs(1 - target) < beta else 1 + beta * np.sign(target - 1)
    assert equilibrium.state[0] == pytest.approx(least, abs=10 * WIDTH)
