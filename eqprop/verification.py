"""Measures of how far one gradient is from another, and the study of the order at which the estimators' errors fall."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from .costs import Cost, SquaredError
from .energy import Energy, energy
from .estimators import EqProp, Estimator, Implicit
from .models import Resistive


def _flat(gradient: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(gradient)[0], float)


def require_float64(what: str) -> None:
    """Raises `RuntimeError` where JAX's x64 mode is off, naming `what` needs it."""
    if jnp.asarray(0.0).dtype != jnp.float64:
        raise RuntimeError(f"{what} needs float64: call jax.config.update('jax_enable_x64', True) first")


def cosine(a: Any, b: Any) -> float:
    """The cosine a·b / (|a| |b|) of the angle between two gradients, pytrees of one structure."""
    a, b = _flat(a), _flat(b)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def relative_error(gradient: Any, reference: Any) -> float:
    """|gradient − reference| / |reference| in the Euclidean norm."""
    reference = _flat(reference)
    return float(np.linalg.norm(_flat(gradient) - reference) / np.linalg.norm(reference))


def order_of_error(
    estimator: Callable[[float], Estimator], betas: Sequence[float], net: Energy, cost: Cost, xs: Array, ys: Array
) -> tuple[float, list[float]]:
    """The slope of log(relative error against `Implicit`) over log(β), and the errors; e.g. 2 for `EqProp.centred`.

    Needs float64: raises `RuntimeError` where JAX's x64 mode is off.
    """
    require_float64("the order of an error")
    exact = Implicit(estimator(betas[0]).method)(net, cost, xs, ys).grad
    errors = [relative_error(estimator(beta)(net, cost, xs, ys).grad, exact) for beta in betas]
    return float(np.polyfit(np.log(betas), np.log(errors), 1)[0]), errors


def verify() -> tuple[str, bool]:
    """The order of every estimator's error on small energies, as a table, and whether each is within 0.15 of what its formula says.

    Needs float64, as `order_of_error`.
    """
    betas = (0.03, 0.01, 0.003)
    lines, passed = [f"{'energy':<24}{'estimator':<20}{'order':>8}{'measured':>10}   verdict"], True
    for name, (net, cost, xs, ys) in _problems().items():
        for kind, estimator, order in (("one-sided", EqProp.one_sided, 1), ("centred", EqProp.centred, 2)):
            slope, _ = order_of_error(estimator, betas, net, cost, xs, ys)
            good = abs(slope - order) <= 0.15
            passed &= good
            lines.append(f"{name:<24}{kind:<20}{order:>8}{slope:>10.3f}   {'pass' if good else 'FAIL'}")
    return "\n".join(lines), passed


def _problems() -> dict[str, tuple[Energy, Cost, Array, Array]]:
    """Convex energies with a batch of four examples each."""
    keys = jax.random.split(jax.random.key(0), 5)
    xs, ys = jax.random.normal(keys[0], (4, 3)), jax.random.normal(keys[1], (4, 2))

    def quartic(params, state, x):
        return state @ params["J"] @ state / 2 - state @ (params["W"] @ x) + jnp.sum(state**4) / 4

    root = jax.random.normal(keys[2], (6, 6)) / 3
    params = {"J": root @ root.T + 0.5 * jnp.eye(6), "W": jax.random.normal(keys[3], (6, 3))}
    own = energy(quartic, params, state=jnp.zeros(6), outputs=lambda state: state[-2:])
    linear = Resistive.init(keys[4], (3, 8, 2))
    return {"quartic function": (own, SquaredError(), xs, ys), "linear resistive 3-8-2": (linear, SquaredError(), xs, ys)}
