"""Why a phase has not settled, in words."""

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..energies import Energy, State
from .equilibrium import free_hessian, slope_at


def unsettled_reason(energy: Energy, x: Array, state: State) -> str:
    """Return in words what keeps `state` from being certified as a minimum.

    It is read off ∂E/∂s and ∂²E/∂s² at the state and off the energy nearby and far away; a dense
    Hessian, O(n³), of one example, and not for use under `jit`.

    **Arguments:** `energy`, `x`: the phase. `state`: where it stopped.

    **Returns** a clause such as "the energy falls without end".
    """
    flat, restore = ravel_pytree(state)
    x = jnp.asarray(x)

    def value(s):
        return float(energy(restore(s), x))

    def slope(s):
        return np.asarray(ravel_pytree(slope_at(energy, x, restore(s)))[0], float)

    hessian, gradient, free = (np.asarray(part) for part in free_hessian(energy, x, state))
    if not (np.isfinite(np.asarray(flat)).all() and np.isfinite(gradient).all()):
        return "the state or ∂E/∂s is not finite there"
    size = max(1.0, float(np.max(np.abs(flat), initial=0.0)))
    down = np.where(free, -gradient, 0.0)
    near = 1e-3 * size * jnp.asarray(np.sign(down), flat.dtype)
    steepest = np.max(np.abs(gradient), initial=0.0)
    jump = np.max(np.abs(slope(flat + near) - slope(flat)), initial=0.0)
    finite = np.isfinite(hessian).all()
    if not finite or np.inf > jump > 0.5 * steepest + 100 * 1e-3 * size * np.max(np.abs(hessian)):
        return "the energy is not smooth there: its slope jumps, or its curvature is not finite"

    inside = np.flatnonzero(free)
    values = np.linalg.eigvalsh(np.asarray(hessian, float)[np.ix_(inside, inside)])
    digits = float(jnp.finfo(flat.dtype).eps)
    small = 64 * digits * np.max(np.abs(values), initial=0.0)
    if (values < -small).any():
        return "the energy curves down there: it is no minimum, but a saddle, a maximum or a slope"
    if steepest > 0 and _falls(value, slope, flat, jnp.asarray(down / steepest, flat.dtype)):
        return "the energy still falls far beyond it, perhaps without end"
    if (values <= small).any():
        idle = free & (gradient == 0) & ~hessian.any(axis=1)
        return _flat_everywhere(value, slope, flat, idle) or (
            f"the energy is flat there as far as {flat.dtype} tells: no minimum is isolated"
        )
    return f"it is further from the minimum than allowed, or than {flat.dtype} tells"


def _falls(value, slope, flat: Array, way: Array) -> bool:
    """Return whether the energy is lower along `way`, and falls there still."""
    size = max(1.0, float(jnp.max(jnp.abs(flat))))
    return any(
        value(ahead) < value(flat) and slope(ahead) @ np.asarray(way) < 0
        for ahead in (flat + 0.1 * size * way, flat + 10 * size * way)
    )


def _flat_everywhere(value, slope, flat: Array, idle: np.ndarray) -> str:
    """Return what is to be said of nodes whose ∂E/∂s is 0 far away too, "" where it is not."""
    way = jnp.where(jnp.arange(flat.size) % 2, -1, 1) * max(1.0, float(jnp.max(jnp.abs(flat))))
    way = jnp.where(idle, way, 0).astype(flat.dtype)
    away = [flat - way, flat + way]
    if not idle.any() or any(slope(s)[idle].any() for s in away):
        return ""
    if any(value(s) != value(flat) for s in away):
        return "the energy changes, but its derivative is 0: is `round` or `stop_gradient` in it?"
    return "the energy is the same everywhere" if idle.all() else ""
