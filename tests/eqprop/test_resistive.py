"""Resistive networks, with devices, amplifiers and doubled outputs, against Kirchhoff's law."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import PAIR, examples, network
from jax.extend.core import jaxprs_in_params

import circuits
import eqprop as ep
from eqprop.data import Data, Split
from eqprop.settling.blocks import leaves_are_blocks
from eqprop.settling.flow import flow
from eqprop.training import paths

COST = ep.SquaredError()
TIGHT = ep.BlockNewton(tolerance=1e-14)
V = np.array([-0.9, -0.3, -0.11, 0.05, 0.2, 0.7])
CURVE = circuits.Curve(
    V, [-4e-5, -6e-6, -1e-6, -1e-6, 2e-6, 3e-5]
)  # flat in one part, and not 0 at 0 V
DEEP = (3, 6, 5, 2)
GAIN = 4.0


def with_changes(net, **changes):
    return dataclasses.replace(net, **changes)


def amplified(device=None, doubled=False, sizes=DEEP, seed=0):
    """A network of one or two amplifiers, with some conductance everywhere."""
    net = ep.Resistive.init(
        jax.random.key(seed),
        sizes,
        device=device,
        unit=1e-5,
        input_gain=2.0,
        amplification=GAIN,
        doubled_outputs=doubled,
        conductance_bounds=(0.05, 1.0),
    )
    random = np.random.default_rng(seed)
    return with_changes(
        net, biases=tuple(jnp.asarray(0.1 * random.standard_normal(b.shape)) for b in net.biases)
    )


def doubled(device=PAIR, sizes=(3, 8, 2), seed=0):
    net = ep.Resistive.init(
        jax.random.key(seed),
        sizes,
        device=device,
        unit=1e-5,
        input_gain=4.0,
        doubled_outputs=True,
        conductance_bounds=(0.02, 1.0),
    )
    random = np.random.default_rng(seed)
    return with_changes(
        net, biases=tuple(jnp.asarray(0.1 * random.standard_normal(b.shape)) for b in net.biases)
    )


NETS = {
    "single": network(circuits.SingleDiode(1e-9, bias=-0.2)),
    "curve": network(CURVE),
    "ideal with bias": network(circuits.IdealDiodes(0.1)),
    "amplified": amplified(PAIR),
    "doubled": doubled(),
    "amplified and doubled": amplified(circuits.SingleDiode(1e-9), doubled=True, sizes=(3, 6, 2)),
}


def kirchhoff(net, state, x, beta=0.0, target=None):
    """Return the current out of every node in A: amplifiers as sources, the nudge as currents."""
    rails = net.input_gain * np.concatenate([x, -x])
    layers = [*state[:-2], np.concatenate(state[-2:])] if net.doubled_outputs else list(state)
    layers = [np.asarray(layer, float) for layer in layers]
    before, out = rails, []
    for index, (g, b, v) in enumerate(zip(net.conductances, net.biases, layers, strict=True)):
        # Currents from the layer before to this one, (before, layer).
        through = net.unit * np.asarray(g) * (before[:, None] - v)
        if index:  # what the amplifier draws from the node at its input
            out[-1] += through.sum(1) / net.amplification
        leaving = -through.sum(0) - net.unit * np.asarray(b)
        if net.device is not None and index < len(layers) - 1:
            leaving = leaving + np.asarray(net.device.current(v))
        out.append(leaving)
        before = net.amplification * v
    if beta:
        siemens = net.unit * beta * net.amplification ** (2 * (len(layers) - 1))
        if net.doubled_outputs:
            half = len(layers[-1]) // 2
            pull = siemens * (target - (layers[-1][:half] - layers[-1][half:]))
            out[-1] = out[-1] - np.concatenate([pull, -pull])
        else:
            out[-1] = out[-1] - siemens * (target - layers[-1])
    return out


@eqx.filter_jit
def three_gradients(net, directions, estimator, xs, ys):
    """Return the exact estimate, that of EP, and slopes of the settled cost along directions."""
    steps = jnp.asarray([-1e-6, 1e-6])

    def cost(step, direction):
        moved = jax.tree.map(
            lambda p, d: p if d is None else p + step * d,
            net,
            direction,
            is_leaf=lambda leaf: leaf is None,
        )
        outputs = jax.vmap(lambda x: moved.outputs(ep.settle(moved, x, TIGHT).state))(xs)
        return jnp.mean(jax.vmap(COST)(outputs, ys))

    costs = jax.vmap(lambda direction: jax.vmap(lambda step: cost(step, direction))(steps))(
        directions
    )
    exact = ep.Implicit(TIGHT).estimate(net, COST, xs, ys)
    estimate = estimator.estimate(net, COST, xs, ys)
    return exact, estimate, (costs[:, 1] - costs[:, 0]) / 2e-6


@pytest.mark.parametrize("name", ["single", "curve", "ideal with bias", "amplified and doubled"])
def test_implicit_finite_differences_and_ep_agree(name):
    net, (xs, ys) = NETS[name], examples()
    random = np.random.default_rng(2)
    directions = jax.tree.map(
        lambda p: random.standard_normal((3, *p.shape)), eqx.filter(net, eqx.is_inexact_array)
    )
    # Of one strength as a conductance, whatever the amplifiers.
    beta = 1e-5 * net.amplification ** (-2 * (len(net.biases) - 1))
    exact, estimate, slopes = three_gradients(
        net, directions, ep.EqProp.centred(beta, TIGHT), jnp.asarray(xs), jnp.asarray(ys)
    )
    assert bool(jnp.all(exact.free.settled))
    products = jax.tree.map(
        lambda g, d: jnp.sum(g * d, axis=tuple(range(1, d.ndim))), exact.grad, directions
    )
    along = sum(jax.tree.leaves(products))
    np.testing.assert_allclose(along, slopes, rtol=1e-5, atol=1e-8)
    # The control: other directions have other slopes.
    assert not np.any(np.isclose(np.roll(along, 1), slopes, rtol=0.01))
    assert ep.relative_error(estimate.grad, exact.grad) < 1e-6


@pytest.mark.parametrize("name", NETS)
def test_the_slope_written_out_is_the_derivative_of_the_energy(name):
    net, x = NETS[name], jnp.asarray(examples(1)[0][0])
    random = np.random.default_rng(4)
    state = jax.tree.map(
        lambda v: jnp.asarray(random.uniform(-0.5, 0.5, v.shape)), net.init_state(x)
    )

    @jax.jit
    def slopes(state):
        by_leaf = tuple(net.slope(state, x, leaf) for leaf in range(len(state)))
        return jax.grad(net)(state, x), net.slope(state, x), by_leaf

    expected, *written_out = slopes(state)
    for slope in written_out:
        for part, derivative in zip(slope, expected, strict=True):
            scale = float(jnp.max(jnp.abs(derivative)))
            np.testing.assert_allclose(part, derivative, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("name", NETS)
def test_the_residual_is_kirchhoffs_current(name):
    """At any state, free or nudged, behind l amplifiers: unit · A^{2l} ∂E/∂v is the balance."""
    net, (xs, ys) = NETS[name], examples(1)
    random = np.random.default_rng(3)
    state = jax.tree.map(
        lambda v: jnp.asarray(random.uniform(-0.5, 0.5, v.shape)), net.init_state(xs[0])
    )
    slopes = jax.jit(
        lambda beta: jax.grad(ep.Nudged(net, COST, ys[0], beta))(state, jnp.asarray(xs[0]))
    )
    for beta in (0.0, 0.02, -0.01):
        slope = slopes(beta)
        layers = [*slope[:-2], jnp.concatenate(slope[-2:])] if net.doubled_outputs else slope
        expected = kirchhoff(net, state, xs[0], beta, ys[0])
        for before, (part, current) in enumerate(zip(layers, expected, strict=True)):
            scaled = net.unit * net.amplification ** (2 * before) * np.asarray(part)
            np.testing.assert_allclose(
                scaled, current, rtol=1e-11, atol=1e-11 * np.max(np.abs(current))
            )


def test_single_diodes_become_ideal_ones():
    """As N → 0 the network settles as with ideal diodes of its bias: the distance falls as N."""
    x = jnp.asarray(examples(1)[0][0])
    ideal = ep.relax(network(circuits.SingleDiode(1e-9, bias=0.1).ideal()), x).state

    def distance(emission, bias=0.1):
        state = ep.relax(network(circuits.SingleDiode(1e-9, bias=bias, emission=emission)), x).state
        return max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(state, ideal, strict=True))

    coarse, fine = distance(0.3), distance(0.03)
    assert 7 < coarse / fine < 13
    assert distance(0.03, bias=-0.1) > 20 * fine  # the control: another bias is elsewhere


def physical_matrix(net, x, beta=0.0, target=0.0):
    """Return the solution, by layer, of the linear circuit's equations M v = i, node by node."""
    sizes = [b.size for b in net.biases]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    m, i = np.zeros((starts[-1], starts[-1])), np.zeros(starts[-1])
    rails = net.input_gain * np.concatenate([x, -x])
    for layer, (g, b) in enumerate(zip(map(np.asarray, net.conductances), net.biases, strict=True)):
        for k in range(sizes[layer]):
            row = starts[layer] + k
            i[row] += float(b[k])
            for j in range(g.shape[0]):
                m[row, row] += g[j, k]
                if layer == 0:
                    i[row] += g[j, k] * rails[j]
                else:
                    other = starts[layer - 1] + j
                    m[row, other] -= g[j, k] * net.amplification
                    m[other, other] += g[j, k] * net.amplification / net.amplification
                    m[other, row] -= g[j, k] / net.amplification
    last = slice(starts[-2], starts[-1])
    strength = beta * net.amplification ** (2 * (len(sizes) - 1))
    m[last, last] += strength * np.eye(sizes[-1])
    i[last] += strength * target
    return np.split(np.linalg.solve(m, i), starts[1:-1])


def test_the_amplified_network_settles_where_the_circuit_does():
    net, (xs, ys) = amplified(), examples(1)
    x, y = jnp.asarray(xs[0]), jnp.asarray(ys[0])
    for beta in (0.0, 1e-4, -1e-4):
        settled = ep.relax(ep.Nudged(net, COST, y, beta), x, method=ep.Newton(tolerance=1e-15))
        expected = physical_matrix(net, xs[0], beta, ys[0])
        for voltages, layer in zip(settled.state, expected, strict=True):
            np.testing.assert_allclose(voltages, layer, rtol=0, atol=1e-12)
    plain = physical_matrix(with_changes(net, amplification=1.0), xs[0])
    # The control: amplifiers do something.
    assert np.max(np.abs(plain[-1] - physical_matrix(net, xs[0])[-1])) > 0.1


def test_without_the_weights_the_gradient_of_an_amplified_network_is_wrong():
    """EP from the circuit's voltages at ±β is the gradient if weighted by A^{−2l}, and else not."""
    net, (xs, ys) = amplified(), examples(1)
    beta, exact = 1e-7, ep.Implicit(ep.Newton(tolerance=1e-15))(net, COST, xs, ys).grad.conductances
    phases = [physical_matrix(net, xs[0], sign * beta, ys[0]) for sign in (1, -1)]
    rails = net.input_gain * np.concatenate([xs[0], -xs[0]])

    def squares(state):
        before = [rails, *(net.amplification * v for v in state[:-1])]
        return [(u[:, None] - v) ** 2 / 2 for u, v in zip(before, state, strict=True)]

    plain = [(a - b) / (2 * beta) for a, b in zip(*map(squares, phases), strict=True)]
    weighted = [net.amplification ** (-2 * layer) * part for layer, part in enumerate(plain)]
    assert ep.relative_error(weighted, list(exact)) < 1e-5
    assert ep.cosine(plain, list(exact)) < 0.9


@pytest.mark.parametrize(
    "net", [amplified(PAIR, doubled=True), network()], ids=["amplified and doubled", "plain"]
)
def test_the_flow_is_the_circuits_own(net):
    """C dv/dt = −(Kirchhoff's current) at every node, whatever amplifiers stand before it."""
    x = examples(1)[0][0]
    random = np.random.default_rng(5)
    state = jax.tree.map(
        lambda v: jnp.asarray(random.uniform(-0.3, 0.3, v.shape)), net.init_state(x)
    )
    rates = eqx.filter_jit(flow)(net, jnp.asarray(x), state)
    currents = net.capacitance * np.concatenate(rates)
    np.testing.assert_allclose(currents, -np.concatenate(kirchhoff(net, state, x)), rtol=1e-10)


def test_doubled_outputs_against_their_normal_equations():
    net, (xs, ys) = doubled(None), examples(1)
    g1, g2 = (np.asarray(g) for g in net.conductances)
    rails = net.input_gain * np.concatenate([xs[0], -xs[0]])
    for beta in (0.0, 0.3, -0.02):
        pull = beta * np.kron(np.array([[1, -1], [-1, 1]]), np.eye(2))
        m = np.block([[np.diag(g1.sum(0) + g2.sum(1)), -g2], [-g2.T, np.diag(g2.sum(0)) + pull]])
        push = (
            np.concatenate([rails @ g1, np.zeros(4)])
            + np.concatenate(net.biases)
            + beta * np.concatenate([np.zeros(8), ys[0], -ys[0]])
        )
        expected = np.linalg.solve(m, push)
        settled = ep.relax(ep.Nudged(net, COST, ys[0], beta), xs[0], method=TIGHT)
        np.testing.assert_allclose(np.concatenate(settled.state), expected, atol=1e-12)
        np.testing.assert_allclose(
            net.outputs(settled.state), expected[8:10] - expected[10:], atol=1e-12
        )


def test_doubled_outputs_are_two_blocks_when_nudged():
    net, (xs, ys) = doubled(), examples(1)
    nudged = ep.Nudged(net, COST, ys[0], 0.1)
    x, state = jnp.asarray(xs[0]), net.init_state(xs[0])
    assert [v.shape for v in state] == [(8,), (2,), (2,)]
    assert leaves_are_blocks(nudged, x, state)

    class Joined(ep.Energy):
        """The same outputs in one leaf: o⁺ and o⁻ interact in it."""

        net: ep.Energy

        def __call__(self, state, x):
            return self.net((state[0], *jnp.split(state[1], 2)), x)

        def init_state(self, x):
            return (jnp.zeros(8), jnp.zeros(4))

        def outputs(self, state):
            return state[1]

    assert not leaves_are_blocks(Joined(nudged), x, (jnp.zeros(8), jnp.zeros(4)))


def labelled(seed=0, n=40):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))


DATA = Data(labelled(0), labelled(1))


def test_doubled_outputs_learn_within_bounds():
    loose = doubled()
    start = with_changes(
        loose,
        conductances=tuple(jnp.clip(g, 0.06, 0.2) for g in loose.conductances),
        biases=(jnp.zeros(8), jnp.zeros(4)),
        conductance_bounds=(0.06, 0.2),
    )
    cost = ep.SquaredError(on=0.2)

    def fit(rate, epochs):
        estimator = ep.EqProp.centred(0.02, ep.FixedSweeps(n=8))
        return ep.fit(
            start,
            cost,
            DATA,
            estimator,
            rates={"conductances*": rate},
            epochs=epochs,
            key=jax.random.key(0),
        )

    def flat(net):
        return np.concatenate([np.ravel(g) for g in net.conductances])

    result = fit(0.5, 30)
    assert result.history["test_accuracy"][-1] >= 0.9
    assert result.history["loss"][-1] < 0.7 * result.history["loss"][0]
    before, down, up = flat(start), flat(result.net), flat(fit(-0.5, 3).net)
    assert (down.min(), up.max()) == (0.06, 0.2)
    assert np.any((before > 0.06) & (down == 0.06))  # the updates would have gone on
    assert np.any((before < 0.2) & (up == 0.2))


def test_init_keeps_within_bounds():
    inside, free = (
        ep.Resistive.init(jax.random.key(0), (3, 8, 2), **bounds).conductances
        for bounds in ({"conductance_bounds": (0.05, 0.3)}, {})
    )
    for g, loose in zip(inside, free, strict=True):
        np.testing.assert_array_equal(g, np.clip(loose, 0.05, 0.3))
        assert (float(g.min()), float(loose.min())) == (0.05, 0.0)


def test_bounds_hold_in_the_precision_of_the_conductances():
    """0.7 in float32 is below 0.7: what training clips to is within the bounds."""
    single = (jnp.full((6, 2), 0.7, jnp.float32),)
    ep.Resistive(single, (jnp.zeros(2, jnp.float32),), conductance_bounds=(0.7, 1.1))
    with pytest.raises(ValueError, match=r"at least 0\.7 and at most 1\.1, but is 0\.6899"):
        ep.Resistive(
            (jnp.full((6, 2), 0.69, jnp.float32),),
            (jnp.zeros(2, jnp.float32),),
            conductance_bounds=(0.7, 1.1),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amplification": 0.0}, "`amplification` must be finite and above 0, but is 0.0"),
        ({"amplification": np.inf}, "`amplification` must be finite and above 0, but is inf"),
        (
            {"conductance_bounds": (-0.1, 1.0)},
            r"`conductance_bounds` must be two numbers with 0 <= lowest < highest, "
            r"but are \(-0.1, 1.0\)",
        ),
        ({"conductance_bounds": (0.5, 0.5)}, r"0 <= lowest < highest, but are \(0.5, 0.5\)"),
        ({"conductance_bounds": (0.0, np.nan)}, r"0 <= lowest < highest, but are \(0.0, nan\)"),
        ({"conductance_bounds": (0.1,)}, r"0 <= lowest < highest, but are \(0.1,\)"),
        (
            {"conductance_bounds": (0.0, 0.01)},
            r"`conductances\[0\]` must be finite and at least 0 and at most 0.01, but is 0\.\d+ at",
        ),
        (
            {
                "doubled_outputs": True,
                "conductances": (jnp.ones((6, 8)), jnp.ones((8, 3))),
                "biases": (jnp.ones(8), jnp.ones(3)),
            },
            r"`conductances\[-1\]` must have two columns \(\+, −\) for each doubled output, "
            "but has 3 columns",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        with_changes(network(), **change)


def test_init_refuses_bounds_before_it_draws():
    with pytest.raises(ValueError, match="`conductance_bounds` must be two numbers"):
        ep.Resistive.init(jax.random.key(0), (3, 2), conductance_bounds=(1.0, 0.0))


def test_the_points_of_a_curve_do_not_learn():
    """A curve is data, whatever it comes from."""
    net = network(circuits.Curve(jnp.asarray(V), jnp.asarray(CURVE.amperes)))
    assert net.device == CURVE
    assert paths(eqx.filter(net, eqx.is_inexact_array)) == [
        "conductances.0",
        "conductances.1",
        "biases.0",
        "biases.1",
    ]


@pytest.mark.parametrize("name", NETS)
def test_float32_stays_float32(name):
    net, x = NETS[name], jnp.ones(3)
    single = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, net
    )
    state = jax.tree.map(lambda v: v + 0.1, single.init_state(x))
    slopes = eqx.filter_eval_shape(
        eqx.filter_value_and_grad(lambda both: both[0](both[1], x)), (single, state)
    )
    arrays = jax.tree.leaves((slopes, eqx.filter_eval_shape(flow, single, x, state)))
    assert {leaf.dtype for leaf in arrays if isinstance(leaf, jax.ShapeDtypeStruct)} == {
        jnp.dtype("float32")
    }


def largest_array(program):
    """The size of the largest array in a program, its inner programs included."""
    sizes = [0]
    for equation in program.eqns:
        sizes += [
            variable.aval.size for variable in equation.outvars if hasattr(variable.aval, "size")
        ]
        sizes += [largest_array(inner) for inner in jaxprs_in_params(equation.params)]
    return max(sizes)


@pytest.mark.parametrize("change", [{}, {"amplification": 2.0, "doubled_outputs": True}])
def test_no_array_of_batch_by_conductances_is_made(change):
    net = ep.Resistive.init(jax.random.key(0), (20, 30, 10), device=PAIR, unit=1e-5, **change)
    xs, batch = jnp.ones((64, 20)), 64
    states = jax.vmap(net.init_state)(xs)
    params, rest = eqx.partition(net, eqx.is_inexact_array)

    def mean(params, states):
        return jnp.mean(jax.vmap(eqx.combine(params, rest))(states, xs))

    program = jax.make_jaxpr(jax.grad(mean, argnums=(0, 1)))(params, states).jaxpr
    assert largest_array(program) <= batch * 40
    worst = jax.make_jaxpr(lambda u, v: jnp.sum((u[:, :, None] - v[:, None, :]) ** 2))(
        jnp.ones((64, 40)), jnp.ones((64, 30))
    ).jaxpr
    assert largest_array(worst) == batch * 40 * 30  # the control: such an array is noticed


def test_the_order_of_the_arguments_is_kept():
    g, b = (jnp.ones((6, 2)),), (jnp.zeros(2),)
    net = ep.Resistive(g, b, PAIR, 1e-5, 3.0, 1e-13)
    assert (net.device, net.unit, net.input_gain, net.capacitance) == (PAIR, 1e-5, 3.0, 1e-13)
    assert (net.amplification, net.doubled_outputs, net.conductance_bounds) == (
        1.0,
        False,
        (0.0, np.inf),
    )


def products_with(shape, program):
    """Return how many products in a program, its inner programs included, read such an array."""
    here = sum(
        equation.primitive.name == "dot_general"
        and shape in [v.aval.shape for v in equation.invars]
        for equation in program.eqns
    )
    inner = [one for equation in program.eqns for one in jaxprs_in_params(equation.params)]
    return here + sum(products_with(shape, one) for one in inner)


def test_a_batch_reads_the_first_conductances_once():
    """Their sums are a row of the product with the inputs; the control has two."""
    net, xs = network(None, sizes=(7, 5, 2)), jnp.ones((3, 7))
    state, shape = net.init_state(xs[0]), net.conductances[0].shape

    def slope(derivative):
        return jax.make_jaxpr(jax.vmap(lambda x: derivative(state, x)))(xs).jaxpr

    assert products_with(shape, slope(lambda state, x: net.slope(state, x, 0))) == 1
    assert products_with(shape, slope(lambda state, x: jax.grad(net)(state, x)[0])) > 1
