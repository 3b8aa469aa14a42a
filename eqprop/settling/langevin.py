"""The stochastic flow at a finite temperature."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..energies import Energy, State
from .equilibrium import Method, Stop, slope_at
from .flow import _time_constants, smallest_time_constant


class Langevin(Method):
    """The flow at finite temperature, τ ds = −∂E/∂s dt + √(2 T τ) dW, of density exp(−E/T).

    The state of the phase is the mean over `steps` steps after `burn_in` steps, and `variance` that
    of each node. The steps are those of Leimkuhler & Matthews (Appl. Math. Res. eXpress 2013),
    s' = s − h ∂E/∂s/τ + √(2 T h/τ) (ξ + ξ')/2 with the next step's normal ξ' used again, of second
    order in h for averages; with bounds those of Euler & Maruyama, reflected. Phases that start
    with the same key draw the same noise, most of which drops out of their difference.

    **Arguments:** `temperature`: T in the units of E. `steps`, `burn_in`: numbers of steps. `step`:
    h in smallest time constants. Needs a `key`; raises `ValueError` without one.
    """

    temperature: float
    steps: int = 10_000
    burn_in: int = 1_000
    step: float = 0.05
    tolerance: None = None

    def settle(self, energy, x, state, key):
        def collect(carry, s):
            count, mean, square = carry
            count = count + 1
            off = jax.tree.map(lambda v, m: v - m, s, mean)
            mean = jax.tree.map(lambda m, d: m + d / count, mean, off)
            return (
                count,
                mean,
                jax.tree.map(lambda q, d, v, m: q + d * (v - m), square, off, s, mean),
            )

        zeros = jax.tree.map(jnp.zeros_like, state)
        _, mean, square = self.walk(energy, x, state, key, collect, (jnp.zeros(()), zeros, zeros))
        variance = jax.tree.map(lambda q: q / self.steps, square)
        return Stop(mean, jnp.asarray(self.burn_in + self.steps), None, variance)

    def walk(
        self,
        energy: Energy,
        x: Array,
        state: State,
        key: Any,
        collect: Callable[[Any, State], Any],
        carry: Any,
    ) -> Any:
        """Return `collect(carry, state)` folded over the states after `burn_in`."""
        if key is None:
            raise ValueError("`key` must be given for a Langevin phase, which draws random numbers")
        box = energy.bounds(x)
        taus = _time_constants(energy, x, state)
        flat, restore = ravel_pytree(state)
        h = self.step * smallest_time_constant(energy, x)

        def move(n, walker):
            state, before = walker
            after = jax.random.normal(jax.random.fold_in(key, n), flat.shape, flat.dtype)
            kick = restore((before + after) / 2 if box is None else after)
            slope = slope_at(energy, x, state)

            def moved(s, g, k, tau):
                noise = jnp.sqrt(2 * self.temperature * h / tau) * k
                return s - (h / tau * g).astype(s.dtype) + noise.astype(s.dtype)

            state = jax.tree.map(moved, state, slope, kick, taus)
            return (state if box is None else jax.tree.map(_reflect, state, *box)), after

        def sample(n, carry):
            walker, kept = carry
            walker = move(n, walker)
            return walker, collect(kept, walker[0])

        first = jax.random.normal(
            jax.random.fold_in(key, self.burn_in + self.steps), flat.shape, flat.dtype
        )
        walker = jax.lax.fori_loop(0, self.burn_in, move, (state, first))
        return jax.lax.fori_loop(self.burn_in, self.burn_in + self.steps, sample, (walker, carry))[
            1
        ]


def _reflect(state: Array, low: Array, high: Array) -> Array:
    inside = jnp.where(state < low, 2 * low - state, state)
    return jnp.clip(jnp.where(inside > high, 2 * high - inside, inside), low, high)
