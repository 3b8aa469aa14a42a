"""The gradient of a mean cost at finite temperature, from the fluctuations of one phase that nobody nudges."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..energies import Energy
from ..settling.equilibrium import Stop, certify
from ..settling.langevin import Langevin
from ..settling.relaxation import BatchEnergy
from .base import Estimate, Estimator, parameter_gradient


class Thermal(Estimator):
    """The gradient d⟨C⟩/dθ = −Cov(C, ∂E/∂θ) / T of the mean cost under the density exp(−E/T).

    The fluctuation-dissipation theorem: the response of ⟨C⟩ to a parameter is the covariance that noise shows without any nudge. The
    averages are over a `Langevin` walk of each example, which is walked twice, once for ⟨C⟩; the error is that of the sample, and falls
    as one over the square root of its steps. Needs a `key`.
    """

    method: Langevin

    def estimate(self, energy, cost, xs, ys, key=None):
        whole = BatchEnergy(_alone, energy, xs)
        start = whole.init_state(jnp.zeros(()))
        count = self.method.steps

        def costs(states):
            return jax.vmap(lambda s, y: cost(energy.outputs(s), y))(states, ys)

        def first(carry, states):
            return jax.tree.map(
                jnp.add, carry, (costs(states) / count, jax.tree.map(lambda s: s / count, states))
            )

        zeros = jax.tree.map(jnp.zeros_like, start)
        mean, average = self.method.walk(
            whole, jnp.zeros(()), start, key, first, (jnp.zeros_like(costs(start)), zeros)
        )

        def second(carry, states):
            gradient, square = carry
            off = (costs(states) - mean) / count
            change = parameter_gradient(energy, lambda e: jnp.mean(off * jax.vmap(e)(states, xs)))
            spread = jax.tree.map(lambda s, m: (s - m) ** 2 / count, states, average)
            return jax.tree.map(jnp.add, gradient, change), jax.tree.map(jnp.add, square, spread)

        nothing = jax.tree.map(
            jnp.zeros_like, parameter_gradient(energy, lambda e: jnp.mean(jax.vmap(e)(start, xs)))
        )
        covariance, variance = self.method.walk(
            whole, jnp.zeros(()), start, key, second, (nothing, zeros)
        )
        steps = jnp.asarray(self.method.burn_in + count)
        free = jax.vmap(lambda x, s, v: certify(energy, x, Stop(s, steps, None, v), None))(
            xs, average, variance
        )
        return Estimate(
            jnp.mean(mean), jax.tree.map(lambda c: -c / self.method.temperature, covariance), free
        )


def _alone(energy: Energy, x: Array) -> tuple[Energy, Array, None]:
    return energy, x, None
