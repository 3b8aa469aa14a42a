"""How strong a nudge of negative sign may be before the nudged energy loses its minimum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..costs import Cost
from ..energies import Energy, State
from ..settling.equilibrium import free_hessian


class NudgeError(ValueError):
    """A nudge of negative sign is so strong that the nudged energy has no minimum."""


def nudge_bound(energy: Energy, cost: Cost, x: Array, y: Array, state: State) -> float:
    """The |β| up to which E − |β| C stays convex in the free coordinates at `state`; NaN where E itself is not convex there.

    It is 1/λ_max of H^{-1/2} C'' H^{-1/2}; for a squared error the smallest eigenvalue of the Schur complement of H = ∂²E/∂s² on the
    outputs. In units of E over C. One example, not under `jit`; dense, O(n³).
    """
    example = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (x, y, state))
    return float(nudge_bounds(energy, cost, *example)[0])


def nudge_bounds(energy: Energy, cost: Cost, xs: Array, ys: Array, states: State) -> np.ndarray:
    """`nudge_bound` of each example of a batch."""
    hessians, pulls = (
        np.asarray(part, float) for part in _curvatures(energy, cost, xs, ys, states)
    )
    return np.array([_bound(hessian, pull) for hessian, pull in zip(hessians, pulls, strict=True)])


@eqx.filter_jit
def _curvatures(
    energy: Energy, cost: Cost, xs: Array, ys: Array, states: State
) -> tuple[Array, Array]:
    """∂²E/∂s² and ∂²C/∂s² in the free coordinates, (batch, n, n)."""

    def one(x, y, state):
        hessian, _, free = free_hessian(energy, x, state)
        flat, restore = ravel_pytree(state)
        pull = jax.hessian(lambda s: cost(energy.outputs(restore(s)), y))(flat)
        return hessian, jnp.where(free[:, None] & free[None, :], pull, 0.0)

    return jax.vmap(one)(xs, ys, states)


def _bound(hessian: np.ndarray, pull: np.ndarray) -> float:
    """1/λ_max of C'' x = λ H x. By SciPy: XLA's LAPACK calls of two threads wait for each other for ever on two cores."""
    import scipy.linalg

    if not (np.isfinite(hessian).all() and np.isfinite(pull).all()):
        return np.nan
    last = len(hessian) - 1
    try:
        largest = scipy.linalg.eigh(pull, hessian, eigvals_only=True, subset_by_index=(last, last))[
            0
        ]
    except np.linalg.LinAlgError:
        return np.nan
    return 1 / largest if largest > 0 else np.inf


def require_convex(
    strength: float, energy: Energy, cost: Cost, xs: Array, ys: Array, states: State, phase: str
) -> None:
    """Raises `NudgeError` where `strength`, |β| of a negative nudge, reaches `nudge_bound` at the state of any example.

    Where every node has a lower and an upper bound the nudged energy has a minimum whatever the nudge, and nothing is asked of it.
    """
    box = energy.bounds(xs[0])
    if box is not None and all(
        np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(box)
    ):
        return
    bound = float(np.min(nudge_bounds(energy, cost, xs, ys, states)))
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
