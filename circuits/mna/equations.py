"""The modified nodal equations of a netlist.

They are what an answer of a simulator is checked against, and what `Nodal` solves. Voltage sources
to ground pin their node. The unknowns z are the voltages of the other nodes and the currents of the
branches whose current cannot be told from voltages: other voltage sources, controlled ones,
inductors. With v all of them and the pinned voltages,

    F(v) = A v + Σ non-linear terms − Σ independent sources = 0,        J = ∂F/∂z,

a row for each unknown: Kirchhoff's current law at a node (A out of the node), the voltage law of a
branch (V).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import GROUND, Stamps, current_of
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..netlist.netlist import Netlist, NetlistError
from ..units import Array
from .nonlinear import TermGroup, term_groups

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Drives = Mapping[str, np.ndarray]
"""Values of sources over samples, by SPICE name (`Vin3p`, `Inorton_h17`): arrays (samples,) in
volts or amperes."""


def values_of(drives: Drives | None, netlist: Netlist) -> tuple[dict[str, np.ndarray], int]:
    """Return `drives` as arrays of one length, and that length.

    **Arguments:** `drives`: by SPICE name (samples,) in V or A; a number is one sample, and without
    any there is one. `netlist`: whose sources they must be.

    **Raises** `ValueError` for names, lengths and values that do not fit.
    """
    sources = {e.key for e in (*netlist.of(VoltageSource), *netlist.of(CurrentSource))}
    arrays = {
        name: np.atleast_1d(np.asarray(values, float)) for name, values in (drives or {}).items()
    }
    lengths = {values.shape for values in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 or shape[0] == 0 for shape in lengths):
        raise ValueError(
            "`drives` must hold one value for each sample and source, "
            f"but have shapes {sorted(lengths)}"
        )
    if unknown := sorted(arrays.keys() - sources):
        raise ValueError(
            "`drives` must name sources of the netlist by their SPICE names, "
            f"but {unknown[0]!r} is none"
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


@dataclass(frozen=True, eq=False)
class Equations:
    """The modified nodal equations of a netlist, made by `of`.

    - `netlist`. `pinning`: whether sources to ground pin their node, or are branches as all others.
    - `free`: its nodes without a pinning source. `branches`: the SPICE names of the elements whose
      current is an unknown. `pinned`: the other nodes.
    """

    netlist: Netlist
    pinning: bool
    free: tuple[str, ...]
    branches: tuple[str, ...]
    pinned: tuple[str, ...]
    _places: dict[str, int] = field(repr=False)
    _pins: dict[str, VoltageSource] = field(repr=False)

    @classmethod
    def of(cls, netlist: Netlist, *, pinning: bool = True) -> "Equations":
        """Return the equations of a netlist.

        **Arguments:** `pinning`: whether voltage sources to ground pin their node.

        **Raises** `NetlistError` for two voltage sources from one node to ground, and for a current
        that is controlled by no source.
        """
        sensed = {source for element in netlist.elements for source in element.sensed}
        known = {source.key for source in netlist.of(VoltageSource)}
        if unknown := sorted(sensed - known):
            raise NetlistError(
                f"currents must be those of voltage sources of the netlist, but {unknown} are none"
            )

        pins = _pins(netlist, sensed) if pinning else {}
        pinning_keys = {source.key for source in pins.values()}
        branches = tuple(
            element.key
            for element in netlist.elements
            if element.fixes_voltage() and element.key not in pinning_keys
        )
        free = tuple(node for node in netlist.nodes if node not in pins)
        names = (*free, *map(current_of, branches), *pins, GROUND)
        places = {name: place for place, name in enumerate(names)}
        return cls(netlist, pinning, free, branches, tuple(pins), places, pins)

    @cached_property
    def linear(self) -> "csr_array":
        """A, with a row and a column for each place; rows of pinned nodes and ground mean nothing.

        It and the non-linear terms are made when they are asked for, as a reduction needs neither.
        """
        entries = _Entries(self._places)
        for element in self.netlist.elements:
            element.stamp(entries)
        return entries.matrix()

    @cached_property
    def groups(self) -> tuple[TermGroup, ...]:
        """The non-linear terms."""
        return term_groups(self.netlist, self.place)

    def prepare(self) -> None:
        """Make now what certificates ask for: A and the non-linear terms, as a solver works."""
        _ = self._sizes_of_linear, self.groups

    @cached_property
    def passive(self) -> bool:
        """Whether all its elements only take energy, or are independent sources.

        It then has one stable operating point.
        """
        return all(element.passive for element in self.netlist.elements)

    @property
    def unknowns(self) -> int:
        """How many unknowns there are: free nodes and branches."""
        return len(self.free) + len(self.branches)

    @property
    def size(self) -> int:
        """How many voltages and currents there are in all: unknowns, pinned nodes, ground."""
        return len(self._places)

    def find(self, node: str) -> int:
        """Return what `place` does, and −1 for a node that the netlist does not have."""
        return self._places.get(node, -1)

    def place(self, name: str) -> int:
        """Return the number of a node, or of `current_of` a branch, among all.

        The order is: free nodes, branches, pinned nodes, ground.
        """
        return self._places[name]

    def pinned_voltages(self, drives: Drives, samples: int) -> dict[str, np.ndarray]:
        """Return the voltage (samples,) in V of every pinned node."""
        return {
            node: (1.0 if source.minus == GROUND else -1.0) * _driven(source, drives, samples)
            for node, source in self._pins.items()
        }

    def voltages(self, unknowns: Array, drives: Drives) -> Array:
        """Return all voltages and currents (samples, places) from unknowns (samples, unknowns)."""
        xp = unknowns.__array_namespace__()
        samples = len(unknowns)
        pinned = self.pinned_voltages(drives, samples)
        columns = [pinned[node][:, None] for node in self.pinned]
        return xp.concatenate([unknowns, *columns, xp.zeros((samples, 1))], axis=1)

    def sources(self, drives: Drives, samples: int) -> np.ndarray:
        """Return what the independent sources push into each row (samples, unknowns).

        In A into nodes, in V into the voltage laws of branches.
        """
        pushed = np.zeros((samples, self.size))
        currents = self.netlist.of(CurrentSource)
        if currents:
            values = np.stack([_driven(source, drives, samples) for source in currents])
            both = np.stack([-values, values], axis=1).reshape(-1, samples)
            np.add.at(pushed.T, self._current_places, both)
        for source in self.netlist.of(VoltageSource):
            if (place := self._places.get(current_of(source.key))) is not None:
                pushed[:, place] += _driven(source, drives, samples)
        return pushed[:, : self.unknowns]

    @cached_property
    def _current_places(self) -> np.ndarray:
        """The places of the two ends of each current source, one after the other."""
        ends = [(source.plus, source.minus) for source in self.netlist.of(CurrentSource)]
        return np.array([self.place(node) for pair in ends for node in pair], int)

    @cached_property
    def _sizes_of_linear(self) -> "csr_array":
        """The sizes of the entries of A."""
        return abs(self.linear)

    def residual(self, unknowns: np.ndarray, drives: Drives) -> tuple[np.ndarray, np.ndarray]:
        """Return F, and the sum of the sizes of its terms, both (samples, unknowns)."""
        v, pushed = self.voltages(unknowns, drives), self.sources(drives, len(unknowns))
        n = self.unknowns
        total = (self.linear @ v.T).T[:, :n] - pushed
        sizes = (self._sizes_of_linear @ np.abs(v).T).T[:, :n] + np.abs(pushed)
        for group in self.groups:
            term, _ = group.evaluate(v)
            for rows, sign in zip(group.rows, group.signs, strict=True):
                inside = rows < n
                np.add.at(total.T, rows[inside], sign * term.T[inside])
                np.add.at(sizes.T, rows[inside], np.abs(term.T[inside]))
        return total, sizes

    def slopes(
        self, v: Array, groups: Sequence[TermGroup]
    ) -> list[tuple[np.ndarray, np.ndarray, Array]]:
        """Return the part of `groups` in J at all voltages `v` (samples, places).

        **Returns** rows (k,), columns (k,) and values (samples, k), where both are unknowns.
        """
        parts = []
        for group in groups:
            for places, slope in group.evaluate(v)[1]:
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    inside = np.flatnonzero((rows < self.unknowns) & (places < self.unknowns))
                    parts.append((rows[inside], places[inside], sign * slope[:, inside]))
        return parts

    def sparse_jacobian(self, unknowns: np.ndarray, drives: Drives) -> "list[csc_array]":
        """Return J of every sample, sparse; one for all where the circuit is linear."""
        from scipy.sparse import coo_array

        n = self.unknowns
        linear = self.linear[:n, :n]
        if not self.groups:
            return [linear.tocsc()]
        parts = self.slopes(self.voltages(unknowns, drives), self.groups)
        rows, columns = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        values = np.concatenate([part[2] for part in parts], axis=1)
        return [
            (linear + coo_array((sample, (rows, columns)), shape=(n, n))).tocsc()
            for sample in values
        ]

    def jacobian(self, unknowns: np.ndarray, drives: Drives, *, one_way: bool = True) -> np.ndarray:
        """Return J (samples, unknowns, unknowns), dense.

        **Arguments:** `unknowns` (samples, unknowns). `one_way`: whether laws that are so count.
        """
        n = self.unknowns
        j = np.tile(self.linear[:n, :n].toarray(), (len(unknowns), 1, 1))
        groups = [group for group in self.groups if one_way or not group.law.one_way]
        for rows, columns, values in self.slopes(self.voltages(unknowns, drives), groups):
            np.add.at(j.transpose(1, 2, 0), (rows, columns), values.T)
        return j

    def capacitances(self) -> np.ndarray:
        """Return C, what multiplies dz/dt: capacitances in F, and −L in H for inductors."""
        return self.sparse_capacitances[: self.unknowns, : self.unknowns].toarray()

    def driven_capacitances(self) -> np.ndarray:
        """Return the capacitances (unknowns, pinned nodes and ground) in F.

        They are what moving pinned nodes couple in.
        """
        return self.sparse_capacitances[: self.unknowns, self.unknowns :].toarray()

    @cached_property
    def sparse_capacitances(self) -> "csr_array":
        """C with a row and a column for each place.

        Rows of pinned nodes and of ground mean nothing.
        """
        charges = _Entries(self._places)
        for element in self.netlist.elements:
            element.charge(charges)
        return charges.matrix()


class _Entries(Stamps):
    """Collects what elements stamp into a matrix of all places."""

    def __init__(self, places: Mapping[str, int]):
        self._places = places
        self._single: list[tuple[int, int, float]] = []
        self._pairs: tuple[list[int], list[int], list[float]] = ([], [], [])
        self._arrays: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def entry(self, row: str, column: str, value: float) -> None:
        self._single.append((self._places[row], self._places[column], value))

    def between(self, plus: Sequence[str], minus: Sequence[str], value: float | np.ndarray) -> None:
        if isinstance(value, np.ndarray) and value.ndim == 2:
            i, j = np.nonzero(value)  # a node without conductances is in no circuit
            rows = np.array([self._places.get(node, -1) for node in plus], int)[i]
            columns = np.array([self._places.get(node, -1) for node in minus], int)[j]
            self._arrays.append((rows, columns, value[i, j]))
            return
        values = np.broadcast_to(value, len(plus)).tolist()
        for node, other, g in zip(plus, minus, values, strict=True):
            self._pairs[0].append(self._places[node])
            self._pairs[1].append(self._places[other])
            self._pairs[2].append(g)

    def branch(self, name: str, plus: str, minus: str) -> None:
        current = current_of(name)
        if current in self._places:  # a source that pins its node is no branch
            for node, sign in ((plus, 1.0), (minus, -1.0)):
                self.entry(node, current, sign)
                self.entry(current, node, sign)

    def matrix(self) -> "csr_array":
        """Return the sum of all stamps (places, places)."""
        from scipy.sparse import coo_array

        single = np.array(self._single, float).reshape(-1, 3).T
        rows, columns, values = [single[0].astype(int)], [single[1].astype(int)], [single[2]]
        kinds = zip(self._pairs, (int, int, float), strict=True)
        pairs = tuple(np.array(part, kind) for part, kind in kinds)
        for first, second, g in (pairs, *self._arrays):
            rows += [first, second, first, second]
            columns += [first, second, second, first]
            values += [g, g, -g, -g]
        places = (np.concatenate(rows), np.concatenate(columns))
        size = len(self._places)
        return coo_array((np.concatenate(values), places), shape=(size, size)).tocsr()


def _pins(netlist: Netlist, sensed: set[str]) -> dict[str, VoltageSource]:
    """Return the sources that pin a node to ground, by the node; one that is sensed is a branch."""
    pins: dict[str, VoltageSource] = {}
    for source in netlist.of(VoltageSource):
        if source.key in sensed or (source.plus == GROUND) == (source.minus == GROUND):
            continue
        node = source.plus if source.minus == GROUND else source.minus
        if node in pins:
            raise NetlistError(
                f"node {node!r} must have one voltage source, but has {source.key} "
                f"and {pins[node].key}"
            )
        pins[node] = source
    return pins


def _driven(source: IndependentSource, drives: Drives, samples: int) -> np.ndarray:
    """Return the values (samples,) of a source in V or A: those of `drives`, else its own."""
    values = drives.get(source.key)
    if values is None:
        return np.full(samples, float(source.value))
    return values if np.shape(values) == (samples,) else np.broadcast_to(values, samples)
