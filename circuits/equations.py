"""Kirchhoff's current law at every free node of a netlist, in NumPy: what an answer of a simulator is checked against.

Voltage sources to ground pin their node; the other nodes are free. With v all node voltages, the currents that leave a free node are

    F(v) = G v + Σ devices i(v_a − v_b) + Σ sources,        J = ∂F/∂v over the free nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .curves import CurveSource
from .devices import Clamp, Diode
from .elements import GROUND, Capacitor, ConductanceMatrix, CurrentSource, Resistor, Transconductance, VoltageSource
from .netlist import Netlist, NetlistError

Drives = Mapping[str, np.ndarray]
"""Values of sources over samples, by SPICE name (`Vin3p`, `Inorton_h17`): arrays (samples,) in volts or amperes."""


def values_of(drives: Drives | None, netlist: Netlist) -> tuple[dict[str, np.ndarray], int]:
    """`drives` as arrays of one length, and that length. Raises `ValueError` for names, lengths and values that do not fit."""
    sources = {f"V{e.name}" for e in netlist.elements if isinstance(e, VoltageSource)}
    sources |= {f"I{e.name}" for e in netlist.elements if isinstance(e, CurrentSource)}
    arrays = {name: np.atleast_1d(np.asarray(values, float)) for name, values in (drives or {}).items()}
    lengths = {values.shape for values in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 or shape[0] == 0 for shape in lengths):
        raise ValueError(f"`drives` must hold one value for each sample and source, but have shapes {sorted(lengths)}")
    for name, values in arrays.items():
        if name not in sources:
            raise ValueError(f"`drives` must name sources of the netlist by their SPICE names, but {name!r} is none")
        if not np.isfinite(values).all():
            raise ValueError(f"`drives` must be finite, but {name!r} is {values[~np.isfinite(values)][0]}")
    return arrays, next(iter(lengths))[0] if lengths else 1


@dataclass(frozen=True)
class _Junctions:
    """All elements of one law: indices of the first and second node, and the law as functions of the voltage between them."""

    first: np.ndarray
    second: np.ndarray
    current: Any
    conductance: Any


@dataclass(frozen=True)
class Certificate:
    """What speaks for operating points, per sample.

    - `correction`: the largest component of the Newton step J⁻¹F, in V: the distance to the fixed point.
    - `kcl`: the largest |F| at a node over the sum of the sizes of the currents there.
    - `stable`: whether J (its symmetric part) is positive definite, so that the point is a minimum and no saddle.
    """

    correction: np.ndarray
    kcl: np.ndarray
    stable: np.ndarray


@dataclass(frozen=True)
class Equations:
    """The nodal equations of a netlist. Raises `NetlistError` for a voltage source that is not between a node and ground."""

    netlist: Netlist
    free: tuple[str, ...] = field(init=False)
    pinned: tuple[str, ...] = field(init=False)
    _places: dict[str, int] = field(init=False, repr=False)
    _linear: np.ndarray = field(init=False, repr=False)
    _junctions: list[_Junctions] = field(init=False, repr=False)

    def __post_init__(self):
        pinned: dict[str, str] = {}
        for source in self._of(VoltageSource):
            if (source.plus == GROUND) == (source.minus == GROUND):
                raise NetlistError(f"voltage source V{source.name} must be between a node and ground, but is between {source.nodes}")
            node = _pinned_node(source)
            if node in pinned:
                raise NetlistError(f"node {node!r} must have one voltage source, but has V{source.name} and V{pinned[node]}")
            pinned[node] = source.name
        free = tuple(node for node in self.netlist.nodes if node not in pinned)
        places = {node: i for i, node in enumerate((*free, *pinned, GROUND))}
        for name, value in (("free", free), ("pinned", tuple(pinned)), ("_places", places)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_linear", self._linear_part())
        object.__setattr__(self, "_junctions", self._junction_part())

    def _of(self, kind: type) -> list[Any]:
        return [element for element in self.netlist.elements if isinstance(element, kind)]

    def _linear_part(self) -> np.ndarray:
        """G: the current out of each node per volt of each node, free nodes first, then pinned ones, then ground."""
        place = self._places
        g = np.zeros((len(place), len(place)))
        for matrix in self._of(ConductanceMatrix):
            rows = np.array([place.get(node, -1) for node in matrix.rows])  # a node without conductances is in no circuit
            columns = np.array([place.get(node, -1) for node in matrix.columns])
            np.add.at(g, (rows[:, None], columns[None, :]), -matrix.siemens)
            np.add.at(g, (columns[:, None], rows[None, :]), -matrix.siemens.T)
            np.add.at(g, (rows, rows), matrix.siemens.sum(1))
            np.add.at(g, (columns, columns), matrix.siemens.sum(0))
        for resistor in self._of(Resistor):
            a, b = place[resistor.plus], place[resistor.minus]
            np.add.at(g, ([a, b, a, b], [a, b, b, a]), np.array([1, 1, -1, -1]) * resistor.siemens)
        for source in self._of(Transconductance):
            a, b, c, d = (place[node] for node in source.nodes)
            np.add.at(g, ([a, a, b, b], [c, d, c, d]), np.array([1, -1, -1, 1]) * source.siemens)
        return g

    def _junction_part(self) -> list[_Junctions]:
        groups = []
        for model in self.netlist.junctions:
            diodes: list[Diode] = [diode for diode in self._of(Diode) if diode.model == model]
            area = np.array([diode.area for diode in diodes])
            groups.append(
                _Junctions(
                    np.array([self._places[diode.anode] for diode in diodes]),
                    np.array([self._places[diode.cathode] for diode in diodes]),
                    lambda v, law=model, area=area: law.current(v, area),
                    lambda v, law=model, area=area: law.conductance(v, area),
                )
            )
        for clamp in (*self._of(Clamp), *self._of(CurveSource)):
            first, second = (np.array([self._places[node]]) for node in clamp.nodes)
            groups.append(_Junctions(first, second, clamp.current, clamp.conductance))
        return groups

    def pinned_voltages(self, drives: Drives, samples: int) -> dict[str, np.ndarray]:
        """The voltage (samples,) of every pinned node."""
        return {
            _pinned_node(source): (1.0 if source.minus == GROUND else -1.0) * _driven(f"V{source.name}", source.volts, drives, samples)
            for source in self._of(VoltageSource)
        }

    def voltages(self, free: np.ndarray, drives: Drives) -> np.ndarray:
        """All node voltages (samples, nodes) from those of the free nodes: free, pinned, ground."""
        pinned = self.pinned_voltages(drives, len(free))
        return np.concatenate([free, *(pinned[node][:, None] for node in self.pinned), np.zeros((len(free), 1))], axis=1)

    def residual(self, free: np.ndarray, drives: Drives) -> tuple[np.ndarray, np.ndarray]:
        """F, and the sum of the sizes of its terms, at free-node voltages (samples, free nodes); both in A."""
        v = self.voltages(free, drives)
        currents, sizes = v @ self._linear.T, np.abs(v) @ np.abs(self._linear).T
        for group in self._junctions:
            i = group.current(v[:, group.first] - v[:, group.second])
            for total, first, second in ((currents, i, -i), (sizes, np.abs(i), np.abs(i))):
                np.add.at(total.T, group.first, first.T)
                np.add.at(total.T, group.second, second.T)
        for source in self._of(CurrentSource):
            i = _driven(f"I{source.name}", source.amperes, drives, len(free))
            for node, sign in ((source.plus, 1), (source.minus, -1)):
                currents[:, self._places[node]] += sign * i
                sizes[:, self._places[node]] += np.abs(i)
        n = len(self.free)
        return currents[:, :n], sizes[:, :n]

    def jacobian(self, free: np.ndarray, drives: Drives) -> np.ndarray:
        """J = ∂F/∂v (samples, free nodes, free nodes), in S."""
        v = self.voltages(free, drives)
        n = len(self.free)
        j = np.zeros((len(free), n + 1, n + 1))  # the last row and column take what does not concern two free nodes
        j[:, :n, :n] = self._linear[:n, :n]
        for group in self._junctions:
            g = group.conductance(v[:, group.first] - v[:, group.second])
            first, second = np.minimum(group.first, n), np.minimum(group.second, n)
            for row, column, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
                np.add.at(j.transpose(1, 2, 0), (row, column), sign * g.T)
        return j[:, :n, :n]

    def capacitances(self) -> np.ndarray:
        """C, the capacitance matrix of the free nodes, in F."""
        c = np.zeros((len(self._places), len(self._places)))
        for capacitor in self._of(Capacitor):
            a, b = self._places[capacitor.plus], self._places[capacitor.minus]
            np.add.at(c, ([a, b, a, b], [a, b, b, a]), np.array([1, 1, -1, -1]) * capacitor.farads)
        return c[: len(self.free), : len(self.free)]

    def certificate(self, free: np.ndarray, drives: Drives) -> Certificate:
        """The certificate of voltages of the free nodes (samples, free nodes); NaN voltages have NaN and are not stable."""
        known = np.isfinite(free).all(1)
        correction, kcl, stable = np.full(len(free), np.nan), np.full(len(free), np.nan), np.zeros(len(free), bool)
        chosen = {name: np.broadcast_to(values, len(free))[known] for name, values in drives.items()}
        f, sizes = self.residual(free[known], chosen)
        j = self.jacobian(free[known], chosen)
        kcl[known] = np.max(np.abs(f) / np.where(sizes > 0, sizes, 1.0), axis=1, initial=0.0)
        correction[known], stable[known] = _newton_step(f, j)
        return Certificate(correction, kcl, stable)


def _pinned_node(source: VoltageSource) -> str:
    return source.plus if source.minus == GROUND else source.minus


def _driven(name: str, value: float, drives: Drives, samples: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(drives.get(name, value), float), samples)


def _newton_step(f: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest component of J⁻¹F, NaN where J is singular, and whether J is positive definite; per sample."""
    try:
        steps = np.max(np.abs(np.linalg.solve(j, f[..., None])), axis=(1, 2), initial=0.0)
    except np.linalg.LinAlgError:
        if len(f) == 1:
            return np.full(1, np.nan), np.zeros(1, bool)
        parts = [_newton_step(f[i : i + 1], j[i : i + 1]) for i in range(len(f))]  # to say which is singular
        return np.concatenate([step for step, _ in parts]), np.concatenate([stable for _, stable in parts])
    return steps, np.array([_positive_definite(one) for one in j], bool)


def _positive_definite(j: np.ndarray) -> bool:
    """Whether the symmetric part of a nonsingular J is positive definite: at a glance where it dominates by its diagonal."""
    diagonal = np.diagonal(j)
    sizes = np.abs(j)
    if np.all(2 * diagonal * (1 + 1e-12) >= (sizes.sum(0) + sizes.sum(1)) / 2) and np.all(diagonal > 0):
        return True
    try:
        np.linalg.cholesky((j + j.T) / 2)
    except np.linalg.LinAlgError:
        return False
    return True
