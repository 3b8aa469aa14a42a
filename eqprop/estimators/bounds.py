"""How strong a nudge of negative sign may be before the nudged energy loses its minimum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..costs import Cost
from ..energy import Energy, State
from ..equilibrium import free_hessian


class NudgeError(ValueError):
    """A nudge of negative sign is so strong that the nudged energy has no minimum."""


def nudge_bound(energy: Energy, cost: Cost, x: Array, y: Array, state: State) -> Float[Array, ""]:
    """The |β| up to which E − |β| C stays convex in the free coordinates at `state`; not positive or NaN where E itself is not convex.

    It is 1/λ_max of H^{-1/2} C'' H^{-1/2}; for a squared error the smallest eigenvalue of the Schur complement of H = ∂²E/∂s² on the
    outputs. In units of E over C. One example; dense, O(n³).
    """
    hessian, _, free = free_hessian(energy, x, state)
    flat, restore = ravel_pytree(state)
    pull = jax.hessian(lambda s: cost(energy.outputs(restore(s)), y))(flat)
    pull = jnp.where(free[:, None] & free[None, :], pull, 0.0)
    factor = jnp.linalg.cholesky(hessian)
    half = jax.scipy.linalg.solve_triangular(factor, pull, lower=True)
    both = jax.scipy.linalg.solve_triangular(factor, half.T, lower=True)
    return 1 / jnp.linalg.eigvalsh(both)[-1]


_nudge_bounds = eqx.filter_jit(lambda energy, cost, *batch: jax.vmap(lambda *example: nudge_bound(energy, cost, *example))(*batch))


def require_convex(strength: float, energy: Energy, cost: Cost, xs: Array, ys: Array, states: State, phase: str) -> None:
    """Raises `NudgeError` where `strength`, |β| of a negative nudge, reaches `nudge_bound` at the state of any example.

    Where every node has a lower and an upper bound the nudged energy has a minimum whatever the nudge, and nothing is asked of it.
    """
    box = energy.bounds(xs[0])
    if box is not None and all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(box)):
        return
    bound = float(np.min(np.asarray(_nudge_bounds(energy, cost, xs, ys, states))))
    if not bound > 0:
        raise NudgeError(
            f"the {phase} state must be an isolated minimum for a negative `beta` to have one too, but the energy is flat or falls "
            "there (an output without conductances?)"
        )
    if not strength < bound:
        raise NudgeError(
            f"`beta` must be below {bound:.4g} in size (the smallest eigenvalue of the energy's Schur complement on the outputs at the "
            f"{phase} state) for the negative phase to have a minimum, but is {strength:.4g}"
        )
