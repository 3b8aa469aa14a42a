"""Variations that add to a circuit what a netlist leaves out: the resistance of lines, drivers and instruments."""

import abc
import fnmatch
import itertools
from dataclasses import dataclass, replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.passive import ConductanceMatrix, Resistor
from ..elements.sources import VoltageSource
from ..topologies.crossbars import wired
from .base import Part


class Rewiring(Part):
    """A variation that puts several elements in the place of one, of those whose SPICE names match the pattern `of`."""

    of: str

    @abc.abstractmethod
    def become(self, element: Element) -> list[Element]:
        """What stands in the place of an element that is meant."""

    def apply(self, netlist, draw):
        del draw
        meant = (
            fnmatch.fnmatchcase(element.letter + element.name, self.of)
            for element in netlist.elements
        )
        rewired = (
            self.become(e) if yes else [e] for e, yes in zip(netlist.elements, meant, strict=True)
        )
        return replace(netlist, elements=tuple(itertools.chain.from_iterable(rewired)))


@dataclass(frozen=True)
class WireResistance(Rewiring):
    """Lines of `ohms` from device to device: every conductance matrix whose name matches `of` becomes a crossbar with wires.

    A row's line begins at its node and passes the columns in their order; a column's ends at its node, after the last row. The
    crossings of matrix g1 are the nodes `g1_w3_5` and `g1_b3_5`. Raises `ValueError` where `ohms` is not above 0.
    """

    cause = "wire resistance"
    ohms: float
    of: str = "R*"

    def __post_init__(self):
        _check_ohms(self.ohms)

    def become(self, element):
        if not isinstance(element, ConductanceMatrix):
            return [element]
        return wired(element.rows, element.columns, element.siemens, self.ohms, f"{element.name}_")


@dataclass(frozen=True)
class SourceResistance(Rewiring):
    """Drivers of `ohms`: it stands between every voltage source whose name matches `of` and the node that it drives.

    The source then drives the node `in3.s` of its own, where it drove `in3`. Raises `ValueError` where `ohms` is not above 0.
    """

    cause = "source resistance"
    ohms: float
    of: str = "Vin*"

    def __post_init__(self):
        _check_ohms(self.ohms)

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
    """Instruments of a finite `ohms` that read the nodes whose names match `of`: a resistance from each to ground.

    Raises `ValueError` where `ohms` is not above 0.
    """

    cause = "sense resistance"
    ohms: float
    of: str = "out*"

    def __post_init__(self):
        _check_ohms(self.ohms)

    def apply(self, netlist, draw):
        del draw
        read = [
            Resistor(f"sense_{node}", node, GROUND, siemens=1 / self.ohms)
            for node in fnmatch.filter(netlist.nodes, self.of)
        ]
        return replace(netlist, elements=(*netlist.elements, *read))


def _check_ohms(ohms: float) -> None:
    if not (np.isfinite(ohms) and ohms > 0):
        raise ValueError(f"`ohms` must be finite and above 0, but is {ohms}")
