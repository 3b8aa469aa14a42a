"""Settling to a fixed point of an energy: block coordinate descent, full Newton, and the certificate every equilibrium carries."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .blocks import leaf_slope, leaves_are_blocks
from .energy import Energy, State


class NotSettledError(RuntimeError):
    """A phase did not reach its tolerance in its budget."""


class Equilibrium(eqx.Module):
    """A settled phase with its certificate, recomputed at `state` after the method has stopped.

    - `residual`: ∂E/∂s per node, 0 where a bound holds the node against it; a pytree like the state, in the units of E over s.
    - `error`: the largest |residual / (∂²E/∂s²)_ii| over the nodes, in the units of the state: what one more step at a node would move.
    - `settled`: whether `error` is within the method's tolerance; always true for a method without one (`Sweeps`), false for NaN.
    - `steps`: sweeps, Newton steps or solver steps taken.
    """

    state: State
    residual: State
    error: Float[Array, ""]
    settled: Bool[Array, ""]
    steps: Int[Array, ""]


class Method(eqx.Module):
    """How a phase is settled.

    `tolerance` bounds `Equilibrium.error` as a multiple of max(1, largest |state|), but is never below 256 rounding units of the
    state's dtype; `None` asks for no tolerance.
    """

    tolerance: eqx.AbstractVar[float | None]

    @abc.abstractmethod
    def settle(self, energy: Energy, x: Array, state: State) -> tuple[State, Int[Array, ""]]:
        """The state where the phase that starts at `state` ends, and the number of steps taken."""


def force(energy: Energy, x: Array, state: State) -> State:
    """∂E/∂s with the components removed that a bound holds: zero exactly at a fixed point of the projected flow."""
    slope = jax.grad(energy)(state, x)
    box = energy.bounds(x)
    if box is None:
        return slope
    return jax.tree.map(lambda g, s, low, high: jnp.where(held(g, s, low, high), 0.0, g), slope, state, *box)


def held(slope: Array, state: Array, low: Array, high: Array) -> Bool[Array, "..."]:
    """Whether a bound holds each coordinate: it lies on the bound, and the energy falls only beyond it."""
    return ((state <= low) & (slope >= 0)) | ((state >= high) & (slope <= 0))


def free_hessian(energy: Energy, x: Array, state: State) -> tuple[Float[Array, "n n"], Float[Array, " n"], Bool[Array, " n"]]:
    """∂²E/∂s² on the flattened state with identity rows for held coordinates, ∂E/∂s with zeros there, and which are free."""
    flat, restore = ravel_pytree(state)
    slope = ravel_pytree(jax.grad(energy)(state, x))[0]
    hessian = jax.hessian(lambda s: energy(restore(s), x))(flat)
    box = energy.bounds(x)
    if box is None:
        return hessian, slope, jnp.ones(flat.shape, bool)
    free = ~held(slope, flat, ravel_pytree(box[0])[0], ravel_pytree(box[1])[0])
    hessian = jnp.where(free[:, None] & free[None, :], hessian, jnp.eye(flat.size, dtype=flat.dtype))
    return hessian, jnp.where(free, slope, 0.0), free


def default_method(energy: Energy, x: Array) -> Method:
    """`BlockNewton` where every leaf of the state is a block of nodes that do not interact, else `Newton`."""
    return BlockNewton() if leaves_are_blocks(energy, x, energy.init_state(x)) else Newton()


def settle(energy: Energy, x: Array, method: Method | None = None, start: State | None = None) -> Equilibrium:
    """The phase of one example as a pure function, for use under `jit` and `vmap`: look at `.settled` yourself.

    Arguments as for `relax`.
    """
    state = energy.init_state(x) if start is None else start
    value = jax.eval_shape(energy, state, x)
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"`energy` must return a real scalar, but returned {value.dtype} of shape {value.shape}")
    method = default_method(energy, x) if method is None else method
    box = energy.bounds(x)
    if box is not None:
        state = jax.tree.map(jnp.clip, state, *box)
    state, steps = method.settle(energy, x, state)
    off = error(energy, x, state)
    settled = jnp.isfinite(off) if method.tolerance is None else off <= threshold(method.tolerance, state)
    return Equilibrium(state, force(energy, x, state), off, settled, steps)


def error(energy: Energy, x: Array, state: State) -> Float[Array, ""]:
    """The largest |residual / (∂²E/∂s²)_ii|, as `Equilibrium` has it."""
    residual = ravel_pytree(force(energy, x, state))[0]
    if leaves_are_blocks(energy, x, state):
        leaves, treedef = jax.tree.flatten(state)
        curvature = jnp.concatenate(
            [leaf_slope(energy, x, leaves, treedef, i, jnp.ones_like(s))[1].ravel() for i, s in enumerate(leaves)]
        )
    else:
        curvature = jnp.diagonal(free_hessian(energy, x, state)[0])
    return jnp.max(jnp.abs(residual) / jnp.where(residual == 0, 1.0, jnp.abs(curvature)), initial=0.0)


def threshold(tolerance: float, state: State) -> Float[Array, ""]:
    """The largest `Equilibrium.error` that counts as settled at `state`."""
    flat = ravel_pytree(state)[0]
    return max(tolerance, 256 * float(jnp.finfo(flat.dtype).eps)) * jnp.maximum(1.0, jnp.max(jnp.abs(flat), initial=0.0))


def relax(energy: Energy, x: Array, *, method: Method | None = None, start: State | None = None, throw: bool = True) -> Equilibrium:
    """Settles one example: a stationary point of `energy(state, x)` within its bounds, to which its energy falls from the start.

    That it is a minimum and no saddle is not tested; a start exactly on a saddle stays there.

    **Arguments:** `energy`: for a nudged phase, `Nudged(energy, cost, y, beta)`. `method`: `default_method` if not given. `start`:
    where to start; the energy's `init_state` if not given, and the free state for a nudged phase. `throw`: whether a phase that does
    not settle is an error; otherwise it is returned with `settled` false.

    **Raises** `NotSettledError` with the error that was reached, and `ValueError` for an energy that is not a scalar.
    """
    equilibrium = _settle(energy, jnp.asarray(x), method, start)
    if throw:
        check(equilibrium, "the phase", method)
    return equilibrium


_settle = eqx.filter_jit(settle)


def check(equilibrium: Equilibrium, phase: str, method: Method | None = None) -> None:
    """Raises `NotSettledError` where an equilibrium, or one of a batch, has not settled. Not for use under `jit`."""
    settled = np.asarray(equilibrium.settled)
    if not settled.all():
        worst, steps = np.max(np.asarray(equilibrium.error)), int(np.max(np.asarray(equilibrium.steps)))
        count = f" in {int((~settled).sum())} of {settled.size} examples" if settled.ndim else ""
        raise NotSettledError(
            f"{phase} did not settle{count}: after {steps} steps one more step at a node would still move it by {worst:.3g}"
            + (f" with {method}" if method is not None else "")
            + "; allow more steps, loosen `tolerance`, or choose another `method`"
        )


class BlockNewton(Method):
    """Block coordinate descent over the leaves of the state: each leaf in turn goes to the minimum of its nodes, the others held.

    No two nodes of a leaf may interact, so every node is a problem of one dimension: one Newton step where the energy is quadratic in
    the leaf, else `inner` steps of Newton's method kept inside the bracket that the signs of the gradient give. Where the curvature is
    not positive the step is along the gradient, at most 1 long. Raises `ValueError` for an energy whose leaves are not such blocks.
    """

    tolerance: float | None = 1e-10
    sweeps: int = 500
    inner: int = 8

    def settle(self, energy, x, state):
        _require_blocks(energy, x, state)
        tolerance = 0.0 if self.tolerance is None else self.tolerance

        def unsettled(carry):
            state, moved, step = carry
            return (step < self.sweeps) & ~(moved <= threshold(tolerance, state))

        def sweep(carry):
            return *self.sweep(energy, x, carry[0]), carry[2] + 1

        infinite = jnp.asarray(jnp.inf, ravel_pytree(state)[0].dtype)
        state, _, steps = jax.lax.while_loop(unsettled, sweep, (state, infinite, jnp.asarray(0)))
        return state, steps

    def sweep(self, energy: Energy, x: Array, state: State) -> tuple[State, Float[Array, ""]]:
        """Each leaf once; the state, and the largest Newton step that a node asked for when its turn came."""
        leaves, treedef = jax.tree.flatten(state)
        box = energy.bounds(x)
        boxes = [(-jnp.inf, jnp.inf)] * len(leaves) if box is None else list(zip(*map(jax.tree.leaves, box), strict=True))
        moved = []
        for index in range(len(leaves)):

            def slope_and_curvature(leaf, index=index):
                return leaf_slope(energy, x, [*leaves[:index], leaf, *leaves[index + 1 :]], treedef, index, jnp.ones_like(leaf))

            leaves[index], first = self._minimise(slope_and_curvature, leaves[index], *boxes[index])
            moved.append(jnp.max(first, initial=0.0))
        return jax.tree.unflatten(treedef, leaves), jnp.max(jnp.stack(moved))

    def _minimise(self, slope_and_curvature, leaf, low, high):
        def newton(slope, curvature):
            step = -slope / curvature
            return jnp.where((curvature > 0) & jnp.isfinite(step), step, -jnp.clip(slope, -1.0, 1.0))

        if not _depends(lambda leaf: slope_and_curvature(leaf)[1], leaf):
            target = jnp.clip(leaf + newton(*slope_and_curvature(leaf)), low, high)
            return target, jnp.abs(target - leaf)

        def unsettled(carry):
            return (carry[0] < self.inner) & (jnp.max(carry[4], initial=0.0) > 1e-6)

        def iterate(carry):
            step_number, leaf, left, right, last, first = carry
            slope, curvature = slope_and_curvature(leaf)
            step = newton(slope, curvature)
            left, right = jnp.where(slope < 0, leaf, left), jnp.where(slope > 0, leaf, right)
            bracketed = jnp.isfinite(left) & jnp.isfinite(right)
            outside = (leaf + step <= left) | (leaf + step >= right)
            slow = 2 * jnp.abs(step) > last
            target = jnp.where(bracketed & (outside | slow) & (slope != 0), (left + right) / 2, leaf + step)
            target = jnp.clip(target, low, high)
            first = jnp.where(jnp.isinf(first), jnp.abs(jnp.clip(leaf + step, low, high) - leaf), first)
            return step_number + 1, target, left, right, jnp.abs(target - leaf), first

        infinite = jnp.full_like(leaf, jnp.inf)
        carry = jax.lax.while_loop(unsettled, iterate, (jnp.asarray(0), leaf, -infinite, infinite, infinite, infinite))
        return carry[1], carry[5]


class Sweeps(Method):
    """Exactly `n` sweeps of `method`, whatever they reach: what the published algorithms do."""

    n: int
    method: BlockNewton = BlockNewton()
    tolerance: None = None

    def settle(self, energy, x, state):
        _require_blocks(energy, x, state)
        state = jax.lax.fori_loop(0, self.n, lambda _, state: self.method.sweep(energy, x, state)[0], state)
        return state, jnp.asarray(self.n)


class Newton(Method):
    """Newton's method on all free coordinates at once, with a dense Hessian.

    A step that climbs is halved until the slope along it is no longer steeper uphill than it was downhill, and where the Hessian gives
    no descent the step is along the gradient. Globally convergent for convex energies; the cost is O(n³) a step for n nodes.
    """

    tolerance: float | None = 1e-10
    max_steps: int = 200

    def settle(self, energy, x, state):
        flat, restore = ravel_pytree(state)
        box = energy.bounds(x)
        low, high = (-jnp.inf, jnp.inf) if box is None else (ravel_pytree(side)[0] for side in box)
        tolerance = 0.0 if self.tolerance is None else self.tolerance

        def direction(flat):
            hessian, slope, _ = free_hessian(energy, x, restore(flat))
            newton = -jnp.linalg.solve(hessian, slope)
            descends = (newton @ slope < 0) & jnp.all(jnp.isfinite(newton))
            return jnp.where(descends, newton, -slope / jnp.maximum(1.0, jnp.max(jnp.abs(slope)))), slope

        def unsettled(carry):
            flat, moved, step = carry
            return (step < self.max_steps) & ~(moved <= threshold(tolerance, flat))

        def iterate(carry):
            flat, _, step = carry
            towards, slope = direction(flat)

            def climbs(size):
                trial = jnp.clip(flat + size * towards, low, high)
                ahead = jax.grad(lambda s: energy(restore(s), x))(trial) @ jnp.where(trial == flat, 0.0, towards)
                return (size > 1e-12) & ~(ahead <= -0.9 * (slope @ towards))

            size = jax.lax.while_loop(climbs, lambda size: size / 2, jnp.ones((), flat.dtype))
            target = jnp.clip(flat + size * towards, low, high)
            return target, jnp.max(jnp.abs(towards)), step + 1

        infinite = jnp.asarray(jnp.inf, flat.dtype)
        flat, _, steps = jax.lax.while_loop(unsettled, iterate, (flat, infinite, jnp.asarray(0)))
        return restore(flat), steps


def _require_blocks(energy: Energy, x: Array, state: State) -> None:
    if not leaves_are_blocks(energy, x, state):
        raise ValueError("`method` must not go block by block: nodes inside one leaf of the state interact; use Newton or GradientFlow")


def _depends(function, argument: Array) -> bool:
    """Whether the value of `function(argument)` depends on its argument, read off its program without running it."""
    program = jax.make_jaxpr(function)(argument).jaxpr
    needed = {v for v in program.outvars if not hasattr(v, "val")}
    for equation in reversed(program.eqns):
        if needed.intersection(equation.outvars):
            needed.update(v for v in equation.invars if not hasattr(v, "val"))
    return bool(needed.intersection(program.invars))
