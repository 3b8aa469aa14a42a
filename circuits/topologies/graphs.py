"""Resistors along the edges of a graph, and twins of a network for coupled learning."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..elements.base import GROUND, Element, TwoTerminal
from ..elements.diodes import Diode
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.passive import ConductanceMatrix, Resistor
from ..elements.sources import Behavioural, VoltageSource
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import Netlist, NetlistError

Edges = Sequence[tuple[str, str]]


def graph(
    edges: Edges, siemens: float | np.ndarray, sources: Mapping[str, float], *, title: str = "Graph"
) -> Netlist:
    """A resistor `Re0`, `Re1`, … along every edge, of `siemens` (S; one number, or one for each), and sources `V<node>` at some nodes.

    Raises `ValueError` for conductances that do not fit, or are not above 0, and a source at a node of no edge.
    """
    values = (
        np.broadcast_to(np.asarray(siemens, float), len(edges))
        if np.ndim(siemens) == 0
        else np.asarray(siemens, float)
    )
    if values.shape != (len(edges),):
        raise ValueError(
            f"`siemens` must be one number or one for each of the {len(edges)} edges, but has shape {values.shape}"
        )
    nodes = dict.fromkeys(node for edge in edges for node in edge)
    for node in sources:
        if node not in nodes:
            raise ValueError(f"`sources` must be at nodes of the graph, but {node!r} is none")
    elements: list[Element] = [
        VoltageSource(node, node, GROUND, float(volts)) for node, volts in sources.items()
    ]
    elements += [
        Resistor(f"e{k}", *edge, siemens=float(g))
        for k, (edge, g) in enumerate(zip(edges, values, strict=True))
    ]
    free = tuple(node for node in nodes if node not in sources and node != GROUND)
    return Netlist(title, tuple(elements), (), (OperatingPoint(free),))


def lattice(
    rows: int,
    columns: int,
    siemens: float | np.ndarray,
    sources: Mapping[str, float],
    *,
    title: str = "Lattice",
) -> Netlist:
    """A square lattice of nodes `n<row>_<column>`, each joined with its right and its lower neighbour, in this order, row by row.

    Arguments and errors as for `graph`; `rows` and `columns` must be at least 1 and the nodes at least 2.
    """
    if min(rows, columns) < 1 or rows * columns < 2:
        raise ValueError(
            f"`rows` and `columns` must make 2 nodes or more, but are {rows} and {columns}"
        )
    edges = [
        (f"n{i}_{j}", f"n{k}_{m}")
        for i in range(rows)
        for j in range(columns)
        for k, m in ((i, j + 1), (i + 1, j))
        if k < rows and m < columns
    ]
    return graph(edges, siemens, sources, title=title)


def random_graph(
    nodes: int,
    degree: float,
    siemens: float | np.ndarray,
    sources: Mapping[str, float],
    *,
    seed: int,
    title: str = "Random graph",
) -> Netlist:
    """A connected graph of nodes `n0`, `n1`, … with edges drawn by `seed`: a random tree, and others until the mean degree is reached.

    The number of edges is max(nodes − 1, round(nodes · degree / 2)). Arguments and errors as for `graph`; raises `ValueError` for fewer
    than 2 nodes and a `degree` above nodes − 1.
    """
    if nodes < 2 or not 0 <= degree <= nodes - 1:
        raise ValueError(
            f"`nodes` must be 2 or more and `degree` from 0 to nodes - 1, but are {nodes} and {degree}"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(nodes)
    pairs = {
        tuple(sorted((int(order[k]), int(order[random.integers(k)])))) for k in range(1, nodes)
    }
    rest = [(i, j) for i in range(nodes) for j in range(i + 1, nodes) if (i, j) not in pairs]
    extra = max(0, round(nodes * degree / 2) - len(pairs))
    chosen = sorted(pairs | {rest[k] for k in random.choice(len(rest), extra, replace=False)})
    return graph([(f"n{i}", f"n{j}") for i, j in chosen], siemens, sources, title=title)


def twins(
    netlist: Netlist, outputs: Sequence[str], targets: Sequence[float], eta: float
) -> Netlist:
    """A network and its clamped twin in one circuit, as in coupled learning (Stern et al. 2021; Dillavou et al. 2022).

    The twin has every element again, its nodes and names with `c_` before them; sources to ground are shared. Its outputs are held at
    v + `eta` (target − v), v being the output of the free network: sources `Bclamp_<node>`, with sources `Vtarget_<node>`. What each
    conductance learns from is the difference of its two squared voltages.

    **Raises** `ValueError` where targets and outputs differ in number or `eta` is not in (0, 1], and `NetlistError` for outputs that
    the network does not have or that have a source, and for elements other than two-terminal ones, matrices and diodes.
    """
    if len(targets) != len(outputs) or not outputs:
        raise ValueError(
            f"`targets` must be one for each of the {len(outputs)} outputs, one or more, but are {len(targets)}"
        )
    if not 0 < eta <= 1:
        raise ValueError(f"`eta` must be above 0 and at most 1, but is {eta}")
    netlist.require_nodes(outputs, "outputs")
    pinned = {GROUND}
    for element in netlist.elements:
        if isinstance(element, VoltageSource) and GROUND in element.nodes:
            pinned |= set(element.nodes)
    if held := sorted(pinned.intersection(outputs)):
        raise NetlistError(f"`outputs` must be nodes without a source, but {held} have one")

    def own(node: str) -> str:
        return node if node in pinned else f"c_{node}"

    added: list[Element] = []
    for element in netlist.elements:
        name = f"c_{element.name}"
        if pinned.issuperset(element.nodes):
            continue
        changes: dict[str, Any]
        if isinstance(element, ConductanceMatrix):
            changes = {
                "rows": tuple(map(own, element.rows)),
                "columns": tuple(map(own, element.columns)),
            }
        elif isinstance(element, Diode):
            changes = {"anode": own(element.anode), "cathode": own(element.cathode)}
        elif (
            isinstance(element, TwoTerminal)
            and not isinstance(element, Behavioural)
            and not hasattr(element, "source")
        ):
            changes = {"plus": own(element.plus), "minus": own(element.minus)}
        else:
            raise NetlistError(
                f"the twin of {element.letter}{element.name} is not known: twins are of two-terminal elements"
            )
        added.append(replace(element, name=name, **changes))  # pyright: ignore[reportArgumentType]  # each is a dataclass
    for node, target in zip(outputs, targets, strict=True):
        added.append(VoltageSource(f"target_{node}", f"target_{node}", GROUND, float(target)))
        ahead = Operation(
            "*", (Constant(eta), Operation("-", (Voltage(f"target_{node}"), Voltage(node))))
        )
        added.append(
            Behavioural(
                f"clamp_{node}", f"c_{node}", GROUND, "v", Operation("+", (Voltage(node), ahead))
            )
        )
    return replace(netlist, elements=(*netlist.elements, *added), analyses=())
