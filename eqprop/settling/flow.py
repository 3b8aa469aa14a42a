"""Settling in time: the gradient flow of an energy, and its trajectories."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from ..energies import Energy, State, largest
from .compilation import batched_alike
from .descent import descend
from .equilibrium import Method, Stop, for_every_node, force, least, slope_at

AT_BOUND = 1e-13
"""How near a bound a node counts as at it, in units of `Energy.scale`; at least the rounding of the
state's dtype."""


def flow(energy: Energy, x: Array, state: State) -> State:
    """Return ds/dt of τ ds/dt = P(−∂E/∂s), per second, at the state held to its bounds.

    P removes what a bound holds back.
    """
    return jax.tree.map(
        lambda g, tau: -g / tau,
        force(energy, x, _inside(energy, x, state)),
        _time_constants(energy, x, state),
    )


def _inside(energy: Energy, x: Array, state: State) -> State:
    """Return a state with every node that is beyond a bound, or within `AT_BOUND` of it, at it.

    Where rounding has put a node just off the bound that holds it, the flow would jump between
    there and the bound, and the equation of an implicit step has no solution.
    """
    box = energy.bounds(x)
    if box is None:
        return state

    def one(s, low, high, size):
        near = max(AT_BOUND, float(jnp.finfo(s.dtype).eps)) * size
        return jnp.where(s <= low + near, low, jnp.where(s >= high - near, high, s))

    return jax.tree.map(one, state, *box, for_every_node(energy.scale(state), state))


def _time_constants(energy: Energy, x: Array, state: State) -> State:
    return for_every_node(energy.time_constants(x), state)


def smallest_time_constant(energy: Energy, x: Array) -> Float[Array, ""]:
    """Return the smallest of the energy's time constants, in seconds."""
    return jnp.min(ravel_pytree(energy.time_constants(x))[0])


class GradientFlow(Method):
    """The integral of `flow` until `Equilibrium.settled`: what other methods are held to.

    It stops where one product with ∂²E/∂s² lets the phase seem settled, and is certified there.
    Where that fails, it goes on to twice the time at least.

    **Arguments:**

    - `solver`, `controller`: any of diffrax's. The default is Kvaerno3 with loose steps: the fixed
      point is as exact as `tolerance` whatever the steps are, tight steps only cost rejections, and
      an explicit solver stalls before the tolerance, at its limit of stability.
    - `tolerance`: as of a `Method`. `max_steps`: of the solver from where it starts or goes on;
      after as many in all it does not go on.
    - `event`: stops earlier where `event(t, state)` is true, a phase that has then not settled.
    - `together`: whether estimators integrate a batch as one system with one step size, instead of
      each example with its own, which under `vmap` all wait for the slowest.
    """

    solver: diffrax.AbstractSolver = diffrax.Kvaerno3()
    controller: diffrax.AbstractStepSizeController = diffrax.PIDController(rtol=1e-6, atol=1e-8)
    tolerance: float | Array | None = 1e-10
    max_steps: int = 10_000
    event: Callable[[Float[Array, ""], State], Array] | None = None
    together: bool = eqx.field(static=True, default=False)

    def joins(self):
        return self.together

    def settle(self, energy, x, state, key):
        del key

        wanted = 0.0 if self.tolerance is None else self.tolerance

        def stopped(t, state):
            return jnp.asarray(False) if self.event is None else self.event(t, state)

        def unsettled(stop):
            going = (stop.steps < self.max_steps) & jnp.isfinite(stop.time)
            return going & ~(stop.excess <= 1) & ~((stop.time > 0) & stopped(stop.time, stop.state))

        def go_on(stop):
            def ends(t, y, args, **unused):
                inside = _inside(energy, x, y)
                near = _seems_settled(energy, x, inside, wanted) & (t >= 2 * stop.time)
                return near | stopped(t, inside)

            at_end, event = diffrax.SaveAt(t1=True), diffrax.Event(ends)
            solution = self.solve(energy, x, stop.state, stop.time, jnp.inf, at_end, event)
            end, time = jax.tree.map(lambda leaf: leaf[-1], (solution.ys, solution.ts))
            certificate = descend(energy, x, _inside(energy, x, end), wanted, 0)
            steps = stop.steps + solution.stats["num_steps"]
            return certificate._replace(steps=steps, time=time.astype(stop.time.dtype))

        zero = jnp.zeros((), jnp.result_type(float))
        infinite = jnp.full((), jnp.inf, ravel_pytree(state)[0].dtype)
        start = (jnp.asarray(0), zero, infinite, infinite)
        steps, time, error, over = batched_alike(start, (energy, x, state))
        start = Stop(state, steps, time, error=error, excess=over)
        return jax.lax.while_loop(unsettled, go_on, start)

    def solve(
        self,
        energy: Energy,
        x: Array,
        state: State,
        t0: Any,
        t1: Any,
        saveat: diffrax.SaveAt,
        event: diffrax.Event | None,
    ) -> diffrax.Solution:
        """Return diffrax's solution of `flow` from `state` at time `t0`.

        The first step is a thousandth of the smallest time constant, or of `t0`: diffrax's own
        guess fails close to a fixed point.
        """
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, s, args: flow(energy, x, s)),
            self.solver,
            t0,
            t1,
            1e-3 * jnp.maximum(smallest_time_constant(energy, x), t0),
            state,
            stepsize_controller=self.controller,
            saveat=saveat,
            event=event,
            max_steps=self.max_steps,
            throw=False,
        )


def _seems_settled(
    energy: Energy, x: Array, state: State, tolerance: float | Array
) -> Bool[Array, ""]:
    """Return whether |g|²/|Hg| is within the tolerance.

    For H symmetric it is at most |H⁻¹g|, and all of it once but the slowest mode has decayed.
    """
    flat, restore = ravel_pytree(state)
    gradient = ravel_pytree(force(energy, x, state))[0]

    def slope(s):
        return ravel_pytree(slope_at(energy, x, restore(s)))[0]

    product = jnp.where(gradient == 0, 0.0, jax.jvp(slope, (flat,), (gradient,))[1])
    largest_allowed = least(tolerance, state) * largest(energy.scale(state))
    return gradient @ gradient <= largest_allowed * jnp.linalg.norm(product)


class Trajectory(eqx.Module):
    """A phase in time: `times` (seconds), and `states` and `energies` at them.

    Time is the leading axis of every leaf. `settled_at`: the first of `times` from which on every
    node is within `tolerance` times `Energy.scale` of where the trajectory ends; infinite where
    only the last is.
    """

    times: Float[Array, " times"]
    states: State
    energies: Float[Array, " times"]
    settled_at: Float[Array, ""]


@eqx.filter_jit
def trajectory(
    energy: Energy,
    x: Array,
    times: Float[Array, " times"],
    *,
    start: State | None = None,
    method: GradientFlow | None = None,
    tolerance: float = 1e-3,
) -> Trajectory:
    """Return the flow of a phase in time.

    **Arguments:**

    - `energy`: for a nudged phase a `Nudged` energy, whose `start` is the free state. `x`: of one
      example.
    - `times` (times,) in seconds, increasing, the first at or after 0.
    - `start`: the state at time 0; the energy's `init_state` if not given.
    - `method`: its solver, controller and step limit; Tsit5 with steps accurate to 1e-8 if not
      given, an implicit solver being for stiff energies. `tolerance`: of `settled_at`.

    **Raises** an `EquinoxRuntimeError` where the solver gives up.
    """
    state = energy.init_state(x) if start is None else start
    if method is None:
        method = GradientFlow(
            solver=diffrax.Tsit5(), controller=diffrax.PIDController(rtol=1e-8, atol=1e-10)
        )
    times = jnp.asarray(times)
    solution = method.solve(energy, x, state, 0.0, times[-1], diffrax.SaveAt(ts=times), None)
    states = eqx.error_if(
        solution.ys,
        ~diffrax.is_successful(solution.result),
        "the flow's solver gave up: allow more `max_steps`",
    )
    last = jax.tree.map(lambda leaf: leaf[-1], states)
    scale = ravel_pytree(for_every_node(energy.scale(last), last))[0]
    away = jax.vmap(
        lambda s: jnp.any(jnp.abs(ravel_pytree(s)[0] - ravel_pytree(last)[0]) > tolerance * scale)
    )(states)
    after = jnp.max(jnp.where(away, jnp.arange(times.size), -1)) + 1
    settled_at = jnp.where(
        after < times.size - 1, times[jnp.minimum(after, times.size - 1)], jnp.inf
    )
    return Trajectory(times, states, jax.vmap(lambda s: energy(s, x))(states), settled_at)
