"""How far one gradient is from another, and at what order the errors of the estimators fall."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..costs import Cost, SquaredError
from ..energies import Energy
from ..estimators import ContrastEstimator, Implicit
from ..settling.compilation import jit_by_size
from ..settling.default import default_method
from ..settling.equilibrium import Method, free_hessian
from ..settling.phases import output_nodes
from ..settling.relaxation import settle


def _flat(gradient: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(gradient)[0], float)


def require_float64(what: str) -> None:
    """Raise `RuntimeError` where JAX's x64 mode is off; the message says that `what` needs it."""
    if jnp.asarray(0.0).dtype != jnp.float64:
        raise RuntimeError(
            f"{what} needs float64: call jax.config.update('jax_enable_x64', True) first"
        )


def cosine(a: Any, b: Any) -> float:
    """Return the cosine a·b / (|a| |b|) of the angle between two gradients.

    **Arguments:** `a`, `b`: pytrees of one structure.
    """
    a, b = _flat(a), _flat(b)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def relative_error(gradient: Any, reference: Any) -> float:
    """Return |gradient − reference| / |reference| in the Euclidean norm.

    **Arguments:** `gradient`, `reference`: pytrees of one structure.
    """
    reference = _flat(reference)
    return float(np.linalg.norm(_flat(gradient) - reference) / np.linalg.norm(reference))


WINDOW = (1e-11, 1e-4)
"""The relative errors between which an order is fitted.

Below the first rounding shows, above the second higher orders do.
"""


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
    """Return the slope of log(relative error) over log(nudge); e.g. 2 for `EqProp.centred`.

    The slope is fitted to the first 8 errors within `WINDOW`, for nudges from `strongest` down by
    factors of 1.5. Where there are fewer than 3 it is infinite if the errors fall below the window
    at once, the estimator being exact, and else NaN. Phases are settled to 1e-13 where the
    estimator has no method of its own.

    **Arguments:**

    - `estimator(nudge)`: the estimator with a given nudge.
    - `net`, `cost`, `xs` (batch, …), `ys` (batch, …): as for an estimator.
    - `strongest`: the first nudge, in the estimator's own units.
    - `exact`: the gradient to compare with; that of `Implicit` if not given.

    **Returns** the slope, and the errors by nudge that it was fitted to.

    **Raises** `RuntimeError` where JAX's x64 mode is off.
    """
    require_float64("the order of an error")
    tight = default_method(1e-13)
    exact = Implicit(tight)(net, cost, xs, ys).grad if exact is None else exact
    errors: dict[float, float] = {}
    error = np.inf
    for step in range(60):
        nudge = strongest * 1.5**-step
        nudged = estimator(nudge)
        if nudged.method is None:
            nudged = dataclasses.replace(nudged, method=tight)
        gradient = _gradient(nudged, net, cost, jnp.asarray(xs), jnp.asarray(ys))
        error = relative_error(gradient, exact)
        if WINDOW[0] < error < WINDOW[1]:
            errors[nudge] = error
        if len(errors) == 8 or error <= WINDOW[0]:
            break
    if len(errors) < 3:
        return np.inf if error <= WINDOW[0] else np.nan, errors
    return float(np.polyfit(np.log(list(errors)), np.log(list(errors.values())), 1)[0]), errors


def has_order(slope: float, order: int) -> bool:
    """Return whether a slope of `order_of_error` is within 0.15 of `order`, or infinite (exact)."""
    return bool(np.isinf(slope) or abs(slope - order) <= 0.15)


_gradient = jit_by_size(lambda estimator, *batch: estimator.estimate(*batch).grad)


class _Weighted(Cost):
    """½ (o − t)ᵀK(o − t), with the target t and the weights K side by side in `y`."""

    def __call__(self, outputs, y):
        n = outputs.shape[0]
        error = outputs - y[:n]
        return error @ y[n:].reshape(n, n) @ error / 2

    def decide(self, outputs):
        return outputs


def coupled_reference(
    net: Energy, cost: SquaredError, xs: Array, ys: Array, method: Method | None = None
) -> Energy:
    """Return the exact gradient of what `CoupledLearning` descends, ½ (o − t)ᵀK(o − t).

    K = ((∂²E/∂s²)⁻¹_oo)⁻¹, the Schur complement on the outputs at each example's free state, is
    held fixed. Dense, O(n³) per example.

    **Arguments:** `net`, `cost`, `xs` (batch, …), `ys` (batch, …): as for an estimator; `method`:
    how the free phase is settled, tightly if not given.

    **Returns** an energy like `net`, with `None` in place of what does not learn.

    **Raises** `ValueError` where a bound holds an output: clamping moves it against a force, and
    what the contrast descends is no such cost.
    """
    weighted = []
    method = default_method(1e-13) if method is None else method
    for x, y in zip(jnp.asarray(xs), jnp.asarray(ys), strict=True):
        state = settle(net, x, method).state
        nodes = output_nodes(net, state)
        hessian, _, free = free_hessian(net, x, state)
        if not np.asarray(free)[nodes].all():
            raise ValueError("no output may be held by a bound, but some are")
        inverse = np.linalg.inv(np.asarray(hessian))[np.ix_(nodes, nodes)]
        weighted.append(
            np.concatenate(
                [np.asarray(cost.targets(y, len(nodes))), np.linalg.inv(inverse).ravel()]
            )
        )
    return Implicit(method)(net, _Weighted(), xs, jnp.asarray(np.stack(weighted))).grad


def verify(report: Callable[[str], Any]) -> bool:
    """Measure the order of every estimator's error on every small network; report a row for each.

    A row passes where the order is within 0.15 of what the formula says, or where the estimator is
    exact: no error above 1e-11.

    **Arguments:** `report`: takes each line of the table.

    **Returns** whether all rows passed.

    **Raises** `RuntimeError` where JAX's x64 mode is off.
    """
    from .problems import ORDERS, problems

    require_float64("the order of an error")
    passed = True
    report(f"{'energy':<26}{'estimator':<22}{'order':>6}{'measured':>10}   verdict")
    for name, problem in problems().items():
        for kind, (make, order, suits) in ORDERS.items():
            if not suits(problem):
                continue
            exact = coupled_reference(*problem.batch) if "coupled" in kind else None
            strongest = 0.5 if exact is not None else problem.strongest
            slope, _ = order_of_error(make, *problem.batch, strongest=strongest, exact=exact)
            as_expected = has_order(slope, order)
            passed &= as_expected
            measured = f"{'exact':>10}" if np.isinf(slope) else f"{slope:>10.3f}"
            verdict = "pass" if as_expected else "FAIL"
            report(f"{name:<26}{kind:<22}{order:>6}{measured}   {verdict}")
        # A process may hold some 65,000 memory maps, and compiled programs take many.
        jax.clear_caches()
    return passed
