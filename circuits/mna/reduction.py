"""Exact reduction: conductances on ideal sources become one conductance and one current a node."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.passive import Resistor
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..netlist.analyses import Analysis
from ..netlist.netlist import Netlist
from .equations import Drives, Equations, values_of


def reduce(netlist: Netlist, drives: Drives | None = None) -> tuple[Netlist, dict[str, np.ndarray]]:
    """Return a smaller netlist with the same voltages at the same free nodes, and its drives.

    By Norton's theorem conductances g_ij from sources u_i to node j become Rnorton_j of Σ_i g_ij to
    ground and Inorton_j of −Σ_i g_ij u_i out of the node. Sources that then touch nothing are
    dropped, and analyses of them. Noise is the same too, as 4kT Σ g is.

    **Arguments:** `netlist`: a circuit. `drives`: for some sources, by SPICE name, their values
    (samples,) in V or A.

    **Returns** the smaller netlist, and its drives (samples,); none where none are given.

    **Raises** `ValueError` for drives of sources that the netlist does not have, of different
    lengths or not finite.
    """
    values, samples = values_of(drives, netlist)
    reduction = Reduction.of(Equations.of(netlist))
    reduced = reduction.drives(values, samples)
    norton = [
        replace(source, amperes=float(reduced[source.key][0]))
        for source in reduction.netlist.of(CurrentSource)
        if source.key in reduced and source.key not in values
    ]
    return reduction.netlist.with_elements(*norton), reduced if values else {}


@dataclass(frozen=True, eq=False)
class Reduction:
    """A netlist's reduction for drives that are not yet known; made by `of`.

    - `equations`: of the whole netlist.
    - `netlist`: the smaller one, whose Norton currents stand at 0; `drives` gives them.
    """

    equations: Equations
    netlist: Netlist
    _nodes: tuple[str, ...] = field(repr=False)
    _by_pinned: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, equations: Equations) -> "Reduction":
        """Return the reduction of the netlist of `equations`."""
        whole = equations.netlist
        kept, loads = _collapse(whole, {node: k for k, node in enumerate(equations.pinned)})
        kept = _without_idle_sources(kept)
        norton: list[Element] = []
        for node, siemens in loads.items():
            total = float(siemens.sum())
            name = _norton(node)
            norton.append(Resistor(name, node, GROUND, siemens=total))
            norton.append(CurrentSource(name, node, GROUND, 0.0))

        line = (
            "Conductances to ideal sources are collapsed into Rnorton_* and Inorton_* "
            "(Norton's theorem)."
        )
        elements = (*kept, *norton)
        smaller = replace(
            whole,
            elements=elements,
            header=(*whole.header, line),
            analyses=_analyses_left(whole.analyses, elements),
        )
        columns = list(loads.values()) or [np.zeros((len(equations.pinned), 0))]
        by_pinned = np.stack(columns, 1) if loads else columns[0]
        return cls(equations, smaller, tuple(loads), by_pinned)

    def drives(self, drives: Drives, samples: int) -> dict[str, np.ndarray]:
        """Return the drives of the smaller netlist (samples,).

        Norton currents in A, and those of sources that it still has.
        """
        left = {e.key for e in self.netlist.elements if isinstance(e, IndependentSource)}
        reduced = {name: values for name, values in drives.items() if name in left}
        if self._nodes:
            by_node = self.equations.pinned_voltages(drives, samples)
            push = np.stack([by_node[node] for node in self.equations.pinned], 1) @ self._by_pinned
            for node, column in zip(self._nodes, push.T, strict=True):
                reduced[f"I{_norton(node)}"] = -column
        return reduced


def _norton(node: str) -> str:
    """Return the name of what loads a node, in which no `/` may stand."""
    return f"norton_{node.replace('/', ':')}"


def _collapse(
    netlist: Netlist, pinned: Mapping[str, int]
) -> tuple[list[Element], dict[str, np.ndarray]]:
    """Return the elements that stay, and for each loaded node its conductances (pinned,) in S."""
    kept: list[Element] = []
    loads: dict[str, np.ndarray] = {}
    for element in netlist.elements:
        rest, removed = element.without(pinned)
        kept += [rest] if rest is not None else []
        for nodes, siemens, sources in removed:
            places = [pinned[source] for source in sources]
            for j in np.flatnonzero(siemens.any(0)):
                load = loads.setdefault(nodes[j], np.zeros(len(pinned)))
                np.add.at(load, places, siemens[:, j])
    return kept, loads


def _without_idle_sources(elements: list[Element]) -> list[Element]:
    """Return the elements without voltage sources whose nodes nothing else touches."""
    count = Counter(node for element in elements for node in {*element.nodes} - {GROUND})
    return [
        element
        for element in elements
        if not isinstance(element, VoltageSource) or any(count[node] > 1 for node in element.nodes)
    ]


def _analyses_left(
    analyses: tuple[Analysis, ...], elements: tuple[Element, ...]
) -> tuple[Analysis, ...]:
    """Return the analyses of nodes and sources that are still there."""
    names = {element.key for element in elements}
    nodes = {node for element in elements for node in element.nodes}
    return tuple(
        replace(analysis, nodes=inside)  # pyright: ignore[reportArgumentType]  # is a dataclass
        for analysis in analyses
        if (inside := tuple(node for node in analysis.nodes if node in nodes))
        and getattr(analysis, "source", None) in {None, *names}
    )
