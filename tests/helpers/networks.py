"""Networks and examples that many tests settle."""

import jax
import jax.numpy as jnp
import numpy as np

import circuits
import eqprop as ep

PAIR = circuits.DiodePair(saturation=1e-9, bias=0.1)


def network(device=PAIR, sizes=(3, 8, 2), seed=0, unit=1e-5, gain=4.0, biases=0.3):
    """A random network in which every node has some conductance."""
    net = ep.Resistive.init(jax.random.key(seed), sizes, device=device, unit=unit, input_gain=gain)
    random = np.random.default_rng(seed)
    return ep.Resistive(
        tuple(g.at[0].add(0.02).at[:, 0].add(0.02) for g in net.conductances),
        tuple(jax.numpy.asarray(biases * random.standard_normal(b.shape)) for b in net.biases),
        device,
        unit,
        gain,
    )


def examples(n=5, inputs=3, outputs=2, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (n, inputs)), random.uniform(-0.3, 0.3, (n, outputs))


DEVICES = {
    "pair": PAIR,
    "ideal": circuits.IdealDiodes(),
    "ideal pair": circuits.IdealPair(0.1),
    "linear": None,
}


def quartic(params, state, x):
    return state @ params["J"] @ state / 2 - state @ (params["W"] @ x) + jnp.sum(state**4) / 4


def coupled():
    root = np.random.default_rng(0).standard_normal((6, 6))
    params = {
        "J": jnp.asarray(root @ root.T),
        "W": jnp.asarray(np.random.default_rng(1).standard_normal((6, 3))),
    }
    return ep.energy(quartic, params, state=jnp.zeros(6), outputs=lambda state: state[-2:])
