"""Holomorphic equilibrium propagation: nudges on a circle in the complex plane, for energies that are analytic."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex

from ..costs import Cost
from ..energies import Energy, State
from ..settling.equilibrium import Equilibrium, Method, excess
from ..settling.phases import Nudged
from .base import ContrastEstimator, Estimate, Stencil, free_phase, parameter_gradient, require_even

_NOT_ANALYTIC = """
    max min abs sign real imag conj clamp lt le gt ge eq ne floor ceil round sort argmax argmin reduce_max reduce_min cummax cummin
    atan2 rem is_finite nextafter top_k reduce_window_max select_and_scatter_add select_and_gather_add
"""


class Holomorphic(ContrastEstimator):
    """(1/nβ) Σ_k ∂E/∂θ(s at β e^{2πik/n}) e^{−2πik/n}: the n-th part of the derivative's Cauchy integral (Laborieux & Zenke 2022).

    Its error is O(βⁿ), so that β need not be small, where the energy and the cost are analytic in the state. An energy with bounds, or
    whose program compares, takes absolute values or the like, is refused with a `ValueError`. The free phase is settled by `method`;
    the nudged ones by Newton's method on complex states with a dense Hessian, n/2 + 1 of them, the others being conjugates.

    **Arguments:** `beta`: radius of the circle, in units of E over C; `n`: even, 2 or more. `tolerance`, `max_steps`: of the complex
    phases.
    """

    stencil: Stencil
    method: Method | None = None
    tolerance: float = 1e-12
    max_steps: int = 50

    @classmethod
    def points(cls, beta: float, n: int, method: Method | None = None) -> "Holomorphic":
        """The estimator with n points on a circle of radius β. Raises `ValueError` for a β that is 0 or not finite, or an odd n."""
        require_even(n)
        radius = Stencil.one_sided("beta", beta).nudges[0]
        half = np.exp(2j * np.pi * np.arange(n // 2 + 1) / n)
        twice = np.where((np.arange(n // 2 + 1) % (n // 2)) == 0, 1.0, 2.0)
        nudges, weights = radius * half, jnp.asarray(twice / half) / (n * radius)
        return cls(
            stencil=Stencil(nudges, weights, tuple((k + 1, 0) for k in range(n // 2 + 1)), n),
            method=method,
        )

    def estimate(self, energy, cost, xs, ys, key=None):
        require_analytic(energy, cost, xs[0], ys[0])
        loss, free = free_phase(energy, cost, xs, ys, self.method, key)

        def nudged(beta):
            return jax.vmap(lambda x, y, s: self._settle(Nudged(energy, cost, y, beta), x, s))(
                xs, ys, free.state
            )

        equilibria = jax.vmap(nudged)(self.stencil.nudges)
        displacements = jax.tree.map(lambda n, f: n - f, equilibria.state, free.state)
        return Estimate(
            loss, self._cauchy(energy, xs, equilibria.state), free, equilibria, displacements
        )

    def _cauchy(self, energy: Energy, xs: Array, states: State) -> Energy:
        """Re Σ_k w_k ∂E/∂θ(s_k), batch mean: the weights count each conjugate pair once, twice as much."""

        def weighted(whole):
            energies = jax.vmap(lambda state: jnp.mean(jax.vmap(whole)(state, xs)))(states)
            return jnp.sum(jnp.real(self.stencil.weights.astype(energies.dtype) * energies))

        return parameter_gradient(energy, weighted)

    def _settle(self, energy: Nudged, x: Array, start: State) -> Equilibrium:
        flat, restore = ravel_pytree(jax.tree.map(_complex, start))
        real = ravel_pytree(start)[1]

        def slope(flat):
            return ravel_pytree(jax.grad(energy, holomorphic=True)(restore(flat), x))[0]

        def curvature(flat):
            return jax.jacfwd(slope, holomorphic=True)(flat)

        def size(flat, change):
            return excess(
                energy.energy, real(jnp.real(flat)), real(jnp.abs(change)), self.tolerance
            )

        def unsettled(carry):
            return (carry[2] < self.max_steps) & ~(carry[1] <= 1)

        def newton(carry):
            flat = carry[0]
            step = -jnp.linalg.solve(curvature(flat), slope(flat))
            return flat + step, size(flat, step), carry[2] + 1

        carry = (flat, jnp.asarray(jnp.inf, jnp.real(flat).dtype), jnp.asarray(0))
        flat, _, steps = jax.lax.while_loop(unsettled, newton, carry)
        residual = slope(flat)
        errors = jnp.abs(residual) / jnp.where(
            residual == 0, 1.0, jnp.abs(jnp.diagonal(curvature(flat)))
        )
        settled = size(flat, errors) <= 1
        return Equilibrium(
            restore(flat), restore(residual), jnp.max(errors, initial=0.0), settled, steps
        )

    def contrast(self, energy, xs, free, displacements):
        return self._cauchy(energy, xs, jax.tree.map(jnp.add, free, displacements))


def _complex(leaf: Array) -> Complex[Array, "..."]:
    return leaf.astype(jnp.complex64 if leaf.dtype == jnp.float32 else jnp.complex128)


def require_analytic(energy: Energy, cost: Cost, x: Array, y: Array) -> None:
    """Raises `ValueError` where the nudged energy has bounds, or does with its state what no analytic function does.

    JAX evaluates `relu` or `minimum` on complex numbers without a word. The program is read instead, as far as it depends on the state.
    """
    if energy.bounds(x) is not None:
        raise ValueError(
            "`energy` must have no bounds for a holomorphic estimate: a bound is not analytic"
        )
    state = jax.tree.map(_complex, energy.init_state(x))

    def nudged(state):
        return jax.grad(lambda s: Nudged(energy, cost, y, 1.0)(s, x), holomorphic=True)(state)

    try:
        program = jax.make_jaxpr(nudged)(state).jaxpr
    except TypeError as error:
        raise ValueError(
            f"`energy` must accept a complex state for a holomorphic estimate: {error}"
        ) from error
    found = _not_analytic(program, [True] * len(program.invars))[1]
    if found:
        raise ValueError(
            f"`energy` must be analytic in its state for a holomorphic estimate, but uses {', '.join(sorted(found))}"
        )


def _not_analytic(program: Jaxpr, depends: list[bool]) -> tuple[list[bool], set[str]]:
    """Which results depend on the state, and the operations on the way that are not analytic."""
    known: dict[Any, bool] = dict(zip(program.invars, depends, strict=True))
    found: set[str] = set()

    def of_state(v):
        return not isinstance(v, Literal) and known.get(v, False)

    for equation in program.eqns:
        operands = [of_state(v) for v in equation.invars]
        inner = [
            p.jaxpr if isinstance(p, ClosedJaxpr) else p
            for p in equation.params.values()
            if isinstance(p, ClosedJaxpr | Jaxpr)
        ]
        results = [any(operands)] * len(equation.outvars)
        for one in inner:
            straight = len(one.invars) == len(operands) and len(one.outvars) == len(results)
            below, more = _not_analytic(
                one, operands if straight else [any(operands)] * len(one.invars)
            )
            results = below if straight else results
            found |= more
        if any(operands) and equation.primitive.name in _NOT_ANALYTIC.split():
            found.add(equation.primitive.name)
        known.update(zip(equation.outvars, results, strict=True))
    return [of_state(v) for v in program.outvars], found
