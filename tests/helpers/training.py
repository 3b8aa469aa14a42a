"""A small training run that is stopped, killed and compared."""

import jax
import numpy as np
import optax

import eqprop as ep
import eqprop.training.loop
from eqprop.data import Data, Split
from helpers.networks import network

COST = ep.SquaredError(on=0.2)


CHUNK = 4


def toy(seed, n=40):
    """Return two classes that a line parts."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))


DATA = Data(toy(0), toy(1), toy(2))


ADAM = optax.chain(
    optax.add_noise(1e-6, 0.55, jax.random.key(0)), optax.adam(1.0)
)  # its moments hold counts and a key


SETTINGS = {
    "net": network(device=None, biases=0.0),
    "cost": COST,
    "data": DATA,
    "estimator": ep.EqProp.one_sided(0.1, ep.FixedSweeps(n=6)),
    "rates": {"conductances*": 0.3},
    "epochs": 3,
    "key": jax.random.key(0),
    "batch": 4,
    "decay": 0.9,
    "optimizer": ADAM,
    "unsettled": "raise",
}


def fit(**change):
    """Train as `SETTINGS` say, but for `change`."""
    return ep.fit(**{**SETTINGS, **change})
