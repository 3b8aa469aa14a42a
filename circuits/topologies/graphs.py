"""Resistors along the edges of a graph, and twins of a network for coupled learning."""

from collections.abc import Collection, Mapping, Sequence
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
from ..units import check_number

Edges = Sequence[tuple[str, str]]
"""Pairs of nodes."""


def graph(
    edges: Edges, siemens: float | np.ndarray, sources: Mapping[str, float], *, title: str = "Graph"
) -> Netlist:
    """Return a netlist of resistors along the edges of a graph, and voltage sources at some nodes.

    The resistors are `Re0`, `Re1`, … in the order of the edges, the sources `V<node>`.

    **Arguments:**

    - `edges`: pairs of nodes.
    - `siemens`: conductances in S; one number, or one for each edge, (edges,).
    - `sources`: voltages in V, by node.
    - `title`: of the netlist.

    **Raises** `ValueError` for conductances that do not fit or are not above 0, and for a source at
    a node of no edge.
    """
    values = (
        np.broadcast_to(np.asarray(siemens, float), len(edges))
        if np.ndim(siemens) == 0
        else np.asarray(siemens, float)
    )
    if values.shape != (len(edges),):
        raise ValueError(
            f"`siemens` must be one number or one for each of the {len(edges)} edges, "
            f"but has shape {values.shape}"
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
    """Return a square lattice of resistors.

    Each node `n<row>_<column>` is joined with its right and its lower neighbour, in this order, row
    by row.

    **Arguments:**

    - `rows`, `columns`: at least 1 each.
    - `siemens`, `sources`, `title`: as those of `graph`.

    **Raises** `ValueError` as `graph` does, and for fewer than 2 nodes.
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
    """Return a connected random graph of resistors between nodes `n0`, `n1`, ….

    Its edges are those of a random tree, and others until the mean degree is reached, which makes
    max(nodes − 1, round(nodes · degree / 2)).

    **Arguments:**

    - `nodes`: how many, 2 or more.
    - `degree`: the mean number of edges at a node, from 0 to nodes − 1.
    - `siemens`, `sources`, `title`: as those of `graph`; edges are in the order of their nodes.
    - `seed`: of the draws.

    **Raises** `ValueError` as `graph` does, and for numbers that are not so.
    """
    check_number(
        nodes, "nodes", "a whole number of at least 2", lambda n: n >= 2 and n.is_integer()
    )
    check_number(degree, "degree", f"from 0 to {nodes - 1}", lambda d: 0 <= d <= nodes - 1)
    random = np.random.default_rng(seed)
    order = random.permutation(nodes)
    tree = np.sort([(order[k], order[random.integers(k)]) for k in range(1, nodes)], axis=1)

    # All pairs i < j are numbered in their order, without a list of them; those of the tree are
    # left out by counting how many of them come before a pair.
    starts = np.concatenate([[0], np.cumsum(np.arange(nodes - 1, 0, -1))])
    taken = np.sort(starts[tree[:, 0]] + tree[:, 1] - tree[:, 0] - 1)
    others = int(starts[-1]) - len(taken)
    extra = max(0, round(nodes * degree / 2) - len(taken))
    drawn = random.choice(others, extra, replace=False)
    drawn = drawn + np.searchsorted(taken - np.arange(len(taken)), drawn, side="right")
    pairs = np.sort(np.concatenate([taken, drawn]))

    left = np.searchsorted(starts, pairs, side="right") - 1
    right = pairs - starts[left] + left + 1
    edges = [(f"n{i}", f"n{j}") for i, j in zip(left.tolist(), right.tolist(), strict=True)]
    return graph(edges, siemens, sources, title=title)


def twins(
    netlist: Netlist, outputs: Sequence[str], targets: Sequence[float], eta: float
) -> Netlist:
    """Return a network and its clamped twin in one circuit, as in coupled learning.

    v_c = v + eta (target − v) at each output, v being the output of the free network

    The twin has every element again, its nodes and names with `c_` before them; sources to ground
    are shared. Sources `Bclamp_<node>` clamp its outputs, with sources `Vtarget_<node>`. What each
    conductance learns from is the difference of its two squared voltages. Stern et al., Phys. Rev.
    X 11, 021045 (2021); Dillavou et al., Phys. Rev. Applied 18, 014040 (2022).

    **Arguments:**

    - `netlist`: of the free network.
    - `outputs`: its output nodes, one or more.
    - `targets`: their voltages, in V, (outputs,).
    - `eta`: how far the clamped outputs are moved, above 0 and at most 1.

    **Raises** `ValueError` where targets and outputs differ in number or `eta` is not in (0, 1],
    and `NetlistError` for outputs that the network does not have or that have a source, and for
    elements other than two-terminal ones, matrices and diodes.
    """
    if len(targets) != len(outputs) or not outputs:
        raise ValueError(
            f"`targets` must be one for each of the {len(outputs)} outputs, one or more, "
            f"but are {len(targets)}"
        )
    check_number(eta, "eta", "above 0 and at most 1", lambda eta: 0 < eta <= 1)
    netlist.require_nodes(outputs, "outputs")
    pinned = {GROUND}
    for element in netlist.elements:
        if isinstance(element, VoltageSource) and GROUND in element.nodes:
            pinned |= set(element.nodes)
    if held := sorted(pinned.intersection(outputs)):
        raise NetlistError(f"`outputs` must be nodes without a source, but {held} have one")

    added = [
        _twin(element, pinned)
        for element in netlist.elements
        if not pinned.issuperset(element.nodes)
    ]
    for node, target in zip(outputs, targets, strict=True):
        added.append(VoltageSource(f"target_{node}", f"target_{node}", GROUND, float(target)))
        gap = Operation("-", (Voltage(f"target_{node}"), Voltage(node)))
        moved = Operation("+", (Voltage(node), Operation("*", (Constant(eta), gap))))
        added.append(Behavioural(f"clamp_{node}", f"c_{node}", GROUND, "v", moved))
    return replace(netlist, elements=(*netlist.elements, *added), analyses=())


def _twin(element: Element, pinned: Collection[str]) -> Element:
    """Return the element of the clamped twin, whose nodes are its own except for `pinned` ones."""
    two_terminal = isinstance(element, TwoTerminal | ConductanceMatrix | Diode)
    if not two_terminal or element.sensed or isinstance(element, Behavioural):
        raise NetlistError(
            "`netlist` must be of two-terminal elements, matrices and diodes, of which twins are "
            f"known, but has {element.key}"
        )
    names = {node: f"c_{node}" for node in element.nodes if node not in pinned}
    twin: Any = element.with_nodes(names)
    return replace(twin, name=f"c_{element.name}")
