"""What is wrong with a circuit before it is simulated: ngspice would answer some of it with a voltage of its own making."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.diodes import Diode
from ..elements.passive import Capacitor, ConductanceMatrix, Inductor, Resistor
from ..elements.sources import Behavioural, Transresistance, VoltageGain, VoltageSource
from ..elements.transistors import Mosfet
from .contract import Circuit

IGNORED = {"klu": 42, "sparse": 42}
"""Options that ngspice takes without a word and ignores below some version."""


@dataclass(frozen=True)
class Finding:
    """Something about a circuit: the `rule` it breaks, the `elements` (SPICE names) it is about, and a `message` that names them.

    `serious`: whether no simulation would mean anything.
    """

    rule: str
    elements: tuple[str, ...]
    message: str
    serious: bool


def lint(netlist: Circuit, version: int | None = None, *, transient: bool = False) -> list[Finding]:
    """The findings about a netlist, those that are serious first.

    - "floating": nodes without a path of conducting elements to ground (serious). In a `transient` from given voltages capacitors
      conduct, and inductors fix no voltage.
    - "voltage loop": a voltage source, or what is one at an operating point, across nodes whose voltage others fix (serious).
    - "seen once": nodes that a single element touches.
    - "ignored option": options that ngspice of `version`, as 39, takes and ignores.

    Names that stand twice and resistances that are not above 0 are errors when elements and netlists are made, or decks are read.
    """
    return [
        *_floating(netlist, transient),
        *_loops(netlist, transient),
        *_seen_once(netlist),
        *_ignored(netlist, version),
    ]


class _Groups:
    """Disjoint sets of nodes."""

    def __init__(self):
        self.parent: dict[str, str] = {}

    def root(self, node: str) -> str:
        parent = self.parent
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, one: str, other: str) -> bool:
        """Whether they were apart."""
        one, other = self.root(one), self.root(other)
        self.parent[one] = other
        return one != other


def fixes_voltage(element: Element) -> bool:
    """Whether an element fixes the voltage between its first two nodes at an operating point."""
    if isinstance(element, Behavioural):
        return element.output == "v"
    return isinstance(element, VoltageSource | VoltageGain | Transresistance | Inductor)


def _conducting(netlist: Circuit, transient: bool) -> Iterator[tuple[str, str]]:
    kinds = Resistor | Diode | Capacitor if transient else Resistor | Diode
    for element in netlist.elements:
        if isinstance(element, ConductanceMatrix):
            yield from _spanning(element)
        elif isinstance(element, Mosfet):
            yield element.drain, element.source
            yield element.bulk, element.source  # by its junction
        elif (
            isinstance(element, kinds)
            or fixes_voltage(element)
            or _follows_its_voltage(element, transient)
        ):
            yield element.nodes[0], element.nodes[1]


def _follows_its_voltage(element: Element, transient: bool) -> bool:
    """Whether an element is a current that the voltage across it tells; alone, as at an operating point nothing else need be known."""
    if not isinstance(element, Behavioural) or element.output != "i":
        return False
    own = len(element.own_voltages)
    return own > 0 and (transient or own == len(element.controls))


def _spanning(matrix: ConductanceMatrix) -> Iterator[tuple[str, str]]:
    """Pairs that join the nodes of a matrix as all of its conductances do."""
    from scipy.sparse import block_array, csr_array
    from scipy.sparse.csgraph import connected_components

    joined = csr_array(matrix.siemens > 0)
    _, labels = connected_components(
        block_array([[None, joined], [joined.T, None]]), directed=False
    )
    used = np.concatenate([(matrix.siemens > 0).any(1), (matrix.siemens > 0).any(0)])
    first: dict[int, str] = {}
    for node, label, is_used in zip(
        (*matrix.rows, *matrix.columns), labels.tolist(), used, strict=True
    ):
        if is_used:
            yield first.setdefault(label, node), node


def _floating(netlist: Circuit, transient: bool) -> list[Finding]:
    groups = _Groups()
    for one, other in _conducting(netlist, transient):
        groups.join(one, other)
    ground = groups.root(GROUND)
    lost = {node for node in netlist.nodes if groups.root(node) != ground}
    if not lost:
        return []
    named = tuple(_name(e) for e in netlist.elements if lost.intersection(e.nodes))
    nodes = [node for node in netlist.nodes if node in lost]
    return [
        Finding(
            "floating",
            named,
            f"every node must have a path to ground, but these float: {nodes[:10]}, at {_some(named)}",
            True,
        )
    ]


def _loops(netlist: Circuit, transient: bool) -> list[Finding]:
    groups, found = _Groups(), []
    for element in netlist.elements:
        fixes = fixes_voltage(element) and not (transient and isinstance(element, Inductor))
        if fixes and not groups.join(element.nodes[0], element.nodes[1]):
            one, other = element.nodes[:2]
            message = f"{_name(element)} fixes the voltage between {one!r} and {other!r}, which other sources fix"
            found.append(Finding("voltage loop", (_name(element),), message, True))
    return found


def _seen_once(netlist: Circuit) -> list[Finding]:
    counts: Counter[str] = Counter()
    for element in netlist.elements:
        if isinstance(element, ConductanceMatrix):
            used = element.siemens > 0
            counts.update(dict(zip(element.rows, used.sum(1).tolist(), strict=True)))
            counts.update(dict(zip(element.columns, used.sum(0).tolist(), strict=True)))
        else:
            counts.update(set(element.nodes))
    alone = {node for node, count in counts.items() if count == 1 and node != GROUND}
    return [
        Finding("seen once", (_name(e),), f"node {node!r} is touched by {_name(e)} alone", False)
        for e in netlist.elements
        for node in dict.fromkeys(e.nodes)
        if node in alone
    ]


def _ignored(netlist: Circuit, version: int | None) -> list[Finding]:
    words = {word.split("=")[0].lower() for word in netlist.options.split()}
    return [
        Finding(
            "ignored option",
            (),
            f"option {word!r} is ignored by ngspice below version {since}",
            False,
        )
        for word, since in IGNORED.items()
        if word in words and version is not None and version < since
    ]


def _name(element: Element) -> str:
    return element.letter + element.name


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
