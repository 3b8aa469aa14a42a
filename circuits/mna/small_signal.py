"""The small-signal response of a circuit to the `ac` values of its sources, around an operating point."""

from collections.abc import Mapping

import numpy as np

from ..elements.sources import CurrentSource, VoltageSource
from ..netlist.netlist import Netlist
from .equations import Equations


def decades(lowest: float, highest: float, points: int) -> np.ndarray:
    """The frequencies of SPICE's `dec`: `lowest` times 10^(k/points), as far as `highest`."""
    count = int(np.floor(points * np.log10(highest / lowest) + 1e-9)) + 1
    return lowest * 10 ** (np.arange(count) / points)


def response(
    netlist: Netlist, voltages: Mapping[str, float], frequencies: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray]:
    """The nodes, and their complex voltages (frequencies, nodes) in V: the solution of (J + 2πif C) z = a.

    J is the Jacobian of the modified nodal equations at `voltages` (V, by node, as an operating point has them), every voltage source a
    branch; C the capacitances and −L; a the sources' `ac` values. Frequencies in Hz.
    """
    equations = Equations(netlist, pinning=False)
    unknowns = np.zeros((1, equations.unknowns))
    for node, volts in voltages.items():
        unknowns[0, equations.place(node)] = volts
    j, c = equations.jacobian(unknowns, {})[0], equations.capacitances()
    sources = (*netlist.of(VoltageSource), *netlist.of(CurrentSource))
    pushed = equations.sources({source.key: np.array([source.ac]) for source in sources}, 1)[0]
    found = np.stack([np.linalg.solve(j + 2j * np.pi * f * c, pushed) for f in frequencies])
    return equations.free, found[:, : len(equations.free)]
