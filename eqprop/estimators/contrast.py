"""Estimators that contrast weakly nudged phases: equilibrium propagation, and coupled and contrastive learning."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..costs import SquaredError
from ..energies import Energy, State
from ..settling.equilibrium import Method
from ..settling.phases import Clamped, Nudged
from ..settling.relaxation import settle_batch
from .base import (
    ContrastEstimator,
    Estimate,
    Stencil,
    displaced_phases,
    free_phase,
    parameter_gradient,
)


class EqProp(ContrastEstimator):
    """Equilibrium propagation: the parameter gradient as a difference of the phases at several nudges (Scellier & Bengio 2017).

    grad = Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], with phase 0 the free one and phase k nudged by `betas[k − 1]`, started at the free
    state and settled in the displacement from it. Each difference is taken at the midpoint of its two states, which no cancellation
    spoils (`Stencil.contrast`). β has the units of E over those of the cost.

    Made by `one_sided`, whose error is O(β), `centred`, O(β²), `points`, O(βⁿ), or `random_sign`. With `subtract` the nudged states
    themselves are settled and two gradients subtracted, as the formula is written: for what no displacement can be had of.
    """

    stencil: Stencil
    method: Method | None = None
    subtract: bool = eqx.field(static=True, default=False)
    random: bool = eqx.field(static=True, default=False)

    @classmethod
    def one_sided(
        cls, beta: float, method: Method | None = None, *, subtract: bool = False
    ) -> "EqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_0)] / β. Raises `ValueError` for a β that is 0 or not finite."""
        return cls(stencil=Stencil.one_sided("beta", beta), method=method, subtract=subtract)

    @classmethod
    def centred(
        cls, beta: float, method: Method | None = None, *, subtract: bool = False
    ) -> "EqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_−β)] / 2β (Laborieux et al. 2021). Raises `ValueError` for a β that is 0 or not finite."""
        return cls(stencil=Stencil.centred("beta", beta), method=method, subtract=subtract)

    @classmethod
    def points(cls, beta: float, n: int, method: Method | None = None) -> "EqProp":
        """Σ_k w_k [∂E/∂θ(s_k) − ∂E/∂θ(s_0)] with n nudges from −β to β, evenly spaced but for 0: the central difference of order n.

        Raises `ValueError` for a β that is 0 or not finite, and an n that is no even number of 2 or more.
        """
        return cls(stencil=Stencil.points("beta", beta, n), method=method)

    @classmethod
    def random_sign(cls, beta: float, method: Method | None = None) -> "EqProp":
        """`one_sided` with the sign of β drawn for each batch: a bias of O(β²), and a spread of O(β). Needs a `key`."""
        return cls(stencil=Stencil.one_sided("beta", beta), method=method, random=True)

    def estimate(self, energy, cost, xs, ys, key=None):
        if self.random:
            if key is None:
                raise ValueError("`key` must be given for a random sign of `beta`")
            sign = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 0)), 1.0, -1.0)
            fixed = dataclasses.replace(self, stencil=self.stencil.scaled(sign), random=False)
            return fixed.estimate(energy, cost, xs, ys, key)
        loss, free = free_phase(energy, cost, xs, ys, self.method, key)
        if self.subtract:
            return self._subtracted(energy, cost, xs, ys, key, loss, free)

        def nudged(beta):
            return displaced_phases(
                _nudged, (energy, cost, beta), ys, xs, free.state, self.method, key
            )

        equilibria, displacements = jax.vmap(nudged)(self.stencil.nudges)
        return Estimate(
            loss,
            self.contrast(energy, xs, free.state, displacements),
            free,
            equilibria,
            displacements,
        )

    def _subtracted(self, energy, cost, xs, ys, key, loss, free) -> Estimate:
        def nudged(beta):
            return settle_batch(
                _nudged_from, (energy, cost, beta), (ys, xs, free.state), self.method, key
            )

        def gradient(states):
            return parameter_gradient(energy, lambda whole: jnp.mean(jax.vmap(whole)(states, xs)))

        equilibria = jax.vmap(nudged)(self.stencil.nudges)
        phases = jax.tree.map(
            lambda f, n: jnp.concatenate([f[None], n]), free.state, equilibria.state
        )
        gradients = jax.vmap(gradient)(phases)
        pairs = list(zip(self.stencil.pairs, self.stencil.weights, strict=True))
        grad = jax.tree.map(
            lambda g: sum(w.astype(g.dtype) * (g[a] - g[b]) for (a, b), w in pairs), gradients
        )
        return Estimate(
            loss,
            grad,
            free,
            equilibria,
            jax.tree.map(lambda n, f: n - f, equilibria.state, free.state),
        )

    def strongest_negative_nudge(self):
        betas = np.asarray(self.stencil.nudges)
        return float(np.max(np.abs(betas) if self.random else -betas, initial=0.0))


class CoupledLearning(ContrastEstimator):
    """Coupled learning: the outputs are clamped a little towards the target (Stern et al. 2021, arXiv:2011.03861).

    grad = Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], with phase k clamped at o_0 + η_k (t − o_0), t being the targets of a `SquaredError`.
    As η → 0 it is the gradient of ½ (o − t)ᵀK(o − t) with K = ((∂²E/∂s²)⁻¹_oo)⁻¹ held fixed, the Schur complement on the outputs, and
    not that of ½ |o − t|²: an output that is hard to move weighs more. Needs outputs that are nodes; raises `ValueError` for others,
    and for a cost that is not a `SquaredError`.

    Made by `one_sided`, whose error is O(η), or `centred`, O(η²). η has no unit.
    """

    stencil: Stencil
    method: Method | None = None

    @classmethod
    def one_sided(cls, eta: float, method: Method | None = None) -> "CoupledLearning":
        """[∂E/∂θ(s_η) − ∂E/∂θ(s_0)] / η. Raises `ValueError` for an η that is 0 or not finite."""
        return cls(stencil=Stencil.one_sided("eta", eta), method=method)

    @classmethod
    def centred(cls, eta: float, method: Method | None = None) -> "CoupledLearning":
        """[∂E/∂θ(s_η) − ∂E/∂θ(s_−η)] / 2η. Raises `ValueError` for an η that is 0 or not finite."""
        return cls(stencil=Stencil.centred("eta", eta), method=method)

    @classmethod
    def contrastive(cls, method: Method | None = None) -> "CoupledLearning":
        """∂E/∂θ(s_C) − ∂E/∂θ(s_0) with the outputs at their targets: contrastive learning, η = 1 (Movellan 1991)."""
        return cls.one_sided(1.0, method)

    def estimate(self, energy, cost, xs, ys, key=None):
        if not isinstance(cost, SquaredError):
            raise ValueError(
                f"`cost` must be a SquaredError, whose targets the outputs are clamped to, but is {type(cost).__name__}"
            )
        loss, free = free_phase(energy, cost, xs, ys, self.method, key)
        outputs = jax.vmap(energy.outputs)(free.state)
        ahead = jax.vmap(lambda o, y: cost.targets(y, o.shape[0]).astype(o.dtype) - o)(outputs, ys)

        def clamped(eta):
            return displaced_phases(
                _clamped,
                energy,
                outputs + eta.astype(outputs.dtype) * ahead,
                xs,
                free.state,
                self.method,
                key,
            )

        equilibria, displacements = jax.vmap(clamped)(self.stencil.nudges)
        return Estimate(
            loss,
            self.contrast(energy, xs, free.state, displacements),
            free,
            equilibria,
            displacements,
        )


def _nudged(shared: tuple, y: Array) -> Nudged:
    energy, cost, beta = shared
    return Nudged(energy, cost, y, beta)


def _nudged_from(shared: tuple, example: tuple) -> tuple[Energy, Array, State]:
    y, x, free = example
    return _nudged(shared, y), x, free


def _clamped(energy: Energy, values: Array) -> Clamped:
    return Clamped(energy, values)
