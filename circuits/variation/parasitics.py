"""Variations that add resistances of lines, drivers and instruments."""

import abc
import fnmatch
import itertools
from dataclasses import dataclass, replace

from ..elements.base import GROUND, Element
from ..elements.passive import ConductanceMatrix, Resistor
from ..elements.sources import VoltageSource
from ..topologies.crossbars import crossbar_elements
from .base import Part, check_positive


class Rewiring(Part):
    """A variation that puts several elements in the place of one whose SPICE name matches `of`."""

    of: str

    @abc.abstractmethod
    def become(self, element: Element) -> list[Element]:
        """Return what stands in the place of `element`, whose name matches."""

    def apply(self, netlist, draw):
        del draw
        rewired = (
            self.become(element)
            if fnmatch.fnmatchcase(element.letter + element.name, self.of)
            else [element]
            for element in netlist.elements
        )
        return replace(netlist, elements=tuple(itertools.chain.from_iterable(rewired)))


@dataclass(frozen=True)
class WireResistance(Rewiring):
    """Lines with resistance: conductance matrices become crossbars with wires.

    A row's line begins at its node and passes the columns in their order; a column's line ends at
    its node, after the last row. The crossings of matrix g1 are the nodes `g1_w3_5` and `g1_b3_5`.

    **Arguments:**

    - `ohms`: of a piece of wire from device to device, in Ω.
    - `of`: pattern of the matrices' names.

    **Raises** `ValueError` where `ohms` is not above 0.
    """

    cause = "wire resistance"
    ohms: float
    of: str = "R*"

    def __post_init__(self):
        check_positive(self.ohms, "ohms")

    def become(self, element):
        if not isinstance(element, ConductanceMatrix):
            return [element]
        return crossbar_elements(
            element.rows, element.columns, element.siemens, self.ohms, f"{element.name}_"
        )


@dataclass(frozen=True)
class SourceResistance(Rewiring):
    """Drivers with an output resistance, between a voltage source and the node that it drives.

    The source then drives a node `in3.s` of its own, where it drove `in3`.

    **Arguments:**

    - `ohms`: of each driver, in Ω.
    - `of`: pattern of the sources' names.

    **Raises** `ValueError` where `ohms` is not above 0.
    """

    cause = "source resistance"
    ohms: float
    of: str = "Vin*"

    def __post_init__(self):
        check_positive(self.ohms, "ohms")

    def become(self, element):
        if not isinstance(element, VoltageSource):
            return [element]
        side = "minus" if element.plus == GROUND else "plus"
        node = getattr(element, side)
        return [
            replace(element, **{side: f"{node}.s"}),
            Resistor(f"source_{element.name}", f"{node}.s", node, siemens=1 / self.ohms),
        ]


@dataclass(frozen=True)
class SenseResistance(Part):
    """Instruments of a finite input resistance, from each node that is read to ground.

    **Arguments:**

    - `ohms`: of each instrument, in Ω.
    - `of`: pattern of the nodes' names.

    **Raises** `ValueError` where `ohms` is not above 0.
    """

    cause = "sense resistance"
    ohms: float
    of: str = "out*"

    def __post_init__(self):
        check_positive(self.ohms, "ohms")

    def apply(self, netlist, draw):
        del draw
        instruments = [
            Resistor(f"sense_{node}", node, GROUND, siemens=1 / self.ohms)
            for node in fnmatch.filter(netlist.nodes, self.of)
        ]
        return replace(netlist, elements=(*netlist.elements, *instruments))
