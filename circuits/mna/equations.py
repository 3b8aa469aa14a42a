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

from ..elements.base import GROUND, TIME, current_of
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..netlist.netlist import Netlist, NetlistError
from ..units import Array
from .entries import Entries
from .nonlinear import TermGroup, group_terms, term_groups

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
        timed = any(e.depends_on_time for e in netlist.elements)
        names = (*free, *map(current_of, branches), *pins, GROUND, *([TIME] if timed else []))
        places = {name: place for place, name in enumerate(names)}
        return cls(netlist, pinning, free, branches, tuple(pins), places, pins)

    @cached_property
    def linear(self) -> "csr_array":
        """A, with a row and a column for each place; rows of pinned nodes and ground mean nothing.

        It and the non-linear terms are made when they are asked for, as a reduction needs neither.
        """
        entries = Entries(self._places)
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
        """How many voltages and currents there are in all: unknowns, pinned nodes, ground.

        Where an element depends on the time, that is the last of them.
        """
        return len(self._places)

    def find(self, node: str) -> int:
        """Return what `place` does, and −1 for a node that the netlist does not have."""
        return self._places.get(node, -1)

    def place(self, name: str) -> int:
        """Return the number of a node, or of `current_of` a branch, among all.

        The order is: free nodes, branches, pinned nodes, ground, the time.
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
        others = self.size - self.unknowns - len(self.pinned)  # ground, and the time
        return xp.concatenate([unknowns, *columns, xp.zeros((samples, others))], axis=1)

    def sources(self, drives: Drives, samples: int) -> np.ndarray:
        """Return what the independent sources push into each row (samples, unknowns).

        In A into nodes, in V into the voltage laws of branches.
        """
        return self.pushed(drives, samples)[:, : self.unknowns]

    def pushed(self, drives: Drives, samples: int) -> np.ndarray:
        """Return what `sources` does for the rows of all places (samples, places)."""
        pushed = np.zeros((samples, self.size))
        currents = self.netlist.of(CurrentSource)
        if currents:
            values = np.stack([_driven(source, drives, samples) for source in currents])
            both = np.stack([-values, values], axis=1).reshape(-1, samples)
            np.add.at(pushed.T, self._current_places, both)
        for source in self.netlist.of(VoltageSource):
            if (place := self._places.get(current_of(source.key))) is not None:
                pushed[:, place] += _driven(source, drives, samples)
        return pushed

    def pinning_currents(
        self, v: np.ndarray, pushed: np.ndarray, moving: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return the currents (samples,) in A of the sources that pin nodes, by SPICE name.

        They are what Kirchhoff's current law leaves to them.

        **Arguments:** `v`: all voltages and currents (samples, places). `pushed`: as the method of
        that name returns it. `moving`: the derivatives of `v`, 0 if not given.
        """
        total = (self.linear @ v.T).T - pushed
        if moving is not None:
            total += self.charging(v, moving)
        for group in self.groups:
            term, _ = group.evaluate(v)
            for rows, sign in zip(group.rows, group.signs, strict=True):
                np.add.at(total.T, rows, sign * term.T)
        return {
            source.key: (-1.0 if source.minus == GROUND else 1.0) * total[:, self.place(node)]
            for node, source in self._pins.items()
        }

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

    @cached_property
    def charge_groups(self) -> tuple[TermGroup, ...]:
        """The non-linear charges, whose slopes are capacitances."""
        netlist = self.netlist
        terms = (term for e in netlist.elements for term in e.charges(netlist.temperature))
        return group_terms(terms, self.place)

    def capacitances(self) -> np.ndarray:
        """Return C, what multiplies dz/dt: capacitances in F, and −L in H for inductors.

        Those that depend on voltages are at 0 V.
        """
        return self.sparse_capacitances[: self.unknowns, : self.unknowns].toarray()

    def capacitances_at(self, unknowns: np.ndarray, drives: Drives) -> "csr_array":
        """Return C at one point, with a row and a column for each place.

        **Arguments:** `unknowns`: of the point (1, unknowns).
        """
        return self._capacitances_at(self.voltages(unknowns, drives))

    def _capacitances_at(self, v: np.ndarray) -> "csr_array":
        """Return C at all voltages and currents `v` (1, places)."""
        from scipy.sparse import coo_array

        whole = self.constant_capacitances
        shape = (self.size, self.size)
        for group in self.charge_groups:
            for places, slope in group.evaluate(v)[1]:
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    whole = whole + coo_array((sign * slope[0], (rows, places)), shape=shape)
        return whole.tocsr()

    def charging(self, v: np.ndarray, moving: np.ndarray) -> np.ndarray:
        """Return what charges take up in each row (samples, places), C dv/dt.

        **Arguments:** `v`, `moving`: all voltages and currents, and their derivatives (samples,
        places).
        """
        total = (self.constant_capacitances @ moving.T).T
        for group in self.charge_groups:
            for places, slope in group.evaluate(v)[1]:
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    np.add.at(total.T, rows, (sign * slope * moving[:, places]).T)
        return total

    @cached_property
    def sparse_capacitances(self) -> "csr_array":
        """C at 0 V everywhere: where there are capacitances, whatever the point."""
        return self._capacitances_at(np.zeros((1, self.size)))

    @cached_property
    def constant_capacitances(self) -> "csr_array":
        """The part of C that is the same everywhere."""
        charges = Entries(self._places)
        for element in self.netlist.elements:
            element.charge(charges)
        return charges.matrix()


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
