"""What elements stamp, collected into a sparse matrix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..elements.base import Stamps, current_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Entries(Stamps):
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
