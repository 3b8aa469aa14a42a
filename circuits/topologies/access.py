"""Crossbars with a transistor at every device: 1T1R arrays."""

from dataclasses import replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.passive import Resistor
from ..elements.sources import VoltageSource
from ..elements.transistors import Mosfet, MosfetModel
from ..netlist.netlist import Netlist
from ..units import number
from .crossbars import crossbar


def transistor_array(
    siemens: np.ndarray,
    volts: np.ndarray,
    gates: np.ndarray,
    model: MosfetModel,
    *,
    width: float,
    length: float,
    wire_ohms: float,
    driver_ohms: float = 0.0,
    sense_ohms: float = 0.0,
    title: str = "1T1R array",
) -> Netlist:
    """Return a `crossbar` with a transistor in series with each device (1T1R).

    The transistor `M3_5` stands between the node `a3_5`, at its device, and the bit line's `b3_5`.
    The gates of a word line are all at the voltage of a source (`Vgate3`), the bulks at the most
    negative voltage of all (`Vbulk`). A transistor is no two-terminal element: the array has an
    energy only where its gates are far above all else, so that each channel is a resistor.

    **Arguments:**

    - `siemens`, `volts`, `wire_ohms`, `driver_ohms`, `sense_ohms`, `title`: as those of `crossbar`.
    - `gates`: voltages of the word lines' gates, in V, (words,).
    - `model`: of the transistors, of kind "n".
    - `width`, `length`: of their channels, in m.

    **Raises** `ValueError` as `crossbar` does, for a model of kind "p", and for gates that do not
    fit or are not finite.
    """
    gates = np.asarray(gates, float)
    if gates.shape != np.shape(volts) or not np.isfinite(gates).all():
        raise ValueError(
            f"`gates` must be finite, one for each of the {np.size(volts)} word lines, "
            f"but are {gates}"
        )
    if model.kind != "n":
        raise ValueError(f"`model` must be of kind 'n', but is of kind {model.kind!r}")
    bare = crossbar(
        siemens,
        volts,
        wire_ohms=wire_ohms,
        driver_ohms=driver_ohms,
        sense_ohms=sense_ohms,
        title=title,
    )
    elements: list[Element] = [
        VoltageSource(f"gate{i}", f"gate{i}", GROUND, float(v)) for i, v in enumerate(gates)
    ]
    elements.append(VoltageSource("bulk", "bulk", GROUND, min(0.0, float(np.min(volts)))))
    for element in bare.elements:
        if isinstance(element, Resistor) and element.name.startswith("g"):
            crossing = element.name[1:]
            gate, between = f"gate{crossing.split('_')[0]}", f"a{crossing}"
            nodes = (between, gate, element.minus, "bulk")
            elements.append(replace(element, minus=between))
            elements.append(Mosfet(crossing, *nodes, model, width, length))
        else:
            elements.append(element)
    header = (
        *bare.header,
        f"A transistor M* of {number(width)} by {number(length)} m in series with each device, "
        "gates at Vgate*.",
    )
    return replace(bare, elements=tuple(elements), header=header)
