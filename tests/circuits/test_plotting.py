"""Figures of any energy: they show the numbers that they say they show."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

import circuits
import eqprop as ep
import eqprop.plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def bowl():
    """E = ½ (s₀ − 1)² + 2 (s₁ + 1)² + ½ s₂², written by a user."""
    return ep.energy(
        lambda p, s, x: (s[0] - p) ** 2 / 2 + 2 * (s[1] + 1) ** 2 + s[2] ** 2 / 2,
        jnp.array(1.0),
        state=jnp.zeros(3),
        outputs=lambda s: s,
    )


def test_a_landscape_is_lowest_at_the_settled_state_and_paths_lie_on_it():
    net, x = bowl(), jnp.zeros(1)
    state = ep.relax(net, x).state
    path = ep.trajectory(net, x, jnp.linspace(0.0, 10.0, 50))
    ax = eqprop.plotting.landscape(net, x, state, span=1.5, paths={"free phase": path})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "free phase",
        "the given state",
    ]
    line, end, cross = ax.get_lines()
    np.testing.assert_allclose(line.get_xydata(), np.asarray(path.states)[:, :2], atol=1e-12)
    np.testing.assert_allclose(cross.get_xydata(), [[1.0, -1.0]], atol=1e-9)
    np.testing.assert_allclose(end.get_xydata(), [[1.0, -1.0]], atol=1e-3)
    levels = ax.collections[0].levels
    np.testing.assert_allclose([levels[0], levels[-1]], [0.0, 1.5**2 / 2 + 2 * 1.5**2], atol=1e-9)
    with pytest.raises(ValueError, match=r"`nodes` must be two of the 3 nodes, but are \(0, 3\)"):
        eqprop.plotting.landscape(net, x, state, nodes=(0, 3))


def test_a_phase_in_time_is_its_states_and_when_it_settled():
    net, x = bowl(), jnp.zeros(1)
    path = ep.trajectory(net, x, jnp.linspace(0.0, 20.0, 200))
    ax = eqprop.plotting.phase(path)
    *nodes, settled = ax.get_lines()
    for index, line in enumerate(nodes):
        np.testing.assert_allclose(line.get_ydata(), np.asarray(path.states)[:, index])
    assert settled.get_xdata()[0] == float(path.settled_at)
    assert ax.get_xlabel() == "time (s)"


def one_node():
    """E = ½ (s − 1)²."""
    return ep.energy(
        lambda p, s, x: jnp.sum((s - p) ** 2) / 2,
        jnp.array(1.0),
        state=jnp.zeros(1),
        outputs=lambda s: s,
    )


def test_phases_in_a_well_lie_on_their_energies():
    net, x = one_node(), jnp.zeros(1)
    nudged = ep.Nudged(net, ep.SquaredError(), jnp.array([3.0]), 0.5)
    times = jnp.linspace(0.0, 20.0, 9)
    phases = {
        name: (energy, ep.trajectory(energy, x, times))
        for name, energy in (("free", net), ("nudged", nudged))
    }
    ax = eqprop.plotting.well(phases, x)
    for curve, dots, end, (name, energy) in zip(
        *(ax.get_lines()[k::3] for k in range(3)), phases.items(), strict=True
    ):
        s = np.asarray(curve.get_xdata())
        push = 0.5 * (s - 3.0) ** 2 / 2 if name == "nudged" else 0.0
        np.testing.assert_allclose(curve.get_ydata(), (s - 1.0) ** 2 / 2 + push, atol=1e-12)
        np.testing.assert_allclose(dots.get_ydata(), energy[1].energies)
        lowest = 5 / 3 if name == "nudged" else 1.0  # of (s − 1)² + β (s − 3)²
        assert end.get_xdata()[0] == pytest.approx(lowest, abs=1e-4)
    wide = ep.trajectory(bowl(), x, times)
    with pytest.raises(ValueError, match=r"`phases` must be of one node, but are of \[3\]"):
        eqprop.plotting.well({"wide": (bowl(), wide)}, x)


def test_orders_and_traces_are_the_numbers_that_they_are_given():
    ax = eqprop.plotting.orders({"centred": (2.0, {0.1: 1e-3, 0.01: 1e-5})})
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), [[0.1, 1e-3], [0.01, 1e-5]])
    assert ax.get_legend().get_texts()[0].get_text() == "centred: order 2.00"
    traced = ep.estimators.Traces(
        {"w": jnp.array([[1.0], [2.0]])},
        {"w": jnp.array([[3.0], [4.0]])},
        jnp.zeros(1),
        jnp.zeros(()),
    )
    broad, thin = eqprop.plotting.traces(traced, {"w": lambda grad: grad["w"][:, 0]}).get_lines()
    np.testing.assert_array_equal(broad.get_ydata(), [3.0, 4.0])
    np.testing.assert_array_equal(thin.get_ydata(), [1.0, 2.0])


def test_a_map_of_decisions_is_what_the_network_decides_and_rings_what_is_wrong():
    """The state copies the input, so that the larger decides; the last label is the other class."""
    net = ep.energy(
        lambda p, s, x: jnp.sum((s - x) ** 2) / 2 + 0.0 * p,
        jnp.array(1.0),
        state=jnp.zeros(2),
        outputs=lambda s: s,
    )
    split = ep.data.Split(np.array([[1.0, 0.0], [0.0, 1.0], [0.2, 0.9]]), np.array([0, 1, 0]))
    ax = eqprop.plotting.decisions(net, ep.SquaredError(), split, points=4)
    plane = np.asarray(ax.collections[0].get_array()).reshape(4, 4)
    assert plane[0, 3] == 0  # large input 0, small input 1
    assert plane[3, 0] == 1
    wrong = ax.get_lines()[-1]
    np.testing.assert_array_equal(wrong.get_xydata(), [[0.2, 0.9]])
    assert wrong.get_label() == "decided wrongly: 1 of 3"


def test_chips_and_their_noise_are_the_numbers_that_they_are_given():
    ax = circuits.plotting.accuracies({"a": np.array([0.9, 0.8]), "b": np.array([0.5, 0.7])}, 0.95)
    chips, mean = ax.get_lines()[2:4]
    np.testing.assert_allclose(chips.get_xdata(), [50.0, 70.0])
    np.testing.assert_allclose([mean.get_xdata()[0], mean.get_ydata()[0]], [60.0, 1.0])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    columns = {"signal": [2.0, 2.0], "noise": [3.0, 0.3], "bias": [4.0, 0.4]}
    data = xr.Dataset(
        {name: ("beta", values) for name, values in columns.items()},
        {"beta": [0.1, 1.0]},
        {"best_beta": 1.0},
    )
    _, both, noise, bias, best = circuits.plotting.gradient_noise(data).get_lines()
    np.testing.assert_allclose(both.get_ydata(), [5.0, 0.5])
    np.testing.assert_allclose([*noise.get_ydata(), *bias.get_ydata()], [3.0, 0.3, 4.0, 0.4])
    assert best.get_xdata()[0] == 1.0
