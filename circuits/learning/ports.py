"""Where a network meets its circuit: its inputs, nodes, outputs and nudges by their names there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import eqprop as ep
from eqprop.costs import require_labels

from ..devices.base import Device
from ..elements.base import GROUND, Element
from ..elements.controlled import Transconductance
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.sources import Behavioural, VoltageSource
from ..netlist.netlist import Netlist, NetlistError
from ..topologies.layered import LayeredNames, Nudge, decisions, layered
from ..units import Array
from .circuit_energy import CircuitEnergy

NUDGE = "nudge"
"""The node whose voltage, in V, is the conductance of a swept nudge, in S."""


@dataclass(frozen=True)
class Ports:
    """The ports of a network's circuit: what drives it, what is read of it and what nudges it.

    Made once from a network, by `of`, and valid for every network of the same shape and gain.

    - `inputs`: the SPICE names of the sources that an example drives.
    - `shape`: of one example; None where the network's own encoding decides.
    - `encode`: from an example to the values of `inputs`, in V or A.
    - `layers`: the nodes of each array of the state. `titles`: what each array is called.
    - `outputs`: pairs of nodes whose difference is an output; the second may be ground.
    - `targets`: the nodes at the outputs' target voltages, in a nudged circuit.
    - `siemens`: the conductance in S with which a nudge of 1 pulls each output.
    - `structure`: the tree of the state, whose leaves are these arrays.
    - `write`: from a network, an example and a nudge, where they are given, to the netlist.
    """

    inputs: tuple[str, ...]
    shape: tuple[int, ...] | None
    encode: Callable[[Array], Array]
    layers: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    targets: tuple[str, ...]
    siemens: tuple[float, ...]
    structure: Any
    write: Callable[[Any, np.ndarray | None, Nudge | None], Netlist]

    @classmethod
    def of(cls, net: ep.Energy) -> "Ports":
        """Return the ports of a `Resistive` network or of the energy of a circuit.

        A hidden or output node behind l amplifiers of gain A is nudged by unit · β · A^{2l}.

        **Raises** `ValueError` for another kind of network.
        """
        if isinstance(net, CircuitEnergy):
            outputs = tuple(net.plan.output_pairs)
            return cls(
                inputs=tuple(net.plan.inputs),
                shape=None,
                encode=net.drives,
                layers=(tuple(net.nodes),),
                titles=("node",),
                outputs=outputs,
                targets=tuple(f"target_{plus}" for plus, _ in outputs),
                siemens=tuple(net.plan.output_nudges),
                structure=jax.tree.structure(0),
                write=_write_energy,
            )
        if not isinstance(net, ep.Resistive):
            raise ValueError(
                "`net` must be of a circuit: Resistive or made by circuits.energy, "
                f"but is {type(net).__name__}"
            )
        names = _names(net)
        siemens = net.unit * net.amplification ** (2 * (len(net.conductances) - 1))
        return cls(
            inputs=tuple(f"V{node}" for node in names.rails),
            shape=(names.inputs,),
            encode=partial(_encode_rails, net.input_gain),
            layers=names.layers,
            titles=names.titles,
            outputs=names.outputs,
            targets=names.targets,
            siemens=(siemens,) * len(names.outputs),
            structure=jax.tree.structure((0,) * len(names.layers)),
            write=_write_resistive,
        )

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the state, layer after layer."""
        return tuple(node for layer in self.layers for node in layer)

    @cached_property
    def node_titles(self) -> tuple[str, ...]:
        """The title of the layer of each of `nodes`."""
        layers = zip(self.layers, self.titles, strict=True)
        return tuple(title for layer, title in layers for _ in layer)

    def netlist(
        self, net: ep.Energy, x: np.ndarray | None = None, *, nudge: Nudge | None = None
    ) -> Netlist:
        """Return the netlist of a network of these ports.

        **Arguments:** `x`: the example at which its sources stand; 0 V where it is not given.
        `nudge`: of the outputs, for layered networks alone; none where it is not given.
        """
        return self.write(net, x, nudge)

    # Values of the sources

    def drives(
        self, xs: np.ndarray, ys: np.ndarray | None = None, *, cost: ep.SquaredError | None = None
    ) -> dict[str, np.ndarray]:
        """Return the values (samples,) of the input sources, and of those of the targets.

        **Arguments:** `xs`: examples (samples, …). `ys`, `cost`: targets or labels, and the cost
        that says what they mean in volts; without them the sources of the targets are left out.

        **Raises** `ValueError` for shapes that do not fit the network.
        """
        xs = np.asarray(xs, float)
        if len(xs) == 0 or (self.shape is not None and xs.shape[1:] != self.shape):
            wanted = ", ".join(("samples", *map(str, self.shape or ("…",))))
            raise ValueError(
                f"`xs` must have shape ({wanted}) with a sample or more, but has {xs.shape}"
            )
        if ys is not None and len(ys) != len(xs):
            raise ValueError(
                f"`ys` must hold a target for each of the {len(xs)} samples, but holds {len(ys)}"
            )
        values = np.stack([np.asarray(self.encode(x), float) for x in xs])
        columns = dict(zip(self.inputs, values.T, strict=True))
        if cost is not None and ys is not None:
            columns |= self.target_drives(self.target_volts(cost, ys))
        return columns

    def target_volts(self, cost: ep.SquaredError, ys: np.ndarray) -> np.ndarray:
        """Return the target voltages (samples, outputs) of targets or labels `ys`.

        **Raises** `ValueError` for a label beyond the outputs.
        """
        count = len(self.outputs)
        require_labels(ys, count)
        return np.stack([np.asarray(cost.targets(jnp.asarray(y), count), float) for y in ys])

    def target_drives(self, volts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values (samples,) of the targets' sources at `volts` (samples, outputs)."""
        return {f"V{node}": v for node, v in zip(self.targets, volts.T, strict=True)}

    # State and voltages

    def states(self, volts: Array) -> Any:
        """Return voltages (…, nodes) in V, in the order of `nodes`, in the form of the state."""
        ends = np.cumsum([len(layer) for layer in self.layers])
        arrays = [
            volts[..., end - len(layer) : end]
            for layer, end in zip(self.layers, ends.tolist(), strict=True)
        ]
        return jax.tree.unflatten(self.structure, arrays)

    def voltages(self, state: Any) -> np.ndarray:
        """Return the voltages (…, nodes) in V of a state, in the order of `nodes`."""
        return np.concatenate([np.asarray(layer) for layer in jax.tree.leaves(state)], axis=-1)

    def read(self, volts: np.ndarray) -> np.ndarray:
        """Return the outputs (…, outputs) in V of voltages (…, nodes) in the order of `nodes`.

        The outputs of a layered network are nodes of its state, as this needs.
        """
        place = {node: k for k, node in enumerate(self.nodes)}
        plus = volts[..., [place[node] for node, _ in self.outputs]]
        if all(minus == GROUND for _, minus in self.outputs):
            return plus
        padded = np.concatenate([volts, np.zeros((*volts.shape[:-1], 1))], axis=-1)
        return plus - padded[..., [place.get(minus, -1) for _, minus in self.outputs]]

    def decisions(self, volts: np.ndarray) -> np.ndarray:
        """Return the class of the largest output (samples,); −1 where a voltage is missing.

        **Arguments:** `volts`: (samples, nodes) in V, in the order of `nodes`.
        """
        return decisions(self.read(volts))

    # Nudges

    def nudge(self, cost: ep.SquaredError, y: Any, beta: float = 0.0) -> Nudge:
        """Return the nudge by `beta`, in units of the network's, of all outputs towards `y`."""
        return Nudge(self.siemens[0] * beta, self.target_volts(cost, np.asarray(y)[None])[0])

    def at_nudge(self, netlist: Netlist, beta: float) -> Netlist:
        """Return a netlist whose nudge sources, `Gnudge_*`, are at the strength `beta`.

        A netlist without any is its own free phase.

        **Raises** `NetlistError` for a `beta` other than 0 where there are none.
        """
        names = {f"nudge_{node}" for pair in self.outputs for node in pair}
        sources = [e for e in netlist.of(Transconductance) if e.name in names]
        if beta and not sources:
            raise NetlistError(
                "`circuit` must have nudge sources (Gnudge_*) for phases with a nudge, but has none"
            )
        siemens = self.siemens[0] * beta
        return netlist.with_elements(*(replace(source, siemens=siemens) for source in sources))

    def swept(self, netlist: Netlist) -> Netlist:
        """Return a netlist whose nudge is the voltage of a source, so that it can be swept.

        It pushes v(nudge) · factor · (target − (v₊ − v₋)) into every output, the factor being its
        conductance for a nudge of 1 over that of the first.
        """
        added: list[Element] = [VoltageSource(NUDGE, NUDGE, GROUND, 0.0)]
        for (plus, minus), target, siemens in zip(
            self.outputs, self.targets, self.siemens, strict=True
        ):
            off = Operation("-", (Voltage(plus, minus), Voltage(target)))
            strength = Operation("*", (Constant(siemens / self.siemens[0]), Voltage(NUDGE)))
            current = Operation("*", (strength, off))
            added.append(VoltageSource(target, target, GROUND, 0.0))
            added.append(Behavioural(f"nudge_{plus}", plus, minus, "i", current))
        return replace(netlist, elements=(*netlist.elements, *added), analyses=())

    def swept_drives(
        self,
        drives: dict[str, np.ndarray],
        targets: np.ndarray,
        betas: Sequence[float] | np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return the values (samples · phases,) of the sources of a `swept` netlist.

        The phases of a sample stand one after the other, so that each is a warm start of the next.

        **Arguments:** `drives`: of the inputs (samples,). `targets`: (samples, outputs) in V.
        `betas`: the nudge of each phase, in units of the network's.
        """
        columns = drives | self.target_drives(targets)
        repeated = {name: np.repeat(values, len(betas)) for name, values in columns.items()}
        strengths = np.tile(self.siemens[0] * np.asarray(betas), len(targets))
        return repeated | {f"V{NUDGE}": strengths}


def _names(net: ep.Resistive) -> LayeredNames:
    """Return the names of a layered network's nodes."""
    sizes = tuple(b.size for b in net.biases)
    return LayeredNames(net.conductances[0].shape[0] // 2, sizes, net.doubled_outputs)


def _encode_rails(gain: float, x: Array) -> Array:
    """Return the voltages of the rails of an example (inputs,): +gain·x, then −gain·x."""
    return x.__array_namespace__().concatenate([gain * x, -gain * x])


def _write_energy(net: CircuitEnergy, x: np.ndarray | None, nudge: Nudge | None) -> Netlist:
    """Return the netlist of a circuit's energy, which has no nudge of its own."""
    if nudge is not None:
        raise ValueError("`nudge` must be None for a network made by circuits.energy")
    return net.circuit(None if x is None else jnp.asarray(x))


def _write_resistive(net: ep.Resistive, x: np.ndarray | None, nudge: Nudge | None) -> Netlist:
    """Return the netlist of a layered network, whose arrays may be NumPy's.

    **Raises** `ValueError` for an example of another shape and a device that is none of `circuits`.
    """
    if net.device is not None and not isinstance(net.device, Device):
        raise ValueError(
            f"`net.device` must be a device of circuits or None, but is {type(net.device).__name__}"
        )
    names = _names(net)
    x = np.zeros(names.inputs) if x is None else np.asarray(x, float)
    if x.shape != (names.inputs,):
        raise ValueError(f"`x` must have shape {(names.inputs,)}, but has {x.shape}")
    sizes = "-".join(str(n) for n in (names.inputs, *names.sizes[:-1], len(names.outputs)))
    return layered(
        [net.unit * np.asarray(g, float) for g in net.conductances],
        [net.unit * np.asarray(b, float) for b in net.biases],
        _encode_rails(net.input_gain, x),
        device=_with_plain_numbers(net.device),
        capacitance=net.capacitance,
        amplification=net.amplification,
        nudge=nudge,
        doubled_outputs=net.doubled_outputs,
        title=f"Resistive network {sizes}",
        header=(
            f"Unit conductance: {net.unit} S; beta and conductances of the model are in units "
            f"of it. Input gain: {net.input_gain} V.",
        ),
    )


def _with_plain_numbers(device: Any) -> Any:
    """Return a device with numbers in the place of arrays of one value.

    **Raises** `ValueError` for a field that differs from node to node.
    """
    if device is None:
        return None
    numbers = {}
    for field in fields(device):
        value = getattr(device, field.name)
        if isinstance(value, np.ndarray | jax.Array):  # anything else is the same for all nodes
            if value.ndim:
                raise ValueError(
                    f"`net.device` must have one `{field.name}` for all nodes to be emitted, "
                    f"but has an array of {value.shape}"
                )
            numbers[field.name] = float(value)
    return replace(device, **numbers)
