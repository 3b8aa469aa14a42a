"""The logical lines of a deck: continuations joined, comments removed, commands refused."""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..netlist.netlist import NetlistError
from .limits import LONGEST, LONGEST_LOGICAL


class DeckError(NetlistError):
    """What is wrong with a deck, and where: `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int, file: str = ""):
        super().__init__(f"{file + ', ' if file else ''}line {line}, column {column}: {message}")
        self.line, self.column, self.file = line, column, file


@dataclass(frozen=True)
class Line:
    """One logical line: its `text`, where that comes from, and the `file` it is in.

    `parts` holds (offset, line, column) of each physical line's share of the text.
    """

    text: str
    parts: tuple[tuple[int, int, int], ...]
    file: str

    @property
    def word(self) -> str:
        """The first word, in lower case."""
        return self.text.split(None, 1)[0].lower()

    def note(self, message: str) -> str:
        """Return what is to be said of the line, which is no error, with its place."""
        return f"{self.file + ', ' if self.file else ''}line {self.parts[0][1]}: {message}"

    def error(self, message: str, offset: int = 0) -> DeckError:
        """Return an error at a character of the line."""
        starts = [part[0] for part in self.parts]
        start, line, column = self.parts[max(bisect.bisect_right(starts, offset) - 1, 0)]
        return DeckError(message, line, column + offset - start, self.file)


@dataclass(frozen=True)
class PlainRun:
    """Consecutive lines each of which is a resistor between two nodes with a number, and no more.

    `rows` holds each one's name without its letter, nodes and number as they are written, `texts`
    the lines themselves, of which the first has number `first`.
    """

    rows: Sequence[tuple[str, str, str, str]]
    texts: Sequence[str]
    first: int
    file: str

    def lines(self) -> list[Line]:
        """Return the same as logical lines."""
        logical = []
        for number, text in enumerate(self.texts, self.first):
            content = text.strip()
            logical.append(Line(content, ((0, number, text.index(content) + 1),), self.file))
        return logical


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a line, or one of = ( ) and a comma, and its offset."""

    text: str
    offset: int


_TOKEN = re.compile(r"\{[^{}]*\}|'[^']*'|\"[^\"]*\"|[=(),]|[^\s=(),{}'\"]+|\S")
_COMMENT = re.compile(r";|(?:^|(?<=[\s,]))\$|//")
_COMMANDS = re.compile(r"\*(?:#|ng_script)|\.control|\.endc", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_STRANGE = re.compile(r"[^\x20-\x7e\t]")

_WORD, _BLANKS = r"[A-Za-z0-9_.!:%+\-\[\]]{0,200}", r"[ \t]{1,200}"
_PLAIN = re.compile(
    rf"^[ \t]{{0,200}}[rR]([A-Za-z0-9_]{_WORD}){_BLANKS}"
    rf"([A-Za-z0-9_+\-]{_WORD}){_BLANKS}([A-Za-z0-9_+\-]{_WORD}){_BLANKS}"
    r"([+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?[A-Za-z]{0,20})"
    r"[ \t]{0,200}$|^.*$",
    re.MULTILINE,
)
"""Any physical line, with four groups where it is a resistor that hides nothing: no comment, no
expression, no character that is special."""


def split(line: Line, start: int = 0) -> list[Token]:
    """Return the tokens of a line from an offset on."""
    return [Token(match.group(), match.start()) for match in _TOKEN.finditer(line.text, start)]


def logical_lines(text: str, file: str = "", first: int = 1) -> list[Line | PlainRun]:
    """Return the logical lines of a text, without empty ones and comments.

    **Arguments:**

    - `text`: of a deck or a part of it.
    - `file`: its name, for messages.
    - `first`: the number of its first line.

    **Returns** the lines in their order; resistors that follow each other and hold no more than two
    nodes and a number stand together as a `PlainRun`.

    **Raises** `DeckError` for what ngspice would take for a command: comments that begin with `*#`
    or `*ng_script`, `.control` in any form, backticks; for control characters; for characters other
    than ASCII outside of comments; and for lines without end: over 100,000 characters in one, over
    2,000,000 in one with its continuations.
    """
    texts = text.split("\n")
    rows = _PLAIN.findall(text)
    logical = _Lines(file)
    start = 0
    for place in [*(k for k, row in enumerate(rows) if not row[0]), len(texts)]:
        if place > start:
            logical.add_plain(rows[start:place], texts[start:place], first + start)
        if place < len(texts):
            logical.add(texts[place], first + place)
        start = place + 1
    return logical.finished()


class _Lines:
    """Logical lines as they are put together from physical ones."""

    def __init__(self, file: str):
        self.file = file
        self.done: list[Line | PlainRun] = []
        self.pieces: list[str] = []  # of the line that may still be continued
        self.parts: list[tuple[int, int, int]] = []
        self.length = 0

    def add_plain(self, rows: list, texts: list[str], first: int) -> None:
        """Add resistors that hide nothing; the last of them may still be continued."""
        self.close()
        if len(rows) > 1:
            self.done.append(PlainRun(rows[:-1], texts[:-1], first, self.file))
        self.add(texts[-1], first + len(texts) - 1)

    def add(self, physical: str, number: int) -> None:
        """Add a physical line of any kind."""
        raw = physical.rstrip("\r")
        if len(raw) > LONGEST:
            message = f"a line may have {LONGEST} characters, but has {len(raw)}"
            raise DeckError(message, number, LONGEST + 1, self.file)
        refuse_commands(raw, number, self.file)
        if raw.lstrip().startswith("*"):
            return
        comment = _COMMENT.search(raw)
        body = raw if comment is None else raw[: comment.start()]
        column = len(body) - len(body.lstrip())
        content = body.strip()
        if not content:
            return
        strange = _STRANGE.search(content)
        if strange:
            message = f"there must be plain ASCII outside of comments, but is {strange.group()!r}"
            raise DeckError(message, number, column + strange.start() + 1, self.file)

        if not content.startswith("+"):
            self.close()
            self.pieces, self.parts = [content], [(0, number, column + 1)]
            self.length = len(content)
            return
        if not self.pieces:
            message = "a continuation (+) must follow a line, but is the first"
            raise DeckError(message, number, column + 1, self.file)
        self.parts.append((self.length + 1, number, column + 2))
        self.pieces.append(" " + content[1:])
        self.length += len(content)
        if self.length > LONGEST_LOGICAL:
            message = f"a line with its continuations may have {LONGEST_LOGICAL} characters"
            raise DeckError(message, number, column + 1, self.file)

    def close(self) -> None:
        """End the line that could be continued."""
        if self.pieces:
            self.done.append(Line("".join(self.pieces), tuple(self.parts), self.file))
            self.pieces = []

    def finished(self) -> list[Line | PlainRun]:
        """Return all lines."""
        self.close()
        return self.done


def refuse_commands(raw: str, number: int, file: str) -> None:
    """Raise `DeckError` where ngspice could take a physical line for a command of its own."""
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
    control = _CONTROL.search(raw)
    if control:
        raise DeckError(
            f"there must be no control characters, but is {control.group()!r}",
            number,
            control.start() + 1,
            file,
        )
