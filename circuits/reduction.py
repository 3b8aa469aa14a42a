"""Exact reduction: conductances that hang on ideal sources become one conductance and one current per node (Norton)."""

from dataclasses import replace

import numpy as np

from .elements import GROUND, Capacitor, ConductanceMatrix, Element, Resistor
from .equations import Drives, Equations, values_of
from .netlist import Netlist
from .sources import CurrentSource, IndependentSource, VoltageSource


def reduce(netlist: Netlist, drives: Drives | None = None) -> tuple[Netlist, dict[str, np.ndarray]]:
    """A netlist with the same voltages at the same free nodes, and the drives that go with it.

    Conductances g_ij from sources u_i to node j become Rnorton_j of Σ_i g_ij to ground and Inorton_j of −Σ_i g_ij u_i out of the node.
    Sources that then touch nothing are dropped, and analyses of them. Noise is the same too, as 4kT Σ g is. Raises `ValueError` for
    drives of sources that the netlist does not have, of different lengths or not finite.
    """
    drives, samples = values_of(drives, netlist)
    pinned = Equations(netlist).pinned_voltages(drives, samples)
    kept: list[Element] = []
    load: dict[str, float] = {}
    push: dict[str, np.ndarray] = {}

    def hang(nodes: tuple[str, ...], siemens: np.ndarray, sources: tuple[str, ...]) -> None:
        """Conductances (sources, nodes) that hang nodes on sources."""
        total, current = siemens.sum(0), np.stack([pinned[source] for source in sources], 1) @ siemens
        for j in np.flatnonzero(total > 0):
            load[nodes[j]] = load.get(nodes[j], 0.0) + float(total[j])
            push[nodes[j]] = push.get(nodes[j], 0.0) + current[:, j]

    for element in netlist.elements:
        if isinstance(element, Resistor) and len(fixed := [n for n in element.nodes if n in pinned]) == 1:
            (other,) = (n for n in element.nodes if n not in pinned)
            if other == GROUND:
                continue
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
        elif not (isinstance(element, Capacitor) and all(node in pinned or node == GROUND for node in element.nodes)):
            kept.append(element)

    touched = {node for element in kept if not isinstance(element, VoltageSource) for node in element.nodes}
    kept = [e for e in kept if not isinstance(e, VoltageSource) or touched.intersection(e.nodes) - {GROUND}]
    norton: list[Element] = []
    for node, siemens in load.items():
        norton.append(Resistor(f"norton_{node}", node, GROUND, siemens))
        norton.append(CurrentSource(f"norton_{node}", node, GROUND, -float(push[node][0])))
    left = {element.key for element in kept if isinstance(element, IndependentSource)}
    fresh = {name: values for name, values in drives.items() if name in left}
    if drives:
        fresh |= {f"Inorton_{node}": -push[node] for node in load}
    header = (*netlist.header, "Conductances to ideal sources are collapsed into Rnorton_* and Inorton_* (Norton's theorem).")
    names = {element.letter + element.name for element in (*kept, *norton)}
    nodes = {node for element in (*kept, *norton) for node in element.nodes}
    analyses = tuple(
        replace(analysis, nodes=left)  # pyright: ignore[reportArgumentType]  # each is a dataclass
        for analysis in netlist.analyses
        if (left := tuple(node for node in analysis.nodes if node in nodes)) and getattr(analysis, "source", None) in {None, *names}
    )
    return replace(netlist, elements=(*kept, *norton), header=header, analyses=analyses), fresh
