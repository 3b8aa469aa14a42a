"""The modified nodal equations of a netlist: what an answer of a simulator is checked against, and what `Nodal` solves.

Voltage sources to ground pin their node. The unknowns z are the voltages of the other nodes and the currents of the branches whose
current cannot be told from voltages: other voltage sources, controlled ones, inductors. With v all of them and the pinned voltages,

    F(v) = A v + Σ non-linear currents − Σ independent sources = 0,        J = ∂F/∂z,

a row for each unknown: Kirchhoff's current law at a node (A out of the node), the voltage law of a branch (V).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import GROUND
from ..elements.diodes import Diode
from ..elements.expressions import Current
from ..elements.passive import Capacitor, ConductanceMatrix, Inductor, Resistor
from ..elements.sources import (
    Behavioural,
    CurrentGain,
    CurrentSource,
    IndependentSource,
    Transconductance,
    Transresistance,
    VoltageGain,
    VoltageSource,
)
from ..netlist.lint import fixes_voltage
from ..netlist.netlist import Netlist, NetlistError
from ..units import Array
from .nonlinear import Group, Told, channel_group, current_of, junction_group

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Drives = Mapping[str, np.ndarray]
"""Values of sources over samples, by SPICE name (`Vin3p`, `Inorton_h17`): arrays (samples,) in volts or amperes."""


def values_of(drives: Drives | None, netlist: Netlist) -> tuple[dict[str, np.ndarray], int]:
    """`drives` as arrays of one length, and that length. Raises `ValueError` for names, lengths and values that do not fit."""
    sources = {e.key for e in (*netlist.of(VoltageSource), *netlist.of(CurrentSource))}
    arrays = {
        name: np.atleast_1d(np.asarray(values, float)) for name, values in (drives or {}).items()
    }
    lengths = {values.shape for values in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 or shape[0] == 0 for shape in lengths):
        raise ValueError(
            f"`drives` must hold one value for each sample and source, but have shapes {sorted(lengths)}"
        )
    if unknown := sorted(arrays.keys() - sources):
        raise ValueError(
            f"`drives` must name sources of the netlist by their SPICE names, but {unknown[0]!r} is none"
        )
    if arrays and not np.isfinite(np.stack(list(arrays.values()))).all():
        name, values = next(
            (name, values) for name, values in arrays.items() if not np.isfinite(values).all()
        )
        raise ValueError(
            f"`drives` must be finite, but {name!r} is {values[~np.isfinite(values)][0]}"
        )
    return arrays, next(iter(lengths))[0] if lengths else 1


def one_sample(drives: Drives, sample: int) -> dict[str, np.ndarray]:
    """Return the `drives` of one sample, as arrays (1,)."""
    return {name: values[sample : sample + 1] for name, values in drives.items()}


@dataclass(frozen=True)
class Equations:
    """The modified nodal equations of a netlist.

    `pinning`: whether sources to ground pin their node, or are branches as all others. `free`: its nodes without a pinning source.
    `branches`: the elements whose current is an unknown. `pinned`: the other nodes. `groups`: what is not linear; `channels`: those of
    them that are transistors'.

    Raises `NetlistError` for two voltage sources from one node to ground, and for a current that is controlled by no source.
    """

    netlist: Netlist
    pinning: bool = True
    free: tuple[str, ...] = field(init=False)
    branches: tuple[str, ...] = field(init=False)
    pinned: tuple[str, ...] = field(init=False)
    linear: "csr_array" = field(init=False, repr=False)
    told: tuple[Told, ...] = field(init=False, repr=False)
    groups: list[Group] = field(init=False, repr=False)
    channels: list[Group] = field(init=False, repr=False)
    _places: dict[str, int] = field(init=False, repr=False)
    _pins: dict[str, VoltageSource] = field(init=False, repr=False)

    def __post_init__(self):
        sensed = _sensed(self.netlist)
        pins: dict[str, VoltageSource] = {}
        branches: list[str] = []
        for element in self.netlist.elements:
            if (
                self.pinning
                and isinstance(element, VoltageSource)
                and element.key not in sensed
                and (element.plus == GROUND) != (element.minus == GROUND)
            ):
                node = element.plus if element.minus == GROUND else element.minus
                if node in pins:
                    raise NetlistError(
                        f"node {node!r} must have one voltage source, but has {element.key} and {pins[node].key}"
                    )
                pins[node] = element
            elif fixes_voltage(element):
                branches.append(element.letter + element.name)
        if unknown := sorted(sensed - {e.key for e in self.netlist.of(VoltageSource)}):
            raise NetlistError(
                f"currents must be those of voltage sources of the netlist, but {unknown} are none"
            )
        free = tuple(node for node in self.netlist.nodes if node not in pins)
        places = {
            place: i
            for i, place in enumerate((*free, *(current_of(b) for b in branches), *pins, GROUND))
        }
        for name, value in (
            ("free", free),
            ("branches", tuple(branches)),
            ("pinned", tuple(pins)),
            ("_places", places),
            ("_pins", pins),
        ):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "linear", _linear(self))
        told = tuple(Told.of(element, self.place) for element in self.netlist.of(Behavioural))
        object.__setattr__(self, "told", told)
        by_expression = [
            Group(tuple(np.array([row]) for row in one.rows), one.signs, one.law) for one in told
        ]
        object.__setattr__(self, "channels", channel_group(self.netlist, self.place))
        object.__setattr__(
            self,
            "groups",
            [*junction_group(self.netlist, self.place), *self.channels, *by_expression],
        )

    @cached_property
    def passive(self) -> bool:
        """Whether all its elements are conductances, capacitances, inductances, diodes and independent sources: one stable point."""
        kinds = {
            Resistor,
            ConductanceMatrix,
            Capacitor,
            Inductor,
            Diode,
            VoltageSource,
            CurrentSource,
        }
        return kinds.issuperset(map(type, self.netlist.elements))

    @property
    def unknowns(self) -> int:
        """How many unknowns there are: free nodes and branches."""
        return len(self.free) + len(self.branches)

    @property
    def size(self) -> int:
        """How many voltages and currents there are in all: unknowns, pinned nodes, ground."""
        return len(self._places)

    def find(self, node: str) -> int:
        """As `place`, and −1 for a node that the netlist does not have."""
        return self._places.get(node, -1)

    def place(self, name: str) -> int:
        """The index of a node, or of `current_of` a branch, among all: free nodes, branches, pinned nodes, ground."""
        return self._places[name]

    def pinned_voltages(self, drives: Drives, samples: int) -> dict[str, np.ndarray]:
        """The voltage (samples,) of every pinned node."""
        return {
            node: (1.0 if source.minus == GROUND else -1.0) * _driven(source, drives, samples)
            for node, source in self._pins.items()
        }

    def voltages(self, unknowns: Array, drives: Drives) -> Array:
        """All voltages and currents (samples, places) from the unknowns: those, the pinned nodes, ground."""
        xp = unknowns.__array_namespace__()
        samples = len(unknowns)
        pinned = self.pinned_voltages(drives, samples)
        return xp.concatenate(
            [unknowns, *(pinned[node][:, None] for node in self.pinned), xp.zeros((samples, 1))],
            axis=1,
        )

    def sources(self, drives: Drives, samples: int) -> np.ndarray:
        """What the independent sources push into each row (samples, unknowns): A into nodes, V of branches."""
        pushed = np.zeros((samples, self.size))
        for source in self.netlist.of(CurrentSource):
            value = _driven(source, drives, samples)
            pushed[:, self.place(source.plus)] -= value
            pushed[:, self.place(source.minus)] += value
        for source in self.netlist.of(VoltageSource):
            if (place := self._places.get(current_of(source.key))) is not None:
                pushed[:, place] += _driven(source, drives, samples)
        return pushed[:, : self.unknowns]

    def residual(self, unknowns: np.ndarray, drives: Drives) -> tuple[np.ndarray, np.ndarray]:
        """F, and the sum of the sizes of its terms, at unknowns (samples, unknowns)."""
        v, pushed = self.voltages(unknowns, drives), self.sources(drives, len(unknowns))
        n = self.unknowns
        total, sizes = (
            (self.linear @ v.T).T[:, :n] - pushed,
            (abs(self.linear) @ np.abs(v).T).T[:, :n] + np.abs(pushed),
        )
        for group in self.groups:
            term, _ = group.law(v)
            for rows, sign in zip(group.rows, group.signs, strict=True):
                inside = rows < n
                np.add.at(
                    total.T,
                    rows[inside],
                    sign * np.broadcast_to(term, (len(v), len(rows))).T[inside],
                )
                np.add.at(
                    sizes.T,
                    rows[inside],
                    np.abs(np.broadcast_to(term, (len(v), len(rows)))).T[inside],
                )
        return total, sizes

    def slopes(
        self, v: Array, groups: Sequence[Group]
    ) -> list[tuple[np.ndarray, np.ndarray, Array]]:
        """The part of `groups` in J at all voltages `v`: rows, columns and values (samples, k), where both are unknowns."""
        found = []
        for group in groups:
            for places, slope in group.law(v)[1]:
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    inside = np.flatnonzero((rows < self.unknowns) & (places < self.unknowns))
                    value = sign * slope * v.__array_namespace__().ones((len(v), len(rows)))
                    found.append((rows[inside], places[inside], value[:, inside]))
        return found

    def sparse_jacobian(self, unknowns: np.ndarray, drives: Drives) -> "list[csc_array]":
        """J of every sample (unknowns,), sparse; one for all where the circuit is linear."""
        from scipy.sparse import coo_array

        n = self.unknowns
        linear = self.linear[:n, :n]
        if not self.groups:
            return [linear.tocsc()]
        parts = self.slopes(self.voltages(unknowns, drives), self.groups)
        rows, columns = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        values = np.concatenate([part[2] for part in parts], axis=1)
        return [
            (linear + coo_array((own, (rows, columns)), shape=(n, n))).tocsc() for own in values
        ]

    def jacobian(
        self, unknowns: np.ndarray, drives: Drives, *, channels: bool = True
    ) -> np.ndarray:
        """J (samples, unknowns, unknowns), dense; with `channels` or without those of transistors."""
        n = self.unknowns
        j = np.tile(self.linear[:n, :n].toarray(), (len(unknowns), 1, 1))
        groups = [group for group in self.groups if channels or group not in self.channels]
        for rows, columns, values in self.slopes(self.voltages(unknowns, drives), groups):
            np.add.at(j.transpose(1, 2, 0), (rows, columns), values.T)
        return j

    def capacitances(self) -> np.ndarray:
        """C, what multiplies dz/dt: the capacitance matrix of the free nodes in F, and −L in H for inductors."""
        return self.sparse_capacitances[: self.unknowns, : self.unknowns].toarray()

    def driven_capacitances(self) -> np.ndarray:
        """The capacitances (unknowns, pinned nodes and ground) in F: what they couple in when a pinned node moves."""
        return self.sparse_capacitances[: self.unknowns, self.unknowns :].toarray()

    @cached_property
    def sparse_capacitances(self) -> "csr_array":
        """C with a row and a column for each place; rows of pinned nodes and of ground mean nothing."""
        from scipy.sparse import coo_array

        capacitors, inductors = self.netlist.of(Capacitor), self.netlist.of(Inductor)
        a, b = (
            np.array([(self.place(c.plus), self.place(c.minus)) for c in capacitors], int)
            .reshape(-1, 2)
            .T
        )
        own = np.array([self.place(current_of(f"L{inductor.name}")) for inductor in inductors], int)
        farads, henries = (
            np.array([c.farads for c in capacitors], float),
            np.array([i.henries for i in inductors], float),
        )
        rows, columns = np.concatenate([a, b, a, b, own]), np.concatenate([a, b, b, a, own])
        values = np.concatenate([farads, farads, -farads, -farads, -henries])
        return coo_array((values, (rows, columns)), shape=(self.size, self.size)).tocsr()


def _sensed(netlist: Netlist) -> set[str]:
    """The names of the sources whose current controls something."""
    found = {e.source for e in (*netlist.of(CurrentGain), *netlist.of(Transresistance))}
    return found | {
        control.source
        for e in netlist.of(Behavioural)
        for control in e.controls
        if isinstance(control, Current)
    }


def _linear(equations: Equations) -> "csr_array":
    """A, with a row and a column for each place; rows of pinned nodes and of ground mean nothing."""
    from scipy.sparse import coo_array

    place, branches = equations.place, set(equations.branches)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [
        (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    ]
    single: list[tuple[int, int, float]] = []

    def transfer(to: Sequence[str], by: Sequence[str], siemens: float) -> None:
        """A current of `siemens` times the voltage between the nodes `by`, from the first node of `to` to the second."""
        for row, sign in zip(to, (1.0, -1.0), strict=True):
            single.extend(
                (place(row), place(column), sign * other * siemens)
                for column, other in zip(by, (1.0, -1.0), strict=True)
            )

    def join(rows: np.ndarray, columns: np.ndarray, g: np.ndarray) -> None:
        """Conductances between rows and columns."""
        parts.extend(
            [(rows, rows, g), (columns, columns, g), (rows, columns, -g), (columns, rows, -g)]
        )

    netlist = equations.netlist
    resistors = netlist.of(Resistor)
    ends = np.array(
        [(place(resistor.plus), place(resistor.minus)) for resistor in resistors], int
    ).reshape(-1, 2)
    join(ends[:, 0], ends[:, 1], np.array([resistor.siemens for resistor in resistors], float))
    for element in netlist.of(ConductanceMatrix):
        i, j = np.nonzero(element.siemens)  # a node without conductances is in no circuit
        rows = np.array([equations.find(node) for node in element.rows])[i]
        columns = np.array([equations.find(node) for node in element.columns])[j]
        join(rows, columns, element.siemens[i, j])
    for element in netlist.of(Transconductance):
        transfer(element.nodes[:2], element.nodes[2:], element.siemens)
    for element in netlist.of(CurrentGain):
        column = place(current_of(element.source))
        single += [
            (place(element.plus), column, element.gain),
            (place(element.minus), column, -element.gain),
        ]
    for kind in (VoltageSource, VoltageGain, Transresistance, Inductor, Behavioural):
        for element in netlist.of(kind):
            if (name := element.letter + element.name) not in branches:
                continue
            row = place(current_of(name))
            for node, sign in ((element.plus, 1.0), (element.minus, -1.0)):
                single += [(place(node), row, sign), (row, place(node), sign)]
            if isinstance(element, VoltageGain):
                single += [
                    (row, place(element.control_plus), -element.gain),
                    (row, place(element.control_minus), element.gain),
                ]
            elif isinstance(element, Transresistance):
                single.append((row, place(current_of(element.source)), -element.ohms))
    if single:
        rows, columns, values = zip(*single, strict=True)
        parts.append((np.array(rows), np.array(columns), np.array(values)))
    rows, columns, values = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return coo_array((values, (rows, columns)), shape=(equations.size, equations.size)).tocsr()


def _driven(source: IndependentSource, drives: Drives, samples: int) -> np.ndarray:
    values = drives.get(source.key)
    return (
        np.full(samples, float(source.value))
        if values is None
        else np.broadcast_to(values, samples)
    )
