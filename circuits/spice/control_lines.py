"""The dot lines of a deck that set its options, and those that ask for analyses."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..elements.base import GROUND
from ..netlist.analyses import Analysis, DcSweep, Noise, OperatingPoint, SmallSignal, Transient
from .arithmetic import number
from .cards import Card, Setting
from .lexer import DeckError, Line, Token, split
from .limits import MOST_ANALYSES, MOST_POINTS, MOST_STEPS

SETTINGS = (
    "gmin",
    "reltol",
    "vntol",
    "abstol",
    "chgtol",
    "trtol",
    "itl1",
    "itl2",
    "itl4",
    "itl6",
    "pivtol",
    "pivrel",
    "temp",
    "tnom",
)
"""The options that a deck may set, numbers all."""

OPTIONS_WITHOUT_EFFECT = (
    *("acct", "autostop", "brief", "cptime", "csdf", "hypertext", "ingold", "interp"),
    *("itl3", "itl5", "keepopinfo", "klu", "limpts", "limtim", "list", "maxord"),
    *("maxwarns", "method", "noacct", "node", "nomod", "noopac", "noopiter", "nopage"),
    *("noprint", "numdgt", "oldlimit", "opts", "post", "probe", "savecurrents", "seed"),
    *("seedinfo", "sparse", "trytocompact", "unwrap", "warn", "width"),
)
"""Options that change no voltage, or only how exactly a transient is integrated."""

_OPTIONS = (".options", ".option", ".opt", ".opts")
_WITHOUT_EFFECT = (".meas", ".measure", ".four", ".width", ".title", ".csparam", ".nodeset")
_KEEPING = (".save", ".print", ".plot", ".probe")
_ANALYSES = (".op", ".dc", ".tran", ".noise", ".ac")
_PLAIN = re.compile(r"\d+(\.\d+)?(e-?\d+)?")
_SAVED = re.compile(
    r"([vi])(?:m|p|r|i|db)?\(([^()]*)\)|(\S+)#branch|(\{[^{}]*\}|'[^']*'|\S+)", re.IGNORECASE
)


def settings(lines: Sequence[Line]) -> tuple[dict[str, str], set[str], Setting]:
    """Return what dot lines set.

    **Arguments:** `lines`: all dot lines of a deck.

    **Returns** the options as they are written, by name; the nodes that are global; and what holds
    for all elements: temperatures, of which the last that is given counts, and notes about lines
    that are left out.

    **Raises** `DeckError` for a line of another kind and for an option that is not supported.
    """
    options: dict[str, str] = {}
    global_nodes: set[str] = set()
    setting = Setting()
    for line in lines:
        word = line.word
        if word == ".global":
            global_nodes |= {token.text.lower() for token in split(line)[1:]}
        elif word == ".temp":
            tokens = split(line)[1:]
            if len(tokens) != 1:
                raise line.error(".temp must give one temperature")
            setting.kelvin = _kelvin(line, tokens[0])
        elif word in _OPTIONS:
            options |= _options(line, split(line)[1:], setting)
        elif word in _WITHOUT_EFFECT:
            setting.notes.append(line.note(f"{word} is left out: it changes no voltage"))
        elif word not in (*_KEEPING, *_ANALYSES, ".ic"):
            raise line.error(f"{word} is not supported")
    setting.gmin = float(options.get("gmin", setting.gmin))
    return options, global_nodes, setting


def _options(line: Line, tokens: list[Token], setting: Setting) -> dict[str, str]:
    """Return the options of a line but temperatures, which go to `setting`."""
    options, at = {}, 0
    while at < len(tokens):
        first, name = tokens[at], tokens[at].text.lower()
        given = at + 1 < len(tokens) and tokens[at + 1].text == "="
        last = tokens[at + 2] if given and at + 2 < len(tokens) else None
        value = None if last is None else number(last.text)
        at += 3 if given else 1
        if name in OPTIONS_WITHOUT_EFFECT:
            setting.notes.append(line.note(f"option {name} is left out: it changes no voltage"))
        elif name not in SETTINGS or last is None or value is None or not math.isfinite(value):
            raise line.error(
                f"{first.text!r} is not supported as an option; what is: "
                f"{', '.join(SETTINGS)}, each = a number",
                first.offset,
            )
        elif name == "temp":
            setting.kelvin = _kelvin(line, last)
        elif name == "tnom":
            setting.nominal = _kelvin(line, last)
        else:
            options[name] = last.text if _PLAIN.fullmatch(last.text) else repr(value)
    return options


def _kelvin(line: Line, token: Token) -> float:
    """Return a temperature of a deck, in degrees Celsius there, in K."""
    value = number(token.text)
    if value is None or not -273.15 < value < math.inf:
        raise line.error(
            "a temperature must be a number of degrees Celsius above -273.15, "
            f"but is {token.text!r}",
            token.offset,
        )
    return value + 273.15


@dataclass
class Analyses:
    """The analyses that a deck asks for, as its dot lines are read.

    **Arguments:**

    - `nodes`: all nodes of the netlist.
    - `names`: its elements' SPICE names by those in lower case.
    - `node`: gives the netlist's name of a node.
    """

    nodes: tuple[str, ...]
    names: Mapping[str, str]
    node: Callable[[str], str]
    kept: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    start: dict[str, float] = field(default_factory=dict)

    def read(self, cards: Sequence[Card]) -> tuple[Analysis, ...]:
        """Return the analyses, each for the nodes that are saved, all of them if none is.

        **Arguments:** `cards`: all dot lines. **Raises** `DeckError` for what is not understood,
        and for more analyses or points than a deck may have.
        """
        asked = []
        for card in cards:
            word = card.line.word
            card.take("a dot line")
            if word in _KEEPING:
                self._keep(card)
            elif word == ".ic":
                self._initial(card)
            elif word in _ANALYSES:
                asked.append(card)
                if len(asked) > MOST_ANALYSES:
                    raise card.line.error(f"a deck may ask for {MOST_ANALYSES} analyses")
        nodes = tuple(dict.fromkeys(self.kept)) or self.nodes
        branches = tuple(dict.fromkeys(self.branches))
        return tuple(self._analysis(card, nodes, branches) for card in asked)

    def _keep(self, card: Card) -> None:
        """Note the voltages and currents that a line saves or prints."""
        card.accept("op", "dc", "tran", "ac", "noise")
        start = card.tokens[card.at].offset if card.more() else len(card.line.text)
        for match in _SAVED.finditer(card.line.text, start):
            kind, names, branch, other = match.groups()
            if other is not None:
                if other.lower() not in ("all", "allv", "alli", ","):
                    card.note(f"{other[:200]} is not printed: only v(node) and i(source) are")
            elif kind is not None and kind.lower() == "v":
                nodes = (self.node(name.strip()) for name in names.split(","))
                self.kept += [node for node in nodes if node != GROUND]
            else:
                name = (branch or names).strip()
                if name[:1].lower() in "vehlb":
                    self.branches.append(self.names.get(name.lower(), name))
                else:
                    card.note(f"i({name[:200]}) is not printed: only v(node) and i(source) are")

    def _initial(self, card: Card) -> None:
        """Note the voltages from which a transient starts."""
        while card.more():
            node = card.voltage()
            if not card.accept("="):
                raise card.error("v(node)=value must stand here")
            self.start[node] = card.value("a voltage")

    def _analysis(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        """Return the analysis of a line."""
        makers = {
            ".op": self._point,
            ".dc": self._sweep,
            ".tran": self._transient,
            ".noise": self._noise,
            ".ac": self._small_signal,
        }
        try:
            analysis = makers[card.line.word](card, nodes, branches)
            card.end()
        except ValueError as error:
            if isinstance(error, DeckError):
                raise
            raise card.line.error(str(error)) from error
        return analysis

    def _source(self, card: Card) -> str:
        """Take an independent source, and return its name."""
        token = card.take("a source")
        name = self.names.get(token.text.lower(), "")
        if name[:1] not in ("V", "I"):
            raise card.error(
                f"an independent source of the deck must stand here, but {token.text!r} does", token
            )
        return name

    def _point(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        del card
        return OperatingPoint(nodes, branches)

    def _sweep(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        source = self._source(card)
        first, last = card.value("a first value"), card.value("a last value")
        step = card.value("a step")
        if step and not abs((last - first) / step) < MOST_POINTS:
            raise card.line.error(
                f"a sweep may have {MOST_POINTS} points, but {first} to {last} by {step} has more"
            )
        return DcSweep(nodes, source, first, last, step, branches)

    def _transient(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        step, stop = card.value("a step"), card.value("an end")
        if card.more() and card.peek() != "uic" and card.value("a start of saving") != 0:
            card.note("all is saved, from 0 s on, not only what follows the start of saving")
        longest = (
            card.value("a longest step")
            if card.more() and card.peek() != "uic"
            else min(step, stop / 50)
        )
        if longest > 0 and not stop / longest <= MOST_STEPS:
            raise card.line.error(
                f"a transient may take {MOST_STEPS} steps, but {stop} s in {longest} s are more"
            )
        from_start = card.accept("uic")
        start = self.start | (card.setting.start if from_start else {})
        return Transient(nodes, longest, stop, tuple(start.items()), from_start, branches)

    def _noise(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        del nodes, branches
        node, source = card.voltage(), self._source(card)
        points, lowest, highest = _decades(card)
        return Noise((node,), source, lowest, highest, points)

    def _small_signal(
        self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
    ) -> Analysis:
        points, lowest, highest = _decades(card)
        return SmallSignal(nodes, lowest, highest, points, branches)


def _decades(card: Card) -> tuple[int, float, float]:
    """Return the points a decade, the lowest and the highest frequency in Hz."""
    if not card.accept("dec"):
        raise card.error("dec must stand here: points a decade")
    points = card.value("points a decade")
    if points != int(points) or points > 1e6:
        raise card.error(
            f"the points a decade must be a whole number up to a million, but are {points}",
            card.tokens[card.at - 1],
        )
    lowest, highest = card.value("a lowest frequency"), card.value("a highest frequency")
    if 0 < lowest < highest and points * math.log10(highest / lowest) > MOST_POINTS:
        raise card.line.error(
            f"an analysis may have {MOST_POINTS} frequencies, but {points} a decade "
            f"from {lowest} to {highest} Hz are more"
        )
    return int(points), lowest, highest
