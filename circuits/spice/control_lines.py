"""The dot lines of a deck that set its options, and those that ask for analyses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..elements.base import GROUND
from ..netlist.analyses import Analysis, DcSweep, Noise, OperatingPoint, SmallSignal, Transient
from ..units import ROOM
from .arithmetic import number
from .cards import Card
from .lexer import DeckError, Line, Token, split

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

_SETTING = (".global", ".options", ".option", ".temp")
_KEEPING = (".save", ".print", ".plot", ".probe")
_ANALYSES = (".op", ".dc", ".tran", ".noise", ".ac")
_PLAIN = re.compile(r"\d+(\.\d+)?(e-?\d+)?")
_SAVED = re.compile(r"([vi])\(([^()]*)\)|(\S+)#branch|(\S+)", re.IGNORECASE)


def settings(lines: list[Line]) -> tuple[dict[str, str], set[str], float]:
    """The options that the lines set, as they are written, the nodes that they make global, and the temperature in K."""
    found: dict[str, str] = {}
    nodes: set[str] = set()
    temperatures = [ROOM]
    for line in lines:
        word, tokens = line.word, split(line)[1:]
        if word == ".global":
            nodes |= {token.text.lower() for token in tokens}
        elif word == ".temp":
            if len(tokens) != 1:
                raise line.error(".temp must give one temperature")
            temperatures.append(_kelvin(line, tokens[0]))
        elif word in _SETTING:
            found |= _options(line, tokens, temperatures)
        elif word not in (*_KEEPING, *_ANALYSES, ".ic"):
            raise line.error(f"{word} is not supported")
    return found, nodes, temperatures[-1]


def _options(line: Line, tokens: list[Token], temperatures: list[float]) -> dict[str, str]:
    """What a line of options sets; a temperature is appended to `temperatures`."""
    found = {}
    for at in range(0, len(tokens), 3):
        name = tokens[at].text.lower()
        value = (
            number(tokens[at + 2].text)
            if at + 2 < len(tokens) and tokens[at + 1].text == "="
            else None
        )
        if name not in SETTINGS or value is None or not np.isfinite(value):
            known = ", ".join(SETTINGS)
            raise line.error(
                f"{tokens[at].text!r} is not supported as an option; what is: {known}, each = a number",
                tokens[at].offset,
            )
        if name == "temp":
            temperatures.append(_kelvin(line, tokens[at + 2]))
        elif name == "tnom":
            if value != ROOM - 273.15:
                raise line.error(
                    f"tnom is supported as {ROOM - 273.15:g} alone, but is {value:g}",
                    tokens[at].offset,
                )
        else:
            found[name] = (
                tokens[at + 2].text if _PLAIN.fullmatch(tokens[at + 2].text) else repr(value)
            )
    return found


def _kelvin(line: Line, token: Token) -> float:
    value = number(token.text)
    if value is None or not -273.15 < value < np.inf:
        raise line.error(
            f"a temperature must be a number of degrees Celsius above -273.15, but is {token.text!r}",
            token.offset,
        )
    return value + 273.15


@dataclass
class Analyses:
    """What a deck asks for: `names` are its elements' SPICE names by those in lower case, `node` gives a node's name."""

    nodes: tuple[str, ...]
    names: Mapping[str, str]
    node: Callable[[str], str]
    kept: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    start: dict[str, float] = field(default_factory=dict)

    def read(self, cards: list[Card]) -> tuple[Analysis, ...]:
        """The analyses, each for the nodes that are saved, all of them if none is."""
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
        nodes, branches = (
            tuple(dict.fromkeys(self.kept)) or self.nodes,
            tuple(dict.fromkeys(self.branches)),
        )
        return tuple(self._analysis(card, nodes, branches) for card in asked)

    def _keep(self, card: Card) -> None:
        card.accept("op", "dc", "tran", "ac", "noise")
        for match in _SAVED.finditer(
            card.line.text, card.tokens[card.at].offset if card.more() else len(card.line.text)
        ):
            kind, names, branch, other = match.groups()
            if other is not None and other.lower() != "all":
                raise card.line.error(
                    f"v(node), i(source) or all may be saved, but here is {other!r}", match.start()
                )
            if kind is not None and kind.lower() == "v":
                self.kept += [
                    node for name in names.split(",") if (node := self.node(name.strip())) != GROUND
                ]
            elif other is None:
                name = (branch or names).strip()
                self.branches.append(self.names.get(name.lower(), name))

    def _initial(self, card: Card) -> None:
        while card.more():
            node = card.voltage()
            if not card.accept("="):
                raise card.error("v(node)=value must stand here")
            self.start[node] = card.value("a voltage")

    def _analysis(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        makers = {
            ".op": self._point,
            ".dc": self._sweep,
            ".tran": self._transient,
            ".noise": self._noise,
            ".ac": self._small_signal,
        }
        try:
            made = makers[card.line.word](card, nodes, branches)
            card.end()
        except ValueError as error:
            if isinstance(error, DeckError):
                raise
            raise card.line.error(str(error)) from error
        return made

    def _source(self, card: Card) -> str:
        name = card.take("a source").text
        return self.names.get(name.lower(), name)

    def _point(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        del card
        return OperatingPoint(nodes, branches)

    def _sweep(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        source = self._source(card)
        return DcSweep(
            nodes,
            source,
            card.value("a first value"),
            card.value("a last value"),
            card.value("a step"),
            branches,
        )

    def _transient(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        step, stop = card.value("a step"), card.value("an end")
        if card.more() and card.peek() != "uic" and card.value("a start of saving") != 0:
            raise card.error(
                "a start of saving other than 0 is not supported", card.tokens[card.at - 1]
            )
        longest = (
            card.value("a longest step")
            if card.more() and card.peek() != "uic"
            else min(step, stop / 50)
        )
        return Transient(
            nodes, longest, stop, tuple(self.start.items()), card.accept("uic"), branches
        )

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
    if not card.accept("dec"):
        raise card.error("dec must stand here: points a decade")
    points = card.value("points a decade")
    if points != int(points) or points > 1e6:
        raise card.error(
            f"the points a decade must be a whole number up to a million, but are {points}",
            card.tokens[card.at - 1],
        )
    return int(points), card.value("a lowest frequency"), card.value("a highest frequency")
