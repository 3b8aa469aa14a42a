"""Blocks: which nodes of a state do not interact, and the slope and curvature of one leaf."""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..energies import Energy, State
from .compilation import jit_by_size
from .phases import Displaced, Phase
from .structure import Dependence, dependences


@eqx.filter_jit
def leaf_slope(
    energy: Energy, x: Array, leaves: list[Array], treedef: Any, index: int, direction: Array
) -> tuple[Array, Array]:
    """Return ∂E/∂s of one leaf, and its Hessian's product with `direction`.

    For ones that is the Hessian's diagonal, where the leaf is a block.
    """

    def slope(leaf):
        return energy.slope(
            jax.tree.unflatten(treedef, [*leaves[:index], leaf, *leaves[index + 1 :]]), x, index
        )

    return jax.jvp(slope, (leaves[index],), (direction,))


def leaf_curvatures(energy: Energy, x: Array, state: State) -> State:
    """Return the diagonal of ∂²E/∂s², a pytree like the state, where every leaf is a block."""
    leaves, treedef = jax.tree.flatten(state)
    return jax.tree.unflatten(
        treedef,
        [
            leaf_slope(energy, x, leaves, treedef, i, jnp.ones_like(leaf))[1]
            for i, leaf in enumerate(leaves)
        ],
    )


def leaves_are_blocks(energy: Energy, x: Array, state: State) -> bool:
    """Return whether no two nodes of one leaf of the state interact.

    H·z = z ⊙ (H·1) for random signs z, within each leaf. A property of the structure, so it is
    tried on random parameters, inputs and states of the shapes at hand, of either sign, also while
    tracing; integers and booleans keep their values where they have one, as they may be the
    structure.
    """
    structure = _structure(energy, x, state)
    return _read_as_blocks(*structure) or _leaves_are_blocks(*structure)


def are_blocks(energy: Energy, x: Array, state: State, blocks: tuple[int, ...]) -> bool:
    """Return whether no two nodes that interact are in one block.

    **Arguments:** `blocks`: the number of the block of each node of the flattened state.
    """
    if len(blocks) != sum(leaf.size for leaf in jax.tree.leaves(state)):
        return False
    numbers = np.asarray(blocks)
    return not (interactions(energy, x, state) & (numbers[:, None] == numbers)).any()


def colour(energy: Energy, x: Array, state: State | None = None) -> tuple[int, ...]:
    """Return blocks of nodes that do not interact, for `BlockNewton(blocks=…)`.

    Found by colouring the graph of the Hessian greedily, the busiest node first; a grid of
    neighbours gets two blocks.

    **Arguments:** `energy`, `x`: of one example. `state`: a pytree like its state, of which the
    shapes count; `init_state(x)` if not given.

    **Returns** the number of the block of each node of the flattened state.
    """
    interacts = interactions(energy, x, energy.init_state(x) if state is None else state)
    colours = np.full(len(interacts), -1)
    for node in np.argsort(-interacts.sum(1), kind="stable"):
        taken = set(colours[interacts[node]])
        colours[node] = next(c for c in range(len(interacts)) if c not in taken)
    return tuple(int(c) for c in colours)


def interactions(energy: Energy, x: Array, state: State) -> np.ndarray:
    """Return which pairs of nodes of the flattened state interact: the pattern of ∂²E/∂s².

    Found on random parameters, inputs and states, as `leaves_are_blocks` is; all pairs where none
    of these has a finite Hessian.

    **Returns** booleans (nodes, nodes), without the diagonal.
    """
    return _interactions(*_structure(energy, x, state))


def _structure(energy: Energy, x: Array, state: State) -> tuple[tuple, Any]:
    """Return what is known of an energy while tracing, hashable.

    The shapes of its arrays, and the values of what is no inexact array.
    """
    key = []
    energy = energy.phase if isinstance(energy, Displaced) else energy  # the same nodes interact
    leaves, treedef = jax.tree.flatten((energy, x, state))
    for leaf in leaves:
        if not eqx.is_array(leaf):
            key.append(leaf)
        elif jnp.issubdtype(leaf.dtype, jnp.inexact) or isinstance(leaf, jax.core.Tracer):
            key.append(_Drawn(leaf.shape, leaf.dtype))
        else:
            key.append(_Drawn(leaf.shape, leaf.dtype, np.asarray(leaf).tobytes()))
    return tuple(key), treedef


@dataclass(frozen=True)
class _Drawn:
    """An array of which the test of the blocks knows shape and dtype only, or also the bytes."""

    shape: tuple[int, ...]
    dtype: Any
    values: bytes | None = None

    def draw(self, random: np.random.Generator, sign: int, below: int) -> np.ndarray:
        """Return normal numbers, of one sign unless `sign` is 0.

        Integers from 0 to `below` − 1, as an index into the state would be.
        """
        if self.values is not None:
            return np.frombuffer(self.values, self.dtype).reshape(self.shape)
        if not jnp.issubdtype(self.dtype, jnp.inexact):
            return random.integers(0, below, self.shape).astype(self.dtype)
        normal = random.standard_normal(self.shape)
        return np.asarray(sign * (np.abs(normal) + 0.1) if sign else normal, self.dtype)


def _draws(key: tuple, treedef: Any) -> Iterator[tuple[Energy, Array, State, np.random.Generator]]:
    """Yield energies, inputs and states of the structure `key`, with random values.

    Parameters of both signs or positive; states of order 1 and 0.01: at the former an exponential,
    as a diode has, can hide what else there is between nodes.
    """
    drawn = {i: leaf for i, leaf in enumerate(key) if isinstance(leaf, _Drawn)}
    states = range(len(key) - treedef.children()[2].num_leaves, len(key))
    below = max(2, *(math.prod(drawn[i].shape) for i in states))
    random = np.random.default_rng(0)
    for sign in (0, 1):
        values = {i: leaf.draw(random, sign, below) for i, leaf in drawn.items()}
        for state_sign, size in itertools.product((0, 1, -1), (1, 0.01)):
            values |= {
                i: (size * drawn[i].draw(random, state_sign, below)).astype(drawn[i].dtype)
                for i in states
            }
            yield (
                *jax.tree.unflatten(treedef, [values.get(i, leaf) for i, leaf in enumerate(key)]),
                random,
            )


@functools.lru_cache
def _read_as_blocks(key: tuple, treedef: Any) -> bool:
    """Return whether the leaves are blocks as far as the program of ∂E/∂s says, read and not run.

    It is so where the slope of each node depends on no other node of its leaf, for all values. A
    phase is read as its energy, whose program is known already, and its pull.
    """
    arrays = [
        jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
        for leaf in key
        if isinstance(leaf, _Drawn) and leaf.values is None
    ]
    count = treedef.children()[2].num_leaves

    def slopes(index, *arrays):
        values = iter(arrays)
        known = [_value(leaf, values) if isinstance(leaf, _Drawn) else leaf for leaf in key]
        energy, x, state = jax.tree.unflatten(treedef, known)
        leaves, structure = jax.tree.flatten(state)

        def pull(leaf):
            return energy.pull(
                jax.tree.unflatten(structure, [*leaves[:index], leaf, *leaves[index + 1 :]])
            )

        alone = energy.energy if isinstance(energy, Phase) else energy
        slope = leaf_slope(alone, x, leaves, structure, index, jnp.ones_like(leaves[index]))[0]
        return slope, jax.grad(pull)(leaves[index]) if isinstance(energy, Phase) else slope

    return all(
        max(dependences(functools.partial(slopes, i), arrays, len(arrays) - count + i))
        <= Dependence.ENTRY_BY_ENTRY
        for i in range(count)
    )


def _value(leaf: "_Drawn", values: Iterator[Array]) -> Any:
    """Return the value of an array where it is known, and else the next of `values`."""
    return next(values) if leaf.values is None else leaf.draw(np.random.default_rng(0), 0, 2)


@functools.lru_cache
def _leaves_are_blocks(key: tuple, treedef: Any) -> bool:
    @jit_by_size
    def defects(energy, x, state, signs):
        """Return for each leaf how far H·z is from z ⊙ (H·1), and the size of H·1."""
        leaves, structure = jax.tree.flatten(state)
        gaps = []
        for i, (leaf, z) in enumerate(zip(leaves, signs, strict=True)):
            by_ones = leaf_slope(energy, x, leaves, structure, i, jnp.ones_like(leaf))[1]
            by_signs = leaf_slope(energy, x, leaves, structure, i, z)[1]
            gaps.append(
                (
                    jnp.max(jnp.abs(by_signs - z * by_ones), initial=0.0),
                    jnp.max(jnp.abs(by_ones), initial=0.0),
                )
            )
        return gaps

    tried = False
    for energy, x, state, random in _draws(key, treedef):
        signs = [
            np.asarray(random.choice([-1.0, 1.0], leaf.shape), leaf.dtype)
            for leaf in jax.tree.leaves(state)
        ]
        with jax.ensure_compile_time_eval():
            gaps = np.array(
                [(float(gap), float(size)) for gap, size in defects(energy, x, state, signs)]
            )
        if np.isfinite(gaps).all():  # not so for a logarithm of what was drawn below 0
            tried = True
            if np.any(gaps[:, 0] > 1e-4 * gaps[:, 1]):
                return False
    return tried


@functools.lru_cache
def _interactions(key: tuple, treedef: Any) -> np.ndarray:
    @jit_by_size
    def hessian(energy, x, state):
        flat, restore = ravel_pytree(state)
        return jax.hessian(lambda s: energy(restore(s), x))(flat)

    pattern: np.ndarray | None = None
    for energy, x, state, _ in _draws(key, treedef):
        with jax.ensure_compile_time_eval():
            curvatures = np.abs(np.asarray(hessian(energy, x, state)))
        if np.isfinite(curvatures).all():
            interacts = curvatures > 1e-9 * curvatures.max()
            pattern = interacts if pattern is None else pattern | interacts
    if pattern is None:
        pattern = np.ones(curvatures.shape, bool)
    np.fill_diagonal(pattern, val=False)
    return pattern
