"""Which results of a program depend on an argument, and whether entry by entry."""

import enum
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, Literal

from ..increments import inner_program

_ENTRY_BY_ENTRY = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp conj
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor
    ge gt imag integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter
    not or pow real reduce_precision rem round rsqrt select_n sign sin sinh sqrt square
    stop_gradient sub tan tanh xor
"""


class Dependence(enum.IntEnum):
    """How a value depends on an argument: not at all, entry k on entry k alone, or in any way."""

    NONE = 0
    ENTRY_BY_ENTRY = 1
    ANY = 2


def dependences(function: Callable, arguments: Sequence[Any], on: int) -> list[Dependence]:
    """Return how the results of a function depend on one of its arguments.

    The program is read and not run, so the answer holds for all values; it errs towards `ANY`, as
    where products with constants cancel.

    **Arguments:** `function`: of the arguments, with any pytree of arrays as its result;
    `arguments`: arrays, or their shapes and dtypes; `on`: which argument.

    **Returns** one `Dependence` for each array of the result.
    """
    program = jax.make_jaxpr(function)(*arguments).jaxpr
    starts = [Dependence.NONE] * len(arguments)
    starts[on] = Dependence.ENTRY_BY_ENTRY
    return _propagated(program, starts)


def _propagated(program: Jaxpr, starts: Sequence[Dependence]) -> list[Dependence]:
    """Return how the results of a program depend on what its arguments depend on as `starts`."""
    known = dict(zip(program.invars, starts, strict=True))

    def dependence(v):
        return Dependence.NONE if isinstance(v, Literal) else known.get(v, Dependence.NONE)

    for equation in program.eqns:
        operands = [dependence(v) for v in equation.invars]
        if not any(operands):
            continue
        inner = inner_program(equation)
        if inner is not None:
            results = _propagated(inner.jaxpr, operands)
        else:
            keeps = equation.primitive.name in _ENTRY_BY_ENTRY.split() or _is_identity(equation)
            results = [max(operands) if keeps else Dependence.ANY] * len(equation.outvars)
        known.update(zip(equation.outvars, results, strict=True))
    return [dependence(v) for v in program.outvars]


def _is_identity(equation: Any) -> bool:
    """Return whether an equation gives its only operand as it is, like a reshape to its shape."""
    if len(equation.invars) != 1:
        return False
    shape, axes = equation.invars[0].aval.shape, None
    if equation.primitive.name == "broadcast_in_dim":
        axes = equation.params["broadcast_dimensions"]
    elif equation.primitive.name == "transpose":
        axes = equation.params["permutation"]
    elif equation.primitive.name not in ("reshape", "squeeze"):
        return False
    same = equation.outvars[0].aval.shape == shape
    return same and (axes is None or tuple(axes) == tuple(range(len(shape))))
