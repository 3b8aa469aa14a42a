"""Costs with their kinks rounded off: a nudged phase that rests on one is then a smooth minimum."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var
from jaxtyping import Array, Float, Num

from ..costs import Cost

EXPONENT = 0.4
"""Kinks are rounded off over ε^0.4, ε being the rounding unit: 5·10⁻⁷, and 2·10⁻³ in float32.

So wide that the curvature there, one over it, leaves digits to tell the minimum by.
"""

WIDEST, NARROWER = 0.1, 30.0
"""On the way there they are rounded off over 0.1, and then a thirtieth of that, and so on."""

_KINKED = ("abs", "max", "min", "reduce_max", "reduce_min")


def rounded_cost(
    cost: Cost,
    outputs: Float[Array, " outputs"],
    y: Num[Array, "*target"],
    scale: Array,
) -> Float[Array, ""]:
    """Return C(outputs, y) with its kinks rounded off.

    In its program |a| becomes √(a² + w²), and max(a, b) becomes (a + b + √((a − b)² + w²))/2, min
    likewise. A kink that `jnp.where` makes stays.

    **Arguments:**

    - `cost`: C.
    - `outputs`, `y`: of one example.
    - `scale`: of the outputs, of which w is ε^0.4.
    """
    program, values = _traced(cost, outputs, y)
    width = jnp.finfo(outputs.dtype).eps ** EXPONENT * jax.lax.stop_gradient(scale)
    return _evaluate(program, jax.tree.leaves(values), width.astype(outputs.dtype))[0]


def has_kinks(cost: Cost, outputs: Float[Array, " outputs"], y: Num[Array, "*target"]) -> bool:
    """Return whether the cost of one example has kinks that `rounded_cost` rounds off.

    **Arguments:** `cost`, `outputs`, `y`: as of `rounded_cost`.
    """
    real = jnp.issubdtype(outputs.dtype, jnp.floating)
    return bool(real and _kinked(_traced(cost, outputs, y)[0].jaxpr))


def widths(dtype: Any) -> np.ndarray:
    """Return the factors of w by which kinks are rounded off one after the other, the last one 1.

    **Arguments:** `dtype`: of the outputs.
    """
    most = WIDEST / float(jnp.finfo(dtype).eps) ** EXPONENT
    stages = int(np.ceil(np.log(most) / np.log(NARROWER)))
    return np.geomspace(most, 1.0, stages + 1)


def _traced(cost, outputs, y) -> tuple[ClosedJaxpr, Any]:
    """Return the program of a cost, of all its arrays, and their values."""
    leaves, kind = jax.tree.flatten(cost)
    arrays, rest = eqx.partition(leaves, eqx.is_array)
    values = (arrays, outputs, y)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), values)
    try:
        return _program(kind, tuple(rest), _Hashed(shapes)), values
    except TypeError:  # a cost with a field that has no hash
        return _program.__wrapped__(kind, tuple(rest), _Hashed(shapes)), values


class _Hashed(tuple):
    """Shapes of a pytree, hashed by their structure and leaves."""

    def __new__(cls, shapes: Any):
        leaves, structure = jax.tree.flatten(shapes)
        return super().__new__(cls, (structure, *((leaf.shape, leaf.dtype) for leaf in leaves)))

    def values(self) -> Any:
        return jax.tree.unflatten(self[0], [jax.ShapeDtypeStruct(*leaf) for leaf in self[1:]])


@functools.lru_cache(maxsize=64)
def _program(kind: Any, rest: tuple, shapes: _Hashed) -> ClosedJaxpr:
    """Return the program of a cost, of its arrays, the outputs and the target."""

    def call(arrays, outputs, y):
        return jax.tree.unflatten(kind, eqx.combine(arrays, list(rest)))(outputs, y)

    return jax.make_jaxpr(call)(*shapes.values())


def _inner(equation: Any) -> ClosedJaxpr | None:
    """Return the program that an equation calls, if it is a plain call."""
    program = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    calls = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
    return program if equation.primitive.name in calls else None


def _needed(program: Jaxpr) -> set[Var]:
    """Return the variables on which the derivative of a program's results depends."""
    needed = {v for v in program.outvars if not isinstance(v, Literal)}
    for equation in reversed(program.eqns):
        if equation.primitive.name != "stop_gradient" and needed & {*equation.outvars}:
            needed |= {v for v in equation.invars if not isinstance(v, Literal)}
    return needed


def _kinked(program: Jaxpr) -> bool:
    """Return whether a primitive with a kink stands in a program, or in one that it calls."""
    needed = _needed(program)
    return any(
        equation.primitive.name in _KINKED
        or ((inner := _inner(equation)) is not None and _kinked(inner.jaxpr))
        for equation in program.eqns
        if needed & {*equation.outvars}
    )


def _evaluate(program: ClosedJaxpr, arguments: Sequence[Array], width: Array) -> list[Array]:
    """Return the results of a program with its kinks rounded off."""
    jaxpr, needed = program.jaxpr, _needed(program.jaxpr)
    known = dict(zip(jaxpr.constvars, program.consts, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))

    def read(v):
        return v.val if isinstance(v, Literal) else known[v]

    for equation in jaxpr.eqns:
        values = [read(v) for v in equation.invars]
        name, inner = equation.primitive.name, _inner(equation)
        smooth = needed.isdisjoint(equation.outvars) or not all(
            jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.invars
        )
        if not smooth and name in _KINKED:
            results = [_ROUNDED[name](width, *values, **equation.params)]
        elif not smooth and inner is not None and _kinked(inner.jaxpr):
            results = _evaluate(inner, values, width)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            results = equation.primitive.bind(*values, **params)
            results = results if equation.primitive.multiple_results else [results]
        known.update(zip(equation.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _excess(width: Array, a: Array) -> tuple[Array, Array]:
    """Return on which side a is, as a truth value, and √(a² + w²) − |a| without cancellation."""
    above = a >= 0
    size = jnp.where(above, a, -a)
    return above, width**2 / (jnp.sqrt(a**2 + width**2) + size)


def _magnitude(width: Array, a: Array) -> Array:
    above, excess = _excess(width, a)
    return jnp.where(above, a, -a) + excess


def _larger(width: Array, a: Array, b: Array) -> Array:
    finite = jnp.isfinite(a - b)
    above, excess = _excess(width, jnp.where(finite, a - b, 0.0))
    return jnp.where(finite, jnp.where(above, a, b) + excess / 2, jnp.maximum(a, b))


def _largest(width: Array, a: Array, *, axes: tuple[int, ...], **_: Any) -> Array:
    """Return the largest along axes, two by two."""
    kept = [k for k in range(a.ndim) if k not in axes]
    rows = jnp.transpose(a, [*axes, *kept]).reshape(-1, *(a.shape[k] for k in kept))
    while len(rows) > 1:
        half = len(rows) // 2
        pairs = _larger(width, rows[:half], rows[half : 2 * half])
        rows = jnp.concatenate([pairs, rows[2 * half :]])
    return rows[0]


_ROUNDED: dict[str, Callable[..., Array]] = {
    "abs": _magnitude,
    "max": _larger,
    "min": lambda width, a, b: -_larger(width, -a, -b),
    "reduce_max": _largest,
    "reduce_min": lambda width, a, **axes: -_largest(width, -a, **axes),
}
