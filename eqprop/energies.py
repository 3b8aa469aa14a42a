"""Energies: what a network minimises, and the words to write one with."""

import abc
import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

State = PyTree[Float[Array, "..."]]


class Energy(eqx.Module):
    """A scalar function `energy(state, x)` of one example. Its inexact array leaves are the parameters that learn.

    A subclass states `__call__`, `init_state` and `outputs`. The other methods have the default of a network without bounds and with
    equal time constants, and are overridden where the network has them.
    """

    @abc.abstractmethod
    def __call__(self, state: State, x: Array) -> Float[Array, ""]:
        """The energy E(state, x) of one example."""

    @abc.abstractmethod
    def init_state(self, x: Array) -> State:
        """The state at which a free phase starts: any pytree of real arrays."""

    @abc.abstractmethod
    def outputs(self, state: State) -> Float[Array, " outputs"]:
        """The part of the state that the cost reads."""

    def bounds(self, x: Array) -> tuple[State, State] | None:
        """Lower and upper bounds of the state, two pytrees of its structure (ideal diodes, hard sigmoids), or `None`."""
        del x
        return None

    def is_convex(self) -> bool:
        """Whether E is convex in the state, so that it has one minimum and any descent finds it; asked while tracing."""
        return False

    def parameter_bounds(self) -> dict[str, tuple[float, float]]:
        """Bounds of the parameters by glob pattern of their path, e.g. `{"conductances*": (0, inf)}`; `fit` projects on them."""
        return {}

    def time_constants(self, x: Array) -> State:
        """Time constants τ of τ ds/dt = −∂E/∂s, in seconds: one number, or a pytree like the state."""
        del x
        return 1.0

    def slope(self, state: State, x: Array, leaf: int | None = None) -> State:
        """∂E/∂s, or only that of one leaf of the state, by its number: the derivative of the energy unless more is known of it."""
        if leaf is None:
            return jax.grad(self)(state, x)
        leaves, treedef = jax.tree.flatten(state)
        return jax.grad(
            lambda s: self(jax.tree.unflatten(treedef, [*leaves[:leaf], s, *leaves[leaf + 1 :]]), x)
        )(leaves[leaf])

    def scale(self, state: State) -> State:
        """What a method's tolerance is a multiple of: a number, or a pytree like the state, in its units; max(1, largest |state|)."""
        return jnp.maximum(1.0, largest(state))


def largest(tree: PyTree[Array]) -> Float[Array, ""]:
    """The largest magnitude in any array of `tree`; NaN where one holds a NaN, 0 where there is none."""
    return functools.reduce(
        jnp.maximum, [jnp.max(jnp.abs(leaf), initial=0.0) for leaf in jax.tree.leaves(tree)]
    )


class FunctionEnergy(Energy):
    """A plain function as an energy; made by `eqprop.energy`."""

    params: PyTree
    function: Callable[..., Float[Array, ""]] = eqx.field(static=True)
    start: Callable[[Array], State] = eqx.field(static=True)
    read: Callable[[State], Float[Array, " outputs"]] = eqx.field(static=True)

    def __call__(self, state, x):
        return self.function(self.params, state, x)

    def init_state(self, x):
        return self.start(x)

    def outputs(self, state):
        return self.read(state)


def energy(
    function: Callable[[PyTree, State, Array], Float[Array, ""]],
    params: PyTree,
    *,
    state: State,
    outputs: Callable[[State], Float[Array, " outputs"]],
) -> Energy:
    """An energy from a plain function.

    **Arguments:** `function(params, state, x)`: the energy of one example, a scalar. `params`: any pytree; its inexact arrays learn.
    `state`: the state at which free phases start, any pytree of real arrays. `outputs(state)`: what the cost reads, a vector.
    """
    return FunctionEnergy(params, function, lambda x: state, outputs)


def conductances(
    g: Float[Array, "n m"], u: Float[Array, " n"], v: Float[Array, " m"]
) -> Float[Array, ""]:
    """Half the power ½ Σ_ij g_ij (u_i − v_j)² that conductances `g` between nodes `u` and nodes `v` dissipate.

    Written as ½ (u²·g1 + v²·gᵀ1) − u·g v, so that no array of shape (batch, n, m) appears and the gradient with respect to g is two
    row means and one matrix product.
    """
    return (u**2 @ (g @ jnp.ones_like(v)) + v**2 @ (jnp.ones_like(u) @ g)) / 2 - (u @ g) @ v


def bilinear(
    w: Float[Array, "n m"], u: Float[Array, " n"], v: Float[Array, " m"]
) -> Float[Array, ""]:
    """The sum Σ_ij u_i w_ij v_j over synapses `w` between nodes `u` and nodes `v`."""
    return (u @ w) @ v


def bias(b: Float[Array, "..."], v: Float[Array, "..."]) -> Float[Array, ""]:
    """The sum Σ_i b_i v_i over the nodes `v`, of any one shape."""
    return jnp.sum(b * v)
