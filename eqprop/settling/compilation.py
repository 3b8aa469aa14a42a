"""How programs are compiled: small ones quickly, large ones to run fast."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

SMALL = 1024
"""The most numbers that parameters, inputs, targets and nodes of a small program hold in all."""

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Options of XLA with which a program compiles in a fourth of the time, and runs in up to 8 times.

At SMALL numbers that is some ms a call, and the seconds saved pay for some hundred calls.
"""


def jit_by_size(function: Callable) -> Callable:
    """Return `function` compiled as by `equinox.filter_jit`, and quickly where it is small.

    On a CPU, a program whose arguments hold at most `SMALL` numbers is compiled without LLVM's
    optimisations, for which one would wait longer than for all its runs. Inside another program,
    which is compiled as a whole, nothing differs from `equinox.filter_jit`.

    **Arguments:** `function`: a pure function of pytrees. What is returned takes its arguments, and
    `nodes`, the size of a state that is in none of them.
    """
    to_run_fast = eqx.filter_jit(function)
    options: dict[str, Any] = {"compiler_options": QUICKLY}
    quickly = eqx.filter_jit(function, **options)

    @functools.wraps(function)
    def compiled(*args, nodes=0):
        numbers = nodes + sum(leaf.size for leaf in jax.tree.leaves(args) if eqx.is_array(leaf))
        quick = numbers <= SMALL and jax.default_backend() == "cpu" and not is_traced()
        return (quickly if quick else to_run_fast)(*args)

    return compiled


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
