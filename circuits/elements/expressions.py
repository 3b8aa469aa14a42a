"""Expressions of node voltages and source currents, as in SPICE's B sources: their text, their value and their slopes.

They mean what ngspice makes of them: x^y and pow(x, y) are |x|^y and group from the left, log is ln, u(0) is ½, and pwl goes on along
its first and last line beyond its points.
"""

import abc
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..units import Array, number
from .base import GROUND

Slopes = dict["Voltage | Current", Array]


class _Operand(abc.ABC):
    """What Python's `+ - * / **` make operations of, together with numbers; `**` is SPICE's ^, which takes |x| to a power."""

    __array_ufunc__ = None  # an array on the left is a constant, not a set of operands

    @abc.abstractmethod
    def __str__(self) -> str:
        """As SPICE writes it."""

    def __add__(self, other: "Expression | Array") -> "Expression":
        return call("+", self, other)

    def __radd__(self, other: Array) -> "Expression":
        return call("+", other, self)

    def __sub__(self, other: "Expression | Array") -> "Expression":
        return call("-", self, other)

    def __rsub__(self, other: Array) -> "Expression":
        return call("-", other, self)

    def __mul__(self, other: "Expression | Array") -> "Expression":
        return call("*", self, other)

    def __rmul__(self, other: Array) -> "Expression":
        return call("*", other, self)

    def __truediv__(self, other: "Expression | Array") -> "Expression":
        return call("/", self, other)

    def __rtruediv__(self, other: Array) -> "Expression":
        return call("/", other, self)

    def __pow__(self, other: "Expression | Array") -> "Expression":
        return call("^", self, other)

    def __neg__(self) -> "Expression":
        return call("negative", self)


@dataclass(frozen=True)
class Constant(_Operand):
    """A number, or an array of them where the expression is never written as SPICE."""

    value: Array

    def __str__(self):
        return (
            f"({number(self.value)})" if math.copysign(1.0, self.value) < 0 else number(self.value)
        )


@dataclass(frozen=True)
class Voltage(_Operand):
    """v(plus) − v(minus) in V."""

    plus: str
    minus: str = GROUND

    def __str__(self):
        return f"v({self.plus})" if self.minus == GROUND else f"v({self.plus},{self.minus})"


@dataclass(frozen=True)
class Current(_Operand):
    """The current in A that a voltage source, by its SPICE name, draws at its first node."""

    source: str

    def __str__(self):
        return f"i({self.source})"


@dataclass(frozen=True)
class Operation(_Operand):
    """An operator or a function of `FUNCTIONS`, `INFIX`, "negative", "?:" or "pwl", and what it is applied to."""

    kind: str
    arguments: tuple["Expression", ...]

    def __str__(self):
        if self.kind in INFIX:
            return f"({self.arguments[0]}{self.kind}{self.arguments[1]})"
        if self.kind == "negative":
            return f"(-{self.arguments[0]})"
        if self.kind == "?:":
            condition, then, otherwise = self.arguments
            return f"({condition}?{then}:{otherwise})"
        return f"{self.kind}({','.join(str(a) for a in self.arguments)})"


Expression = Constant | Voltage | Current | Operation


def call(kind: str, *arguments: "Expression | Array") -> Expression:
    """The operation `kind` on expressions and numbers; a `Constant` where all are numbers, as a deck's reader has it."""
    operands = tuple(
        a if isinstance(a, Constant | Voltage | Current | Operation) else Constant(a)
        for a in arguments
    )
    whole = Operation(kind, operands)
    return (
        Constant(evaluate(whole, {})[0])
        if all(isinstance(operand, Constant) for operand in operands)
        else whole
    )


def variables(expression: Expression) -> Iterator[Voltage | Current]:
    """Every voltage and current in an expression, as often as it stands there."""
    stack = [expression]
    while stack:
        one = stack.pop()
        if isinstance(one, Voltage | Current):
            yield one
        elif isinstance(one, Operation):
            stack += reversed(one.arguments)


def renamed(
    expression: Expression, name: Callable[["Voltage | Current"], "Voltage | Current"]
) -> Expression:
    """An expression with another voltage or current in the place of each."""
    if isinstance(expression, Constant):
        return expression
    if isinstance(expression, Operation):
        return Operation(
            expression.kind, tuple(renamed(argument, name) for argument in expression.arguments)
        )
    return name(expression)


def evaluate(
    expression: Expression, values: Mapping[Voltage | Current, Array]
) -> tuple[Array, Slopes]:
    """The value of an expression, and its partial derivative by each voltage and current it depends on.

    Elementwise over arrays of one shape, NumPy's or JAX's. At a kink the slope is that of one of its sides. An operation that stands in
    several places, as one object, is worked out once.
    """
    known: dict[int, tuple[Array, Slopes]] = {}

    def of(one: Expression) -> tuple[Array, Slopes]:
        if isinstance(one, Constant):
            return one.value, {}
        if isinstance(one, Voltage | Current):
            return values[one], {one: 1.0}
        if id(one) not in known:
            known[id(one)] = combined(one.kind, [of(argument) for argument in one.arguments])
        return known[id(one)]

    def combined(kind: str, parts: list[tuple[Array, Slopes]]) -> tuple[Array, Slopes]:
        arguments = [value for value, _ in parts]
        namespaces: list[Any] = [
            value.__array_namespace__()
            for value in arguments
            if hasattr(value, "__array_namespace__")
        ]
        value, partials = _apply(namespaces[0] if namespaces else np, kind, arguments)
        slopes: Slopes = {}
        for (_, inner), partial in zip(parts, partials, strict=True):
            for variable, slope in inner.items():
                slopes[variable] = slopes.get(variable, 0.0) + partial * slope
        return value, slopes

    return of(expression)


def _apply(xp: Any, kind: str, arguments: list[Array]) -> tuple[Array, list[Array]]:
    if kind == "?:":
        condition, then, otherwise = arguments
        return xp.where(condition != 0, then, otherwise), [
            0.0,
            xp.where(condition != 0, 1.0, 0.0),
            xp.where(condition != 0, 0.0, 1.0),
        ]
    if kind == "pwl":
        x, *points = arguments
        value, slope = _interpolate(
            xp, x, np.array(points[0::2], float), np.array(points[1::2], float)
        )
        return value, [slope, *(0.0 for _ in points)]
    if kind == "negative":
        return -arguments[0], [-1.0]
    value, *partials = (INFIX.get(kind) or FUNCTIONS[kind][1])(xp, *arguments)
    return value, partials


def _interpolate(xp: Any, x: Array, xs: np.ndarray, ys: np.ndarray) -> tuple[Array, Array]:
    slopes, starts, heights = (
        xp.asarray(column) for column in (np.diff(ys) / np.diff(xs), xs[:-1], ys[:-1])
    )
    at = xp.searchsorted(xp.asarray(xs[1:-1]), x, side="right")
    return heights[at] + slopes[at] * (x - starts[at]), slopes[at]


def _power(xp: Any, x: Array, y: Array) -> tuple[Array, ...]:
    size = xp.abs(x)
    value = size**y
    safe = xp.where(size > 0, size, 1.0)
    return (
        value,
        xp.where(size > 0, y * safe ** (y - 1) * xp.sign(x), xp.where(xp.equal(y, 1), 1.0, 0.0)),
        value * xp.log(safe),
    )


def _signed_power(xp: Any, x: Array, y: Array) -> tuple[Array, ...]:
    value, by_x, by_y = _power(xp, x, y)
    return xp.sign(x) * value, xp.sign(x) * by_x, xp.sign(x) * by_y


def _truth(xp: Any, holds: Array) -> tuple[Array, ...]:
    return xp.where(holds, 1.0, 0.0), 0.0, 0.0


INFIX: dict[str, Callable[..., tuple[Array, ...]]] = {
    "+": lambda xp, a, b: (a + b, 1.0, 1.0),
    "-": lambda xp, a, b: (a - b, 1.0, -1.0),
    "*": lambda xp, a, b: (a * b, b, a),
    "/": lambda xp, a, b: (a / b, 1 / b, -a / b**2),
    "^": _power,
    "<": lambda xp, a, b: _truth(xp, a < b),
    "<=": lambda xp, a, b: _truth(xp, a <= b),
    ">": lambda xp, a, b: _truth(xp, a > b),
    ">=": lambda xp, a, b: _truth(xp, a >= b),
    "==": lambda xp, a, b: _truth(xp, xp.equal(a, b)),
    "!=": lambda xp, a, b: _truth(xp, xp.not_equal(a, b)),
    "&&": lambda xp, a, b: _truth(xp, xp.logical_and(a != 0, b != 0)),
    "||": lambda xp, a, b: _truth(xp, xp.logical_or(a != 0, b != 0)),
}
"""Operators between two operands: value, slope by the first, slope by the second."""

FUNCTIONS: dict[str, tuple[int, Callable[..., tuple[Array, ...]]]] = {
    "abs": (1, lambda xp, a: (xp.abs(a), xp.sign(a))),
    "sqrt": (1, lambda xp, a: (xp.sqrt(a), 0.5 / xp.sqrt(a))),
    "exp": (1, lambda xp, a: (xp.exp(a), xp.exp(a))),
    "ln": (1, lambda xp, a: (xp.log(a), 1 / a)),
    "log10": (1, lambda xp, a: (xp.log10(a), 1 / (a * math.log(10)))),
    "sin": (1, lambda xp, a: (xp.sin(a), xp.cos(a))),
    "cos": (1, lambda xp, a: (xp.cos(a), -xp.sin(a))),
    "tan": (1, lambda xp, a: (xp.tan(a), 1 + xp.tan(a) ** 2)),
    "asin": (1, lambda xp, a: (xp.asin(a), 1 / xp.sqrt(1 - a**2))),
    "acos": (1, lambda xp, a: (xp.acos(a), -1 / xp.sqrt(1 - a**2))),
    "atan": (1, lambda xp, a: (xp.atan(a), 1 / (1 + a**2))),
    "sinh": (1, lambda xp, a: (xp.sinh(a), xp.cosh(a))),
    "cosh": (1, lambda xp, a: (xp.cosh(a), xp.sinh(a))),
    "tanh": (1, lambda xp, a: (xp.tanh(a), 1 - xp.tanh(a) ** 2)),
    "u": (1, lambda xp, a: (xp.where(xp.equal(a, 0), 0.5, xp.where(a > 0, 1.0, 0.0)), 0.0)),
    "uramp": (1, lambda xp, a: (xp.maximum(a, 0.0), xp.where(a > 0, 1.0, 0.0))),
    "sgn": (1, lambda xp, a: (xp.sign(a), 0.0)),
    "min": (
        2,
        lambda xp, a, b: (xp.minimum(a, b), xp.where(a < b, 1.0, 0.0), xp.where(a < b, 0.0, 1.0)),
    ),
    "max": (
        2,
        lambda xp, a, b: (xp.maximum(a, b), xp.where(a > b, 1.0, 0.0), xp.where(a > b, 0.0, 1.0)),
    ),
    "pwr": (2, _signed_power),
}
"""Functions by name: how many arguments they take; and their value and slope by each."""
