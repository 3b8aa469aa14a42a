"""The gradient of a mean cost at finite temperature, from the fluctuations of one free phase."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..energies import Energy
from ..settling.certificate import certify
from ..settling.equilibrium import Stop
from ..settling.langevin import Langevin
from ..settling.relaxation import BatchEnergy
from .base import Estimate, Estimator, parameter_gradient


class Thermal(Estimator):
    """The gradient d⟨C⟩/dθ = −Cov(C, ∂E/∂θ) / T of the mean cost under the density exp(−E/T).

    The fluctuation-dissipation theorem: the response of ⟨C⟩ to a parameter is the covariance that
    noise shows without any nudge. The averages are over a `Langevin` walk of each example, which is
    walked twice, once for ⟨C⟩; the error is that of the sample, and falls as one over the square
    root of its steps. Needs a `key`.

    **Arguments:** `method`: the walk, with its temperature and its number of steps.
    """

    method: Langevin

    def estimate(self, net, cost, xs, ys, key=None):
        batch = BatchEnergy(_free, net, xs)
        start = batch.init_state(jnp.zeros(()))
        count = self.method.steps

        def costs(states):
            return jax.vmap(lambda s, y: cost(net.outputs(s), y))(states, ys)

        def gradient(function):
            return parameter_gradient(net, function)

        # First walk: the mean cost and the mean state of each example.
        def means(carry, states):
            share = (costs(states) / count, jax.tree.map(lambda s: s / count, states))
            return jax.tree.map(jnp.add, carry, share)

        zeros = jax.tree.map(jnp.zeros_like, start)
        mean, average = self.method.walk(
            batch, jnp.zeros(()), start, key, means, (jnp.zeros_like(costs(start)), zeros)
        )

        # Second walk, with the same noise: the covariance, and the variance of each node.
        def covariances(carry, states):
            deviation = (costs(states) - mean) / count
            change = gradient(lambda net: jnp.mean(deviation * jax.vmap(net)(states, xs)))
            spread = jax.tree.map(lambda s, m: (s - m) ** 2 / count, states, average)
            return jax.tree.map(jnp.add, carry, (change, spread))

        no_gradient = jax.tree.map(
            jnp.zeros_like, gradient(lambda net: jnp.mean(jax.vmap(net)(start, xs)))
        )
        covariance, variance = self.method.walk(
            batch, jnp.zeros(()), start, key, covariances, (no_gradient, zeros)
        )

        steps = jnp.asarray(self.method.burn_in + count)
        free = jax.vmap(lambda x, s, v: certify(net, x, Stop(s, steps, None, v), None))(
            xs, average, variance
        )
        grad = jax.tree.map(lambda c: -c / self.method.temperature, covariance)
        return Estimate(jnp.mean(mean), grad, free)


def _free(net: Energy, x: Array) -> tuple[Energy, Array, None]:
    return net, x, None
