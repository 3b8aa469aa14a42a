"""How far one gradient is from another, and at what order the errors of the estimators fall."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..costs import Cost, SquaredError
from ..energies import Energy
from ..estimators import ContrastEstimator, Implicit
from ..settling.block_newton import BlockNewton
from ..settling.chain import Chain
from ..settling.equilibrium import Method, free_hessian
from ..settling.newton import Newton
from ..settling.phases import output_nodes
from ..settling.relaxation import default_method, settle


def _flat(gradient: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(gradient)[0], float)


def require_float64(what: str) -> None:
    """Raises `RuntimeError` where JAX's x64 mode is off, naming `what` needs it."""
    if jnp.asarray(0.0).dtype != jnp.float64:
        raise RuntimeError(
            f"{what} needs float64: call jax.config.update('jax_enable_x64', True) first"
        )


def cosine(a: Any, b: Any) -> float:
    """The cosine a·b / (|a| |b|) of the angle between two gradients, pytrees of one structure."""
    a, b = _flat(a), _flat(b)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def relative_error(gradient: Any, reference: Any) -> float:
    """|gradient − reference| / |reference| in the Euclidean norm."""
    reference = _flat(reference)
    return float(np.linalg.norm(_flat(gradient) - reference) / np.linalg.norm(reference))


WINDOW = (1e-11, 1e-4)
"""Between which relative errors an order is fitted: below it rounding shows, above it higher orders do."""


def order_of_error(
    estimator: Callable[[float], ContrastEstimator],
    net: Energy,
    cost: Cost,
    xs: Array,
    ys: Array,
    *,
    strongest: float = 0.5,
    exact: Any = None,
) -> tuple[float, dict[float, float]]:
    """The slope of log(relative error) over log(nudge), and the errors it was fitted to; e.g. 2 for `EqProp.centred`.

    `estimator(nudge)` is tried with nudges from `strongest` down by factors of 1.5, and the slope fitted to the first 8 errors within
    `WINDOW`. Where there are fewer than 3 it is infinite if the errors fall below the window at once, the estimator being exact, and
    else NaN. Phases are settled to 1e-13 where the estimator has no method of its own. `exact`: the gradient to compare with, that of
    `Implicit` if not given. Needs float64: raises `RuntimeError` where JAX's x64 mode is off.
    """
    require_float64("the order of an error")
    tight = tightened(default_method(net, jnp.asarray(xs)[0]))
    exact = Implicit(tight)(net, cost, xs, ys).grad if exact is None else exact
    errors: dict[float, float] = {}
    off = np.inf
    for step in range(60):
        nudge = strongest * 1.5**-step
        made = estimator(nudge)
        made = dataclasses.replace(made, method=tight) if made.method is None else made
        off = relative_error(_gradient(made, net, cost, jnp.asarray(xs), jnp.asarray(ys)), exact)
        if WINDOW[0] < off < WINDOW[1]:
            errors[nudge] = off
        if len(errors) == 8 or off <= WINDOW[0]:
            break
    if len(errors) < 3:
        return np.inf if off <= WINDOW[0] else np.nan, errors
    return float(np.polyfit(np.log(list(errors)), np.log(list(errors.values())), 1)[0]), errors


def has_order(slope: float, order: int) -> bool:
    """Whether a slope of `order_of_error` is within 0.15 of `order`, or that of an exact estimator."""
    return bool(np.isinf(slope) or abs(slope - order) <= 0.15)


_gradient = eqx.filter_jit(lambda estimator, *batch: estimator.estimate(*batch).grad)


def tightened(
    method: BlockNewton | Newton | Chain, tolerance: float | Array = 1e-13
) -> BlockNewton | Chain:
    """A default method with another tolerance; as an array, several share what was compiled."""
    return (
        Chain(method.first, Newton(tolerance=tolerance))
        if isinstance(method, Chain)
        else BlockNewton(tolerance=tolerance)
    )


class _Weighted(Cost):
    """½ (o − t)ᵀK(o − t), with the target t and the weights K side by side in `y`."""

    def __call__(self, outputs, y):
        n = outputs.shape[0]
        off = outputs - y[:n]
        return off @ y[n:].reshape(n, n) @ off / 2

    def decide(self, outputs):
        return outputs


def coupled_reference(
    energy: Energy, cost: SquaredError, xs: Array, ys: Array, method: Method | None = None
) -> Energy:
    """The exact gradient of what `CoupledLearning` descends: ½ (o − t)ᵀK(o − t), K the Schur complement on the outputs held fixed.

    K = ((∂²E/∂s²)⁻¹_oo)⁻¹ at each example's free state. Dense, O(n³) per example. Raises `ValueError` where a bound holds an output:
    clamping moves it against a force, and what the contrast descends is no such cost.
    """
    weighted = []
    method = tightened(default_method(energy, jnp.asarray(xs)[0])) if method is None else method
    for x, y in zip(jnp.asarray(xs), jnp.asarray(ys), strict=True):
        state = settle(energy, x, method).state
        nodes = output_nodes(energy, state)
        hessian, _, free = free_hessian(energy, x, state)
        if not np.asarray(free)[nodes].all():
            raise ValueError("no output may be held by a bound, but some are")
        inverse = np.linalg.inv(np.asarray(hessian))[np.ix_(nodes, nodes)]
        weighted.append(
            np.concatenate(
                [np.asarray(cost.targets(y, len(nodes))), np.linalg.inv(inverse).ravel()]
            )
        )
    return Implicit(method)(energy, _Weighted(), xs, jnp.asarray(np.stack(weighted))).grad


def verify(report: Callable[[str], Any]) -> bool:
    """Measures the order of every estimator's error on every small model, and reports a row for each; whether all passed.

    A row passes where the order is within 0.15 of what the formula says, or where the estimator is exact: no error above 1e-11. Needs
    float64: raises `RuntimeError` where JAX's x64 mode is off.
    """
    from .problems import ORDERS, problems

    require_float64("the order of an error")
    passed = True
    report(f"{'energy':<26}{'estimator':<22}{'order':>6}{'measured':>10}   verdict")
    for name, problem in problems().items():
        for kind, (make, order, suits) in ORDERS.items():
            if not suits(problem):
                continue
            exact = (
                coupled_reference(problem.net, problem.cost, problem.xs, problem.ys)
                if "coupled" in kind
                else None
            )
            strongest = 0.5 if exact is not None else problem.strongest
            slope, _ = order_of_error(make, *problem.batch, strongest=strongest, exact=exact)
            good = has_order(slope, order)
            passed &= good
            measured = f"{'exact':>10}" if np.isinf(slope) else f"{slope:>10.3f}"
            report(f"{name:<26}{kind:<22}{order:>6}{measured}   {'pass' if good else 'FAIL'}")
        jax.clear_caches()  # a process may hold some 65,000 memory maps, and compiled programs take many
    return passed
