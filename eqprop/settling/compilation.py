"""How programs are compiled: small ones quickly, large ones to run fast."""

import functools
import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

SMALL = 1024
"""The most numbers that parameters, inputs, targets and nodes of a small program hold in all."""

MEDIUM = 2**17
"""The most numbers of a program of medium size."""

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Options of XLA with which a program compiles in a fourth of the time, and runs in up to 8 times.

At SMALL numbers that is some ms a call, and the seconds saved pay for some hundred calls.
"""

SOONER = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""Options with which a program compiles in half of the time, and runs in up to 1.5 times.

At MEDIUM numbers the seconds saved pay for thousands of training steps.
"""


def jit_by_size(function: Callable, *, often: bool = False) -> Any:
    """Return `function` compiled as by `equinox.filter_jit`, and sooner the smaller it is.

    On a CPU, a program whose arguments hold at most `SMALL` numbers is compiled without LLVM's
    optimisations, for which one would wait longer than for all its runs, and one of at most
    `MEDIUM` with few of them. Inside another program, which is compiled as a whole, and where the
    variable `XLA_FLAGS` chooses a level, nothing differs from `equinox.filter_jit`.

    **Arguments:**

    - `function`: a pure function of pytrees.
    - `often`: whether it runs so often that some optimisations pay at any size.

    **Returns** a function of the same arguments and of `nodes`, the size of a state that is in none
    of them, with a method `lower`.
    """
    jit: Any = eqx.filter_jit
    to_run_fast = jit(function)
    sooner, quickly = (jit(function, compiler_options=options) for options in (SOONER, QUICKLY))

    @functools.wraps(function)
    def compiled(*args, nodes=0, **named):
        arrays = filter(eqx.is_array, jax.tree.leaves((args, named)))
        numbers = nodes + sum(leaf.size for leaf in arrays)
        if numbers > MEDIUM or _is_chosen() or is_traced():
            return to_run_fast(*args, **named)
        return (quickly if numbers <= SMALL and not often else sooner)(*args, **named)

    result: Any = compiled
    result.lower = to_run_fast.lower
    return result


def _is_chosen() -> bool:
    """Return whether how programs are compiled is not for us to choose."""
    named = "xla_backend_optimization_level" in os.environ.get("XLA_FLAGS", "")
    return named or jax.default_backend() != "cpu"


def is_traced() -> bool:
    """Return whether the caller runs inside `jit`, `vmap`, `grad` or the like."""
    here = get_opaque_trace_state()
    with jax.core.eval_context():
        return here != get_opaque_trace_state()


def batched_alike(values: Any, reference: Any) -> Any:
    """Return `values` as they are, but batched by `jax.vmap` wherever `reference` is.

    `vmap` batches the body of a loop again and again until it knows which values of the loop are
    batched: twice instead of thrice if all of them are so from the start, and for loops in loops
    as often for each. What is added to the program is simplified away when it is compiled.

    **Arguments:** `values`, `reference`: pytrees of arrays.
    """
    known = jnp.asarray(True)
    for leaf in jax.tree.leaves(eqx.filter(reference, eqx.is_inexact_array)):
        if leaf.size:
            first = jax.lax.slice(leaf, (0,) * leaf.ndim, (1,) * leaf.ndim)
            known |= jnp.isnan(jnp.reshape(first, ()))
    return jax.tree.map(lambda value: jnp.where(known, value, value), values)
