"""Decks of many samples for ngspice, and the tables of its answers."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..mna.equations import Drives, Equations
from ..netlist.analyses import DcSweep, saved_current
from ..netlist.netlist import Netlist
from .base import SimulationError
from .raw import Plot

COUNTER = "sweep_counter"
MOST_NAMED = 1_000
"""How many voltages ngspice is asked for by name: its time for that goes as their square, 7 s for
30,000. Of a larger circuit it gives all, which takes 0.1 s."""


def sweep_deck(equations: Equations, drives: Drives, samples: int) -> Netlist:
    """Return the deck of all samples: a `.dc` analysis counts them, and driven sources follow."""
    elements: list[Element] = [VoltageSource(COUNTER, COUNTER, GROUND, 0.0)]
    for element in equations.netlist.elements:
        if isinstance(element, IndependentSource) and element.key in drives:
            sensed = element.key in equations.branches
            elements += _driven(element, drives[element.key], sensed)
        else:
            elements.append(element)
    nodes, branches = named(equations.free, equations.branches)
    sweep = DcSweep(nodes, f"V{COUNTER}", 0.0, float(samples - 1), 1.0, branches)
    return replace(equations.netlist, elements=tuple(elements), analyses=(sweep,))


@dataclass(frozen=True)
class _Tabulated(Element):
    """A source (B) of `values[k]` V or A when the sweep's counter is at k volts.

    `output`: "i" or "v", as of `Behavioural`. It is written without the tree of an expression,
    since a deck has one for each driven source.
    """

    letter = "B"
    word = "tabulated source"
    node_fields = ("plus", "minus")
    name: str
    plus: str
    minus: str
    output: str
    values: list[float]

    @property
    def nodes(self):
        return (self.plus, self.minus, COUNTER)

    def lines(self):
        last = len(self.values) - 1
        points = [
            f"{k},({value!r})" if math.copysign(1.0, value) < 0 else f"{k},{value!r}"
            for k, value in enumerate(self.values)
            # What lies between equal values need not be said.
            if k in (0, last) or not self.values[k - 1] == value == self.values[k + 1]
        ]
        table = f"pwl(v({COUNTER}),{','.join(points)})"
        return [f"B{self.name} {self.plus} {self.minus} {self.output}={table}"]


def _driven(source: IndependentSource, values: np.ndarray, sensed: bool) -> list[Element]:
    """Return a source whose value is `values[k]` when the sweep's counter is at k volts.

    A voltage source of which the current is asked for stays, at 0 V, in series with it.
    """
    name, plus, numbers = source.key, source.plus, values.tolist()
    if isinstance(source, CurrentSource):
        return [_Tabulated(name, plus, source.minus, "i", numbers)]
    if not sensed:
        return [_Tabulated(name, plus, source.minus, "v", numbers)]
    inner = f"{COUNTER}_{name.lower()}"
    return [
        VoltageSource(source.name, plus, inner, 0.0),
        _Tabulated(name, inner, source.minus, "v", numbers),
    ]


def at_sample(netlist: Netlist, drives: Drives) -> Netlist:
    """Return the netlist with its driven sources at the one value that each has."""
    driven = [e for e in netlist.elements if isinstance(e, IndependentSource) and e.key in drives]
    return netlist.with_elements(*(replace(e, **{e.unit: float(drives[e.key][0])}) for e in driven))


def named(
    nodes: tuple[str, ...], branches: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the nodes and branches to ask ngspice for by name; none, which is all, if many."""
    return ((), ()) if len(nodes) + len(branches) > MOST_NAMED else (nodes, branches)


def table_of(plot: Plot, nodes: tuple[str, ...], branches: tuple[str, ...]) -> np.ndarray:
    """Return the voltages and currents (points, nodes and branches) of just those asked for."""
    names = (saved_current(branch).removesuffix("#branch") for branch in branches)
    asked = [*(f"v({node})" for node in nodes), *(f"i({name})" for name in names)]
    columns = {}
    for key, values in plot.values.items():
        # the library does not say i() around an output of a device
        name = f"i({key})" if key.startswith("@") else key
        if name[:2] in ("v(", "i(") and (name != "v(v-sweep)" or name in asked):
            columns[name] = values
    if named(nodes, branches)[0]:
        others = set(columns) ^ set(asked)
    else:  # it was asked for all
        others = set(asked).difference(columns)
    if others:
        raise SimulationError(
            "ngspice must return the voltages of the netlist's nodes, "
            f"but returned others: {sorted(others)[:10]}"
        )
    if not asked:
        return np.empty((len(next(iter(plot.values.values()))), 0))
    return np.stack([columns[name] for name in asked], axis=1)
