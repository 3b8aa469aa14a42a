"""What a settled phase is: the equilibrium with its certificate, and the contract of methods."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..energies import Energy, State, largest
from .phases import held


class NotSettledError(RuntimeError):
    """A phase did not reach its tolerance in its budget."""


class Equilibrium(eqx.Module):
    """A settled phase with its certificate, recomputed at `state` after the method has stopped.

    - `residual`: ∂E/∂s per node, 0 where a bound holds the node against it; a pytree like the
      state, in the units of E over s.
    - `error`: a bound, to first order, of the distance to the minimum in the units of the state:
      the largest |Newton correction| over the nodes, plus what rounding of ∂E/∂s hides; infinite
      where ∂²E/∂s² on the free coordinates is not positive definite, or not finite. `certify`
      states how it is computed.
    - `settled`: whether every node's error is within the method's tolerance; for a method without
      one, whether the state is finite.
    - `steps`: sweeps, Newton steps or solver steps taken.
    - `time`: when a `GradientFlow` had settled, in seconds. `variance`: of each node over a
      `Langevin` phase. Otherwise `None`.
    """

    state: State
    residual: State
    error: Float[Array, ""]
    settled: Bool[Array, ""]
    steps: Int[Array, ""]
    time: Float[Array, ""] | None = None
    variance: State | None = None

    def __repr__(self) -> str:
        if not has_values(self):
            return super().__repr__()
        with np.printoptions(precision=4, threshold=20):
            state = eqx.tree_pformat(self.state, short_arrays=False)
            return f"Equilibrium: {self.certificate()}; state {state}"

    def certificate(self) -> str:
        """Return in words whether it has settled, in how many steps, and the largest error.

        Of a batch, how many have settled.
        """
        settled, steps, error = (
            np.asarray(part) for part in (self.settled, self.steps, self.error)
        )
        whole = (
            ("settled" if settled else "not settled")
            if not settled.ndim
            else f"{settled.sum()} of {settled.size} settled"
        )
        return f"{whole}, steps {steps.max()}, error {error.max():.2g}"


def has_values(tree: Any) -> bool:
    """Return whether all leaves are arrays with values, as none has while it is traced."""
    return all(
        isinstance(leaf, np.ndarray | jax.Array) and not isinstance(leaf, jax.core.Tracer)
        for leaf in jax.tree.leaves(tree)
    )


class Stop(NamedTuple):
    """Where a method stopped.

    - `error`: as of an `Equilibrium`, where the method has computed it at `state`; and `excess`,
      the largest error in units of what its tolerance allows, settled at 1 or less.
    - Other fields as of an `Equilibrium`.
    """

    state: State
    steps: Int[Array, ""]
    time: Float[Array, ""] | None = None
    variance: State | None = None
    error: Float[Array, ""] | None = None
    excess: Float[Array, ""] | None = None


class Method(eqx.Module):
    """How a phase is settled.

    `tolerance` bounds the error of every node as a multiple of `Energy.scale`, but is never below
    256 rounding units of the state's dtype; `None` asks for no tolerance.
    """

    tolerance: eqx.AbstractVar[float | Array | None]

    @abc.abstractmethod
    def settle(self, energy: Energy, x: Array, state: State, key: PRNGKeyArray | None) -> Stop:
        """Return where the phase ends that starts at `state`.

        **Arguments:** `energy`, `x`: of one example. `key`: for a method that draws random numbers.
        """

    def joins(self) -> bool:
        """Return whether a batch is settled as one system, instead of each example on its own."""
        return False


@eqx.filter_jit
def slope_at(energy: Energy, x: Array, state: State) -> State:
    """Return ∂E/∂s.

    Compiled on its own, so that the places of a program that need it share what was traced.
    """
    return energy.slope(state, x)


def force(energy: Energy, x: Array, state: State) -> State:
    """Return ∂E/∂s without the components that a bound holds.

    It is zero exactly at a fixed point of the projected flow.
    """
    slope = slope_at(energy, x, state)
    box = energy.bounds(x)
    if box is None:
        return slope
    return jax.tree.map(
        lambda g, s, low, high: jnp.where(held(g, s, low, high), 0.0, g), slope, state, *box
    )


def free_hessian(
    energy: Energy, x: Array, state: State
) -> tuple[Float[Array, "n n"], Float[Array, " n"], Bool[Array, " n"]]:
    """Return ∂²E/∂s² and ∂E/∂s on the flattened state, and which coordinates are free.

    Coordinates that a bound holds have rows of the identity, and a slope of 0.
    """
    flat, restore = ravel_pytree(state)
    slope = ravel_pytree(slope_at(energy, x, state))[0]
    hessian = jax.jacfwd(lambda s: ravel_pytree(slope_at(energy, x, restore(s)))[0])(flat)
    box = energy.bounds(x)
    if box is None:
        return hessian, slope, jnp.ones(flat.shape, bool)
    free = ~held(slope, flat, ravel_pytree(box[0])[0], ravel_pytree(box[1])[0])
    hessian = jnp.where(
        free[:, None] & free[None, :], hessian, jnp.eye(flat.size, dtype=flat.dtype)
    )
    return hessian, jnp.where(free, slope, 0.0), free


def excess(
    energy: Energy, state: State, moves: State, tolerance: float | Array | None
) -> Float[Array, ""]:
    """Return the largest of `moves` in units of what `tolerance` allows: settled at 1 or less.

    **Arguments:** `state`: at which it is allowed. `moves`: |changes| of the nodes, like the state.
    """
    allowed = least(tolerance, state)
    ratios = jax.tree.map(
        lambda m, size: jnp.where(m == 0, 0.0, m / (allowed.astype(m.dtype) * size)),
        moves,
        for_every_node(energy.scale(state), state),
    )
    return largest(ratios)


def least(tolerance: float | Array | None, state: State) -> Array:
    """Return the least tolerance that counts: `tolerance` or 256 rounding units of the state."""
    eps = max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(state))
    return jnp.maximum(0.0 if tolerance is None else tolerance, 256 * eps)


def for_every_node(value: State, state: State) -> State:
    """Return a number, or a pytree like the state, as a pytree of the state's shapes and dtypes."""
    if jax.tree.structure(value) != jax.tree.structure(state):
        value = jax.tree.map(lambda leaf: value, state)
    return jax.tree.map(
        lambda leaf, one: jnp.broadcast_to(one, leaf.shape).astype(leaf.dtype), state, value
    )


def stability(energy: Energy, x: Array, state: State) -> str:
    """Return what a stationary state is: "minimum", "saddle", "maximum" or "flat".

    By the signs of the eigenvalues of ∂²E/∂s² in its free coordinates, those below 1e-9 of the
    largest (1e-5 in float32) counting as 0. Dense, O(n³).

    **Arguments:** `energy`, `x`, `state`: of one example.
    """
    hessian, _, free = free_hessian(energy, x, state)
    keep = np.flatnonzero(np.asarray(free))
    values = np.linalg.eigvalsh(np.asarray(hessian)[np.ix_(keep, keep)])
    small = (1e-9 if values.dtype == np.float64 else 1e-5) * np.max(np.abs(values), initial=0.0)
    down, up = bool((values < -small).any()), bool((values > small).any())
    if down:
        return "saddle" if up else "maximum"
    return "minimum" if (values > small).all() else "flat"


def check(equilibrium: Equilibrium, phase: str, method: Method | None = None) -> None:
    """Raise `NotSettledError` where an equilibrium, or one of a batch, has not settled.

    **Arguments:** `equilibrium`: outside of `jit`. `phase`: its name. `method`: for the message.
    """
    if isinstance(equilibrium.settled, jax.core.Tracer):
        raise TypeError(
            f"{phase} can be checked outside of `jit` and `vmap` alone; inside, use `settle` and "
            "look at `.settled`"
        )
    settled = np.asarray(equilibrium.settled)
    if not settled.all():
        worst, steps = (
            np.max(np.asarray(equilibrium.error)),
            int(np.max(np.asarray(equilibrium.steps))),
        )
        count = f" in {int((~settled).sum())} of {settled.size} examples" if settled.ndim else ""
        where = (
            f"after {steps} steps it is still {worst:.3g} from its minimum"
            if np.isfinite(worst)
            else f"after {steps} steps no minimum is certain: the energy falls, is flat or has no "
            "finite curvature there, as far as its digits tell (`unsettled_reason` says which)"
        )
        raise NotSettledError(
            f"{phase} did not settle{count}: {where}"
            + (f" with {method}" if method is not None else "")
            + "; allow more steps, loosen `tolerance`, use float64, or choose another `method`, "
            "if the energy has a minimum"
        )


def require_minimum(equilibrium: Equilibrium, phase: str) -> None:
    """Raise `NotSettledError` where ∂²E/∂s² certifies no minimum near a state, settled or not.

    **Arguments:** `equilibrium`: of one example or a batch, outside of `jit`. `phase`: its name.
    """
    errors = np.asarray(equilibrium.error)
    if not np.isfinite(errors).all():
        count = f" in {int((~np.isfinite(errors)).sum())} of {errors.size} examples"
        raise NotSettledError(
            f"{phase} is at no minimum{count if errors.ndim else ''}: the energy curves down, is "
            "flat or has no finite curvature there (`unsettled_reason` says which)"
        )
