"""A circuit in numbers, as its energy needs them: what sources set, weights, conductors, laws."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..elements.base import GROUND, Element, current_of
from ..elements.laws import TwoTerminalLaw
from ..elements.passive import Capacitor, ConductanceMatrix, Resistor
from ..elements.sources import IndependentSource, VoltageSource
from ..mna.equations import Equations
from ..mna.reciprocity import ROUNDING, Coordinates, nonreciprocity
from ..netlist.netlist import Netlist, NetlistError
from ..simulators.nodal import Nodal

RESISTORS = "resistors"
"""What the vector of the conductances of single resistors is called among an energy's parameters."""

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


@dataclass(frozen=True, eq=False)
class Plan:
    """A circuit in numbers; equal to itself alone, so that it is fast to look up in `jit`'s memory.

    All voltages (all nodes, ground last) are `to_all` z + `by_sources` u, with z the voltages of
    the `kept` nodes and u the values of the sources, which are `values` but for those that an
    example drives, `driven`. Kirchhoff's current law at a node of z is unit · `balance_weights` ·
    ∂E/∂z.

    - `fixed`: the quadratic form of what is linear and does not learn, in units of `unit`. `push`:
      what current sources push, (all nodes, sources).
    - `matrices`, `resistors`: what learns. `currents`: the non-linear elements.
    - `convex`: whether the energy is, where conductances that learn are at least 0.
    - `farads`: the capacitance of each kept node to ground.
    - `read`: outputs from z. `output_pairs`: their nodes. `output_nudges`: the conductance in S by
      which a nudge of 1 pulls each.
    """

    netlist: Netlist
    inputs: tuple[str, ...]
    encode: Callable[[Any], Any] | None
    unit: float
    kept: tuple[str, ...]
    names: tuple[str, ...]
    balance_weights: np.ndarray
    values: np.ndarray
    driven: np.ndarray
    to_all: np.ndarray
    by_sources: np.ndarray
    push: np.ndarray
    fixed: np.ndarray
    matrices: tuple[Conductors, ...]
    resistors: Conductors | None
    currents: tuple[Currents, ...]
    convex: bool
    farads: np.ndarray
    output_pairs: tuple[tuple[str, str], ...]
    output_nudges: tuple[float, ...]
    read: np.ndarray
    learning: tuple[Resistor | ConductanceMatrix, ...]

    @classmethod
    def of(
        cls,
        netlist: Netlist,
        *,
        inputs: Sequence[str],
        outputs: Sequence[str | tuple[str, str]],
        trainable: Sequence[str],
        encode: Callable[[Any], Any] | None,
        unit: float,
        capacitance: float,
    ) -> "Plan":
        """Return a netlist in numbers; the arguments and what is raised are those of `energy`."""
        if not (np.isfinite(unit) and unit > 0):
            raise ValueError(f"`unit` must be finite and above 0, but is {unit}")
        _require_cocontents(netlist)
        learning = _learning(netlist, trainable)

        equations = Equations.of(netlist)
        coordinates = Coordinates.at(equations, np.zeros((1, equations.unknowns)))
        kept = tuple(equations.free[i] for i in coordinates.kept)
        names = (*equations.free, *equations.pinned, GROUND)
        places = {name: i for i, name in enumerate(names)}
        held = np.full(len(equations.pinned) + 1, np.inf)
        weights = _Weights(places, np.concatenate([coordinates.node_weights(), held]))

        sources = [e for e in netlist.elements if isinstance(e, IndependentSource)]
        to_all, by_sources = _voltages(equations, coordinates, places, sources)
        push = _push(coordinates, weights, sources) / unit
        fixed = _fixed(netlist, weights, coordinates, learning) / unit
        matrices, resistors = _conductors(learning, weights)
        currents = _currents(equations, weights)
        if broken := sorted(weights.broken):
            raise _without_energy(coordinates, broken)

        pairs, read, scales = _outputs(outputs, weights, to_all)
        return cls(
            netlist=netlist,
            inputs=tuple(inputs),
            encode=encode,
            unit=unit,
            kept=kept,
            names=names,
            balance_weights=coordinates.weights,
            values=np.array([source.value for source in sources]),
            driven=_driven(inputs, sources),
            to_all=to_all,
            by_sources=by_sources,
            push=push,
            fixed=fixed,
            matrices=matrices,
            resistors=resistors,
            currents=currents,
            convex=_is_convex(fixed, to_all) and all(c.law.rising for c in currents),
            farads=_farads(netlist, kept, capacitance),
            output_pairs=pairs,
            output_nudges=tuple(unit / scale for scale in scales),
            read=read,
            learning=learning,
        )

    def conductances(self) -> dict[str, np.ndarray]:
        """Return the conductances that learn as they stand in the netlist, in units of `unit`."""
        values = {
            e.name: e.siemens / self.unit for e in self.learning if isinstance(e, ConductanceMatrix)
        }
        single = [e.siemens / self.unit for e in self.learning if isinstance(e, Resistor)]
        return values | ({RESISTORS: np.array(single)} if single else {})

    def netlist_of(self, siemens: Mapping[str, np.ndarray], drives: np.ndarray | None) -> Netlist:
        """Return the netlist with other conductances and inputs.

        **Arguments:** `siemens`: the conductances that learn, in S; those of 0 are left out.
        `drives`: the values (inputs,) of the input sources; as they are if not given.
        """
        fresh: dict[str, Element | None] = {}
        single = iter(siemens.get(RESISTORS, ()))
        for element in self.learning:
            if isinstance(element, ConductanceMatrix):
                fresh[element.key] = replace(element, siemens=siemens[element.name])
            else:
                g = float(next(single))
                fresh[element.key] = replace(element, siemens=g) if g > 0 else None
        if drives is not None:
            sources = {e.key: e for e in self.netlist.elements if isinstance(e, IndependentSource)}
            for name, value in zip(self.inputs, drives, strict=True):
                fresh[name] = replace(sources[name], **{sources[name].unit: float(value)})
        elements = (fresh.get(e.key, e) for e in self.netlist.elements)
        return replace(self.netlist, elements=tuple(e for e in elements if e is not None))


class _Weights:
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


def _require_cocontents(netlist: Netlist) -> None:
    """Raise `NetlistError` for elements whose current the voltage across them does not tell."""
    one_way, without = [], []
    for element in netlist.elements:
        for term in element.terms(netlist.temperature):
            if term.law.one_way:
                one_way.append(element.key)
            elif not (
                isinstance(term.law, TwoTerminalLaw)
                and term.rows == ((term.controls[0], 1.0), (term.controls[1], -1.0))
            ):
                without.append(element.key)
    if without:
        raise NetlistError(
            "the circuit must be of elements that have a co-content, but the expressions of "
            f"{without[:10]} hold more than the voltage across the element, or set one"
        )
    if one_way:
        raise NetlistError(
            f"the circuit must have an energy, but the currents of {one_way[:10]} depend on gates "
            f"that draw none: the asymmetry of its linearisation is {_at_work(netlist):.3g} where "
            "it works; simulators solve it, estimators cannot train it"
        )


def _learning(
    netlist: Netlist, patterns: Sequence[str]
) -> tuple[Resistor | ConductanceMatrix, ...]:
    """Return the conductors that match one of the patterns."""
    conductors = [e for e in netlist.elements if isinstance(e, Resistor | ConductanceMatrix)]
    for pattern in patterns:
        if not fnmatch.filter([e.key for e in conductors], pattern):
            raise ValueError(
                f"`trainable` must match resistors of the circuit, but {pattern!r} matches none"
            )
    return tuple(e for e in conductors if any(fnmatch.fnmatchcase(e.key, p) for p in patterns))


def _driven(inputs: Sequence[str], sources: Sequence[IndependentSource]) -> np.ndarray:
    """Return the numbers of the sources that an example drives."""
    index = {source.key: k for k, source in enumerate(sources)}
    if missing := [name for name in inputs if name not in index]:
        raise ValueError(
            f"`inputs` must name sources of the circuit, but {missing} are none of {sorted(index)}"
        )
    return np.array([index[name] for name in inputs], int)


def _voltages(
    equations: Equations,
    coordinates: Coordinates,
    places: Mapping[str, int],
    sources: Sequence[IndependentSource],
) -> tuple[np.ndarray, np.ndarray]:
    """Return what all voltages are of the kept ones, and of the sources' values."""
    n, unknowns, pinned = len(equations.free), equations.unknowns, len(equations.pinned)
    by_sources = np.zeros((len(places), len(sources)))
    ahead = np.zeros((unknowns - n, len(sources)))
    for column, source in enumerate(sources):
        if not isinstance(source, VoltageSource):
            continue
        if source.key in equations.branches:
            ahead[equations.place(current_of(source.key)) - n, column] = 1.0
        else:
            sign = 1.0 if source.minus == GROUND else -1.0
            by_sources[places[source.plus if sign > 0 else source.minus], column] = sign

    to_all = np.zeros((len(places), len(coordinates.kept)))
    to_all[:n] = coordinates.to_nodes
    if len(coordinates.tied):
        linear = equations.linear[:unknowns].toarray()
        ahead -= linear[n:, unknowns : unknowns + pinned] @ by_sources[n : n + pinned]
        by_sources[coordinates.tied] = np.linalg.solve(linear[n:, coordinates.tied], ahead)
    return to_all, by_sources


def _push(
    coordinates: Coordinates, weights: _Weights, sources: Sequence[IndependentSource]
) -> np.ndarray:
    """Return what current sources push into nodes, weighted (all nodes, sources)."""
    push = np.zeros((len(weights.places), len(sources)))
    for column, source in enumerate(sources):
        if not isinstance(source, VoltageSource):
            push[weights.places[source.plus], column] -= 1.0
            push[weights.places[source.minus], column] += 1.0
    touched = push.any(1) & ~np.isinf(weights.nodes)
    if np.isnan(weights.nodes[touched]).any():
        raise _without_energy(coordinates, ["a current source"])
    return np.where(touched, weights.nodes, 0.0)[:, None] * push


class _Form:
    """Collects what linear elements stamp into a quadratic form of all voltages; a `Stamps`.

    Rows of nodes that are held by sources get what symmetry asks for. What enters rows and columns
    of currents is in the `Coordinates`.
    """

    def __init__(self, weights: _Weights):
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

    def transfer(
        self, plus: str, minus: str, control_plus: str, control_minus: str, siemens: float
    ) -> None:
        for row, sign in ((plus, 1.0), (minus, -1.0)):
            self.entry(row, control_plus, sign * siemens)
            self.entry(row, control_minus, -sign * siemens)

    def branch(self, name: str, plus: str, minus: str) -> None:
        pass

    def _add(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
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


def _fixed(
    netlist: Netlist,
    weights: _Weights,
    coordinates: Coordinates,
    learning: Sequence[Element],
) -> np.ndarray:
    """Return the quadratic form in S of the linear elements that do not learn."""
    names = {element.key for element in learning}
    rest = [element for element in netlist.elements if element.key not in names]
    form = _Form(weights)
    for element in rest:
        element.stamp(form)
    if not form.symmetric():
        for element in rest:
            alone = _Form(weights)
            element.stamp(alone)
            if not alone.symmetric():
                weights.broken.add(element.key)
        if not weights.broken:
            raise _without_energy(coordinates, [element.key for element in rest])
    return form.matrix()


def _conductors(
    learning: Sequence[Resistor | ConductanceMatrix], weights: _Weights
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


def _currents(equations: Equations, weights: _Weights) -> tuple[Currents, ...]:
    """Return the non-linear elements by their laws."""
    currents = []
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
        bare = law.with_parameters([0.0] * len(law.parameters()))
        currents.append(Currents(bare, law.parameters(), (first, second), common))
    return tuple(currents)


def _of_different_weights(netlist: Netlist, weights: _Weights) -> list[str]:
    """Return the SPICE names of non-linear elements whose ends have no common weight."""
    names = []
    for element in netlist.elements:
        for term in element.terms(netlist.temperature):
            first, second = (np.array([weights.places[row]]) for row, _ in term.rows)
            if np.isnan(weights.between(first, second)).any():
                names.append(element.key)
    return names


def _is_convex(fixed: np.ndarray, to_all: np.ndarray) -> bool:
    """Return whether the linear elements that do not learn make a form without a way down."""
    curvature = np.linalg.eigvalsh(to_all.T @ (fixed + fixed.T) @ to_all)
    return bool(curvature.min(initial=0.0) >= -ROUNDING * curvature.max(initial=0.0))


def _farads(netlist: Netlist, kept: Sequence[str], capacitance: float) -> np.ndarray:
    """Return the capacitance of each kept node to ground, `capacitance` where there is none."""
    grounded: dict[str, float] = {}
    for capacitor in netlist.of(Capacitor):
        if GROUND in capacitor.nodes:
            for node in capacitor.nodes:
                grounded[node] = grounded.get(node, 0.0) + capacitor.farads
    return np.array([grounded.get(node, capacitance) for node in kept])


def _outputs(
    outputs: Sequence[str | tuple[str, str]], weights: _Weights, to_all: np.ndarray
) -> tuple[tuple[tuple[str, str], ...], np.ndarray, list[float]]:
    """Return the outputs as pairs of nodes, what they are of z, and the weights of their nodes."""
    pairs = tuple((one, GROUND) if isinstance(one, str) else one for one in outputs)
    must = "`outputs` must be nodes of the circuit without a source, but"
    for node in (node for pair in pairs for node in pair):
        place = weights.places.get(node)
        if place is None or (np.isinf(weights.nodes[place]) and node != GROUND):
            raise ValueError(f"{must} {node!r} is none")
    if any(set(pair) == {GROUND} for pair in pairs):
        raise ValueError(f"{must} ground is one of them")
    if not pairs:
        raise ValueError("`outputs` must be one node or more, but are none")

    scales = [[weights.nodes[weights.places[n]] for n in pair if n != GROUND] for pair in pairs]
    # written so that a weight that is no number is refused, too
    if not all(max(pair) <= min(pair) * (1 + ROUNDING) for pair in scales):
        raise ValueError(
            f"`outputs` must be pairs of nodes behind the same amplifiers, but are {list(outputs)}"
        )
    places = weights.places
    read = np.stack([to_all[places[plus]] - to_all[places[minus]] for plus, minus in pairs])
    return pairs, read, [float(pair[0]) for pair in scales]


def _at_work(netlist: Netlist) -> float:
    """Return the asymmetry of a circuit at its operating point; NaN where that is not found."""
    points = Nodal().operating_points(netlist)
    return nonreciprocity(netlist, points) if points.status.item() == "ok" else np.nan


def _without_energy(coordinates: Coordinates, broken: Sequence[str]) -> NetlistError:
    verb = "breaks" if len(broken) == 1 else "break"
    return NetlistError(
        f"the circuit must have an energy, but {sorted(broken)[:10]} {verb} its reciprocity: the "
        f"asymmetry of its linearisation at 0 V is {coordinates.asymmetry:.3g}; simulators solve "
        "it, estimators cannot train it"
    )
