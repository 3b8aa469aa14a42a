"""Crossbars whose lines have resistance."""

from collections.abc import Sequence

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.passive import Resistor
from ..elements.sources import VoltageSource
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import Netlist
from ..units import check_number, number


def crossbar(
    siemens: np.ndarray,
    volts: np.ndarray,
    *,
    wire_ohms: float,
    driver_ohms: float = 0.0,
    sense_ohms: float = 0.0,
    title: str = "Crossbar",
) -> Netlist:
    """Return a crossbar: devices between word lines and bit lines, whose wires have resistance.

    Sources drive the word lines at their left ends; the bit lines are grounded at their lower ends.
    A source (`Vin3`), the driver's resistance and a piece of wire lead to the word line's first
    crossing `w3_0`, another piece to `w3_1`, and so on; the device `Rg3_5` stands between `w3_5`
    and `b3_5` on bit line 5, which runs down through `b4_5`, … and, after the last crossing and a
    piece of wire, `sense5`, through the sense resistance to ground. Without a sense resistance the
    wire itself ends at ground. The current of bit line j is that of `Rsense_j` (`Rb{last}_j`
    without one).

    **Arguments:**

    - `siemens`: conductances of the devices, in S, (words, bits); 0 for one that is absent.
    - `volts`: of the sources, in V, (words,).
    - `wire_ohms`: of a piece of wire between two crossings, in Ω, above 0.
    - `driver_ohms`, `sense_ohms`: in series with the sources, and from bit lines to ground, in Ω.
    - `title`: of the netlist.

    **Raises** `ValueError` for shapes that do not fit, and for conductances and resistances that
    are negative or not finite.
    """
    siemens, volts = np.asarray(siemens, float), np.asarray(volts, float)
    check_crossbar(siemens, volts, wire_ohms, driver_ohms, sense_ohms)
    words, bits = siemens.shape
    elements: list[Element] = [
        VoltageSource(f"in{i}", f"in{i}", GROUND, float(v)) for i, v in enumerate(volts)
    ]
    heads, feet = tuple(f"in{i}" for i in range(words)), (GROUND,) * bits
    if driver_ohms:
        elements += [
            Resistor(f"driver_{i}", head, f"d{i}", siemens=1 / driver_ohms)
            for i, head in enumerate(heads)
        ]
        heads = tuple(f"d{i}" for i in range(words))
    if sense_ohms:
        feet = tuple(f"sense{j}" for j in range(bits))
        elements += [
            Resistor(f"sense_{j}", foot, GROUND, siemens=1 / sense_ohms)
            for j, foot in enumerate(feet)
        ]
    elements += crossbar_elements(heads, feet, siemens, wire_ohms)
    read = tuple(f"sense{j}" if sense_ohms else f"b{words - 1}_{j}" for j in range(bits))
    header = (
        f"{words} word lines w*, {bits} bit lines b*, devices Rg*; "
        f"wire {number(wire_ohms)} ohm a piece, driver {number(driver_ohms)} ohm, "
        f"sense {number(sense_ohms)} ohm.",
    )
    return Netlist(title, tuple(elements), header, (OperatingPoint(read),))


def crossbar_elements(
    heads: Sequence[str],
    feet: Sequence[str],
    siemens: np.ndarray,
    wire_ohms: float,
    prefix: str = "",
) -> list[Element]:
    """Return the devices and the pieces of wire of a crossbar.

    A piece of wire leads to every crossing of a word line from the one before, or from its head,
    and from every crossing of a bit line to the next, or to its foot.

    **Arguments:**

    - `heads`: nodes at which the word lines begin, (words,).
    - `feet`: nodes at which the bit lines end, (bits,).
    - `siemens`: conductances of the devices, in S, (words, bits).
    - `wire_ohms`: of a piece of wire, in Ω.
    - `prefix`: of the names of all elements, and, in lower case, of the nodes.
    """
    (words, bits), wire, node = siemens.shape, 1 / wire_ohms, prefix.lower()
    elements: list[Element] = []
    for i in range(words):
        before = heads[i]
        for j in range(bits):
            elements.append(Resistor(f"{prefix}w{i}_{j}", before, f"{node}w{i}_{j}", siemens=wire))
            before = f"{node}w{i}_{j}"
    for j in range(bits):
        for i in range(words):
            after = f"{node}b{i + 1}_{j}" if i + 1 < words else feet[j]
            elements.append(Resistor(f"{prefix}b{i}_{j}", f"{node}b{i}_{j}", after, siemens=wire))
    elements += [
        Resistor(
            f"{prefix}g{i}_{j}", f"{node}w{i}_{j}", f"{node}b{i}_{j}", siemens=float(siemens[i, j])
        )
        for i, j in np.argwhere(siemens > 0).tolist()
    ]
    return elements


def check_crossbar(
    siemens: np.ndarray, volts: np.ndarray, wire_ohms: float, driver_ohms: float, sense_ohms: float
) -> None:
    """Raise `ValueError` for arrays that do not fit, and for numbers that a crossbar cannot have.

    Arguments and requirements are those of `crossbar`.
    """
    if siemens.ndim != 2 or not siemens.size or volts.shape != siemens.shape[:1]:
        raise ValueError(
            "`siemens` must be (words, bits) and `volts` (words,), "
            f"but have shapes {siemens.shape} and {volts.shape}"
        )
    allowed = np.isfinite(siemens) & (siemens >= 0)
    if not allowed.all():
        raise ValueError(
            f"`siemens` must be finite and at least 0, but is {siemens[~allowed].flat[0]}"
        )
    check_number(wire_ohms, "wire_ohms", "finite and above 0", lambda ohms: ohms > 0)
    for name, ohms in (("driver_ohms", driver_ohms), ("sense_ohms", sense_ohms)):
        check_number(ohms, name, "finite and at least 0", lambda ohms: ohms >= 0)
