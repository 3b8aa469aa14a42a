"""Expressions of parameters, voltages and currents."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..elements.expressions import (
    SPECIAL,
    Constant,
    Current,
    Expression,
    Operation,
    SpecialVariable,
    Voltage,
    evaluate,
)
from ..elements.functions import FUNCTIONS
from .lexer import DeckError, Line
from .numbers import NUMBER, value_of

_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_LEVELS: list[tuple[str, ...]] = [
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
]
_PLAIN_NUMBERS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_END = "the end of the expression"
_ALIASES = {"log": "ln", "pow": "^", "if": "?:", "ternary_fcn": "?:", "arctan": "atan"}
_COUNTS = {name: count for name, (count, _) in FUNCTIONS.items()} | {
    "log": 1,
    "pow": 2,
    "if": 3,
    "ternary_fcn": 3,
    "limit": 3,
    "sqr": 1,
    "int": 1,
    "arctan": 1,
}
"""How many arguments functions take, by all their names."""
DEEPEST, BRACKETS = 100, 50
"""How deep an expression may nest in all, and how deep in brackets."""

MOST_CALLS = 10_000
"""How many calls of a deck's own functions an expression may expand to."""


@dataclass(frozen=True)
class Function:
    """A function that a deck defines: its `arguments`, and the place of its body in a line."""

    arguments: tuple[str, ...]
    line: Line
    start: int
    end: int


class Parameters(Protocol):
    """What names mean in an expression, by lower case; `None` for what is not defined."""

    def __call__(self, name: str) -> float | None:
        """Return the value of a parameter."""
        ...

    def function(self, name: str) -> Function | None:
        """Return a function of the deck's own."""
        ...


def expression(
    line: Line, start: int, end: int, parameters: Parameters, *, constant: bool
) -> Expression:
    """Return the expression in a part of a line, with parameters put in.

    **Arguments:**

    - `line`, `start`, `end`: the expression is `line.text[start:end]`.
    - `parameters`: gives the value of a parameter by its name in lower case.
    - `constant`: whether only numbers and parameters may stand in it.

    **Returns** a `Constant` where no voltage or current is in it.

    **Raises** `DeckError` for what is no expression, an unknown name, one nested too deep, a value
    that is not finite, and, if `constant`, for voltages and currents.
    """
    reader = _Reader(line, start, end, parameters, constant)
    try:
        whole = reader.ternary()
    except RecursionError:
        raise line.error("an expression and its parameters nest too deep", start) from None
    if reader.rest():
        raise reader.error(f"an operator must follow here, but {reader.rest()!r} does")
    return whole


def _constant(whole: Operation) -> float:
    """Return the value of an operation on constants, NaN where it has none."""
    try:
        if kind := _PLAIN_NUMBERS.get(whole.kind):  # the same, without arrays
            left, right = (argument.value for argument in whole.arguments)  # type: ignore[union-attr]
            return kind(left, right)
        with np.errstate(all="ignore"):
            return float(evaluate(whole, {})[0])
    except (ArithmeticError, ValueError):
        return np.nan


class _Reader:
    """Recursive descent over the characters of an expression."""

    def __init__(self, line: Line, start: int, end: int, parameters: Parameters, constant: bool):
        self.line, self.text, self.at, self.end = line, line.text, start, end
        self.parameters, self.constant = parameters, constant
        self.depth = self.calls = 0
        self.bound: Mapping[str, Expression] = {}  # the arguments of a function, in its body
        self.heights: dict[int, tuple[Operation, int]] = {}  # by identity, with what keeps it alive

    def error(self, message: str, at: int | None = None) -> DeckError:
        """Return an error at a character, the next one if not given."""
        return self.line.error(
            message, min(self.at if at is None else at, max(len(self.text) - 1, 0))
        )

    def skip(self) -> int:
        """Go to the next character that is no blank, and return its offset."""
        while self.at < self.end and self.text[self.at].isspace():
            self.at += 1
        return self.at

    def rest(self) -> str:
        """Return the beginning of what is left, for messages; empty at the end."""
        start = self.skip()
        return self.text[start : min(start + 20, self.end)]

    def take(self, *symbols: str) -> str | None:
        """Take the first of `symbols` that stands here."""
        start = self.skip()
        for symbol in symbols:
            if self.text.startswith(symbol, start, self.end):
                self.at = start + len(symbol)
                return symbol
        return None

    def need(self, symbol: str) -> None:
        """Take a symbol; raise an error where it does not stand here."""
        if self.take(symbol) is None:
            raise self.error(f"{symbol!r} must follow here, but {self.rest() or _END!r} does")

    def operation(self, kind: str, *arguments: Expression) -> Expression:
        """Return the operation, worked out where all its arguments are constants."""
        whole = Operation(kind, arguments)
        if not all(isinstance(argument, Constant) for argument in arguments):
            known = (self.heights.get(id(argument)) for argument in arguments)
            height = 1 + max(0 if one is None else one[1] for one in known)
            if height > DEEPEST:
                raise self.error(
                    f"an expression may nest {DEEPEST} deep, but this one nests deeper"
                )
            self.heights[id(whole)] = (whole, height)
            return whole
        value = _constant(whole)
        if not np.isfinite(value):
            raise self.error(f"{str(whole)[:200]} must have a finite value")
        return Constant(value)

    def ternary(self) -> Expression:
        """Read an expression of any kind."""
        self.depth += 1
        if self.depth > BRACKETS:
            raise self.error(f"brackets may nest {BRACKETS} deep, but these nest deeper")
        condition = self.infix(0)
        if self.take("?"):
            then = self.ternary()
            self.need(":")
            condition = self.operation("?:", condition, then, self.ternary())
        self.depth -= 1
        return condition

    def infix(self, weakest: int) -> Expression:
        """Read operations of `_LEVELS` from `weakest` on, by precedence climbing."""
        left = self.signed()
        while operation := self.operator(weakest):
            symbol, level = operation
            left = self.operation(symbol, left, self.infix(level + 1))
        return left

    def operator(self, weakest: int) -> tuple[str, int] | None:
        """Take an operator of `_LEVELS` from `weakest` on."""
        for level in range(weakest, len(_LEVELS)):
            if symbol := self.take(*_LEVELS[level]):
                return symbol, level
        return None

    def signed(self) -> Expression:
        """Read a power, and the signs and negations before it."""
        if self.take("!"):
            return self.operation("?:", self.signed(), Constant(0.0), Constant(1.0))
        negative = self.negative()
        power = self.signed() if self.rest().startswith("!") else self.power()
        return self.operation("negative", power) if negative else power

    def negative(self) -> bool:
        """Take signs, and return whether they are a minus together."""
        negative = False
        while sign := self.take("-", "+"):
            negative ^= sign == "-"
        return negative

    def power(self) -> Expression:
        """Read powers from the left, as ngspice does; an exponent may have a sign of its own."""
        left = self.operand()
        while self.take("**", "^"):
            negative = self.negative()
            right = self.operand()
            left = self.operation(
                "^", left, self.operation("negative", right) if negative else right
            )
        return left

    def operand(self) -> Expression:
        """Read a bracket, a number, a parameter, a function, a voltage or a current."""
        start = self.skip()
        for opening, closing in (("(", ")"), ("{", "}")):
            if self.take(opening):
                inside = self.ternary()
                self.need(closing)
                return inside
        if match := NUMBER.match(self.text, start, self.end):
            self.at = match.end()
            return self.finite(value_of(match, braces=self.constant), start)
        if match := _WORD.match(self.text, start, self.end):
            self.at = match.end()
            return self.named(match.group().lower(), start)
        raise self.error(
            f"a number, a name or a bracket must stand here, but {self.rest() or _END!r} does"
        )

    def finite(self, value: float, at: int) -> Constant:
        """Return a number, or raise an error where it is not finite."""
        if not np.isfinite(value):
            raise self.error("a number must be finite", at)
        return Constant(value)

    def named(self, name: str, start: int) -> Expression:
        """Read what a name means: a parameter, or with a bracket a function or a variable."""
        if not self.text.startswith("(", self.skip(), self.end):
            return self.word(name, start)
        if name in ("v", "i"):
            return self.variable(name, start)
        self.take("(")
        arguments = [self.ternary()]
        while self.take(","):
            arguments.append(self.ternary())
        self.need(")")

        definition = self.parameters.function(name)
        if definition is None and name == "pwl":
            return self.table(arguments, start)
        if definition is None and (name not in _COUNTS or (name == "pwr" and self.constant)):
            raise self.error(f"{name!r} is no function that is supported here", start)
        count = len(definition.arguments) if definition else _COUNTS[name]
        if len(arguments) != count:
            raise self.error(f"{name} must have {count} arguments, but has {len(arguments)}", start)
        return (
            self.call(definition, arguments, start)
            if definition
            else self.function(name, arguments, start)
        )

    def word(self, name: str, start: int) -> Expression:
        """Return an argument of the function that is read, or a parameter."""
        if name in self.bound:
            return self.bound[name]
        value = self.parameters(name)
        if value is None and name in SPECIAL and not self.constant:
            return SpecialVariable(name)
        if value is None and name == "hertz":
            raise self.error("'hertz' is not supported: nothing may depend on the frequency", start)
        if value is None and name == "pi":
            value = float(np.pi)
        if value is None:
            raise self.error(f"{name!r} is no parameter that the deck defines", start)
        return self.finite(value, start)

    def function(self, name: str, arguments: list[Expression], start: int) -> Expression:
        """Return a function of SPICE's own."""
        if name == "pow" and self.constant:
            return self.power_of_numbers(arguments, start)
        if name == "limit":
            value, *ends = arguments
            lower = self.operation("min", value, self.operation("max", *ends))
            return self.operation("max", lower, self.operation("min", *ends))
        if name == "sqr":
            return self.operation("*", *arguments, *arguments)
        if name == "int":
            size = self.operation("floor", self.operation("abs", *arguments))
            return self.operation("*", self.operation("sgn", *arguments), size)
        return self.operation(_ALIASES.get(name, name), *arguments)

    def call(self, definition: Function, arguments: list[Expression], start: int) -> Expression:
        """Return the body of a function of the deck's own, with arguments put in."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise self.error(f"an expression may call {MOST_CALLS} functions of the deck", start)
        inner = _Reader(
            definition.line, definition.start, definition.end, self.parameters, self.constant
        )
        inner.calls, inner.heights, inner.depth = self.calls, self.heights, self.depth
        inner.bound = dict(zip(definition.arguments, arguments, strict=True))
        whole = inner.ternary()
        if inner.rest():
            raise inner.error(f"an operator must follow here, but {inner.rest()!r} does")
        self.calls = inner.calls
        return whole

    def power_of_numbers(self, arguments: list[Expression], start: int) -> Expression:
        """Return pow(x, y) of numbers, which keeps the sign of x as C does; x ^ y does not."""
        base, exponent = (argument.value for argument in arguments)  # type: ignore[union-attr]
        try:
            value = base**exponent
        except ArithmeticError:
            value = np.nan
        if isinstance(value, complex) or not np.isfinite(value):
            raise self.error(f"pow({base}, {exponent}) must have a finite value", start)
        return Constant(value)

    def table(self, arguments: list[Expression], start: int) -> Expression:
        """Return straight lines between points, which must be numbers and increase."""
        points = [argument.value for argument in arguments[1:] if isinstance(argument, Constant)]
        if (
            len(points) != len(arguments) - 1
            or len(points) < 4
            or len(points) % 2
            or np.any(np.diff(points[0::2]) <= 0)
        ):
            raise self.error(
                "pwl must have two or more points, numbers, with increasing first ones, "
                "after its argument",
                start,
            )
        return self.operation("pwl", *arguments)

    def variable(self, name: str, start: int) -> Expression:
        """Read the nodes of a voltage, or the source of a current."""
        if self.constant:
            raise self.error(
                "only numbers and parameters may stand here, no voltages and currents", start
            )
        self.take("(")
        close = self.text.find(")", self.at, self.end)
        if close < 0:
            raise self.error("')' must follow", start)
        names = [part.strip() for part in self.text[self.at : close].split(",")]
        self.at = close + 1
        if not all(names) or len(names) > (2 if name == "v" else 1):
            raise self.error(
                f"{name}(…) must name {'one node or two' if name == 'v' else 'one voltage source'}",
                start,
            )
        return Current(names[0]) if name == "i" else Voltage(*(part.lower() for part in names))
