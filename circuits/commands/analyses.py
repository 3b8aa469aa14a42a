"""The analyses of a netlist, carried out by a simulator, and their values as tables."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..elements.base import GROUND
from ..elements.passive import Resistor
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..mna.equations import Equations
from ..netlist.analyses import (
    TEMPERATURE,
    Analysis,
    DcSweep,
    Noise,
    OperatingPoint,
    SmallSignal,
    Transient,
)
from ..netlist.netlist import Netlist
from ..simulators import Simulator
from ..simulators.raw import Plot

if TYPE_CHECKING:
    import xarray as xr


def analyses_of(netlist: Netlist) -> tuple[Analysis, ...]:
    """Return the analyses of a netlist; the operating point where it asks for none."""
    return netlist.analyses or (OperatingPoint(netlist.nodes),)


def simulate(chosen: Simulator, netlist: Netlist) -> Iterator[tuple[Analysis, "xr.Dataset"]]:
    """Yield every analysis of a netlist with its dataset.

    **Arguments:**

    - `chosen`: the simulator.
    - `netlist`: whose analyses are run; the operating point where it has none.

    **Raises** as the simulator does.
    """
    for analysis in analyses_of(netlist):
        yield analysis, _simulated(chosen, netlist, analysis)


def _simulated(chosen: Simulator, netlist: Netlist, analysis: Any) -> "xr.Dataset":
    """Return the dataset of one analysis."""
    if isinstance(analysis, DcSweep):
        return _sweep(chosen, netlist, analysis)
    if isinstance(analysis, Transient):
        pinned = Equations.of(netlist).pinned
        start = {node: volts for node, volts in analysis.start if node not in pinned}
        # what is settled may be all that a simulator of one's own knows nothing of
        settled: dict[str, Any] = {} if analysis.from_start else {"settled": True}
        times = {"stop": analysis.stop, "step": analysis.step}
        answer = chosen.transient(netlist, **times, start=start, **settled)
        return answer.sel(time=answer.time >= analysis.kept_from)
    if isinstance(analysis, Noise):
        limits = {"lowest": analysis.lowest, "highest": analysis.highest}
        return chosen.noise(netlist, analysis.nodes, **limits)
    if isinstance(analysis, SmallSignal):
        spacing = {} if analysis.spacing == "dec" else {"spacing": analysis.spacing}
        return chosen.small_signal(
            netlist,
            lowest=analysis.lowest,
            highest=analysis.highest,
            points=analysis.points,
            **spacing,
        )
    return chosen.operating_points(netlist)


def _sweep(chosen: Simulator, netlist: Netlist, sweep: DcSweep) -> "xr.Dataset":
    """Return the operating points of a sweep, those of one within another one after the other."""
    import xarray as xr

    if sweep.outer is not None:
        inner = replace(sweep, outer=None)
        circuits = (_with_value(netlist, sweep.outer.source, x) for x in sweep.outer.values)
        parts = [_sweep(chosen, circuit, inner) for circuit in circuits]
    elif isinstance(_swept(netlist, sweep.source), IndependentSource):
        return chosen.operating_points(netlist, {sweep.source: sweep.values})
    else:
        parts = [
            chosen.operating_points(_with_value(netlist, sweep.source, x)) for x in sweep.values
        ]
    joined: Any = xr.concat(parts, "sample", combine_attrs="override")
    return joined.assign_coords(sample=np.arange(joined.sizes["sample"]))


def _swept(netlist: Netlist, name: str) -> Any:
    """Return the element that is swept by its SPICE name, None for the temperature."""
    return next((e for e in netlist.elements if e.key == name), None)


def _with_value(netlist: Netlist, name: str, value: float) -> Netlist:
    """Return a netlist with another value of what is swept by a name."""
    if name == TEMPERATURE:
        return replace(netlist, temperature=value + 273.15)
    element = _swept(netlist, name)
    if isinstance(element, Resistor):
        return netlist.with_elements(replace_ohms(element, value))
    return netlist.with_elements(replace(element, **{element.unit: float(value)}))


def replace_ohms(resistor: Resistor, ohms: float) -> Resistor:
    """Return a resistor of another resistance."""
    return Resistor(resistor.name, resistor.plus, resistor.minus, ohms=ohms)


@dataclass(frozen=True, eq=False)
class Table:
    """What an analysis comes to: an `axis` of a name and its values, and `values` by name.

    The axis is None, and the values are (1,), at an operating point; else they are (points,).
    Names are ngspice's, in lower case: `v(out)`, `i(v1)` of a branch, `@r1[i]` and `@r1[p]` of what
    flows in an element and what it takes up.
    """

    axis: tuple[str, np.ndarray] | None
    values: dict[str, np.ndarray]

    @classmethod
    def of_plot(cls, plot: Plot) -> "Table":
        """Return the table of a plot of ngspice's own."""
        names = {name: name.lower() for name in plot.values}
        scale, *others = names
        values = {names[name]: plot.values[name] for name in others}
        if scale.startswith("v(") and "sweep" not in scale:  # an operating point has no scale
            return cls(None, {names[scale]: plot.values[scale]} | values)
        return cls((scale, np.real(plot.values[scale])), values)

    def json(self, line: str) -> dict[str, Any]:
        """Return it as an object of JSON, with the `line` of its analysis."""
        axis = self.axis and {"name": self.axis[0], "values": self.axis[1].tolist()}
        values = {name: _numbers(column) for name, column in self.values.items()}
        if self.axis is None:
            values = {name: column[0] for name, column in values.items()}
        return {"line": line, "axis": axis, "values": values}

    @classmethod
    def of(cls, netlist: Netlist, analysis: Any, dataset: "xr.Dataset") -> "Table":
        """Return the table of an analysis of a netlist, of a simulator's dataset."""
        if isinstance(analysis, Noise):
            values = {
                "onoise_spectrum": np.sqrt(dataset.density.values[:, 0]),
                "onoise_total": dataset.deviation.values[:1],
            }
            return cls(("frequency", dataset.frequency.values), values)
        axis = _axis(netlist, analysis, dataset)
        points = 1 if axis is None else len(axis[1])
        columns = dict(zip(dataset.node.values.tolist(), dataset.voltage.values.T, strict=True))
        columns |= _pinned(netlist, analysis, points, axis)
        values = {f"v({node})": columns[node] for node in netlist.nodes}
        for quantity, mark in (("current", "i"), ("power", "p")):
            if quantity in dataset:
                names = dataset.element.values.tolist()
                named = zip(names, dataset[quantity].values.T, strict=True)
                values |= {output_name(name, mark): column for name, column in named}
        return cls(axis, values)


def _numbers(column: np.ndarray) -> list[Any]:
    """Return numbers as JSON holds them: [re, im] of a complex one, null of what is none."""
    if np.iscomplexobj(column):
        pairs = zip(_numbers(np.real(column)), _numbers(np.imag(column)), strict=True)
        return [list(pair) for pair in pairs]
    return [value if math.isfinite(value) else None for value in column.tolist()]


BRANCHES = "vehl"
"""The letters of elements of which ngspice says i(name)."""


def output_name(name: str, mark: str) -> str:
    """Return ngspice's name of an element's current ("i") or power ("p")."""
    key = name.lower()
    if mark == "i" and key[:1] in BRANCHES:
        return f"i({key})"
    return f"@{key}[{'id' if mark == 'i' and key[:1] in 'dm' else mark}]"


def _axis(netlist: Netlist, analysis: Any, dataset: "xr.Dataset") -> tuple[str, np.ndarray] | None:
    """Return the axis of an analysis, None for an operating point."""
    if isinstance(analysis, DcSweep):
        kind = {"V": "v-sweep", "I": "i-sweep", "R": "res-sweep"}
        name = kind.get(analysis.source[:1], "temp-sweep")
        turns = 1 if analysis.outer is None else len(analysis.outer.values)
        return name, np.tile(analysis.values, turns)
    for name in ("time", "frequency"):
        if name in dataset.dims:
            return name, dataset[name].values
    return None


def _pinned(
    netlist: Netlist, analysis: Any, points: int, axis: tuple[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """Return the voltages (points,) of the nodes that ideal sources hold."""
    held: dict[str, np.ndarray] = {}
    for source in netlist.of(VoltageSource):
        node, sign = (source.plus, 1.0) if source.minus == GROUND else (source.minus, -1.0)
        if GROUND in (source.plus, source.minus) and node != GROUND:
            held[node] = sign * np.broadcast_to(_values(source, analysis, axis), points)
    return held


def _values(
    source: VoltageSource | CurrentSource, analysis: Any, axis: tuple[str, np.ndarray] | None
) -> Any:
    """Return what an independent source does in an analysis, a number or (points,)."""
    if isinstance(analysis, SmallSignal):
        return source.phasor
    if isinstance(analysis, Transient) and source.waveform is not None and axis is not None:
        return source.waveform.at(axis[1])
    if isinstance(analysis, DcSweep):
        if source.key == analysis.source:
            return axis[1] if axis is not None else source.value
        if analysis.outer is not None and source.key == analysis.outer.source:
            return np.repeat(analysis.outer.values, len(analysis.values))
    return source.value
