"""Small networks of every kind, each with a batch, to hold estimators against exact gradients."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import models
from ..costs import SquaredError
from ..energies import Energy, energy
from ..estimators import ContrastEstimator, CoupledLearning, EqProp, Holomorphic
from ..estimators.bounds import nudge_bounds
from ..estimators.holomorphic import require_analytic
from ..settling.phases import output_nodes
from ..settling.relaxation import settle


@dataclass(frozen=True)
class Problem:
    """A network with a batch of examples, in the order that estimators take them."""

    net: Energy
    cost: SquaredError
    xs: Array
    ys: Array

    @property
    def batch(self) -> tuple[Energy, SquaredError, Array, Array]:
        """The network, the cost, the inputs and the targets."""
        return self.net, self.cost, self.xs, self.ys

    @functools.cached_property
    def strongest(self) -> float:
        """A quarter of the smallest `nudge_bound` at the free states."""
        states = eqx.filter_jit(jax.vmap(lambda x: settle(self.net, x).state))(self.xs)
        return 0.25 * float(np.min(nudge_bounds(*self.batch, states)))

    @property
    def smooth(self) -> bool:
        """Whether no bound can be met on the way of a strong nudge."""
        return self.net.bounds(self.xs[0]) is None

    @functools.cached_property
    def analytic(self) -> bool:
        """Whether a holomorphic estimate can be had."""
        return _accepts(lambda: require_analytic(self.net, self.cost, self.xs[0], self.ys[0]))

    @functools.cached_property
    def clampable(self) -> bool:
        """Whether the outputs are nodes."""
        return _accepts(lambda: output_nodes(self.net, self.net.init_state(self.xs[0])))


def _accepts(test: Callable[[], Any]) -> bool:
    try:
        test()
    except ValueError:
        return False
    return True


ORDERS: dict[str, tuple[Callable[[float], ContrastEstimator], int, Callable[[Problem], bool]]] = {
    "one-sided": (EqProp.one_sided, 1, lambda problem: True),
    "centred": (EqProp.centred, 2, lambda problem: True),
    "4 points": (lambda beta: EqProp.points(beta, 4), 4, lambda problem: problem.smooth),
    "6 points": (lambda beta: EqProp.points(beta, 6), 6, lambda problem: problem.smooth),
    "holomorphic, 4 points": (
        lambda beta: Holomorphic.points(beta, 4),
        4,
        lambda problem: problem.analytic,
    ),
    "holomorphic, 6 points": (
        lambda beta: Holomorphic.points(beta, 6),
        6,
        lambda problem: problem.analytic,
    ),
    "coupled, one-sided": (CoupledLearning.one_sided, 1, lambda problem: problem.clampable),
    "coupled, centred": (CoupledLearning.centred, 2, lambda problem: problem.clampable),
}
"""Every estimator whose error falls as a power of its nudge.

How it is made, the power, and which problems it suits.
"""


@dataclass(frozen=True)
class SoftPair:
    """Two antiparallel diodes as one law, i(v) = 2 Is sinh(v / V0)."""

    saturation: float = 0.05
    scale: float = 0.5

    def current(self, v: Array) -> Array:
        """Return i(v) in A."""
        return 2 * self.saturation * jnp.sinh(v / self.scale)

    def cocontent(self, v: Array) -> Array:
        """Return ∫₀ᵛ i(u) du in W."""
        return 2 * self.saturation * self.scale * (jnp.cosh(v / self.scale) - 1)


@dataclass(frozen=True)
class HalfWave:
    """Ideal diodes: the first half of the nodes at 0 V or above, the second at 0 V or below."""

    def current(self, v: Array) -> Array:
        """Return 0 A, the current within the bounds."""
        return 0.0 * v

    def cocontent(self, v: Array) -> Array:
        """Return 0 W, the co-content within the bounds."""
        return 0.0 * v

    def bounds(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest voltage of each of n nodes, in V."""
        first = np.arange(n) < (n + 1) // 2
        return np.where(first, 0.0, -np.inf), np.where(first, np.inf, 0.0)


def problems() -> dict[str, Problem]:
    """Return the problems by name, each with four examples; float64 where x64 mode is on."""
    keys = jax.random.split(jax.random.key(0), 12)
    convolution = functools.partial(
        models.Convolution.init, channels=2, size=3, padding=1, pooling=models.AveragePooling(2)
    )
    local = functools.partial(
        models.LocallyConnected.init,
        channels=2,
        size=3,
        padding=1,
        pooling=models.AveragePooling(2),
    )
    last = functools.partial(models.Dense.init, nodes=2)
    return {
        "a function: quartic": _problem(_quartic(keys[0]), (3,)),
        "resistive, linear": _problem(_rested(models.Resistive.init(keys[1], (3, 8, 2))), (3,)),
        "resistive, diode pairs": _problem(
            _rested(models.Resistive.init(keys[2], (3, 6, 5, 2), device=SoftPair())), (3,), 3.0
        ),
        "resistive, ideal diodes": _problem(
            _rested(models.Resistive.init(keys[3], (3, 8, 2), device=HalfWave())), (3,)
        ),
        "Hopfield, hard sigmoid": _problem(_biased(models.Hopfield.init(keys[4], (3, 6, 2))), (3,)),
        "Hopfield, tanh": _problem(
            models.Hopfield.init(keys[5], (3, 6, 5, 2), models.Tanh()), (3,)
        ),
        "Hopfield, sigmoid": _problem(
            models.Hopfield.init(keys[6], (3, 6, 2), models.Sigmoid()), (3,)
        ),
        "Hopfield, convolutional": _problem(
            models.Hopfield.stack(keys[7], (1, 4, 6), [convolution, last], models.Tanh()), (1, 4, 6)
        ),
        "Hopfield, local": _problem(
            models.Hopfield.stack(keys[8], (1, 4, 6), [local, last], models.Tanh()), (1, 4, 6)
        ),
        "oscillators": _problem(models.Oscillators.init(keys[9], 3, 5, 2), (3,), 2.0),
        "Ising": _problem(models.Ising.init(keys[10], 3, 5, 2), (3,)),
        "attention": _problem(models.Attention.init(keys[11], 3, 6, 2), (3,)),
        "springs": _problem(models.Springs.init(keys[0], 3, 2), (6,), 0.1),
    }


def _problem(net: Energy, inputs: tuple[int, ...], scale: float = 1.0) -> Problem:
    random = np.random.default_rng(0)
    xs = jnp.asarray(scale * random.uniform(-1, 1, (4, *inputs)), float)
    outputs = net.outputs(net.init_state(xs[0]))
    return Problem(
        net,
        SquaredError(),
        xs,
        outputs + jnp.asarray(random.uniform(-0.5, 0.5, (4, outputs.size)), outputs.dtype),
    )


def _quartic(key: Array) -> Energy:
    def quartic(params, state, x):
        return state @ params["J"] @ state / 2 - state @ (params["W"] @ x) + jnp.sum(state**4) / 4

    first, second = jax.random.split(key)
    root = jax.random.normal(first, (6, 6)) / 3
    params = {"J": root @ root.T + 0.5 * jnp.eye(6), "W": jax.random.normal(second, (6, 3))}
    return energy(quartic, params, state=jnp.zeros(6), outputs=lambda state: state[-2:])


def _rested(net: models.Resistive) -> models.Resistive:
    """Return the network with some conductance everywhere, so that no node floats."""
    return eqx.tree_at(lambda n: n.conductances, net, tuple(g + 0.05 for g in net.conductances))


def _biased(net: models.Hopfield) -> models.Hopfield:
    """Return the network with biases that keep hard outputs off their bounds."""
    random = np.random.default_rng(3)
    return eqx.tree_at(
        lambda n: n.biases,
        net,
        tuple(jnp.asarray(random.uniform(0.0, 0.6, b.shape), b.dtype) for b in net.biases),
    )
