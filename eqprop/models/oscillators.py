"""Coupled phase oscillators: the XY model, whose gradient flow is the Kuramoto model."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy, bilinear
from .couplings import check_coupled, draw_coupled, require_inputs


class Oscillators(Energy):
    """Phase oscillators coupled to each other and to input oscillators whose phases x are held.

    E = −Σ_{i<j} J_ij cos(φ_i − φ_j) − Σ_ki W_ki cos(φ_i − x_k) − Σ_i (b_0i cos φ_i + b_1i sin φ_i)

    The gradient flow is the Kuramoto model with equal natural frequencies, in the frame that turns
    with them. The state is the phases φ, in radians. (Wang, Wanjura & Marquardt 2024,
    arXiv:2402.08579, for equilibrium propagation in it.)

    **Arguments:**

    - `couplings`: J (oscillators, oscillators); only the entries above the diagonal are used, one
      a pair.
    - `weights`: W (inputs, oscillators).
    - `biases`: b (2, oscillators), the components of a field on each oscillator.
    - `output_size`: how many oscillators are outputs, the last ones.
    - `reading`: what is read of their phases. Sine or cosine keep the outputs free of jumps by
      2π.

    **Raises** `ValueError` for shapes that do not fit.
    """

    couplings: Float[Array, "n n"]
    weights: Float[Array, "inputs n"]
    biases: Float[Array, "2 n"]
    output_size: int = eqx.field(static=True)
    reading: Callable[[Array], Array] = eqx.field(static=True, default=jnp.sin)

    def __check_init__(self):
        check_coupled(self, (2,), "oscillators")

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        inputs: int,
        oscillators: int,
        output_size: int,
        reading: Callable[[Array], Array] = jnp.sin,
    ) -> "Oscillators":
        """Return a random network: weights U(±1/(2√inputs)), couplings U(±1/(2√oscillators)).

        A field of 1 along phase 0 on each oscillator makes it likely that there is one minimum,
        towards which every oscillator can turn.

        **Arguments:** `key`: of the random numbers; `inputs`, `oscillators`: how many of each;
        `output_size`, `reading`: as for the class.
        """
        couplings, weights = draw_coupled(key, inputs, oscillators, 0.5)
        biases = jnp.stack([jnp.ones(oscillators), jnp.zeros(oscillators)])
        return cls(couplings, weights, biases, output_size, reading)

    def fields(self, x: Float[Array, " inputs"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Return the cosine and sine components of the field at each oscillator.

        **Arguments:** `x`: the phases of the inputs (inputs,), in radians.
        """
        require_inputs(x, self.weights)
        x = x.astype(self.weights.dtype)
        along, across = self.biases
        return jnp.cos(x) @ self.weights + along, jnp.sin(x) @ self.weights + across

    def __call__(self, state, x):
        pairs = jnp.triu(self.couplings, 1)
        value = 0.0
        for part, field in zip((jnp.cos(state), jnp.sin(state)), self.fields(x), strict=True):
            value -= bilinear(pairs, part, part) + field @ part
        return value

    def init_state(self, x) -> Float[Array, " n"]:
        """Return the phases that inputs and biases alone would set, each off by up to 0.1.

        The offsets break the symmetry φ → −φ of inputs at 0 and π only, under which saddles are
        stationary.
        """
        along, across = self.fields(x)
        return jnp.arctan2(across, along) + 0.1 * jnp.cos(jnp.arange(along.size, dtype=along.dtype))

    def outputs(self, state):
        return self.reading(state[-self.output_size :])
