"""A circuit: elements between named nodes, its check, and its text in SPICE."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from ..elements.base import GROUND, Element, did_you_mean
from ..elements.diodes import Diode, DiodeModel
from ..elements.transistors import Mosfet, MosfetModel
from ..files import write_text
from ..units import ROOM, celsius, check_temperature
from .analyses import Analysis, analysis_lines
from .lint import lint

OPTIONS = "gmin=1e-12 reltol=1e-11 vntol=1e-12 abstol=1e-18"
"""Tolerances at which ngspice's operating points are exact to some 1e-12 V; at its defaults they drift by 3e-4 V in a sweep."""


class NetlistError(ValueError):
    """A netlist that no simulator should see."""


Kind = TypeVar("Kind", bound=Element)


@dataclass(frozen=True, eq=False)
class Netlist:
    """`elements` between nodes, ground being "0", and what it is: a `title` and the lines of a `header`; at a `temperature` in K.

    Netlists are equal where their decks are: matrices of conductances are then equal to the resistors that they stand for.

    **Raises** `NetlistError` for two elements of one SPICE name, two models of one name, and text that ngspice would take for a
    command or a continued line: a title or header line with a line break, a backtick, a leading `#` or a trailing backslash.
    """

    title: str
    elements: tuple[Element, ...]
    header: tuple[str, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    options: str = OPTIONS
    temperature: float = ROOM

    def __post_init__(self):
        check_temperature(self.temperature)
        for text in (self.title, *self.header, self.options):
            if (
                not (text.isascii() and text.isprintable() and text.strip())
                or "`" in text
                or text.startswith("#")
                or text.endswith("\\")
            ):
                raise NetlistError(
                    f"a title or header line must be plain ASCII without backticks, leading # or trailing \\, but is {text!r}"
                )
        if not self.title[0].isalnum():
            raise NetlistError(
                f"`title` must begin with a letter or a digit, but is {self.title!r}"
            )
        counts = Counter((element.letter + element.name).lower() for element in self.elements)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise NetlistError(f"element names must differ, but these stand twice: {twice}")
        if len({model.name.lower() for model in self.models}) < len(self.models):
            raise NetlistError(
                f"models that differ must have different names, but are {[model.name for model in self.models]}"
            )
        for analysis in self.analyses:
            self.require_nodes(analysis.nodes)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All nodes but ground, in the order in which they appear."""
        return tuple(
            node
            for node in dict.fromkeys(node for element in self.elements for node in element.nodes)
            if node != GROUND
        )

    @cached_property
    def _by_kind(self) -> dict[type, list[Element]]:
        kinds: dict[type, list[Element]] = {}
        for element in self.elements:
            kinds.setdefault(type(element), []).append(element)
        return kinds

    def of(self, kind: type[Kind]) -> Sequence[Kind]:
        """Its elements of one class, in their order."""
        return cast("Sequence[Kind]", self._by_kind.get(kind, ()))

    @cached_property
    def models(self) -> tuple[DiodeModel | MosfetModel, ...]:
        """The models of its diodes and transistors, each once."""
        return tuple(
            dict.fromkeys(element.model for element in (*self.of(Diode), *self.of(Mosfet)))
        )

    def require_nodes(self, nodes: Sequence[str], argument: str = "nodes") -> None:
        """Raises `NetlistError` for a node that the netlist does not have, naming the nearest that it has."""
        known = set(self.nodes)
        for node in nodes:
            if node not in known:
                hint = did_you_mean(node, known)
                raise NetlistError(
                    f"`{argument}` must name nodes of the netlist, but {node!r} is none{hint}"
                )

    def check(self, *, transient: bool = False) -> None:
        """Raises `NetlistError` with the serious findings of `lint`, as nodes that float: ngspice would invent their voltage."""
        serious = [
            finding.message for finding in lint(self, transient=transient) if finding.serious
        ]
        if serious:
            raise NetlistError("; ".join(serious))

    def with_elements(self, *elements: Element) -> "Netlist":
        """A copy in which each of `elements` takes the place of the one of its kind and name; `NetlistError` where there is none."""
        fresh = {(type(element), element.name): element for element in elements}
        kept = tuple(fresh.pop((type(element), element.name), element) for element in self.elements)
        if fresh:
            raise NetlistError(
                f"`elements` must be of the netlist, but it has none called {[name for _, name in fresh]}"
            )
        return replace(self, elements=kept)

    def without(self, *kinds: type[Element]) -> "Netlist":
        """A copy without the elements of some kinds."""
        return replace(
            self,
            elements=tuple(element for element in self.elements if not isinstance(element, kinds)),
        )

    def spice(self) -> str:
        """The deck: title, header, elements, models, options, analysis. Numbers have 17 significant digits; no control block."""
        lines = [self.title, *(f"* {line}" for line in self.header)]
        for element in self.elements:
            lines += element.lines()
        lines += [model.card() for model in self.models]
        lines += [
            f".temp {celsius(self.temperature)}",
            f".options {self.options}",
            *analysis_lines(self.analyses),
        ]
        return "\n".join([*lines, ".end", ""])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Netlist) and self.spice() == other.spice()

    def __hash__(self) -> int:
        return hash(self.spice())

    def __repr__(self) -> str:
        return f"<Netlist {self.title!r}: {len(self.elements)} elements, {len(self.nodes)} nodes>"

    def __str__(self) -> str:
        return self.spice()

    def _repr_html_(self) -> str:
        from .schematics import html

        return html(self)

    def save(self, path: str | Path) -> Path:
        """Writes the deck to `path`, whole or not at all."""
        return write_text(path, self.spice())
