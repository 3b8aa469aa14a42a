"""By how much a sweep over blocks contracts, in networks whose nodes only attract each other."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..costs import SquaredError
from ..energies import Energy, State, largest
from .blocks import leaf_curvatures
from .phases import Clamped, Displaced, Nudged, output_nodes


def contraction(energy: Energy, x: Array, state: State) -> Float[Array, ""]:
    """Return ρ such that each sweep makes the largest error of any node at least 1/ρ times smaller.

    A sweep goes leaf by leaf to the minimum of each node, so that errors become T e with
    T = (D + L)⁻¹(−U), the parts of H = ∂²E/∂s² on, below and above the diagonal. Where nodes only
    attract each other, H_ij ≤ 0 for i ≠ j, T has no negative entry and ρ = max_i (T·1)_i. If ρ < 1,
    H is positive definite, and after a sweep that has moved no node by more than m the error is at
    most m ρ/(1 − ρ) (Berman & Plemmons, Nonnegative Matrices in the Mathematical Sciences, 1994,
    chapter 7). Bounds only make it smaller. One product with the parts of H; what does not depend
    on the state is computed once for a batch.

    **Arguments:** a phase for which `attracts`, and whose state's leaves are blocks.
    """
    diagonals = jax.tree.leaves(leaf_curvatures(energy, x, state))
    if isinstance(energy, Displaced):  # the same H, and one product for all units of the examples
        energy, state = energy.phase, energy.here(state)
    leaves, treedef = jax.tree.flatten(state)
    rows = [jnp.ones_like(leaf) for leaf in leaves]
    for index, (leaf, diagonal) in enumerate(zip(leaves, diagonals, strict=True)):
        others = [other for other in range(len(leaves)) if other != index]
        if not others:
            return jnp.zeros((), leaf.dtype)

        def slope(*moved, index=index, others=others):
            whole = list(leaves)
            for other, one in zip(others, moved, strict=True):
                whole[other] = one
            return energy.slope(jax.tree.unflatten(treedef, whole), x, index)

        here, towards = (tuple(part[other] for other in others) for part in (leaves, rows))
        pull = -jax.jvp(slope, here, towards)[1]
        row = jnp.where(diagonal > 0, pull / jnp.where(diagonal > 0, diagonal, 1.0), jnp.inf)
        rows[index] = jnp.where((diagonal == 0) & (pull == 0), 0.0, row)
    return largest(rows)


def attracts(energy: Energy, state: State) -> bool:
    """Return whether the nodes of a phase only attract each other, as far as is known of it."""
    if isinstance(energy, Displaced):
        return attracts(energy.phase, energy.origin)
    if isinstance(energy, Clamped):
        return energy.energy.is_attractive()
    if isinstance(energy, Nudged):
        if not (isinstance(energy.cost, SquaredError) and energy.energy.is_attractive()):
            return False
        try:
            output_nodes(energy.energy, state)
        except ValueError:
            return False
        return True  # a squared error of single nodes adds to the diagonal alone
    return energy.is_attractive()
