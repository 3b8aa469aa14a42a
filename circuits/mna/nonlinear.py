"""The non-linear terms of a netlist in numbers, assembled once, for NumPy and JAX alike."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..elements.laws import Law, Term, stack
from ..netlist.netlist import Netlist
from ..units import Array


@dataclass(frozen=True, eq=False)
class TermGroup:
    """Terms of one kind of law, k of them, evaluated at once.

    `law`: with parameters (k,). `controls`: for each of its values the places (k,) among all
    voltages and currents. `rows`: where the terms enter (k,), and with which of the `signs`.
    """

    law: Law
    controls: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]
    signs: tuple[float, ...]

    def evaluate(self, v: Array) -> tuple[Array, list[tuple[np.ndarray, Array]]]:
        """Return the terms, and their slopes with the places by whose values they are.

        **Arguments:** `v`: all voltages and currents (samples, places), NumPy's or JAX's.

        **Returns** terms (samples, k) in A or V; and slopes (samples, k), each with places (k,).
        """
        xp = v.__array_namespace__()
        shape = (len(v), len(self.rows[0]))
        term, slopes = self.law.evaluate(*(v[:, places] for places in self.controls))
        wide = [(p, xp.broadcast_to(s, shape)) for p, s in zip(self.controls, slopes, strict=True)]
        return xp.broadcast_to(term, shape), wide

    def incidence(self, size: int) -> np.ndarray:
        """Return how each term enters the rows of the first `size` places: 0 or a sum of signs.

        **Returns** (size, k): the terms (k,) add this matrix times themselves to the rows.
        """
        places = np.arange(size)[:, None]
        entries = zip(self.rows, self.signs, strict=True)
        return np.sum([sign * (places == rows) for rows, sign in entries], axis=0)

    def renumbered(self, index: np.ndarray) -> "TermGroup":
        """Return the same terms with place p called `index[p]`."""
        controls = tuple(index[places] for places in self.controls)
        return TermGroup(self.law, controls, tuple(index[rows] for rows in self.rows), self.signs)


def term_groups(netlist: Netlist, place: Callable[[str], int]) -> tuple[TermGroup, ...]:
    """Return the non-linear terms of a netlist at its temperature, grouped by kinds of laws.

    **Arguments:** `place`: the number of a node, or of `current_of` a branch, among all.
    """
    terms = (term for e in netlist.elements for term in e.terms(netlist.temperature))
    return group_terms(terms, place)


def group_terms(terms: Iterable[Term], place: Callable[[str], int]) -> tuple[TermGroup, ...]:
    """Return terms grouped by kinds of laws; `place` as of `term_groups`."""
    kinds: dict[Hashable, list[Term]] = {}
    for term in terms:
        signs = tuple(sign for _, sign in term.rows)
        kinds.setdefault((term.law.kind(), len(term.controls), signs), []).append(term)
    return tuple(_group(terms, place) for terms in kinds.values())


def _group(terms: Sequence[Term], place: Callable[[str], int]) -> TermGroup:
    """Return the group of terms of one kind."""
    controls = zip(*(term.controls for term in terms), strict=True)
    rows = zip(*([row for row, _ in term.rows] for term in terms), strict=True)
    return TermGroup(
        stack([term.law for term in terms]),
        tuple(np.array([place(name) for name in names], int) for names in controls),
        tuple(np.array([place(name) for name in names], int) for names in rows),
        tuple(sign for _, sign in terms[0].rows),
    )
