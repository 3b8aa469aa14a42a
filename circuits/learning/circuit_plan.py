"""A circuit in numbers, as its energy needs them: what sources set, weights, conductors, laws."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..elements.base import GROUND, Element, current_of
from ..elements.laws import TwoTerminalLaw
from ..elements.passive import Capacitor, ConductanceMatrix, Resistor
from ..elements.sources import IndependentSource, VoltageSource
from ..mna.equations import Equations
from ..mna.reciprocity import ROUNDING, Coordinates, nonreciprocity
from ..netlist.netlist import Netlist, NetlistError
from ..simulators.nodal import Nodal
from ..units import check_number
from .circuit_terms import (
    RESISTORS,
    Conductors,
    Currents,
    Weights,
    conductors,
    currents,
    fixed_form,
    without_energy,
)


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
        _require(netlist, unit=unit, capacitance=capacitance)
        learning = _learning(netlist, trainable)

        equations = Equations.of(netlist)
        coordinates = Coordinates.at(equations, np.zeros((1, equations.unknowns)))
        names = (*equations.free, *equations.pinned, GROUND)
        weights = _weights(equations, coordinates, names)
        kept = tuple(equations.free[i] for i in coordinates.kept)

        sources = [e for e in netlist.elements if isinstance(e, IndependentSource)]
        to_all, by_sources = _voltages(equations, coordinates, weights.places, sources)
        push = _push(coordinates, weights, sources) / unit
        fixed = fixed_form(netlist, weights, coordinates, learning) / unit
        matrices, resistors = conductors(learning, weights)
        nonlinear = currents(equations, weights)
        if broken := sorted(weights.broken):
            raise without_energy(coordinates, broken)

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
            currents=nonlinear,
            convex=_is_convex(fixed, to_all) and all(c.law.rising for c in nonlinear),
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


def _require(netlist: Netlist, **numbers: float) -> None:
    """Raise as `energy` for a netlist that has none, and for numbers that must be above 0."""
    for name, value in numbers.items():
        check_number(value, name, "finite and above 0", lambda number: number > 0)
    _require_cocontents(netlist)


def _weights(equations: Equations, coordinates: Coordinates, names: Sequence[str]) -> Weights:
    """Return the weights of nodes and their places, infinite where a source holds a node."""
    held = np.full(len(equations.pinned) + 1, np.inf)
    places = {name: i for i, name in enumerate(names)}
    return Weights(places, np.concatenate([coordinates.node_weights(), held]))


def _require_cocontents(netlist: Netlist) -> None:
    """Raise `NetlistError` for elements whose current is no function of the voltage across them."""
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
    candidates = [e for e in netlist.elements if isinstance(e, Resistor | ConductanceMatrix)]
    if not patterns:
        raise ValueError("`trainable` must be one pattern or more, but is empty")
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(e.key, pattern) for e in candidates):
            raise ValueError(
                f"`trainable` must match resistors of the circuit, but {pattern!r} matches none"
            )
    chosen = [e for e in candidates if any(fnmatch.fnmatchcase(e.key, p) for p in patterns)]
    names = {e.name for e in chosen if isinstance(e, ConductanceMatrix)}
    if RESISTORS in names and any(isinstance(e, Resistor) for e in chosen):
        raise ValueError(
            f"`trainable` must not match a matrix called {RESISTORS!r} besides single resistors, "
            "whose conductances go by that name, but does"
        )
    return tuple(chosen)


def _driven(inputs: Sequence[str], sources: Sequence[IndependentSource]) -> np.ndarray:
    """Return the numbers of the sources that an example drives."""
    index = {source.key: k for k, source in enumerate(sources)}
    if missing := [name for name in inputs if name not in index]:
        raise ValueError(
            f"`inputs` must name sources of the circuit, but {missing} are none of {sorted(index)}"
        )
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"`inputs` must name every source once, but are {list(inputs)}")
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
    coordinates: Coordinates, weights: Weights, sources: Sequence[IndependentSource]
) -> np.ndarray:
    """Return what current sources push into nodes, weighted (all nodes, sources)."""
    push = np.zeros((len(weights.places), len(sources)))
    for column, source in enumerate(sources):
        if not isinstance(source, VoltageSource):
            push[weights.places[source.plus], column] -= 1.0
            push[weights.places[source.minus], column] += 1.0
    touched = push.any(1) & ~np.isinf(weights.nodes)
    if np.isnan(weights.nodes[touched]).any():
        raise without_energy(coordinates, ["a current source"])
    return np.where(touched, weights.nodes, 0.0)[:, None] * push


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
    outputs: Sequence[str | tuple[str, str]], weights: Weights, to_all: np.ndarray
) -> tuple[tuple[tuple[str, str], ...], np.ndarray, list[float]]:
    """Return the outputs as pairs of nodes, what they are of z, and the weights of their nodes."""
    pairs = tuple((output, GROUND) if isinstance(output, str) else output for output in outputs)
    must = "`outputs` must be nodes of the circuit without a source, but"
    for node in (node for pair in pairs for node in pair):
        place = weights.places.get(node)
        if place is None or (np.isinf(weights.nodes[place]) and node != GROUND):
            raise ValueError(f"{must} {node!r} is none")
    if any(set(pair) == {GROUND} for pair in pairs):
        raise ValueError(f"{must} ground is one of them")
    if not pairs:
        raise ValueError("`outputs` must be one node or more, but are none")

    # a node has the weight 0, or none, where a nudge does not act on the circuit as on an energy
    scales = [[weights.nodes[weights.places[n]] for n in pair if n != GROUND] for pair in pairs]
    if not all(weight > 0 for pair in scales for weight in pair):
        raise ValueError(
            "`outputs` must be nodes from which amplifiers pass a nudge on as an energy does, "
            f"but are {list(outputs)}"
        )
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
