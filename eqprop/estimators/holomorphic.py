"""Holomorphic equilibrium propagation: nudges on a circle in the complex plane."""

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
from .base import Estimate, free_phase, parameter_gradient
from .contrast import ContrastEstimator, Stencil, require_even

_NOT_ANALYTIC = """
    max min abs sign real imag conj clamp lt le gt ge eq ne floor ceil round sort argmax argmin
    reduce_max reduce_min cummax cummin atan2 rem is_finite nextafter top_k reduce_window_max
    select_and_scatter_add select_and_gather_add
"""
"""The operations of JAX that are no analytic functions of a complex number."""


class Holomorphic(ContrastEstimator):
    """Holomorphic equilibrium propagation, (1/nβ) Σ_k ∂E/∂θ(s at β e^{2πik/n}) e^{−2πik/n}.

    The sum over n points is the Cauchy integral of the derivative but for an error of O(βⁿ), so
    that β need not be small, where the energy and the cost are analytic in the state. The free
    phase is settled by `method`; the nudged ones by Newton's method on complex states with a dense
    Hessian, n/2 + 1 of them, the others being conjugates. (Laborieux & Zenke 2022.)

    **Arguments:**

    - `stencil`: the complex nudges and the weights of their phases; see `points`.
    - `method`: how the free phase is settled; `default_method` if `None`.
    - `tolerance`: of the complex phases, as for a `Method`.
    - `max_steps`: the largest number of Newton steps of a complex phase.

    **Raises** `ValueError` for an energy with bounds, or whose program compares, takes absolute
    values or the like.
    """

    stencil: Stencil
    method: Method | None = None
    tolerance: float = 1e-12
    max_steps: int = 50

    @classmethod
    def points(cls, beta: float, n: int, method: Method | None = None) -> "Holomorphic":
        """Return the estimator with n points on a circle of radius β.

        **Arguments:** `beta`: β, in units of E over C; `n`: even, 2 or more; `method`: as for the
        class.

        **Raises** `ValueError` for a β that is 0 or not finite, and an n that is not even.
        """
        require_even(n)
        radius = np.asarray(Stencil.one_sided("beta", beta).nudges)[0]
        half = np.exp(2j * np.pi * np.arange(n // 2 + 1) / n)
        # All points but the two on the real axis stand for their conjugates too.
        twice = np.where((np.arange(n // 2 + 1) % (n // 2)) == 0, 1.0, 2.0)
        nudges, weights = jnp.asarray(radius * half), jnp.asarray(twice / half / (n * radius))
        stencil = Stencil(nudges, weights, tuple((k + 1, 0) for k in range(n // 2 + 1)), n)
        return cls(stencil=stencil, method=method)

    def estimate(self, net, cost, xs, ys, key=None):
        require_analytic(net, cost, xs[0], ys[0])
        loss, free = free_phase(net, cost, xs, ys, self.method, key)

        def nudged(beta):
            return jax.vmap(lambda x, y, s: self._settle(Nudged(net, cost, y, beta), x, s))(
                xs, ys, free.state
            )

        equilibria = jax.vmap(nudged)(self.stencil.nudges)
        displacements = jax.tree.map(lambda n, f: n - f, equilibria.state, free.state)
        grad = self._cauchy(net, xs, equilibria.state)
        return Estimate(loss, grad, free, equilibria, displacements)

    def _cauchy(self, net: Energy, xs: Array, states: State) -> Energy:
        """Return Re Σ_k w_k ∂E/∂θ(s_k), batch mean; the weights count a conjugate pair twice."""

        def weighted(net):
            energies = jax.vmap(lambda state: jnp.mean(jax.vmap(net)(state, xs)))(states)
            return jnp.sum(jnp.real(self.stencil.weights.astype(energies.dtype) * energies))

        return parameter_gradient(net, weighted)

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

    def contrast(self, net, xs, free, displacements):
        return self._cauchy(net, xs, jax.tree.map(jnp.add, free, displacements))


def _complex(leaf: Array) -> Complex[Array, "..."]:
    return leaf.astype(jnp.complex64 if leaf.dtype == jnp.float32 else jnp.complex128)


def require_analytic(net: Energy, cost: Cost, x: Array, y: Array) -> None:
    """Raise `ValueError` where the nudged energy is not analytic in its state, or has bounds.

    JAX evaluates `relu` or `minimum` on complex numbers without a word. The program is read
    instead, as far as it depends on the state.

    **Arguments:** `net`, `cost`: the network and the cost; `x`, `y`: one example.
    """
    if net.bounds(x) is not None:
        raise ValueError(
            "`net` must have no bounds for a holomorphic estimate: a bound is not analytic"
        )
    state = jax.tree.map(_complex, net.init_state(x))

    def slope(state):
        return jax.grad(lambda s: Nudged(net, cost, y, 1.0)(s, x), holomorphic=True)(state)

    try:
        program = jax.make_jaxpr(slope)(state).jaxpr
    except TypeError as error:
        raise ValueError(
            f"`net` must accept a complex state for a holomorphic estimate: {error}"
        ) from error
    operations = _not_analytic(program, [True] * len(program.invars))[1]
    if operations:
        raise ValueError(
            "`net` must be analytic in its state for a holomorphic estimate, "
            f"but uses {', '.join(sorted(operations))}"
        )


def _not_analytic(program: Jaxpr, depends: list[bool]) -> tuple[list[bool], set[str]]:
    """Return which results depend on the state, and the operations that are not analytic.

    `depends`: which arguments of the program depend on the state. Only operations between the state
    and a result count.
    """
    known: dict[Any, bool] = dict(zip(program.invars, depends, strict=True))
    operations: set[str] = set()

    def of_state(v):
        return not isinstance(v, Literal) and known.get(v, False)

    for equation in program.eqns:
        operands = [of_state(v) for v in equation.invars]
        results = [any(operands)] * len(equation.outvars)
        for inner in _inner_programs(equation):
            # A call takes the operands and gives the results one for one; a loop may not.
            is_call = len(inner.invars) == len(operands) and len(inner.outvars) == len(results)
            inner_results, inner_operations = _not_analytic(
                inner, operands if is_call else [any(operands)] * len(inner.invars)
            )
            results = inner_results if is_call else results
            operations |= inner_operations
        if any(operands) and equation.primitive.name in _NOT_ANALYTIC.split():
            operations.add(equation.primitive.name)
        known.update(zip(equation.outvars, results, strict=True))
    return [of_state(v) for v in program.outvars], operations


def _inner_programs(equation: Any) -> list[Jaxpr]:
    """Return the programs that an equation runs: the body of a call, a loop or a condition."""
    parameters = equation.params.values()
    closed = [p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in parameters]
    return [p for p in closed if isinstance(p, Jaxpr)]
