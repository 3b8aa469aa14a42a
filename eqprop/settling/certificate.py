"""The certificate of a settled phase: how far it is from the minimum where it stopped."""

import jax.numpy as jnp
from jaxtyping import Array

from ..energies import Energy, largest
from .descent import descend
from .equilibrium import Equilibrium, Stop, force


def certify(energy: Energy, x: Array, stop: Stop, tolerance: float | Array | None) -> Equilibrium:
    """Return the equilibrium at which a method has stopped, with its residual and error there.

    The error bounds the distance to the minimum to first order. It is that of the method where the
    method has computed one at `stop.state`: by the contraction of sweeps (`contraction`), or by its
    last Newton correction (`descend`). Else it is Newton's correction H⁻¹g on the free coordinates
    plus what rounding hides of it, computed here.

    **Arguments:** `stop`: where the method has stopped. `tolerance`: the method's.

    **Returns** an `Equilibrium`; a pure function.
    """
    state, residual = stop.state, force(energy, x, stop.state)
    error, excess = stop.error, stop.excess
    if error is None or excess is None:
        done = descend(energy, x, state, tolerance, 0)
        error, excess = jnp.asarray(done.error), jnp.asarray(done.excess)
    if tolerance is None:
        settled = jnp.isfinite(largest(state)) & jnp.isfinite(largest(residual))
    else:
        settled = excess <= 1
    return Equilibrium(state, residual, error, settled, stop.steps, stop.time, stop.variance)
