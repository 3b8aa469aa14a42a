"""The certificate: how far a settled state is from its minimum, against exact voltages."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from helpers.networks import DEVICES, examples, network
from helpers.resistors import chain, crossbar, exact_voltages, layered
from jax.flatten_util import ravel_pytree

import eqprop as ep
from eqprop.settling.block_newton import BlockNewton
from eqprop.settling.contraction import attracts, contraction
from eqprop.settling.equilibrium import Stop
from eqprop.settling.phases import Displaced, displaced

RATIOS = [1.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10, 1e12]
NETWORKS = {
    "chain": functools.partial(chain, 10),
    "assembled chain": lambda ratio, dtype: (
        eqx.tree_at(lambda n: n.assembled, chain(10, ratio, dtype)[0], replace=True),
        chain(10, ratio, dtype)[1],
    ),
    "crossbar": functools.partial(crossbar, 3),
    "layered": layered,
    "deep": functools.partial(layered, sizes=(2, 4, 3, 3, 2)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_error_bounds_the_distance_to_the_minimum(name, dtype):
    """Nothing is settled beyond its tolerance, and an error is never ten times too small."""
    eps = np.finfo(dtype).eps
    settled = {}
    for ratio in RATIOS:
        net, x = NETWORKS[name](ratio, dtype)
        free = ep.relax(net, jnp.asarray(x, dtype), throw=False)
        reached = np.asarray(ravel_pytree(free.state)[0], float)
        off = np.max(np.abs(reached - exact_voltages(net, x.astype(dtype))))
        assert off <= 10 * float(free.error) + 4 * eps, (ratio, off, float(free.error))
        assert off <= max(1e-10, 256 * eps) or not free.settled, (ratio, off)
        settled[ratio] = bool(free.settled)
    assert settled[1.0]
    if dtype == np.float64 or name != "assembled chain":
        assert all(settled[ratio] for ratio in (1e2, 1e3))
    if name == "assembled chain":
        assert not settled[1e12]  # whose digits are not in the matrix any more


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_two_nodes_tied_more_and_more_tightly(dtype):
    """Both settle at x whatever ties them, as far as the digits of their own ties tell."""

    def pair(params, state, x):
        first, second = state
        return params * (first[0] - second[0]) ** 2 / 2 + (first[0] - x[0]) ** 2 / 2

    state = (jnp.zeros(1, dtype), jnp.zeros(1, dtype))
    net = ep.energy(pair, jnp.ones((), dtype), state=state, outputs=lambda s: s[1])
    eps = np.finfo(dtype).eps
    for exponent in range(14):
        stiff = eqx.tree_at(lambda n: n.params, net, jnp.asarray(10.0**exponent, dtype))
        free = ep.relax(stiff, jnp.ones(1, dtype), throw=False)
        off = abs(float(free.state[1][0]) - 1)
        assert off <= 10 * float(free.error) + eps
        assert off <= max(1e-10, 256 * eps) or not free.settled
        assert free.settled or 10.0**exponent > 1e-3 / eps


@pytest.mark.parametrize("blocks", [True, False])
def test_more_nodes_than_are_factorised_are_certified_by_conjugate_gradients(blocks):
    net, x = chain(100, 1e4, np.float64)
    method = ep.BlockNewton(blocks=ep.colour(net, jnp.asarray(x))) if blocks else ep.Newton()
    free = ep.relax(net, jnp.asarray(x), method=method)
    off = float(np.max(np.abs(np.asarray(free.state) - exact_voltages(net, x))))
    assert off <= 10 * float(free.error) + 1e-15
    assert off < 1e-9
    assert int(free.steps) < 60


def test_a_sweep_contracts_by_what_is_said_of_it():
    """The error after a sweep against `contraction`; what attracts needs no Newton step."""
    net, (xs, ys) = network(DEVICES["linear"], biases=0.0), examples(1)
    x, free = jnp.asarray(xs[0]), ep.relax(network(DEVICES["linear"], biases=0.0), xs[0]).state
    rho = float(contraction(net, x, free))
    assert rho < 1
    off = (jnp.ones(8), -jnp.ones(2))
    for _ in range(3):
        before = max(float(jnp.max(jnp.abs(part))) for part in off)
        swept, _ = BlockNewton().sweep(net, x, jax.tree.map(jnp.add, free, off))
        off = jax.tree.map(jnp.subtract, swept, free)
        assert max(float(jnp.max(jnp.abs(part))) for part in off) <= rho * before * (1 + 1e-9)
    nudged = ep.Nudged(net, ep.SquaredError(), jnp.asarray(ys[0]), -0.01)
    assert attracts(nudged, free)
    phase = displaced(nudged, x, free)
    assert isinstance(phase, Displaced)
    assert attracts(phase, phase.init_state(x))
    doubled = ep.Resistive.init(jax.random.key(0), (3, 4, 2), doubled_outputs=True)
    pulled = ep.Nudged(doubled, ep.SquaredError(), jnp.zeros(2), -0.01)
    assert not attracts(pulled, doubled.init_state(x))


KINDS = {
    "saddle": lambda p, s, x: p * (s[0] ** 2 - s[1] ** 2) / 2 + s[0] * s[1] ** 3,
    "maximum": lambda p, s, x: -p * s @ s / 2,
    "infinite curvature": lambda p, s, x: p * jnp.sum(jnp.abs(s) ** 1.5),
    "flat": lambda p, s, x: p * (s[0] - s[1]) ** 2 / 2,
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_minimum_is_certified(kind):
    """The residual is 0 at each of these states, and none is a minimum that curves up."""
    net = ep.energy(KINDS[kind], jnp.ones(()), state=jnp.zeros(2), outputs=lambda s: s)
    still = ep.relax(net, jnp.zeros(1), method=ep.Newton(max_steps=0), throw=False)
    assert not bool(still.settled)
    assert not np.isfinite(float(still.error))
    assert float(jnp.max(jnp.abs(still.residual))) == 0


def test_a_node_on_which_nothing_depends_holds_nobody_up():
    net = ep.energy(
        lambda p, s, x: p * (s[0] - x[0]) ** 2 / 2,
        jnp.ones(()),
        state=jnp.zeros(2),
        outputs=lambda s: s[:1],
    )
    free = ep.relax(net, jnp.ones(1))
    np.testing.assert_allclose(free.state, [1.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("idle", [jnp.round, jax.lax.stop_gradient])
def test_a_node_whose_derivative_is_cut_off_is_not_settled(idle):
    """The energy depends on it, and its slope is 0 everywhere."""
    net = ep.energy(
        lambda p, s, x: p * (s[0] - x[0]) ** 2 / 2 + (idle(s[1]) - 2.0) ** 2 / 2,
        jnp.ones(()),
        state=jnp.zeros(2),
        outputs=lambda s: s[:1],
    )
    free = ep.relax(net, jnp.ones(1), throw=False)
    assert not bool(free.settled)
    assert "its derivative is 0" in ep.unsettled_reason(net, jnp.ones(1), free.state)


REASONS = {
    "saddle": "curves down",
    "maximum": "curves down",
    "infinite curvature": "not smooth",
    "flat": "flat",
}


@pytest.mark.parametrize("kind", REASONS)
def test_what_is_no_minimum_is_said_in_words(kind):
    net = ep.energy(KINDS[kind], jnp.ones(()), state=jnp.zeros(2), outputs=lambda s: s)
    assert REASONS[kind] in ep.unsettled_reason(net, jnp.zeros(1), jnp.zeros(2))


def test_an_energy_that_falls_for_ever_is_not_settled():
    """exp(−s) has no slope left at 800, and no minimum either."""
    net = ep.energy(
        lambda p, s, x: p * jnp.sum(jnp.exp(-s)),
        jnp.ones(()),
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )
    for start in (0.0, 600.0, 800.0):
        fallen = ep.relax(net, jnp.zeros(1), start=jnp.full(1, start), throw=False)
        assert not bool(fallen.settled)
    assert "falls" in ep.unsettled_reason(net, jnp.zeros(1), jnp.full(1, 20.0))


BOWL = ep.energy(
    lambda p, s, x: p * jnp.sum(jnp.log(jnp.cosh(s))),
    jnp.ones(()),
    state=jnp.zeros(1),
    outputs=lambda s: s,
)


class Boastful(ep.Method):
    """Moves a nudged phase by -3, and says that it is right."""

    tolerance: float = 1e-9

    def settle(self, energy, x, state, key):
        moved = state - 3.0 if isinstance(energy, Displaced) else state
        return Stop(moved, jnp.asarray(1), error=jnp.zeros(()), excess=jnp.zeros(()))


def test_a_negative_nudge_is_held_against_the_bound_where_it_has_led():
    """Whatever the method says of the phase there: E curves up by 1 at 0, and by 0.01 at -3."""
    xs = ys = jnp.ones((2, 1))
    with pytest.raises(ep.NudgeError, match="outputs at the nudged state"):
        ep.EqProp.one_sided(-0.9, Boastful())(BOWL, ep.SquaredError(), xs, ys)
    ep.EqProp.one_sided(-0.001, Boastful())(BOWL, ep.SquaredError(), xs, ys)  # the control


@pytest.mark.parametrize("target", [1.0, 10.0, 40.0, 150.0, 300.0])
def test_a_nudge_that_leads_far_is_certified_where_it_has_led(target):
    """cosh is 10^65 there, and its rounding must not stand for a curvature: s + tanh s = t."""
    ys = jnp.full((1, 1), target)
    phase = ep.EqProp.one_sided(1.0)(BOWL, ep.SquaredError(), jnp.ones((1, 1)), ys).nudged
    exact = scipy.optimize.brentq(lambda s: s + np.tanh(s) - target, 0, target, xtol=1e-15)
    off = abs(float(phase.state[0, 0, 0]) - exact)
    assert off <= 10 * float(phase.error[0, 0]) + 1e-15 * target


class Hill(ep.Cost):
    """A cost that falls on both sides of 0."""

    def __call__(self, outputs, y):
        return -jnp.sum(outputs**2) / 2

    def decide(self, outputs):
        return jnp.argmax(outputs)


@pytest.mark.parametrize(
    "make",
    [
        ep.EqProp.one_sided,
        lambda beta, method: ep.EqProp.one_sided(beta, method, subtract=True),
        ep.EqProp.centred,
    ],
)
def test_a_checked_gradient_has_nudged_phases_that_are_minima(make):
    """A nudge of 1 takes all curvature from the energy ½ s²; what a sweep then leaves is finite."""
    net = ep.energy(
        lambda p, s, x: jnp.sum(p * s**2 / 2 - s * x),
        jnp.ones(()),
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )
    xs = ys = jnp.ones((2, 1))
    method = ep.FixedSweeps(n=4)
    key = jax.random.key(0)
    with pytest.raises(ep.NotSettledError, match="the nudged phase is at no minimum in 2 of "):
        make(2.0, method)(net, Hill(), xs, ys, key)
    estimate = make(0.5, method)(net, Hill(), xs, ys, key)  # the control
    assert np.isfinite(estimate.grad.params)
    assert ep.nudge_bound(BOWL, ep.SquaredError(), xs[0], ys[0], jnp.zeros(1)) == 1
    for method in (ep.FixedSweeps(n=30), None):  # the energy falls for ever with a nudge of -0.9
        with pytest.raises(ep.NotSettledError, match="the nudged phase"):
            make(-0.9, method)(BOWL, ep.SquaredError(), xs, ys, key)
    walk = ep.Langevin(temperature=1e-9, step=1e-3, steps=10)
    assert np.isfinite(make(2.0, walk)(net, Hill(), xs, ys, key).grad.params)  # no minimum is meant


@pytest.mark.parametrize(
    "estimator", [ep.EqProp.one_sided(0.01, ep.FixedSweeps(n=4)), ep.Unrolled(steps=10, step=0.1)]
)
def test_a_checked_gradient_is_of_a_minimum(estimator):
    """Neither method has a tolerance, and both stay at the maximum at which they start."""
    net = ep.energy(
        lambda p, s, x: jnp.sum(-p * s**2 / 2 + s**4 / 4),
        jnp.ones(()),
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )
    with pytest.raises(ep.NotSettledError, match="the free phase is at no minimum"):
        estimator(net, ep.SquaredError(), jnp.zeros((2, 1)), jnp.zeros((2, 1)))
