"""The method that settles a phase where none is named."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..energies import Energy, State
from .block_newton import BlockNewton
from .blocks import colour, leaves_are_blocks
from .descent import descend
from .equilibrium import Method
from .phases import Displaced

MOST_COLOURED = 512
"""The largest number of nodes in one leaf for which blocks are looked for."""


class DefaultMethod(Method):
    """Blocks, then damped Newton steps, for any smooth energy from any start.

    - Where every leaf of the state is a block of nodes that do not interact, sweeps over them,
      until they have settled or contract slowly.
    - Elsewhere sweeps over blocks of `colour`, to 10⁻³ of `Energy.scale`: going block by block a
      phase falls into the basin of a minimum. An energy that is convex, a displacement from a
      minimum, and a state of more than 512 nodes need none.
    - Then `descend`: Newton's method with damping, which follows the flow where Newton's step does
      not go down, and whose last correction is the certificate.

    **Arguments:**

    - `tolerance`: as of every method.
    - `max_steps`: of sweeps, and again of Newton's method.
    """

    tolerance: float | Array | None = 1e-10
    max_steps: int = 500

    def settle(self, energy, x, state, key):
        del key
        start, steps, known = state, jnp.asarray(0), None
        if leaves_are_blocks(energy, x, state):
            blocks = BlockNewton(self.tolerance, self.max_steps)
            state, steps, known = blocks.descend_by_sweeps(energy, x, state, self.tolerance)
        elif _needs_blocks(energy, state):
            blocks = BlockNewton(None, self.max_steps, blocks=colour(energy, x, state))
            state, steps, _ = blocks.descend_by_sweeps(energy, x, state, 1e-3)
        stop = descend(energy, x, state, self.tolerance, self.max_steps, known, start)
        return stop._replace(steps=steps + stop.steps)


def _needs_blocks(energy: Energy, state: State) -> bool:
    """Return whether blocks are to be found first, so that a phase falls into a near minimum."""
    if energy.is_convex() or isinstance(energy, Displaced):
        return False
    return sum(leaf.size for leaf in jax.tree.leaves(state)) <= MOST_COLOURED


def default_method(tolerance: float | Array | None = 1e-10) -> DefaultMethod:
    """Return the method that settles a phase where none is named.

    **Arguments:** `tolerance`: bounds the error of every node as a multiple of `Energy.scale`, as
    of a `Method`; an array shares what was compiled with other values.

    **Returns** a `DefaultMethod`, for `relax`, an estimator's `method`, or `evaluate`.
    """
    return DefaultMethod(tolerance)
