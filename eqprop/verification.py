"""Measures of how far one gradient is from another, and the order at which an estimator's error falls."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from .costs import Cost
from .energy import Energy
from .estimators import Estimator, Implicit


def _flat(gradient: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(gradient)[0], float)


def cosine(a: Any, b: Any) -> float:
    """The cosine a·b / (|a| |b|) of the angle between two gradients, pytrees of one structure."""
    a, b = _flat(a), _flat(b)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def relative_error(gradient: Any, reference: Any) -> float:
    """|gradient − reference| / |reference| in the Euclidean norm."""
    reference = _flat(reference)
    return float(np.linalg.norm(_flat(gradient) - reference) / np.linalg.norm(reference))


def order_of_error(
    estimator: Callable[[float], Estimator], betas: Sequence[float], energy: Energy, cost: Cost, xs: Array, ys: Array
) -> tuple[float, list[float]]:
    """The slope of log(relative error against `Implicit`) over log(β), and the errors; e.g. 2 for `EqProp.centred`.

    Needs float64: raises `RuntimeError` where JAX's x64 mode is off.
    """
    if not jax.config.jax_enable_x64:
        raise RuntimeError("the order of an error is measured in float64: call jax.config.update('jax_enable_x64', True) first")
    exact = Implicit(estimator(betas[0]).method)(energy, cost, xs, ys).grad
    errors = [relative_error(estimator(beta)(energy, cost, xs, ys).grad, exact) for beta in betas]
    return float(np.polyfit(np.log(betas), np.log(errors), 1)[0]), errors
