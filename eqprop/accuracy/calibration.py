"""How good a gradient is, estimated without the exact one, and the settings that make it good enough."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array, PRNGKeyArray

from ..costs import Cost
from ..energies import Energy
from ..estimators import ContrastEstimator, EqProp, Implicit
from ..estimators.bounds import nudge_bounds
from ..settling.block_newton import FixedSweeps
from ..settling.blocks import leaves_are_blocks
from ..settling.chain import Chain
from ..settling.newton import Newton
from ..settling.relaxation import default_method, settle
from .verification import relative_error, tightened


@dataclass(frozen=True)
class GradientError:
    """What a gradient is estimated to be off by, in the Euclidean norm and relative to its own.

    `nudge`: by the finite strength of the nudge. `settling`: by phases that have not settled.
    """

    nudge: float
    settling: float


def gradient_error(
    estimator: ContrastEstimator,
    energy: Energy,
    cost: Cost,
    xs: Array,
    ys: Array,
    key: PRNGKeyArray | None = None,
) -> GradientError:
    """The error of an estimator's gradient of one batch, estimated from gradients that are better.

    `nudge` by Richardson's rule from nudges of half the strength, |g(β) − g(β/2)| 2ᵖ/(2ᵖ − 1) for an estimator of order p. `settling`
    by what one step of Newton's method after each phase changes, dense and O(n³) per example.
    """
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)
    first = default_method(energy, xs[0]) if estimator.method is None else estimator.method
    settled = dataclasses.replace(
        estimator, method=Chain(first=first, second=Newton(tolerance=None, max_steps=1))
    )
    gradient = _gradient(estimator, energy, cost, xs, ys, key)
    better = _gradient(settled, energy, cost, xs, ys, key)
    weaker = _gradient(settled.scaled(0.5), energy, cost, xs, ys, key)
    power = 2.0**estimator.stencil.order
    return GradientError(
        relative_error(better, weaker) * power / (power - 1), relative_error(gradient, better)
    )


_gradient = eqx.filter_jit(lambda estimator, *batch: estimator.estimate(*batch).grad)


@dataclass(frozen=True)
class Calibration:
    """Settings that `calibrate` proposes, and why; print it.

    - `beta`: of `EqProp.centred`, in units of E over C. `tolerance`: of the default method. `sweeps`: `n` of `FixedSweeps`, `None` where the
      leaves of the state are no blocks, or where 64 are not enough.
    - `bound`: the smallest `nudge_bound` of the batch; NaN where an energy is not convex at its free state.
    - `errors`: relative error of the gradient for each `beta`, `tolerance` and `sweeps` that was tried.
    - `notes`: what else is worth knowing.
    """

    beta: float
    tolerance: float
    sweeps: int | None
    bound: float
    errors: dict[str, dict[float, float]]
    notes: tuple[str, ...]

    def __str__(self):
        beta, tolerance = self.errors["beta"][self.beta], self.errors["tolerance"][self.tolerance]
        lines = [
            f"beta = {self.beta:.3g}: the strongest of {len(self.errors['beta'])} with a small enough error, {beta:.2g}; "
            f"a negative nudge must stay below {self.bound:.3g}",
            f"tolerance = {self.tolerance:.0e}: the loosest with which the error stays small enough, {tolerance:.2g}",
        ]
        if self.sweeps is not None:
            lines.append(
                f"sweeps = {self.sweeps}: the fewest with a small enough error, {self.errors['sweeps'][self.sweeps]:.2g}"
            )
        return "\n".join([*lines, *self.notes])


def calibrate(
    energy: Energy, cost: Cost, xs: Array, ys: Array, *, error: float = 0.01
) -> Calibration:
    """Proposes a nudge, a tolerance and a number of sweeps with which `EqProp.centred` is off by at most `error`, relative.

    Every setting is tried on the batch against `Implicit`, from strong, loose and few to weak, tight and many, the others being good:
    the first that is within `error` is proposed. Nudges are tried from half of `nudge_bound` down by factors of about 3. Dense, O(n³)
    per example: give a batch of a few. Raises `ValueError` where no nudge reaches `error`, and where the gradient is 0.
    """
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)
    exact_method = tightened(default_method(energy, xs[0]), jnp.asarray(1e-13))
    exact = Implicit(exact_method)(energy, cost, xs, ys).grad
    if not any(np.any(leaf) for leaf in jax.tree.leaves(exact)):
        raise ValueError(
            "`xs` and `ys` must give a gradient to compare with, but theirs is 0 for every parameter"
        )
    bound = float(
        np.min(nudge_bounds(energy, cost, xs, ys, _free_states(energy, xs, exact_method)))
    )
    tried: dict[str, dict[float, float]] = {"beta": {}, "tolerance": {}, "sweeps": {}}

    def off(method, beta):
        return relative_error(
            _gradient(EqProp.centred(beta, method), energy, cost, xs, ys, None), exact
        )

    start = 0.5 * bound if np.isfinite(bound) else 1.0
    beta = _first(
        tried["beta"],
        [float(f"{start * 10 ** (-k / 2):.1e}") for k in range(14)],
        lambda b: off(exact_method, b),
        error,
    )
    if beta is None:
        raise ValueError(
            f"`error` must be reached by some nudge, but is {error} and the errors are {tried['beta']}"
        )
    allowed = max(error, 2 * tried["beta"][beta])
    blocks = leaves_are_blocks(energy, xs[0], energy.init_state(xs[0]))
    tolerances = [10.0**-k for k in range(1, 13)]
    tolerance = _first(
        tried["tolerance"],
        tolerances,
        lambda t: off(tightened(exact_method, jnp.asarray(t)), beta),
        allowed,
    )
    sweeps = None
    if blocks:
        counts = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64]
        sweeps = _first(
            tried["sweeps"], counts, lambda n: off(FixedSweeps(n=jnp.asarray(n)), beta), allowed
        )
    notes = (
        []
        if blocks
        else [
            "nodes inside one leaf of the state interact: `FixedSweeps` and `BlockNewton` do not apply without `blocks`"
        ]
    )
    notes += [
        f"the energy writes an array of shape {shape} that depends on the state for every example of a batch; "
        "`eqprop.conductances` and `eqprop.bilinear` do without"
        for shape in large_intermediates(energy, xs[0])
    ]
    return Calibration(
        beta, tolerances[-1] if tolerance is None else tolerance, sweeps, bound, tried, tuple(notes)
    )


def _first(tried: dict, values: list, measure: Any, error: float) -> Any:
    """The first of `values` whose measured error is within `error`; `None` if none is. All that were tried are kept in `tried`."""
    for value in values:
        tried[value] = measure(value)
        if tried[value] <= error:
            return value
    return None


@eqx.filter_jit
def _free_states(energy, xs, method):
    return jax.vmap(lambda x: settle(energy, x, method).state)(xs)


def large_intermediates(energy: Energy, x: Array) -> list[tuple[int, ...]]:
    """The shapes of arrays that an energy makes from its state and that are as large as a matrix of its parameters.

    A batch makes one for each example: right, but 40 to 100 times slower than sums over matrix products.
    """
    state = energy.init_state(x)
    nodes = sum(leaf.size for leaf in jax.tree.leaves(state))
    matrices = [
        leaf.size
        for leaf in jax.tree.leaves(eqx.filter(energy, eqx.is_inexact_array))
        if leaf.ndim > 1
    ]
    if not matrices:
        return []
    program = jax.make_jaxpr(lambda s: energy(s, x))(state).jaxpr
    known, found = set(program.invars), []
    for equation in program.eqns:
        if any(not isinstance(v, Literal) and v in known for v in equation.invars):
            known.update(equation.outvars)
            shapes = [
                v.aval.shape
                for v in equation.outvars
                if v.aval.size >= min(matrices) and v.aval.size > 4 * nodes
            ]
            found += [shape for shape in shapes if shape not in found]
    return found
