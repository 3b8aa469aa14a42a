"""Settling one example or a batch: the default method, and the certificate of what it reached."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..energies import Energy, State
from .certificate import certify
from .compilation import batched_alike, jit_by_size
from .default import default_method, first_briefly
from .equilibrium import Equilibrium, Method, Stop, check, for_every_node


def settle(
    energy: Energy,
    x: Array,
    method: Method | None = None,
    start: State | None = None,
    key: PRNGKeyArray | None = None,
) -> Equilibrium:
    """Settle one example as a pure function, for use under `jit` and `vmap`.

    Whether it has settled is not asked: look at `.settled` yourself.

    **Arguments:** `energy`, `x`, `method`, `start` and `key`: as of `relax`.
    """
    state = batched_alike(_start(energy, x, start), (energy, x))
    method = default_method() if method is None else method
    return certify(energy, x, method.settle(energy, x, state, key), method.tolerance)


def _start(energy: Energy, x: Array, start: State | None) -> State:
    """Return where a phase starts, within the bounds.

    Raises `ValueError` for what is no energy, or no state of it.
    """
    template = energy.init_state(x)
    state = template if start is None else start
    if _shapes(state) != _shapes(template):
        raise ValueError(
            f"`start` must be a state like `init_state(x)`, {_shapes(template)}, "
            f"but is {_shapes(state)}"
        )
    if not all(
        jnp.issubdtype(leaf.dtype, jnp.floating)
        for leaf in map(jnp.asarray, jax.tree.leaves(state))
    ):
        raise ValueError(f"the state must hold real floating-point arrays, but is {_shapes(state)}")
    try:
        value, outputs = jax.eval_shape(energy, state, x), jax.eval_shape(energy.outputs, state)
    except Exception as error:
        error.add_note(
            f"This is of the energy or its outputs, for one `x` of shape {jnp.shape(x)} "
            f"and a state of {_shapes(state)}."
        )
        raise
    if outputs.ndim != 1:
        raise ValueError(
            f"`outputs` must return an array of one axis, but returned {outputs.dtype} "
            f"of shape {outputs.shape}"
        )
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"`energy` must return a real scalar, but returned {value.dtype} of shape {value.shape}"
        )
    box = energy.bounds(x)
    return state if box is None else jax.tree.map(jnp.clip, state, *box)


def _shapes(state: State) -> Any:
    return jax.tree.map(jnp.shape, state)


def settle_batch(
    build: Callable[[Any, Any], tuple[Energy, Array, State | None]],
    shared: Any,
    examples: Any,
    method: Method | None,
    key: PRNGKeyArray | None = None,
    report: Callable[[Any, Equilibrium], Any] = lambda energy, equilibrium: equilibrium,
) -> Any:
    """Settle the phases of a batch, as a pure function.

    Example by example, with a key folded in for each, unless the method integrates a batch as one
    system.

    **Arguments:**

    - `build(shared, example)`: the energy, the input and the start of one example.
    - `shared`: what all examples have in common, any pytree.
    - `examples`: what each has of its own; leaves (batch, …).
    - `method`, `key`: as for `settle`.
    - `report(energy, equilibrium)`: what is wanted of each phase, the equilibrium if not given.

    **Returns** what `report` returns; leaves (batch, …).
    """
    size = jax.tree.leaves(examples)[0].shape[0]
    if method is None or not method.joins():
        keys = (
            None
            if key is None
            else jax.vmap(lambda n: jax.random.fold_in(key, n))(jnp.arange(size))
        )

        def one(example, key):
            energy, x, start = build(shared, example)
            return report(energy, settle(energy, x, method, start, key))

        return jax.vmap(one)(examples, keys)

    whole = BatchEnergy(build, shared, examples)
    stop = method.settle(
        whole,
        jnp.zeros(()),
        jax.vmap(lambda example: _start(*build(shared, example)))(examples),
        key,
    )

    def certified(example, state):
        energy, x, _ = build(shared, example)
        stopped = Stop(state, stop.steps, stop.time)
        return report(energy, certify(energy, x, stopped, method.tolerance))

    return jax.vmap(certified)(examples, stop.state)


class BatchEnergy(Energy):
    """The energies of a batch as one energy, their sum.

    The batch is the leading axis of every leaf of its state.
    """

    build: Callable[[Any, Any], tuple[Energy, Array, State | None]] = eqx.field(static=True)
    shared: Any
    examples: Any

    def _each(self, function, *states):
        return jax.vmap(
            lambda example, *state: function(*self.build(self.shared, example)[:2], *state)
        )(self.examples, *states)

    def __call__(self, state, x):
        return jnp.sum(self._each(lambda energy, x, s: energy(s, x), state))

    def slope(self, state, x, leaf=None):
        return self._each(lambda energy, x, s: energy.slope(s, x, leaf), state)

    def init_state(self, x):
        return self._each(lambda energy, x: energy.init_state(x))

    def outputs(self, state):
        return self._each(lambda energy, x, s: energy.outputs(s), state).ravel()

    def bounds(self, x):
        return self._each(lambda energy, x: energy.bounds(x))

    def time_constants(self, x):
        return self._each(
            lambda energy, x: for_every_node(energy.time_constants(x), energy.init_state(x))
        )

    def scale(self, state):
        return self._each(lambda energy, x, s: for_every_node(energy.scale(s), s), state)


def relax(
    energy: Energy,
    x: Array,
    *,
    method: Method | None = None,
    start: State | None = None,
    key: PRNGKeyArray | None = None,
    throw: bool = True,
) -> Equilibrium:
    """Settle one example at a minimum of `energy(state, x)` within its bounds.

    It is the one to which the energy falls from the start; a state where ∂²E/∂s² is not positive
    definite has not settled.

    **Arguments:**

    - `energy`: for a nudged phase, `Nudged(energy, cost, y, beta)`. `x`: the input of the example.
    - `method`: `default_method()` if not given.
    - `start`: where to start; the energy's `init_state` if not given, and the free state for a
      nudged phase.
    - `key`: for a method that draws random numbers.
    - `throw`: whether a phase that does not settle is an error; otherwise it is returned with
      `settled` false.

    **Raises** `NotSettledError` with the error that was reached, and `ValueError` for an energy
    that is not a scalar, or a `start` of another shape than the energy's state.
    """
    x = jnp.asarray(x)
    nodes = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(energy.init_state, x)))
    equilibrium = first_briefly(
        method,
        energy,
        lambda method: _settle(energy, x, method, start, key, nodes=nodes),
        lambda equilibrium: equilibrium.settled,
    )
    if throw:
        check(equilibrium, "the phase", method)
    return equilibrium


_settle = jit_by_size(settle)
