"""Numbers with SPICE's suffixes, and expressions: of parameters alone, or of voltages and currents too."""

import re
from collections.abc import Callable

import numpy as np

from ..elements.expressions import (
    Constant,
    Current,
    Expression,
    Operation,
    Voltage,
    evaluate,
)
from ..elements.functions import FUNCTIONS
from .lexer import DeckError, Line

_NUMBER = re.compile(
    r"((?:\d+\.?\d*|\.\d+))(?:e([+-]?\d{1,4}))?(meg|mil|[tgkmunpf])?[a-z]*", re.IGNORECASE
)
_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_LEVELS: list[tuple[str, ...]] = [
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
]
_POWERS = {"t": 12, "g": 9, "meg": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_ALIASES = {"log": "ln", "pow": "^"}
DEEPEST, BRACKETS = 100, 50
"""How deep an expression may nest in all, and how deep in brackets."""

Parameters = Callable[[str], float | None]
"""The value of a parameter by its name in lower case; `None` for one that is not defined."""


def number(text: str) -> float | None:
    """The value of `text` if all of it is a number, as 4.7k, 2.5meg, 10pF or -1e-3; `None` otherwise. More letters are units."""
    sign, body = (-1.0 if text[:1] == "-" else 1.0), text[1:] if text[:1] in ("+", "-") else text
    found = _NUMBER.fullmatch(body)
    return None if found is None else sign * _value(found)


def _value(found: re.Match[str]) -> float:
    mantissa, exponent, suffix = (
        found.group(1),
        int(found.group(2) or 0),
        (found.group(3) or "").lower(),
    )
    if suffix == "mil":
        return float(f"{mantissa}e{exponent}") * 25.4e-6
    return float(f"{mantissa}e{exponent + _POWERS.get(suffix, 0)}")


def expression(
    line: Line, start: int, end: int, parameters: Parameters, *, constant: bool
) -> Expression:
    """The expression in `line.text[start:end]`, with parameters put in; a `Constant` where no voltage or current is in it.

    Raises `DeckError` for what is no expression, an unknown name, one nested too deep, a value that is not finite, and, if `constant`,
    for voltages and currents.
    """
    reader = _Reader(line, start, end, parameters, constant)
    found = reader.ternary()
    if reader.rest():
        raise reader.error(f"an operator must follow here, but {reader.rest()[:20]!r} does")
    return found


class _Reader:
    """Recursive descent over the characters of an expression."""

    def __init__(self, line: Line, start: int, end: int, parameters: Parameters, constant: bool):
        self.line, self.at, self.end, self.parameters, self.constant = (
            line,
            start,
            end,
            parameters,
            constant,
        )
        self.depth = 0
        self.heights: dict[int, tuple[Operation, int]] = {}  # by identity, with what keeps it alive

    def error(self, message: str, at: int | None = None) -> DeckError:
        return self.line.error(
            message, min(self.at if at is None else at, max(len(self.line.text) - 1, 0))
        )

    def rest(self) -> str:
        while self.at < self.end and self.line.text[self.at].isspace():
            self.at += 1
        return self.line.text[self.at : self.end]

    def take(self, *symbols: str) -> str | None:
        rest = self.rest()
        for symbol in symbols:
            if rest.startswith(symbol):
                self.at += len(symbol)
                return symbol
        return None

    def need(self, symbol: str) -> None:
        if self.take(symbol) is None:
            raise self.error(
                f"{symbol!r} must follow here, but {self.rest()[:20] or 'the end of the expression'!r} does"
            )

    def made(self, kind: str, *arguments: Expression) -> Expression:
        """The operation, worked out where all its arguments are constants."""
        whole = Operation(kind, arguments)
        if not all(isinstance(argument, Constant) for argument in arguments):
            height = 1 + max(
                self.heights[id(a)][1] if id(a) in self.heights else 0 for a in arguments
            )
            if height > DEEPEST:
                raise self.error(
                    f"an expression may nest {DEEPEST} deep, but this one nests deeper"
                )
            self.heights[id(whole)] = (whole, height)
            return whole
        try:
            with np.errstate(all="ignore"):
                value = float(evaluate(whole, {})[0])
        except (ArithmeticError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise self.error(f"{whole} must have a finite value")
        return Constant(value)

    def ternary(self) -> Expression:
        self.depth += 1
        if self.depth > BRACKETS:
            raise self.error(f"brackets may nest {BRACKETS} deep, but these nest deeper")
        condition = self.infix(0)
        if self.take("?"):
            then = self.ternary()
            self.need(":")
            condition = self.made("?:", condition, then, self.ternary())
        self.depth -= 1
        return condition

    def infix(self, weakest: int) -> Expression:
        """Operations of `_LEVELS` from `weakest` on, by precedence climbing."""
        left = self.signed()
        while found := self.operator(weakest):
            symbol, level = found
            left = self.made(symbol, left, self.infix(level + 1))
        return left

    def operator(self, weakest: int) -> tuple[str, int] | None:
        for level in range(weakest, len(_LEVELS)):
            if symbol := self.take(*_LEVELS[level]):
                return symbol, level
        return None

    def signed(self) -> Expression:
        signs = []
        while sign := self.take("-", "+"):
            signs.append(sign)
        found = self.power()
        return self.made("negative", found) if signs.count("-") % 2 else found

    def power(self) -> Expression:
        """From the left, as ngspice does; an exponent may have a sign of its own."""
        left = self.operand()
        while self.take("**", "^"):
            negative = False
            while sign := self.take("-", "+"):
                negative ^= sign == "-"
            right = self.operand()
            left = self.made("^", left, self.made("negative", right) if negative else right)
        return left

    def operand(self) -> Expression:
        rest, start = self.rest(), self.at
        for opening, closing in (("(", ")"), ("{", "}")):
            if self.take(opening):
                inside = self.ternary()
                self.need(closing)
                return inside
        if found := _NUMBER.match(rest):
            self.at += found.end()
            return self.finite(_value(found), start)
        if found := _WORD.match(rest):
            self.at += found.end()
            return self.named(found.group().lower(), start)
        raise self.error(
            f"a number, a name or a bracket must stand here, but {rest[:20] or 'the end of the expression'!r} does"
        )

    def finite(self, value: float, at: int) -> Constant:
        if not np.isfinite(value):
            raise self.error("a number must be finite", at)
        return Constant(value)

    def named(self, name: str, start: int) -> Expression:
        if not self.rest().startswith("("):
            value = (
                {"pi": float(np.pi)}.get(name)
                if (known := self.parameters(name)) is None
                else known
            )
            if value is None:
                raise self.error(f"{name!r} is no parameter that the deck defines", start)
            return self.finite(value, start)
        if name in ("v", "i"):
            return self.variable(name, start)
        name = _ALIASES.get(name, name)
        self.take("(")
        arguments = [self.ternary()]
        while self.take(","):
            arguments.append(self.ternary())
        self.need(")")
        if name == "pwl":
            return self.table(arguments, start)
        count = 2 if name == "^" else FUNCTIONS[name][0] if name in FUNCTIONS else None
        if count is None or (name == "pwr" and self.constant):
            raise self.error(f"{name!r} is no function that is supported here", start)
        if len(arguments) != count:
            raise self.error(f"{name} must have {count} arguments, but has {len(arguments)}", start)
        return self.made(name, *arguments)

    def table(self, arguments: list[Expression], start: int) -> Expression:
        points = [argument.value for argument in arguments[1:] if isinstance(argument, Constant)]
        if (
            len(points) != len(arguments) - 1
            or len(points) < 4
            or len(points) % 2
            or np.any(np.diff(points[0::2]) <= 0)
        ):
            raise self.error(
                "pwl must have two or more points, numbers, with increasing first ones, after its argument",
                start,
            )
        return self.made("pwl", *arguments)

    def variable(self, name: str, start: int) -> Expression:
        if self.constant:
            raise self.error(
                "only numbers and parameters may stand here, no voltages and currents", start
            )
        self.take("(")
        close = self.line.text.find(")", self.at, self.end)
        if close < 0:
            raise self.error("')' must follow", start)
        names = [part.strip() for part in self.line.text[self.at : close].split(",")]
        self.at = close + 1
        if not all(names) or len(names) > (2 if name == "v" else 1):
            raise self.error(
                f"{name}(…) must name {'one node or two' if name == 'v' else 'one voltage source'}",
                start,
            )
        return Current(names[0]) if name == "i" else Voltage(*(part.lower() for part in names))
