"""Operators and functions of SPICE's expressions: their values and their slopes.

They mean what ngspice makes of them: x^y and pow(x, y) are |x|^y, log is ln, u(0) is ½, and pwl
goes on along its first and last line beyond its points.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..units import Array

NO_POINTS = np.zeros((2, 0))
"""The points of what is no pwl."""


def apply(
    xp: Any, kind: str, arguments: Sequence[Array], points: np.ndarray = NO_POINTS
) -> tuple[Array, Sequence[Array]]:
    """Return the value of an operation, and its slopes by its arguments; at a kink of one side.

    **Arguments:** `xp`: the arrays' namespace. `kind`: an operator of `INFIX`, a function of
    `FUNCTIONS`, "negative", "?:" or "pwl". `arguments`: numbers or arrays of one shape. `points`:
    of a pwl, x and y (2, points).
    """
    if kind == "?:":
        condition, then, otherwise = arguments
        holds = condition != 0
        slopes = [0.0, xp.where(holds, 1.0, 0.0), xp.where(holds, 0.0, 1.0)]
        return xp.where(holds, then, otherwise), slopes
    if kind == "pwl":
        value, slope = _interpolate(xp, arguments[0], *points)
        return value, [slope]
    if kind == "negative":
        return -arguments[0], [-1.0]
    value, *partials = (INFIX.get(kind) or FUNCTIONS[kind][1])(xp, *arguments)
    return value, partials


def _interpolate(xp: Any, x: Array, xs: np.ndarray, ys: np.ndarray) -> tuple[Array, Array]:
    """Return the straight lines between points, and their slope; the outer ones go on."""
    slopes, starts, heights = (
        xp.asarray(column) for column in (np.diff(ys) / np.diff(xs), xs[:-1], ys[:-1])
    )
    line = xp.searchsorted(xp.asarray(xs[1:-1]), x, side="right")
    return heights[line] + slopes[line] * (x - starts[line]), slopes[line]


def _power(xp: Any, x: Array, y: Array) -> tuple[Array, ...]:
    """Return |x|^y and its slopes by x and y."""
    size = xp.abs(x)
    value = size**y
    safe = xp.where(size > 0, size, 1.0)
    return (
        value,
        xp.where(size > 0, y * safe ** (y - 1) * xp.sign(x), xp.where(xp.equal(y, 1), 1.0, 0.0)),
        value * xp.log(safe),
    )


def _signed_power(xp: Any, x: Array, y: Array) -> tuple[Array, ...]:
    """Return sgn(x) |x|^y and its slopes by x and y."""
    value, by_x, by_y = _power(xp, x, y)
    return xp.sign(x) * value, xp.sign(x) * by_x, xp.sign(x) * by_y


def _truth(xp: Any, holds: Array) -> tuple[Array, ...]:
    """Return 1 where a condition holds, else 0, and slopes of 0."""
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
    "asinh": (1, lambda xp, a: (xp.asinh(a), 1 / xp.sqrt(a**2 + 1))),
    "acosh": (1, lambda xp, a: (xp.acosh(a), 1 / xp.sqrt(a**2 - 1))),
    "atanh": (1, lambda xp, a: (xp.atanh(a), 1 / (1 - a**2))),
    "floor": (1, lambda xp, a: (xp.floor(a), 0.0)),
    "ceil": (1, lambda xp, a: (xp.ceil(a), 0.0)),
    "nint": (1, lambda xp, a: (xp.round(a), 0.0)),
    "u2": (1, lambda xp, a: (xp.clip(a, 0.0, 1.0), xp.where((a > 0) & (a < 1), 1.0, 0.0))),
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
