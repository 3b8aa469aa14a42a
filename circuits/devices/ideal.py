"""Ideal diodes: bounds of the voltage in the model, a steep clamp in the netlist."""

import abc
from dataclasses import dataclass

import numpy as np

from ..elements.base import GROUND
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.sources import Behavioural
from .base import Device, first_half


def clamp(name: str, node: str, low: float, high: float, siemens: float) -> Behavioural:
    """An ideal diode pair at a node: no current between `low` and `high`, a conductance of `siemens` beyond them.

    Raises `ValueError` where `siemens` is not above 0, or `low` above `high`, or neither is finite.
    """
    if not (np.isfinite(siemens) and siemens > 0):
        raise ValueError(f"`siemens` of {name} must be finite and above 0, but is {siemens}")
    if not low <= high or not np.isfinite([low, high]).any():
        raise ValueError(
            f"`low` of {name} must be at most `high`, and one of them finite, but they are {low} and {high}"
        )
    v, zero = Voltage(node), Constant(0.0)
    beyond = [
        Operation(kind, (Operation("-", (v, Constant(bound))), zero))
        for kind, bound in (("max", high), ("min", low))
        if np.isfinite(bound)
    ]
    current = beyond[0] if len(beyond) == 1 else Operation("+", tuple(beyond))
    return Behavioural(name, node, GROUND, "i", Operation("*", (Constant(siemens), current)))


class IdealDevice(Device):
    """Ideal diodes: bounds of the voltage in the model, a `clamp` in the netlist."""

    @abc.abstractmethod
    def bounds(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest voltage of each of n nodes."""

    def current(self, v):
        return np.zeros(v.shape, v.dtype)

    def cocontent(self, v):
        return np.zeros(v.shape, v.dtype)

    def rails(self):
        return []

    def elements(self, nodes, loads):
        """A clamp of a billion times the node's other conductances: it gives way by a billionth of what would flow."""
        low, high = self.bounds(len(nodes))
        return [
            clamp(f"{node}d", node, float(below), float(above), 1e9 * float(load))
            for node, below, above, load in zip(nodes, low, high, loads, strict=True)
        ]


@dataclass(frozen=True)
class IdealPair(IdealDevice):
    """Two ideal diodes at every node that hold its voltage within ±`bias`."""

    bias: float

    def __post_init__(self):
        if not (np.isfinite(self.bias) and self.bias >= 0):
            raise ValueError(f"`bias` must be finite and at least 0, but is {self.bias}")

    def bounds(self, n):
        return np.full(n, -self.bias), np.full(n, self.bias)

    def describe(self):
        return f"two ideal diodes that hold it between -{self.bias} and {self.bias} V"


@dataclass(frozen=True)
class IdealDiodes(IdealDevice):
    """One ideal diode at every node: the first half of a layer stays at or above −`bias`, the second at or below `bias`.

    Without a bias as in Scellier, "A fast algorithm to simulate nonlinear resistive networks" (ICML 2024).
    """

    bias: float = 0.0

    def __post_init__(self):
        if not np.all(np.isfinite(self.bias)):
            raise ValueError(f"`bias` must be finite, but is {self.bias}")

    def bounds(self, n):
        first = first_half(n)
        return np.where(first, 0.0 - self.bias, -np.inf), np.where(first, np.inf, self.bias)

    def describe(self):
        return f"an ideal diode: the first half of a layer is held at or above {0.0 - self.bias} V, the second at or below {self.bias} V"
