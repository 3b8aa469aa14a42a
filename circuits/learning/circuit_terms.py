"""The parts of a circuit's co-content: what is linear, what learns, and non-linear currents.

Each part is weighted by its nodes, as behind amplifiers the energy is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..elements.base import GROUND, Element, Stamps
from ..elements.laws import TwoTerminalLaw
from ..elements.passive import ConductanceMatrix, Resistor
from ..mna.equations import Equations
from ..mna.reciprocity import ROUNDING, Coordinates
from ..netlist.netlist import Netlist, NetlistError

RESISTORS = "resistors"
"""The name of the vector of the conductances of single resistors among an energy's parameters."""

Pairs = tuple[np.ndarray, np.ndarray]
"""Places of the first and of the second nodes of elements."""


class Conductors(NamedTuple):
    """Conductors that learn.

    `name`: among the parameters. `places`: those of the rows and columns of a matrix, or of the
    ends of single resistors (resistors,). `weights`: of each in the energy.
    """

    name: str
    places: Pairs
    weights: np.ndarray


class Currents(NamedTuple):
    """Elements of one law i(v): `places` of their ends (k,) and `weights` (k,) in the energy.

    `law`: without its parameters, which are in `parameters` (k,) each.
    """

    law: TwoTerminalLaw
    parameters: tuple[np.ndarray, ...]
    places: Pairs
    weights: np.ndarray


class Weights:
    """The weights of nodes in the energy, infinite where a source holds the node, and `broken`.

    `broken`: the SPICE names of elements whose ends have different weights, or none.
    """

    def __init__(self, places: Mapping[str, int], nodes: np.ndarray):
        self.places, self.nodes = places, nodes
        self.broken: set[str] = set()

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the common weight of the ends of elements, NaN where they have none.

        A held end has any weight; between two of them it is 1.
        """
        a, b = np.broadcast_arrays(self.nodes[first], self.nodes[second])
        least = np.minimum(a, b)
        both = np.isfinite(a) & np.isfinite(b)
        differ = np.abs(np.where(both, a, 0.0) - np.where(both, b, 0.0)) > ROUNDING * least
        return np.where(differ, np.nan, np.where(np.isinf(least), 1.0, least))


class Form(Stamps):
    """Collects what linear elements stamp into a quadratic form of all voltages.

    Rows of nodes that are held by sources get what symmetry asks for. What enters rows and columns
    of currents is in the `Coordinates`.
    """

    def __init__(self, weights: Weights):
        self._weights = weights
        size = len(weights.places)
        self.sums, self.sizes = np.zeros((size, size)), np.zeros((size, size))

    def entry(self, row: str, column: str, value: float) -> None:
        places = self._weights.places
        if row in places and column in places:
            self._add(np.array([places[row]]), np.array([places[column]]), np.array([value]))

    def between(self, plus: Sequence[str], minus: Sequence[str], value: float | np.ndarray) -> None:
        values = np.asarray(value, float)
        chosen = np.nonzero(values) if values.ndim == 2 else (np.arange(len(plus)),) * 2
        values = values[chosen] if values.ndim == 2 else np.broadcast_to(values, len(plus))
        places = self._weights.places
        first = np.array([places.get(node, -1) for node in plus], int)[chosen[0]]
        second = np.array([places.get(node, -1) for node in minus], int)[chosen[1]]
        for row, column, sign in (
            (first, first, 1),
            (second, second, 1),
            (first, second, -1),
            (second, first, -1),
        ):
            self._add(row, column, sign * values)

    def branch(self, name: str, plus: str, minus: str) -> None:
        pass

    def _add(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
        """Add values, weighted, in the rows of free nodes, and their sizes."""
        weights = self._weights.nodes[rows]
        free = ~np.isinf(weights)
        weighted = weights[free] * values[free]
        np.add.at(self.sums, (rows[free], columns[free]), weighted)
        np.add.at(self.sizes, (rows[free], columns[free]), np.abs(weighted))

    def symmetric(self) -> bool:
        """Return whether the form is symmetric between the free nodes, to rounding."""
        free = ~np.isinf(self._weights.nodes)
        sums, sizes = self.sums[np.ix_(free, free)], self.sizes[np.ix_(free, free)]
        return bool(np.all(np.abs(sums - sums.T) <= ROUNDING * (sizes + sizes.T) / 2))

    def matrix(self) -> np.ndarray:
        """Return the symmetric form, whose rows add up to 0 for conductances to held nodes."""
        held = np.isinf(self._weights.nodes)
        form = self.sums.copy()
        form[held] = form[:, held].T
        form[held, held] = -form[held].sum(1)
        return form


def fixed_form(
    netlist: Netlist,
    weights: Weights,
    coordinates: Coordinates,
    learning: Sequence[Element],
) -> np.ndarray:
    """Return the quadratic form in S of the linear elements that do not learn."""
    names = {element.key for element in learning}
    rest = [element for element in netlist.elements if element.key not in names]
    form = Form(weights)
    for element in rest:
        element.stamp(form)
    if not form.symmetric():
        for element in rest:
            alone = Form(weights)
            element.stamp(alone)
            if not alone.symmetric():
                weights.broken.add(element.key)
        if not weights.broken:
            raise without_energy(coordinates, [element.key for element in rest])
    return form.matrix()


def conductors(
    learning: Sequence[Resistor | ConductanceMatrix], weights: Weights
) -> tuple[tuple[Conductors, ...], Conductors | None]:
    """Return the matrices and the single resistors that learn."""
    lone = weights.places[GROUND]  # a node that only conductances of 0 touch is in no circuit
    matrices = []
    for matrix in (e for e in learning if isinstance(e, ConductanceMatrix)):
        rows, columns = (
            np.array([weights.places.get(node, lone) for node in side], int)
            for side in (matrix.rows, matrix.columns)
        )
        common = weights.between(rows[:, None], columns[None, :])
        if np.isnan(common).any():
            weights.broken.add(matrix.key)
        matrices.append(Conductors(matrix.name, (rows, columns), common))

    single = [e for e in learning if isinstance(e, Resistor)]
    if not single:
        return tuple(matrices), None
    first, second = (np.array([weights.places[e.nodes[k]] for e in single]) for k in (0, 1))
    common = weights.between(first, second)
    weights.broken.update(e.key for e, w in zip(single, common, strict=True) if np.isnan(w))
    return tuple(matrices), Conductors(RESISTORS, (first, second), common)


def currents(equations: Equations, weights: Weights) -> tuple[Currents, ...]:
    """Return the non-linear elements by their laws."""
    parts = []
    places = np.array([weights.places[n] for n in (*equations.free, *equations.pinned, GROUND)])
    gap = len(equations.branches)
    for group in equations.groups:
        law = group.law
        assert isinstance(law, TwoTerminalLaw)  # noqa: S101 - `_require_cocontents` has asked
        first, second = (
            places[np.where(row < len(equations.free), row, row - gap)] for row in group.rows
        )
        common = weights.between(first, second)
        if np.isnan(common).any():
            weights.broken.update(_of_different_weights(equations.netlist, weights))
        part = Currents(law.without_parameters(), law.parameters(), (first, second), common)
        parts.append(part)
    return tuple(parts)


def _of_different_weights(netlist: Netlist, weights: Weights) -> list[str]:
    """Return the SPICE names of non-linear elements whose ends have no common weight."""
    names = []
    for element in netlist.elements:
        for term in element.terms(netlist.temperature):
            first, second = (np.array([weights.places[row]]) for row, _ in term.rows)
            if np.isnan(weights.between(first, second)).any():
                names.append(element.key)
    return names


def without_energy(coordinates: Coordinates, broken: Sequence[str]) -> NetlistError:
    """Return the error for a circuit whose reciprocity the elements `broken` break."""
    verb = "breaks" if len(broken) == 1 else "break"
    return NetlistError(
        f"the circuit must have an energy, but {sorted(broken)[:10]} {verb} its reciprocity: the "
        f"asymmetry of its linearisation at 0 V is {coordinates.asymmetry:.3g}; simulators solve "
        "it, estimators cannot train it"
    )
