"""The current of a memristor over its voltage, as a simulator finds it."""

from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import GROUND
from ..elements.sources import Transresistance, VoltageSource
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
    """A memristor on an ideal source: `voltage` (V), `current` (A) and `state` over `time` (s), to `stop` in steps of at most `step` s.

    The current is the simulator's own, that of the source. Raises as `Simulator.transient`.
    """
    import xarray as xr

    memristor = Memristor("device", "in", GROUND, model, state)
    source = VoltageSource("in", "in", GROUND, 0.0, waveform=waveform)
    sense = Transresistance("sense", "amperes", GROUND, source.key, -1.0)
    netlist = Netlist(
        f"Hysteresis of {type(model).__name__}", (source, *memristor.elements(), sense)
    )
    found = simulator.transient(netlist, stop=stop, step=step, start=memristor.start).voltage
    quantities = {
        "voltage": ("in", "V"),
        "current": ("amperes", "A"),
        "state": (memristor.node, "1"),
    }
    return xr.Dataset(
        {
            name: ("time", found.sel(node=node).values, {"units": units})
            for name, (node, units) in quantities.items()
        },
        coords={"time": found.time},
        attrs={"simulator": simulator.version(), "model": type(model).__name__},
    )


def separation(points: "xr.Dataset", loop: "xr.Dataset") -> float:
    """How far the points of one loop are from the line of another at most, voltages and currents being in units of the line's peaks.

    Where a memristor switches at once, two loops that lie upon each other may differ by all of the current at one time.
    """
    peaks = [float(np.abs(loop[name]).max()) for name in ("voltage", "current")]
    line, dots = (
        np.stack([d.voltage.values / peaks[0], d.current.values / peaks[1]], axis=1)
        for d in (loop, points)
    )
    starts, spans = line[:-1], np.diff(line, axis=0)
    lengths = np.maximum(np.sum(spans**2, axis=1), np.finfo(float).tiny)
    largest = 0.0
    for dot in dots:
        along = np.clip(np.sum((dot - starts) * spans, axis=1) / lengths, 0.0, 1.0)
        nearest = starts + along[:, None] * spans
        largest = max(largest, float(np.min(np.sum((dot - nearest) ** 2, axis=1))))
    return float(np.sqrt(largest))
