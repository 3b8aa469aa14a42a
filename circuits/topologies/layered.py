"""Layered networks from their conductances: rails, devices, amplifiers, biases and nudges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..devices.base import Device
from ..elements.base import GROUND, Element
from ..elements.controlled import CurrentGain, Transconductance, VoltageGain
from ..elements.passive import Capacitor, ConductanceMatrix
from ..elements.sources import CurrentSource, VoltageSource
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import Netlist
from ..units import ROOM, number


@dataclass(frozen=True)
class Nudge:
    """A nudge of the outputs: a conductance times the distance to the targets.

    **Arguments:**

    - `siemens`: the conductance in S, of either sign; 0 for a free phase.
    - `targets`: the outputs' target voltages (outputs,) in V.
    """

    siemens: float
    targets: np.ndarray


@dataclass(frozen=True)
class LayeredNames:
    """The names of a layered network's nodes and elements in its netlist.

    **Arguments:**

    - `inputs`: the number of inputs before doubling.
    - `sizes`: the number of nodes of each layer, the outputs last.
    - `doubled_outputs`: whether each output is the difference of two nodes.
    """

    inputs: int
    sizes: tuple[int, ...]
    doubled_outputs: bool = False

    @property
    def rails(self) -> tuple[str, ...]:
        """The nodes of the doubled inputs: `in0p` … for +x, then `in0n` … for −x."""
        return tuple(f"in{i}{sign}" for sign in "pn" for i in range(self.inputs))

    @property
    def hidden(self) -> list[tuple[str, ...]]:
        """The nodes of the hidden layers: `h17`; `h2_17` where there are several."""
        *sizes, _ = self.sizes
        prefixes = ["h"] if len(sizes) == 1 else [f"h{k + 1}_" for k in range(len(sizes))]
        return [tuple(f"{h}{i}" for i in range(n)) for h, n in zip(prefixes, sizes, strict=True)]

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of nodes whose difference is an output.

        They are `out4` and ground, or `out4p` and `out4n` where outputs are doubled.
        """
        if self.doubled_outputs:
            return tuple((f"out{i}p", f"out{i}n") for i in range(self.sizes[-1] // 2))
        return tuple((f"out{i}", GROUND) for i in range(self.sizes[-1]))

    @property
    def layers(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each array of a state; doubled outputs are two, all + then all −."""
        plus, minus = zip(*self.outputs, strict=True)
        return (*self.hidden, plus, minus) if self.doubled_outputs else (*self.hidden, plus)

    @property
    def titles(self) -> tuple[str, ...]:
        """The title of each array: `hidden`, or `hidden2` where there are several, and `output`."""
        hidden = range(len(self.sizes) - 1)
        titles = ("hidden",) if len(hidden) == 1 else tuple(f"hidden{k + 1}" for k in hidden)
        return (*titles, *("output",) * (2 if self.doubled_outputs else 1))

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes that are held at the outputs' target voltages: `target_out0` …."""
        return tuple(f"target_out{i}" for i in range(len(self.outputs)))


def decisions(outputs: np.ndarray) -> np.ndarray:
    """Return the class of the largest output (samples,); −1 where an output is not finite.

    **Arguments:** `outputs`: (samples, outputs) in V.
    """
    known = np.all(np.isfinite(outputs), axis=1)
    return np.where(known, np.argmax(np.where(known[:, None], outputs, 0.0), axis=1), -1)


def layered(
    conductances: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    rails: np.ndarray,
    *,
    device: Device | None,
    capacitance: float,
    nudge: Nudge | None = None,
    doubled_outputs: bool = False,
    amplification: float = 1.0,
    title: str = "Layered resistive network",
    header: Sequence[str] = (),
) -> Netlist:
    """Return the netlist of a layered network.

    It has ideal sources at the input rails, conductances between consecutive layers, `device` and a
    capacitance at each hidden node, biases as current sources, and the nudge. The circuit is at the
    temperature of `device`.

    **Arguments:**

    - `conductances`: (nodes of the layer before, nodes of the layer) in S, one array a layer, the
      first with the doubled inputs as rows; those of 0 are left out.
    - `biases`: currents (nodes of the layer,) in A into the nodes, one array a layer.
    - `rails`: the inputs' voltages (2 · inputs,) in V, +x then −x.
    - `device`: what stands between each hidden node and ground; None for a linear network.
    - `capacitance`: from each hidden and output node to ground, in F.
    - `nudge`: adds a voltage-controlled current source for each output, which pushes
      siemens · (target − v) into it.
    - `doubled_outputs`: whether the last layer has two nodes for each output, all + then all −; a
      nudge then pushes siemens · (target − (v₊ − v₋)) out of the − node into the + node.
    - `amplification`: A; other than 1, an `amplifier` stands behind every hidden node, before the
      conductances to the next layer.
    - `title`, `header`: of the netlist; lines about its contents are added to the header.

    **Raises** `ValueError` for arrays that do not fit, negative or non-finite conductances, and
    non-finite numbers.
    """
    names = LayeredNames(len(rails) // 2, tuple(g.shape[-1] for g in conductances), doubled_outputs)
    _check_shapes(names, conductances, biases, rails)
    outputs = tuple(node for layer in names.layers[len(names.hidden) :] for node in layer)
    layers = [*names.hidden, outputs]

    elements: list[Element] = [
        VoltageSource(node, node, GROUND, float(volts))
        for node, volts in zip(names.rails, rails, strict=True)
    ]
    elements += _connections(names.rails, layers, conductances, amplification)
    elements += [
        CurrentSource(f"b{node}", GROUND, node, float(amperes))
        for currents, layer in zip(biases, layers, strict=True)
        for node, amperes in zip(layer, currents, strict=True)
        if amperes != 0
    ]
    if device is not None:
        elements += device.rails()
        for k, layer in enumerate(names.hidden):
            load = conductances[k].sum(0) + conductances[k + 1].sum(1)
            elements += device.elements(layer, load)
    elements += [Capacitor(node, node, GROUND, capacitance) for layer in layers for node in layer]
    if nudge is not None:
        elements += _nudge(names, nudge)

    return Netlist(
        title,
        tuple(elements),
        (*header, *_header(names, device, biases, nudge, amplification, capacitance)),
        (OperatingPoint(outputs),),
        temperature=ROOM if device is None else device.temperature,
    )


def _check_shapes(
    names: LayeredNames,
    conductances: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    rails: np.ndarray,
) -> None:
    """Raise `ValueError` for arrays that do not fit each other."""
    before = conductances[0].shape[0]
    if len(rails) != len(names.rails) or before != len(rails):
        raise ValueError(f"`rails` must hold {before} voltages, but holds {len(rails)}")
    for k, (g, b) in enumerate(zip(conductances, biases, strict=True)):
        if g.ndim != 2 or b.shape != g.shape[1:] or g.shape[0] != before:
            raise ValueError(
                f"`conductances[{k}]` and `biases[{k}]` must fit the layer before, "
                f"but have {g.shape} and {b.shape}"
            )
        before = g.shape[1]


def _connections(
    rails: tuple[str, ...],
    layers: Sequence[tuple[str, ...]],
    conductances: Sequence[np.ndarray],
    amplification: float,
) -> list[Element]:
    """Return the conductances between consecutive layers and the amplifiers behind hidden nodes."""
    before, elements = rails, []
    for k, (g, layer) in enumerate(zip(conductances, layers, strict=True)):
        elements.append(ConductanceMatrix(f"g{k + 1}", before, layer, np.asarray(g, float)))
        before = layer
        if amplification != 1 and k + 1 < len(layers):
            before = tuple(f"{node}a" for node in layer)
            for node, after in zip(layer, before, strict=True):
                elements += amplifier(node, node, after, amplification)
    return elements


def _header(
    names: LayeredNames,
    device: Device | None,
    biases: Sequence[np.ndarray],
    nudge: Nudge | None,
    amplification: float,
    capacitance: float,
) -> list[str]:
    """Return the header's lines about what the netlist holds."""
    inputs, outputs = names.inputs, len(names.outputs)
    sizes = "-".join(str(n) for n in (inputs, *names.sizes[:-1], outputs))
    reading = (
        "a pair of nodes for each class; the largest v(outKp) - v(outKn)"
        if names.doubled_outputs
        else "one node for each class; the largest voltage"
    )
    lines = [
        f"Inputs: {inputs}, doubled: in0p = +gain x0, in0n = -gain x0, ideal sources. "
        f"Sizes: {sizes}.",
        f"Hidden nodes: {device.describe() if device is not None else 'linear'}.",
        f"Outputs: {outputs}, {reading} decides.",
    ]
    if amplification != 1:
        lines.append(
            f"Amplifiers: E*, F*; h*a is {number(amplification)} times the hidden node h*."
        )
    count = sum(np.count_nonzero(b) for b in biases)
    strength = (
        "none."
        if nudge is None
        else f"Gnudge_*, {number(nudge.siemens)} S from each output to its target."
    )
    return [
        *lines,
        f"Biases: {count} current sources into nodes (Ib*).",
        f"Nudge: {strength}",
        f"Capacitance: {number(capacitance)} F from each hidden and output node to ground.",
    ]


def amplifier(name: str, before: str, after: str, gain: float) -> list[Element]:
    """Return a bidirectional amplifier.

    Node `after` is held at `gain` times the voltage of `before`, from which the current that leaves
    `after` is drawn, divided by the gain. A voltage-controlled voltage source does the first, and a
    current-controlled current source the second: it reads the current into `after` off a source of
    0 V (Kendall et al. 2020, arXiv:2006.01981). What lies behind it counts 1/gain² in the
    co-content.

    **Arguments:** `name`: of its elements. `before`, `after`: its nodes. `gain`: without unit.
    """
    inner = f"{after}i"
    return [
        VoltageGain(name, inner, GROUND, before, GROUND, gain),
        VoltageSource(f"sense_{name}", inner, after, 0.0),
        CurrentGain(name, before, GROUND, f"Vsense_{name}", 1 / gain),
    ]


def _nudge(names: LayeredNames, nudge: Nudge) -> list[Element]:
    """Return the sources of the targets, and the transconductances that pull outputs to them."""
    elements: list[Element] = [
        VoltageSource(node, node, GROUND, float(volts))
        for node, volts in zip(names.targets, nudge.targets, strict=True)
    ]
    g = nudge.siemens
    for target, (plus, minus) in zip(names.targets, names.outputs, strict=True):
        elements.append(Transconductance(f"nudge_{plus}", minus, plus, target, plus, g))
        if minus != GROUND:
            elements.append(Transconductance(f"nudge_{minus}", minus, plus, minus, GROUND, g))
    return elements
