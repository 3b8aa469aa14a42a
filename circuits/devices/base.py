"""What stands at each hidden node of a network: a current, its co-content, and its elements in a netlist."""

import abc

import numpy as np

from ..elements.base import Element
from ..units import ROOM, Array


class Device(abc.ABC):
    """What stands between each hidden node of a network and ground: a current, its co-content, and its elements in a netlist.

    Voltages `v` (…, n) are those of all n nodes of a layer, as some devices differ from node to node. `temperature` is that of the
    circuit in K.
    """

    temperature: float = ROOM

    @abc.abstractmethod
    def current(self, v: Array) -> Array:
        """i(v) in A, node by node."""

    @abc.abstractmethod
    def cocontent(self, v: Array) -> Array:
        """∫ i dv in W up to a constant, node by node."""

    @abc.abstractmethod
    def describe(self) -> str:
        """What a hidden node has, in words, for the netlist's header."""

    @abc.abstractmethod
    def rails(self) -> list[Element]:
        """The sources that all nodes of a circuit share."""

    @abc.abstractmethod
    def elements(self, nodes: tuple[str, ...], loads: np.ndarray) -> list[Element]:
        """Its elements at each of `nodes`, one layer; `loads` are the other conductances at the nodes in S."""


def first_half(n: int) -> np.ndarray:
    """Which of n nodes are in the first half of their layer; the larger half where n is odd."""
    return np.arange(n) < (n + 1) // 2
