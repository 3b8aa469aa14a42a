"""f(a + b) − f(a) without cancellation: each operation states its own increment."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import Array, PyTree


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LINEAR = _words(
    "add sub add_any neg concatenate stack unstack pad split reshape transpose broadcast_in_dim "
    "squeeze expand_dims slice rev copy copy_p stop_gradient reduce_precision reduce_sum cumsum "
    "reduce_window_sum real imag conj"
)
_LINEAR_IN_FIRST = _words("dynamic_slice gather")
_BILINEAR = _words("mul dot_general conv_general_dilated")
_LOOPS = _words("while scan cond")
_STEPS = _words("sign floor ceil round eq ne lt le gt ge and or not is_finite argmax argmin")


class _Moved:
    """A value before the step, its increment (`None` where it has none), and the value after.

    The value after is `old + delta` unless given.
    """

    def __init__(self, old: Any, delta: Any = None, new: Any = None):
        self.old, self.delta = old, delta
        self.new = (old if delta is None else old + delta) if new is None else new

    @property
    def still(self) -> bool:
        """Whether the step leaves the value as it is."""
        return self.delta is None and self.new is self.old


def increment(function: Callable[[PyTree], PyTree], at: PyTree, by: PyTree) -> tuple[PyTree, bool]:
    """Return function(at + by) − function(at), and whether it is free of cancellation.

    The program of `function` is walked with pairs (value, increment): sums add increments, a
    product gives a·Δb + Δa·(b + Δb), exp(a) gives exp(a)·expm1(Δa), and so on, so that the relative
    error of the result does not grow as `by` shrinks. An operation without such a rule is evaluated
    at both ends and subtracted, as are a product and a quotient of which a part changes by more
    than half of itself: the terms of their rules may then be far larger than either end. Slopes in
    the sense of Krawczyk & Neumaier (SIAM J. Numer. Anal. 22, 1985).

    **Arguments:**

    - `function`: from a pytree to a pytree of arrays.
    - `at`, `by`: pytrees of one structure, real or complex arrays.

    **Returns** a pytree like the function's result, and whether every operation stated its
    increment.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(at)
    moved = [_Moved(a, b) for a, b in zip(jax.tree.leaves(at), jax.tree.leaves(by), strict=True)]
    walk = _Walk()
    outs = walk.run(closed.jaxpr, closed.consts, moved)
    deltas = [jnp.zeros_like(out.old) if out.delta is None else out.delta for out in outs]
    return jax.tree.unflatten(jax.tree.structure(shape), deltas), walk.exact


class _Walk:
    """One walk over a program; `exact` falls where an increment had to be a difference."""

    def __init__(self):
        self.exact = True

    def run(self, jaxpr: Jaxpr, consts: Any, arguments: list[_Moved]) -> list[_Moved]:
        """Return the results of a program, each with its increment."""
        values = dict(zip(jaxpr.constvars, map(_Moved, consts), strict=True))
        values |= dict(zip(jaxpr.invars, arguments, strict=True))

        def value(v):
            return _Moved(v.val) if isinstance(v, Literal) else values[v]

        for equation in jaxpr.eqns:
            operands = [value(v) for v in equation.invars]
            values.update(zip(equation.outvars, self.step(equation, operands), strict=True))
        return [value(v) for v in jaxpr.outvars]

    def step(self, equation: Any, operands: list[_Moved]) -> list[_Moved]:
        """Return the results of one equation, each with its increment."""
        inner = inner_program(equation)
        if inner is not None and not all(o.still for o in operands):
            return self.run(inner.jaxpr, inner.consts, operands)

        def bind(*values):
            bound = equation.primitive.get_bind_params(equation.params)
            # JAX before 0.10.2 gives functions too.
            functions, params = bound if isinstance(bound, tuple) else ((), bound)
            out = equation.primitive.bind(*functions, *values, **params)
            return list(out) if equation.primitive.multiple_results else [out]

        old = bind(*(o.old for o in operands))
        if all(o.still for o in operands):
            return [_Moved(value) for value in old]
        delta, name = self.rule(equation, operands, bind, old), equation.primitive.name
        if delta is not None and name not in _CURVED:
            return [_Moved(value, change) for value, change in zip(old, delta, strict=True)]
        new = bind(*(o.new for o in operands))
        if delta is not None:
            change = delta[0] if name in _FUNCTIONS else _over(operands, delta[0], new[0] - old[0])
            return [_Moved(old[0], change, new[0])]
        self.exact &= name in _STEPS or not jnp.issubdtype(operands[0].old.dtype, jnp.inexact)
        return [
            _Moved(
                before, after - before if jnp.issubdtype(before.dtype, jnp.inexact) else None, after
            )
            for before, after in zip(old, new, strict=True)
        ]

    def rule(
        self, equation: Any, operands: list[_Moved], bind: Callable, old: list[Array]
    ) -> list[Array] | None:
        """Return the increments of an operation's results, or `None` where it states none."""
        name, first = equation.primitive.name, operands[0]
        others_still = all(o.still for o in operands[1:])
        deltas = [jnp.zeros_like(o.old) if o.delta is None else o.delta for o in operands]
        change: Any = None
        if name in _LINEAR or (
            name == "convert_element_type" and jnp.issubdtype(first.old.dtype, jnp.inexact)
        ):
            change = bind(*deltas)
        elif (name in _LINEAR_IN_FIRST or name == "div") and others_still:
            change = bind(first.delta, *(o.old for o in operands[1:]))
        elif name == "scatter-add" and operands[1].still:
            change = bind(deltas[0], operands[1].old, deltas[2])
        elif name in _BILINEAR:
            change = _bilinear(operands, bind)
        elif name == "div":
            change = [(deltas[0] - old[0] * deltas[1]) / operands[1].new]
        elif name in ("max", "min"):
            change = [_extremum(name, first, operands[1], deltas[0], deltas[1])]
        elif name in ("reduce_max", "reduce_min"):
            change = [_reduced(first, old[0], bind, equation.params["axes"])]
        elif name == "select_n":
            change = [_select(operands, deltas, bind)]
        elif name == "clamp":
            change = [_clamp(operands, deltas)]
        elif name == "integer_pow":
            change = [_power(first, equation.params["y"])]
        elif name in _FUNCTIONS:
            change = [_FUNCTIONS[name](first.old, first.delta, first.new)]
        return change


def inner_program(equation: Any) -> ClosedJaxpr | None:
    """Return the program that a call runs, of a jitted function or one with its own derivatives.

    `None` for all other operations, loops and conditions included.
    """
    for key in ("call_jaxpr", "jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if isinstance(inner, ClosedJaxpr) and equation.primitive.name not in _LOOPS:
            return inner
    return None


def _bilinear(operands: list[_Moved], bind: Callable) -> list[Array]:
    """Return Δ(ab) = Δa·(b + Δb) + a·Δb."""
    a, b = operands
    if b.still:
        return bind(a.delta, b.old)
    if a.still:
        return bind(a.old, b.delta)
    return [x + y for x, y in zip(bind(a.delta, b.new), bind(a.old, b.delta), strict=True)]


def _over(operands: list[_Moved], change: Array, difference: Array) -> Array:
    """Return the increment of a product, a quotient or a power: by its rule, or the difference.

    Of two moving parts of which one changes by more than half of itself it is the difference.
    """
    if any(o.still for o in operands) or len(operands) < 2:
        return change
    small = [jnp.abs(o.delta) <= jnp.abs(o.old) / 2 for o in operands]
    return jnp.where(small[0] & small[1], change, difference)


def _extremum(name: str, a: _Moved, b: _Moved, a_delta: Array, b_delta: Array) -> Array:
    """Return the increment of the larger ("max") or the smaller of two values."""
    pick = jnp.greater_equal if name == "max" else jnp.less_equal
    extremum = jnp.maximum if name == "max" else jnp.minimum
    before, after = pick(a.old, b.old), pick(a.new, b.new)
    across = extremum(a.new, b.new) - extremum(a.old, b.old)
    return jnp.where(before & after, a_delta, jnp.where(before | after, across, b_delta))


def _clamp(operands: list[_Moved], deltas: list[Array]) -> Array:
    """Return the increment of min(max(middle, low), high)."""
    low, middle, high = operands
    above = _Moved(
        jnp.maximum(middle.old, low.old), _extremum("max", middle, low, deltas[1], deltas[0])
    )
    return _extremum("min", above, high, above.delta, deltas[2])


def _reduced(a: _Moved, before: Array, bind: Callable, axes: tuple[int, ...]) -> Array:
    """Return the increment of a maximum or minimum over `axes`.

    It is that of the entry which is extreme at both ends, where there is one.
    """
    after = bind(a.new)[0]
    both = (a.old == jnp.expand_dims(before, axes)) & (a.new == jnp.expand_dims(after, axes))
    stays = jnp.sum(jnp.where(both, a.delta, 0.0), axes) / jnp.maximum(jnp.sum(both, axes), 1)
    return jnp.where(jnp.any(both, axes), stays, after - before)


def _select(operands: list[_Moved], deltas: list[Array], bind: Callable) -> Array:
    """Return the increment of a choice between cases, which may itself change."""
    which, cases = operands[0], operands[1:]
    change = bind(which.old, *deltas[1:])[0]
    if which.still:
        return change
    across = (
        bind(which.new, *(case.new for case in cases))[0]
        - bind(which.old, *(case.old for case in cases))[0]
    )
    return jnp.where(which.old == which.new, change, across)


def _power(a: _Moved, exponent: int) -> Array:
    """Return the increment of a power with an integer exponent."""
    if exponent < 0:
        whole = _power(a, -exponent)
        return -whole / (a.old**-exponent * a.new**-exponent)
    change, power = jnp.zeros_like(a.old), jnp.ones_like(a.old)
    for _ in range(exponent):  # Δ(aⁿ⁺¹) = Δ(aⁿ) · (a + Δa) + aⁿ · Δa
        change, power = change * a.new + power * a.delta, power * a.old
    return change


_FUNCTIONS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "exp": lambda a, d, b: jnp.exp(a) * jnp.expm1(d),
    "expm1": lambda a, d, b: jnp.exp(a) * jnp.expm1(d),
    "log": lambda a, d, b: jnp.log1p(d / a),
    "log1p": lambda a, d, b: jnp.log1p(d / (1 + a)),
    "tanh": lambda a, d, b: jnp.tanh(d) * (1 - jnp.tanh(a) * jnp.tanh(b)),
    "logistic": lambda a, d, b: -lax.logistic(b) * lax.logistic(-a) * jnp.expm1(-d),
    "sin": lambda a, d, b: 2 * jnp.cos(a + d / 2) * jnp.sin(d / 2),
    "cos": lambda a, d, b: -2 * jnp.sin(a + d / 2) * jnp.sin(d / 2),
    "sinh": lambda a, d, b: 2 * jnp.cosh(a + d / 2) * jnp.sinh(d / 2),
    "cosh": lambda a, d, b: 2 * jnp.sinh(a + d / 2) * jnp.sinh(d / 2),
    "square": lambda a, d, b: d * (a + b),
    "sqrt": lambda a, d, b: d / (jnp.sqrt(a) + jnp.sqrt(b)),
    "rsqrt": lambda a, d, b: -d * lax.rsqrt(a) * lax.rsqrt(b) / (jnp.sqrt(a) + jnp.sqrt(b)),
    "abs": lambda a, d, b: jnp.where(
        jnp.sign(a) == jnp.sign(b), jnp.sign(a) * d, jnp.abs(b) - jnp.abs(a)
    ),
}

_CURVED = _FUNCTIONS.keys() | _words("mul div integer_pow")
"""Operations whose result after the step is computed, as old + Δ has lost its digits where the step
is large: 1/cosh falls from 1 to 1e-60, and 1 + Δ is 0."""
