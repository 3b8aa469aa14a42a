"""Exact reduction: conductances that hang on ideal sources become one conductance and one current per node (Norton)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.passive import Capacitor, ConductanceMatrix, Resistor
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..netlist.netlist import Netlist
from .equations import Drives, Equations, values_of


def reduce(netlist: Netlist, drives: Drives | None = None) -> tuple[Netlist, dict[str, np.ndarray]]:
    """A netlist with the same voltages at the same free nodes, and the drives that go with it.

    Conductances g_ij from sources u_i to node j become Rnorton_j of Σ_i g_ij to ground and Inorton_j of −Σ_i g_ij u_i out of the node.
    Sources that then touch nothing are dropped, and analyses of them. Noise is the same too, as 4kT Σ g is. Raises `ValueError` for
    drives of sources that the netlist does not have, of different lengths or not finite.
    """
    drives, samples = values_of(drives, netlist)
    equations = Equations(netlist)
    reduction = Reduction(equations)
    fresh = reduction.drives(drives, samples)
    first = {name: values[:1] for name, values in fresh.items()}
    sources = [
        e
        for e in reduction.netlist.elements
        if isinstance(e, CurrentSource) and e.key in first and e.key not in drives
    ]
    smaller = reduction.netlist.with_elements(
        *(replace(e, amperes=float(first[e.key][0])) for e in sources)
    )
    return smaller, fresh if drives else {}


@dataclass(frozen=True, eq=False)
class Reduction:
    """A netlist's reduction without its numbers of the day: the smaller `netlist`, Norton currents being those of sources as they are.

    `drives` says what drives of the whole netlist are for it.
    """

    equations: Equations
    netlist: Netlist = field(init=False)
    _nodes: tuple[str, ...] = field(init=False)
    _by_pinned: np.ndarray = field(init=False)

    def __post_init__(self):
        whole = self.equations.netlist
        pinned = {node: k for k, node in enumerate(self.equations.pinned)}
        kept, load = _collapse(whole, pinned)
        touched = {
            node
            for element in kept
            if not isinstance(element, VoltageSource)
            for node in element.nodes
        }
        kept = [
            e
            for e in kept
            if not isinstance(e, VoltageSource) or touched.intersection(e.nodes) - {GROUND}
        ]
        nodes = tuple(load)
        by_pinned = (
            np.stack([load[node] for node in nodes], 1) if nodes else np.zeros((len(pinned), 0))
        )
        norton: list[Element] = []
        for node in nodes:
            norton.append(Resistor(f"norton_{node}", node, GROUND, siemens=float(load[node].sum())))
            norton.append(CurrentSource(f"norton_{node}", node, GROUND, 0.0))
        header = (
            *whole.header,
            "Conductances to ideal sources are collapsed into Rnorton_* and Inorton_* (Norton's theorem).",
        )
        names = {element.letter + element.name for element in (*kept, *norton)}
        left = {node for element in (*kept, *norton) for node in element.nodes}
        analyses = tuple(
            replace(analysis, nodes=inside)  # pyright: ignore[reportArgumentType]  # each is a dataclass
            for analysis in whole.analyses
            if (inside := tuple(node for node in analysis.nodes if node in left))
            and getattr(analysis, "source", None) in {None, *names}
        )
        smaller = replace(whole, elements=(*kept, *norton), header=header, analyses=analyses)
        for name, value in (("netlist", smaller), ("_nodes", nodes), ("_by_pinned", by_pinned)):
            object.__setattr__(self, name, value)

    def drives(self, drives: Drives, samples: int) -> dict[str, np.ndarray]:
        """The drives of the smaller netlist: Norton currents (samples,) in A, and those of sources that it still has."""
        left = {
            element.key
            for element in self.netlist.elements
            if isinstance(element, IndependentSource)
        }
        fresh = {name: values for name, values in drives.items() if name in left}
        if self._nodes:
            by_node = self.equations.pinned_voltages(drives, samples)
            push = np.stack([by_node[node] for node in self.equations.pinned], 1) @ self._by_pinned
            fresh |= {
                f"Inorton_{node}": -column for node, column in zip(self._nodes, push.T, strict=True)
            }
        return fresh


def _collapse(
    netlist: Netlist, pinned: Mapping[str, int]
) -> tuple[list[Element], dict[str, np.ndarray]]:
    """The elements that stay, and for each node what hangs it on the pinned nodes, a conductance for each of these."""
    kept: list[Element] = []
    load: dict[str, np.ndarray] = {}

    def hang(nodes: tuple[str, ...], siemens: np.ndarray, sources: tuple[str, ...]) -> None:
        """Conductances (sources, nodes) that hang nodes on sources."""
        places = [pinned[source] for source in sources]
        for j in np.flatnonzero(siemens.any(0)):
            own = load.setdefault(nodes[j], np.zeros(len(pinned)))
            np.add.at(own, places, siemens[:, j])

    for element in netlist.elements:
        if (
            isinstance(element, Resistor)
            and len(fixed := [n for n in element.nodes if n in pinned]) == 1
        ):
            (other,) = (n for n in element.nodes if n not in pinned)
            if other != GROUND:
                hang((other,), np.array([[element.siemens]]), (fixed[0],))
        elif isinstance(element, ConductanceMatrix):
            rest = element
            for flip in (False, True):
                rows, columns = (rest.columns, rest.rows) if flip else (rest.rows, rest.columns)
                siemens = rest.siemens.T if flip else rest.siemens
                on_source = np.array([node in pinned for node in rows])
                if on_source.any():
                    free = np.array([node not in pinned and node != GROUND for node in columns])
                    hang(
                        tuple(np.array(columns)[free].tolist()),
                        siemens[on_source][:, free],
                        tuple(node for node, yes in zip(rows, on_source, strict=True) if yes),
                    )
                    rows, siemens = tuple(np.array(rows)[~on_source].tolist()), siemens[~on_source]
                rest = replace(
                    rest,
                    rows=columns if flip else rows,
                    columns=rows if flip else columns,
                    siemens=siemens.T if flip else siemens,
                )
            if rest.siemens.any():
                kept.append(rest)
        elif not (
            isinstance(element, Capacitor)
            and all(node in pinned or node == GROUND for node in element.nodes)
        ):
            kept.append(element)
    return kept, load
