"""The weakly clamped phases of an energy, as energies.

Nudged towards a target, clamped at one, and displaced from a free state.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Num

from ..costs import Cost
from ..energies import Energy, State, largest
from ..increments import increment
from .kinks import has_kinks, rounded_cost


class Phase(Energy):
    """An energy with something done to its outputs: `pull` added to it, or other bounds."""

    energy: eqx.AbstractVar[Energy]

    @abc.abstractmethod
    def pull(self, state: State) -> Float[Array, ""]:
        """Return what the phase adds to the energy."""

    @abc.abstractmethod
    def strength(self, state: State) -> Float[Array, ""]:
        """Return how far the phase moves a state, by the order of magnitude; 0 if not at all."""

    def __call__(self, state, x):
        value = self.energy(state, x)
        return value + self.pull(state).astype(value.dtype)

    def init_state(self, x):
        return self.energy.init_state(x)

    def outputs(self, state):
        return self.energy.outputs(state)

    def parameter_bounds(self):
        return self.energy.parameter_bounds()

    def time_constants(self, x):
        return self.energy.time_constants(x)

    def scale(self, state):
        return self.energy.scale(state)


class Nudged(Phase):
    """The nudged energy F = E + β C: outputs pulled towards `y` with weight `beta`.

    Kinks of C are rounded off over a small part of `Energy.scale` (`rounded_cost`), so that an
    output that comes to rest on one rests at a minimum that can be certified; `wider` is a factor
    of that part.

    `beta` has the units of E over those of C (a conductance, for a resistive network and a squared
    error) and either sign; it is an array, so another value does not compile again.
    """

    energy: Energy
    cost: Cost
    y: Num[Array, "*target"] = eqx.field(converter=jnp.asarray)
    beta: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    wider: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1.0)

    def pull(self, state):
        outputs = self.energy.outputs(state)
        if has_kinks(self.cost, outputs, self.y):
            scale = largest(self.energy.scale(state))
            cost = rounded_cost(self.cost, outputs, self.y, scale * self.wider)
        else:
            cost = self.cost(outputs, self.y)
        return self.beta.astype(cost.dtype) * cost

    def strength(self, state):
        """Return the largest |β ∂C/∂s|."""
        return largest(jax.grad(self.pull)(state))

    def bounds(self, x):
        return self.energy.bounds(x)


class Clamped(Phase):
    """The energy with its output nodes held at `values`, which are part of the box of its bounds.

    Raises `ValueError` where the outputs are no nodes of the state, such as differences of nodes.
    """

    energy: Energy
    values: Float[Array, " outputs"]

    def pull(self, state):
        return jnp.zeros((), ravel_pytree(state)[0].dtype)

    def strength(self, state):
        """Return the largest distance of an output from where it is held."""
        outputs = self.energy.outputs(state)
        return largest(self.values.astype(outputs.dtype) - outputs)

    def bounds(self, x):
        state = self.energy.init_state(x)
        flat, restore = ravel_pytree(state)
        box = self.energy.bounds(x)
        low, high = (
            (flat - jnp.inf, flat + jnp.inf)
            if box is None
            else (ravel_pytree(side)[0] for side in box)
        )
        nodes = output_nodes(self.energy, state)
        return tuple(
            restore(side.at[nodes].set(self.values.astype(flat.dtype))) for side in (low, high)
        )


def output_nodes(energy: Energy, state: State) -> Int[np.ndarray, " outputs"]:
    """Return which nodes of the flattened state the outputs are.

    Raises `ValueError` where they are anything but nodes.
    """
    leaves, treedef = jax.tree.flatten(state)
    sizes = np.cumsum([0, *(leaf.size for leaf in leaves)])

    def read(flat):
        parts = [
            jnp.asarray(flat[a:b].reshape(leaf.shape))
            for a, b, leaf in zip(sizes, sizes[1:], leaves, strict=False)
        ]
        return energy.outputs(jax.tree.unflatten(treedef, parts))

    with jax.ensure_compile_time_eval():
        random = np.random.default_rng(0).standard_normal(sizes[-1])
        first, second = read(np.arange(float(sizes[-1]))), read(random)
    if not isinstance(first, jax.core.Tracer):
        nodes = np.asarray(first).round().astype(int)
        inside = (nodes >= 0) & (nodes < sizes[-1])
        if inside.all() and np.allclose(random[nodes], np.asarray(second), rtol=1e-6):
            return nodes
    raise ValueError(
        "`energy.outputs` must be nodes of the state to be clamped, but is another function of it"
    )


class Displaced(Energy):
    """A phase in the displacement from the free state, s = s₀ + σ u; made by `displaced`.

    ∂D/∂u = ( [∂E/∂s(s₀ + σ u) − ∂E/∂s(s₀)] + kept + ∂pull/∂s(s₀ + σ u) ) / σ,

    the difference taken as an `increment`: a small nudge is settled to as many digits as a large
    one. Its state is u. `unit` is σ, the phase's own `strength`, so that u does not shrink with the
    nudge. Of the free state's own slope only what its bounds hold back is `kept`; what it has not
    settled is the same in all phases and drops out of their differences.
    """

    phase: Phase
    origin: State
    kept: State
    unit: Float[Array, ""]
    exact: bool = eqx.field(static=True)

    def __call__(self, state, x):
        """Return [ E(s₀ + δ) − E(s₀) − ∂E/∂s(s₀)·δ + kept·δ + pull(s₀ + δ) ] / σ² with δ = σ u."""
        energy, here, move = self.phase.energy, self.here(state), self.displacement(state)
        before, along = jax.jvp(lambda s: energy(s, x), (self.origin,), (move,))
        held_back = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, self.kept, move)))
        return (energy(here, x) - before - along + held_back + self.phase.pull(here)) / self.unit**2

    def slope(self, state, x, leaf=None):
        change, _ = increment(
            lambda s: self.phase.energy.slope(s, x, leaf), self.origin, self.displacement(state)
        )
        pull, kept = jax.grad(self.phase.pull)(self.here(state)), self.kept
        if leaf is not None:
            pull, kept = jax.tree.leaves(pull)[leaf], jax.tree.leaves(kept)[leaf]
        return jax.tree.map(lambda *terms: sum(terms[1:], terms[0]) / self.unit, change, pull, kept)

    def displacement(self, state: State) -> State:
        """Return δ = σ u, in the units of the energy's own state."""
        return jax.tree.map(lambda u: self.unit * u, state)

    def here(self, state: State) -> State:
        """Return the state s₀ + δ."""
        return jax.tree.map(jnp.add, self.origin, self.displacement(state))

    def init_state(self, x):
        return jax.tree.map(jnp.zeros_like, self.origin)

    def outputs(self, state):
        return self.phase.outputs(self.here(state))

    def bounds(self, x):
        box = self.phase.bounds(x)
        return (
            box
            if box is None
            else tuple(
                jax.tree.map(lambda b, s: (b - s) / self.unit, side, self.origin) for side in box
            )
        )

    def time_constants(self, x):
        return self.phase.time_constants(x)

    def scale(self, state):
        """Return the largest |u| of each leaf, so that a tolerance is relative.

        That of the energy where an increment is a difference.
        """
        if not self.exact:
            return jax.tree.map(lambda size: size / self.unit, self.phase.scale(self.here(state)))
        return jax.tree.map(lambda leaf: jnp.full(leaf.shape, largest(leaf)), state)


def displaced(phase: Phase, x: Array, origin: State) -> Displaced:
    """Return `phase` in the displacement from the free state `origin` of the example `x`."""
    energy = phase.energy
    kept = jax.tree.map(jnp.zeros_like, origin)
    box = energy.bounds(x)
    if box is not None:
        slope = energy.slope(origin, x)
        kept = jax.tree.map(
            lambda g, s, low, high: jnp.where(held(g, s, low, high), g, 0.0), slope, origin, *box
        )
    strength = phase.strength(origin)
    return Displaced(
        phase,
        origin,
        kept,
        jnp.where(strength > 0, strength, 1.0),
        _increment_is_exact(energy, x, origin),
    )


def with_kinks(energy: Energy, state: State) -> bool:
    """Return whether a phase is nudged by a cost with kinks.

    **Arguments:** `energy`: perhaps `Displaced`; `state`: of it.
    """
    phase = energy.phase if isinstance(energy, Displaced) else energy
    return isinstance(phase, Nudged) and has_kinks(phase.cost, energy.outputs(state), phase.y)


def wider_kinks(energy: Any, factor: Float[Array, ""]) -> Energy:
    """Return a phase with the kinks of its cost rounded off `factor` times as wide.

    **Arguments:** `energy`: of which `with_kinks` is true; `factor`: of the width.
    """
    if isinstance(energy, Displaced):
        return eqx.tree_at(lambda phase: phase.phase, energy, wider_kinks(energy.phase, factor))
    return eqx.tree_at(lambda phase: phase.wider, energy, energy.wider * factor)


def held(slope: Array, state: Array, low: Array, high: Array) -> Array:
    """Return whether a bound holds each coordinate.

    It lies on the bound, and the energy falls only beyond it.
    """
    return ((state <= low) & (slope >= 0)) | ((state >= high) & (slope <= 0))


def _increment_is_exact(energy: Energy, x: Array, origin: State) -> bool:
    exactness = []

    def probe(origin):
        change, exact = increment(lambda s: energy.slope(s, x), origin, origin)
        exactness.append(exact)
        return change

    jax.eval_shape(probe, origin)
    return exactness[0]
