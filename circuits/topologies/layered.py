"""Layered networks from their conductances: rails, devices, amplifiers, biases and nudges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..devices.base import Device
from ..elements.base import GROUND, Element
from ..elements.passive import Capacitor, ConductanceMatrix
from ..elements.sources import (
    CurrentGain,
    CurrentSource,
    Transconductance,
    VoltageGain,
    VoltageSource,
)
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import Netlist
from ..units import ROOM, number


@dataclass(frozen=True)
class Nudge:
    """A nudge of the outputs: `siemens` (S, either sign; 0 for a free phase) times the distance to `targets` (V)."""

    siemens: float
    targets: np.ndarray


def input_names(inputs: int) -> tuple[str, ...]:
    """The nodes of the doubled inputs: `in0p` … for +x, then `in0n` … for −x."""
    return (*(f"in{i}p" for i in range(inputs)), *(f"in{i}n" for i in range(inputs)))


def layer_names(sizes: Sequence[int], *, doubled_outputs: bool = False) -> list[tuple[str, ...]]:
    """The nodes of the hidden layers (`h17`; `h2_17` where there are several) and of the outputs (`out4`).

    `sizes` are numbers of nodes. Doubled outputs are `out0p` …, then `out0n` ….
    """
    hidden = len(sizes) - 1
    names = [
        tuple(f"h{i}" if hidden == 1 else f"h{layer + 1}_{i}" for i in range(n))
        for layer, n in enumerate(sizes[:-1])
    ]
    if doubled_outputs:
        return [*names, tuple(f"out{i}{sign}" for sign in "pn" for i in range(sizes[-1] // 2))]
    return [*names, tuple(f"out{i}" for i in range(sizes[-1]))]


def target_names(outputs: int) -> tuple[str, ...]:
    """The nodes at the outputs' target voltages: `target_out0` …."""
    return tuple(f"target_out{i}" for i in range(outputs))


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
    """A layered network: input rails, `device` and a capacitance at each hidden node, biases as current sources, and the nudge.

    **Arguments:** `conductances` in S, (nodes of the layer before, nodes of the layer) each, the first with the doubled inputs as rows;
    0 is left out. `biases`: currents in A into the nodes. `rails`: the inputs' voltages, +x then −x. `capacitance` in F. `nudge`: a
    voltage-controlled current source per output that pushes siemens · (target − v) into it. `doubled_outputs`: the last layer has two
    nodes per output, all + then all −, and a nudge pushes siemens · (target − (v₊ − v₋)) out of the − node into the + node.
    `amplification`: A; other than 1, an `amplifier` stands behind every hidden node, before the conductances to the next layer. The
    circuit is at the temperature of `device`.

    **Raises** `ValueError` for arrays that do not fit, negative or non-finite conductances, and non-finite numbers.
    """
    layers = layer_names([g.shape[1] for g in conductances], doubled_outputs=doubled_outputs)
    outputs = len(layers[-1]) // 2 if doubled_outputs else len(layers[-1])
    before, elements = input_names(len(rails) // 2), []
    if len(rails) != len(before) or conductances[0].shape[0] != len(rails):
        raise ValueError(
            f"`rails` must hold {conductances[0].shape[0]} voltages, but holds {len(rails)}"
        )
    elements += [
        VoltageSource(node, node, GROUND, float(v)) for node, v in zip(before, rails, strict=True)
    ]
    for index, (g, b) in enumerate(zip(conductances, biases, strict=True)):
        if (
            g.ndim != 2
            or b.shape != g.shape[1:]
            or (index and g.shape[0] != conductances[index - 1].shape[1])
        ):
            raise ValueError(
                f"`conductances[{index}]` and `biases[{index}]` must fit the layer before, but have {g.shape} and {b.shape}"
            )
    loads = []
    for index, (g, layer) in enumerate(zip(conductances, layers, strict=True)):
        elements.append(ConductanceMatrix(f"g{index + 1}", before, layer, np.asarray(g, float)))
        loads.append(
            g.sum(0) + (conductances[index + 1].sum(1) if index + 1 < len(layers) else 0.0)
        )
        before = layer
        if amplification != 1 and index + 1 < len(layers):
            before = tuple(f"{node}a" for node in layer)
            for node, after in zip(layer, before, strict=True):
                elements += amplifier(node, node, after, amplification)
    for currents, layer in zip(biases, layers, strict=True):
        elements += [
            CurrentSource(f"b{n}", GROUND, n, float(i))
            for n, i in zip(layer, currents, strict=True)
            if i != 0
        ]
    if device is not None:
        elements += device.rails()
        for layer, load in zip(layers[:-1], loads, strict=False):
            elements += device.elements(layer, load)
    elements += [Capacitor(node, node, GROUND, capacitance) for layer in layers for node in layer]
    if nudge is not None:
        elements += _nudge(nudge, layers[-1])
    sizes = "-".join(
        str(n) for n in (len(rails) // 2, *(len(layer) for layer in layers[:-1]), outputs)
    )
    read = (
        "a pair of nodes for each class; the largest v(outKp) - v(outKn)"
        if doubled_outputs
        else "one node for each class; the largest voltage"
    )
    return Netlist(
        title,
        tuple(elements),
        (
            *header,
            f"Inputs: {len(rails) // 2}, doubled: in0p = +gain x0, in0n = -gain x0, ideal sources. Sizes: {sizes}.",
            f"Hidden nodes: {device.describe() if device is not None else 'linear'}.",
            f"Outputs: {outputs}, {read} decides.",
            *(
                [f"Amplifiers: E*, F*; h*a is {number(amplification)} times the hidden node h*."]
                if amplification != 1
                else []
            ),
            f"Biases: {sum(np.count_nonzero(b) for b in biases)} current sources into nodes (Ib*).",
            "Nudge: "
            + (
                f"Gnudge_*, {number(nudge.siemens)} S from each output to its target."
                if nudge is not None
                else "none."
            ),
            f"Capacitance: {number(capacitance)} F from each hidden and output node to ground.",
        ),
        (OperatingPoint(layers[-1]),),
        temperature=ROOM if device is None else device.temperature,
    )


def amplifier(name: str, before: str, after: str, gain: float) -> list[Element]:
    """A bidirectional amplifier: `after` is held at `gain` times the voltage of `before`, from which it draws its current over `gain`.

    A voltage-controlled voltage source forward, and backward a current-controlled current source, which reads the current into
    `after` off a source of 0 V (Kendall et al. 2020, arXiv:2006.01981). What lies behind it counts 1/gain² in the co-content.
    """
    inner = f"{after}i"
    return [
        VoltageGain(name, inner, GROUND, before, GROUND, gain),
        VoltageSource(f"sense_{name}", inner, after, 0.0),
        CurrentGain(name, before, GROUND, f"Vsense_{name}", 1 / gain),
    ]


def _nudge(nudge: Nudge, outputs: tuple[str, ...]) -> list[Element]:
    targets = target_names(len(nudge.targets))
    elements: list[Element] = [
        VoltageSource(node, node, GROUND, float(t))
        for node, t in zip(targets, nudge.targets, strict=True)
    ]
    if len(outputs) == len(targets):
        return elements + [
            Transconductance(f"nudge_{node}", GROUND, node, target, node, nudge.siemens)
            for node, target in zip(outputs, targets, strict=True)
        ]
    for target, plus, minus in zip(
        targets, outputs[: len(targets)], outputs[len(targets) :], strict=True
    ):
        elements.append(Transconductance(f"nudge_{plus}", minus, plus, target, plus, nudge.siemens))
        elements.append(
            Transconductance(f"nudge_{minus}", minus, plus, minus, GROUND, nudge.siemens)
        )
    return elements
