"""Ready-made energies against their formulas as loops, finite differences, published facts."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

import eqprop as ep
from eqprop import models
from eqprop.settling.blocks import leaves_are_blocks
from eqprop.training import paths

COST = ep.SquaredError()
INPUTS = (1, 4, 6)  # an image that is no square


def convolution(**more):
    return functools.partial(
        models.Convolution.init, **{"channels": 2, "size": 3, "padding": 1} | more
    )


def local(**more):
    return functools.partial(
        models.LocallyConnected.init, **{"channels": 2, "size": 3, "padding": 1} | more
    )


def dense(nodes):
    return functools.partial(models.Dense.init, nodes=nodes)


def biased(net, seed):
    """`net` with biases above 0, so that not all hard nodes are at their lower bound."""
    random = np.random.default_rng(seed)
    return eqx.tree_at(
        lambda n: n.biases,
        net,
        tuple(jnp.asarray(random.uniform(0.1, 0.4, b.shape)) for b in net.biases),
    )


def problem(name, net, inputs, seed, scale=1.0):
    random = np.random.default_rng(seed)
    xs = scale * random.uniform(-1, 1, (4, *inputs))
    outputs = jax.eval_shape(lambda x: net.outputs(net.init_state(x)), xs[0]).size
    places = (
        np.array(net.positions)[list(net.read)].ravel() if isinstance(net, models.Springs) else 0.0
    )
    return name, net, COST, xs, places + random.uniform(-0.5, 0.5, (4, outputs))


def _models():
    keys = jax.random.split(jax.random.key(3), 9)
    average, largest = models.AveragePooling(2), models.MaxPooling(2)
    hopfield = {
        "hard sigmoid": models.Hopfield.init(keys[0], (3, 6, 2)),
        "tanh": models.Hopfield.init(keys[1], (3, 5, 2), models.Tanh()),
        "convolutional": models.Hopfield.stack(
            keys[2], INPUTS, [convolution(pooling=average), dense(2)], models.ReLU6()
        ),
        "max pooling": models.Hopfield.stack(
            keys[3], INPUTS, [convolution(), convolution(channels=1, pooling=largest)]
        ),
        "local": models.Hopfield.stack(
            keys[4], INPUTS, [local(pooling=average), dense(2)], models.Sigmoid()
        ),
    }
    return [
        *(
            problem(name, biased(net, n), net.input_shape, n)
            for n, (name, net) in enumerate(hopfield.items())
        ),
        problem("oscillators", models.Oscillators.init(keys[5], 3, 5, 2), (3,), 7, 2.0),
        problem("ising", models.Ising.init(keys[6], 3, 5, 2, gain=0.5), (3,), 8),
        problem("attention", models.Attention.init(keys[7], 3, 6, 2), (3,), 9),
        problem("springs", models.Springs.init(keys[8], 3, 2), (6,), 10, 0.2),
    ]


MODELS = _models()
SMOOTH = {"tanh", "local", "oscillators", "ising", "attention", "springs"}
each_model = pytest.mark.parametrize(
    ("name", "net", "cost", "xs", "ys"), MODELS, ids=[model[0] for model in MODELS]
)


def random_state(net, x, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(
        lambda s: np.asarray(s) + 0.3 * random.uniform(0, 1, s.shape), net.init_state(x)
    )


# The energies as loops over nodes, in NumPy.


def pooled(maps, pooling):
    if pooling is None:
        return maps
    w = pooling.window
    take = np.max if isinstance(pooling, models.MaxPooling) else np.mean
    channels, rows, columns = maps.shape[0], maps.shape[1] // w, maps.shape[2] // w
    return np.array(
        [
            [
                [take(maps[o, p * w : p * w + w, q * w : q * w + w]) for q in range(columns)]
                for p in range(rows)
            ]
            for o in range(channels)
        ]
    )


def drive(connection, before):
    before = np.asarray(before)
    if isinstance(connection, models.Dense):
        w = np.asarray(connection.weights)
        return np.array(
            [sum(before.ravel()[i] * w[i, j] for i in range(w.shape[0])) for j in range(w.shape[1])]
        )
    shared = isinstance(connection, models.Convolution)
    kernels = np.asarray(connection.kernel if shared else connection.kernels)
    step, pad = connection.stride, connection.padding
    height, width = kernels.shape[-2:]
    rows, columns = (
        (n + 2 * pad - k) // step + 1
        for n, k in zip(before.shape[1:], (height, width), strict=True)
    )
    maps = np.zeros((kernels.shape[0], rows, columns))
    for o, p, q in np.ndindex(*maps.shape):
        for c, i, j in np.ndindex(before.shape[0], height, width):
            row, column = p * step + i - pad, q * step + j - pad
            if 0 <= row < before.shape[1] and 0 <= column < before.shape[2]:
                maps[o, p, q] += (kernels[o] if shared else kernels[o, p, q])[c, i, j] * before[
                    c, row, column
                ]
    return pooled(maps, connection.pooling)


def hopfield_energy(net, state, x):
    rho = {"Tanh": np.tanh, "Sigmoid": lambda s: 1 / (1 + np.exp(-s))}.get(
        type(net.activation).__name__, lambda s: s
    )
    value, before = 0.0, np.reshape(x, net.input_shape)
    for connection, b, s in zip(net.connections, net.biases, state, strict=True):
        driven = drive(connection, before) + np.asarray(b)
        for at in np.ndindex(*s.shape):
            value += float(s[at]) ** 2 / 2 - rho(float(s[at])) * driven[at]
        before = rho(np.asarray(s))
    return value


def oscillators_energy(net, state, x):
    n, value = len(state), 0.0
    for i, j in itertools.combinations(range(n), 2):
        value -= net.couplings[i, j] * np.cos(state[i] - state[j])
    for i in range(n):
        value -= sum(net.weights[k, i] * np.cos(state[i] - x[k]) for k in range(len(x)))
        value -= net.biases[0, i] * np.cos(state[i]) + net.biases[1, i] * np.sin(state[i])
    return value


def ising_energy(net, state, x):
    j = np.triu(net.couplings, 1)
    value = -state @ (j + j.T) @ state / 2
    for i, s in enumerate(state):
        value += (
            s**4 / 4
            - net.gain * s**2 / 2
            - s * (sum(net.weights[k, i] * x[k] for k in range(len(x))) + net.biases[i])
        )
    return value


def attention_energy(net, state, x):
    matches = [np.dot(k, x) + np.dot(v, state) for k, v in zip(net.keys, net.values, strict=True)]
    beta = net.inverse_temperature
    return np.dot(state, state) / 2 - np.log(sum(np.exp(beta * m) for m in matches)) / beta


def springs_energy(net, state, x):
    places = {node: np.array(net.positions[node]) for node in net.pinned}
    for n, node in enumerate(net.moved):
        places[node] = places[node] + x[2 * n : 2 * n + 2]
    places |= dict(zip(net.free, np.asarray(state), strict=True))
    value = 0.0
    for k, length, (i, j) in zip(net.stiffness, net.lengths, net.ends, strict=True):
        value += k * (np.hypot(*(places[i] - places[j])) - length) ** 2 / 2
    return value


FORMULAS = {
    models.Hopfield: hopfield_energy,
    models.Oscillators: oscillators_energy,
    models.Ising: ising_energy,
    models.Attention: attention_energy,
    models.Springs: springs_energy,
}


energy_of = eqx.filter_jit(lambda net, state, x: net(state, x))


@each_model
def test_the_energy_is_its_formula(name, net, cost, xs, ys):
    if name == "oscillators":
        net = eqx.tree_at(
            lambda n: n.biases, net, jnp.asarray(np.random.default_rng(0).standard_normal((2, 5)))
        )
    for seed, x in enumerate(xs[:2]):
        state = random_state(net, jnp.asarray(x), seed)
        expected = float(FORMULAS[type(net)](net, state, x))
        np.testing.assert_allclose(energy_of(net, state, x), expected, rtol=1e-12)
        other = jax.tree.map(lambda s: s + 0.01, state)
        assert abs(float(energy_of(net, other, x)) - expected) > 1e-6 * abs(expected)


# Settling and gradients.

each_index = pytest.mark.parametrize(
    "index", range(len(MODELS)), ids=[model[0] for model in MODELS]
)


def method_for(index):
    """A method that compiles fast; from these starts Newton's ends in a minimum."""
    return ep.BlockNewton() if isinstance(MODELS[index][1], models.Hopfield) else ep.Newton()


@functools.cache
def exact(index):
    return ep.Implicit(method_for(index))(*MODELS[index][1:]).grad


@eqx.filter_jit
def slope_and_hessian(net, x, state):
    flat, restore = jax.flatten_util.ravel_pytree(state)
    return jax.grad(lambda s: net(restore(s), x))(flat), jax.hessian(lambda s: net(restore(s), x))(
        flat
    )


@each_index
def test_the_free_phase_ends_where_the_energy_is_flat_and_curved_upwards(index):
    name, net, _, xs, _ = MODELS[index]
    default = (
        isinstance(net, models.Hopfield) or name == "oscillators"
    )  # where leaves are no blocks it is slow to compile
    for x in map(jnp.asarray, xs):
        state = ep.relax(net, x, method=None if default else method_for(index)).state
        slope, hessian = map(np.asarray, slope_and_hessian(net, x, state))
        free = np.ones(slope.size, bool)
        if net.bounds(x) is not None:
            flat, low, high = (
                np.asarray(jax.flatten_util.ravel_pytree(side)[0])
                for side in (state, *net.bounds(x))
            )
            assert np.all((low <= flat) & (flat <= high))
            free = (low < flat) & (flat < high)
            assert np.all(np.where(flat == low, slope, 1) >= 0)
            assert np.all(np.where(flat == high, slope, -1) <= 0)
        assert free.any()
        assert np.max(np.abs(slope[free])) < 1e-9
        assert np.linalg.eigvalsh(hessian[np.ix_(free, free)])[0] > 1e-3
        off = slope_and_hessian(net, x, jax.tree.map(lambda s: s + 0.01, state))[0]
        assert np.max(np.abs(np.asarray(off)[free])) > 1e-4


def gradient_is_the_slope(index, gradient):
    """Return whether `gradient` is the slope of the settled cost along a random direction each."""
    _, net, cost, xs, ys = MODELS[index]
    parameters, rest = eqx.partition(net, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(parameters)
    estimator = ep.Implicit(method_for(index))
    random, step, agreed = np.random.default_rng(0), 1e-4, True
    for n, (leaf, slope) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        direction = random.standard_normal(leaf.shape) / np.sqrt(leaf.size)
        losses = []
        for sign in (1, -1):
            moved = jax.tree.unflatten(
                treedef, [*leaves[:n], leaf + sign * step * direction, *leaves[n + 1 :]]
            )
            losses.append(float(estimator(eqx.combine(moved, rest), cost, xs, ys).loss))
        difference = (losses[0] - losses[1]) / (2 * step)
        assert abs(difference) > 1e-5  # or this parameter would tell nothing
        agreed &= bool(np.isclose(np.sum(slope * direction), difference, rtol=1e-4, atol=1e-8))
    return agreed


@each_index
def test_the_implicit_gradient_is_the_slope_of_the_settled_cost(index):
    assert gradient_is_the_slope(index, exact(index))
    assert not gradient_is_the_slope(index, jax.tree.map(jnp.negative, exact(index)))
    assert not gradient_is_the_slope(index, jax.tree.map(lambda g: 1.001 * g, exact(index)))


@each_index
def test_equilibrium_propagation_finds_the_exact_gradient_and_learns(index):
    """And not the gradient for other targets, the negative control."""
    _, net, cost, xs, ys = MODELS[index]
    estimate_of = eqx.filter_jit(ep.EqProp.centred(1e-4, method_for(index)).estimate)
    estimate = estimate_of(net, cost, xs, ys)
    assert bool(jnp.all(estimate.free.settled))
    assert bool(jnp.all(estimate.nudged.settled))
    assert ep.cosine(estimate.grad, exact(index)) > 1 - 1e-6
    assert (
        ep.cosine(
            estimate_of(net, cost, xs, ys + np.resize([2.0, -2.0], ys.shape)).grad, exact(index)
        )
        < 0.99
    )
    rate = 0.02 * estimate.loss / sum(np.sum(np.square(g)) for g in jax.tree.leaves(estimate.grad))
    learnt = eqx.apply_updates(net, jax.tree.map(lambda g: -rate * g, estimate.grad))
    assert 0.01 < 1 - estimate_of(learnt, cost, xs, ys).loss / estimate.loss < 0.03


# Numbers, arrays and names.


@each_model
def test_float32_stays_float32(name, net, cost, xs, ys):
    parameters, rest = eqx.partition(net, eqx.is_inexact_array)
    small = eqx.combine(jax.tree.map(lambda p: np.asarray(p, np.float32), parameters), rest)
    x, single = jnp.asarray(xs[0]), jnp.asarray(xs[0], jnp.float32)
    assert x.dtype == jnp.float64

    def all_of(net, x):
        state = net.init_state(x)
        return (
            state,
            net.bounds(x),
            net(state, x),
            jax.grad(net)(state, x),
            eqx.filter_grad(lambda n: n(state, x))(net),
        )

    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter_eval_shape(all_of, small, x))} == {
        jnp.dtype("float32")
    }
    assert "f64" not in str(eqx.filter_make_jaxpr(all_of)(small, single)[0])
    assert "f64" in str(eqx.filter_make_jaxpr(all_of)(net, single)[0])  # the check can fail


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_a_smooth_energy_is_analytic(name):
    """The complex step: Im E(s + ihd) / h is the slope along d, to rounding."""
    _, net, _, xs, _ = next(model for model in MODELS if model[0] == name)
    x = jnp.asarray(xs[0])
    state, direction = random_state(net, x), random_state(net, x, 1)
    stepped = jax.tree.map(lambda s, d: s + 1e-30j * d, state, direction)
    slope = eqx.filter_jit(lambda s, d: jax.jvp(lambda s: net(s, x), (s,), (d,))[1])(
        state, direction
    )
    np.testing.assert_allclose(np.imag(energy_of(net, stepped, x)) / 1e-30, slope, rtol=1e-10)


@each_model
def test_the_layers_of_a_hopfield_network_are_blocks(name, net, cost, xs, ys):
    x = jnp.asarray(xs[0])
    assert leaves_are_blocks(net, x, net.init_state(x)) == isinstance(net, models.Hopfield)


def largest_array(function, *arguments):
    """The number of entries of the largest array in the program of a function."""

    def sizes(program):
        for equation in program.eqns:
            yield from (int(np.prod(v.aval.shape)) for v in equation.outvars)
            for inner in jaxprs_in_params(equation.params):
                yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(function)(*arguments).jaxpr))


def test_no_array_of_batch_times_weights():
    net, batch = models.Hopfield.init(jax.random.key(0), (30, 20, 10)), 7
    xs, states = jnp.ones((batch, 30)), (jnp.ones((batch, 20)), jnp.ones((batch, 10)))

    def gradient(net, xs, states):
        return eqx.filter_grad(lambda n: jnp.mean(jax.vmap(n)(states, xs)))(net)

    def outer(weights, xs, states):
        """The negative control: the same term as a sum over all pairs."""

        def term(w):
            return jnp.mean(jax.vmap(lambda s, x: jnp.sum(w * x[:, None] * s))(states[0], xs))

        return jax.grad(term)(weights)

    assert largest_array(gradient, net, xs, states) == 30 * 20
    assert largest_array(outer, net.connections[0].weights, xs, states) == batch * 30 * 20


def test_parameters_have_names_for_rates():
    names = {name: paths(eqx.filter(net, eqx.is_inexact_array)) for name, net, *_ in MODELS}
    assert names["hard sigmoid"] == [
        "connections.0.weights",
        "connections.1.weights",
        "biases.0",
        "biases.1",
    ]
    assert names["convolutional"] == [
        "connections.0.kernel",
        "connections.1.weights",
        "biases.0",
        "biases.1",
    ]
    assert names["local"][0] == "connections.0.kernels"
    assert names["oscillators"] == names["ising"] == ["couplings", "weights", "biases"]
    assert names["attention"] == ["keys", "values"]
    assert names["springs"] == ["stiffness", "lengths"]
    assert dict(MODELS[-1][1].parameter_bounds()) == {
        "stiffness": (0.0, np.inf),
        "lengths": (0.0, np.inf),
    }


# Connections.


@pytest.mark.parametrize(
    ("stride", "padding", "pooling"),
    [(1, 0, models.AveragePooling(2)), (2, 1, None), (1, 2, models.MaxPooling(2))],
    ids=["average", "stride", "max"],
)
def test_a_convolution_is_a_loop_and_a_locally_connected_layer_of_equal_kernels(
    stride, padding, pooling
):
    before = jnp.asarray(np.random.default_rng(0).standard_normal((3, 6, 8)))
    settings = {"channels": 2, "size": 3, "stride": stride, "padding": padding, "pooling": pooling}
    shared = models.Convolution.init(jax.random.key(0), before.shape, **settings)
    free = models.LocallyConnected.init(jax.random.key(1), before.shape, **settings)
    copied = eqx.tree_at(
        lambda c: c.kernels,
        free,
        np.zeros(free.kernels.shape) + np.asarray(shared.kernel)[:, None, None],
    )

    @eqx.filter_jit
    def driven_and_slope(connection):
        return connection(before), eqx.filter_grad(lambda c: jnp.sum(c(before) ** 2))(connection)

    (of_shared, slope), (of_free, _), (of_copied, slopes) = map(
        driven_and_slope, (shared, free, copied)
    )
    np.testing.assert_allclose(of_shared, drive(shared, before), atol=1e-13)
    np.testing.assert_allclose(of_free, drive(free, before), atol=1e-13)
    assert of_free.shape == of_shared.shape
    assert not np.allclose(of_free, of_shared)
    np.testing.assert_allclose(of_copied, of_shared, atol=1e-13)
    np.testing.assert_allclose(np.sum(slopes.kernels, (1, 2)), slope.kernel, atol=1e-12)


def test_a_kernel_of_its_own_drives_its_place_only():
    before = jnp.ones((1, 4, 4))
    free = models.LocallyConnected.init(jax.random.key(0), before.shape, channels=1, size=3)
    other = eqx.tree_at(lambda c: c.kernels, free, free.kernels.at[0, 1, 0].add(1.0))
    np.testing.assert_allclose(other(before) - free(before), [[[0, 0], [9, 0]]], atol=1e-13)


def test_pooling_is_the_mean_or_the_largest_of_each_window():
    maps = np.random.default_rng(0).standard_normal((2, 4, 6))
    windows = maps.reshape(2, 2, 2, 3, 2)
    np.testing.assert_allclose(
        models.AveragePooling(2)(jnp.asarray(maps)), windows.mean((2, 4)), atol=1e-15
    )
    np.testing.assert_array_equal(models.MaxPooling(2)(jnp.asarray(maps)), windows.max((2, 4)))


def test_initial_weights_fill_their_range():
    for connection, fan_in in (
        (models.Dense.init(jax.random.key(0), 400, 30), 400),
        (models.Convolution.init(jax.random.key(0), (4, 9, 9), 40, 5), 100),
    ):
        weights = np.ravel(jax.tree.leaves(connection)[0]) * np.sqrt(fan_in)
        assert 0.99 < weights.max() < 1
        assert -1 < weights.min() < -0.99
        assert abs(np.var(weights) - 1 / 3) < 0.02


# Published facts.


def test_hard_sigmoid_states_stay_in_their_box():
    """With strong weights many nodes are at 0 or 1; all obey s = clip(drive) of Scellier 2017."""
    net = models.Hopfield.init(jax.random.key(0), (3, 6, 2))
    net = eqx.tree_at(lambda n: n.connections[0].weights, net, 2 * net.connections[0].weights)
    x = jnp.asarray([0.9, -0.4, 0.7])
    first, last = (np.asarray(layer) for layer in ep.relax(net, x).state)
    weights = [np.asarray(c.weights) for c in net.connections]
    np.testing.assert_allclose(first, np.clip(x @ weights[0] + weights[1] @ last, 0, 1), atol=1e-9)
    np.testing.assert_allclose(last, np.clip(first @ weights[1], 0, 1), atol=1e-9)
    assert 0 < np.sum((first == 0) | (first == 1)) < 6


def test_an_image_may_come_flat():
    _, net, _, xs, _ = next(model for model in MODELS if model[0] == "convolutional")
    x = jnp.asarray(xs[0])
    state = random_state(net, x)
    assert float(net(state, x)) == float(net(state, x.ravel()))


def test_the_flow_of_oscillators_is_the_kuramoto_model():
    _, net, _, xs, _ = next(model for model in MODELS if model[0] == "oscillators")
    x, phases = xs[0], np.random.default_rng(0).uniform(-np.pi, np.pi, 5)
    couplings = np.triu(net.couplings, 1)
    couplings = couplings + couplings.T
    rates = np.zeros(5)
    for i in range(5):
        rates[i] += sum(couplings[i, j] * np.sin(phases[j] - phases[i]) for j in range(5))
        rates[i] += sum(net.weights[k, i] * np.sin(x[k] - phases[i]) for k in range(3))
        rates[i] += net.biases[1, i] * np.cos(phases[i]) - net.biases[0, i] * np.sin(phases[i])
    np.testing.assert_allclose(
        -jax.grad(net)(jnp.asarray(phases), jnp.asarray(x)), rates, atol=1e-13
    )


def test_an_oscillator_turns_to_the_sum_of_its_inputs():
    net = models.Oscillators(
        jnp.zeros((1, 1)),
        jnp.asarray([[1.0], [0.5]]),
        jnp.asarray([[0.2], [-0.1]]),
        1,
        lambda phases: phases,
    )
    x = np.array([0.3, 2.0])
    expected = np.angle(1.0 * np.exp(0.3j) + 0.5 * np.exp(2.0j) + 0.2 - 0.1j)
    state = ep.relax(net, jnp.asarray(x), method=ep.Newton()).state
    np.testing.assert_allclose(net.outputs(state), [expected], atol=1e-9)


def test_oscillators_do_not_start_on_a_symmetric_saddle():
    """With inputs at 0 and π only, all phases at 0 or π are stationary."""
    couplings, biases = (
        jnp.asarray([[0.0, -2.0], [0.0, 0.0]]),
        jnp.asarray([[1.0, 1.0], [0.0, 0.0]]),
    )
    net, x = models.Oscillators(couplings, jnp.zeros((1, 2)), biases, 2), jnp.zeros(1)
    slope, hessian = slope_and_hessian(net, x, jnp.zeros(2))
    assert np.all(slope == 0)
    assert np.linalg.eigvalsh(hessian)[0] < -1
    assert np.max(np.abs(slope_and_hessian(net, x, net.init_state(x))[0])) > 0.01


def test_spins_rest_in_their_wells():
    single = models.Ising(jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.zeros(1), 1, gain=1.5)
    for field in (0.0, 0.4, -0.4):
        roots = np.roots([1, 0, -1.5, -field])
        expected = max(roots.real, key=lambda s: s if field >= 0 else -s)
        np.testing.assert_allclose(
            ep.relax(single, jnp.asarray([field]), method=ep.Newton()).state, [expected], atol=1e-8
        )
    couplings = jnp.asarray([[0.0, 0.5], [0.0, 0.0]])
    pair = models.Ising(couplings, jnp.zeros((1, 2)), jnp.asarray([0.1, -0.05]), 2, gain=-0.2)
    up = np.asarray(ep.relax(pair, jnp.zeros(1), method=ep.Newton()).state)
    assert np.all(up > 0)  # a ferromagnetic pair aligns, against the weaker field
    opposed = eqx.tree_at(lambda n: n.couplings, pair, -couplings)
    apart = np.asarray(ep.relax(opposed, jnp.zeros(1), method=ep.Newton()).state)
    assert apart[0] > 0 > apart[1]


def test_attention_retrieves_a_stored_pattern_in_one_step():
    random = np.random.default_rng(0)
    patterns = random.choice([-1.0, 1.0], (5, 40))
    net = models.Attention(jnp.zeros((5, 0)), jnp.asarray(patterns), inverse_temperature=1.0)
    nothing, noisy = jnp.zeros(0), jnp.asarray(patterns[2] + 0.3 * random.standard_normal(40))
    state = ep.relax(net, nothing, start=noisy, method=ep.Newton()).state
    weights = np.exp(patterns @ np.asarray(state) - 40)
    np.testing.assert_allclose(state, patterns.T @ (weights / weights.sum()), atol=1e-9)
    np.testing.assert_allclose(state, patterns[2], atol=1e-6)
    np.testing.assert_allclose(net.retrieve(noisy, nothing), state, atol=1e-6)
    assert np.max(np.abs(noisy - state)) > 0.1
    assert (
        np.max(np.abs(net.init_state(nothing) - state)) > 0.1
    )  # the mean of the patterns, from which none is retrieved


def test_attention_answers_the_key_that_the_input_matches():
    random = np.random.default_rng(1)
    keys, values = random.choice([-1.0, 1.0], (5, 60)), random.uniform(-1, 1, (5, 3))
    net = models.Attention(jnp.asarray(keys), jnp.asarray(values))
    for n in range(5):
        np.testing.assert_allclose(
            ep.relax(net, jnp.asarray(keys[n]), method=ep.Newton()).state, values[n], atol=1e-6
        )


def test_two_springs_in_a_line_share_their_strain():
    """Two springs of rest lengths 1 m and 0.5 m between nodes 2 m apart, one of which is moved."""
    net = models.Springs(
        jnp.asarray([2.0, 3.0]),
        jnp.asarray([1.0, 0.5]),
        [(0, 2), (2, 1)],
        [(0, 0), (2, 0), (1.1, 0.05)],
        [0, 1],
        [1],
        [2],
    )
    for moved in (0.0, 0.3):
        expected = (2.0 * 1.0 + 3.0 * (2.0 + moved - 0.5)) / 5.0
        state = ep.relax(net, jnp.asarray([moved, 0.0]), method=ep.Newton()).state
        np.testing.assert_allclose(net.outputs(state), [expected, 0.0], atol=1e-8)


def test_forces_between_springs_add_up_to_nothing():
    """Newton's third law: forces and torques sum to zero. All pinned nodes are inputs here."""
    _, net, _, xs, _ = MODELS[-1]
    assert set(net.moved) == set(net.pinned)
    x = jnp.asarray(xs[0])
    state = random_state(net, x)
    on_free, on_pinned = jax.grad(net, (0, 1))(state, x)
    forces = np.concatenate([on_free, on_pinned.reshape(-1, 2)])
    places = np.asarray(net.layout(state, x))[[*net.free, *net.moved]]
    assert np.max(np.abs(forces)) > 1e-2
    np.testing.assert_allclose(forces.sum(0), 0, atol=1e-13)
    np.testing.assert_allclose(
        np.sum(places[:, 0] * forces[:, 1] - places[:, 1] * forces[:, 0]), 0, atol=1e-13
    )


def test_springs_without_input_are_at_rest():
    _, net, _, _, _ = MODELS[-1]
    x = jnp.zeros(6)
    assert float(net(net.init_state(x), x)) < 1e-25
    places = np.array(net.positions)
    np.testing.assert_allclose(
        net.outputs(net.init_state(x)).reshape(-1, 2), places[list(net.read)]
    )


# Bad input.


def hopfield_of(connections, biases, shape=(3,)):
    return models.Hopfield(tuple(connections), tuple(map(jnp.zeros, biases)), shape)


def springs_with(**changed):
    given = {
        "ends": [(0, 1), (1, 2)],
        "positions": [(0, 0), (1, 0), (2, 0)],
        "pinned": [0, 2],
        "moved": [0],
        "read": [1],
    } | changed
    return models.Springs(jnp.ones(2), jnp.ones(2), **given)


SQUARE, ROWS = jnp.zeros((3, 3)), jnp.zeros((2, 3))
BAD = {
    "`weights` must have 2 dimensions": lambda: models.Dense(jnp.zeros(3)),
    "`before` must hold 3 nodes": lambda: models.Dense(jnp.zeros((3, 2)))(jnp.zeros(4)),
    "`kernel` must have 4 dimensions": lambda: models.Convolution(jnp.zeros((3, 3))),
    "`kernels` must have 6 dimensions": lambda: models.LocallyConnected(jnp.zeros((3, 3))),
    "`stride` must be at least 1, but is 0": lambda: models.Convolution(
        jnp.zeros((1, 1, 3, 3)), stride=0
    ),
    "`padding` must be at least 0, but is -1": lambda: models.Convolution(
        jnp.zeros((1, 1, 3, 3)), padding=-1
    ),
    "`window` must be at least 1, but is 0": lambda: models.MaxPooling(0),
    "`window` must divide the 4 × 5 nodes": lambda: models.AveragePooling(2)(jnp.zeros((1, 4, 5))),
    "`before` must have 2 channels of at least 3 × 3": lambda: models.Convolution(
        jnp.zeros((1, 2, 3, 3))
    )(jnp.zeros((1, 4, 4))),
    "`before` must be .channels, height, width.": lambda: models.Convolution.init(
        jax.random.key(0), (4, 4), 2, 3
    ),
    "`size` must be at most that of the layer before": lambda: models.LocallyConnected.init(
        jax.random.key(0), (1, 4, 4), 2, 5
    ),
    "`before` must give 2 × 2 places": lambda: models.LocallyConnected(
        jnp.zeros((1, 2, 2, 1, 3, 3))
    )(jnp.zeros((1, 5, 5))),
    "`connections` and `biases` must hold one": lambda: hopfield_of(
        [models.Dense(jnp.zeros((3, 2)))], []
    ),
    r"`biases\[0\]` must fit a layer of shape \(2,\)": lambda: hopfield_of(
        [models.Dense(jnp.zeros((3, 2)))], [3]
    ),
    r"`connections\[1\]` must fit": lambda: hopfield_of(
        [models.Dense(jnp.zeros((3, n))) for n in (2, 1)], [2, 1]
    ),
    "`sizes` must hold the inputs": lambda: models.Hopfield.init(jax.random.key(0), (3,)),
    r"`x` must have shape \(3,\)": lambda: ep.relax(MODELS[0][1], jnp.zeros(4)),
    "`couplings` must be square": lambda: models.Oscillators(ROWS, ROWS, ROWS, 1),
    r"`biases` must have shape \(2, 3\)": lambda: models.Oscillators(SQUARE, ROWS, jnp.zeros(3), 1),
    "`output_size` must be from 1 to the 3 oscillators": lambda: models.Oscillators(
        SQUARE, ROWS, ROWS, 4
    ),
    r"`weights` must have shape \(inputs, 3\)": lambda: models.Ising(
        SQUARE, jnp.zeros((3, 2)), jnp.zeros(3), 1
    ),
    r"`biases` must have shape \(3,\)": lambda: models.Ising(SQUARE, ROWS, jnp.zeros(4), 1),
    "`gain` must be finite": lambda: models.Ising(SQUARE, ROWS, jnp.zeros(3), 1, gain=np.nan),
    "`output_size` must be from 1 to the 3 spins": lambda: models.Ising(
        SQUARE, ROWS, jnp.zeros(3), 0
    ),
    "`keys` must have one row for each of the 3 patterns": lambda: models.Attention(ROWS, SQUARE),
    "`inverse_temperature` must be finite and above 0": lambda: models.Attention(
        SQUARE, SQUARE, 0.0
    ),
    r"`x` must have shape \(6,\), but has \(3,\)": lambda: ep.relax(MODELS[-1][1], jnp.zeros(3)),
    r"`stiffness` must have shape \(1,\)": lambda: springs_with(ends=[(0, 1)]),
    "`positions` must hold pairs": lambda: springs_with(positions=[0, 1, 2]),
    r"`ends\[1\]` must be two of the 3 nodes": lambda: springs_with(ends=[(0, 1), (1, 3)]),
    "`moved` must be distinct pinned nodes": lambda: springs_with(moved=[1]),
    "`read` must be distinct free nodes": lambda: springs_with(read=[2]),
    "`rows` and `columns` must be at least 3 and 2": lambda: models.Springs.init(
        jax.random.key(0), 2, 3
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
