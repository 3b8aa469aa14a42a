"""Figures of any energy: they show the numbers that they say they show."""

import jax.numpy as jnp
import numpy as np
import pytest

import eqprop as ep
import eqprop.plotting


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
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["free phase", "the given state"]
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
