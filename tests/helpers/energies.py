"""Circuits with an energy, and how their energies are made."""

import numpy as np

import circuits
import eqprop as ep
from circuits import (
    GROUND,
    ConductanceMatrix,
    CurrentSource,
    Diode,
    DiodeModel,
    Netlist,
    Resistor,
    Transconductance,
    VoltageSource,
)
from circuits.topologies import amplifier

NEWTON = ep.Newton(tolerance=1e-13)


UNIT = 1e-5


def random_circuit(seed: int, nodes: int = 5) -> Netlist:
    """Return a random circuit of elements that have a co-content.

    Inputs, a tree and some more resistors, diodes of two models, a floating source, a current
    source, a matrix, a mirrored pair.
    """
    random = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(nodes)]

    def siemens() -> float:
        return float(10 ** random.uniform(-5.5, -4))

    elements = [VoltageSource("a", "a", GROUND, 1.0), VoltageSource("b", GROUND, "b", 0.5)]
    elements += [
        Resistor(
            f"t{i}",
            names[i],
            ["a", "b", GROUND, *names[:i]][random.integers(i + 3)],
            siemens=siemens(),
        )
        for i in range(nodes)
    ]
    elements += [
        Resistor(
            f"m{i}", *random.choice([*names, "a"], 2, replace=False).tolist(), siemens=siemens()
        )
        for i in range(3)
    ]
    models = [DiodeModel(1e-9, name="one"), DiodeModel(1e-7, 1.4, name="two")]
    for i in range(3):
        first, second = random.choice([*names, GROUND], 2, replace=False).tolist()
        elements.append(Diode(f"d{i}", first, second, models[i % 2], float(random.uniform(0.5, 2))))
    elements += [
        VoltageSource("f", "up", names[0], 0.3),
        Resistor("up", "up", names[-1], siemens=siemens()),
    ]
    elements.append(CurrentSource("i", GROUND, names[1], float(random.normal()) * 1e-5))
    elements.append(
        ConductanceMatrix(
            "x",
            ("a", "b"),
            (names[2], names[3]),
            np.array([[siemens(), 0.0], [siemens(), siemens()]]),
        )
    )
    elements.append(Transconductance("pull", GROUND, names[0], "b", names[0], siemens()))
    return Netlist("Random circuit", tuple(elements))


def amplified(*gains: float, diode: bool = True) -> Netlist:
    """Return two stages of two bidirectional amplifiers with `gains`.

    Resistors are between them, and a diode at the first node.
    """
    random = np.random.default_rng(1)
    elements = [VoltageSource("a", "a", GROUND, 1.0), VoltageSource("b", "b", GROUND, -0.4)]
    before, count = ["a", "b"], 0
    for stage, layer in enumerate((["h0", "h1"], ["k0", "k1"], ["o0", "o1"])):
        for first in before:
            for second in layer:
                elements.append(
                    Resistor(f"w{count}", first, second, siemens=float(random.uniform(1, 5)) * UNIT)
                )
                count += 1
        elements += [Resistor(f"l{node}", node, GROUND, siemens=UNIT) for node in layer]
        before = [f"{node}a" for node in layer]
        if stage < 2:
            for node, after, gain in zip(
                layer, before, gains[2 * stage : 2 * stage + 2], strict=True
            ):
                elements += amplifier(node, node, after, gain)
    if diode:
        elements.append(Diode("d", "h0", GROUND, DiodeModel(1e-9)))
    return Netlist("Amplified", tuple(elements))


def energy_of(circuit, **changes):
    return circuits.energy(
        circuit,
        **({"inputs": ("Va", "Vb"), "outputs": (circuit.nodes[-1],), "unit": UNIT} | changes),
    )
