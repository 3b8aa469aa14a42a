"""The small-signal response of a circuit to the `ac` values of its sources."""

from dataclasses import dataclass
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
    """Return frequencies in Hz, `points` a decade: `lowest` · 10^(k/`points`) up to `highest`."""
    count = int(np.floor(points * np.log10(highest / lowest) + 1e-9)) + 1
    return lowest * 10 ** (np.arange(count) / points)


def frequencies(lowest: float, highest: float, points: int, spacing: str = "dec") -> np.ndarray:
    """Return the frequencies in Hz from `lowest` to `highest` of SPICE's `dec`, `oct` and `lin`.

    With `lin` there are `points` in all. With `oct` they are `lowest` · 2^(k/`points`); with `dec`
    they are `points` a decade, spread so that the last one is `highest`, as ngspice has it.
    """
    if spacing == "lin":
        return np.linspace(lowest, highest, points)
    if spacing == "oct":
        count = int(np.floor(points * np.log2(highest / lowest) + 1e-9))
        return lowest * 2.0 ** (np.arange(count + 1) / points)
    count = int(np.floor(points * np.log10(highest / lowest) + 1e-9))
    return np.geomspace(lowest, highest, count + 1)


@dataclass(frozen=True, eq=False)
class Linearised:
    """A circuit around its operating point; made by `of`.

    - `equations`: of which all voltage sources are branches, as their `ac` values drive nodes.
    - `point`: all voltages and currents at the operating point (1, places).
    """

    equations: Equations
    point: np.ndarray

    @classmethod
    def of(cls, netlist: Netlist, points: "xr.Dataset") -> "Linearised":
        """Return the circuit at `points`, a simulator's Dataset of one sample."""
        pinned = Equations.of(netlist)
        equations = Equations.of(netlist, pinning=False)
        known = pinned.voltages(unknowns_at(pinned, None, points), {})[0]
        names = (*equations.free, *map(current_of, equations.branches))
        # the current of a source that pins its node is in no term
        places = [pinned.find(name) for name in names]
        unknowns = np.array([known[place] if place >= 0 else 0.0 for place in places])
        return cls(equations, equations.voltages(unknowns[None], {}))

    def response(self, frequencies: np.ndarray) -> np.ndarray:
        """Return the solution of (J + 2πif C) z = a, a being the sources' `ac` values.

        J is the Jacobian of the modified nodal equations, C the capacitances and −L.

        **Arguments:** `frequencies` (frequencies,) in Hz.

        **Returns** complex voltages and currents (frequencies, places) in V and A.
        """
        equations, n = self.equations, self.equations.unknowns
        j = equations.jacobian(self.point[:, :n], {})[0]
        c = equations.capacitances_at(self.point[:, :n], {})[:n, :n].toarray()
        phasors = self.phasors()
        parts = (
            {name: np.array([get(z)]) for name, z in phasors.items()} for get in (np.real, np.imag)
        )
        real, imaginary = (equations.sources(part, 1)[0] for part in parts)
        solution = np.zeros((len(frequencies), equations.size), complex)
        for row, f in zip(solution, frequencies, strict=True):
            row[:n] = np.linalg.solve(j + 2j * np.pi * f * c, real + 1j * imaginary)
        return solution

    def phasors(self) -> dict[str, complex]:
        """Return the `ac` value of each independent source in V or A, by SPICE name."""
        sources = (e for e in self.equations.netlist.elements if isinstance(e, IndependentSource))
        return {source.key: source.phasor for source in sources}
