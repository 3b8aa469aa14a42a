"""The dot lines of a deck that ask for analyses, and those that say what is kept of them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..elements.base import GROUND
from ..netlist.analyses import (
    SPACINGS,
    TEMPERATURE,
    Analysis,
    DcSweep,
    Noise,
    OperatingPoint,
    SmallSignal,
    Transient,
)
from .cards import Card
from .grammar import Kind
from .lexer import DeckError
from .limits import MOST_ANALYSES, MOST_POINTS, MOST_STEPS

_SAVED = re.compile(
    r"([vi])(?:m|p|r|i|db)?\(([^()]*)\)|(\S+)#branch|(@\S+\[\w+\])|(\{[^{}]*\}|'[^']*'|\S+)",
    re.IGNORECASE,
)
_EVERYTHING = ("all", "allv", "alli", ",")


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
            if word in (".save", ".print", ".plot", ".probe"):
                self._keep(card)
            elif word == ".ic":
                self._initial(card)
            elif word in ANALYSES:
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
            kind, names, branch, output, other = match.groups()
            if output is not None:
                continue  # of an element: it is in every result
            if other is not None:
                if other.lower() not in _EVERYTHING:
                    card.note(f"{other[:200]} is not printed: only v(node) and i(source) are")
            elif kind is not None and kind.lower() == "v":
                nodes = (self.node(name.strip()) for name in names.split(","))
                self.kept += [node for node in nodes if node != GROUND]
            else:
                name = (branch or names).strip()
                if name[:1].lower() in "vehlb":
                    self.branches.append(self.names.get(name.lower(), name))

    def _initial(self, card: Card) -> None:
        """Note the voltages from which a transient starts."""
        while card.more():
            node = card.voltage()
            if not card.accept("="):
                raise card.error("v(node)=value must stand here")
            self.start[node] = card.value("a voltage")
            card.accept(",")

    def _analysis(self, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]) -> Analysis:
        """Return the analysis of a line."""
        try:
            analysis = ANALYSES[card.line.word].read(self, card, nodes, branches)
            card.end()
        except ValueError as error:
            if isinstance(error, DeckError):
                raise
            raise card.line.error(str(error)) from error
        return analysis

    def source(self, card: Card, *others: str) -> str:
        """Take an independent source, or an element of `others`, letters, and return its name."""
        token = card.take("a source")
        name = self.names.get(token.text.lower(), "")
        if name[:1] not in ("V", "I", *others) or name == "":
            what = "an independent source" if not others else "an independent source or a resistor"
            raise card.error(f"{what} of the deck must stand here, but {token.text!r} does", token)
        return name

    def swept(self, card: Card) -> str:
        """Take what a sweep changes: a source, a resistor or the temperature."""
        thermal = card.setting.thermal
        if card.peek() == TEMPERATURE:
            if thermal:
                raise card.error(
                    f"a sweep of the temperature is not supported where elements have temperature "
                    f"coefficients, as {thermal[0]}"
                )
            card.take("temp")
            return TEMPERATURE
        token = card.tokens[card.at] if card.more() else None
        name = self.source(card, "R")
        if name in thermal:
            raise card.error(f"{name} has temperature coefficients and cannot be swept", token)
        return name


def _point(
    analyses: Analyses, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
) -> Analysis:
    """Return an operating point."""
    del analyses, card
    return OperatingPoint(nodes, branches)


def _sweep(
    analyses: Analyses, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
) -> Analysis:
    """Return a sweep, or one within another."""
    inner = _steps(analyses, card)
    outer = DcSweep((), *_steps(analyses, card)) if card.more() else None
    sweep = DcSweep(nodes, *inner, branches, outer)
    if outer is not None and len(sweep.values) * len(outer.values) > MOST_POINTS:
        raise card.line.error(f"a sweep may have {MOST_POINTS} points, but this one has more")
    return sweep


def _steps(analyses: Analyses, card: Card) -> tuple[str, float, float, float]:
    """Take what is swept, its first and last value and the step between them."""
    source = analyses.swept(card)
    first, last = card.value("a first value"), card.value("a last value")
    step = card.value("a step")
    if step and not abs((last - first) / step) < MOST_POINTS:
        raise card.line.error(
            f"a sweep may have {MOST_POINTS} points, but {first} to {last} by {step} has more"
        )
    return source, first, last, step


def _transient(
    analyses: Analyses, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
) -> Analysis:
    """Return a transient."""
    step, stop = card.value("a step"), card.value("an end")
    rest = []
    for what in ("a start of saving", "a longest step"):
        if card.more() and card.peek() != "uic":
            rest.append(card.value(what))
    kept_from = rest[0] if rest else 0.0
    longest = rest[1] if len(rest) > 1 else min(step, (stop - kept_from) / 50)
    if longest > 0 and not stop / longest <= MOST_STEPS:
        raise card.line.error(
            f"a transient may take {MOST_STEPS} steps, but {stop} s in {longest} s are more"
        )
    from_start = card.accept("uic")
    charged = starting_voltages(card, analyses.start) if from_start else {}
    start = tuple((analyses.start | charged).items())
    return Transient(nodes, longest, stop, start, from_start, branches, kept_from)


def starting_voltages(card: Card, known: Mapping[str, float]) -> dict[str, float]:
    """Return the voltages in V by node from which charged capacitors start.

    Those of nodes that no known voltage fixes count from their second node, which is at 0 V.

    **Raises** `DeckError` where capacitors contradict each other, or a voltage that is known.
    """
    volts: dict[str, float] = {GROUND: 0.0, **known}
    left = list(card.setting.charged)
    while left:
        joined = [one for one in left if one[0] in volts or one[1] in volts]
        if not joined:
            volts[left[0][1]] = 0.0
            continue
        for plus, minus, across in joined:
            volts.setdefault(minus, volts.get(plus, 0.0) - across)
            volts.setdefault(plus, volts[minus] + across)
            if not math.isclose(volts[plus] - volts[minus], across, rel_tol=1e-9, abs_tol=1e-12):
                raise card.line.error(
                    f"the voltages from which capacitors start must agree, but ic={across} between "
                    f"{plus} and {minus} does not"
                )
        left = [one for one in left if one not in joined]
    return {node: value for node, value in volts.items() if node != GROUND}


def _noise(
    analyses: Analyses, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
) -> Analysis:
    """Return an analysis of noise."""
    del nodes, branches
    node, source = card.voltage(), analyses.source(card)
    if card.peek() != "dec":
        raise card.error("dec must stand here: points a decade")
    points, lowest, highest, _ = _frequencies(card)
    return Noise((node,), source, lowest, highest, points)


def _small_signal(
    analyses: Analyses, card: Card, nodes: tuple[str, ...], branches: tuple[str, ...]
) -> Analysis:
    """Return an analysis of small signals."""
    del analyses
    points, lowest, highest, spacing = _frequencies(card)
    return SmallSignal(nodes, lowest, highest, points, branches, spacing)


def _frequencies(card: Card) -> tuple[int, float, float, str]:
    """Return the points, the lowest and the highest frequency in Hz, and how they lie."""
    spacing = card.peek()
    if not card.accept(*SPACINGS):
        raise card.error(
            f"{', '.join(SPACINGS)} must stand here: points {', '.join(SPACINGS.values())}"
        )
    points = card.value(f"points {SPACINGS[spacing]}")
    if points != int(points) or points > (MOST_POINTS if spacing == "lin" else 1e6):
        raise card.error(
            f"the points {SPACINGS[spacing]} must be a whole number up to a million, "
            f"but are {points}",
            card.tokens[card.at - 1],
        )
    lowest, highest = card.value("a lowest frequency"), card.value("a highest frequency")
    base = {"dec": 10.0, "oct": 2.0}.get(spacing)
    if base and 0 < lowest < highest and points * math.log(highest / lowest, base) > MOST_POINTS:
        raise card.line.error(
            f"an analysis may have {MOST_POINTS} frequencies, but {points} {SPACINGS[spacing]} "
            f"from {lowest} to {highest} Hz are more"
        )
    return int(points), lowest, highest, spacing


ANALYSES: dict[str, Kind] = {
    ".op": Kind("operating point", {".op": "at the sources' constant values"}, _point),
    ".dc": Kind(
        "sweep",
        {
            ".dc V1 first last step [I2 first last step]": (
                "operating points at many values of a source, for each value of a second one"
            ),
            ".dc R1 …, .dc temp …": "the same of a resistance in Ω and the temperature in °C",
        },
        _sweep,
    ),
    ".tran": Kind(
        "transient",
        {
            ".tran step stop [start [longest]] [uic]": (
                "from the operating point, in which the nodes of `.ic` are held; with `uic` from "
                "the voltages of `.ic` and `ic=`; before `start` nothing is kept"
            )
        },
        _transient,
    ),
    ".ac": Kind(
        "small signals",
        {".ac dec|oct|lin points lowest highest": "the response to the sources' `ac` values"},
        _small_signal,
    ),
    ".noise": Kind(
        "noise",
        {".noise v(out) V1 dec points lowest highest": "of a node's voltage, at 40 a decade"},
        _noise,
    ),
}
"""The dot lines that ask for an analysis."""
