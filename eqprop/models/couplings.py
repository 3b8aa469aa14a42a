"""The arrays of networks whose units are all coupled to each other: checked, and drawn."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def check_coupled(net: Any, biases: tuple[int, ...], units: str) -> None:
    """Raise `ValueError` unless a network's arrays fit its couplings (n, n).

    **Arguments:** `net`: with `couplings`, `weights` (inputs, n), `biases` and `output_size`;
    `biases`: the leading axes of its biases (*`biases`, n); `units`: what an error calls the nodes.
    """
    n = net.couplings.shape[0]
    if net.couplings.shape != (n, n):
        raise ValueError(f"`couplings` must be square, but has shape {net.couplings.shape}")
    if net.weights.shape[1:] != (n,):
        raise ValueError(f"`weights` must have shape (inputs, {n}), but has {net.weights.shape}")
    if net.biases.shape != (*biases, n):
        raise ValueError(f"`biases` must have shape {(*biases, n)}, but has {net.biases.shape}")
    if not 1 <= net.output_size <= n:
        raise ValueError(
            f"`output_size` must be from 1 to the {n} {units}, but is {net.output_size}"
        )


def draw_coupled(
    key: PRNGKeyArray, inputs: int, units: int, size: float
) -> tuple[Float[Array, "n n"], Float[Array, "inputs n"]]:
    """Return random couplings U(±size/√units) above the diagonal, and weights U(±size/√inputs)."""
    first, second = jax.random.split(key)
    couplings = jax.random.uniform(first, (units, units), minval=-size, maxval=size) / math.sqrt(
        units
    )
    return jnp.triu(couplings, 1), jax.random.uniform(
        second, (inputs, units), minval=-size, maxval=size
    ) / math.sqrt(inputs)


def require_inputs(x: Array, weights: Float[Array, "inputs n"]) -> None:
    """Raise `ValueError` for an example that has not one number for each row of `weights`."""
    if x.shape != weights.shape[:1]:
        raise ValueError(f"`x` must have shape {weights.shape[:1]}, but has {x.shape}")
