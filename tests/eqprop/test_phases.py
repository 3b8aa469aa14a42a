"""Weakly clamped phases: displaced, nudged and clamped, and what a small nudge keeps in float32."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import DEVICES, coupled, examples, network

import circuits
import eqprop as ep
from eqprop.settling.phases import displaced, output_nodes

COST = ep.SquaredError()
TIGHT = ep.BlockNewton(tolerance=1e-14)


def displacement(phase, x, free, method=None):
    x = jnp.asarray(x)
    energy = displaced(phase, x, free)
    return energy.displacement(ep.relax(energy, x, method=method).state)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", [TIGHT, ep.Newton(tolerance=1e-13)], ids=["blocks", "newton"])
def test_a_displacement_is_the_difference_of_the_states(device, method):
    net, (xs, ys) = network(DEVICES[device]), examples(1)
    free = ep.relax(net, xs[0], method=method).state
    nudged = ep.Nudged(net, COST, ys[0], 0.1)
    plain = ep.relax(nudged, xs[0], method=method, start=free).state
    moved = displacement(nudged, xs[0], free, method)
    for a, b, d in zip(plain, free, moved, strict=True):
        np.testing.assert_allclose(d, a - b, atol=1e-11)
    assert float(jnp.max(jnp.abs(moved[-1]))) > 1e-4  # the nudge does something


def test_a_displacement_is_as_exact_as_it_is_small():
    net, (xs, ys) = network(), examples(1)
    x = jnp.asarray(xs[0])
    free = ep.relax(net, x, method=TIGHT).state
    large, small = (displacement(ep.Nudged(net, COST, ys[0], b), x, free) for b in (1e-7, 1e-13))
    for a, b in zip(large, small, strict=True):
        np.testing.assert_allclose(a / 1e-7, b / 1e-13, rtol=1e-5)


def test_the_energy_of_a_displacement_has_its_slope():
    net, (xs, ys) = network(circuits.IdealPair(0.1)), examples(1)
    x = jnp.asarray(xs[0])
    phase = displaced(ep.Nudged(net, COST, ys[0], 0.3), x, ep.relax(net, x).state)
    move = tuple(0.01 * jnp.arange(v.size) for v in phase.origin)
    for a, b in zip(phase.slope(move, x), jax.grad(phase)(move, x), strict=True):
        keep = np.asarray(b) != 0
        np.testing.assert_allclose(np.asarray(a)[keep], np.asarray(b)[keep], rtol=1e-6, atol=1e-9)


def test_what_the_free_phase_has_not_settled_drops_out():
    """With two sweeps the free state is off by far more than the nudge moves it; the gradient is
    hardly off.
    """
    net, (xs, ys) = network(None), examples()
    exact = ep.Implicit()(net, COST, xs, ys).grad
    rough = ep.EqProp.one_sided(1e-6, ep.FixedSweeps(n=20))
    assert ep.relative_error(rough(net, COST, xs, ys).grad, exact) < 1e-4
    early = ep.BlockNewton(tolerance=1e-4)
    assert ep.relative_error(ep.EqProp.one_sided(1e-6, early)(net, COST, xs, ys).grad, exact) < 1e-2
    plain = ep.EqProp.one_sided(1e-6, early, subtract=True)  # the negative control
    assert ep.relative_error(plain(net, COST, xs, ys).grad, exact) > 1


def test_float32_at_100_volts():
    """1568-100-10, inputs of 100 V, β = 1e-3: every parameter to 1e-5; plain subtraction, the
    control, loses the first layer.
    """
    net = ep.Resistive.init(
        jax.random.key(0), (784, 100, 10), device=circuits.IdealDiodes(), input_gain=100.0
    )
    random = np.random.default_rng(0)
    xs = (random.uniform(0, 1, (2, 784)) * (random.uniform(size=(2, 784)) < 0.2)).astype(np.float32)
    ys = np.array([3, 8], np.int32)
    single = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, net
    )
    double = jax.tree.map(
        lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, single
    )
    exact = jax.tree.leaves(
        ep.Implicit(ep.BlockNewton(tolerance=1e-13))(double, COST, xs.astype(float), ys).grad
    )

    def errors(estimator):
        gradient = jax.tree.leaves(estimator(single, COST, xs, ys).grad)
        assert all(leaf.dtype == jnp.float32 for leaf in gradient)
        return [
            float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
            for a, b in zip(gradient, exact, strict=True)
        ]

    assert max(errors(ep.EqProp.centred(1e-3))) < 1e-5
    assert errors(ep.EqProp.centred(1e-3, subtract=True))[0] > 0.1


def test_clamped_outputs_are_where_they_are_held():
    net, (xs, _) = network(), examples(1)
    state = ep.relax(ep.Clamped(net, jnp.asarray([0.03, -0.02])), xs[0]).state
    np.testing.assert_array_equal(state[-1], [0.03, -0.02])
    others = ep.relax(net, xs[0]).state
    assert float(jnp.max(jnp.abs(others[0] - state[0]))) > 1e-3


def test_only_nodes_can_be_clamped():
    net = coupled()
    np.testing.assert_array_equal(output_nodes(net, net.init_state(jnp.zeros(3))), [4, 5])
    difference = ep.energy(
        net.function, net.params, state=jnp.zeros(6), outputs=lambda s: s[:2] - s[2:4]
    )
    with pytest.raises(
        ValueError, match=r"`energy.outputs` must be nodes of the state to be clamped"
    ):
        ep.CoupledLearning.centred(0.1)(difference, COST, *examples())
