"""What networks of units that are all coupled to each other share: their arrays, checked and drawn."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def check_coupled(network: Any, biases: tuple[int, ...], units: str) -> None:
    """Raises `ValueError` unless the network's arrays fit its couplings (n, n): `weights` (inputs, n), `biases` (*`biases`, n)."""
    n = network.couplings.shape[0]
    if network.couplings.shape != (n, n):
        raise ValueError(f"`couplings` must be square, but has shape {network.couplings.shape}")
    if network.weights.shape[1:] != (n,):
        raise ValueError(
            f"`weights` must have shape (inputs, {n}), but has {network.weights.shape}"
        )
    if network.biases.shape != (*biases, n):
        raise ValueError(f"`biases` must have shape {(*biases, n)}, but has {network.biases.shape}")
    if not 1 <= network.output_size <= n:
        raise ValueError(
            f"`output_size` must be from 1 to the {n} {units}, but is {network.output_size}"
        )


def draw_coupled(
    key: PRNGKeyArray, inputs: int, units: int, size: float
) -> tuple[Float[Array, "n n"], Float[Array, "inputs n"]]:
    """Couplings U(±size/√units), those above the diagonal, and weights U(±size/√inputs)."""
    first, second = jax.random.split(key)
    couplings = jax.random.uniform(first, (units, units), minval=-size, maxval=size) / math.sqrt(
        units
    )
    return jnp.triu(couplings, 1), jax.random.uniform(
        second, (inputs, units), minval=-size, maxval=size
    ) / math.sqrt(inputs)


def require_inputs(x: Array, weights: Float[Array, "inputs n"]) -> None:
    """Raises `ValueError` for an example that has not one number for each row of `weights`."""
    if x.shape != weights.shape[:1]:
        raise ValueError(f"`x` must have shape {weights.shape[:1]}, but has {x.shape}")
