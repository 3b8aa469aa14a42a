"""Parameters of a deck, worked out when they are asked for."""

import re

from .arithmetic import Function, expression
from .lexer import Line, Token, split

DEEPEST = 50
"""How many parameters may stand behind one another."""


class Parameters:
    """Parameters, worked out when they are asked for; those of an enclosing scope stand behind."""

    def __init__(self, outer: "Parameters | None" = None):
        self.outer = outer
        self.texts: dict[str, tuple[Line, int, int, Parameters]] = {}
        self.values: dict[str, float] = {}
        self.open: set[str] = set()
        self.functions: dict[str, Function] = {}

    def define(self, name: Token, line: Line, start: int, end: int, scope: "Parameters") -> None:
        """Let `name` mean what `line.text[start:end]` says in `scope`."""
        key = check_parameter(name, line)
        if key in self.texts:
            raise line.error(f"parameter {key!r} is defined twice", name.offset)
        self.texts[key] = (line, start, end, scope)

    def __call__(self, name: str) -> float | None:
        """Return the value of a parameter by its name in lower case, `None` if there is none."""
        if name in self.values:
            return self.values[name]
        if name not in self.texts:
            return None if self.outer is None else self.outer(name)
        line, start, end, scope = self.texts[name]
        if name in self.open or len(self.open) > DEEPEST:
            raise line.error(
                f"parameter {name!r} depends on itself, or through too many others", start
            )
        self.open.add(name)
        value = expression(line, start, end, scope, constant=True).value  # type: ignore[union-attr]  # a constant, as asked for
        self.open.discard(name)
        self.values[name] = value
        return value

    def function(self, name: str) -> Function | None:
        """Return a function by its name in lower case, `None` if there is none."""
        if name in self.functions:
            return self.functions[name]
        return None if self.outer is None else self.outer.function(name)

    def check(self) -> None:
        """Work out all of them, so that an error in one that nothing uses is found too."""
        for name in self.texts:
            self(name)


def check_parameter(name: Token, line: Line) -> str:
    """Return a parameter's name in lower case; raise an error where it can be none."""
    key = name.text.lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", key):
        raise line.error(
            f"a parameter's name must be letters, digits and _, but is {name.text!r}", name.offset
        )
    return key


def define_parameters(line: Line, into: Parameters) -> None:
    """Define the parameters of a `.param` line: `name=value` pairs."""
    tokens = split(line)[1:]
    starts = [k for k, token in enumerate(tokens) if token.text == "="]
    if not starts or starts[0] != 1:
        raise line.error(".param must hold name=value pairs")
    for this, following in zip(starts, [*starts[1:], None], strict=True):
        last = len(tokens) if following is None else following - 1
        if last <= this + 1:
            raise line.error("a value must follow '='", tokens[this].offset)
        if last == this + 2:
            start, end = inside(tokens[this + 1])
        else:  # several words, as in a = b + 1
            start, end = tokens[this + 1].offset, end_of(tokens[last - 1])
        into.define(tokens[this - 1], line, start, end, into)


_FUNCTION = re.compile(r"\.func\s+([a-z_]\w*)\s*\(([\w\s,]*)\)\s*=?\s*", re.IGNORECASE)


def define_function(line: Line, into: Parameters) -> None:
    """Define the function of a `.func` line: `name(arguments) {body}`."""
    head = _FUNCTION.match(line.text)
    if head is None:
        raise line.error(".func must hold name(arguments) {expression}")
    name, listed = head.group(1).lower(), head.group(2).lower().replace(",", " ").split()
    if name in into.functions or name in ("v", "i"):
        raise line.error(f"function {name!r} is defined twice")
    start, end = head.end(), len(line.text)
    if line.text[start : start + 1] in ("{", "'"):
        start, end = start + 1, end - 1
    if start >= end:
        raise line.error(".func must hold name(arguments) {expression}")
    into.functions[name] = Function(tuple(listed), line, start, end)


def inside(token: Token) -> tuple[int, int]:
    """Return where the expression of a value begins and ends: without its braces or quotes."""
    braced = token.text[0] in "{'" and len(token.text) > 1
    return (token.offset + 1, end_of(token) - 1) if braced else (token.offset, end_of(token))


def end_of(token: Token) -> int:
    """Return the offset after a token."""
    return token.offset + len(token.text)
