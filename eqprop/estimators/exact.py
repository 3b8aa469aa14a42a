"""The exact gradient of a settled cost, by the implicit function theorem."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..settling.equilibrium import Method, free_hessian
from .base import Estimate, Estimator, directional_gradient, free_phase


class Implicit(Estimator):
    """The exact gradient −(∂²E/∂θ∂s) (∂²E/∂s²)⁻¹ ∂C/∂s of the settled cost: the reference.

    The implicit function theorem at the free state, on the free coordinates; a dense solve of O(n³)
    per example.

    **Arguments:** `method`: how the free phase is settled; `default_method` if `None`.

    **Raises** `NotSettledError` also where the free state is no isolated minimum.
    """

    method: Method | None = None

    def estimate(self, net, cost, xs, ys, key=None):
        loss, free = free_phase(net, cost, xs, ys, self.method, key)

        def adjoint(state, x, y):
            hessian, _, coordinates = free_hessian(net, x, state)
            slope = jax.grad(lambda s: cost(net.outputs(s), y))(state)
            flat, restore = ravel_pytree(slope)
            factor = jax.scipy.linalg.cho_factor(hessian)
            return restore(-jax.scipy.linalg.cho_solve(factor, jnp.where(coordinates, flat, 0.0)))

        # A Cholesky factor of a Hessian that is not positive definite holds NaN.
        adjoints = jax.vmap(adjoint)(free.state, xs, ys)
        isolated = jax.vmap(lambda d: jnp.all(jnp.isfinite(ravel_pytree(d)[0])))(adjoints)
        free = eqx.tree_at(lambda e: e.settled, free, free.settled & isolated)
        return Estimate(loss, directional_gradient(net, xs, free.state, adjoints), free)
