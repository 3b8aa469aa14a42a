"""The gradient's signal-to-noise ratio, against what its formula says of small errors."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.netlists import point
from helpers.networks import PAIR, network

import circuits
import eqprop as ep
from circuits.learning import gradient_noise
from circuits.learning.phases import fixed_points
from circuits.learning.ports import Ports
from circuits.units import BOLTZMANN

XS, YS, COST = (
    np.random.default_rng(0).uniform(-1, 1, (3, 2)),
    np.array([0, 1, 1]),
    ep.SquaredError(on=0.2),
)


def by_small_errors(net, beta):
    """The noise from first principles.

    A conductance's estimate is the batch mean of (Δ₊² − Δ₋²)/4β, Δ being the voltage across it.
    """
    ports, free = Ports.of(net), fixed_points(net, XS)
    names = list(ports.nodes)
    netlist, sources = circuits.emit(net), circuits.drives(net, XS)
    total = 0.0
    for k in range(len(XS)):
        smaller, values = circuits.reduce(
            netlist, {name: column[k : k + 1] for name, column in sources.items()}
        )
        order = [names.index(node) for node in smaller.nodes if node in names]
        spread = np.zeros((len(names), len(names)))
        spread[np.ix_(order, order)] = circuits.covariance(
            smaller, values, point(smaller, free[k, order])
        )
        rails = net.input_gain * np.concatenate([XS[k], -XS[k]])
        hidden, out = ports.states(free[k])
        n = len(hidden)
        first = (rails[:, None] - hidden) ** 2 * np.diag(spread)[:n]
        across = np.diag(spread)[:n, None] + np.diag(spread)[None, n:] - 2 * spread[:n, n:]
        total += np.sum(first) + np.sum((hidden[:, None] - out) ** 2 * across)
    return np.sqrt(2 * total / (4 * beta**2)) / len(XS)


def test_noise_wins_at_small_nudges_and_bias_at_large_ones():
    net = network(sizes=(2, 5, 2))
    data = circuits.gradient_noise(net, COST, XS, YS, [0.01, 0.03, 0.1, 0.2], draws=100)
    noise, bias = data.noise.values, data.bias.values
    np.testing.assert_allclose(noise * data.beta, noise[0] * 0.01, rtol=0.15)
    np.testing.assert_allclose(bias[1] / bias[0], 9, rtol=0.02)
    assert noise[0] == pytest.approx(by_small_errors(net, 0.01), rel=0.1)
    assert noise[0] != pytest.approx(2 * by_small_errors(net, 0.01), rel=0.1)  # the control
    exact = ep.Implicit()(net, COST, jnp.asarray(XS), jnp.asarray(YS)).grad.conductances
    signal = np.sqrt(sum(float(jnp.sum(g**2)) for g in exact))
    np.testing.assert_allclose(data.signal, signal, rtol=1e-6)
    np.testing.assert_allclose(data.snr, signal / np.hypot(noise, bias), rtol=1e-6)
    assert data.attrs["best_beta"] == data.beta.values[np.argmax(data.snr.values)]
    assert data.snr.max() > 3 * data.snr[0]


def test_four_ways_to_the_same_noise(simulator):
    """Lyapunov's equation, ngspice's `.noise`, Langevin walks, and transients with drawn currents.

    Node a is held by a forward diode, b by resistors alone, and c follows b times 3. All have time
    constants of 1 to 2 ns.
    """
    deck = "Three\nV1 in 0 0.7\nR1 in a 4k\nD1 a 0 d\nC1 a 0 2p\nR2 in b 2k\nR3 b 0 2k\n"
    deck += "C2 b 0 2p\nE1 c 0 b 0 3\n"
    deck += ".model d d(is=1n)\n.temp 77\n"
    netlist, nodes = circuits.parse(deck), ["a", "b", "c"]
    points = circuits.Nodal().operating_points(netlist)
    free = points.voltage.sel(node=nodes).values[0]
    exact, hot = (
        circuits.covariance(one, None, points)
        for one in (netlist, dataclasses.replace(netlist, temperature=4 * 350.15))
    )
    ktc = BOLTZMANN * 350.15 / 2e-12
    np.testing.assert_allclose(np.diag(exact)[1:], [ktc, 9 * ktc], rtol=1e-9)
    assert 0.4 * ktc < exact[0, 0] < 0.8 * ktc  # a forward diode has half of it, its resistor all
    variances = simulator.noise(netlist, nodes, lowest=1e4, highest=1e13).deviation.values ** 2
    np.testing.assert_allclose(variances, np.diag(exact), rtol=1e-3)

    walked = circuits.langevin(
        netlist, None, points, step=4e-10, burn_in=2e-8, stop=2e-7, walks=200, seed=0
    )
    error = walked.error.values
    assert np.all(np.diag(error) < 0.02 * np.diag(exact))
    assert np.all(np.abs(walked.covariance - exact) < 4.5 * error)
    assert np.all(
        np.diag(np.abs(walked.covariance - hot) > 20 * error)
    )  # the control: another temperature

    step, stop, slowest = 2e-10, 4e-7, 2e-9
    noisy = circuits.with_noise(netlist, None, points, step=step, stop=stop, seed=3)
    start, even = dict(zip(nodes[:2], free.tolist(), strict=False)), np.arange(1e-8, stop, step)
    waves = []
    for one in (circuits.Nodal(), simulator):
        voltage = one.transient(noisy, stop=stop, step=step, start=start).voltage.sel(node=nodes)
        waves.append(
            np.stack([np.interp(even, voltage.time, voltage.sel(node=node)) for node in nodes])
        )
        error = np.sqrt(2 * slowest / stop)  # of a mean square over `stop`, relative
        np.testing.assert_allclose(waves[-1].var(1), np.diag(exact), rtol=4 * error)
        assert np.all(np.abs(waves[-1].var(1) / np.diag(hot) - 1) > 4 * error)  # the control
    np.testing.assert_allclose(waves[0], waves[1], atol=0.03 * waves[0].std())


def test_what_cannot_be_drawn_is_refused():
    netlist = circuits.parse("RC\nV1 in 0 0\nR1 in a 10k\nR2 a 0 10k\n")
    points = point(netlist, 0.0)
    with pytest.raises(ValueError, match="`step` and `stop` must be 0 < step < stop"):
        circuits.with_noise(netlist, None, points, step=1e-6, stop=1e-7, seed=0)
    with pytest.raises(
        ValueError, match="must be 0 < step < burn_in < stop, but are 1e-09, 1e-09 and 1e-06"
    ):
        circuits.langevin(netlist, None, points, step=1e-9, burn_in=1e-9, stop=1e-6, seed=0)
    with pytest.raises(circuits.NetlistError, match=r"noise must have a bound .* none at \['a'\]"):
        circuits.langevin(netlist, None, points, step=1e-9, burn_in=1e-8, stop=1e-6, seed=0)


def test_points_that_are_not_certified_are_refused(monkeypatch):
    """To a tolerance that no rounding allows, no point is certified."""
    net = network(sizes=(2, 5, 2))
    assert circuits.gradient_noise(net, COST, XS, YS, [0.1], draws=2).snr > 0  # the control
    monkeypatch.setattr(gradient_noise, "Nodal", partial(circuits.Nodal, tolerance=1e-30))
    with pytest.raises(circuits.SimulationError, match="must be certified, but 3 are not"):
        circuits.gradient_noise(net, COST, XS, YS, [0.1], draws=2)


def test_amplifiers_make_noise_too():
    """Small errors in voltages are errors of the gradient that go as 1/β, whatever lies between."""
    amplified = ep.Resistive.init(
        jax.random.key(0), (2, 4, 2), device=PAIR, unit=1e-5, input_gain=4.0, amplification=2.0
    )
    data = circuits.gradient_noise(amplified, COST, XS, YS, [1e-3, 2e-3], draws=32)
    assert data.noise[0] / data.noise[1] == pytest.approx(2, rel=0.3)
    with pytest.raises(
        ValueError, match="`betas` must be finite and above 0, one or more, but are"
    ):
        circuits.gradient_noise(network(), COST, XS, YS, [0.0])
