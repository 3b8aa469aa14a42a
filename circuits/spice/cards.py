"""A line of a deck, read from left to right."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..units import GMIN, ROOM
from .arithmetic import Parameters, expression
from .grammar import Number
from .lexer import DeckError, Line, Token, split
from .numbers import number


@dataclass
class Setting:
    """What a deck says of all its elements, and what is to be said of it.

    `gmin`: the conductance across junctions in S. `kelvin`: the temperature, and `nominal`, that
    at which parameters are stated, in K. `step`, `stop`: of its transient in s, if it has one.
    `charged`: of capacitors that start charged their two nodes and the voltage in V; `currents`:
    those in A with which inductors start, by SPICE name: where a transient uses them (uic).
    `thermal`: the elements whose values have been worked out at the temperature of the deck.
    `notes`: what is read in another way than it is written, or left out.
    """

    gmin: float = GMIN
    kelvin: float = ROOM
    nominal: float = ROOM
    step: float | None = None
    stop: float | None = None
    charged: list[tuple[str, str, float]] = field(default_factory=list)
    currents: dict[str, float] = field(default_factory=dict)
    thermal: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Card:
    """A line read from left to right, in the scope of an instance.

    **Arguments:**

    - `line`: the line.
    - `parameters`: of the scope.
    - `node`: gives the netlist's name of a node of the scope.
    - `prefix`: what the names of elements begin with.
    - `setting`: what the deck says of all its elements.
    """

    def __init__(
        self,
        line: Line,
        parameters: Parameters,
        node: Callable[[str], str],
        prefix: str,
        setting: Setting,
    ):
        self.line, self.parameters, self.node_of, self.prefix = line, parameters, node, prefix
        self.setting = setting
        self.tokens = split(line)
        self.at = 0

    def error(self, message: str, token: Token | None = None) -> DeckError:
        """Return an error at a token, at the next one if not given."""
        if token is None:
            token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return self.line.error(message, token.offset)

    def note(self, message: str) -> None:
        """Note something to be said of the line, which is no error."""
        self.setting.notes.append(self.line.note(message))

    def more(self) -> bool:
        """Tell whether there are tokens left."""
        return self.at < len(self.tokens)

    def peek(self) -> str:
        """Return the next token in lower case, empty at the end."""
        return self.tokens[self.at].text.lower() if self.more() else ""

    def take(self, what: str) -> Token:
        """Take the next token; at the end raise an error that asks for `what`."""
        if not self.more():
            raise self.line.error(f"{what} must follow here", len(self.line.text) - 1)
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Take the next token if it is one of `words`, and tell whether it is."""
        if self.peek() in words:
            self.at += 1
            return True
        return False

    def node(self) -> str:
        """Take the next token as a node, and return the netlist's name of it."""
        token = self.take("a node")
        if token.text in "=(),":
            raise self.error(f"a node must stand here, but {token.text!r} does", token)
        return self.node_of(token.text)

    def voltage(self) -> str:
        """Take the next tokens, v(node), and return the node."""
        if not (self.accept("v") and self.accept("(")):
            raise self.error("v(node) must stand here")
        node = self.node()
        if not self.accept(")"):
            raise self.error("')' must follow")
        return node

    def nodes(self, count: int) -> list[str]:
        """Take the next tokens as nodes."""
        return [self.node() for _ in range(count)]

    def value(self, what: str) -> float:
        """Take the next token as a number: itself, a parameter, or an expression in braces.

        **Arguments:** `what`: the value's name, for messages. **Raises** `DeckError` for what is no
        number, or not finite.
        """
        token = self.take(what)
        value = number(token.text)
        if value is None:
            value = self.parameters(token.text.lower())
        if value is None and token.text[0] in "{'":
            start, end = token.offset + 1, token.offset + len(token.text) - 1
            constant = expression(self.line, start, end, self.parameters, constant=True)
            return constant.value  # type: ignore[union-attr]  # a constant, as asked for
        if value is None:
            raise self.error(
                f"{what} must stand here, a number or an expression in braces, "
                f"but {token.text!r} does",
                token,
            )
        if not math.isfinite(value):
            raise self.error(f"{what} must be finite, but is {token.text}", token)
        return value

    def has_value(self) -> bool:
        """Tell whether the next token is a number, a parameter or an expression."""
        text = self.peek()
        if text[:1] in ("{", "'"):
            return True
        return number(text) is not None or self.parameters(text) is not None

    def assignments(self, known: Mapping[str, Number]) -> dict[str, float]:
        """Take the rest of the card as `name=value` pairs.

        **Arguments:** `known`: the pairs that may stand there. **Returns** the values by name in
        lower case, without those of what only informs.
        """
        values: dict[str, float] = {}
        while self.more():
            if self.accept(","):
                continue
            token = self.take("a name")
            name = token.text.lower()
            if name not in known or not self.accept("="):
                supported = ", ".join(one for one, number in known.items() if number.meaning)
                raise self.error(
                    f"{token.text!r} is not supported here; what is: {supported or 'nothing more'}",
                    token,
                )
            if not known[name].meaning:
                self.take("a value")
                continue
            value = self.value(f"the value of {name}")
            only = known[name].only
            if only is not None and value != only:
                raise self.error(f"{name} is supported as {only} alone, but is {value}", token)
            if name in values:
                raise self.error(f"{name} stands twice", token)
            values[name] = value
        return values

    def end(self) -> None:
        """Raise an error where something is left."""
        if self.more():
            raise self.error(f"the line must end here, but {self.tokens[self.at].text!r} follows")
