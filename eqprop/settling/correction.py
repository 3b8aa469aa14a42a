"""Newton's correction of a state, with what rounding hides of it and whether there is a minimum."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

DENSE = 64
"""The largest number of nodes whose Hessian is factorised; beyond, conjugate gradients apply it."""

PROBES = 2
"""Random changes of the last digits of a state by which the rounding of ∂E/∂s is measured."""


class Correction(NamedTuple):
    """Newton's correction of one flattened state, damped or not.

    - `step`: −(H + μD)⁻¹ g per node, 0 where a bound holds the node.
    - `floor`: how far rounding of ∂E/∂s may hide the minimum, in the same units.
    - `sure`: what share of a size rounding of H leaves, from 1 down to 0.
    - `convex`: whether the matrix is positive definite, as far as its digits tell.
    - `kicked`: whether a random force was added to −g.
    """

    step: Float[Array, " n"]
    floor: Float[Array, " n"]
    sure: Float[Array, ""]
    convex: Bool[Array, ""]
    kicked: Bool[Array, ""]


def correction(
    slope_of: Callable[[Array], Array],
    flat: Float[Array, " n"],
    free: Bool[Array, " n"],
    scale: Float[Array, " n"],
    damping: Float[Array, ""],
    bent: Bool[Array, ""],
    diagonal: Callable[[], Array] | None = None,
    value_of: Callable[[Array], Array] | None = None,
) -> Correction:
    """Return the correction −(H + μD)⁻¹ g of a state in its free coordinates.

    D_i = |H_ii| + |g_i| / scale_i, so that μ = 1 keeps a step within about `scale`. The matrix is
    eliminated densely up to `DENSE` nodes, without LAPACK, inside whose calls XLA's threads wait
    for each other; beyond, it is applied by conjugate gradients preconditioned by its diagonal.
    Rounding of g is measured, not bounded: g(s + δ) − g(s) − Hδ for random δ in the last digits of
    s, or of its scale where s is smaller, is rounding alone, and `floor` is what H⁻¹ makes of it
    with random signs.

    **Arguments:**

    - `slope_of`: ∂E/∂s as a function of the flattened state.
    - `flat`: the flattened state (n,). `free`: which coordinates no bound holds.
    - `scale`: the length unit of each node, `Energy.scale`.
    - `damping`: μ ≥ 0; 0 for Newton's own correction. `bent`: whether H is known not
      to be positive definite: where |g_i| ≤ 10⁻³ D_i scale_i too, the state is at a saddle, and a
      force of D·scale/100 pushes it off, downhill, or at random where g_i is 0.
    - `diagonal`: returns the diagonal of H, where that is cheap; estimated if not given, for more
      than `DENSE` nodes.
    - `value_of`: E as a function of the flattened state, if it tells more than its slope does: then
      nodes whose slope is 0 although E depends on them, as by `round` or `stop_gradient`, are told
      from nodes on which nothing depends.

    **Returns** a `Correction`.
    """
    n, dtype = flat.size, flat.dtype
    signs = jnp.asarray(_signs(n), dtype)
    slope, curve = jax.linearize(slope_of, flat)
    gradient = jnp.where(free, slope, 0.0)

    def apply(direction):
        product = curve(jnp.where(free, direction, 0.0))
        return jnp.where(free, product, direction)

    if n <= DENSE:
        curvature, finish = _eliminated(apply, flat)
    else:
        curvature, finish = _by_conjugate_gradients(apply, flat, diagonal)

    # One pass for the rounding of g, and for the nodes on which nothing seems to depend: far away
    # on both sides that must still be so, unlike at s = 800 of an energy exp(−s). It is not so of
    # all nodes: then E is a constant, or its derivative was stopped.
    sizes = jnp.abs(curvature) + jnp.abs(gradient) / scale
    flat_here = sizes == 0
    digit = jnp.finfo(dtype).eps * jnp.maximum(jnp.abs(flat), scale)
    shifts = jnp.where(free, signs * 3.3 * digit, 0.0)  # of no whole digits, which would hide some
    far = jnp.where(flat_here, scale, 0.0)
    moved = flat + jnp.concatenate([shifts, jnp.stack([far, -far])])
    slopes = jax.vmap(slope_of)(moved)
    linear = slope + jax.vmap(curve)(moved[:PROBES] - flat)
    noise = jnp.where(free, jnp.max(jnp.abs(slopes[:PROBES] - linear), axis=0), 0.0)
    alone = flat_here & jnp.all(slopes[PROBES:] == 0, axis=0)
    alone &= ~jnp.all(alone)
    if value_of is not None:
        alone &= _is_same(value_of, flat, moved[PROBES:])
    sizes = jnp.where(alone, 1.0, sizes)
    kicked = bent & jnp.all(jnp.abs(gradient) <= 1e-3 * sizes * scale)
    downhill = jnp.where(gradient == 0, signs[0], -jnp.sign(gradient))
    force = -gradient + jnp.where(kicked, 0.01 * sizes * scale, 0.0) * downhill
    steps, convex, sure = finish(
        jnp.where(alone, 1.0, damping * sizes),
        jnp.stack([jnp.where(free, force, 0.0), *(noise * sign for sign in signs)]),
    )
    floor = jnp.max(jnp.abs(steps[1:]), axis=0)
    return Correction(steps[0], floor, sure, convex, kicked)


def _is_same(value_of: Callable[[Array], Array], flat: Array, away: Array) -> Bool[Array, ""]:
    """Return whether E has the same value in the states `away` as at `flat`, but for rounding."""
    here = value_of(flat)
    allowed = 100 * jnp.finfo(flat.dtype).eps * jnp.abs(here)
    return jnp.all(jnp.abs(jax.vmap(value_of)(away) - here) <= allowed)


def _signs(n: int, count: int = PROBES) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], (count, n))


def _eliminated(apply, flat) -> tuple[Array, Callable]:
    """Return the diagonal of H and a function (shift, right sides) → (solutions, convex, sure)."""
    n, dtype = flat.size, flat.dtype
    hessian = jax.vmap(apply)(jnp.eye(n, dtype=dtype))
    hessian = (hessian + hessian.T) / 2

    def finish(shift, sides):
        matrix = hessian + jnp.diag(shift)
        pivots = jnp.diagonal(matrix)
        size = jnp.where(pivots > 0, jax.lax.rsqrt(jnp.where(pivots > 0, pivots, 1.0)), jnp.nan)
        scaled = size[:, None] * matrix * size[None, :]
        whole = jnp.concatenate([scaled, (size * sides).T], axis=1)

        def eliminate(j, carry):
            whole, least = carry
            pivot = whole[j, j]
            row = whole[j] / pivot
            column = whole[:, j].at[j].set(0.0)
            return (whole - jnp.outer(column, row)).at[j].set(row), jnp.minimum(least, pivot)

        start = (whole, jnp.ones((), dtype))
        whole, least = jax.lax.fori_loop(0, n, eliminate, start)
        # The smallest pivot, of 1 at most, is known to a few units in the last digit of 1.
        sure = 1 - 64 * jnp.finfo(dtype).eps / least
        steps = size * whole[:, n:].T
        convex = (least > 0) & (sure > 0) & jnp.all(jnp.isfinite(steps))
        return steps, convex, jnp.where(sure > 0, sure, 1.0)

    return jnp.diagonal(hessian), finish


def _by_conjugate_gradients(apply, flat, diagonal) -> tuple[Array, Callable]:
    """Return the diagonal of H and a function as `_eliminated` does.

    A diagonal that is not given is estimated as the mean of z ⊙ Hz over random signs z. That the
    matrix is positive definite is what the directions of the iteration have seen of it.
    """
    n, dtype = flat.size, flat.dtype
    eps = float(jnp.finfo(dtype).eps)
    if diagonal is None:
        signs = jnp.asarray(_signs(n, 8), dtype)
        curvature = jnp.mean(jax.vmap(lambda sign: sign * apply(sign))(signs), axis=0)
    else:
        curvature = diagonal()

    def finish(shift, sides):
        weight = jnp.abs(curvature) + shift
        weight = jnp.maximum(weight, 1e-3 * jnp.mean(weight))
        product = jax.vmap(lambda v: apply(v) + shift * v)

        def unsolved(carry):
            _, residual, _, _, size, first, convex, count = carry
            del residual
            return convex & (count < 20 * n) & jnp.any(size > (64 * eps) ** 2 * first)

        def iterate(carry):
            solution, residual, direction, _, size, first, convex, count = carry
            image = product(direction)
            bend = jnp.sum(direction * image, axis=1)
            length = jnp.sum(direction * weight * direction, axis=1)
            active = size > (64 * eps) ** 2 * first
            convex &= jnp.all(~active | (bend > 16 * eps * length))
            move = jnp.where(active, size / jnp.where(bend > 0, bend, 1.0), 0.0)[:, None]
            solution, residual = solution + move * direction, residual - move * image
            ahead = residual / weight
            after = jnp.sum(residual * ahead, axis=1)
            turn = jnp.where(active, after / jnp.where(size > 0, size, 1.0), 0.0)[:, None]
            direction = ahead + turn * direction
            return solution, residual, direction, ahead, after, first, convex, count + 1

        ahead = sides / weight
        size = jnp.sum(sides * ahead, axis=1)
        start = (jnp.zeros_like(sides), sides, ahead, ahead, size, size, jnp.asarray(True), 0)
        carry = jax.lax.while_loop(unsolved, iterate, start)
        solved = ~jnp.any(carry[4] > (64 * eps) ** 2 * carry[5])
        return carry[0], carry[6] & solved & jnp.all(jnp.isfinite(carry[0])), jnp.ones((), dtype)

    return curvature, finish
