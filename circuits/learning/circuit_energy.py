"""Any circuit with an energy as one that `eqprop` settles and trains: its co-content, a function of node voltages."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import eqprop as ep

from ..elements.base import GROUND, Element
from ..elements.diodes import Diode, DiodeModel
from ..elements.passive import Capacitor, ConductanceMatrix, Resistor
from ..elements.sources import Behavioural, IndependentSource, Transconductance, VoltageSource
from ..elements.transistors import Mosfet
from ..mna.equations import Equations
from ..mna.nonlinear import OwnLaw, current_of
from ..mna.reciprocity import ROUNDING, Coordinates, nonreciprocity
from ..netlist.netlist import Netlist, NetlistError
from ..simulators.nodal import Nodal

RESISTORS = "resistors"


def energy(
    circuit: Netlist,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str | tuple[str, str]],
    trainable: str | Sequence[str] = "R*",
    encode: Callable[[Array], Array] | None = None,
    unit: float = 1.0,
    conductance_bounds: tuple[float, float] = (0.0, np.inf),
    capacitance: float = 1e-12,
) -> "CircuitEnergy":
    """The energy of a circuit whose conductances learn: its co-content in units of `unit`, as a function of its node voltages.

    E(z, x) = Σ_e ω_e P_e(v_e) / unit − Σ_sources ω i_s v_s / unit,    v = T z + (what the sources set)

    The sum goes over resistors, P = ½ g v², and over diodes, memristors at their states (`Memristor.frozen`) and other sources of a
    current that the voltage across them tells, P = ∫ i dv. z are the voltages of the nodes that no ideal source ties to others, and the
    weights ω are 1 but behind amplifiers (`Coordinates`; Millar 1951 for the co-content). Kirchhoff's current law at a node of z is
    unit · D ∂E/∂z.

    **Arguments:**

    - `inputs`: the SPICE names of the sources that an example drives, as `Vin0`; x are their values in V or A. `encode`: from x to
      those values, e.g. `lambda x: 30 * jnp.concatenate([x, -x])`, where x is something else.
    - `outputs`: nodes, or pairs of nodes whose difference is the output.
    - `trainable`: patterns of the SPICE names of the resistors and conductance matrices that learn, as `Rg1*`.
    - `unit`: siemens; conductances, energies and nudges are in units of it. `conductance_bounds`: in units of it; `fit` keeps to them.
    - `capacitance`: in F, of a node that has no capacitor to ground; only flows in time read it.

    **Raises** `NetlistError` for a circuit that floats, and one without an energy, with its `nonreciprocity` and what breaks it;
    `ValueError` for names that the circuit does not have and patterns that match nothing.
    """
    circuit.check()
    patterns = (trainable,) if isinstance(trainable, str) else tuple(trainable)
    plan = _Plan(
        circuit, tuple(inputs), tuple(outputs), patterns, encode, float(unit), float(capacitance)
    )
    values = {m.name: jnp.asarray(m.siemens / unit) for m in plan.matrices}
    if plan.resistors:
        values[RESISTORS] = jnp.asarray([r.siemens / unit for r in plan.resistors])
    return CircuitEnergy(values, plan, (float(conductance_bounds[0]), float(conductance_bounds[1])))


class CircuitEnergy(ep.Energy):
    """The energy of a circuit; made by `circuits.energy`.

    `siemens`: the conductances that learn, in units of `unit`: a matrix for each `ConductanceMatrix`, by its name, and those of single
    resistors as the vector `siemens.resistors`. The state is the vector of the voltages of `nodes`.
    """

    siemens: dict[str, Float[Array, "..."]]
    plan: "_Plan" = eqx.field(static=True)
    conductance_bounds: tuple[float, float] = eqx.field(static=True)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes whose voltages are the state."""
        return self.plan.kept

    @property
    def unit(self) -> float:
        """The unit of conductances and energies, in S."""
        return self.plan.unit

    def circuit(self, x: Array | None = None) -> Netlist:
        """The netlist with the conductances as they are, those of 0 left out, and the sources at the example `x` where it is given."""
        values = {name: self.unit * np.asarray(g, float) for name, g in self.siemens.items()}
        return self.plan.netlist_of(
            values, None if x is None else np.asarray(self.drives(x), float)
        )

    def drives(self, x: Array) -> Float[Array, " inputs"]:
        """The values of the input sources in V or A. Raises `ValueError` where `x` does not give one for each."""
        x = jnp.asarray(x) if self.plan.encode is None else self.plan.encode(x)
        if x.shape != (len(self.plan.inputs),):
            raise ValueError(
                f"`x` must give {len(self.plan.inputs)} values, one for each of `inputs`, but gave {x.shape}"
            )
        return x

    @property
    def all_nodes(self) -> tuple[str, ...]:
        """All nodes, ground last."""
        return self.plan.names

    def voltages(self, state: Float[Array, " nodes"], x: Array) -> Float[Array, " all"]:
        """The voltages of `all_nodes` at a state, in V."""
        return self._voltages(state, self._sources(x, state.dtype))

    def _sources(self, x: Array, dtype: Any) -> Float[Array, " sources"]:
        return (
            jnp.asarray(self.plan.values, dtype)
            .at[self.plan.driven]
            .set(self.drives(x).astype(dtype))
        )

    def _voltages(
        self, state: Float[Array, " nodes"], sources: Float[Array, " sources"]
    ) -> Float[Array, " all"]:
        return (
            jnp.asarray(self.plan.to_all, state.dtype) @ state
            + jnp.asarray(self.plan.by_sources, state.dtype) @ sources
        )

    def __call__(self, state, x):
        plan, dtype = self.plan, state.dtype
        sources = self._sources(x, dtype)
        v = self._voltages(state, sources)
        value = v @ (jnp.asarray(plan.fixed / 2, dtype) @ v) - v @ (
            jnp.asarray(plan.push, dtype) @ sources
        )
        for matrix, weights, (rows, columns) in zip(
            plan.matrices, plan.matrix_weights, plan.matrix_places, strict=True
        ):
            value += ep.conductances(
                jnp.asarray(weights, dtype) * self.siemens[matrix.name], v[rows], v[columns]
            )
        if plan.resistors:
            across = v[plan.resistor_places[0]] - v[plan.resistor_places[1]]
            value += (
                jnp.sum(
                    jnp.asarray(plan.resistor_weights, dtype) * self.siemens[RESISTORS] * across**2
                )
                / 2
            )
        for model, (first, second), area, weights in plan.junctions:
            across = v[first] - v[second]
            value += jnp.sum(
                jnp.asarray(weights / plan.unit, dtype)
                * _cocontent(model, jnp.asarray(area, dtype), across)
            )
        return value

    def init_state(self, x):
        return jnp.zeros(len(self.nodes), next(iter(self.siemens.values())).dtype)

    def outputs(self, state):
        return jnp.asarray(self.plan.read, state.dtype) @ state

    def is_convex(self):
        return self.plan.convex and self.conductance_bounds[0] >= 0

    def parameter_bounds(self):
        return {"siemens*": self.conductance_bounds}

    def time_constants(self, x):
        """τ = C / (unit D): τ dz/dt = −∂E/∂z is Kirchhoff's current law at the node."""
        return jnp.asarray(
            self.plan.farads / self.unit / self.plan.balance_weights, self.init_state(x).dtype
        )


@eqx.filter_custom_jvp
def _cocontent(model: DiodeModel | OwnLaw, area: Array, v: Array) -> Array:
    """`model.cocontent(v, area)` with `model.current(v, area)` as its derivative."""
    return model.cocontent(v, area)


@_cocontent.def_jvp
def _(primals, tangents):
    model, area, v = primals
    return model.cocontent(v, area), model.current(v, area) * tangents[2]


class _Plan:
    """A circuit in numbers, made once: equal to itself only, so that it is fast to look up in `jit`'s memory."""

    def __init__(self, netlist, inputs, outputs, patterns, encode, unit, capacitance):
        self.netlist, self.inputs, self.encode, self.unit = netlist, inputs, encode, unit
        elements = netlist.elements
        if not (np.isfinite(unit) and unit > 0):
            raise ValueError(f"`unit` must be finite and above 0, but is {unit}")
        without = [e.letter + e.name for e in netlist.of(Behavioural) if OwnLaw.of(e) is None]
        if without:
            raise NetlistError(
                f"the circuit must be of elements that have a co-content, but the expressions of {without[:10]} hold more than the "
                "voltage across the element, or set one"
            )
        if transistors := [f"M{t.name}" for t in netlist.of(Mosfet)]:
            raise NetlistError(
                f"the circuit must have an energy, but the currents of {transistors[:10]} depend on gates that draw none: the "
                f"asymmetry of its linearisation is {_at_work(netlist):.3g} where it works; simulators solve it, estimators cannot "
                "train it"
            )
        conductors = [e for e in elements if isinstance(e, Resistor | ConductanceMatrix)]
        for pattern in patterns:
            if not fnmatch.filter([e.letter + e.name for e in conductors], pattern):
                raise ValueError(
                    f"`trainable` must match resistors of the circuit, but {pattern!r} matches none"
                )
        learns = [
            e
            for e in conductors
            if any(fnmatch.fnmatchcase(e.letter + e.name, pattern) for pattern in patterns)
        ]
        self.resistors = [e for e in learns if isinstance(e, Resistor)]
        self.matrices = [e for e in learns if isinstance(e, ConductanceMatrix)]

        equations = Equations(netlist)
        found = Coordinates.at(equations, np.zeros((1, equations.unknowns)))
        self.kept = tuple(equations.free[i] for i in found.kept)
        self.balance_weights = found.weights
        self.names = (*equations.free, *equations.pinned, GROUND)
        places = {name: i for i, name in enumerate(self.names)}
        self._sources(equations, found, places)
        self._conductors(equations, found, places, learns)
        self._outputs(outputs, places)
        grounded: dict[str, float] = {}
        for capacitor in (e for e in netlist.of(Capacitor) if GROUND in e.nodes):
            for node in capacitor.nodes:
                grounded[node] = grounded.get(node, 0.0) + capacitor.farads
        self.farads = np.array([grounded.get(node, capacitance) for node in self.kept])

    def _sources(self, equations: Equations, found: Coordinates, places: dict[str, int]) -> None:
        """All voltages as T z + (what sources set), and what current sources push."""
        sources = [e for e in equations.netlist.elements if isinstance(e, IndependentSource)]
        index = {e.key: i for i, e in enumerate(sources)}
        missing = [name for name in self.inputs if name not in index]
        if missing:
            raise ValueError(
                f"`inputs` must name sources of the circuit, but {missing} are none of {sorted(index)}"
            )
        self.values = np.array([e.value for e in sources])
        self.driven = np.array([index[name] for name in self.inputs], int)
        n, unknowns, pinned = len(equations.free), equations.unknowns, len(equations.pinned)
        by_sources = np.zeros((len(places), len(sources)))
        push = np.zeros((len(places), len(sources)))
        ahead = np.zeros((unknowns - n, len(sources)))
        for element in sources:
            column = index[element.key]
            plus, minus = (places[node] for node in element.nodes)
            if not isinstance(element, VoltageSource):
                push[plus, column] -= 1.0
                push[minus, column] += 1.0
            elif element.key in equations.branches:
                ahead[equations.place(current_of(element.key)) - n, column] = 1.0
            else:
                by_sources[plus if element.minus == GROUND else minus, column] = (
                    1.0 if element.minus == GROUND else -1.0
                )
        linear = equations.linear[:unknowns].toarray()
        self.to_all = np.zeros((len(places), len(found.kept)))
        self.to_all[:n] = found.to_nodes
        if len(found.tied):
            ahead -= linear[n:, unknowns : unknowns + pinned] @ by_sources[n : n + pinned]
            by_sources[found.tied] = np.linalg.solve(linear[n:, found.tied], ahead)
        self.by_sources = by_sources
        weights = found.node_weights()
        self.node_weights = np.concatenate([weights, np.full(pinned + 1, np.inf)])
        self.push = np.zeros_like(push)
        touched = push.any(1) & (np.arange(len(places)) < n)
        if np.isnan(self.node_weights[touched]).any():
            raise _without_energy(found, ["a current source"])
        self.push[touched] = self.node_weights[touched, None] * push[touched] / self.unit

    def _conductors(
        self,
        equations: Equations,
        found: Coordinates,
        places: dict[str, int],
        learns: Sequence[Element],
    ) -> None:
        """The weights and places of conductors and diodes, and the quadratic form of the linear elements that do not learn."""
        broken: list[str] = []

        def weight(first: np.ndarray, second: np.ndarray, name: str) -> np.ndarray:
            """The common weight of the ends of elements, fixed ends having none."""
            a, b = np.broadcast_arrays(self.node_weights[first], self.node_weights[second])
            least = np.minimum(a, b)
            both = np.isfinite(least) & ~np.isinf(np.maximum(a, b))
            if np.isnan(least).any() or np.any(np.abs(a[both] - b[both]) > ROUNDING * least[both]):
                broken.append(name)
            return np.where(np.isinf(least), 1.0, least)

        def ends(element: Element) -> tuple[np.ndarray, np.ndarray]:
            return np.array([places[element.nodes[0]]]), np.array([places[element.nodes[1]]])

        self.resistor_places = [
            np.array([places[r.nodes[k]] for r in self.resistors], int) for k in (0, 1)
        ]
        self.resistor_weights = np.array(
            [weight(*ends(r), f"R{r.name}")[0] for r in self.resistors]
        )
        lone = places[GROUND]  # a node that only conductances of 0 touch is in no circuit
        self.matrix_places = []
        for m in self.matrices:
            self.matrix_places.append(
                tuple(
                    np.array([places.get(node, lone) for node in side])
                    for side in (m.rows, m.columns)
                )
            )
        self.matrix_weights = [
            weight(rows[:, None], columns[None, :], f"R{m.name}")
            for m, (rows, columns) in zip(self.matrices, self.matrix_places, strict=True)
        ]
        self.junctions = []
        for model in dict.fromkeys(d.model for d in equations.netlist.of(Diode)):
            diodes = [d for d in equations.netlist.of(Diode) if d.model == model]
            first, second = (np.array([places[d.nodes[k]] for d in diodes]) for k in (0, 1))
            weights = np.array([weight(*ends(d), f"D{d.name}")[0] for d in diodes])
            law = model.at(equations.netlist.temperature)
            self.junctions.append(
                (law, (first, second), np.array([d.area for d in diodes]), weights)
            )

        for told in equations.netlist.of(Behavioural):
            first, second = (np.array([places[node]]) for node in (told.plus, told.minus))
            self.junctions.append(
                (
                    OwnLaw.of(told),
                    (first, second),
                    np.ones(1),
                    weight(first, second, f"B{told.name}"),
                )
            )

        self.fixed = np.zeros((len(places), len(places)))
        for element in equations.netlist.elements:
            if isinstance(element, Resistor | ConductanceMatrix) and element not in learns:
                self._add(element, places, weight)
            elif isinstance(element, Transconductance):
                self._transfer(element, places)
        if not np.allclose(
            self.fixed,
            self.fixed.T,
            rtol=ROUNDING,
            atol=ROUNDING * np.abs(self.fixed).max(initial=0.0),
        ):
            broken += [
                f"G{e.name}" for e in equations.netlist.elements if isinstance(e, Transconductance)
            ]
        if broken:
            raise _without_energy(found, broken)
        curvature = np.linalg.eigvalsh(self.to_all.T @ (self.fixed + self.fixed.T) @ self.to_all)
        rising = not equations.netlist.of(Behavioural)  # what an expression says may fall
        self.convex = rising and bool(
            curvature.min(initial=0.0) >= -ROUNDING * curvature.max(initial=0.0)
        )

    def _add(
        self, element: Resistor | ConductanceMatrix, places: dict[str, int], weight: Callable
    ) -> None:
        if isinstance(element, Resistor):
            rows, columns = np.array([places[element.plus]]), np.array([places[element.minus]])
            siemens = np.array([[element.siemens]])
        else:
            used = [np.flatnonzero(element.siemens.any(axis)) for axis in (1, 0)]
            rows, columns = (
                np.array([places[names[i]] for i in at], int)
                for names, at in zip((element.rows, element.columns), used, strict=True)
            )
            siemens = element.siemens[np.ix_(*used)]
        g = weight(rows[:, None], columns[None, :], f"R{element.name}") * siemens / self.unit
        np.add.at(self.fixed, (rows, rows), g.sum(1))
        np.add.at(self.fixed, (columns, columns), g.sum(0))
        np.add.at(self.fixed, (rows[:, None], columns[None, :]), -g)
        np.add.at(self.fixed, (columns[:, None], rows[None, :]), -g.T)

    def _transfer(self, element: Transconductance, places: dict[str, int]) -> None:
        """A transconductance, symmetric if it is to have an energy; what a fixed node would get by it is filled in."""
        to, by = (tuple(places[node] for node in element.nodes[k : k + 2]) for k in (0, 2))
        for row, sign in zip(to, (1.0, -1.0), strict=True):
            if np.isfinite(self.node_weights[row]):
                for column, other in zip(by, (1.0, -1.0), strict=True):
                    value = sign * other * element.siemens * self.node_weights[row] / self.unit
                    self.fixed[row, column] += value
                    if np.isinf(self.node_weights[column]):
                        self.fixed[column, row] += value

    def _outputs(self, outputs: Sequence[str | tuple[str, str]], places: dict[str, int]) -> None:
        pairs = [(one, GROUND) if isinstance(one, str) else one for one in outputs]
        for node in (node for pair in pairs for node in pair):
            if node not in places or (np.isinf(self.node_weights[places[node]]) and node != GROUND):
                raise ValueError(
                    f"`outputs` must be nodes of the circuit without a source, but {node!r} is none"
                )
        if any(set(pair) == {GROUND} for pair in pairs):
            raise ValueError(
                "`outputs` must be nodes of the circuit without a source, but ground is one of them"
            )
        if not pairs:
            raise ValueError("`outputs` must be one node or more, but are none")
        self.output_pairs = tuple(pairs)
        weights = [
            [self.node_weights[places[node]] for node in pair if node != GROUND] for pair in pairs
        ]
        if not all(
            max(pair) <= min(pair) * (1 + ROUNDING) for pair in weights
        ):  # nor where no number is the weight
            raise ValueError(
                f"`outputs` must be pairs of nodes behind the same amplifiers, but are {list(outputs)}"
            )
        self.output_nudges = tuple(self.unit / float(pair[0]) for pair in weights)
        self.read = np.stack(
            [self.to_all[places[plus]] - self.to_all[places[minus]] for plus, minus in pairs]
        )

    def netlist_of(self, siemens: dict[str, np.ndarray], drives: np.ndarray | None) -> Netlist:
        """The netlist with the conductances in S, and the input sources at `drives`."""
        fresh: dict[str, Element | None] = {
            f"R{m.name}": replace(m, siemens=siemens[m.name]) for m in self.matrices
        }
        for resistor, g in zip(self.resistors, siemens.get(RESISTORS, ()), strict=True):
            fresh[f"R{resistor.name}"] = replace(resistor, siemens=float(g)) if g > 0 else None
        if drives is not None:
            sources = {e.key: e for e in self.netlist.elements if isinstance(e, IndependentSource)}
            for name, value in zip(self.inputs, drives, strict=True):
                fresh[name] = replace(sources[name], **{sources[name].unit: float(value)})
        elements = (fresh.get(e.letter + e.name, e) for e in self.netlist.elements)
        return replace(self.netlist, elements=tuple(e for e in elements if e is not None))


def _at_work(netlist: Netlist) -> float:
    """The asymmetry of a circuit at its operating point; NaN where that is not found."""
    point = Nodal().operating_points(netlist)
    if point.status.item() != "ok":
        return np.nan
    return nonreciprocity(
        netlist,
        dict(zip(point.node.values.tolist(), point.voltage.values[0].tolist(), strict=True)),
    )


def _without_energy(found: Coordinates, broken: Sequence[Any]) -> NetlistError:
    return NetlistError(
        f"the circuit must have an energy, but {sorted(broken)[:10]} {'breaks' if len(broken) == 1 else 'break'} its reciprocity: "
        f"the asymmetry of its linearisation at 0 V is {found.asymmetry:.3g}; simulators solve it, estimators cannot train it"
    )
