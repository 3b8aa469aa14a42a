"""The error of a gradient, estimated without the exact one, and settings that make it small."""

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
from ..settling.compilation import jit_by_size
from ..settling.default import default_method
from ..settling.newton import Newton
from ..settling.relaxation import settle
from .verification import relative_error


@dataclass(frozen=True)
class GradientError:
    """The estimated error of a gradient in the Euclidean norm, relative to its own.

    - `nudge`: from the finite strength of the nudge.
    - `settling`: from phases that have not settled.
    """

    nudge: float
    settling: float


def gradient_error(
    estimator: ContrastEstimator,
    net: Energy,
    cost: Cost,
    xs: Array,
    ys: Array,
    key: PRNGKeyArray | None = None,
) -> GradientError:
    """Return the error of an estimator's gradient of one batch, from gradients that are better.

    `nudge` by Richardson's rule from nudges of half the strength, |g(β) − g(β/2)| 2ᵖ/(2ᵖ − 1) for
    an estimator of order p. `settling` by what one step of Newton's method after each phase
    changes, dense and O(n³) per example.

    **Arguments:** `estimator`: whose error is asked for; `net`, `cost`, `xs` (batch, …), `ys`
    (batch, …), `key`: as for the estimator.
    """
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)
    first = default_method() if estimator.method is None else estimator.method
    settled = dataclasses.replace(
        estimator, method=Chain(first=first, second=Newton(tolerance=None, max_steps=1))
    )
    gradient = _gradient(estimator, net, cost, xs, ys, key)
    better = _gradient(settled, net, cost, xs, ys, key)
    weaker = _gradient(settled.scaled(0.5), net, cost, xs, ys, key)
    power = 2.0**estimator.stencil.order
    return GradientError(
        relative_error(better, weaker) * power / (power - 1), relative_error(gradient, better)
    )


_gradient = jit_by_size(lambda estimator, *batch: estimator.estimate(*batch).grad)


@dataclass(frozen=True)
class Calibration:
    """Settings that `calibrate` proposes, and why; print it.

    - `beta`: of `EqProp.centred`, in units of E over C.
    - `tolerance`: of the default method.
    - `sweeps`: `n` of `FixedSweeps`, `None` where the leaves of the state are no blocks, or where
      64 are not enough.
    - `bound`: the smallest `nudge_bound` of the batch; NaN where an energy is not convex at its
      free state.
    - `errors`: the gradient's relative error for each `beta`, `tolerance` and `sweeps` tried.
    - `notes`: what else is worth knowing.
    """

    beta: float
    tolerance: float
    sweeps: int | None
    bound: float
    errors: dict[str, dict[float, float]]
    notes: tuple[str, ...]

    def __str__(self):
        tried = len(self.errors["beta"])
        beta, tolerance = self.errors["beta"][self.beta], self.errors["tolerance"][self.tolerance]
        lines = [
            f"beta = {self.beta:.3g}: the strongest of {tried} with a small enough error, "
            f"{beta:.2g}; a negative nudge must stay below {self.bound:.3g}",
            f"tolerance = {self.tolerance:.0e}: the loosest with which the error stays small "
            f"enough, {tolerance:.2g}",
        ]
        if self.sweeps is not None:
            sweeps = self.errors["sweeps"][self.sweeps]
            lines.append(
                f"sweeps = {self.sweeps}: the fewest with a small enough error, {sweeps:.2g}"
            )
        return "\n".join([*lines, *self.notes])


def calibrate(net: Energy, cost: Cost, xs: Array, ys: Array, *, error: float = 0.01) -> Calibration:
    """Propose a nudge, a tolerance and a number of sweeps for `EqProp.centred`.

    Every setting is tried on the batch against `Implicit`, from strong, loose and few to weak,
    tight and many, the others being good: the first that is within `error` is proposed. Nudges are
    tried from half of `nudge_bound` down by factors of about 3. Dense, O(n³) per example.

    **Arguments:** `net`, `cost`, `xs` (batch, …), `ys` (batch, …): as for an estimator, a batch of
    a few; `error`: the largest relative error of the gradient.

    **Returns** a `Calibration`.

    **Raises** `ValueError` where no nudge reaches `error`, and where the gradient is 0.
    """
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)
    exact_method = default_method(jnp.asarray(1e-13))
    exact = Implicit(exact_method)(net, cost, xs, ys).grad
    if not any(np.any(leaf) for leaf in jax.tree.leaves(exact)):
        raise ValueError(
            "`xs` and `ys` must give a gradient to compare with, "
            "but theirs is 0 for every parameter"
        )

    def error_of(method, beta):
        gradient = _gradient(EqProp.centred(beta, method), net, cost, xs, ys, None)
        return relative_error(gradient, exact)

    # The nudge first, with phases settled as well as they can be.
    tried: dict[str, dict[float, float]] = {"beta": {}, "tolerance": {}, "sweeps": {}}
    states = _free_states(net, xs, exact_method)
    bound = float(np.min(nudge_bounds(net, cost, xs, ys, states)))
    beta = _strongest(tried["beta"], bound, lambda b: error_of(exact_method, b), error)

    # Then the tolerance and the sweeps, with that nudge, whose own error comes on top.
    allowed = max(error, 2 * tried["beta"][beta])
    tolerances = [10.0**-k for k in range(1, 13)]
    tolerance = _first(
        tried["tolerance"],
        tolerances,
        lambda t: error_of(default_method(jnp.asarray(t)), beta),
        allowed,
    )
    sweeps = None
    blocks = leaves_are_blocks(net, xs[0], net.init_state(xs[0]))
    if blocks:
        sweeps = _first(
            tried["sweeps"],
            [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64],
            lambda n: error_of(FixedSweeps(n=jnp.asarray(n)), beta),
            allowed,
        )
    tolerance = tolerances[-1] if tolerance is None else tolerance
    return Calibration(beta, tolerance, sweeps, bound, tried, _notes(net, xs[0], blocks))


def _notes(net: Energy, x: Array, blocks: bool) -> tuple[str, ...]:
    """Return what else is worth knowing of a network; `blocks`: whether its leaves are blocks."""
    notes = [
        f"the energy writes an array of shape {shape} that depends on the state for every example "
        "of a batch; `eqprop.conductances` and `eqprop.bilinear` do without"
        for shape in large_intermediates(net, x)
    ]
    if not blocks:
        notes.insert(
            0,
            "nodes inside one leaf of the state interact: `FixedSweeps` and `BlockNewton` do not "
            "apply without `blocks`",
        )
    return tuple(notes)


def _strongest(tried: dict, bound: float, measure: Any, error: float) -> float:
    """Return the strongest nudge, from half of `bound` down, whose measured error is small enough.

    **Raises** `ValueError` where there is none.
    """
    start = 0.5 * bound if np.isfinite(bound) else 1.0
    betas = [float(f"{start * 10 ** (-k / 2):.1e}") for k in range(14)]
    beta = _first(tried, betas, measure, error)
    if beta is None:
        raise ValueError(
            f"`error` must be reached by some nudge, but is {error} and the errors are {tried}"
        )
    return beta


def _first(tried: dict, values: list, measure: Any, error: float) -> Any:
    """Return the first of `values` whose measured error is within `error`; `None` if none is.

    All that were tried are kept in `tried`.
    """
    for value in values:
        tried[value] = measure(value)
        if tried[value] <= error:
            return value
    return None


@jit_by_size
def _free_states(net, xs, method):
    return jax.vmap(lambda x: settle(net, x, method).state)(xs)


def large_intermediates(net: Energy, x: Array) -> list[tuple[int, ...]]:
    """Return the shapes of arrays as large as a matrix that the energy makes from its state.

    A batch makes one for each example: right, but 40 to 100 times slower than sums over matrix
    products.

    **Arguments:** `net`: the network; `x`: one input.
    """
    state = net.init_state(x)
    nodes = sum(leaf.size for leaf in jax.tree.leaves(state))
    parameters = jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    matrices = [leaf.size for leaf in parameters if leaf.ndim > 1]
    if not matrices:
        return []

    program = jax.make_jaxpr(lambda s: net(s, x))(state).jaxpr
    of_the_state, shapes = set(program.invars), []
    for equation in program.eqns:
        if any(not isinstance(v, Literal) and v in of_the_state for v in equation.invars):
            of_the_state.update(equation.outvars)
            for result in (v.aval for v in equation.outvars):
                large = result.size >= min(matrices) and result.size > 4 * nodes
                if large and result.shape not in shapes:
                    shapes.append(result.shape)
    return shapes
