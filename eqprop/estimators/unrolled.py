"""Explicit steps of the flow: back-propagation through them, and its match to EP in time."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..costs import Cost
from ..energies import Energy, State
from ..settling.certificate import certify
from ..settling.equilibrium import Stop
from ..settling.flow import flow, smallest_time_constant
from ..settling.phases import Nudged
from .base import Estimate, Estimator, directional_gradient, parameter_gradient


class Unrolled(Estimator):
    """Back-propagation through steps of the flow, s' = P(s − h/τ · ∂E/∂s), from `init_state`.

    The gradient of the cost where the steps end, as for a recurrent network; that of the settled
    cost where they have settled. Memory grows with the steps.

    **Arguments:** `steps`: how many steps, at least 1; `step`: h in units of the smallest time
    constant, above 0.

    **Raises** `ValueError` for fewer steps than 1, and for an h that is not finite or not above 0.
    """

    steps: int
    step: float
    method: None = None

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, but is {self.steps}")
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"`step` must be finite and above 0, but is {self.step}")

    def estimate(self, net, cost, xs, ys, key=None):
        def run(net, x):
            state = net.init_state(x)
            return jax.lax.scan(
                lambda s, _: (euler(net, x, s, self.step), None), state, length=self.steps
            )[0]

        def loss(net):
            return jnp.mean(jax.vmap(lambda x, y: cost(net.outputs(run(net, x)), y))(xs, ys))

        def free(x):
            return certify(net, x, Stop(run(net, x), jnp.asarray(self.steps)), None)

        return Estimate(loss(net), parameter_gradient(net, loss), jax.vmap(free)(xs))


def euler(net: Energy, x: Array, state: State, step: float) -> State:
    """Return the state after one explicit step of the flow, clipped to the bounds.

    **Arguments:** `net`, `x`, `state`: of one example; `step`: in smallest time constants.
    """
    h = step * smallest_time_constant(net, x)
    moved = jax.tree.map(lambda s, v: s + (h * v).astype(s.dtype), state, flow(net, x, state))
    box = net.bounds(x)
    return moved if box is None else jax.tree.map(jnp.clip, moved, *box)


class Traces(eqx.Module):
    """Gradients in time; every leaf has the steps as its leading axis.

    A running sum over the steps tends to the gradient.

    - `nudged`: what each step of the nudged phase adds to [∂E/∂θ(s_β,t) − ∂E/∂θ(s_0)] / β.
    - `backpropagation`: what the parameters at the step that many from the last add to the gradient
      of the cost, all steps at the free state.
    - `free`, `loss`: the free state and its cost.
    """

    nudged: Any
    backpropagation: Any
    free: State
    loss: Float[Array, ""]


@eqx.filter_jit
def traces(
    net: Energy,
    cost: Cost,
    x: Array,
    y: Array,
    *,
    beta: float,
    steps: int,
    step: float,
    free: State,
) -> Traces:
    """Return EP and back-propagation through time, step for step, of one example.

    From the settled `free` state the nudged phase takes explicit steps; back-propagation goes back
    through as many steps that stay at the free state. The two agree to O(β) at every step, for
    every parameter (Ernoult et al. 2019).

    **Arguments:**

    - `net`, `cost`, `x`, `y`: the network, the cost, and the input and target of one example.
    - `beta`: β of the nudged phase, in units of E over C.
    - `steps`: how many steps.
    - `step`: the length of a step, in smallest time constants.
    - `free`: the settled free state.

    **Returns** the `Traces`.

    **Raises** an `EquinoxRuntimeError` where `step` is so long that the steps grow without bound.
    """
    nudged_energy = Nudged(net, cost, y, beta)

    def advance(state, _):
        ahead = euler(nudged_energy, x, state, step)
        middle = jax.tree.map(lambda a, b: ((a + b) / 2)[None], ahead, state)
        change = jax.tree.map(lambda a, b: ((a - b) / beta)[None], ahead, state)
        return ahead, directional_gradient(net, jnp.asarray(x)[None], middle, change)

    _, nudged = jax.lax.scan(advance, free, length=steps)

    # Back-propagation goes through one and the same step, at the free state, again and again.
    params, rest = eqx.partition(net, eqx.is_inexact_array)
    loss, adjoint = jax.value_and_grad(lambda s: cost(net.outputs(s), y))(free)
    _, back = jax.vjp(lambda params, s: euler(eqx.combine(params, rest), x, s, step), params, free)

    def retreat(adjoint, _):
        gradient, before = back(adjoint)
        return before, gradient

    _, backpropagation = jax.lax.scan(retreat, adjoint, length=steps)

    finite = jnp.stack(
        [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((nudged, backpropagation))]
    )
    return eqx.error_if(
        Traces(nudged, backpropagation, free, loss),
        ~jnp.all(finite),
        "the steps grow without bound: `step` must be smaller",
    )
