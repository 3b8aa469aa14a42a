"""Equilibrium propagation: the contrast of weakly nudged phases, as a finite difference."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..energies import Energy, State
from ..settling.equilibrium import Method
from ..settling.phases import Nudged
from ..settling.relaxation import settle_batch
from .base import (
    Estimate,
    Estimator,
    directional_gradient,
    displaced_phases,
    free_phase,
    parameter_gradient,
)

LEAST = float(np.finfo(np.float32).tiny)
"""The smallest strength of a nudge."""


class Stencil(eqx.Module):
    """A finite difference over phases: Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ].

    Phase 0 is the free one, phase k that of `nudges[k − 1]`.

    **Arguments:**

    - `nudges`: the strength of each nudged phase.
    - `weights`: w of each pair, in units of one over the nudges.
    - `pairs`: the phases (a, b) of each pair.
    - `order`: the power of the nudges with which the error falls.
    """

    nudges: Float[Array, " nudges"]
    weights: Float[Array, " pairs"]
    pairs: tuple[tuple[int, int], ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)

    @classmethod
    def one_sided(cls, name: str, strength: float) -> "Stencil":
        """Return [g(s_h) − g(s_0)] / h, of order 1.

        **Arguments:** `name`: what an error calls the nudge; `strength`: h.

        **Raises** `ValueError` for an h that is 0, below `LEAST` or not finite.
        """
        h = _strength(name, strength)
        return cls(jnp.asarray([h]), jnp.asarray([1 / h]), ((1, 0),), 1)

    @classmethod
    def centred(cls, name: str, strength: float) -> "Stencil":
        """Return [g(s_h) − g(s_−h)] / 2h, of order 2.

        **Arguments:** `name`: what an error calls the nudge; `strength`: h.

        **Raises** `ValueError` for an h that is 0, below `LEAST` or not finite.
        """
        h = _strength(name, strength)
        return cls(jnp.asarray([h, -h]), jnp.asarray([1 / (2 * h)]), ((1, 2),), 2)

    @classmethod
    def points(cls, name: str, strength: float, n: int) -> "Stencil":
        """Return Σ_k w_k [g(s_k) − g(s_0)], n points from −h to h evenly spaced but for 0.

        **Arguments:** `name`: what an error calls the nudge; `strength`: h; `n`: the number of
        points, even, which is also the order.

        **Raises** `ValueError` for an h that is 0, below `LEAST` or not finite, and an n that is
        not even.
        """
        h = _strength(name, strength)
        require_even(n)
        nodes = np.concatenate([np.arange(-n // 2, 0), np.arange(1, n // 2 + 1)]) / (n // 2)
        weights = np.linalg.solve(np.vander(nodes, n + 1, increasing=True).T[1:], np.eye(n)[0])
        nudges, shares = (
            jnp.asarray(part) for part in (h * _like(h, nodes), _like(h, weights) / h)
        )
        return cls(nudges, shares, tuple((k, 0) for k in range(1, n + 1)), n)

    def scaled(self, factor: Float[Array, ""] | float) -> "Stencil":
        """Return the same with nudges `factor` times as strong, of the other sign if negative."""
        return dataclasses.replace(self, nudges=self.nudges * factor, weights=self.weights / factor)

    def contrast(
        self, net: Energy, xs: Float[Array, "batch ..."], free: State, displacements: State
    ) -> Energy:
        """Return the batch mean of the difference of ∂E/∂θ between phases.

        Each pair is d/dθ [ ∂E/∂s(θ, (s_a + s_b)/2) · (s_a − s_b) ]: exact where ∂E/∂θ is quadratic
        in the state, as for conductances, of third order in s_a − s_b otherwise, and free of the
        cancellation of two nearly equal gradients.

        **Arguments:** `xs`: the inputs (batch, …); `free`: the free states, leaves (batch, …);
        `displacements`: from them, leaves (nudges, batch, …).

        **Returns** an energy like `net`, with `None` in place of what does not learn.
        """
        phases = jax.tree.map(lambda d: jnp.concatenate([jnp.zeros_like(d[:1]), d]), displacements)
        terms = []
        for (a, b), weight in zip(self.pairs, self.weights, strict=True):
            middle = jax.tree.map(lambda s, d, a=a, b=b: s + (d[a] + d[b]) / 2, free, phases)
            change = jax.tree.map(
                lambda d, a=a, b=b, w=weight: (d[a] - d[b]) * w.astype(d.dtype), phases
            )
            terms.append(directional_gradient(net, xs, middle, change))
        return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


def _strength(name: str, strength: float) -> np.floating:
    """Return `strength` in JAX's precision, by NumPy: each operation of JAX's would be compiled."""
    if not np.isfinite(strength) or strength == 0:
        raise ValueError(f"`{name}` must be finite and not 0, but is {strength}")
    if abs(strength) < LEAST:
        raise ValueError(
            f"`{name}` must be at least {LEAST:.3g} in size, of which float32 has all digits, "
            f"but is {strength}"
        )
    return jnp.result_type(float).type(strength)


def _like(number: np.floating, values: np.ndarray) -> np.ndarray:
    return values.astype(number.dtype)


def require_even(n: int) -> None:
    """Raise `ValueError` unless `n`, a number of points, is even and at least 2."""
    if n < 2 or n % 2:
        raise ValueError(f"`n` must be an even number of points, 2 or more, but is {n}")


class ContrastEstimator(Estimator):
    """An estimator whose error falls as a power of a nudge.

    `gradient_error` and `calibrate` make its `stencil` stronger and weaker.
    """

    stencil: eqx.AbstractVar[Stencil]

    def scaled(self, factor: float) -> "ContrastEstimator":
        """Return the same estimator with nudges `factor` times as strong."""
        return dataclasses.replace(self, stencil=self.stencil.scaled(factor))

    def contrast(
        self, net: Energy, xs: Float[Array, "batch ..."], free: State, displacements: State
    ) -> Energy:
        """Return the gradient from settled phases, wherever they come from.

        **Arguments:** `xs`: the inputs (batch, …); `free`: the free states, leaves (batch, …);
        `displacements`: from them, leaves (nudges, batch, …).

        **Returns** an energy like `net`, with `None` in place of what does not learn.
        """
        return self.stencil.contrast(net, xs, free, displacements)


class EqProp(ContrastEstimator):
    """Equilibrium propagation: the parameter gradient as a difference of phases at several nudges.

    grad = Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], with phase 0 the free one and phase k nudged by
    `stencil.nudges[k − 1]`, started at the free state and settled in the displacement from it. Each
    difference is taken at the midpoint of its two states, which no cancellation spoils
    (`Stencil.contrast`). β has the units of E over those of the cost. (Scellier & Bengio 2017.)

    Made by `one_sided`, whose error is O(β), `centred`, O(β²), `points`, O(βⁿ), or `random_sign`.

    **Arguments:**

    - `stencil`: the nudges and the weights of their phases.
    - `method`: how phases are settled; `default_method` if `None`.
    - `subtract`: settle the nudged states themselves and subtract two gradients, as the formula is
      written, where no displacement can be had.
    - `random`: draw the sign of β for each batch.
    """

    stencil: Stencil
    method: Method | None = None
    subtract: bool = eqx.field(static=True, default=False)
    random: bool = eqx.field(static=True, default=False)

    @classmethod
    def one_sided(
        cls, beta: float, method: Method | None = None, *, subtract: bool = False
    ) -> "EqProp":
        """Return the estimator [∂E/∂θ(s_β) − ∂E/∂θ(s_0)] / β.

        **Arguments:** `beta`: β, in units of E over C; `method`, `subtract`: as for the class.

        **Raises** `ValueError` for a β that is 0, below `LEAST` in size or not finite.
        """
        return cls(stencil=Stencil.one_sided("beta", beta), method=method, subtract=subtract)

    @classmethod
    def centred(
        cls, beta: float, method: Method | None = None, *, subtract: bool = False
    ) -> "EqProp":
        """Return the estimator [∂E/∂θ(s_β) − ∂E/∂θ(s_−β)] / 2β (Laborieux et al. 2021).

        **Arguments:** `beta`: β, in units of E over C; `method`, `subtract`: as for the class.

        **Raises** `ValueError` for a β that is 0, below `LEAST` in size or not finite.
        """
        return cls(stencil=Stencil.centred("beta", beta), method=method, subtract=subtract)

    @classmethod
    def points(cls, beta: float, n: int, method: Method | None = None) -> "EqProp":
        """Return the central difference of order n, Σ_k w_k [∂E/∂θ(s_k) − ∂E/∂θ(s_0)].

        **Arguments:** `beta`: β, in units of E over C; `n`: the number of nudges from −β to β,
        evenly spaced but for 0; `method`: as for the class.

        **Raises** `ValueError` for a β that is 0, below `LEAST` in size or not finite, and an n
        that is not even.
        """
        return cls(stencil=Stencil.points("beta", beta, n), method=method)

    @classmethod
    def random_sign(cls, beta: float, method: Method | None = None) -> "EqProp":
        """Return `one_sided` with the sign of β drawn for each batch; needs a `key`.

        Its bias is O(β²), and its spread O(β).

        **Arguments:** `beta`: β, in units of E over C; `method`: as for the class.

        **Raises** `ValueError` for a β that is 0, below `LEAST` in size or not finite.
        """
        return cls(stencil=Stencil.one_sided("beta", beta), method=method, random=True)

    def estimate(self, net, cost, xs, ys, key=None):
        if self.random:
            if key is None:
                raise ValueError("`key` must be given for a random sign of `beta`")
            sign = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 0)), 1.0, -1.0)
            fixed = dataclasses.replace(self, stencil=self.stencil.scaled(sign), random=False)
            return fixed.estimate(net, cost, xs, ys, key)

        loss, free = free_phase(net, cost, xs, ys, self.method, key)
        if self.subtract:
            return self._subtracted(net, cost, xs, ys, key, loss, free)

        def nudged(beta):
            shared = (net, cost, beta)
            return displaced_phases(_nudged, shared, ys, xs, free.state, self.method, key)

        equilibria, displacements = jax.vmap(nudged)(self.stencil.nudges)
        grad = self.contrast(net, xs, free.state, displacements)
        return Estimate(loss, grad, free, equilibria, displacements)

    def _subtracted(self, net, cost, xs, ys, key, loss, free) -> Estimate:
        def nudged(beta):
            shared, examples = (net, cost, beta), (ys, xs, free.state)
            return settle_batch(_nudged_from, shared, examples, self.method, key)

        def gradient(states):
            return parameter_gradient(net, lambda net: jnp.mean(jax.vmap(net)(states, xs)))

        equilibria = jax.vmap(nudged)(self.stencil.nudges)
        phases = jax.tree.map(
            lambda f, n: jnp.concatenate([f[None], n]), free.state, equilibria.state
        )
        gradients = jax.vmap(gradient)(phases)
        pairs = list(zip(self.stencil.pairs, self.stencil.weights, strict=True))
        grad = jax.tree.map(
            lambda g: sum(w.astype(g.dtype) * (g[a] - g[b]) for (a, b), w in pairs), gradients
        )
        displacements = jax.tree.map(lambda n, f: n - f, equilibria.state, free.state)
        return Estimate(loss, grad, free, equilibria, displacements)

    def strongest_negative_nudge(self):
        betas = np.asarray(self.stencil.nudges)
        return float(np.max(np.abs(betas) if self.random else -betas, initial=0.0))


def _nudged(shared: tuple, y: Array) -> Nudged:
    net, cost, beta = shared
    return Nudged(net, cost, y, beta)


def _nudged_from(shared: tuple, example: tuple) -> tuple[Nudged, Array, State]:
    y, x, free = example
    return _nudged(shared, y), x, free
