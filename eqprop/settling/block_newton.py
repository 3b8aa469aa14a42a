"""Block coordinate descent: each block of nodes in turn goes to the minimum of its nodes."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from ..energies import Energy, State
from .blocks import are_blocks, leaf_slope, leaves_are_blocks
from .compilation import batched_alike
from .contraction import attracts, contraction
from .descent import descend
from .equilibrium import Method, Stop, excess, for_every_node, least, slope_at

SLOW, SLOW_SWEEPS = 0.7, 10
"""Sweeps end after so many whose largest move is above 0.7 of that of the sweep before."""

SLOWEST = 64
"""The largest 1/(1 − ρ) for which more sweeps are made to get a bound of the error."""


class BlockNewton(Method):
    """Block coordinate descent: each block in turn goes to the minimum of its nodes.

    The others are held. No two nodes of a block may interact, so every node is a problem of one
    dimension: one Newton step where the energy is quadratic in the block, else `inner` steps of
    Newton's method kept inside the bracket that the signs of the gradient give. Where the curvature
    is not positive the step is along the gradient, at most 1 long, and a step to where the gradient
    is not finite is shortened. Where sweeps contract slowly,
    damped Newton steps of all nodes end what they have begun.

    **Arguments:** `tolerance`: as of a `Method`. `sweeps`: at most, with the Newton steps after
    them. `inner`: Newton steps of a node in a sweep. `blocks`: the number of the block of each node
    of the flattened state, e.g. from `colour`; the leaves of the state if not given.

    **Raises** `ValueError` where nodes inside a block interact.
    """

    tolerance: float | Array | None = 1e-10
    sweeps: int = 500
    inner: int = 8
    blocks: tuple[int, ...] | None = eqx.field(static=True, default=None)

    def settle(self, energy, x, state, key):
        del key
        start = state
        state, steps, known = self.descend_by_sweeps(energy, x, state, self.tolerance)
        stop = descend(energy, x, state, self.tolerance, self.sweeps - steps, known, start)
        return stop._replace(steps=steps + stop.steps)

    def descend_by_sweeps(
        self, energy: Energy, x: Array, state: State, tolerance: float | Array | None
    ) -> tuple[State, Int[Array, ""], Float[Array, ""] | None]:
        """Return the state after sweeps, their number, and the excess of its error if it is known.

        They end where no node asks for a move beyond `tolerance`, where they contract slowly, or
        after `self.sweeps`. Where nodes only attract each other, the error is bounded by the
        `contraction` ρ of a sweep: after one that moved no node by more than m it is below
        m ρ/(1 − ρ), and rounding of each node's own update adds 4u max|s|/(1 − ρ), u being half a
        rounding unit. ρ is asked where sweeps end, and they go on if it asks for smaller moves.
        Raises as `require_blocks`.
        """
        self.require_blocks(energy, x, state)
        bounded = self.blocks is None and attracts(energy, state)
        eps = max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(state))
        allowed = least(tolerance, state)

        def slack(state):
            """Return a and b such that a times the excess of the moves plus b is the error's.

            And whether they are known.
            """
            rho = contraction(energy, x, state)
            times = 1 / jnp.where(rho < 1, 1 - rho, 0.0)
            known = times < SLOWEST
            factor = jnp.where(known, jnp.maximum(rho * times, 1.0), 1.0)
            return factor, jnp.where(known, 2 * eps / allowed * times, 0.0), known

        def sweep(carry):
            state, over, slow, count = carry
            state, moves = self.sweep(energy, x, state)
            ahead = excess(energy, state, moves, tolerance).astype(over.dtype)
            return state, ahead, jnp.where(ahead > SLOW * over, slow + 1, slow), count + 1

        def unsettled(carry, factor: float | Array = 1.0, rest: float | Array = 0.0):
            _, over, slow, count = carry
            return (count < self.sweeps) & ~(factor * over + rest <= 1) & (slow < SLOW_SWEEPS)

        infinite = batched_alike(jnp.asarray(jnp.inf, ravel_pytree(state)[0].dtype), state)
        start = (state, infinite, jnp.asarray(0), jnp.asarray(0))
        if not bounded:
            state, _, _, steps = jax.lax.while_loop(unsettled, sweep, start)
            return state, steps, None

        def go_on(carry):
            swept, factor, rest, _ = carry
            swept = jax.lax.while_loop(lambda s: unsettled(s, factor, rest), sweep, swept)
            factor, rest, known = slack(swept[0])
            return swept, factor.astype(infinite.dtype), rest.astype(infinite.dtype), known

        def unbounded(carry):
            swept, factor, rest, known = carry
            return known & unsettled(swept, factor, rest)

        one = jnp.ones_like(infinite)
        carry = (start, one, jnp.zeros_like(infinite), jnp.asarray(True))
        (state, over, _, steps), factor, rest, known = jax.lax.while_loop(unbounded, go_on, carry)
        return state, steps, jnp.where(known, factor * over + rest, jnp.inf)

    def require_blocks(self, energy: Energy, x: Array, state: State) -> None:
        """Raise `ValueError` where nodes inside a block interact, or `blocks` do not fit."""
        if self.blocks is None and not leaves_are_blocks(energy, x, state):
            raise ValueError(
                "`method` must not go leaf by leaf: nodes inside one leaf interact; give `blocks`, "
                "or use Newton or GradientFlow"
            )
        if self.blocks is not None and not are_blocks(energy, x, state, self.blocks):
            raise ValueError(
                "`blocks` must be a number for every node, without interaction inside a block; "
                "`colour` finds some"
            )

    def sweep(self, energy: Energy, x: Array, state: State) -> tuple[State, State]:
        """Move each block once.

        **Returns** the state, and the size of the first Newton step that each node asked for when
        its turn came.
        """
        return (
            self._sweep_leaves(energy, x, state)
            if self.blocks is None
            else self._sweep_numbered(energy, x, state, np.asarray(self.blocks))
        )

    def _sweep_leaves(self, energy, x, state):
        leaves, treedef = jax.tree.flatten(state)
        box = energy.bounds(x)
        boxes = (
            [(-jnp.inf, jnp.inf)] * len(leaves)
            if box is None
            else list(zip(*map(jax.tree.leaves, box), strict=True))
        )
        scales = jax.tree.leaves(for_every_node(energy.scale(state), state))
        moves = []
        for index in range(len(leaves)):

            def slope_and_curvature(leaf, index=index):
                return leaf_slope(
                    energy,
                    x,
                    [*leaves[:index], leaf, *leaves[index + 1 :]],
                    treedef,
                    index,
                    jnp.ones_like(leaf),
                )

            leaves[index], first = self._minimise(
                slope_and_curvature, leaves[index], boxes[index], scales[index]
            )
            moves.append(first)
        return jax.tree.unflatten(treedef, leaves), jax.tree.unflatten(treedef, moves)

    def _sweep_numbered(self, energy, x, state, blocks):
        flat, restore = ravel_pytree(state)
        box = energy.bounds(x)
        low, high = (-jnp.inf, jnp.inf) if box is None else (ravel_pytree(side)[0] for side in box)
        scale = ravel_pytree(for_every_node(energy.scale(state), state))[0]

        def settle_block(carry, mask):
            flat, moves = carry
            block_alone = functools.partial(_masked_slope, energy, x, restore, mask, flat)
            settled, first = self._minimise(block_alone, flat, (low, high), scale)
            return (jnp.where(mask, settled, flat), jnp.where(mask, first, moves)), None

        masks = jnp.asarray(blocks == np.unique(blocks)[:, None])
        flat, moves = jax.lax.scan(settle_block, (flat, jnp.zeros_like(flat)), masks)[0]
        return restore(flat), restore(moves)

    def _minimise(self, slope_and_curvature, leaf, box, scale) -> tuple[Array, Array]:
        low, high = box

        def newton(slope, curvature):
            step = -slope * jnp.where(
                curvature > 0, 1 / curvature, jnp.nan
            )  # in a loop the quotient is taken once
            return jnp.where(jnp.isfinite(step), step, -jnp.clip(slope, -1.0, 1.0))

        if not _depends(lambda leaf: slope_and_curvature(leaf)[1], leaf):
            target = jnp.clip(leaf + newton(*slope_and_curvature(leaf)), low, high)
            return target, jnp.abs(target - leaf)

        def unsettled(carry):
            return (carry[0] < self.inner) & jnp.any(carry[4] > 1e-4 * scale)

        def iterate(carry):
            step_number, leaf, left, right, last, first, inside = carry
            slope, curvature = slope_and_curvature(leaf)
            within = jnp.isfinite(slope)
            inside = jnp.where(within, leaf, inside)
            step = newton(slope, curvature)
            left, right = jnp.where(slope < 0, leaf, left), jnp.where(slope > 0, leaf, right)
            bracketed = jnp.isfinite(left) & jnp.isfinite(right)
            outside = (leaf + step <= left) | (leaf + step >= right)
            slow = 2 * jnp.abs(step) > last
            target = jnp.where(
                bracketed & (outside | slow) & (slope != 0), (left + right) / 2, leaf + step
            )
            target = jnp.where(within, target, inside + (leaf - inside) / 32)
            target = jnp.clip(target, low, high)
            first = jnp.where(
                jnp.isinf(first), jnp.abs(jnp.clip(leaf + step, low, high) - leaf), first
            )
            return step_number + 1, target, left, right, jnp.abs(target - leaf), first, inside

        infinite = batched_alike(jnp.full_like(leaf, jnp.inf), leaf)
        nowhere = infinite - infinite
        start = (jnp.asarray(0), leaf, -infinite, infinite, infinite, infinite, nowhere)
        _, end, left, right, last, first, inside = jax.lax.while_loop(unsettled, iterate, start)
        # The slope at the end was not looked at: a long step may have left where it is finite.
        sure = (last <= 1e-4 * scale) | (jnp.isfinite(left) & jnp.isfinite(right))
        return jnp.where(sure, end, inside), first


def _masked_slope(energy, x, restore, mask, others, nodes) -> tuple[Array, Array]:
    """Return ∂E/∂s and its derivative at the nodes of `mask`, the others held.

    0 and 1 elsewhere, where nothing then moves.
    """
    whole = restore(jnp.where(mask, nodes, others))
    slope, curvature = jax.jvp(
        lambda s: slope_at(energy, x, s), (whole,), (restore(mask.astype(nodes.dtype)),)
    )
    return jnp.where(mask, ravel_pytree(slope)[0], 0.0), jnp.where(
        mask, ravel_pytree(curvature)[0], 1.0
    )


class FixedSweeps(Method):
    """Exactly `n` sweeps of `method`, whatever they reach: what the published algorithms do."""

    n: int | Array
    method: BlockNewton = BlockNewton()
    tolerance: None = None

    def settle(self, energy, x, state, key):
        del key
        self.method.require_blocks(energy, x, state)
        state = jax.lax.fori_loop(
            0, self.n, lambda _, state: self.method.sweep(energy, x, state)[0], state
        )
        return Stop(state, jnp.asarray(self.n))


def _depends(function, argument: Array) -> bool:
    """Return whether `function(argument)` depends on its argument, read off its program."""
    program = jax.make_jaxpr(function)(argument).jaxpr
    return any(_reached(program, [True]))


def _reached(program: Jaxpr, reached: list[bool]) -> list[bool]:
    """Which results of a program depend on its `reached` arguments."""
    known = dict(zip(program.invars, reached, strict=True))
    for equation in program.eqns:
        operands = [not isinstance(v, Literal) and known.get(v, False) for v in equation.invars]
        inner = equation.params.get("jaxpr") if equation.primitive.name in ("jit", "pjit") else None
        results = (
            _reached(inner.jaxpr, operands)
            if inner is not None
            else [any(operands)] * len(equation.outvars)
        )
        known.update(zip(equation.outvars, results, strict=True))
    return [not isinstance(v, Literal) and known.get(v, False) for v in program.outvars]
