"""Variations that add to a circuit what a netlist leaves out: the resistance of lines, drivers and instruments."""

import fnmatch
from dataclasses import dataclass, replace

import numpy as np

from ..elements import GROUND, ConductanceMatrix, Element, Resistor
from ..sources import VoltageSource
from ..topologies.crossbars import wired
from .base import Part


@dataclass(frozen=True)
class WireResistance(Part):
    """Lines of `ohms` from device to device: every conductance matrix whose name matches `of` becomes a crossbar with wires.

    A row's line begins at its node and passes the columns in their order; a column's ends at its node, after the last row. The
    crossings of matrix g1 are the nodes `g1_w3_5` and `g1_b3_5`. Raises `ValueError` where `ohms` is not above 0.
    """

    ohms: float
    of: str = "R*"

    def __post_init__(self):
        _check_ohms(self.ohms)

    def apply(self, netlist, draw):
        del draw
        elements: list[Element] = []
        for element in netlist.elements:
            if isinstance(element, ConductanceMatrix) and fnmatch.fnmatchcase(f"R{element.name}", self.of):
                elements += wired(element.rows, element.columns, element.siemens, self.ohms, f"{element.name}_")
            else:
                elements.append(element)
        return replace(netlist, elements=tuple(elements))


@dataclass(frozen=True)
class SourceResistance(Part):
    """Drivers of `ohms`: it stands between every source whose name matches `of` and its node.

    The source then drives the node `in3.s` of its own, where it drove `in3`. Raises `ValueError` where `ohms` is not above 0.
    """

    ohms: float
    of: str = "Vin*"

    def __post_init__(self):
        _check_ohms(self.ohms)

    def apply(self, netlist, draw):
        del draw
        elements: list[Element] = []
        for element in netlist.elements:
            if isinstance(element, VoltageSource) and fnmatch.fnmatchcase(element.key, self.of) and element.plus != GROUND:
                inner = f"{element.plus}.s"
                elements += [replace(element, plus=inner), Resistor(f"source_{element.name}", inner, element.plus, 1 / self.ohms)]
            else:
                elements.append(element)
        return replace(netlist, elements=tuple(elements))


@dataclass(frozen=True)
class SenseResistance(Part):
    """Instruments of a finite `ohms` that read the nodes whose names match `of`: a resistance from each to ground.

    Raises `ValueError` where `ohms` is not above 0.
    """

    ohms: float
    of: str = "out*"

    def __post_init__(self):
        _check_ohms(self.ohms)

    def apply(self, netlist, draw):
        del draw
        read = [Resistor(f"sense_{node}", node, GROUND, 1 / self.ohms) for node in fnmatch.filter(netlist.nodes, self.of)]
        return replace(netlist, elements=(*netlist.elements, *read))


def _check_ohms(ohms: float) -> None:
    if not (np.isfinite(ohms) and ohms > 0):
        raise ValueError(f"`ohms` must be finite and above 0, but is {ohms}")
