"""Blocks: whether the leaves of a state hold nodes that do not interact, and the slope and curvature of one leaf."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .energy import Energy, State


def leaf_slope(energy: Energy, x: Array, leaves: list[Array], treedef: Any, index: int, direction: Array) -> tuple[Array, Array]:
    """∂E/∂s of one leaf, and its Hessian's product with `direction`: for ones the Hessian's diagonal, where the leaf is a block."""

    def value(leaf):
        return energy(jax.tree.unflatten(treedef, [*leaves[:index], leaf, *leaves[index + 1 :]]), x)

    return jax.jvp(jax.grad(value), (leaves[index],), (direction,))


def leaves_are_blocks(energy: Energy, x: Array, state: State) -> bool:
    """Whether no two nodes of one leaf of the state interact: H·z = z ⊙ (H·1) for random signs z, within each leaf.

    A property of the structure, so it is tried on random parameters, inputs and states of the shapes at hand, of either sign, also
    while tracing; integers and booleans keep their values where they have one, as they may be the structure.
    """
    key = []
    leaves, treedef = jax.tree.flatten((energy, x, state))
    for leaf in leaves:
        if not eqx.is_array(leaf):
            key.append(leaf)
        elif jnp.issubdtype(leaf.dtype, jnp.inexact) or isinstance(leaf, jax.core.Tracer):
            key.append(_Drawn(leaf.shape, leaf.dtype))
        else:
            key.append(_Drawn(leaf.shape, leaf.dtype, np.asarray(leaf).tobytes()))
    return _leaves_are_blocks(tuple(key), treedef)


@dataclass(frozen=True)
class _Drawn:
    """An array of which the test of the blocks knows the shape and dtype only, or also the bytes."""

    shape: tuple[int, ...]
    dtype: Any
    values: bytes | None = None

    def draw(self, random: np.random.Generator, sign: int, below: int) -> np.ndarray:
        """Normal numbers, of one sign unless `sign` is 0; integers from 0 to `below` − 1, as an index into the state would be."""
        if self.values is not None:
            return np.frombuffer(self.values, self.dtype).reshape(self.shape)
        if not jnp.issubdtype(self.dtype, jnp.inexact):
            return random.integers(0, below, self.shape).astype(self.dtype)
        normal = random.standard_normal(self.shape)
        return np.asarray(sign * (np.abs(normal) + 0.1) if sign else normal, self.dtype)


@functools.lru_cache
def _leaves_are_blocks(key: tuple, treedef: Any) -> bool:
    drawn = {i: leaf for i, leaf in enumerate(key) if isinstance(leaf, _Drawn)}
    of_state = [drawn[i] for i in range(len(key) - treedef.children()[2].num_leaves, len(key))]
    below = max(2, *(math.prod(leaf.shape) for leaf in of_state))

    @jax.jit
    def defects(values, signs):
        """For each leaf, how far H·z is from z ⊙ (H·1), and the size of H·1."""
        whole = [values.get(i, leaf) for i, leaf in enumerate(key)]
        energy, x, state = jax.tree.unflatten(treedef, whole)
        leaves, structure = jax.tree.flatten(state)
        found = []
        for i, (leaf, z) in enumerate(zip(leaves, signs, strict=True)):
            by_ones = leaf_slope(energy, x, leaves, structure, i, jnp.ones_like(leaf))[1]
            by_signs = leaf_slope(energy, x, leaves, structure, i, z)[1]
            found.append((jnp.max(jnp.abs(by_signs - z * by_ones), initial=0.0), jnp.max(jnp.abs(by_ones), initial=0.0)))
        return found

    random, tried = np.random.default_rng(0), False
    for sign in (0, 1):
        values = {i: leaf.draw(random, sign, below) for i, leaf in drawn.items()}
        for state_sign in (0, 1, -1):
            values |= {len(key) - len(of_state) + i: leaf.draw(random, state_sign, below) for i, leaf in enumerate(of_state)}
            signs = [np.asarray(random.choice([-1.0, 1.0], leaf.shape), leaf.dtype) for leaf in of_state]
            with jax.ensure_compile_time_eval():
                found = np.array([(float(gap), float(size)) for gap, size in defects(values, signs)])
            if np.isfinite(found).all():  # not so for a logarithm of what was drawn below 0
                tried = True
                if np.any(found[:, 0] > 1e-4 * found[:, 1]):
                    return False
    return tried
