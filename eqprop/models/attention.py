"""A modern Hopfield network: an associative memory whose update is attention."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy


class Attention(Energy):
    """A modern Hopfield network that completes stored patterns.

    The input x is one part of a pattern, the state s the other.

    E = ½ |s|² − (1/β) log Σ_m exp(β (`keys` x + `values` s)_m)

    Its fixed points are s = `values`ᵀ softmax(β (`keys` x + `values` s)): attention of the query x,
    with the answer fed back. Without inputs this is Ramsauer et al. 2020 (arXiv:2008.02217), eq. 2
    and 3, up to a constant, with the rows of `values` as patterns.

    **Arguments:**

    - `keys`: the parts of the patterns that inputs match (patterns, inputs).
    - `values`: the parts that the state completes (patterns, outputs).
    - `inverse_temperature`: β, above 0.

    **Raises** `ValueError` for shapes that do not fit and an inverse temperature that is not above
    0 or not finite.
    """

    keys: Float[Array, "patterns inputs"]
    values: Float[Array, "patterns outputs"]
    inverse_temperature: float = eqx.field(converter=float, default=1.0)

    def __check_init__(self):
        for name in ("keys", "values"):
            array = getattr(self, name)
            if array.ndim != 2 or array.shape[0] != self.values.shape[0]:
                raise ValueError(
                    f"`{name}` must have one row for each of the {self.values.shape[0]} patterns, "
                    f"but has shape {array.shape}"
                )
        if not (np.isfinite(self.inverse_temperature) and self.inverse_temperature > 0):
            raise ValueError(
                "`inverse_temperature` must be finite and above 0, "
                f"but is {self.inverse_temperature}"
            )

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        inputs: int,
        patterns: int,
        outputs: int,
        inverse_temperature: float = 1.0,
    ) -> "Attention":
        """Return a random network with keys U(±1/√inputs) and values U(±1/√outputs).

        **Arguments:** `key`: of the random numbers; `inputs`, `patterns`, `outputs`: how many of
        each; `inverse_temperature`: β.
        """
        first, second = jax.random.split(key)
        keys = jax.random.uniform(first, (patterns, inputs), minval=-1.0, maxval=1.0) / math.sqrt(
            inputs
        )
        values = jax.random.uniform(
            second, (patterns, outputs), minval=-1.0, maxval=1.0
        ) / math.sqrt(outputs)
        return cls(keys, values, inverse_temperature)

    def _match(self, x: Array) -> Array:
        """Return how far the input alone agrees with each pattern, `keys` x."""
        if x.shape != self.keys.shape[1:]:
            raise ValueError(f"`x` must have shape {self.keys.shape[1:]}, but has {x.shape}")
        return self.keys @ x.astype(self.keys.dtype)

    def retrieve(
        self, state: Float[Array, " outputs"], x: Float[Array, " inputs"]
    ) -> Float[Array, " outputs"]:
        """Return one step of attention, `values`ᵀ softmax(β (`keys` x + `values` s)).

        At a fixed point it is the state itself.

        **Arguments:** `state`: s (outputs,); `x`: the input (inputs,).
        """
        return (
            jax.nn.softmax(self.inverse_temperature * (self._match(x) + self.values @ state))
            @ self.values
        )

    def __call__(self, state, x):
        beta = self.inverse_temperature
        return (
            jnp.sum(state**2) / 2
            - jax.nn.logsumexp(beta * (self._match(x) + self.values @ state)) / beta
        )

    def init_state(self, x) -> Float[Array, " outputs"]:
        """Return what the input alone retrieves."""
        return jax.nn.softmax(self.inverse_temperature * self._match(x)) @ self.values

    def outputs(self, state):
        return state
