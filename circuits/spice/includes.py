"""The lines of a deck and of the files that it includes, sorted by what they are."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from eqprop.files import OutsideError, read_below

from .lexer import Line, PlainRun, Token, logical_lines, split
from .limits import DEEPEST, MOST_BYTES, Budget
from .parameters import Parameters, check_parameter, define_function, define_parameters

CONDITIONS = (".if", ".elseif", ".else", ".endif")
"""The lines that say which of others count."""
FILES = (".include", ".inc", ".lib")
"""The lines that name a file."""


@dataclass
class Subcircuit:
    """A `.subckt`: its line, its ports, the tokens of its parameters' defaults, and its body.

    `inner` are the subcircuits that are defined in it, which it alone sees.
    """

    line: Line
    ports: list[str]
    defaults: dict[str, tuple[Line, Token]]
    body: list[Line] = field(default_factory=list)
    inner: "dict[str, Subcircuit]" = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """Its name, in lower case."""
        return split(self.line)[1].text.lower()

    @cached_property
    def characters(self) -> int:
        """How many characters an instance reads."""
        return len(self.line.text) + sum(len(line.text) for line in self.body)


class DeckLines:
    """A deck as lines: `body` of elements and models, `dots`, `subcircuits`, and `parameters`.

    **Arguments:**

    - `budget`: what the deck may cost.
    - `folder`: of the deck, in which or below which files are included; `None` to follow none.
    - `trusted`: whether files are included.
    """

    def __init__(self, budget: Budget, folder: Path | None, *, trusted: bool):
        self.budget, self.folder, self.trusted = budget, folder, trusted
        self.body: list[Line | PlainRun] = []
        self.dots: list[Line] = []
        self.subcircuits: dict[str, Subcircuit] = {}
        self.parameters = Parameters()
        self.notes: list[str] = []

    def collect(
        self, lines: list[Line | PlainRun], depth: int = 0, beside: Path | None = None
    ) -> None:
        """Sort lines into elements, subcircuits, parameters and the rest.

        **Arguments:** `lines`: in their order. `depth`: how many files include this one. `beside`:
        the folder of the file, where it is included.

        **Raises** `DeckError` for a subcircuit that does not end, and for files that may not be
        included or cannot be read.
        """
        open_ones: list[Subcircuit] = []
        conditions = [0]  # how many .if are open, in the deck and in each open subcircuit
        for index, line in enumerate(lines):
            word = "" if isinstance(line, PlainRun) else line.word
            if word == ".end" and index + 1 < len(lines):
                raise _first(lines[index + 1]).error("nothing may follow .end")
            if word == ".ends":
                if not open_ones:
                    raise _first(line).error(".ends must end a subcircuit, but none is open")
                open_ones.pop()
                conditions.pop()
            elif word == ".subckt" and isinstance(line, Line):
                _refuse_conditional(line, conditions[-1])
                if len(open_ones) >= DEEPEST:
                    raise line.error(f"subcircuits may nest {DEEPEST} deep")
                into = open_ones[-1].inner if open_ones else self.subcircuits
                open_ones.append(_subcircuit(line, into))
                conditions.append(0)
            elif open_ones and word != ".end":
                conditions[-1] += (word == ".if") - (word == ".endif")
                _refuse_conditional(line, conditions[-1])
                _add_to_body(open_ones[-1], line)
            elif word in CONDITIONS or (conditions[-1] and word != ".end"):
                conditions[-1] += (word == ".if") - (word == ".endif")
                _refuse_conditional(line, conditions[-1])
                self.body.append(line)
            elif isinstance(line, PlainRun):
                self.body.append(line)
            elif word != ".end":
                self._sort(line, word, depth, beside)
        if open_ones:
            raise open_ones[-1].line.error("this subcircuit must end with .ends")

    def _sort(self, line: Line, word: str, depth: int, beside: Path | None) -> None:
        """Sort a line that is in no subcircuit."""
        if word in FILES:
            self._include(line, depth, beside)
        elif word == ".param":
            define_parameters(line, self.parameters)
        elif word == ".func":
            define_function(line, self.parameters)
        elif word.startswith(".") and word != ".model":
            self.dots.append(line)
        else:
            self.body.append(line)

    def _include(self, line: Line, depth: int, beside: Path | None) -> None:
        """Collect the lines of a file, or of a section of a library.

        It lies beside the file that includes it, or else where the deck does.
        """
        tokens = split(line)
        word = tokens[0].text.lower()
        if not self.trusted:
            raise line.error(f"{word} is followed in trusted decks alone (trusted=True)")
        if self.folder is None:
            raise line.error(f"{word} needs the deck's folder (folder=…)")
        if len(tokens) < 2 or depth >= DEEPEST:
            raise line.error(f"{word} must name a file, nested {DEEPEST} deep at most")
        if word == ".lib" and len(tokens) != 3:
            raise line.error(".lib must name a file and a section")
        name = tokens[1].text.strip("\"'")
        text, path = self._text(line, name, tokens[1].offset, beside)
        self.budget.spend(text.count("\n"), 0, line.error)
        lines = logical_lines(text.replace("\r\n", "\n"), name)
        if word == ".lib":
            lines = _section(lines, tokens[2].text.lower(), line)
        self.collect(lines, depth + 1, path.parent)

    def _text(self, line: Line, name: str, offset: int, beside: Path | None) -> tuple[str, Path]:
        """Return the text of a file in the deck's folder or below it, and its path."""
        if self.folder is None:
            raise line.error("a file needs the deck's folder (folder=…)")
        root = self.folder.resolve()
        path = (root / name).resolve()
        near = path if beside is None else (beside / name).resolve()
        if near.is_relative_to(root) and near.is_file():
            path = near
        try:
            content = read_below(root, str(path), most=MOST_BYTES)
            return content.decode("utf-8", errors="replace"), path
        except OutsideError as error:
            raise line.error(
                f"a file must be in the deck's folder or below it, but {name!r} is not", offset
            ) from error
        except OSError as error:
            message = f"{name!r} cannot be read: {error.strerror or error}"
            raise line.error(message, offset) from error


def _subcircuit(line: Line, known: dict[str, Subcircuit]) -> Subcircuit:
    """Begin the subcircuit of a `.subckt` line, and note it in `known`."""
    tokens = split(line)[1:]
    if not tokens:
        raise line.error(".subckt must name a subcircuit", len(line.text) - 1)
    key = tokens[0].text.lower()
    if key in known:
        raise line.error(f"subcircuit {key!r} is defined twice", tokens[0].offset)

    ports, defaults, at = [], {}, 1
    while at < len(tokens):
        word = tokens[at].text
        if word.lower() == "params:":
            at += 1
        elif at + 1 < len(tokens) and tokens[at + 1].text == "=":
            if at + 2 >= len(tokens):
                raise line.error("a value must follow '='", tokens[at + 1].offset)
            defaults[check_parameter(tokens[at], line)] = (line, tokens[at + 2])
            at += 3
        else:
            ports.append(word.lower())
            at += 1
    if len(set(ports)) < len(ports):
        raise line.error(f"the ports of a subcircuit must differ, but are {ports[:20]}")
    known[key] = Subcircuit(line, ports, defaults)
    return known[key]


def _add_to_body(subcircuit: Subcircuit, line: Line | PlainRun) -> None:
    """Add a line, or several, to the body of a subcircuit."""
    if isinstance(line, PlainRun):
        subcircuit.body += line.lines()
        return
    if line.word in FILES:
        raise line.error(f"{line.word} is not supported within a subcircuit")
    subcircuit.body.append(line)


def _refuse_conditional(line: Line | PlainRun, conditions: int) -> None:
    """Raise `DeckError` for a line that may not stand where so many `.if` are open."""
    word = "" if isinstance(line, PlainRun) else line.word
    if conditions and word.startswith(".") and word not in (*CONDITIONS, ".model"):
        raise _first(line).error(
            f"{word} is not supported between .if and .endif: only elements and models are"
        )


def _first(line: Line | PlainRun) -> Line:
    """Return a line, the first of several."""
    return line.lines()[0] if isinstance(line, PlainRun) else line


def _section(lines: list[Line | PlainRun], name: str, by: Line) -> list[Line | PlainRun]:
    """Return the lines of a library's section, between `.lib` with its name and `.endl`."""
    section: list[Line | PlainRun] = []
    inside = known = False
    for line in lines:
        word = "" if isinstance(line, PlainRun) else line.word
        if isinstance(line, Line) and word == ".lib" and len(words := split(line)) == 2:
            inside = words[1].text.lower() == name
            known |= inside
        elif word == ".endl":
            inside = False
        elif inside:
            section.append(line)
    if not known:
        raise by.error(f"the library must have a section {name!r}")
    return section
