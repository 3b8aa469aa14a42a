"""Hysteresis loops: the current of a memristor over its voltage, by a simulator."""

from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import GROUND
from ..elements.controlled import Transresistance
from ..elements.sources import VoltageSource
from ..elements.waveforms import Waveform
from ..netlist.netlist import Netlist
from ..simulators.base import Simulator
from .base import Memristor, MemristorModel

if TYPE_CHECKING:
    import xarray as xr


def hysteresis(
    simulator: Simulator,
    model: MemristorModel,
    waveform: Waveform,
    *,
    state: float,
    stop: float,
    step: float,
) -> "xr.Dataset":
    """Return the transient of a memristor on an ideal voltage source.

    **Arguments:**

    - `simulator`: that integrates the circuit.
    - `model`: of the memristor.
    - `waveform`: of the source, in V.
    - `state`: of the memristor at time 0, from 0 to 1.
    - `stop`: the end, in s.
    - `step`: the longest step, in s.

    **Returns** a dataset of `voltage` (V), `current` (A) and `state` over `time` (s); the current
    is that of the source, as the simulator computes it.

    **Raises** as `Simulator.transient` does.
    """
    import xarray as xr

    memristor = Memristor("device", "in", GROUND, model, state)
    source = VoltageSource("in", "in", GROUND, 0.0, waveform=waveform)
    sense = Transresistance("sense", "amperes", GROUND, source.key, -1.0)
    netlist = Netlist(
        f"Hysteresis of {type(model).__name__}", (source, *memristor.elements(), sense)
    )
    voltages = simulator.transient(netlist, stop=stop, step=step, start=memristor.start).voltage
    quantities = {
        "voltage": ("in", "V"),
        "current": ("amperes", "A"),
        "state": (memristor.node, "1"),
    }
    return xr.Dataset(
        {
            name: ("time", voltages.sel(node=node).values, {"units": units})
            for name, (node, units) in quantities.items()
        },
        coords={"time": voltages.time},
        attrs={"simulator": simulator.version(), "model": type(model).__name__},
    )


def separation(points: "xr.Dataset", loop: "xr.Dataset") -> float:
    """Return the largest distance of one loop's points from the line of another.

    Voltages and currents are in units of the line's peaks. Distances are not taken at equal times:
    where a memristor switches at once, two loops that lie upon each other may differ by all of the
    current at one time.

    **Arguments:**

    - `points`: a loop as of `hysteresis`, taken as points.
    - `loop`: a loop as of `hysteresis`, taken as a line.
    """
    peaks = [float(np.abs(loop[name]).max()) for name in ("voltage", "current")]
    line, dots = (
        np.stack([data.voltage.values / peaks[0], data.current.values / peaks[1]], axis=1)
        for data in (loop, points)
    )

    starts, spans = line[:-1], np.diff(line, axis=0)
    lengths = np.maximum(np.sum(spans**2, axis=1), np.finfo(float).tiny)
    largest = 0.0
    for dot in dots:
        along = np.clip(np.sum((dot - starts) * spans, axis=1) / lengths, 0.0, 1.0)
        nearest = starts + along[:, None] * spans
        largest = max(largest, float(np.min(np.sum((dot - nearest) ** 2, axis=1))))
    return float(np.sqrt(largest))
