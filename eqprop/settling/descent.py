"""Newton's method from any start, damped where the energy is not convex, with a certificate."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ..energies import Energy, State, largest
from .blocks import leaf_curvatures, leaves_are_blocks
from .compilation import batched_alike
from .correction import Correction, correction
from .equilibrium import Stop, excess, for_every_node, least, slope_at
from .phases import Displaced, held

TRIALS = 4
"""Lengths of one step that are tried."""


class _Walk(NamedTuple):
    """Where the descent is, with μ, the error there, and what it has seen."""

    state: State
    damping: Float[Array, ""]
    error: Float[Array, ""]
    excess: Float[Array, ""]
    steps: Int[Array, ""]
    bent: Bool[Array, ""]
    paused: Bool[Array, ""]
    done: Bool[Array, ""]


def descend(
    energy: Energy,
    x: Array,
    state: State,
    tolerance: float | Array | None,
    budget: int | Array,
    known: Float[Array, ""] | None = None,
    origin: State | None = None,
) -> Stop:
    """Return where damped Newton steps from `state` end, with the certificate of that state.

    Each step solves (H + μD) d = −g on the free coordinates (`correction`). It is taken if the
    slope along it is at its end no steeper uphill than 0.9 of what it was downhill, and if the
    energy has not risen beyond its rounding; else a shorter one is tried, up to `TRIALS` in all.
    Where none is taken, or H + μD is not positive definite, μ grows eightfold from 10⁻³. A whole
    step that is taken makes μ ten times smaller, and 0 below 10⁻⁴, where Newton's method converges
    quadratically. With a large μ it follows the gradient flow
    (pseudo-transient continuation, Kelley & Keyes, SIAM J. Numer. Anal. 35, 1998). A state that
    has stopped where H is not positive definite is kicked off by a small force.

    Only a correction with μ = 0 and a positive definite H certifies a state: its size plus what
    rounding hides bounds the distance to the minimum, to first order. The descent ends there when
    that is within `tolerance`, or when the correction is smaller than what rounding hides.

    **Arguments:**

    - `energy`, `x`, `state`: the phase, and where it starts.
    - `tolerance`: as of a `Method`.
    - `budget`: the number of steps; 0 to certify `state` as it is.
    - `known`: the excess of the error over the tolerance, if a bound of it is known at `state`;
      nothing is to be done where that is 1 or less.
    - `origin`: where to start instead, where E is not finite at `state`: sweeps follow its slope,
      which can be finite where E is not, as of log s at −1.

    **Returns** a `Stop` with its `error` and `excess`, infinite where nothing certifies the state.
    """
    zero = jnp.zeros((), ravel_pytree(state)[0].dtype)
    over = zero + jnp.inf if known is None else known
    no = jnp.asarray(False)
    start = _Walk(state, zero, zero + jnp.inf, over, jnp.asarray(0), no, no, over <= 1)

    def step(walk):
        if known is None:
            return _Step(energy, x, tolerance, budget, origin)(walk)

        # XLA computes what stays the same in a loop before it, even for a loop that is never
        # entered: here that must wait, as most phases are certified already.
        arrays, rest = eqx.partition((energy, x), eqx.is_array)
        arrays, walk = jax.lax.optimization_barrier((arrays, walk))
        late_energy, late_x = eqx.combine(arrays, rest)
        return _Step(late_energy, late_x, tolerance, budget, origin)(walk)

    start = _Walk(state, *batched_alike(start[1:], state))
    walk = jax.lax.while_loop(lambda walk: ~walk.done, step, start)
    error = walk.error
    if known is not None:
        bound = bound_of_error(energy, state, known, tolerance)
        error = jnp.where(known <= 1, bound.astype(error.dtype), error)
    return Stop(walk.state, walk.steps, error=error, excess=walk.excess)


def bound_of_error(
    energy: Energy, state: State, excess: Float[Array, ""], tolerance: float | Array | None
) -> Float[Array, ""]:
    """Return the bound of the error of every node that an `excess` over the tolerance means."""
    allowed = largest(for_every_node(energy.scale(state), state)) * least(tolerance, state)
    return excess * allowed


class _Step:
    """One step of `descend`."""

    def __init__(self, energy, x, tolerance, budget, origin):
        self.energy, self.x, self.tolerance, self.budget = energy, x, tolerance, budget
        self.origin = origin
        # The energy of a displacement is a difference that cancels: it is not asked.
        self.valued = not isinstance(energy, Displaced)

    def __call__(self, walk: _Walk) -> _Walk:
        flat, self.restore = ravel_pytree(walk.state)
        box = self.energy.bounds(self.x)
        self.low, self.high = (
            (jnp.full_like(flat, -jnp.inf), jnp.full_like(flat, jnp.inf))
            if box is None
            else (ravel_pytree(side)[0] for side in box)
        )
        scale = ravel_pytree(for_every_node(self.energy.scale(walk.state), walk.state))[0]
        scale = jnp.where(scale > 0, scale, 1.0)  # as of a displacement that has not begun
        slope = self.slope(flat)
        free = ~held(slope, flat, self.low, self.high)
        gradient = jnp.where(free, slope, 0.0)

        here = self.correct(flat, free, scale, walk)
        exact = here.convex & (walk.damping == 0)
        moves = (jnp.abs(here.step) + 2 * here.floor) / here.sure
        over = excess(self.energy, walk.state, self.restore(moves), self.tolerance)
        over = jnp.where(exact, over, jnp.inf)
        hidden = jnp.max(jnp.abs(here.step) / scale) <= jnp.max(here.floor / scale)
        enough = exact & ((over <= 1) | hidden)

        before = self.energy(walk.state, self.x) if self.valued else jnp.zeros((), flat.dtype)
        trial, share, on = self.trial(flat, gradient, here, walk.damping, before)
        # Newton's method also converges to where the slope but pauses, as that of s³ at 0: beyond,
        # it then goes on.
        spent = (walk.steps >= self.budget) | ~jnp.all(jnp.isfinite(slope))
        pauses = enough & ~hidden & on & ~walk.paused & ~spent
        over, enough = jnp.where(pauses, jnp.inf, over), enough & ~pauses
        trial = jnp.where(pauses, jnp.clip(flat + 4 * here.step, self.low, self.high), trial)
        taken = (share > 0) | pauses
        if self.valued and self.origin is not None:
            lost = (walk.steps == 0) & ~jnp.isfinite(before)
            trial = jnp.where(lost, ravel_pytree(self.origin)[0], trial)
            taken, spent, enough = taken | lost, spent & ~lost, enough & ~lost
        less, more = walk.damping / 10, jnp.maximum(8 * walk.damping, 1e-3)
        damping = jnp.where(taken, jnp.where(share < 1, walk.damping, less), more)
        damping = jnp.where(damping < 1e-4, 0.0, damping)
        return _Walk(
            self.restore(jnp.where(taken & ~spent, trial, flat)),
            damping.astype(flat.dtype),
            jnp.where(exact, jnp.max(moves), jnp.inf),
            over,
            walk.steps + jnp.where(spent | (enough & (~taken | jnp.all(trial == flat))), 0, 1),
            ~here.convex | walk.bent & ~taken,
            walk.paused | pauses,
            enough | spent | (damping > 1e12),
        )

    def slope(self, flat: Array) -> Array:
        return ravel_pytree(slope_at(self.energy, self.x, self.restore(flat)))[0]

    def correct(self, flat, free, scale, walk) -> Correction:
        """Return the correction at the damping of the walk."""

        def diagonal():
            curvatures = leaf_curvatures(self.energy, self.x, walk.state)
            return jnp.where(free, ravel_pytree(curvatures)[0], 1.0)

        known = diagonal if leaves_are_blocks(self.energy, self.x, walk.state) else None
        value = (lambda s: self.energy(self.restore(s), self.x)) if self.valued else None
        return correction(self.slope, flat, free, scale, walk.damping, walk.bent, known, value)

    def trial(
        self, flat, gradient, here: Correction, damping, before
    ) -> tuple[Array, Array, Array]:
        """Return the state after the step, the share of it that was taken, and whether E falls on.

        A step that ends too far uphill is shortened to where the slopes at its ends, linear between
        them, let the energy be least; the share is 0 where none is taken. E falls on where the
        slope at the end is more than a fifth of what it was, unlike near a minimum.
        """
        allowed = 100 * jnp.finfo(flat.dtype).eps * jnp.abs(before)

        def rejected(carry):
            _, _, taken, _, tries = carry
            return here.convex & ~taken & (tries < TRIALS)

        def attempt(carry):
            _, share, _, _, tries = carry
            trial = jnp.clip(flat + share * here.step, self.low, self.high)
            move = trial - flat
            down, ahead = gradient @ move, self.slope(trial) @ move
            rests = jnp.all(move == 0) & (damping <= 1)  # there, but for the damping
            goes = jnp.where(here.kicked, ahead <= 0, (down < 0) & (ahead <= -0.9 * down))
            taken = jnp.all(jnp.isfinite(trial)) & (goes | rests)
            if self.valued:
                taken &= self.energy(self.restore(trial), self.x) <= before + allowed
            least_at = jnp.nan_to_num(jnp.where(ahead > 0, -down / (ahead - down), 0.0))
            shorter = share * jnp.clip(least_at, 0.1, 0.5)
            return trial, jnp.where(taken, share, shorter), taken, ahead < 0.2 * down, tries + 1

        one, nothing, tries = batched_alike(
            (jnp.ones((), flat.dtype), jnp.asarray(False), jnp.asarray(0)), flat
        )
        start = (flat, one, nothing, nothing, tries)
        trial, share, taken, on, _ = jax.lax.while_loop(rejected, attempt, start)
        return trial, jnp.where(taken, share, 0.0), on
