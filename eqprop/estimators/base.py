"""Gradient estimators: how a batch of phases becomes the gradient of the mean cost with respect to an energy's parameters."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .costs import Cost, require_labels
from .energy import Energy, Nudged, State
from .relaxation import Equilibrium, Method, check, free_hessian, settle


class NudgeError(ValueError):
    """A nudge of negative sign is so strong that the nudged energy has no minimum."""


class Estimate(eqx.Module):
    """A gradient with what it was made from.

    - `loss`: the batch mean of the cost at the free states.
    - `grad`: its estimated gradient; an energy like the one given, with `None` for what does not learn.
    - `free`, `nudged`: the equilibria; leaves (batch, …) and (nudges, batch, …), `nudged` being `None` where there is no nudge.
    """

    loss: Float[Array, ""]
    grad: Any
    free: Equilibrium
    nudged: Equilibrium | None


class Estimator(eqx.Module):
    """A way to estimate gradients. Called, it checks what it returns; `estimate` is the same as a pure function, for `jit`."""

    method: eqx.AbstractVar[Method | None]

    @abc.abstractmethod
    def estimate(self, energy: Energy, cost: Cost, xs: Float[Array, "batch ..."], ys: Array) -> Estimate:
        """The estimate of one batch, unchecked."""

    @abc.abstractmethod
    def strongest_negative_nudge(self) -> float:
        """The largest |β| of a phase with β < 0; 0 where there is none."""

    def __call__(self, energy: Energy, cost: Cost, xs: Float[Array, "batch ..."], ys: Array) -> Estimate:
        """The estimate of one batch.

        **Raises** `NotSettledError` where a phase has not settled, and `NudgeError` where a negative nudge reaches `nudge_bound` at the
        free or at the nudged state of an example.
        """
        xs, ys = jnp.asarray(xs), jnp.asarray(ys)
        if xs.ndim == 0 or ys.ndim == 0 or xs.shape[0] != ys.shape[0]:
            raise ValueError(f"`xs` and `ys` must hold the same number of examples, but have shapes {xs.shape} and {ys.shape}")
        require_labels(np.asarray(ys), jax.eval_shape(lambda x: energy.outputs(energy.init_state(x)), xs[0]).shape[0])
        estimate = _estimate(self, energy, cost, xs, ys)
        check(estimate.free, "the free phase", self.method)
        strength = self.strongest_negative_nudge()
        if strength > 0:
            require_convex(strength, energy, cost, xs, ys, estimate.free.state, "free")
        if estimate.nudged is not None:
            check(estimate.nudged, "the nudged phase", self.method)
            if strength > 0:
                for index in range(jax.tree.leaves(estimate.nudged.state)[0].shape[0]):
                    state = jax.tree.map(lambda s, i=index: s[i], estimate.nudged.state)
                    require_convex(strength, energy, cost, xs, ys, state, "nudged")
        return estimate


_estimate = eqx.filter_jit(lambda estimator, *args: estimator.estimate(*args))


def nudge_bound(energy: Energy, cost: Cost, x: Array, y: Array, state: State) -> Float[Array, ""]:
    """The |β| up to which E − |β| C stays convex in the free coordinates at `state`; not positive or NaN where E itself is not convex.

    It is 1/λ_max of H^{-1/2} C'' H^{-1/2}; for a squared error the smallest eigenvalue of the Schur complement of H = ∂²E/∂s² on the
    outputs. In units of E over C. One example; dense, O(n³).
    """
    hessian, _, free = free_hessian(energy, x, state)
    flat, restore = ravel_pytree(state)
    pull = jax.hessian(lambda s: cost(energy.outputs(restore(s)), y))(flat)
    pull = jnp.where(free[:, None] & free[None, :], pull, 0.0)
    factor = jnp.linalg.cholesky(hessian)
    half = jax.scipy.linalg.solve_triangular(factor, pull, lower=True)
    both = jax.scipy.linalg.solve_triangular(factor, half.T, lower=True)
    return 1 / jnp.linalg.eigvalsh(both)[-1]


_nudge_bounds = eqx.filter_jit(lambda energy, cost, *batch: jax.vmap(lambda *example: nudge_bound(energy, cost, *example))(*batch))


def require_convex(strength: float, energy: Energy, cost: Cost, xs: Array, ys: Array, states: State, phase: str) -> None:
    """Raises `NudgeError` where `strength`, |β| of a negative nudge, reaches `nudge_bound` at the state of any example."""
    bound = float(np.min(np.asarray(_nudge_bounds(energy, cost, xs, ys, states))))
    if not bound > 0:
        raise NudgeError(
            f"the {phase} state must be an isolated minimum for a negative `beta` to have one too, but the energy is flat or falls "
            "there (an output without conductances?)"
        )
    if not strength < bound:
        raise NudgeError(
            f"`beta` must be below {bound:.4g} in size (the smallest eigenvalue of the energy's Schur complement on the outputs at the "
            f"{phase} state) for the negative phase to have a minimum, but is {strength:.4g}"
        )


def directional_gradient(energy: Energy, xs: Array, states: State, directions: State) -> Energy:
    """The gradient with respect to the parameters of the batch mean of ∂E/∂s(θ, s_b, x_b) · d_b; differentiated once for the batch."""
    params, rest = eqx.partition(energy, eqx.is_inexact_array)

    def mean(params):
        whole = eqx.combine(params, rest)

        def along(state, direction, x):
            return jax.jvp(lambda s: whole(s, x), (state,), (direction,))[1]

        return jnp.mean(jax.vmap(along)(states, directions, xs))

    return jax.grad(mean)(params)


def _free_phase(energy: Energy, cost: Cost, xs: Array, ys: Array, method: Method | None) -> tuple[Float[Array, ""], Equilibrium]:
    free = jax.vmap(lambda x: settle(energy, x, method))(xs)
    return jnp.mean(jax.vmap(lambda s, y: cost(energy.outputs(s), y))(free.state, ys)), free


class EqProp(Estimator):
    """Equilibrium propagation: the parameter gradient as a difference of the phases at several nudges (Scellier & Bengio 2017).

    grad = Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], with phase 0 the free one and phase k nudged by `betas[k − 1]`, started at the free
    state. Each difference is taken as d/dθ [ ∂E/∂s(θ, (s_a + s_b)/2) · (s_a − s_b) ]: exact where ∂E/∂θ is quadratic in the state, as
    for conductances, of the estimator's own order otherwise, and free of the cancellation of two nearly equal gradients.

    Use `one_sided`, whose error is O(β), or `centred`, with O(β²) (Laborieux et al. 2021). β has the units of E over those of the cost.
    """

    betas: Float[Array, " nudges"]
    weights: Float[Array, " pairs"]
    pairs: tuple[tuple[int, int], ...] = eqx.field(static=True)
    method: Method | None = None

    @classmethod
    def one_sided(cls, beta: float, method: Method | None = None) -> "EqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_0)] / β. Raises `ValueError` for a β that is 0 or not finite."""
        strength = _nudge(beta)
        return cls(betas=jnp.stack([strength]), weights=jnp.stack([1 / strength]), pairs=((1, 0),), method=method)

    @classmethod
    def centred(cls, beta: float, method: Method | None = None) -> "EqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_−β)] / 2β. Raises `ValueError` for a β that is 0 or not finite."""
        strength = _nudge(beta)
        betas, weights = jnp.stack([strength, -strength]), jnp.stack([1 / (2 * strength)])
        return cls(betas=betas, weights=weights, pairs=((1, 2),), method=method)

    def estimate(self, energy, cost, xs, ys):
        loss, free = _free_phase(energy, cost, xs, ys, self.method)

        def nudge(beta):
            return jax.vmap(lambda x, y, s: settle(Nudged(energy, cost, y, beta), x, self.method, s))(xs, ys, free.state)

        nudged = jax.vmap(nudge)(self.betas)
        phases = jax.tree.map(lambda f, n: jnp.concatenate([f[None], n]), free.state, nudged.state)
        return Estimate(loss, self.contrast(energy, xs, phases), free, nudged)

    def contrast(self, energy: Energy, xs: Float[Array, "batch ..."], phases: State) -> Energy:
        """The gradient from the states of all phases, wherever they come from: leaves (1 + nudges, batch, …), the free phase first."""
        terms = []
        for (a, b), weight in zip(self.pairs, self.weights, strict=True):
            middle = jax.tree.map(lambda s, a=a, b=b: (s[a] + s[b]) / 2, phases)
            change = jax.tree.map(lambda s, a=a, b=b, w=weight: (s[a] - s[b]) * w.astype(s.dtype), phases)
            terms.append(directional_gradient(energy, xs, middle, change))
        return jax.tree.map(lambda *parts: sum(parts), *terms)

    def strongest_negative_nudge(self):
        return float(np.max(-np.asarray(self.betas), initial=0.0))


class Implicit(Estimator):
    """The exact gradient −(∂²E/∂θ∂s) (∂²E/∂s²)⁻¹ ∂C/∂s of the settled cost on the free coordinates: the reference for the others.

    The implicit function theorem at the free state; a dense solve of O(n³) per example. Raises `NotSettledError` also where the free
    state is no isolated minimum.
    """

    method: Method | None = None

    def estimate(self, energy, cost, xs, ys):
        loss, free = _free_phase(energy, cost, xs, ys, self.method)

        def adjoint(state, x, y):
            hessian, _, coordinates = free_hessian(energy, x, state)
            slope = jax.grad(lambda s: cost(energy.outputs(s), y))(state)
            flat, restore = ravel_pytree(slope)
            factor = jax.scipy.linalg.cho_factor(hessian)
            return restore(-jax.scipy.linalg.cho_solve(factor, jnp.where(coordinates, flat, 0.0)))

        adjoints = jax.vmap(adjoint)(free.state, xs, ys)
        isolated = jax.vmap(lambda d: jnp.all(jnp.isfinite(ravel_pytree(d)[0])))(adjoints)
        free = eqx.tree_at(lambda e: e.settled, free, free.settled & isolated)
        return Estimate(loss, directional_gradient(energy, xs, free.state, adjoints), free, None)

    def strongest_negative_nudge(self):
        return 0.0


def _nudge(beta: float) -> Float[Array, ""]:
    if not np.isfinite(beta) or beta == 0:
        raise ValueError(f"`beta` must be finite and not 0, but is {beta}")
    return jnp.asarray(beta, float)
