"""The flow in time, against circuits whose transient has a formula."""

import jax.numpy as jnp
import numpy as np
from conftest import examples, network

import circuits
import eqprop as ep


def test_one_node_charges_exponentially():
    g = np.array([[2.0], [3.0]])
    net = ep.Resistive((jnp.asarray(g),), (jnp.asarray([0.5]),), None, unit=1e-4, input_gain=1.0, capacitance=2e-12)
    tau, end = 2e-12 / (5e-4), (2 * 0.7 - 3 * 0.7 + 0.5) / 5
    times = jnp.linspace(0, 5 * tau, 7)
    (seen,) = ep.trajectory(net, jnp.asarray([0.7]), times).states
    np.testing.assert_allclose(seen[:, 0], end * (1 - np.exp(-times / tau)), atol=1e-8)


def test_energy_falls_along_the_flow_and_ends_in_the_fixed_point():
    net, (xs, _) = network(), examples(1)
    x = jnp.asarray(xs[0])
    tau = net.time_constants(x)
    states = ep.trajectory(net, x, jnp.linspace(0, 100 * tau, 50)).states
    energies = np.array([float(net(tuple(layer[k] for layer in states), x)) for k in range(50)])
    assert np.all(np.diff(energies) <= 1e-9)
    np.testing.assert_allclose(states[0][-1], ep.relax(net, x).state[0], atol=1e-6)


def test_a_bound_holds_in_the_flow():
    net, (xs, _) = network(circuits.IdealDiodes()), examples(1)
    x = jnp.asarray(xs[0])
    hidden = ep.trajectory(net, x, jnp.linspace(0, 1e-6, 20)).states[0]
    low, high = net.bounds(x)
    assert bool(jnp.all((hidden >= low[0] - 1e-6) & (hidden <= high[0] + 1e-6)))


def test_the_nudged_phase_starts_where_the_free_phase_ends():
    net, (xs, ys) = network(), examples(1)
    x, free = jnp.asarray(xs[0]), ep.relax(net, xs[0])
    nudged = ep.Nudged(net, ep.SquaredError(), jnp.asarray(ys[0]), 0.3)
    states = ep.trajectory(nudged, x, jnp.asarray([0.0, 2e-5]), start=free.state).states
    np.testing.assert_allclose(states[1][0], free.state[1])
    np.testing.assert_allclose(states[1][1], ep.relax(nudged, x, start=free.state).state[1], atol=1e-7)
    before, after = (np.sum((np.asarray(states[1][k]) - ys[0]) ** 2) for k in (0, 1))
    assert after < before
