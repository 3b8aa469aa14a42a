"""The network as an ordinary differential equation: settling by its flow, and its trajectory in time, with diffrax."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .energy import Energy, State
from .relaxation import Method, error, force, threshold


def flow(energy: Energy, x: Array, state: State) -> State:
    """ds/dt of τ ds/dt = P(−∂E/∂s), taken at the state clipped to its bounds; P removes what a bound holds back. Per second."""
    box = energy.bounds(x)
    inside = state if box is None else jax.tree.map(jnp.clip, state, *box)
    pull = force(energy, x, inside)
    taus = energy.time_constants(x)
    if jax.tree.structure(taus) == jax.tree.structure(pull):
        return jax.tree.map(lambda g, tau: -g / tau, pull, taus)
    return jax.tree.map(lambda g: -g / taus, pull)


class GradientFlow(Method):
    """Settles by integrating `flow` until `Equilibrium.error` is within `tolerance`: the definition the other methods are held to.

    **Arguments:** `solver`, `controller`: any of diffrax's. The default is Kvaerno3 with loose steps: the fixed point is as exact as
    `tolerance` whatever the steps are, tight steps only cost rejections, and an explicit solver stalls before the tolerance, at its
    limit of stability. `max_steps`: of the solver.
    """

    solver: diffrax.AbstractSolver = diffrax.Kvaerno3()
    controller: diffrax.AbstractStepSizeController = diffrax.PIDController(rtol=1e-6, atol=1e-8)
    tolerance: float | None = 1e-10
    max_steps: int = 10_000

    def settle(self, energy, x, state):
        tolerance = 0.0 if self.tolerance is None else self.tolerance
        box = energy.bounds(x)

        def settled(t, y, args, **unused):
            return error(energy, x, y) <= threshold(tolerance, y)

        solution = self._solve(energy, x, state, jnp.inf, diffrax.SaveAt(t1=True), diffrax.Event(settled))
        end = jax.tree.map(lambda leaf: leaf[-1], solution.ys)
        return (end if box is None else jax.tree.map(jnp.clip, end, *box)), solution.stats["num_steps"]

    def _solve(self, energy: Energy, x: Array, state: State, t1: Any, saveat: diffrax.SaveAt, event: diffrax.Event | None):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, s, args: flow(energy, x, s)),
            self.solver,
            0.0,
            t1,
            1e-3 * jnp.min(ravel_pytree(energy.time_constants(x))[0]),  # diffrax's own guess fails close to a fixed point
            state,
            stepsize_controller=self.controller,
            saveat=saveat,
            event=event,
            max_steps=self.max_steps,
            throw=False,
        )


@eqx.filter_jit
def trajectory(
    energy: Energy, x: Array, times: Float[Array, " times"], *, start: State | None = None, method: GradientFlow | None = None
) -> State:
    """The states of the flow at `times` (seconds, increasing, the first at or after 0), with time as the leading axis of every leaf.

    The flow starts at time 0 at `start`, the energy's `init_state` if not given. For a nudged phase pass a `Nudged` energy and the free
    state. `method`: its solver, controller and step limit; Tsit5 with steps accurate to 1e-8 if not given, an implicit solver being
    for stiff energies. Raises an `EquinoxRuntimeError` where the solver gives up.
    """
    state = energy.init_state(x) if start is None else start
    if method is None:
        method = GradientFlow(solver=diffrax.Tsit5(), controller=diffrax.PIDController(rtol=1e-8, atol=1e-10))
    solution = method._solve(energy, x, state, times[-1], diffrax.SaveAt(ts=times), None)
    return eqx.error_if(solution.ys, ~diffrax.is_successful(solution.result), "the flow's solver gave up: allow more `max_steps`")
