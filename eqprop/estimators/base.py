"""What every gradient estimator shares: its call with its checks, the free phase, and the contrast of phases."""

import abc
import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..costs import Cost, require_labels
from ..energies import Energy, State
from ..settling.equilibrium import Equilibrium, Method, check, has_values
from ..settling.phases import Phase, displaced
from ..settling.relaxation import settle_batch
from .bounds import require_convex


class Estimate(eqx.Module):
    """A gradient with what it was made from.

    - `loss`: the batch mean of the cost at the free states.
    - `grad`: its estimated gradient; an energy like the one given, with `None` for what does not learn.
    - `free`, `nudged`: the equilibria; leaves (batch, …) and (nudges, batch, …), `nudged` being `None` where there is no nudge.
    - `displacements`: nudged minus free states, (nudges, batch, …), to more digits than the states have; `None` as `nudged` is.
    """

    loss: Float[Array, ""]
    grad: Any
    free: Equilibrium
    nudged: Equilibrium | None = None
    displacements: State | None = None

    def __repr__(self) -> str:
        if not has_values(self):
            return super().__repr__()
        size = np.sqrt(
            sum(float(jnp.sum(jnp.abs(leaf) ** 2)) for leaf in jax.tree.leaves(self.grad))
        )
        nudged = "" if self.nudged is None else f"; nudged phases: {self.nudged.certificate()}"
        return f"Estimate: loss {float(self.loss):.6g}, norm of the gradient {size:.4g}; free phases: {self.free.certificate()}{nudged}"


class Estimator(eqx.Module):
    """A way to estimate gradients. Called, it checks what it returns; `estimate` is the same as a pure function, for `jit`."""

    method: eqx.AbstractVar[Method | None]

    @abc.abstractmethod
    def estimate(
        self,
        energy: Energy,
        cost: Cost,
        xs: Float[Array, "batch ..."],
        ys: Array,
        key: PRNGKeyArray | None = None,
    ) -> Estimate:
        """The estimate of one batch, unchecked. `key`: for what draws random numbers."""

    def strongest_negative_nudge(self) -> float:
        """The largest |β| of a phase with β < 0; 0 where there is none."""
        return 0.0

    def __call__(
        self,
        energy: Energy,
        cost: Cost,
        xs: Float[Array, "batch ..."],
        ys: Array,
        key: PRNGKeyArray | None = None,
    ) -> Estimate:
        """The estimate of one batch.

        **Raises** `NotSettledError` where a phase has not settled, and `NudgeError` where a negative nudge reaches `nudge_bound` at the
        free or at the nudged state of an example.
        """
        xs, ys = jnp.asarray(xs), jnp.asarray(ys)
        if xs.ndim == 0 or ys.ndim == 0 or xs.shape[0] != ys.shape[0]:
            raise ValueError(
                f"`xs` and `ys` must hold the same number of examples, but have shapes {xs.shape} and {ys.shape}"
            )
        require_labels(
            np.asarray(ys),
            jax.eval_shape(lambda x: energy.outputs(energy.init_state(x)), xs[0]).shape[0],
        )
        estimate = _estimate(self, energy, cost, xs, ys, key)
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


class ContrastEstimator(Estimator):
    """An estimator whose error falls as a power of a nudge: what `gradient_error` and `calibrate` can make stronger and weaker."""

    stencil: eqx.AbstractVar["Stencil"]

    def scaled(self, factor: float) -> "ContrastEstimator":
        """The same with nudges `factor` times as strong."""
        return dataclasses.replace(self, stencil=self.stencil.scaled(factor))

    def contrast(
        self, energy: Energy, xs: Float[Array, "batch ..."], free: State, displacements: State
    ) -> Energy:
        """The gradient from free states (batch, …) and displacements (nudges, batch, …), wherever they come from."""
        return self.stencil.contrast(energy, xs, free, displacements)


def free_phase(
    energy: Energy,
    cost: Cost,
    xs: Array,
    ys: Array,
    method: Method | None,
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, ""], Equilibrium]:
    """The batch mean of the cost at the free states, and the free phases."""
    free = settle_batch(_free, energy, xs, method, key)
    return jnp.mean(jax.vmap(lambda s, y: cost(energy.outputs(s), y))(free.state, ys)), free


def _free(energy: Energy, x: Array) -> tuple[Energy, Array, None]:
    return energy, x, None


def displaced_phases(
    phase: Any,
    shared: Any,
    targets: Any,
    xs: Array,
    free: State,
    method: Method | None,
    key: PRNGKeyArray | None,
) -> tuple[Equilibrium, State]:
    """The phases that `phase(shared, target)` gives for each example, settled as displacements from the free states.

    The equilibria are in the units of the energy's own state; the displacements come beside them.
    """
    build, examples = _Displacing(phase), (targets, xs, free)
    found = settle_batch(build, shared, examples, method, key)

    def own_units(example, equilibrium):
        energy = build(shared, example)[0]
        moved, residual = (
            energy.displacement(equilibrium.state),
            energy.displacement(equilibrium.residual),
        )
        own = (energy.here(equilibrium.state), residual, energy.unit * equilibrium.error)
        return eqx.tree_at(lambda e: (e.state, e.residual, e.error), equilibrium, own), moved

    return jax.vmap(own_units)(examples, found)


class _Displacing:
    """`phase(shared, target)` in the displacement from a free state; equal to another of the same phase, for `jit`'s memory."""

    def __init__(self, phase: Any):
        self.phase = phase

    def __call__(self, shared, example):
        target, x, free = example
        phase: Phase = self.phase(shared, target)
        return displaced(phase, x, free), x, None

    def __eq__(self, other):
        return isinstance(other, _Displacing) and self.phase == other.phase

    def __hash__(self):
        return hash(self.phase)


class Stencil(eqx.Module):
    """A finite difference over phases: Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], phase 0 the free one, phase k of `nudges[k − 1]`."""

    nudges: Float[Array, " nudges"]
    weights: Float[Array, " pairs"]
    pairs: tuple[tuple[int, int], ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)

    @classmethod
    def one_sided(cls, name: str, strength: float) -> "Stencil":
        """[g(s_h) − g(s_0)] / h, of order 1. Raises `ValueError` for an h, called `name`, that is 0 or not finite."""
        h = _strength(name, strength)
        return cls(jnp.stack([h]), jnp.stack([1 / h]), ((1, 0),), 1)

    @classmethod
    def centred(cls, name: str, strength: float) -> "Stencil":
        """[g(s_h) − g(s_−h)] / 2h, of order 2. Raises as `one_sided` does."""
        h = _strength(name, strength)
        return cls(jnp.stack([h, -h]), jnp.stack([1 / (2 * h)]), ((1, 2),), 2)

    @classmethod
    def points(cls, name: str, strength: float, n: int) -> "Stencil":
        """Σ_k w_k [g(s_k) − g(s_0)], n points from −h to h evenly spaced but for 0, of order n, an even number."""
        h = _strength(name, strength)
        require_even(n)
        nodes = np.concatenate([np.arange(-n // 2, 0), np.arange(1, n // 2 + 1)]) / (n // 2)
        weights = np.linalg.solve(np.vander(nodes, n + 1, increasing=True).T[1:], np.eye(n)[0])
        return cls(h * nodes, jnp.asarray(weights) / h, tuple((k, 0) for k in range(1, n + 1)), n)

    def scaled(self, factor: Float[Array, ""] | float) -> "Stencil":
        """The same with nudges `factor` times as strong, of the other sign where it is negative."""
        return dataclasses.replace(self, nudges=self.nudges * factor, weights=self.weights / factor)

    def contrast(self, energy: Energy, xs: Array, free: State, displacements: State) -> Energy:
        """The batch mean of the difference, from free states (batch, …) and displacements from them (nudges, batch, …).

        Each pair is d/dθ [ ∂E/∂s(θ, (s_a + s_b)/2) · (s_a − s_b) ]: exact where ∂E/∂θ is quadratic in the state, as for conductances,
        of third order in s_a − s_b otherwise, and free of the cancellation of two nearly equal gradients.
        """
        phases = jax.tree.map(lambda d: jnp.concatenate([jnp.zeros_like(d[:1]), d]), displacements)
        terms = []
        for (a, b), weight in zip(self.pairs, self.weights, strict=True):
            middle = jax.tree.map(lambda s, d, a=a, b=b: s + (d[a] + d[b]) / 2, free, phases)
            change = jax.tree.map(
                lambda d, a=a, b=b, w=weight: (d[a] - d[b]) * w.astype(d.dtype), phases
            )
            terms.append(directional_gradient(energy, xs, middle, change))
        return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


def _strength(name: str, strength: float) -> Float[Array, ""]:
    if not np.isfinite(strength) or strength == 0:
        raise ValueError(f"`{name}` must be finite and not 0, but is {strength}")
    return jnp.asarray(strength, float)


def require_even(n: int) -> None:
    """Raises `ValueError` for a number of points that is no even number of 2 or more."""
    if n < 2 or n % 2:
        raise ValueError(f"`n` must be an even number of points, 2 or more, but is {n}")


def directional_gradient(energy: Energy, xs: Array, states: State, directions: State) -> Energy:
    """The gradient with respect to the parameters of the batch mean of ∂E/∂s(θ, s_b, x_b) · d_b; differentiated once for the batch."""

    def along(energy, state, direction, x):
        return jax.jvp(lambda s: energy(s, x), (state,), (direction,))[1]

    return parameter_gradient(
        energy,
        lambda whole: jnp.mean(
            jax.vmap(lambda *example: along(whole, *example))(states, directions, xs)
        ),
    )


def parameter_gradient(energy: Energy, function: Any) -> Energy:
    """The gradient of `function(energy)`, a real scalar, with respect to the energy's parameters; `None` for what does not learn."""
    params, rest = eqx.partition(energy, eqx.is_inexact_array)
    return jax.grad(lambda params: function(eqx.combine(params, rest)))(params)
