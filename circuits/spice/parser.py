"""From a deck's text to a `Netlist`: parameters, models, subcircuits, trusted files, options and analyses."""

import contextlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..elements.base import GROUND, Element
from ..elements.diodes import DiodeModel
from ..elements.transistors import MosfetModel
from ..netlist.analyses import Analysis
from ..netlist.netlist import OPTIONS, Netlist
from ..units import GMIN, ROOM
from .cards import Card
from .control_lines import Analyses, settings
from .element_lines import elements
from .lexer import DeckError, Line, Token, logical_lines, refuse_commands, split
from .model_cards import model
from .parameters import Parameters, end_of, inside

LARGEST = 2_000_000
"""How many elements a deck may expand to."""
DEEPEST = 20
"""How deep subcircuits and files may nest."""


def read(path: str | Path, *, trusted: bool = False) -> Netlist:
    """The netlist in the deck at `path`; see `parse`. Raises `OSError` where the file cannot be read, besides."""
    path = Path(path)
    return parse(
        path.read_bytes().decode("utf-8", errors="replace"),
        trusted=trusted,
        folder=path.parent,
        file=path.name,
    )


def parse(
    text: str, *, trusted: bool = False, folder: str | Path | None = None, file: str = ""
) -> Netlist:
    """The netlist that the text of a SPICE deck describes.

    Understood are R, C, L, V, I (dc, ac, pulse, sin, pwl), E, F, G, H, B, D, M (level 1), X; `.model` (d, nmos, pmos), `.param`,
    `.subckt`, `.include`, `.lib`, `.global`, `.options`, `.temp`, `.ic`, `.op`, `.dc`, `.tran`, `.noise`, `.ac`, `.save`, `.print`,
    `.plot`, `.probe`.
    Subcircuits are expanded: `R1` of instance `Xa` becomes `Ra.1`, its inner node `n` becomes `xa.n`. The first line is the title;
    comments right under it are the header; other comments are dropped. Expressions mean what ngspice makes of them.
    `parse(n.spice()) == n`.

    **Arguments:** `trusted`: whether `.include` and `.lib` are followed, to files in `folder` or below it alone. `folder`: of the deck.
    `file`: its name, for messages.

    **Raises** `DeckError`, with line and column, for all that is not understood, and for what ngspice would run as a command. Nothing
    of the text is ever given to a simulator but through the elements that it describes. **Warns** of a title that reads as an element,
    as where a deck has none.
    """
    first, _, rest = text.replace("\r\n", "\n").partition("\n")
    refuse_commands(first, 1, file)
    deck = _Deck(trusted, None if folder is None else Path(folder), file)
    deck.collect(logical_lines(rest, file, 2), 0)
    deck.settings, deck.globals, deck.temperature = settings(deck.dots)
    scope = _Scope(deck.root, "", {})
    deck.expand(deck.body, scope, 0)
    deck.root.check()
    nodes = tuple(
        dict.fromkeys(node for one in deck.elements for node in one.nodes if node != GROUND)
    )
    analyses = Analyses(nodes, deck.names, lambda name: deck.node(name, scope)).read(
        [deck.card(line, scope) for line in deck.dots]
    )
    title = re.sub(r"^[^A-Za-z0-9]+|[^\x20-\x7e]|`", "", first).rstrip("\\ ").strip()
    if _is_element(first):
        warnings.warn(
            f"line 1 is the title of a deck, but reads as an element, which is left out: {first!r}",
            stacklevel=2,
        )
    return deck.netlist(title or "Deck", _header(rest), analyses)


def _is_element(line: str) -> bool:
    """Whether a line is an element that needs nothing else of its deck."""
    deck = _Deck(trusted=False, folder=None, file="")
    with contextlib.suppress(DeckError):
        deck.collect(logical_lines(line, "", 1), 0)
        deck.expand(deck.body, _Scope(deck.root, "", {}), 0)
    return bool(deck.elements)


def _header(rest: str) -> tuple[str, ...]:
    found = []
    for line in rest.split("\n"):
        if not line.startswith("*"):
            break
        content = re.sub(r"[^\x20-\x7e]|`", "", line[1:]).strip().lstrip("#").rstrip("\\").strip()
        if content:
            found.append(content)
    return tuple(found)


@dataclass
class _Subcircuit:
    """A `.subckt`: its ports, the tokens of its parameters' defaults, and the lines of its body."""

    line: Line
    ports: list[str]
    defaults: dict[str, tuple[Line, Token]]
    body: list[Line] = field(default_factory=list)


@dataclass
class _Scope:
    """What names mean in the deck or in one instance of a subcircuit: parameters, nodes and models."""

    parameters: "Parameters"
    prefix: str
    nodes: Mapping[str, str]
    models: Mapping[str, Any] = field(default_factory=dict)


class _Deck:
    """A deck being read."""

    def __init__(self, trusted: bool, folder: Path | None, file: str):
        self.trusted, self.folder, self.file = trusted, folder, file
        self.body: list[Line] = []
        self.dots: list[Line] = []
        self.subcircuits: dict[str, _Subcircuit] = {}
        self.root = Parameters()
        self.globals: set[str] = set()
        self.elements: list[Element] = []
        self.names: dict[str, str] = {}
        self.models: dict[str, Any] = {}
        self.settings: dict[str, str] = {}
        self.temperature = ROOM
        self.lines = 0

    # --- the lines of the deck and of the files it includes, sorted by what they are

    def collect(self, lines: list[Line], depth: int) -> None:
        """Sorts lines into elements, subcircuits, parameters and the rest."""
        inside: _Subcircuit | None = None
        for index, line in enumerate(lines):
            word = line.word
            if word == ".end":
                if index + 1 < len(lines):
                    raise lines[index + 1].error("nothing may follow .end")
            elif word == ".ends":
                if inside is None:
                    raise line.error(".ends must end a subcircuit, but none is open")
                inside = None
            elif inside is not None:
                if word in (".subckt", ".include", ".inc", ".lib"):
                    raise line.error(f"{word} is not supported within a subcircuit")
                inside.body.append(line)
            elif word == ".subckt":
                inside = self._open(line)
            else:
                self._sort(line, word, depth)
        if inside is not None:
            raise inside.line.error("this subcircuit must end with .ends")

    def _sort(self, line: Line, word: str, depth: int) -> None:
        if word in (".include", ".inc", ".lib"):
            self._include(line, depth)
        elif word == ".param":
            self._parameters(line, self.root)
        elif word.startswith(".") and word != ".model":
            self.dots.append(line)
        else:
            self.body.append(line)

    def _open(self, line: Line) -> _Subcircuit:
        tokens = split(line)[1:]
        if not tokens:
            raise line.error(".subckt must name a subcircuit", len(line.text) - 1)
        key = tokens[0].text.lower()
        if key in self.subcircuits:
            raise line.error(f"subcircuit {key!r} is defined twice", tokens[0].offset)
        ports, defaults, at = [], {}, 1
        while at < len(tokens):
            word = tokens[at].text
            if word.lower() == "params:":
                at += 1
            elif at + 1 < len(tokens) and tokens[at + 1].text == "=":
                if at + 2 >= len(tokens):
                    raise line.error("a value must follow '='", tokens[at + 1].offset)
                defaults[word.lower()] = (line, tokens[at + 2])
                at += 3
            else:
                ports.append(word.lower())
                at += 1
        if len(set(ports)) < len(ports) or set(ports) & {GROUND, "gnd"}:
            raise line.error(
                f"the ports of a subcircuit must differ and not be ground, but are {ports}"
            )
        self.subcircuits[key] = _Subcircuit(line, ports, defaults)
        return self.subcircuits[key]

    def _parameters(self, line: Line, into: Parameters) -> None:
        tokens = split(line)[1:]
        starts = [k for k, token in enumerate(tokens) if token.text == "="]
        if not starts or starts[0] != 1:
            raise line.error(".param must hold name=value pairs")
        for this, following in zip(starts, [*starts[1:], None], strict=True):
            last = len(tokens) if following is None else following - 1
            if last <= this + 1:
                raise line.error("a value must follow '='", tokens[this].offset)
            start, end = (
                inside(tokens[this + 1])
                if last == this + 2
                else (tokens[this + 1].offset, end_of(tokens[last - 1]))
            )
            into.define(tokens[this - 1], line, start, end, into)

    def _include(self, line: Line, depth: int) -> None:
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
        root = self.folder.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise line.error(
                f"a file must be in the deck's folder or below it, but {name!r} is not",
                tokens[1].offset,
            )
        try:
            text = path.read_bytes().decode("utf-8", errors="replace")
        except OSError as error:
            raise line.error(
                f"{name!r} cannot be read: {error.strerror}", tokens[1].offset
            ) from error
        self.lines += text.count("\n")
        if self.lines > LARGEST:
            raise line.error(f"a deck may have {LARGEST} lines with the files that it includes")
        lines = logical_lines(text.replace("\r\n", "\n"), name)
        self.collect(
            lines if word != ".lib" else _section(lines, tokens[2].text.lower(), line), depth + 1
        )

    # --- elements, with subcircuits expanded

    def expand(self, lines: list[Line], scope: _Scope, depth: int) -> None:
        """Appends the elements of `lines`, as they are named in `scope`."""
        scope.models = {**scope.models, **self._models(lines, scope)}
        sources = self._sources(lines, scope)
        for line in lines:
            letter = line.text[0].lower()
            if line.text.lower().startswith((".model", ".param")):
                continue
            if letter == ".":
                raise line.error(
                    f"{line.text.split(None, 1)[0]} is not supported within a subcircuit"
                )
            card = self.card(line, scope)
            if letter == "x":
                self._instance(card, scope, depth)
            else:
                for fresh in elements(card, scope.models, sources):
                    self._add(fresh, line)

    def card(self, line: Line, scope: _Scope) -> Card:
        """A line to be read in `scope`."""
        return Card(line, scope.parameters, lambda name: self.node(name, scope), scope.prefix)

    def node(self, name: str, scope: _Scope) -> str:
        """What a node of `scope` is called in the netlist."""
        name = name.lower()
        if name in (GROUND, "gnd") or name in self.globals:
            return GROUND if name == "gnd" else name
        if name in scope.nodes:
            return scope.nodes[name]
        return f"x{scope.prefix}{name}".lower() if scope.prefix else name

    def _models(self, lines: list[Line], scope: _Scope) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for line in lines:
            if line.word != ".model":
                continue
            key, made = model(self.card(line, scope), float(self.settings.get("gmin", repr(GMIN))))
            if key in found:
                raise line.error(f"model {key!r} is defined twice")
            found[key] = replace(made, law=self._unique(made.law))
        return found

    def _unique(self, law: DiodeModel | MosfetModel) -> DiodeModel | MosfetModel:
        """The model under a name that no other has: in several scopes one name may mean several."""
        base, count = law.name, 1
        while (other := self.models.setdefault(law.name.lower(), law)) != law:
            del other
            count += 1
            law = replace(law, name=f"{base}_{count}")
        return law

    def _sources(self, lines: list[Line], scope: _Scope) -> Callable[[str], str]:
        named = {line.word: line.text.split(None, 1)[0] for line in lines if line.text[0] in "vV"}

        def key(name: str) -> str:
            local = named.get(name.lower())
            return "V" + scope.prefix + (name if local is None else local)[1:]

        return key

    def _add(self, fresh: Element, line: Line) -> None:
        name = fresh.letter + fresh.name
        if name.lower() in self.names:
            raise line.error(f"element {name} stands twice")
        self.names[name.lower()] = name
        self.elements.append(fresh)
        if len(self.elements) > LARGEST:
            raise line.error(f"a deck may expand to {LARGEST} elements")

    def _instance(self, card: Card, scope: _Scope, depth: int) -> None:
        first, tokens = card.take("a name"), card.tokens[1:]
        equals = next((k for k, token in enumerate(tokens) if token.text == "="), None)
        words = tokens if equals is None else tokens[: equals - 1]
        given = [] if equals is None else tokens[equals - 1 :]
        words = [token for token in words if token.text.lower() != "params:"]
        if not words:
            raise card.error("an instance must name its nodes and its subcircuit", first)
        chosen = self.subcircuits.get(words[-1].text.lower())
        if chosen is None:
            raise card.error(
                f"{words[-1].text!r} must be a subcircuit that the deck defines", words[-1]
            )
        if len(words) - 1 != len(chosen.ports):
            raise card.error(
                f"{words[-1].text} has {len(chosen.ports)} ports, but is given {len(words) - 1} nodes",
                first,
            )
        if depth >= DEEPEST:
            raise card.error(f"subcircuits may nest {DEEPEST} deep", first)
        parameters = Parameters(self.root)
        values = dict(chosen.defaults)
        names = {name: Token(name, 0) for name in values}
        for k in range(0, len(given), 3):
            if (
                len(given) < k + 3
                or given[k + 1].text != "="
                or given[k].text.lower() not in values
            ):
                raise card.error(
                    f"parameters must be name=value pairs of {list(chosen.defaults)}", given[k]
                )
            values[given[k].text.lower()] = (card.line, given[k + 2])
        for name, (line, token) in values.items():
            parameters.define(
                names[name],
                line,
                *inside(token),
                scope.parameters if line is card.line else parameters,
            )
        for line in chosen.body:
            if line.text.lower().startswith(".param"):
                self._parameters(line, parameters)
        nodes = dict(
            zip(chosen.ports, (self.node(token.text, scope) for token in words[:-1]), strict=True)
        )
        self.lines += len(chosen.body) + 1
        if self.lines > LARGEST:
            raise card.error(f"a deck may expand to {LARGEST} lines", first)
        self.expand(
            chosen.body,
            _Scope(parameters, f"{scope.prefix}{first.text[1:]}.", nodes, scope.models),
            depth + 1,
        )

    def netlist(
        self, title: str, header: tuple[str, ...], analyses: tuple[Analysis, ...]
    ) -> Netlist:
        """What the deck says."""
        options = " ".join(f"{name}={value}" for name, value in self.settings.items()) or OPTIONS
        try:
            return Netlist(title, tuple(self.elements), header, analyses, options, self.temperature)
        except ValueError as error:
            raise DeckError(str(error), 1, 1, self.file) from error


def _section(lines: list[Line], name: str, by: Line) -> list[Line]:
    """The lines of a library's section, between `.lib` with its name and `.endl`."""
    found, inside, known = [], False, False
    for line in lines:
        if line.word == ".lib" and len(words := split(line)) == 2:
            inside = words[1].text.lower() == name
            known |= inside
        elif line.word == ".endl":
            inside = False
        elif inside:
            found.append(line)
    if not known:
        raise by.error(f"the library must have a section {name!r}")
    return found
