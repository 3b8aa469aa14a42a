"""Optimisers: how a gradient becomes an update of the parameters."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

DESCENT = optax.scale(-1.0)
"""Plain gradient descent; one object, so that two fits share their compiled steps."""

_PROBE = 1000.0  # a gradient that noise of the usual size does not turn round


def require_descent(optimizer: Any, params: Any) -> None:
    """Raise `ValueError` for what is no optax optimiser, or one that climbs.

    An optimiser of optax returns updates that are to be added, −rate times a gradient; parts of
    one, such as `optax.scale_by_adam()`, leave the sign to what follows them. The first update
    after a gradient that is positive everywhere tells them apart.

    **Arguments:**

    - `optimizer`: the argument of `fit`.
    - `params`: the parameters that learn.
    """
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValueError(
            "`optimizer` must be an optimiser of optax, such as optax.adam(1e-3), "
            f"but is {optimizer}"
        )
    if float(_first_climb(optimizer, params)) > 0:
        raise ValueError(
            "`optimizer` must return updates that descend, as optax.adam(1e-3) does, but its first "
            "one follows the gradient upwards: chain it with optax.scale_by_learning_rate(rate)"
        )


@eqx.filter_jit
def _first_climb(optimizer: optax.GradientTransformation, params: Any) -> Float[Array, ""]:
    """Return Σ update · gradient of the first update."""
    gradient = jax.tree.map(lambda leaf: jnp.full_like(leaf, _PROBE), params)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    return sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(updates)), jnp.zeros(()))


def updated(
    old: Float[Array, "..."],
    update: Float[Array, "..."],
    rate: Float[Array, ""],
    bounds: tuple[float, float],
) -> Float[Array, "..."]:
    """Return the parameter P(θ + rate · update), P being the projection on its bounds.

    A number that is not finite becomes NaN, since a bound must not hide an infinity.

    **Arguments:**

    - `old`: the parameter θ.
    - `update`: what the optimiser adds to it, in its units (`optax.apply_updates`).
    - `rate`: the scale of the update.
    - `bounds`: the least and the greatest value.
    """
    new = old + rate.astype(old.dtype) * update.astype(old.dtype)
    return jnp.where(jnp.isfinite(new), jnp.clip(new, *bounds), jnp.nan)
