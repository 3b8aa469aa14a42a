"""Energies that are awkward to settle, by the default method: they settle, or one hears why not."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiers import IN_FULL

import eqprop as ep
from benchmarks.awkward import CORPUS, Awkward

CELLS = [
    (name, dtype)
    for k, name in enumerate(CORPUS)
    for dtype in (jnp.float64, jnp.float32)
    if IN_FULL or (name != "a chain of 5000" and (dtype is jnp.float64 or k % 3 == 0))
]
"""All but the largest in double precision, and a third in single; with EQPROP_TEST_FULL=1, and in
`python -m benchmarks.settling`, each in both."""


def test_there_are_enough():
    assert sum(one.words is None for one in CORPUS.values()) >= 40
    assert sum(one.words is not None for one in CORPUS.values()) >= 10


@pytest.mark.parametrize(("name", "dtype"), CELLS)
def test_it_settles_or_it_is_said_why_not(name, dtype):
    """At most ten times as far from its minimum as the certificate says."""
    assert CORPUS[name].settle(dtype).problem == ""


def test_a_wrong_outcome_is_a_problem():
    """The control: of a minimum elsewhere, of words that are not true, of none where there is."""
    parabola = CORPUS["a parabola of a scalar"].value
    assert "from its minimum" in Awkward(parabola, 0.0, at=2.1).settle(jnp.float64).problem
    assert "one expects to hear" in Awkward(parabola, 0.0, words="flat").settle(jnp.float64).problem
    falling = Awkward(lambda w, s: jnp.sum(s), np.zeros(1))
    assert "falls far beyond" in falling.settle(jnp.float64).problem
    falling = Awkward(lambda w, s: jnp.sum(s), np.zeros(1), words="not smooth")
    assert "says nothing of 'not smooth'" in falling.settle(jnp.float64).problem


def test_a_node_on_which_nothing_depends_is_no_obstacle():
    """But one whose derivative was stopped is."""

    def energy(params, state, x):
        return (state[0] - 1) ** 2

    net = ep.energy(energy, {}, state=jnp.zeros(2), outputs=lambda state: state[:1])
    assert ep.relax(net, jnp.zeros(())).state.tolist() == [1.0, 0.0]


def test_a_step_that_goes_too_far_is_shortened_and_not_damped():
    """A soft chain takes half of the 29 steps that it does by damping alone."""
    chain = Awkward(CORPUS["a chain of 5000"].value, np.zeros(600))
    free = ep.relax(chain.energy(jnp.float64), jnp.zeros(()), method=ep.Newton())
    assert int(free.steps) <= 20


@pytest.mark.parametrize("middle", [0.0, 1e3])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_it_leaves_a_saddle_on_the_side_to_which_it_falls(middle, side):
    """Two double wells whose nodes attract each other: started apart, they settle at ±√0.6."""

    def energy(params, state, x):
        s = state - middle
        return jnp.sum(s**4 / 4 - s**2 / 2) + 0.1 * (s[0] - s[1]) ** 2

    start = middle + side * jnp.asarray([1e-7, -1e-7])
    net = ep.energy(energy, {}, state=start, outputs=lambda state: state)
    end = ep.relax(net, jnp.zeros(())).state - middle
    np.testing.assert_allclose(end, side * np.sqrt(0.6) * np.array([1.0, -1.0]), rtol=1e-8)
