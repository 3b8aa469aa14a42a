"""Settling: every method ends in the same certified minimum, and says so when it does not."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import DEVICES, coupled, examples, network

import eqprop as ep
from eqprop.settling.blocks import leaves_are_blocks

METHODS = {
    "blocks": ep.BlockNewton(tolerance=1e-12),
    "newton": ep.Newton(tolerance=1e-12),
    "flow": ep.GradientFlow(tolerance=1e-10),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_the_fixed_point_is_one_and_exact(device, method):
    net, (xs, _) = network(DEVICES[device]), examples(1)
    reference = ep.relax(net, xs[0], method=ep.Newton(tolerance=0.0, max_steps=300), throw=False)
    settled = ep.relax(net, xs[0], method=METHODS[method])
    gap = max(
        float(jnp.max(jnp.abs(a - b))) for a, b in zip(settled.state, reference.state, strict=True)
    )
    assert gap < 1e-9
    assert float(settled.error) < 1e-9
    box = net.bounds(xs[0])
    if box is not None:
        for layer, low, high in zip(settled.state, *box, strict=True):
            assert bool(jnp.all((layer >= low) & (layer <= high)))


def test_linear_network_against_its_normal_equations():
    net, (xs, _) = network(None), examples(1)
    settled = ep.relax(net, xs[0])
    g1, g2 = net.conductances
    rails = np.concatenate([4 * xs[0], -4 * xs[0]])
    top = np.hstack([np.diag(g1.sum(0) + g2.sum(1)), -g2])
    matrix = np.vstack([top, np.hstack([-g2.T, np.diag(g2.sum(0))])])
    expected = np.linalg.solve(matrix, np.concatenate([rails @ g1 + net.biases[0], net.biases[1]]))
    np.testing.assert_allclose(np.concatenate(settled.state), expected, atol=1e-9)


def test_the_error_is_the_distance_to_go():
    """The certificate sees a state that is off: the negative control of every test that trusts
    it.
    """
    net, (xs, _) = network(), examples(1)
    state = ep.relax(net, xs[0]).state
    for off in (1e-3, 1e-6):
        moved = (state[0].at[2].add(off), state[1])
        equilibrium = ep.settle(net, jnp.asarray(xs[0]), ep.BlockNewton(sweeps=0), moved)
        assert 0.3 * off < float(equilibrium.error) < 3 * off
        assert not bool(equilibrium.settled)


def test_energy_falls_with_every_sweep():
    net, (xs, _) = network(), examples(1)
    x, state = jnp.asarray(xs[0]), net.init_state(jnp.asarray(xs[0]))
    energies = [float(net(state, x))]
    for _ in range(6):
        state = ep.settle(net, x, ep.FixedSweeps(n=1), state).state
        energies.append(float(net(state, x)))
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(energies))


def test_blocks_are_found_and_refused():
    net, (xs, _) = coupled(), examples(1)
    x = jnp.asarray(xs[0])
    assert not leaves_are_blocks(net, x, net.init_state(x))
    assert ep.colour(net, x) == (0, 1, 2, 3, 4, 5)  # all six interact
    with pytest.raises(ValueError, match=r"nodes inside one leaf interact"):
        ep.relax(net, x, method=ep.BlockNewton())
    assert float(ep.relax(net, x).error) < 1e-9


def test_the_default_settles_nodes_that_interact_where_the_flow_does():
    """A frustrated chain of double wells, of many minima: the energy is not convex, and the leaf is
    no block.
    """

    def chain(params, state, x):
        return (
            jnp.sum(state**4 / 4 - state**2)
            + jnp.sum(params * state[1:] * state[:-1])
            - jnp.sum(x) * state[0]
        )

    random = np.random.default_rng(0)
    net = ep.energy(
        chain,
        jnp.asarray(random.normal(size=19)),
        state=jnp.asarray(random.normal(size=20)),
        outputs=lambda s: s[-2:],
    )
    x = jnp.ones(3)
    assert set(ep.colour(net, x)) == {0, 1}
    settled, flowed = ep.relax(net, x), ep.relax(net, x, method=ep.GradientFlow(tolerance=1e-9))
    assert ep.stability(net, x, settled.state) == "minimum"
    assert float(net(settled.state, x)) < float(net(net.init_state(x), x))
    np.testing.assert_allclose(settled.state, flowed.state, atol=1e-7)


def test_all_pairs_interact_where_no_random_state_has_a_hessian():
    """An energy that is finite only above 99, where no random number falls: every node is then a
    block of its own, and it settles.
    """

    def fenced(params, state, x):
        root = jnp.sqrt(state - 99.0)
        return (
            jnp.sum((state - 100.0) ** 2) / 2
            - params * jnp.sum(root[1:] * root[:-1])
            - x[0] * state[0]
        )

    net = ep.energy(fenced, jnp.asarray(0.1), state=jnp.full(3, 100.0), outputs=lambda s: s)
    x = jnp.zeros(1)
    assert ep.colour(net, x) == (0, 1, 2)
    settled = ep.relax(net, x).state
    assert float(jnp.abs(jax.grad(net)(settled, x)).max()) < 1e-9


def test_a_pytree_of_states_and_a_scalar_leaf():
    def ring(params, state, x):
        a, b = state["a"], state["pair"][0]
        return jnp.sum(jnp.cosh(a)) + b**2 - b * jnp.sum(params * a) / 4 - a @ x

    net = ep.energy(
        ring,
        jnp.ones(3),
        state={"a": jnp.zeros(3), "pair": (jnp.zeros(()),)},
        outputs=lambda s: s["a"],
    )
    blocks, newton = (
        ep.relax(net, examples(1)[0][0], method=m).state
        for m in (ep.BlockNewton(tolerance=1e-13), ep.Newton())
    )
    assert jax.tree.all(
        jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, atol=1e-9)), blocks, newton)
    )


def test_what_does_not_settle_is_said():
    net, (xs, _) = network(), examples(1)
    with pytest.raises(
        ep.NotSettledError,
        match=r"the phase did not settle: after 1 steps it is still .* from its minimum",
    ):
        ep.relax(net, xs[0], method=ep.BlockNewton(sweeps=1))
    assert not bool(ep.relax(net, xs[0], method=ep.BlockNewton(sweeps=1), throw=False).settled)
    nan = ep.energy(
        lambda p, s, x: jnp.sum(jnp.log(p * s)),
        jnp.asarray(1.0),
        state=-jnp.ones(2),
        outputs=lambda s: s,
    )
    with pytest.raises(ep.NotSettledError):
        ep.relax(nan, xs[0])


def test_an_energy_must_be_a_scalar():
    vector = ep.energy(
        lambda p, s, x: p * s, jnp.asarray(1.0), state=jnp.zeros(2), outputs=lambda s: s
    )
    with pytest.raises(
        ValueError,
        match=r"`energy` must return a real scalar, but returned float64 of shape \(2,\)",
    ):
        ep.relax(vector, examples(1)[0][0])


def test_outputs_must_have_an_axis():
    single = ep.energy(
        lambda p, s, x: p * s @ s, jnp.asarray(1.0), state=jnp.zeros(2), outputs=lambda s: s[0]
    )
    with pytest.raises(
        ValueError,
        match=r"`outputs` must return an array of one axis, but returned float64 of shape \(\)",
    ):
        ep.relax(single, examples(1)[0][0])


def test_an_error_inside_an_energy_says_what_it_was_given():
    with pytest.raises(TypeError) as raised:
        ep.relax(coupled(), np.zeros(4))
    assert "for one `x` of shape (4,) and a state of (6,)" in raised.value.__notes__[0]


def test_an_equilibrium_says_its_numbers_and_while_traced_its_shapes():
    net, (xs, _) = network(sizes=(3, 2)), examples(2)
    one, texts = ep.relax(net, xs[0]), []
    assert repr(one).startswith("Equilibrium: settled, steps ")
    assert f"{float(one.state[-1][0]):.4f}".rstrip("0") in repr(one)

    def settled(x):
        equilibrium = ep.settle(net, x)
        texts.append(repr(equilibrium))
        return equilibrium

    assert repr(jax.vmap(settled)(jnp.asarray(xs))).startswith("Equilibrium: 2 of 2 settled")
    assert "f64[2]" in texts[0]
    assert repr(
        ep.relax(network(), xs[0], method=ep.BlockNewton(sweeps=1), throw=False)
    ).startswith("Equilibrium: not settled")


def test_what_is_traced_is_settled_and_not_relaxed():
    net, (xs, _) = network(), examples(2)
    with pytest.raises(TypeError, match=r"outside of `jit` and `vmap` alone; inside, use `settle`"):
        jax.vmap(lambda x: ep.relax(net, x).state)(jnp.asarray(xs))


def test_inputs_must_fit():
    with pytest.raises(ValueError, match=r"`x` must have shape \(3,\), but has \(4,\)"):
        ep.relax(network(), np.zeros(4))


def test_a_batch_is_its_examples():
    net, (xs, _) = network(), examples(4)
    batch = eqx.filter_jit(lambda net, xs: jax.vmap(lambda x: ep.settle(net, x))(xs))(
        net, jnp.asarray(xs)
    )
    for i, x in enumerate(xs):
        one = ep.relax(net, x)
        for a, b in zip(one.state, batch.state, strict=True):
            np.testing.assert_allclose(a, b[i], atol=1e-9)


def test_float32_settles_too():
    net, (xs, _) = network(), examples(1)
    single = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, net
    )
    settled = ep.relax(single, xs[0].astype(np.float32))
    assert all(layer.dtype == jnp.float32 for layer in settled.state)
    np.testing.assert_allclose(settled.state[0], ep.relax(net, xs[0]).state[0], atol=1e-4)


def graph(state, edges):
    """A spring along each edge, whose list is structure and not a number that learns."""
    i, j = edges[:, 0], edges[:, 1]
    return jnp.sum((state[i] - state[j]) ** 2) / 2 + jnp.sum(state**2) / 20 - state[0]


def test_an_edge_list_is_structure():
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    net = ep.energy(
        lambda p, s, x: graph(p["scale"] * s, p["edges"]),
        {"scale": jnp.ones(()), "edges": jnp.asarray(edges)},
        state=jnp.zeros(4),
        outputs=lambda s: s,
    )
    x = jnp.zeros(1)
    assert not leaves_are_blocks(net, x, net.init_state(x))
    assert float(ep.relax(net, x).error) < 1e-9


def test_nodes_that_interact_below_zero_only_are_no_block():
    net = ep.energy(
        lambda p, s, x: jnp.sum((s - p) ** 2) + jnp.prod(jax.nn.relu(-s) ** 2),
        jnp.ones(()),
        state=jnp.zeros(2),
        outputs=lambda s: s,
    )
    assert not leaves_are_blocks(net, jnp.zeros(1), jnp.zeros(2))


def test_a_logarithm_may_be_a_block():
    net = ep.energy(
        lambda p, s, x: jnp.sum(p * s - jnp.log(s)),
        jnp.ones(()),
        state=jnp.ones(3),
        outputs=lambda s: s,
    )
    assert leaves_are_blocks(net, jnp.zeros(1), jnp.ones(3))
    np.testing.assert_allclose(ep.relax(net, jnp.zeros(1)).state, 1.0, atol=1e-9)


def test_a_grid_has_two_colours():
    """A 5 × 6 grid of neighbours: two blocks, which settle it as Newton's method does; nodes of one
    block never touch.
    """

    def grid(k, state, x):
        down, across = state[1:] - state[:-1], state[:, 1:] - state[:, :-1]
        return (
            k * (jnp.sum(down**2) + jnp.sum(across**2)) / 2
            + jnp.sum(state**4) / 4
            + jnp.sum(state**2) / 8
            - x[0] * state[0, 0]
        )

    net, x = (
        ep.energy(grid, jnp.asarray(1.0), state=jnp.zeros((5, 6)), outputs=lambda s: s[-1]),
        jnp.ones(1),
    )
    blocks = ep.colour(net, x)
    board = np.array(blocks).reshape(5, 6)
    assert set(blocks) == {0, 1}
    assert not np.any(board[1:] == board[:-1])
    assert not np.any(board[:, 1:] == board[:, :-1])
    equilibrium = ep.relax(net, x, method=ep.BlockNewton(blocks=blocks, sweeps=3000))
    np.testing.assert_allclose(
        equilibrium.state, ep.relax(net, x, method=ep.Newton()).state, atol=1e-8
    )
    wrong = (0,) * 30
    for blocks in (wrong, wrong[:-1]):
        with pytest.raises(ValueError, match="`blocks` must be a number for every node"):
            ep.relax(net, x, method=ep.BlockNewton(blocks=blocks))


def test_what_a_stationary_point_is():
    surface = ep.energy(
        lambda p, s, x: p[0] * s[0] ** 2 + p[1] * s[1] ** 2,
        jnp.ones(2),
        state=jnp.zeros(2),
        outputs=lambda s: s,
    )
    kinds = {(1, 1): "minimum", (1, -1): "saddle", (-1, -1): "maximum", (1, 0): "flat"}
    for signs, kind in kinds.items():
        net = eqx.tree_at(lambda n: n.params, surface, jnp.asarray(signs, float))
        assert ep.stability(net, jnp.zeros(1), jnp.zeros(2)) == kind


def test_newtons_line_search_ends_in_a_batch():
    """Examples that have settled wait for the others under `vmap`, without holding them up."""
    wells = ep.energy(
        lambda p, s, x: jnp.sum(s**4 / 4 - p * s**2 / 2) + 0.3 * s[0] * s[1] - s @ x,
        jnp.asarray(1.0),
        state=jnp.array([0.1, -0.2]), outputs=lambda s: s,
    )  # fmt: skip
    xs = jnp.asarray(np.random.default_rng(0).normal(size=(200, 2)))
    equilibria = eqx.filter_jit(
        lambda net, xs: jax.vmap(lambda x: ep.settle(net, x, ep.Newton()))(xs)
    )(wells, xs)
    assert bool(equilibria.settled.all())


def test_a_start_must_be_a_state():
    net, x = network(), examples(1)[0][0]
    with pytest.raises(ValueError, match=r"`start` must be a state like `init_state\(x\)`"):
        ep.relax(net, x, start=(jnp.zeros(3), jnp.zeros(2)))
    whole = ep.energy(
        lambda p, s, x: jnp.sum(p * s**2),
        jnp.asarray(1.0),
        state=jnp.zeros(2, int),
        outputs=lambda s: s,
    )
    with pytest.raises(ValueError, match="the state must hold real floating-point arrays"):
        ep.relax(whole, x)
