"""Energies and costs of a user's own train to a stated accuracy with no method named.

Each of these stopped training once, as one example had not settled.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.data import few_digits
from jax.scipy.special import logsumexp

import eqprop as ep
from eqprop.data import Data, Split


@pytest.fixture(autouse=True)
def compiled_as_by_a_user(monkeypatch):
    """Compile to run faster than other tests do: these train for longer than they compile."""
    monkeypatch.delenv("XLA_FLAGS")


class OwnCost(ep.Cost):
    """A cost of class labels, which decides for the largest output."""

    def decide(self, outputs):
        return jnp.argmax(outputs)


class CrossEntropy(OwnCost):
    def __call__(self, outputs, y):
        return logsumexp(outputs) - outputs[y]


class Hinge(OwnCost):
    def __call__(self, outputs, y):
        short = jnp.maximum(0.0, 1 + outputs - outputs[y])
        return jnp.sum(short.at[y].set(0.0))


class Absolute(OwnCost):
    def __call__(self, outputs, y):
        return jnp.sum(jnp.abs(outputs - jax.nn.one_hot(y, len(outputs))))


def log_sum_exp_network(hidden=16):
    """Wells and a log-sum-exp of the hidden nodes, which all interact."""

    def energy(params, state, x):
        h, out = state
        return (
            jnp.sum(h**2) / 2 + jnp.sum(out**2) / 2 + logsumexp(h)
            - ep.bilinear(params["in"], x, h) - ep.bilinear(params["out"], jnp.tanh(h), out)
        )  # fmt: skip

    keys = jax.random.split(jax.random.key(0))
    params = {
        "in": jax.random.normal(keys[0], (64, hidden)) / 8,
        "out": jax.random.normal(keys[1], (hidden, 10)) / 4,
    }
    state = (jnp.zeros(hidden), jnp.zeros(10))
    return ep.energy(energy, params, state=state, outputs=lambda state: state[1])


@pytest.mark.parametrize(
    ("cost", "rate", "epochs", "accuracy"),
    [
        (ep.SquaredError(), 0.05, 4, 0.5),
        (CrossEntropy(), 0.1, 4, 0.5),
        (Hinge(), 0.02, 4, 0.5),
        (Absolute(), 0.03, 7, 0.3),
    ],
    ids=["squared error", "cross-entropy", "hinge", "absolute"],
)
def test_digits_by_a_log_sum_exp_network(cost, rate, epochs, accuracy):
    """A tenth of them would be right by chance."""
    digits = few_digits()
    few = Data(Split(digits.train.x[:240], digits.train.y[:240]), digits.test)
    fit = ep.fit(
        log_sum_exp_network(), cost, few, ep.EqProp.centred(0.1),
        rates={"*": rate}, epochs=epochs, batch=12, key=jax.random.key(1),
    )  # fmt: skip
    assert fit.history["test_accuracy"][-1] > accuracy


def ragged_network():
    """A hidden layer, one that it drives and a scalar, in a dictionary, with an empty leaf."""

    def energy(params, state, x):
        h, deep, gate = state["h"], state["deep"][0], state["deep"][1]
        wells = jnp.sum(h**2 / 2 + h**4 / 4) + jnp.sum(deep**2) / 2 + gate**2 / 2
        ties = jnp.tanh(h) @ params["up"] @ deep + gate * jnp.sum(deep) / 4
        return wells - ties - ep.bilinear(params["in"], x, h) + jnp.sum(state["none"])

    keys = jax.random.split(jax.random.key(2))
    params = {
        "in": jax.random.normal(keys[0], (4, 6), jnp.float32) / 2,
        "up": jax.random.normal(keys[1], (6, 2), jnp.float32) / 4,
    }
    zeros = jnp.zeros(6, jnp.float32)
    state = {"h": zeros, "deep": (zeros[:2], zeros[0]), "none": zeros[:0]}
    return ep.energy(energy, params, state=state, outputs=lambda state: state["deep"][0])


def lattice(side=6):
    """A square of resistors i = g v + k v³ between neighbours, fed at one side, read at another."""
    places = np.arange(side * side).reshape(side, side)
    first = np.concatenate([places[:, :-1].ravel(), places[:-1].ravel()])
    second = np.concatenate([places[:, 1:].ravel(), places[1:].ravel()])
    ends, read = places[:4, 0], places[[1, 4], -1]

    def energy(params, state, x):
        def power(g, v):
            return jnp.sum(g * v**2 / 2 + 0.3 * v**4 / 4)

        return (
            power(params["ties"], state[first] - state[second])
            + power(params["inputs"], x - state[ends])
            + 1e-3 * jnp.sum(state**2)
        )

    params = {"ties": jnp.full(len(first), 0.5), "inputs": jnp.full(4, 0.5)}
    return ep.energy(
        energy, params, state=jnp.zeros(side * side), outputs=lambda state: state[read]
    )


def regression(dtype):
    """Targets that a network of the same kind can reach: damped mixtures of the inputs."""
    x = np.random.default_rng(0).uniform(-1, 1, (96, 4))
    y = np.stack([0.4 * x[:, 0] + 0.1 * x[:, 1], 0.1 * x[:, 2] + 0.4 * x[:, 3]], axis=1)
    x, y = x.astype(dtype), y.astype(dtype)
    return Data(Split(x[:64], y[:64]), Split(x[64:], y[64:]))


@pytest.mark.parametrize(
    ("build", "dtype", "rate", "share"),
    [(ragged_network, np.float32, 0.1, 0.2), (lattice, np.float64, 1.0, 0.5)],
    ids=["ragged, in single precision", "lattice of cubic resistors"],
)
def test_a_regression_by_a_network_of_ones_own(build, dtype, rate, share):
    """The loss on what was not learned from falls to a share of that of outputs at 0."""
    data = regression(dtype)
    fit = ep.fit(
        build(), ep.SquaredError(), data, ep.EqProp.centred(0.05),
        rates={"*": rate}, epochs=20, batch=8, key=jax.random.key(1),
    )  # fmt: skip
    at_zero = np.mean(np.sum(data.test.y**2, axis=1)) / 2
    assert fit.history["test_loss"][-1] < share * at_zero
