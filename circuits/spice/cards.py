"""A line of a deck, read from left to right."""

from collections.abc import Callable, Mapping

import numpy as np

from .arithmetic import Parameters, expression, number
from .lexer import Line, Token, split


class Card:
    """A line read from left to right, in the scope of an instance: its parameters, and what nodes and elements are called outside."""

    def __init__(self, line: Line, parameters: Parameters, node: Callable[[str], str], prefix: str):
        self.line, self.parameters, self._node, self.prefix = line, parameters, node, prefix
        self.tokens = split(line)
        self.at = 0

    def error(self, message: str, token: Token | None = None) -> Exception:
        """An error at a token, at the next one if not given."""
        if token is None:
            token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return self.line.error(message, token.offset)

    def more(self) -> bool:
        """Whether there are tokens left."""
        return self.at < len(self.tokens)

    def peek(self) -> str:
        """The next token in lower case, empty at the end."""
        return self.tokens[self.at].text.lower() if self.more() else ""

    def take(self, what: str) -> Token:
        """The next token, an error that asks for `what` at the end."""
        if not self.more():
            raise self.line.error(f"{what} must follow here", len(self.line.text) - 1)
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Takes the next token if it is one of `words`."""
        if self.peek() in words:
            self.at += 1
            return True
        return False

    def node(self) -> str:
        """The next token as a node."""
        token = self.take("a node")
        if token.text in "=(),":
            raise self.error(f"a node must stand here, but {token.text!r} does", token)
        return self._node(token.text)

    def voltage(self) -> str:
        """The next tokens, v(node), as the node."""
        if not (self.accept("v") and self.accept("(")):
            raise self.error("v(node) must stand here")
        node = self.node()
        if not self.accept(")"):
            raise self.error("')' must follow")
        return node

    def nodes(self, count: int) -> list[str]:
        """The next tokens as nodes."""
        return [self.node() for _ in range(count)]

    def value(self, what: str) -> float:
        """The next token as a number: itself, or an expression of parameters in braces or quotes."""
        token = self.take(what)
        found = number(token.text)
        if found is None and token.text[0] in "{'":
            inside = expression(
                self.line,
                token.offset + 1,
                token.offset + len(token.text) - 1,
                self.parameters,
                constant=True,
            )
            return inside.value  # type: ignore[union-attr]  # a constant, as asked for
        if found is None:
            raise self.error(
                f"{what} must stand here, a number or an expression in braces, but {token.text!r} does",
                token,
            )
        if not np.isfinite(found):
            raise self.error(f"{what} must be finite, but is {token.text}", token)
        return found

    def assignments(self, known: Mapping[str, float | None]) -> dict[str, float]:
        """The rest of the card as `name=value` pairs, of names in `known` alone: those with a number may only have that value."""
        found: dict[str, float] = {}
        while self.more():
            if self.accept(","):
                continue
            token = self.take("a name")
            name = token.text.lower()
            if name not in known or not self.accept("="):
                raise self.error(
                    f"{token.text!r} is not supported here; what is: {', '.join(known) or 'nothing more'}",
                    token,
                )
            value = self.value(f"the value of {name}")
            only = known[name]
            if only is not None and value != only:
                raise self.error(f"{name} is supported as {only} alone, but is {value}", token)
            if name in found:
                raise self.error(f"{name} stands twice", token)
            found[name] = value
        return found

    def end(self) -> None:
        """Raises an error where something is left."""
        if self.more():
            raise self.error(f"the line must end here, but {self.tokens[self.at].text!r} follows")
