"""Energies: what a network minimises, and the vocabulary to write one with."""

import abc
import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

State = PyTree[Float[Array, "..."]]


class Energy(eqx.Module):
    """A scalar function `energy(state, x)` of one example, whose inexact arrays learn.

    A subclass states `__call__`, `init_state` and `outputs`. The defaults of the other methods are
    those of a network without bounds and with equal time constants.

    In all methods `state` is a pytree of real arrays and `x` the input of one example.
    """

    @abc.abstractmethod
    def __call__(self, state: State, x: Array) -> Float[Array, ""]:
        """Return the energy E(state, x) of one example, a scalar."""

    @abc.abstractmethod
    def init_state(self, x: Array) -> State:
        """Return the state at which a free phase starts: any pytree of real arrays."""

    @abc.abstractmethod
    def outputs(self, state: State) -> Float[Array, " outputs"]:
        """Return what the cost reads of the state, a vector."""

    def bounds(self, x: Array) -> tuple[State, State] | None:
        """Return the lower and the upper bounds of the state, two pytrees like it, or `None`.

        Ideal diodes and hard sigmoids have bounds.
        """
        del x
        return None

    def is_convex(self) -> bool:
        """Return whether E is convex in the state, so that any descent finds its one minimum.

        Asked while tracing.
        """
        return False

    def is_attractive(self) -> bool:
        """Return whether nodes only attract each other: ∂²E/∂s_i∂s_j ≤ 0 for all i ≠ j.

        So it is in a network of conductances. Asked while tracing; true makes the certificate of a
        settled state cheaper, and must then hold at all states and for all parameters in bounds.
        """
        return False

    def parameter_bounds(self) -> dict[str, tuple[float, float]]:
        """Return the bounds of parameters by glob patterns of their paths.

        `fit` projects on them after each update; e.g. `{"conductances*": (0, inf)}`.
        """
        return {}

    def time_constants(self, x: Array) -> State:
        """Return the time constants τ of τ ds/dt = −∂E/∂s, in seconds.

        One number, or a pytree like the state.
        """
        del x
        return 1.0

    def slope(self, state: State, x: Array, leaf: int | None = None) -> State:
        """Return ∂E/∂s, a pytree like the state, or only the array of one of its leaves.

        The derivative of the energy, unless a subclass knows a better way.

        **Arguments:** `leaf`: the number of the leaf; all of them if `None`.
        """
        if leaf is None:
            return jax.grad(self)(state, x)
        leaves, treedef = jax.tree.flatten(state)
        return jax.grad(
            lambda s: self(jax.tree.unflatten(treedef, [*leaves[:leaf], s, *leaves[leaf + 1 :]]), x)
        )(leaves[leaf])

    def scale(self, state: State) -> State:
        """Return what a method's tolerance is a multiple of, in the units of the state.

        A number, or a pytree like the state; max(1, largest |state|) unless a subclass has its own.
        """
        return jnp.maximum(1.0, largest(state))


def largest(tree: PyTree[Array]) -> Float[Array, ""]:
    """Return the largest magnitude in any array of `tree`; NaN if one holds a NaN, 0 if empty."""
    return functools.reduce(
        jnp.maximum, [jnp.max(jnp.abs(leaf), initial=0.0) for leaf in jax.tree.leaves(tree)]
    )


class FunctionEnergy(Energy):
    """A plain function as an energy; made by `eqprop.energy`, which documents the fields."""

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
    """Return a plain function as an energy.

    **Arguments:**

    - `function(params, state, x)`: the energy of one example, a scalar.
    - `params`: any pytree; its inexact arrays learn.
    - `state`: the state at which free phases start, any pytree of real arrays.
    - `outputs(state)`: what the cost reads, a vector.
    """
    return FunctionEnergy(params, function, lambda x: state, outputs)


def conductances(
    g: Float[Array, "n m"], u: Float[Array, " n"], v: Float[Array, " m"]
) -> Float[Array, ""]:
    """Return half the power that conductances between two sets of nodes dissipate.

    ½ Σ_ij g_ij (u_i − v_j)², written as ½ (u²·g1 + v²·gᵀ1) − u·g v, so that no array of shape
    (batch, n, m) appears and the gradient with respect to g is two row means and one product.

    **Arguments:** `g`: conductances (n, m); `u`: voltages (n,); `v`: voltages (m,).
    """
    return (u**2 @ (g @ jnp.ones_like(v)) + v**2 @ (jnp.ones_like(u) @ g)) / 2 - (u @ g) @ v


def bilinear(
    w: Float[Array, "n m"], u: Float[Array, " n"], v: Float[Array, " m"]
) -> Float[Array, ""]:
    """Return the sum Σ_ij u_i w_ij v_j over synapses between two sets of nodes.

    **Arguments:** `w`: weights (n, m); `u`: states (n,); `v`: states (m,).
    """
    return (u @ w) @ v


def bias(b: Float[Array, "..."], v: Float[Array, "..."]) -> Float[Array, ""]:
    """Return the sum Σ_i b_i v_i over nodes.

    **Arguments:** `b`: biases, and `v`: states, of one shape.
    """
    return jnp.sum(b * v)
