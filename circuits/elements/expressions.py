"""Expressions of node voltages and source currents, as in SPICE's B sources.

Their text, their value and their slopes. They mean what ngspice makes of them: x^y and pow(x, y)
are |x|^y and group from the left, log is ln, u(0) is ½, and pwl goes on along its first and last
line beyond its points.
"""

import abc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..units import Array, number
from .base import GROUND
from .functions import INFIX, apply
from .laws import namespace

Slopes = dict["Variable", Array]


class _Operand(abc.ABC):
    """What Python's `+ - * / **` make operations of, together with numbers.

    `**` is SPICE's ^, which takes |x| to a power.
    """

    __array_ufunc__ = None  # an array on the left is a constant, not a set of operands

    @abc.abstractmethod
    def __str__(self) -> str:
        """Return its text as SPICE writes it."""

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
class SpecialVariable(_Operand):
    """A quantity of the whole circuit, by a name of `SPECIAL`."""

    name: str

    def __str__(self):
        return self.name


SPECIAL = {
    "time": "the time in s, 0 at operating points",
    "temper": "the temperature in °C",
}
"""The special variables, by what each is."""


@dataclass(frozen=True)
class Operation(_Operand):
    """An operator or a function, and what it is applied to.

    **Arguments:** `kind`: a name of `FUNCTIONS` or `INFIX`, "negative", "?:" or "pwl".
    `arguments`: its operands; of a pwl its variable, and the x and y of its points in turn.
    """

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


Variable = Voltage | Current | SpecialVariable
Expression = Constant | Variable | Operation


def call(kind: str, *arguments: "Expression | Array") -> Expression:
    """Return the operation `kind` on expressions and numbers.

    Where all are numbers it is a `Constant`, as in the parser of decks.

    **Arguments:** `kind`, `arguments`: as of `Operation`; arrays become constants.
    """
    operands = tuple(
        a
        if isinstance(a, Constant | Voltage | Current | SpecialVariable | Operation)
        else Constant(a)
        for a in arguments
    )
    whole = Operation(kind, operands)
    return (
        Constant(evaluate(whole, {})[0])
        if all(isinstance(operand, Constant) for operand in operands)
        else whole
    )


def variables(expression: Expression) -> Iterator[Variable]:
    """Yield every variable in an expression, as often as it stands there."""
    stack = [expression]
    while stack:
        part = stack.pop()
        if isinstance(part, Voltage | Current | SpecialVariable):
            yield part
        elif isinstance(part, Operation):
            stack += reversed(part.arguments)


def renamed(expression: Expression, name: Callable[[Variable], Expression]) -> Expression:
    """Return an expression with another one in the place of each variable.

    **Arguments:** `name`: from each variable to what replaces it.
    """
    if isinstance(expression, Constant):
        return expression
    if isinstance(expression, Operation):
        return Operation(
            expression.kind, tuple(renamed(argument, name) for argument in expression.arguments)
        )
    return name(expression)


@dataclass(frozen=True)
class Program:
    """An expression as a list of instructions, each of results before it; the last is its value.

    An operation that stands in several places, as one object, is an instruction once. Programs are
    equal where expressions differ in their constants and in the names of their variables alone.
    """

    instructions: tuple[tuple[Any, ...], ...]
    """("constant", k), ("variable", k), or a kind of operation and the places of its arguments; a
    pwl has its points besides."""

    @classmethod
    def of(
        cls, expression: Expression
    ) -> tuple["Program", tuple[Array, ...], tuple[Variable, ...]]:
        """Return the program of an expression, its constants, and its variables in their order."""
        instructions: list[tuple[Any, ...]] = []
        constants: list[Array] = []
        variables: dict[Variable, int] = {}
        places: dict[int, int] = {}

        def place(part: Expression) -> int:
            if id(part) not in places:
                instructions.append(instruction(part))
                places[id(part)] = len(instructions) - 1
            return places[id(part)]

        def instruction(part: Expression) -> tuple[Any, ...]:
            if isinstance(part, Constant):
                constants.append(part.value)
                return "constant", len(constants) - 1
            if isinstance(part, Voltage | Current | SpecialVariable):
                return "variable", variables.setdefault(part, len(variables))
            if part.kind == "pwl":
                x, *numbers = part.arguments
                return "pwl", (place(x),), tuple(n.value for n in numbers)  # pyright: ignore
            return part.kind, tuple(place(argument) for argument in part.arguments)

        place(expression)
        return cls(tuple(instructions)), tuple(constants), tuple(variables)

    def run(
        self, constants: Sequence[Array], values: Sequence[Array]
    ) -> tuple[Array, dict[int, Array]]:
        """Return the value, and its slopes by those variables, by number, on which it depends.

        **Arguments:** `constants`, and the `values` of the variables: numbers or arrays that
        broadcast, NumPy's or JAX's.
        """
        results: list[tuple[Array, dict[int, Array]]] = []
        for kind, arguments, *points in self.instructions:
            if kind == "constant":
                results.append((constants[arguments], {}))
            elif kind == "variable":
                results.append((values[arguments], {arguments: 1.0}))
            else:
                results.append(_combined(kind, [results[k] for k in arguments], *points))
        return results[-1]


def _combined(
    kind: str, parts: Sequence[tuple[Array, dict[int, Array]]], points: tuple[float, ...] = ()
) -> tuple[Array, dict[int, Array]]:
    """Return an operation's value and slopes from those of its arguments: the chain rule."""
    arguments = [value for value, _ in parts]
    pairs = np.reshape(points, (-1, 2)).T
    value, partials = apply(namespace(*arguments), kind, arguments, pairs)
    slopes: dict[int, Array] = {}
    for (_, inner), partial in zip(parts, partials, strict=True):
        for variable, slope in inner.items():
            slopes[variable] = slopes.get(variable, 0.0) + partial * slope
    return value, slopes


def evaluate(expression: Expression, values: Mapping[Variable, Array]) -> tuple[Array, Slopes]:
    """Return the value of an expression, and its slope by each variable on which it depends.

    Elementwise over arrays of one shape, NumPy's or JAX's. At a kink the slope is that of one of
    its sides. An operation that stands in several places, as one object, is worked out once.
    """
    program, constants, names = Program.of(expression)
    value, slopes = program.run(constants, [values[name] for name in names])
    return value, {names[k]: slope for k, slope in slopes.items()}
