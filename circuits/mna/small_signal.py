"""The small-signal response of a circuit to the `ac` values of its sources."""

from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import current_of
from ..elements.sources import IndependentSource
from ..netlist.netlist import Netlist
from .dae import unknowns_at
from .equations import Equations

if TYPE_CHECKING:
    import xarray as xr


def decades(lowest: float, highest: float, points: int) -> np.ndarray:
    """Return the frequencies in Hz of SPICE's `dec`: `lowest` · 10^(k/`points`) up to `highest`."""
    count = int(np.floor(points * np.log10(highest / lowest) + 1e-9)) + 1
    return lowest * 10 ** (np.arange(count) / points)


def response(netlist: Netlist, points: "xr.Dataset", frequencies: np.ndarray) -> np.ndarray:
    """Return the response of the free nodes: the solution of (J + 2πif C) z = a.

    J is the Jacobian of the modified nodal equations at the operating point, C the capacitances and
    −L, a the sources' `ac` values. A source to ground, too, is a branch here, as its `ac` value
    drives its node.

    **Arguments:** `points`: the operating point, a simulator's Dataset of one sample.
    `frequencies` (frequencies,) in Hz.

    **Returns** complex voltages (frequencies, free nodes) in V.
    """
    pinned = Equations.of(netlist)
    equations = Equations.of(netlist, pinning=False)
    known = pinned.voltages(unknowns_at(pinned, None, points), {})[0]
    unknowns = np.zeros((1, equations.unknowns))
    for node in equations.free:
        unknowns[0, equations.place(node)] = known[pinned.place(node)]
    for branch in pinned.branches:
        name = current_of(branch)
        unknowns[0, equations.place(name)] = known[pinned.place(name)]

    j, c = equations.jacobian(unknowns, {})[0], equations.capacitances()
    sources = [e for e in netlist.elements if isinstance(e, IndependentSource)]
    amplitudes = {source.key: np.array([source.ac]) for source in sources}
    pushed = equations.sources(amplitudes, 1)[0]
    solution = np.stack([np.linalg.solve(j + 2j * np.pi * f * c, pushed) for f in frequencies])
    return solution[:, [equations.place(node) for node in pinned.free]]
