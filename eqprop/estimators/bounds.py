"""How strong a nudge of negative sign may be before the nudged energy loses its minimum."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..costs import Cost
from ..energies import Energy, State
from ..settling.compilation import jit_by_size
from ..settling.equilibrium import free_hessian


class NudgeError(ValueError):
    """A nudge of negative sign is so strong that the nudged energy has no minimum."""


def nudge_bound(net: Energy, cost: Cost, x: Array, y: Array, state: State) -> float:
    """Return the |β| up to which E − |β| C stays convex in the free coordinates at `state`.

    It is 1/λ_max of H^{-1/2} C'' H^{-1/2}; for a squared error the smallest eigenvalue of the Schur
    complement of H = ∂²E/∂s² on the outputs. Dense, O(n³). Not for use under `jit`.

    **Arguments:** `net`, `cost`: the network and the cost; `x`, `y`, `state`: the input, the target
    and the free state of one example.

    **Returns** the bound in units of E over C; NaN where E itself is not convex at `state`.
    """
    example = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (x, y, state))
    return float(nudge_bounds(net, cost, *example)[0])


def nudge_bounds(
    net: Energy, cost: Cost, xs: Float[Array, "batch ..."], ys: Array, states: State
) -> Float[np.ndarray, " batch"]:
    """Return `nudge_bound` of each example of a batch.

    **Arguments:** as for `nudge_bound`, with the batch as a leading axis of `xs`, `ys` and of every
    leaf of `states`.
    """
    hessians, pulls = (np.asarray(part, float) for part in _curvatures(net, cost, xs, ys, states))
    return np.array([_bound(hessian, pull) for hessian, pull in zip(hessians, pulls, strict=True)])


@jit_by_size
def _curvatures(
    net: Energy, cost: Cost, xs: Array, ys: Array, states: State
) -> tuple[Float[Array, "batch n n"], Float[Array, "batch n n"]]:
    """Return ∂²E/∂s² and ∂²C/∂s² in the free coordinates."""

    def of_one_example(x, y, state):
        hessian, _, free = free_hessian(net, x, state)
        flat, restore = ravel_pytree(state)
        pull = jax.hessian(lambda s: cost(net.outputs(restore(s)), y))(flat)
        return hessian, jnp.where(free[:, None] & free[None, :], pull, 0.0)

    return jax.vmap(of_one_example)(xs, ys, states)


def _bound(hessian: np.ndarray, pull: np.ndarray) -> float:
    """Return 1/λ_max of C'' v = λ H v, by SciPy.

    XLA's LAPACK calls of two threads wait for each other for ever on two cores.
    """
    import scipy.linalg

    if not (np.isfinite(hessian).all() and np.isfinite(pull).all()):
        return np.nan
    last = len(hessian) - 1
    try:
        eigenvalues = scipy.linalg.eigh(
            pull, hessian, eigvals_only=True, subset_by_index=(last, last)
        )
    except np.linalg.LinAlgError:
        return np.nan
    largest = eigenvalues[0]
    return 1 / largest if largest > 0 else np.inf


def require_convex(
    strength: float,
    net: Energy,
    cost: Cost,
    xs: Float[Array, "batch ..."],
    ys: Array,
    states: State,
    phase: str,
) -> None:
    """Raise `NudgeError` where a negative nudge reaches `nudge_bound` at the state of any example.

    Where every node has a lower and an upper bound the nudged energy has a minimum whatever the
    nudge, and nothing is asked of it.

    **Arguments:** `strength`: |β|, in units of E over C; `net`, `cost`, `xs`, `ys`, `states`: as
    for `nudge_bounds`; `phase`: what an error calls the phase of `states`.
    """
    first = jnp.asarray(np.asarray(xs)[0])
    if jax.eval_shape(net.bounds, first) is not None and all(
        np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(net.bounds(first))
    ):
        return
    bound = float(np.min(nudge_bounds(net, cost, xs, ys, states)))
    if not bound > 0:
        raise NudgeError(
            f"the {phase} state must be an isolated minimum for a negative `beta` to have one too, "
            "but the energy is flat or falls there (an output without conductances?)"
        )
    if not strength < bound:
        raise NudgeError(
            f"`beta` must be below {bound:.4g} in size (the smallest eigenvalue of the energy's "
            f"Schur complement on the outputs at the {phase} state) for the negative phase to have "
            f"a minimum, but is {strength:.4g}"
        )
