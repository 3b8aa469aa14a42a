"""The flow in time, against circuits whose transient has a formula."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import examples, network
from jax import Array

import circuits
import eqprop as ep
from eqprop.settling.equilibrium import free_hessian


def test_one_node_charges_exponentially():
    g = np.array([[2.0], [3.0]])
    net = ep.Resistive(
        (jnp.asarray(g),), (jnp.asarray([0.5]),), None, unit=1e-4, input_gain=1.0, capacitance=2e-12
    )
    tau, end = 2e-12 / (5e-4), (2 * 0.7 - 3 * 0.7 + 0.5) / 5
    times = jnp.linspace(0, 5 * tau, 7)
    (voltages,) = ep.trajectory(net, jnp.asarray([0.7]), times).states
    np.testing.assert_allclose(voltages[:, 0], end * (1 - np.exp(-times / tau)), atol=1e-8)


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
    np.testing.assert_allclose(
        states[1][1], ep.relax(nudged, x, start=free.state).state[1], atol=1e-7
    )
    before, after = (np.sum((np.asarray(states[1][k]) - ys[0]) ** 2) for k in (0, 1))
    assert after < before


def test_a_trajectory_knows_its_energy_and_when_it_has_settled():
    """One node of time constant τ is within 1e-3 of its end from ln(1000 · distance) τ on."""
    net = ep.energy(
        lambda p, s, x: p * jnp.sum((s - x) ** 2) / 2,
        jnp.asarray(2.0),
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )
    times = jnp.linspace(0, 10, 2001)
    trajectory = ep.trajectory(net, jnp.ones(1), times, tolerance=1e-3)
    np.testing.assert_allclose(trajectory.energies, np.exp(-4 * times), atol=1e-7)
    np.testing.assert_allclose(trajectory.settled_at, np.log(1000) / 2, atol=0.01)
    short = ep.trajectory(net, jnp.ones(1), times[:100], tolerance=1e-9)
    assert np.isinf(short.settled_at)


def test_a_batch_as_one_system_is_its_examples():
    net, (xs, ys) = network(None), examples()
    steps = diffrax.PIDController(rtol=1e-10, atol=1e-12)
    alone, together = (
        ep.EqProp.centred(
            0.1, ep.GradientFlow(diffrax.Tsit5(), steps, tolerance=1e-8, together=both)
        )(net, ep.SquaredError(), xs, ys)
        for both in (False, True)
    )
    for a, b in zip(alone.free.state, together.free.state, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
    assert ep.relative_error(together.grad, alone.grad) < 1e-6
    assert len(set(np.asarray(together.free.steps).tolist())) == 1  # one step size for all
    assert len(set(np.asarray(alone.free.steps).tolist())) > 1


def test_any_solver_and_an_event_of_ones_own():
    net, (xs, _) = network(None), examples(1)
    explicit = ep.GradientFlow(
        diffrax.Dopri5(), diffrax.PIDController(rtol=1e-9, atol=1e-11), tolerance=1e-6
    )
    equilibrium = ep.relax(net, xs[0], method=explicit)
    np.testing.assert_allclose(equilibrium.state[0], ep.relax(net, xs[0]).state[0], atol=1e-5)
    tau = float(net.time_constants(xs[0]))
    assert 5 * tau < float(equilibrium.time) < 200 * tau
    early = ep.GradientFlow(event=lambda t, state: t > tau)
    stopped = ep.relax(net, xs[0], method=early, throw=False)
    assert tau <= float(stopped.time) < float(equilibrium.time)
    assert not bool(stopped.settled)


def test_stiff_networks_settle():
    """Time constants and curvatures a million apart: the implicit default takes a few hundred steps
    where an explicit one gives up.
    """

    class Stiff(ep.Energy):
        k: Array

        def __call__(self, state, x):
            return jnp.sum(self.k * state**2) / 2 + jnp.sum(state**4) / 4 - jnp.sum(state * x)

        def init_state(self, x):
            return jnp.zeros(3)

        def outputs(self, state):
            return state

        def time_constants(self, x):
            return jnp.asarray([1.0, 1e-3, 1e3])

    net, x = Stiff(jnp.asarray([1e3, 1.0, 1e-3])), jnp.ones(3)
    equilibrium = ep.relax(net, x, method=ep.GradientFlow())
    np.testing.assert_allclose(
        equilibrium.state, ep.relax(net, x, method=ep.Newton()).state, atol=1e-8
    )
    assert int(equilibrium.steps) < 1000
    explicit = ep.GradientFlow(
        diffrax.Tsit5(), diffrax.PIDController(rtol=1e-6, atol=1e-8), max_steps=1000
    )
    assert not bool(ep.relax(net, x, method=explicit, throw=False).settled)


def test_a_rugged_energy_settles_into_the_well_it_starts_in():
    """E = s²/100 − cos 5s has many minima; the flow keeps the basin of its start, and the default
    method with it.
    """
    wells = ep.energy(
        lambda p, s, x: jnp.sum(p * s**2 - jnp.cos(5 * s)),
        jnp.asarray(0.01),
        state=jnp.zeros(3),
        outputs=lambda s: s,
    )
    start = jnp.asarray([0.1, 1.4, -2.4])
    for method in (ep.GradientFlow(), None):
        equilibrium = ep.relax(wells, jnp.zeros(1), start=start, method=method)
        assert ep.stability(wells, jnp.zeros(1), equilibrium.state) == "minimum"
        np.testing.assert_allclose(
            equilibrium.state, np.round(start * 5 / (2 * np.pi)) * 2 * np.pi / 5, atol=0.02
        )


def test_noise_spreads_a_node_by_its_temperature():
    """The variance of a linear network is T (∂²E/∂s²)⁻¹; half the temperature, the control, is
    outside the tolerance.
    """
    net, (xs, _) = network(None), examples(1)
    method = ep.Langevin(0.05, steps=100_000, burn_in=1000, step=0.2)
    equilibrium = ep.relax(net, xs[0], method=method, key=jax.random.key(0))
    inverse = np.linalg.inv(free_hessian(net, jnp.asarray(xs[0]), equilibrium.state)[0])
    temperatures = np.concatenate(equilibrium.variance) / np.diag(inverse)
    np.testing.assert_allclose(temperatures, 0.05, rtol=0.1)
    np.testing.assert_allclose(
        np.concatenate(equilibrium.state), np.concatenate(ep.relax(net, xs[0]).state), atol=0.05
    )
    with pytest.raises(ValueError, match="`key` must be given for a Langevin phase"):
        ep.relax(net, xs[0], method=method)


def test_noise_stays_within_bounds():
    net, (xs, _) = network(circuits.IdealPair(0.1)), examples(1)
    hot = ep.Langevin(
        1.0, steps=60_000, burn_in=1000, step=2e-4
    )  # so hot that the box alone matters, in which it is uniform
    equilibrium = ep.relax(net, xs[0], method=hot, key=jax.random.key(0))
    assert float(jnp.max(jnp.abs(equilibrium.state[0]))) < 0.03
    np.testing.assert_allclose(equilibrium.variance[0], 0.1**2 / 3, rtol=0.15)


def test_noisy_phases_give_the_gradient_roughly():
    """Both phases draw the same noise, so that most of it drops out."""
    net, (xs, ys) = network(None), examples()
    exact = ep.Implicit()(net, ep.SquaredError(), xs, ys).grad
    noisy = ep.EqProp.centred(0.1, ep.Langevin(0.01, steps=2000, burn_in=500, step=0.2))
    gradient = noisy(net, ep.SquaredError(), xs, ys, jax.random.key(0)).grad
    assert ep.cosine(gradient, exact) > 0.95
