"""Parameters of a deck, worked out when they are asked for."""

import re

from .arithmetic import expression
from .lexer import Line, Token


class Parameters:
    """Parameters, worked out when they are asked for; those of an enclosing scope stand behind."""

    def __init__(self, outer: "Parameters | None" = None):
        self.outer = outer
        self.texts: dict[str, tuple[Line, int, int, Parameters]] = {}
        self.values: dict[str, float] = {}
        self.open: set[str] = set()

    def define(self, name: Token, line: Line, start: int, end: int, scope: "Parameters") -> None:
        """`name` is what `line.text[start:end]` says in `scope`."""
        key = name.text.lower()
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", key):
            raise line.error(
                f"a parameter's name must be letters, digits and _, but is {name.text!r}",
                name.offset,
            )
        if key in self.texts:
            raise line.error(f"parameter {key!r} is defined twice", name.offset)
        self.texts[key] = (line, start, end, scope)

    def __call__(self, name: str) -> float | None:
        if name in self.values:
            return self.values[name]
        if name not in self.texts:
            return None if self.outer is None else self.outer(name)
        line, start, end, scope = self.texts[name]
        if name in self.open or len(self.open) > 50:
            raise line.error(
                f"parameter {name!r} depends on itself, or through too many others", start
            )
        self.open.add(name)
        value = expression(line, start, end, scope, constant=True).value  # type: ignore[union-attr]  # a constant, as asked for
        self.open.discard(name)
        self.values[name] = value
        return value

    def check(self) -> None:
        """Works out all of them, so that an error in one that nothing uses is found too."""
        for name in self.texts:
            self(name)


def inside(token: Token) -> tuple[int, int]:
    """Where the expression of a value is: without its braces or quotes."""
    braced = token.text[0] in "{'" and len(token.text) > 1
    return (token.offset + 1, end_of(token) - 1) if braced else (token.offset, end_of(token))


def end_of(token: Token) -> int:
    """The offset after a token."""
    return token.offset + len(token.text)
