"""The logical lines of a deck: continuations joined, comments removed, characters with their places, commands refused."""

import bisect
import re
from dataclasses import dataclass

from ..netlist.netlist import NetlistError


class DeckError(NetlistError):
    """What is wrong with a deck, and where: `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int, file: str = ""):
        super().__init__(f"{file + ', ' if file else ''}line {line}, column {column}: {message}")
        self.line, self.column, self.file = line, column, file


@dataclass(frozen=True)
class Line:
    """One logical line. `parts` says where its text comes from: (offset, line, column) of each physical line's share."""

    text: str
    parts: tuple[tuple[int, int, int], ...]
    file: str

    @property
    def word(self) -> str:
        """The first word, in lower case."""
        return self.text.split(None, 1)[0].lower()

    def error(self, message: str, offset: int = 0) -> DeckError:
        """An error at a character of the line."""
        start, line, column = self.parts[
            max(bisect.bisect_right([part[0] for part in self.parts], offset) - 1, 0)
        ]
        return DeckError(message, line, column + offset - start, self.file)


@dataclass(frozen=True)
class Token:
    """A word of a line, or one of = ( ) and a comma, and its offset."""

    text: str
    offset: int


_TOKEN = re.compile(r"\{[^{}]*\}|'[^']*'|\"[^\"]*\"|[=(),]|[^\s=(),{}'\"]+|\S")
_COMMENT = re.compile(r";|(?:^|(?<=[\s,]))\$(?=\s|$)|//")
_COMMANDS = re.compile(r"\*(?:#|ng_script)|\.control|\.endc", re.IGNORECASE)
LONGEST = 100_000


def split(line: Line, start: int = 0) -> list[Token]:
    """The tokens of a line from an offset on."""
    return [Token(match.group(), match.start()) for match in _TOKEN.finditer(line.text, start)]


def logical_lines(text: str, file: str = "", first: int = 1) -> list[Line]:
    """The logical lines of `text`, whose first line has number `first`; empty ones and comments are left out.

    Raises `DeckError` for what ngspice would take for a command: comments that begin with `*#` or `*ng_script`, `.control` in any form,
    backticks; for control characters; and for a line without end (over 100,000 characters in one physical line).
    """
    found: list[tuple[list[str], list[tuple[int, int, int]]]] = []
    for number, physical in enumerate(text.split("\n"), first):
        raw = physical.rstrip("\r")
        if len(raw) > LONGEST:
            raise DeckError(
                f"a line may have {LONGEST} characters, but has {len(raw)}",
                number,
                LONGEST + 1,
                file,
            )
        refuse_commands(raw, number, file)
        if raw.lstrip().startswith("*"):
            continue
        comment = _COMMENT.search(raw)
        body = raw if comment is None else raw[: comment.start()]
        column = len(body) - len(body.lstrip())
        content = body.strip()
        if not content:
            continue
        strange = re.search(r"[^\x20-\x7e\t]", content)
        if strange:
            raise DeckError(
                f"there must be plain ASCII outside of comments, but is {strange.group()!r}",
                number,
                column + strange.start() + 1,
                file,
            )
        if content.startswith("+"):
            if not found:
                raise DeckError(
                    "a continuation (+) must follow a line, but is the first",
                    number,
                    column + 1,
                    file,
                )
            pieces, parts = found[-1]
            parts.append((sum(map(len, pieces)) + 1, number, column + 2))
            pieces.append(" " + content[1:])
        else:
            found.append(([content], [(0, number, column + 1)]))
    return [Line("".join(pieces), tuple(parts), file) for pieces, parts in found]


def refuse_commands(raw: str, number: int, file: str) -> None:
    """Raises `DeckError` where ngspice could take a physical line for a command of its own."""
    bare = raw.lstrip()
    command = _COMMANDS.match(bare)
    if command:
        raise DeckError(
            f"commands to a simulator are refused, but here is {command.group()!r}",
            number,
            len(raw) - len(bare) + 1,
            file,
        )
    if "`" in raw and not bare.startswith("*"):
        raise DeckError(
            "commands to a simulator are refused, but here is a backtick",
            number,
            raw.index("`") + 1,
            file,
        )
    control = re.search(r"[\x00-\x08\x0b-\x1f\x7f]", raw)
    if control:
        raise DeckError(
            f"there must be no control characters, but is {control.group()!r}",
            number,
            control.start() + 1,
            file,
        )
