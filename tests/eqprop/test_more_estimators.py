"""Estimators beside EP: coupled, holomorphic, thermal, unrolled, and traces in time."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import examples, network

import circuits
import eqprop as ep
from eqprop.accuracy.verification import coupled_reference

COST = ep.SquaredError()


@pytest.mark.parametrize("net", [network(), network(None)], ids=["pair", "linear"])
def test_coupled_learning_descends_a_cost_of_its_own(net):
    """Weighted by the Schur complement; its gradient is only roughly that of the squared error."""
    xs, ys = examples()
    weighted = coupled_reference(net, COST, xs, ys)
    squared = ep.Implicit()(net, COST, xs, ys).grad
    grad = ep.CoupledLearning.centred(1e-3)(net, COST, xs, ys).grad
    assert ep.relative_error(grad, weighted) < 1e-6
    assert 0.9 < ep.cosine(weighted, squared) < 0.98  # 0.96 and 0.97
    assert ep.relative_error(grad, squared) > 0.2


def test_a_clamped_output_must_be_off_its_bounds():
    net = ep.models.Hopfield.init(jax.random.key(5), (3, 4, 2))
    for biases, held in ((0.5, False), (3.0, True)):
        biased = eqx.tree_at(lambda n: n.biases, net, tuple(0.1 * w + biases for w in net.biases))
        with (
            pytest.raises(ValueError, match="no output may be held by a bound")
            if held
            else contextlib.nullcontext()
        ):
            coupled_reference(biased, COST, np.zeros((1, 3)), np.zeros((1, 2)))


def test_contrastive_learning_clamps_at_the_target():
    net, (xs, ys) = network(), examples()
    estimate = ep.CoupledLearning.contrastive()(net, COST, xs, ys)
    np.testing.assert_allclose(estimate.nudged.state[-1][0], ys, atol=1e-12)

    def mean_energy(g, states):
        return jnp.mean(
            jax.vmap(lambda v, x: ep.conductances(g, net.rails(x), v))(states, jnp.asarray(xs))
        )

    plain = [
        jax.grad(mean_energy)(net.conductances[0], states)
        for states in (estimate.nudged.state[0][0], estimate.free.state[0])
    ]
    np.testing.assert_allclose(estimate.grad.conductances[0], plain[0] - plain[1], atol=1e-12)


def test_coupled_learning_needs_targets():
    class Other(ep.Cost):
        def __call__(self, outputs, y):
            return jnp.sum(outputs * y)

        def decide(self, outputs):
            return outputs

    with pytest.raises(
        ValueError,
        match="`cost` must be a SquaredError, whose targets the outputs are clamped to, "
        "but is Other",
    ):
        ep.CoupledLearning.centred(0.1)(network(), Other(), *examples())


def test_a_random_sign_is_one_of_two():
    net, (xs, ys) = network(), examples()
    plus, minus = (ep.EqProp.one_sided(b)(net, COST, xs, ys).grad for b in (0.1, -0.1))
    grads = [
        ep.EqProp.random_sign(0.1)(net, COST, xs, ys, jax.random.key(k)).grad for k in range(8)
    ]
    signs = {
        tuple(ep.relative_error(grad, side) < 1e-12 for side in (plus, minus)) for grad in grads
    }
    assert signs == {(True, False), (False, True)}
    with pytest.raises(ValueError, match="`key` must be given for a random sign"):
        ep.EqProp.random_sign(0.1)(net, COST, xs, ys)
    with pytest.raises(ep.NudgeError):
        ep.EqProp.random_sign(5.0)(net, COST, xs, ys, jax.random.key(0))


def test_a_holomorphic_estimate_is_exact_far_from_zero():
    """A radius at which centred nudges are off by 3 % gives seven digits with 10 points."""
    net, (xs, ys) = network(None), examples()
    exact = ep.Implicit()(net, COST, xs, ys).grad
    assert ep.relative_error(ep.Holomorphic.points(0.1, 10)(net, COST, xs, ys).grad, exact) < 1e-7
    assert ep.relative_error(ep.EqProp.centred(0.1)(net, COST, xs, ys).grad, exact) > 1e-2


def well(strength):
    """A function of two nodes, each on its own: `strength(p s)`."""
    return ep.energy(
        lambda p, s, x: jnp.sum(strength(p * s) + s**2) - s @ x[:2],
        jnp.ones(()),
        state=jnp.zeros(2),
        outputs=lambda s: s,
    )


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (network(), "must be analytic in its state for a holomorphic estimate, but uses .*lt"),
        (network(circuits.IdealPair(0.1)), "must have no bounds for a holomorphic estimate"),
        (well(lambda s: jax.nn.relu(s) ** 2), "must be analytic"),
        (well(lambda s: jnp.abs(s) ** 2), "must (be analytic|accept a complex state)"),
    ],
    ids=["diodes", "bounds", "relu", "absolute"],
)
def test_what_is_not_analytic_is_refused(net, message):
    with pytest.raises(ValueError, match=message):
        ep.Holomorphic.points(0.1, 4)(net, COST, *examples())


@pytest.mark.parametrize("n", [0, 3, -2])
def test_points_are_even(n):
    for estimator in (ep.EqProp, ep.Holomorphic):
        with pytest.raises(
            ValueError, match=f"`n` must be an even number of points, 2 or more, but is {n}"
        ):
            estimator.points(0.1, n)


def test_fluctuations_know_the_gradient():
    """E = k s²/2 − x s, C = (s − y)²/2: d⟨C⟩/dk = −(m − y) m/k − T/(2k²), m = x/k, by hand."""

    def well(params, state, x):
        return params["k"] * jnp.sum(state**2) / 2 - state @ x

    k, x, y, temperature = 2.0, 1.0, -0.5, 0.3
    net = ep.energy(well, {"k": jnp.asarray(k)}, state=jnp.zeros(1), outputs=lambda s: s)
    xs, ys = np.full((200, 1), x), np.full((200, 1), y)
    method = ep.Langevin(temperature, steps=4000, burn_in=100, step=0.1)
    estimate = ep.Thermal(method)(net, COST, xs, ys, jax.random.key(0))
    expected = -(x / k - y) * x / k**2 - temperature / (2 * k**2)
    np.testing.assert_allclose(estimate.grad.params["k"], expected, rtol=0.05)
    np.testing.assert_allclose(estimate.loss, ((x / k - y) ** 2 + temperature / k) / 2, rtol=0.02)
    np.testing.assert_allclose(np.mean(estimate.free.variance), temperature / k, rtol=0.03)
    other = ep.Thermal(method)(net, COST, xs, ys, jax.random.key(1)).grad.params["k"]
    assert estimate.grad.params["k"] != other
    with pytest.raises(ValueError, match="`key` must be given for a Langevin phase"):
        ep.Thermal(method)(net, COST, xs, ys)


def test_unrolling_long_enough_is_exact():
    net, (xs, ys) = network(None), examples()
    exact = ep.Implicit()(net, COST, xs, ys).grad
    errors = [
        ep.relative_error(ep.Unrolled(n, step=0.3)(net, COST, xs, ys).grad, exact)
        for n in (10, 50, 300)
    ]
    assert errors[0] > 0.1
    assert errors[1] > 10 * errors[2]
    assert errors[2] < 1e-8


def test_unrolling_is_the_derivative_of_the_steps():
    net, (xs, ys) = network(circuits.IdealPair(0.1)), examples()
    estimator = ep.Unrolled(5, step=0.1)
    estimate = estimator(net, COST, xs, ys)

    def loss(step):
        moved = ep.Resistive(
            (net.conductances[0].at[1, 2].add(step), net.conductances[1]),
            net.biases,
            net.device,
            net.unit,
            net.input_gain,
        )
        return float(estimator(moved, COST, xs, ys).loss)

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    np.testing.assert_allclose(estimate.grad.conductances[0][1, 2], slope, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 0}, "`steps` must be at least 1"), ({"step": 0.0}, "`step` must be finite")],
)
def test_unrolling_takes_steps(change, message):
    with pytest.raises(ValueError, match=message):
        ep.Unrolled(**({"steps": 3, "step": 0.1} | change))


def test_nudged_updates_lie_on_back_propagation_through_time():
    """At every step and for every parameter, to O(β); summed up, exact (Ernoult 2019)."""
    net, (xs, ys) = network(None), examples(1)
    x, y = jnp.asarray(xs[0]), jnp.asarray(ys[0])
    free = ep.relax(net, x, method=ep.BlockNewton(tolerance=1e-14)).state
    gaps = []
    for beta in (1e-3, 1e-5):
        traces = ep.traces(net, COST, x, y, beta=beta, steps=300, step=0.3, free=free)
        flat = zip(
            *(jax.tree.leaves(side) for side in (traces.nudged, traces.backpropagation)),
            strict=True,
        )
        gaps.append(max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in flat))
    assert gaps[1] < 1e-4
    assert 50 < gaps[0] / gaps[1] < 200
    exact = ep.Implicit()(net, COST, xs, ys).grad
    whole = jax.tree.map(lambda g: jnp.sum(g, 0), traces.backpropagation)
    assert ep.relative_error(whole, exact) < 1e-8
    first = jax.tree.map(lambda g: g[0], traces.backpropagation)
    assert ep.relative_error(first, exact) > 0.1  # the control: a step is not the whole


def test_back_propagation_through_time_is_that_of_the_unrolled_steps():
    net, (xs, ys) = network(), examples(1)
    x, y = jnp.asarray(xs[0]), jnp.asarray(ys[0])
    free = ep.relax(net, x, method=ep.BlockNewton(tolerance=1e-14)).state
    traces = ep.traces(net, COST, x, y, beta=1e-5, steps=7, step=0.001, free=free)
    started = ep.energy(
        lambda net, state, x: net(state, x), net, state=free, outputs=lambda s: s[-1]
    )
    unrolled = ep.Unrolled(7, step=0.001)(started, COST, xs, ys).grad.params
    whole = jax.tree.map(lambda g: jnp.sum(g, 0), traces.backpropagation)
    assert ep.relative_error(whole, unrolled) < 1e-9


def test_steps_that_grow_are_no_traces():
    net, (xs, ys) = network(), examples(1)
    free = ep.relax(net, xs[0]).state
    with pytest.raises(Exception, match="`step` must be smaller"):
        ep.traces(
            net,
            COST,
            jnp.asarray(xs[0]),
            jnp.asarray(ys[0]),
            beta=1e-3,
            steps=300,
            step=10.0,
            free=free,
        )
