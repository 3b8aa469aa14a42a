"""The currents of a circuit's elements, as they follow from its voltages.

The current of an element is what leaves its first node through it: an unknown of the equations
where it has a branch, else a function of the voltages. That of a source that pins its node is what
Kirchhoff's current law leaves to it there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import Element, Stamps, current_of
from ..elements.laws import Term
from ..elements.sources import CurrentSource, VoltageSource
from .equations import Equations
from .nonlinear import TermGroup, group_terms

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST = 1_000
"""Of circuits of up to so many elements all currents are computed; of larger ones those of the
voltage sources."""


@dataclass(frozen=True, eq=False)
class Currents:
    """The currents of the elements of a circuit; made by `of`.

    - `equations`: of the circuit. `elements`: those whose currents it gives.
    """

    equations: Equations
    elements: tuple[Element, ...]
    _numbers: dict[str, int] = field(repr=False)

    @classmethod
    def of(cls, equations: Equations) -> "Currents":
        """Return the currents of all elements, or of the voltage sources of a large circuit."""
        netlist = equations.netlist
        if sum(element.count for element in netlist.elements) > MOST:
            chosen: tuple[Element, ...] = tuple(netlist.of(VoltageSource))
        else:
            chosen = tuple(part for element in netlist.elements for part in element.parts())
        return cls(equations, chosen, {element.key: k for k, element in enumerate(chosen)})

    @property
    def names(self) -> tuple[str, ...]:
        """The SPICE names of the elements."""
        return tuple(self._numbers)

    @cached_property
    def _linear(self) -> "csr_array":
        """What the linear parts make of all voltages and currents (elements, places)."""
        return self._stamped(lambda element, rows: element.stamp(rows))

    @cached_property
    def _charged(self) -> "csr_array":
        """What the charges make of the derivatives of all voltages (elements, places)."""
        return self._stamped(lambda element, rows: element.charge(rows))

    def _stamped(self, stamp: Callable[[Element, Stamps], None]) -> "csr_array":
        """Return what a kind of stamp adds to the row of each element's first node."""
        from scipy.sparse import coo_array

        rows = _FirstNode(self.equations)
        for number, element in enumerate(self.elements):
            rows.begin(number, element)
            stamp(element, rows)
        entries = np.array(rows.entries, float).reshape(-1, 3).T
        places = entries[:2].astype(int)
        shape = (len(self.elements), self.equations.size)
        return coo_array((entries[2], tuple(places)), shape=shape).tocsr()

    @cached_property
    def _groups(self) -> tuple[TermGroup, ...]:
        """The non-linear terms, each in the row of its element."""
        return self._grouped(lambda element, kelvin: element.terms(kelvin))

    @cached_property
    def _charge_groups(self) -> tuple[TermGroup, ...]:
        """The non-linear charges, each in the row of its element."""
        return self._grouped(lambda element, kelvin: element.charges(kelvin))

    def _grouped(
        self, terms_of: Callable[[Element, float], Sequence[Term]]
    ) -> tuple[TermGroup, ...]:
        """Return terms of a kind, each in the row of its element."""
        terms = []
        for element in self.elements:
            for term in terms_of(element, self.equations.netlist.temperature):
                signs = [sign for row, sign in term.rows if row == element.nodes[0]]
                if signs:
                    terms.append(replace(term, rows=((f"{element.key}()", sum(signs)),)))
        numbers = {f"{name}()": number for name, number in self._numbers.items()}
        return group_terms(
            terms, lambda name: numbers[name] if name in numbers else self.equations.place(name)
        )

    def at(
        self,
        v: np.ndarray,
        pushed: np.ndarray,
        sources: Mapping[str, np.ndarray],
        moving: np.ndarray | None = None,
        known: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return the currents (samples, elements) in A.

        **Arguments:**

        - `v`: all voltages and currents (samples, places).
        - `pushed`: what sources push into the rows of all places (samples, places).
        - `sources`: the currents (samples,) of independent current sources in A, by SPICE name.
        - `moving`: the derivatives of `v` in time (samples, places), 0 if not given.
        - `known`: currents (samples,) in A that are known otherwise, by SPICE name.
        """
        currents = (self._linear @ v.T).T
        for group in self._groups:
            term, _ = group.evaluate(v)
            np.add.at(currents.T, group.rows[0], group.signs[0] * term.T)
        if moving is not None:
            currents += (self._charged @ moving.T).T
            _add_slopes(currents, self._charge_groups, v, moving)
        others = dict(sources)
        if self.equations.pinned:
            others |= self.equations.pinning_currents(v, pushed, moving)
        for name, values in (others | dict(known or {})).items():
            if name in self._numbers:
                currents[:, self._numbers[name]] = values
        return currents

    def of_points(self, unknowns: np.ndarray, drives: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the currents (samples, elements) at operating points (samples, unknowns)."""
        samples = len(unknowns)
        v = self.equations.voltages(unknowns, drives)
        sources = {
            source.key: np.broadcast_to(drives.get(source.key, source.value), samples)
            for source in self.equations.netlist.of(CurrentSource)
        }
        return self.at(v, self.equations.pushed(drives, samples), sources)

    def response(
        self, v: np.ndarray, z: np.ndarray, frequencies: np.ndarray, sources: Mapping[str, complex]
    ) -> np.ndarray:
        """Return the currents (frequencies, elements) of a small-signal response in A, complex.

        **Arguments:** `v`: the operating point (1, places). `z`: the response of all voltages and
        currents (frequencies, places). `frequencies` in Hz. `sources`: the response of current
        sources in A, by SPICE name.
        """
        currents = (self._linear @ z.T).T
        moving = 2j * np.pi * frequencies[:, None] * z
        _add_slopes(currents, self._groups, v, z)
        _add_slopes(currents, self._charge_groups, v, moving)
        currents += (self._charged @ moving.T).T
        for name, value in sources.items():
            if name in self._numbers:
                currents[:, self._numbers[name]] = value
        return currents

    def across(self, v: np.ndarray) -> np.ndarray:
        """Return the voltages (samples, elements) in V across the elements' ends."""
        ends = np.array([[self.equations.place(n) for n in e.ends] for e in self.elements], int)
        first, second = ends.reshape(-1, 2).T
        return v[:, first] - v[:, second]


def _add_slopes(
    currents: np.ndarray, groups: Sequence[TermGroup], v: np.ndarray, change: np.ndarray
) -> None:
    """Add to `currents` what a `change` of voltages makes of terms, by their slopes at `v`."""
    for group in groups:
        for places, slope in group.evaluate(v)[1]:
            part = group.signs[0] * slope * change[:, places]
            np.add.at(currents.T, group.rows[0], part.T)


class _FirstNode(Stamps):
    """Collects what elements add to the row of their first node, in a row for each element."""

    def __init__(self, equations: Equations):
        self._equations = equations
        self.entries: list[tuple[int, int, float]] = []
        self._number, self._first = 0, ""

    def begin(self, number: int, element: Element) -> None:
        """Collect what follows in the row `number`, of `element`."""
        self._number, self._first = number, element.nodes[0]

    def entry(self, row, column, value):
        if row == self._first:
            self.entries.append((self._number, self._equations.place(column), value))

    def between(self, plus, minus, value):
        values = np.broadcast_to(value, len(plus)).tolist()
        for node, other, g in zip(plus, minus, values, strict=True):
            for row, column in ((node, other), (other, node)):
                self.entry(row, row, g)
                self.entry(row, column, -g)

    def branch(self, name, plus, minus):
        if self._equations.find(current_of(name)) >= 0:
            self.entry(plus, current_of(name), 1.0)
