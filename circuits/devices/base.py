"""The contract of a device at a hidden node: current, co-content and elements in a netlist."""

import abc

import numpy as np

from ..elements.base import Element
from ..units import ROOM, Array


class Device(abc.ABC):
    """A device between each hidden node of a network and ground.

    Voltages are those of all n nodes of a layer, as some devices differ from node to node.

    **Arguments:**

    - `temperature`: of the circuit, in K.
    """

    temperature: float = ROOM

    @abc.abstractmethod
    def current(self, v: Array) -> Array:
        """Return the current i(v) in A, node by node.

        **Arguments:**

        - `v`: voltages of a layer in V, (…, n), of NumPy or JAX.
        """

    @abc.abstractmethod
    def cocontent(self, v: Array) -> Array:
        """Return the co-content ∫ i dv in W up to a constant; `v` as for `current`."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Return what a hidden node has, in words, for the netlist's header."""

    @abc.abstractmethod
    def rails(self) -> list[Element]:
        """Return the sources that all nodes of a circuit share."""

    @abc.abstractmethod
    def elements(self, nodes: tuple[str, ...], loads: np.ndarray) -> list[Element]:
        """Return the elements of the device at each node of a layer.

        **Arguments:**

        - `nodes`: the names of the layer's n nodes.
        - `loads`: the sum of the other conductances at each node, in S, (n,).
        """


def first_half(n: int) -> np.ndarray:
    """Return which of n nodes are in the first half of their layer, as booleans (n,).

    The first half is the larger one where n is odd.
    """
    return np.arange(n) < (n + 1) // 2
