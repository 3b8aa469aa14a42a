"""Any circuit with an energy as one that `eqprop` settles and trains: its co-content."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import eqprop as ep

from ..elements.laws import TwoTerminalLaw
from ..netlist.netlist import Netlist
from .circuit_plan import Plan


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
    """Return the energy of a circuit whose conductances learn: its co-content.

    E(z, x) = Σ_e ω_e P_e(v_e) / unit − Σ_sources ω i_s v_s / unit,    v = T z + (what sources set)

    The sum goes over resistors, P = ½ g v², and over all elements whose current the voltage across
    them tells, as diodes and memristors at their states (`Memristor.frozen`), P = ∫ i dv. z are the
    voltages of the nodes that no ideal source ties to others, and the weights ω are 1 but behind
    amplifiers (`Coordinates`; Millar 1951 for the co-content). Kirchhoff's current law at a node of
    z is unit · D ∂E/∂z.

    **Arguments:**

    - `circuit`: a netlist in which no node floats.
    - `inputs`: the SPICE names of the sources that an example drives, as `Vin0`; x are their values
      in V or A. `encode`: from x to those values, e.g.
      `lambda x: 30 * jnp.concatenate([x, -x])`, where x is something else.
    - `outputs`: nodes, or pairs of nodes whose difference is the output.
    - `trainable`: patterns of the SPICE names of the resistors and conductance matrices that learn,
      as `Rg1*`.
    - `unit`: in S; conductances, energies and nudges are in units of it. `conductance_bounds`: in
      units of it; `fit` keeps to them.
    - `capacitance`: in F, of a node that has no capacitor to ground; only flows in time read it.

    **Raises** `NetlistError` for a circuit that floats, and one without an energy, with its
    `nonreciprocity` and what breaks it; `ValueError` for names that the circuit does not have and
    patterns that match nothing.
    """
    circuit.check()
    plan = Plan.of(
        circuit,
        inputs=inputs,
        outputs=outputs,
        trainable=(trainable,) if isinstance(trainable, str) else tuple(trainable),
        encode=encode,
        unit=float(unit),
        capacitance=float(capacitance),
    )
    values = {name: jnp.asarray(g) for name, g in plan.conductances().items()}
    return CircuitEnergy(values, plan, (float(conductance_bounds[0]), float(conductance_bounds[1])))


class CircuitEnergy(ep.Energy):
    """The energy of a circuit; made by `circuits.energy`.

    `siemens`: the conductances that learn, in units of `unit`: a matrix for each
    `ConductanceMatrix`, by its name, and those of single resistors as the vector
    `siemens.resistors`. The state is the vector of the voltages of `nodes`, in V.
    """

    siemens: dict[str, Float[Array, "..."]]
    plan: Plan = eqx.field(static=True)
    conductance_bounds: tuple[float, float] = eqx.field(static=True)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes whose voltages are the state."""
        return self.plan.kept

    @property
    def unit(self) -> float:
        """The unit of conductances and energies, in S."""
        return self.plan.unit

    @property
    def all_nodes(self) -> tuple[str, ...]:
        """All nodes, ground last."""
        return self.plan.names

    def circuit(self, x: Array | None = None) -> Netlist:
        """Return the netlist with the conductances as they are, those of 0 left out.

        **Arguments:** `x`: an example at which its sources are; as they stand if not given.
        """
        values = {name: self.unit * np.asarray(g, float) for name, g in self.siemens.items()}
        drives = None if x is None else np.asarray(self.drives(x), float)
        return self.plan.netlist_of(values, drives)

    def drives(self, x: Array) -> Float[Array, " inputs"]:
        """Return the values of the input sources in V or A at an example.

        Raises `ValueError` where `x` does not give one for each.
        """
        x = jnp.asarray(x) if self.plan.encode is None else self.plan.encode(x)
        inputs = len(self.plan.inputs)
        if x.shape != (inputs,):
            raise ValueError(
                f"`x` must give {inputs} values, one for each of `inputs`, but gave {x.shape}"
            )
        return x

    def voltages(self, state: Float[Array, " nodes"], x: Array) -> Float[Array, " all"]:
        """Return the voltages of `all_nodes` in V at a state and an example."""
        return self._voltages(state, self._sources(x, state.dtype))

    def _sources(self, x: Array, dtype: Any) -> Float[Array, " sources"]:
        values = jnp.asarray(self.plan.values, dtype)
        return values.at[self.plan.driven].set(self.drives(x).astype(dtype))

    def _voltages(
        self, state: Float[Array, " nodes"], sources: Float[Array, " sources"]
    ) -> Float[Array, " all"]:
        to_all, by_sources = (
            jnp.asarray(matrix, state.dtype) for matrix in (self.plan.to_all, self.plan.by_sources)
        )
        return to_all @ state + by_sources @ sources

    def __call__(self, state, x):
        plan, dtype = self.plan, state.dtype
        sources = self._sources(x, dtype)
        v = self._voltages(state, sources)

        value = v @ (jnp.asarray(plan.fixed / 2, dtype) @ v)
        value -= v @ (jnp.asarray(plan.push, dtype) @ sources)
        for name, (rows, columns), weights in plan.matrices:
            g = jnp.asarray(weights, dtype) * self.siemens[name]
            value += ep.conductances(g, v[rows], v[columns])
        if plan.resistors is not None:
            name, (first, second), weights = plan.resistors
            g = jnp.asarray(weights, dtype) * self.siemens[name]
            value += jnp.sum(g * (v[first] - v[second]) ** 2) / 2
        for law, parameters, (first, second), weights in plan.currents:
            numbers = tuple(jnp.asarray(p, dtype) for p in parameters)
            content = _cocontent(law, numbers, v[first] - v[second])
            value += jnp.sum(jnp.asarray(weights / plan.unit, dtype) * content)
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
        constants = self.plan.farads / self.unit / self.plan.balance_weights
        return jnp.asarray(constants, self.init_state(x).dtype)


@eqx.filter_custom_jvp
def _cocontent(law: TwoTerminalLaw, parameters: tuple[Array, ...], v: Array) -> Array:
    """Return the co-content of a law with parameters, with its current as the derivative by v."""
    return law.with_parameters(parameters).cocontent(v)


@_cocontent.def_jvp
def _(primals, tangents):
    law, parameters, v = primals
    whole = law.with_parameters(parameters)
    return whole.cocontent(v), whole.current(v) * tangents[2]
