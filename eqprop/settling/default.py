"""The method that settles a phase where none is named."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..energies import Energy, State
from .block_newton import BlockNewton
from .blocks import colour, leaves_are_blocks
from .compilation import batched_alike, is_traced
from .descent import bound_of_error, descend
from .equilibrium import Method, Stop
from .kinks import widths
from .phases import Displaced, wider_kinks, with_kinks

Result = TypeVar("Result")

MOST_COLOURED = 512
"""The largest number of nodes in one leaf for which blocks are looked for."""


class DefaultMethod(Method):
    """Blocks, then damped Newton steps, for any smooth energy from any start.

    - Where every leaf of the state is a block of nodes that do not interact, sweeps over them,
      until they have settled or contract slowly.
    - Elsewhere sweeps over blocks of `colour`, to 10⁻³ of `Energy.scale`: going block by block a
      phase falls into the basin of a minimum. An energy that is convex, a displacement from a
      minimum, and a state of more than 512 nodes need none.
    - A phase that a cost with kinks nudges goes through phases in which they are rounded off less
      and less.
    - Then `descend`: Newton's method with damping, which follows the flow where Newton's step does
      not go down, and whose last correction is the certificate.

    **Arguments:**

    - `tolerance`: as of every method.
    - `max_steps`: of sweeps, and again of Newton's method.
    - `briefly`: whether a phase ends with its sweeps where they can certify it, settled or not.
    """

    tolerance: float | Array | None = 1e-10
    max_steps: int = 500
    briefly: bool = eqx.field(static=True, default=False)

    def settle(self, energy, x, state, key):
        del key
        if with_kinks(energy, state):
            return self._round_off(energy, x, state)
        start, steps, known = state, jnp.asarray(0), None
        if leaves_are_blocks(energy, x, state):
            blocks = BlockNewton(self.tolerance, self.max_steps)
            state, steps, known = blocks.descend_by_sweeps(energy, x, state, self.tolerance)
            if self.briefly and known is not None:
                error = bound_of_error(energy, state, known, self.tolerance)
                return Stop(state, steps, error=error, excess=known)
        elif _needs_blocks(energy, state):
            blocks = BlockNewton(None, self.max_steps, blocks=colour(energy, x, state))
            state, steps, _ = blocks.descend_by_sweeps(energy, x, state, 1e-3)
        stop = descend(energy, x, state, self.tolerance, self.max_steps, known, start)
        return stop._replace(steps=steps + stop.steps)

    def _round_off(self, energy: Energy, x: Array, state: State) -> Stop:
        """Settle a phase that a cost with kinks nudges, with kinks less and less rounded off."""

        def stage(carry, wider):
            state, steps = carry
            phase = wider_kinks(energy, wider)
            stop = descend(phase, x, state, self.tolerance, self.max_steps)
            return (stop.state, steps + stop.steps), (stop.error, stop.excess)

        start = batched_alike((state, jnp.asarray(0)), state)
        dtype = ravel_pytree(state)[0].dtype
        factors = jnp.asarray(widths(dtype), dtype)
        (state, steps), (errors, excesses) = jax.lax.scan(stage, start, factors)
        error, excess = jax.tree.map(lambda each: each[-1], (errors, excesses))
        return Stop(state, steps, error=error, excess=excess)


def _needs_blocks(energy: Energy, state: State) -> bool:
    """Return whether blocks are to be found first, so that a phase falls into a near minimum."""
    if energy.is_convex() or isinstance(energy, Displaced):
        return False
    return sum(leaf.size for leaf in jax.tree.leaves(state)) <= MOST_COLOURED


def first_briefly(
    method: Method | None,
    energy: Energy,
    run: Callable[[Method | None], Result],
    settled: Callable[[Result], Any],
) -> Result:
    """Return what `run` returns with `method`, by sweeps alone where they settle every phase.

    The program of the default method is half as large, and compiled in half the time, without the
    Newton steps for phases that sweeps leave unsettled: in networks whose nodes only attract each
    other hardly any are. Where one is, all run again by the whole method.

    **Arguments:** `method`: `default_method()` if `None`. `energy`: whose phases are settled.
    `run(method)`: settles them. `settled(result)`: whether all have settled.
    """
    whole = default_method() if method is None else method
    if isinstance(whole, DefaultMethod) and energy.is_attractive() and not is_traced():
        result = run(dataclasses.replace(whole, briefly=True))
        if np.asarray(settled(result)).all():
            return result
    return run(method)


def default_method(tolerance: float | Array | None = 1e-10) -> DefaultMethod:
    """Return the method that settles a phase where none is named.

    **Arguments:** `tolerance`: bounds the error of every node as a multiple of `Energy.scale`, as
    of a `Method`; an array shares what was compiled with other values.

    **Returns** a `DefaultMethod`, for `relax`, an estimator's `method`, or `evaluate`.
    """
    return DefaultMethod(tolerance)
