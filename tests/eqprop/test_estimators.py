"""EP against the exact gradient, and that against finite differences of the settled cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import DEVICES, PAIR, examples, network

import circuits
import eqprop as ep
from eqprop.data import Split
from eqprop.estimators import bounds
from eqprop.estimators.base import directional_gradient
from eqprop.training import paths

COST = ep.SquaredError()
TIGHT = ep.BlockNewton(tolerance=1e-14)


def settled_cost(net, xs, ys):
    return ep.evaluate(net, COST, Split(xs, ys), method=TIGHT).loss


@pytest.mark.parametrize("device", DEVICES)
def test_implicit_is_the_slope_of_the_settled_cost(device):
    net, (xs, ys) = network(DEVICES[device]), examples()
    net = eqx.tree_at(lambda n: n.conductances, net, tuple(g + 0.05 for g in net.conductances))
    grad = ep.Implicit(TIGHT)(net, COST, xs, ys).grad
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(grad)])
    assert np.all(np.isfinite(flat))
    for layer, at in ((0, (1, 2)), (0, (4, 6)), (1, (3, 1))):

        def moved(step, layer=layer, at=at):
            return eqx.tree_at(
                lambda n: n.conductances[layer], net, net.conductances[layer].at[at].add(step)
            )

        slope = (settled_cost(moved(1e-6), xs, ys) - settled_cost(moved(-1e-6), xs, ys)) / 2e-6
        np.testing.assert_allclose(grad.conductances[layer][at], slope, rtol=1e-5, atol=1e-9)
    bias = eqx.tree_at(lambda n: n.biases[0], net, net.biases[0].at[2].add(1e-6))
    other = eqx.tree_at(lambda n: n.biases[0], net, net.biases[0].at[2].add(-1e-6))
    slope = (settled_cost(bias, xs, ys) - settled_cost(other, xs, ys)) / 2e-6
    np.testing.assert_allclose(grad.biases[0][2], slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_centred_ep_finds_the_exact_gradient(device):
    net, (xs, ys) = network(DEVICES[device]), examples()
    exact = ep.Implicit(TIGHT)(net, COST, xs, ys).grad
    grad = ep.EqProp.centred(1e-4, TIGHT)(net, COST, xs, ys).grad
    assert ep.relative_error(grad, exact) < 1e-6
    assert ep.cosine(grad, exact) > 1 - 1e-10


def test_an_estimate_says_its_numbers():
    net, (xs, ys) = network(), examples()
    estimate = ep.EqProp.centred(0.01)(net, COST, xs, ys)
    size = np.linalg.norm(
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(estimate.grad)])
    )
    text = repr(estimate)
    assert text.startswith(
        f"Estimate: loss {float(estimate.loss):.6g}, norm of the gradient {size:.4g}; "
        "free phases: 5 of 5 settled"
    )
    assert "nudged phases: 10 of 10 settled" in text


def test_a_wrong_sign_fails():
    """The negative control of the test above: phases swapped, and a nudge of the other sign."""
    net, (xs, ys) = network(), examples()
    exact = ep.Implicit(TIGHT)(net, COST, xs, ys).grad
    estimator = ep.EqProp.centred(1e-4, TIGHT)
    estimate = estimator(net, COST, xs, ys)
    swapped = jax.tree.map(lambda d: d[::-1], estimate.displacements)
    assert (
        ep.cosine(estimator.contrast(net, jnp.asarray(xs), estimate.free.state, swapped), exact)
        < -0.999
    )
    same = jax.tree.map(jnp.zeros_like, swapped)
    assert (
        float(
            jnp.max(
                jnp.abs(
                    jax.tree.leaves(
                        estimator.contrast(net, jnp.asarray(xs), estimate.free.state, same)
                    )[0]
                )
            )
        )
        == 0.0
    )


@pytest.mark.parametrize(("estimator", "order"), [(ep.EqProp.one_sided, 1), (ep.EqProp.centred, 2)])
def test_the_error_falls_at_the_order_of_the_formula(estimator, order):
    net, (xs, ys) = network(), examples()
    slope, errors = ep.order_of_error(estimator, net, COST, xs, ys, strongest=0.1)
    assert abs(slope - order) < 0.15
    assert len(errors) == 8
    assert 1e-11 < min(errors.values()) < max(errors.values()) < 1e-2


def test_the_gradient_of_a_conductance_is_half_its_squared_voltage():
    """∂E/∂g = ½ (u − v)², the learning rule, without any array of shape (batch, n, m)."""
    net, (xs, _) = network(), examples()
    states = jax.vmap(lambda x: ep.settle(net, x).state)(jnp.asarray(xs))
    rails = jax.vmap(net.rails)(jnp.asarray(xs))
    grad = jax.grad(
        lambda g: jnp.mean(jax.vmap(lambda u, v: ep.conductances(g, u, v))(rails, states[0]))
    )(net.conductances[0])
    expected = (
        np.mean((np.asarray(rails)[:, :, None] - np.asarray(states[0])[:, None, :]) ** 2, axis=0)
        / 2
    )
    np.testing.assert_allclose(grad, expected, rtol=1e-10)


def test_the_midpoint_is_the_plain_difference_for_conductances():
    net, (xs, _) = network(), examples()
    random = np.random.default_rng(0)
    a, b = (tuple(jnp.asarray(random.standard_normal((5, n))) for n in (8, 2)) for _ in range(2))

    def plain(state):
        return eqx.filter_grad(lambda n: jnp.mean(jax.vmap(n)(state, jnp.asarray(xs))))(net)

    expected = jax.tree.map(jnp.subtract, plain(a), plain(b))
    middle = jax.tree.map(lambda p, q: (p + q) / 2, a, b)
    contrast = directional_gradient(net, jnp.asarray(xs), middle, jax.tree.map(jnp.subtract, a, b))
    assert ep.relative_error(contrast, expected) < 1e-12


def test_the_nudge_bound_is_the_schur_complement():
    net, (xs, ys) = network(None), examples(1)
    g1, g2 = net.conductances
    hidden = np.diag(g1.sum(0) + g2.sum(1))
    schur = np.diag(g2.sum(0)) - g2.T @ np.linalg.solve(hidden, g2)
    expected = np.linalg.eigvalsh(schur)[0]
    x, y = jnp.asarray(xs[0]), jnp.asarray(ys[0])
    np.testing.assert_allclose(
        ep.nudge_bound(net, COST, x, y, net.init_state(x)), expected, rtol=1e-10
    )
    ep.EqProp.centred(0.99 * expected)(net, COST, xs, ys)
    with pytest.raises(ep.NudgeError, match=r"`beta` must be below .* Schur complement .* but is"):
        ep.EqProp.centred(1.01 * expected)(net, COST, xs, ys)
    ep.EqProp.one_sided(10 * expected)(net, COST, xs, ys)  # only the negative phase is bounded


def test_the_nudge_bound_leaves_lapack_to_scipy():
    """Two threads in XLA's own can wait for each other for ever; the control is what calls it."""
    net, (xs, ys) = network(), tuple(map(jnp.asarray, examples()))
    states = jax.vmap(net.init_state)(xs)
    assert (
        "lapack"
        not in eqx.filter_jit(bounds._curvatures).lower(net, COST, xs, ys, states).as_text()
    )
    assert "lapack" in jax.jit(jnp.linalg.eigvalsh).lower(jnp.eye(3)).as_text()


@pytest.mark.parametrize("beta", [0.0, np.nan, np.inf])
def test_a_nudge_must_be_a_number(beta):
    with pytest.raises(ValueError, match="`beta` must be finite and not 0"):
        ep.EqProp.centred(beta)


def test_a_nudge_has_all_digits_in_single_precision():
    with pytest.raises(ValueError, match=r"`beta` must be at least 1\.18e-38 in size, .* 1e-45"):
        ep.EqProp.centred(1e-45)
    with pytest.raises(ValueError, match="`beta` must be at least"):
        ep.EqProp.points(-1e-40, 2)
    assert ep.EqProp.one_sided(1e-37).stencil.nudges.dtype == np.float64  # the control


def test_a_gradient_that_is_not_finite_is_not_returned():
    """Of √w at w = 0, where the phases settle all the same."""

    def energy(params, state, x):
        return jnp.sum((state - jnp.sqrt(params["w"]) * x) ** 2) / 2

    for w, finite in ((1.0, True), (0.0, False)):
        net = ep.energy(
            energy, {"w": jnp.asarray(w)}, state=jnp.zeros(2), outputs=lambda state: state
        )
        batch = (net, COST, jnp.ones((1, 2)), jnp.zeros((1, 2)))
        if finite:
            assert jnp.isfinite(ep.EqProp.one_sided(0.1)(*batch).grad.params["w"])
        else:
            with pytest.raises(FloatingPointError, match=r"of params\['w'\] is not finite"):
                ep.EqProp.one_sided(0.1)(*batch)


def test_a_batch_must_fit():
    xs, ys = examples()
    with pytest.raises(ValueError, match=r"`xs` and `ys` must hold the same number of examples"):
        ep.Implicit()(network(), COST, xs, ys[:3])
    with pytest.raises(
        ValueError, match=r"`y` must be an integer label or have the shape of the outputs"
    ):
        ep.Implicit()(network(), COST, xs, np.zeros((5, 3)))


def test_a_phase_that_does_not_settle_is_no_gradient():
    with pytest.raises(ep.NotSettledError, match="the free phase did not settle in"):
        ep.EqProp.centred(0.1, ep.BlockNewton(sweeps=1))(network(), COST, *examples())


def test_the_batch_gradient_is_the_mean_of_its_examples():
    net, (xs, ys) = network(), examples()
    whole = ep.EqProp.centred(0.1, TIGHT)(net, COST, xs, ys).grad
    each = [
        ep.EqProp.centred(0.1, TIGHT)(net, COST, xs[i : i + 1], ys[i : i + 1]).grad
        for i in range(5)
    ]
    mean = jax.tree.map(lambda *parts: sum(parts) / 5, *each)
    assert ep.relative_error(whole, mean) < 1e-10


def test_a_device_can_learn():
    """Array fields of a device are parameters; plain numbers are not."""
    fixed = network()
    assert not any("device" in path for path in paths(eqx.filter(fixed, eqx.is_inexact_array)))
    net = eqx.tree_at(lambda n: n.device, fixed, circuits.DiodePair(jnp.full(8, 1e-9), 0.1))
    xs, ys = examples()
    exact = ep.Implicit(TIGHT)(net, COST, xs, ys).grad
    grad = ep.EqProp.centred(1e-4, TIGHT)(net, COST, xs, ys).grad
    assert grad.device.saturation.shape == (8,)
    np.testing.assert_allclose(grad.device.saturation, exact.device.saturation, rtol=1e-5)
    assert float(jnp.max(jnp.abs(exact.device.saturation))) > 0


def test_changing_beta_does_not_compile_again():
    compiled = []

    class Counted(ep.SquaredError):
        def __call__(self, outputs, y):
            compiled.append(1)
            return super().__call__(outputs, y)

    net, (xs, ys) = network(), examples()
    ep.EqProp.centred(0.1)(net, Counted(), xs, ys)
    before = len(compiled)
    assert before > 0
    ep.EqProp.centred(0.05)(net, Counted(), xs, ys)
    assert len(compiled) == before


def test_the_pair_of_the_tests_conducts():
    """These tests settle to states beyond the linear region, or they would show little."""
    net, (xs, _) = network(PAIR), examples()
    hidden = np.asarray(jax.vmap(lambda x: ep.settle(net, x).state[0])(jnp.asarray(xs)))
    assert np.mean(np.abs(net.device.current(hidden)) > 1e-6) > 0.3
