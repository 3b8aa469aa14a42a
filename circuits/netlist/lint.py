"""What is wrong with a circuit before it is simulated.

ngspice would answer some of it with a voltage of its own making.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..elements.base import GROUND
from .contract import Circuit

IGNORED = {"klu": 42, "sparse": 42}
"""Options that ngspice takes without a word and ignores below some version."""


@dataclass(frozen=True)
class Finding:
    """Something about a circuit.

    `rule`: which rule it breaks. `elements`: the SPICE names of those it is about. `message`: what
    is wrong, with their names. `serious`: whether no simulation would mean anything.
    """

    rule: str
    elements: tuple[str, ...]
    message: str
    serious: bool


def lint(netlist: Circuit, version: int | None = None, *, transient: bool = False) -> list[Finding]:
    """Return the findings about a netlist, those that are serious first.

    - "floating": nodes without a path of conducting elements to ground (serious). In a `transient`
      from given voltages capacitors conduct, and inductors fix no voltage.
    - "voltage loop": a voltage source, or what is one at an operating point, across nodes whose
      voltage others fix (serious).
    - "seen once": nodes that a single element touches.
    - "ignored option": options that ngspice of `version`, as 39, takes and ignores.

    Names that stand twice and resistances that are not above 0 are errors when elements and
    netlists are made, or decks are read.

    **Arguments:** `netlist`. `version`: of ngspice; its options are not looked at if not given.
    `transient`: whether the circuit is to be simulated in time from given voltages.
    """
    return [
        *serious_findings(netlist, transient=transient),
        *_touched_once(netlist),
        *_ignored(netlist, version),
    ]


def serious_findings(netlist: Circuit, *, transient: bool = False) -> list[Finding]:
    """Return the findings of `lint` that are serious, without looking for others."""
    return [*_floating(netlist, transient), *_loops(netlist, transient)]


class _Sets:
    """Disjoint sets of nodes."""

    def __init__(self):
        self._parent: dict[str, str] = {}

    def root(self, node: str) -> str:
        """Return the node that stands for the set of `node`."""
        parent = self._parent
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, node: str, other: str) -> bool:
        """Join the sets of two nodes; return whether they were apart."""
        node, other = self.root(node), self.root(other)
        self._parent[node] = other
        return node != other


def _floating(netlist: Circuit, transient: bool) -> list[Finding]:
    """Return the finding of nodes without a path of conducting elements to ground, if any."""
    joined = _Sets()
    for element in netlist.elements:
        for node, other in element.conducts(transient=transient):
            joined.join(node, other)
    ground = joined.root(GROUND)
    lost = {node for node in netlist.nodes if joined.root(node) != ground}
    if not lost:
        return []
    names = tuple(e.key for e in netlist.elements if lost.intersection(e.nodes))
    nodes = [node for node in netlist.nodes if node in lost]
    message = (
        f"every node must have a path to ground, but these float: {nodes[:10]}, at {_some(names)}"
    )
    return [Finding("floating", names, message, serious=True)]


def _loops(netlist: Circuit, transient: bool) -> list[Finding]:
    """Return a finding for each element that closes a loop of fixed voltages."""
    joined, findings = _Sets(), []
    for element in netlist.elements:
        fixes = element.fixes_voltage(transient=transient)
        if fixes and not joined.join(element.nodes[0], element.nodes[1]):
            node, other = element.nodes[:2]
            message = (
                f"{element.key} fixes the voltage between {node!r} and {other!r}, "
                "which other sources fix"
            )
            findings.append(Finding("voltage loop", (element.key,), message, serious=True))
    return findings


def _touched_once(netlist: Circuit) -> list[Finding]:
    """Return a finding for each node that a single element touches, once."""
    counts: Counter[str] = Counter()
    for element in netlist.elements:
        counts.update(element.touches())
    alone = {node for node, count in counts.items() if count == 1 and node != GROUND}
    return [
        Finding(
            "seen once",
            (element.key,),
            f"node {node!r} is touched by {element.key} alone",
            serious=False,
        )
        for element in netlist.elements
        for node in dict.fromkeys(element.nodes)
        if node in alone
    ]


def _ignored(netlist: Circuit, version: int | None) -> list[Finding]:
    """Return a finding for each option that ngspice of `version` takes and ignores."""
    words = {word.split("=")[0].lower() for word in netlist.options.split()}
    return [
        Finding(
            "ignored option",
            (),
            f"option {word!r} is ignored by ngspice below version {since}",
            serious=False,
        )
        for word, since in IGNORED.items()
        if word in words and version is not None and version < since
    ]


def _some(names: Sequence[str]) -> str:
    """Return the first five of some names as text."""
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
