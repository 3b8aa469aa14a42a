"""The references: the exact gradient by the implicit function theorem, and back-propagation through the relaxation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..costs import Cost
from ..energies import Energy, State
from ..settling.equilibrium import Method, Stop, certify, free_hessian
from ..settling.flow import flow, smallest_time_constant
from ..settling.phases import Nudged
from .base import Estimate, Estimator, directional_gradient, free_phase, parameter_gradient


class Implicit(Estimator):
    """The exact gradient −(∂²E/∂θ∂s) (∂²E/∂s²)⁻¹ ∂C/∂s of the settled cost on the free coordinates: the reference for the others.

    The implicit function theorem at the free state; a dense solve of O(n³) per example. Raises `NotSettledError` also where the free
    state is no isolated minimum.
    """

    method: Method | None = None

    def estimate(self, energy, cost, xs, ys, key=None):
        loss, free = free_phase(energy, cost, xs, ys, self.method, key)

        def adjoint(state, x, y):
            hessian, _, coordinates = free_hessian(energy, x, state)
            slope = jax.grad(lambda s: cost(energy.outputs(s), y))(state)
            flat, restore = ravel_pytree(slope)
            factor = jax.scipy.linalg.cho_factor(hessian)
            return restore(-jax.scipy.linalg.cho_solve(factor, jnp.where(coordinates, flat, 0.0)))

        adjoints = jax.vmap(adjoint)(free.state, xs, ys)
        isolated = jax.vmap(lambda d: jnp.all(jnp.isfinite(ravel_pytree(d)[0])))(adjoints)
        free = eqx.tree_at(lambda e: e.settled, free, free.settled & isolated)
        return Estimate(loss, directional_gradient(energy, xs, free.state, adjoints), free)


class Unrolled(Estimator):
    """Back-propagation through `steps` steps of the flow, s' = P(s − h/τ · ∂E/∂s) from the energy's `init_state`.

    The gradient of the cost where the steps end, as for a recurrent network; that of the settled cost where they have settled.

    **Arguments:** `step`: h in units of the smallest time constant, above 0. Memory grows with the steps. Raises `ValueError` for fewer
    steps than 1.
    """

    steps: int
    step: float
    method: None = None

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, but is {self.steps}")
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"`step` must be finite and above 0, but is {self.step}")

    def estimate(self, energy, cost, xs, ys, key=None):
        def run(energy, x):
            state = energy.init_state(x)
            return jax.lax.scan(
                lambda s, _: (euler(energy, x, s, self.step), None), state, length=self.steps
            )[0]

        def loss(energy):
            return jnp.mean(jax.vmap(lambda x, y: cost(energy.outputs(run(energy, x)), y))(xs, ys))

        def free(x):
            return certify(energy, x, Stop(run(energy, x), jnp.asarray(self.steps)), None)

        return Estimate(loss(energy), parameter_gradient(energy, loss), jax.vmap(free)(xs))


def euler(energy: Energy, x: Array, state: State, step: float) -> State:
    """One explicit step of the flow, of `step` smallest time constants, clipped to the bounds."""
    h = step * smallest_time_constant(energy, x)
    moved = jax.tree.map(lambda s, v: s + (h * v).astype(s.dtype), state, flow(energy, x, state))
    box = energy.bounds(x)
    return moved if box is None else jax.tree.map(jnp.clip, moved, *box)


class Traces(eqx.Module):
    """Gradients in time, steps being the leading axis of every leaf; a running sum over it tends to the gradient.

    - `nudged`: what each step of the nudged phase adds to [∂E/∂θ(s_β,t) − ∂E/∂θ(s_0)] / β.
    - `backpropagation`: what the parameters at the step that many from the last add to the gradient of the cost, all steps at the free
      state.
    - `free`, `loss`: the free state and its cost.
    """

    nudged: Any
    backpropagation: Any
    free: State
    loss: Float[Array, ""]


@eqx.filter_jit
def traces(
    energy: Energy,
    cost: Cost,
    x: Array,
    y: Array,
    *,
    beta: float,
    steps: int,
    step: float,
    free: State,
) -> Traces:
    """Equilibrium propagation and back-propagation through time, step for step, of one example (Ernoult et al. 2019).

    From the settled `free` state the nudged phase takes `steps` explicit steps of `step` smallest time constants; back-propagation
    goes back through as many steps that stay at the free state. The two agree to O(β) at every step, for every parameter. Raises an
    `EquinoxRuntimeError` where `step` is so long that the steps grow without bound.
    """
    nudged_energy = Nudged(energy, cost, y, beta)

    def advance(state, _):
        ahead = euler(nudged_energy, x, state, step)
        middle = jax.tree.map(lambda a, b: ((a + b) / 2)[None], ahead, state)
        change = jax.tree.map(lambda a, b: ((a - b) / beta)[None], ahead, state)
        return ahead, directional_gradient(energy, jnp.asarray(x)[None], middle, change)

    _, nudged = jax.lax.scan(advance, free, length=steps)
    params, rest = eqx.partition(energy, eqx.is_inexact_array)
    loss, adjoint = jax.value_and_grad(lambda s: cost(energy.outputs(s), y))(free)
    _, back = jax.vjp(lambda params, s: euler(eqx.combine(params, rest), x, s, step), params, free)

    def retreat(adjoint, _):
        gradient, before = back(adjoint)
        return before, gradient

    _, backpropagation = jax.lax.scan(retreat, adjoint, length=steps)
    found = Traces(nudged, backpropagation, free, loss)
    finite = jnp.stack(
        [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((nudged, backpropagation))]
    )
    return eqx.error_if(
        found, ~jnp.all(finite), "the steps grow without bound: `step` must be smaller"
    )
