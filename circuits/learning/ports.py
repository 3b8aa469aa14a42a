"""Where a model's inputs, outputs and nodes are in its netlist."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Array

import eqprop as ep

from ..elements.base import GROUND, Element
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.sources import Behavioural, VoltageSource
from ..netlist.netlist import Netlist
from ..topologies import input_names
from .circuit_energy import CircuitEnergy
from .emission import emit, node_names, nudge_siemens

NUDGE = "nudge"
"""The node whose voltage, in V, is the conductance of a swept nudge, in S."""


@dataclass(frozen=True)
class Wiring:
    """A model as a circuit: its netlist, and the names of what drives it and of what is read.

    - `netlist(model)`: with the parameters of `model`, whose arrays are NumPy's: it runs without JAX.
    - `drives(x)`: the values of the sources `inputs` for an example.
    - `nodes`: those of the state, flattened. `outputs`: pairs of nodes whose difference is an output, the second may be ground.
    - `nudges`: the conductance in S with which a nudge of 1 pulls each output.
    """

    netlist: Callable[[Any], Netlist]
    drives: Callable[[Array], Array]
    inputs: tuple[str, ...]
    nodes: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    nudges: tuple[float, ...]

    @classmethod
    def of(cls, model: ep.Energy) -> "Wiring":
        """That of a `Resistive` network or of a circuit's energy. Raises `ValueError` for another."""
        if isinstance(model, CircuitEnergy):
            return cls(
                CircuitEnergy.circuit,
                model.drives,
                model.plan.inputs,
                model.nodes,
                model.plan.output_pairs,
                model.plan.output_nudges,
            )
        if not isinstance(model, ep.Resistive):
            raise ValueError(
                f"`energy` must be of a circuit: Resistive or made by circuits.energy, but is {type(model).__name__}"
            )
        layers = node_names(model)
        minus = layers[-1] if model.doubled_outputs else (GROUND,) * len(layers[-1])
        outputs = tuple(
            zip(layers[-2] if model.doubled_outputs else layers[-1], minus, strict=True)
        )
        inputs = tuple(f"V{node}" for node in input_names(model.conductances[0].shape[0] // 2))
        nodes = tuple(node for layer in layers for node in layer)
        return cls(
            emit, model.rails, inputs, nodes, outputs, (nudge_siemens(model, 1.0),) * len(outputs)
        )

    def targets(self) -> tuple[str, ...]:
        """The SPICE names of the sources that `nudged` adds for the targets."""
        return tuple(f"Vtarget_{plus}" for plus, _ in self.outputs)

    def nudged(self, netlist: Netlist) -> Netlist:
        """The netlist with sources that push v(nudge) · factor · (target − (v₊ − v₋)) into every output: a nudge that can be swept."""
        added: list[Element] = [VoltageSource(NUDGE, NUDGE, GROUND, 0.0)]
        for (plus, minus), siemens in zip(self.outputs, self.nudges, strict=True):
            target = f"target_{plus}"
            off = Operation("-", (Voltage(plus, minus), Voltage(target)))
            strength = Operation("*", (Constant(siemens / self.nudges[0]), Voltage(NUDGE)))
            added.append(VoltageSource(target, target, GROUND, 0.0))
            added.append(
                Behavioural(f"nudge_{plus}", plus, minus, "i", Operation("*", (strength, off)))
            )
        return replace(netlist, elements=(*netlist.elements, *added), analyses=())
