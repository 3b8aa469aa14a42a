"""A circuit: elements between named nodes, its check, and its text in SPICE."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from eqprop.files import write_text

from ..elements.base import GROUND, Element, Model, did_you_mean
from ..units import ROOM, celsius, check_temperature
from .analyses import Analysis, analysis_lines
from .lint import serious_findings

OPTIONS = "gmin=1e-12 reltol=1e-11 vntol=1e-12 abstol=1e-18"
"""Tolerances at which ngspice's operating points are exact to some 1e-12 V; at its defaults they
drift by 3e-4 V in a sweep."""


class NetlistError(ValueError):
    """A netlist that no simulator should see."""


Kind = TypeVar("Kind", bound=Element)


@dataclass(frozen=True, eq=False)
class Netlist:
    """A circuit of elements between nodes, ground being "0".

    Netlists are equal where their decks are: matrices of conductances are then equal to the
    resistors that they stand for.

    **Arguments:**

    - `title`: what it is. `elements`: in the order in which they are written.
    - `header`: comment lines of the deck. `analyses`: what a simulator is asked for.
    - `options`: of SPICE, as `name=value` words. `temperature`: of the circuit, in K.

    **Raises** `NetlistError` for two elements of one SPICE name, two models of one name, and text
    that ngspice would take for a command or a continued line: a title or header line with a line
    break, a backtick, a leading `#` or a trailing backslash.
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
            _check_text(text)
        if not self.title[0].isalnum():
            raise NetlistError(
                f"`title` must begin with a letter or a digit, but is {self.title!r}"
            )
        names = [element.key.lower() for element in self.elements]
        if len(set(names)) < len(names):
            twice = [name for name, count in Counter(names).items() if count > 1]
            raise NetlistError(f"element names must differ, but these stand twice: {twice}")
        if len({model.name.lower() for model in self.models}) < len(self.models):
            names = [model.name for model in self.models]
            raise NetlistError(f"models that differ must have different names, but are {names}")
        for analysis in self.analyses:
            self.require_nodes(analysis.nodes)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All nodes but ground, in the order in which they appear."""
        nodes = dict.fromkeys(node for element in self.elements for node in element.nodes)
        return tuple(node for node in nodes if node != GROUND)

    @cached_property
    def _by_kind(self) -> dict[type, list[Element]]:
        """The elements of each class, in their order."""
        kinds: dict[type, list[Element]] = {}
        for element in self.elements:
            kinds.setdefault(type(element), []).append(element)
        return kinds

    def of(self, kind: type[Kind]) -> Sequence[Kind]:
        """Return its elements of one class, in their order."""
        return cast("Sequence[Kind]", self._by_kind.get(kind, ()))

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models of its elements, each once."""
        groups = [models for element in self.elements if (models := element.models)]
        return tuple(dict.fromkeys(model for models in groups for model in models))

    def require_nodes(self, nodes: Sequence[str], argument: str = "nodes") -> None:
        """Raise `NetlistError` for a node that the netlist does not have, naming the nearest.

        **Arguments:** `nodes`. `argument`: what they are called in the message.
        """
        known = set(self.nodes)
        for node in nodes:
            if node not in known:
                raise NetlistError(
                    f"`{argument}` must name nodes of the netlist, but {node!r} is none"
                    f"{did_you_mean(node, known)}"
                )

    def check(self, *, transient: bool = False) -> None:
        """Raise `NetlistError` with the serious findings of `lint`.

        Nodes that float are one: ngspice would invent their voltage.

        **Arguments:** `transient`: as of `lint`.
        """
        serious = [finding.message for finding in serious_findings(self, transient=transient)]
        if serious:
            raise NetlistError("; ".join(serious))

    def with_elements(self, *elements: Element) -> "Netlist":
        """Return a copy in which each of `elements` replaces the one of its kind and name.

        Raises `NetlistError` where there is none.
        """
        fresh = {(type(element), element.name): element for element in elements}
        kept = tuple(fresh.pop((type(e), e.name), e) for e in self.elements)
        if fresh:
            names = [name for _, name in fresh]
            raise NetlistError(f"`elements` must be of the netlist, but it has none called {names}")
        return replace(self, elements=kept)

    def with_nodes(self, names: Mapping[str, str]) -> "Netlist":
        """Return the circuit with other names of nodes.

        **Arguments:**

        - `names`: the new name of each node that has one, by its old one; two nodes of one new name
          become one node.

        **Raises** `ValueError` for an element that does not state the fields of its nodes.
        """
        elements = tuple(
            element.with_nodes(names) if any(node in names for node in element.nodes) else element
            for element in self.elements
        )
        analyses = tuple(analysis.with_nodes(names) for analysis in self.analyses)
        return replace(self, elements=elements, analyses=analyses)

    def without(self, *kinds: type[Element]) -> "Netlist":
        """Return a copy without the elements of some kinds."""
        return replace(self, elements=tuple(e for e in self.elements if not isinstance(e, kinds)))

    def spice(self) -> str:
        """Return the deck: title, header, elements, models, options, analyses.

        Numbers have 17 significant digits; there is no control block.
        """
        lines = [self.title, *(f"* {line}" for line in self.header)]
        for element in self.elements:
            lines += element.lines()
        lines += [model.card() for model in self.models]
        lines += [f".temp {celsius(self.temperature)}", f".options {self.options}"]
        lines += [*analysis_lines(self.analyses), ".end", ""]
        return "\n".join(lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Netlist) and self.spice() == other.spice()

    def __hash__(self) -> int:
        return hash(self.spice())

    def __repr__(self) -> str:
        return f"<Netlist {self.title!r}: {len(self.elements)} elements, {len(self.nodes)} nodes>"

    def __str__(self) -> str:
        return self.spice()

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from .schematics import html

        return html(self)

    def save(self, path: str | Path) -> Path:
        """Write the deck to `path`, whole or not at all, and return the path."""
        return write_text(path, self.spice())


def _check_text(text: str) -> None:
    """Raise `NetlistError` for text that ngspice could take for a command or a continued line."""
    plain = text.isascii() and text.isprintable() and text.strip()
    if not plain or "`" in text or text.startswith("#") or text.endswith("\\"):
        raise NetlistError(
            "a title or header line must be plain ASCII without backticks, leading # or "
            f"trailing \\, but is {text!r}"
        )
