"""A continuous Ising machine: spins in double wells."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy, bias, bilinear
from .couplings import check_coupled, draw_coupled, require_inputs


class Ising(Energy):
    """Soft spins, each in a well that splits in two at `gain` 0, with couplings and inputs.

    E = Σ_i (s_i⁴/4 − a s_i²/2) − Σ_{i<j} J_ij s_i s_j − Σ_ki x_k W_ki s_i − Σ_i b_i s_i

    The state is the spins s. For symmetric J without a diagonal the coupling term is −½ s·J s.
    (Wang et al. 2013 and Leleu et al. 2019 for the machine, whose degenerate optical parametric
    oscillators obey the flow of this energy.)

    **Arguments:**

    - `couplings`: J (spins, spins); only the entries above the diagonal are used, one a pair.
    - `weights`: W (inputs, spins).
    - `biases`: b (spins,).
    - `output_size`: how many spins are outputs, the last ones.
    - `gain`: a, the pump above its threshold; a spin alone rests at ±√a.

    **Raises** `ValueError` for shapes that do not fit and a gain that is not finite.
    """

    couplings: Float[Array, "n n"]
    weights: Float[Array, "inputs n"]
    biases: Float[Array, " n"]
    output_size: int = eqx.field(static=True)
    gain: float = eqx.field(converter=float, default=1.0)

    def __check_init__(self):
        check_coupled(self, (), "spins")
        if not np.isfinite(self.gain):
            raise ValueError(f"`gain` must be finite, but is {self.gain}")

    @classmethod
    def init(
        cls, key: PRNGKeyArray, inputs: int, spins: int, output_size: int, gain: float = 1.0
    ) -> "Ising":
        """Return a random machine: weights U(±1/√inputs), couplings U(±1/√spins), biases 0.

        **Arguments:** `key`: of the random numbers; `inputs`, `spins`: how many of each;
        `output_size`, `gain`: as for the class.
        """
        couplings, weights = draw_coupled(key, inputs, spins, 1.0)
        return cls(couplings, weights, jnp.zeros(spins), output_size, gain)

    def field(self, x: Float[Array, " inputs"]) -> Float[Array, " n"]:
        """Return the field x·W + b that inputs and biases make at each spin (spins,).

        **Arguments:** `x`: the input (inputs,).
        """
        require_inputs(x, self.weights)
        return x.astype(self.weights.dtype) @ self.weights + self.biases

    def __call__(self, state, x):
        wells = jnp.sum(state**4 / 4 - self.gain * state**2 / 2)
        return (
            wells - bilinear(jnp.triu(self.couplings, 1), state, state) - bias(self.field(x), state)
        )

    def init_state(self, x) -> Float[Array, " n"]:
        """Return each spin in the well that its own field favours.

        It lies outside of the well's minimum, and never at 0, where all wells have a saddle.
        """
        field = self.field(x)
        size = jnp.maximum(math.sqrt(max(self.gain, 0.0)) + jnp.cbrt(jnp.abs(field)), 0.1)
        return jnp.where(field < 0, -size, size)

    def outputs(self, state):
        return state[-self.output_size :]
