"""Ideal diodes: bounds of the voltage in the model, a steep clamp in the netlist."""

import abc
from dataclasses import dataclass

import numpy as np

from ..elements.base import GROUND
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.sources import Behavioural
from ..units import check_number
from .base import Device, first_half


def clamp(name: str, node: str, lowest: float, highest: float, siemens: float) -> Behavioural:
    """Return an ideal diode pair at a node: a source of the current that holds the voltage.

    i(v) = siemens · (max(v − highest, 0) + min(v − lowest, 0))

    **Arguments:**

    - `name`: of the source, without SPICE's letter.
    - `node`: whose voltage is held; the other side is ground.
    - `lowest`, `highest`: bounds of the voltage, in V; one of them may be infinite.
    - `siemens`: the conductance beyond them, in S.

    **Raises** `ValueError` where `siemens` is not above 0, `lowest` is above `highest`, or neither
    is finite.
    """
    if not (np.isfinite(siemens) and siemens > 0):
        raise ValueError(f"`siemens` of {name} must be finite and above 0, but is {siemens}")
    if not lowest <= highest or not np.isfinite([lowest, highest]).any():
        raise ValueError(
            f"`lowest` of {name} must be at most `highest`, and one of them finite, "
            f"but they are {lowest} and {highest}"
        )
    v, zero = Voltage(node), Constant(0.0)
    beyond = [
        Operation(kind, (Operation("-", (v, Constant(bound))), zero))
        for kind, bound in (("max", highest), ("min", lowest))
        if np.isfinite(bound)
    ]
    current = beyond[0] if len(beyond) == 1 else Operation("+", tuple(beyond))
    return Behavioural(name, node, GROUND, "i", Operation("*", (Constant(siemens), current)))


class IdealDevice(Device):
    """Ideal diodes: bounds of the voltage in the model, a `clamp` in the netlist."""

    @abc.abstractmethod
    def bounds(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest voltage of each of n nodes, in V, two arrays (n,)."""

    def current(self, v):
        return np.zeros(v.shape, v.dtype)

    def cocontent(self, v):
        return np.zeros(v.shape, v.dtype)

    def rails(self):
        return []

    def elements(self, nodes, loads):
        """Return a clamp at each node, of a billion times the node's other conductances.

        Its voltage is off by a billionth of what it holds back.
        """
        return [
            clamp(f"{node}d", node, float(lowest), float(highest), 1e9 * float(load))
            for node, lowest, highest, load in zip(
                nodes, *self.bounds(len(nodes)), loads, strict=True
            )
        ]


@dataclass(frozen=True)
class IdealPair(IdealDevice):
    """Two ideal diodes at every node that hold its voltage within ±`bias`.

    **Arguments:**

    - `bias`: in V, at least 0.

    **Raises** `ValueError` for a bias that is negative or not finite.
    """

    bias: float

    def __post_init__(self):
        check_number(self.bias, "bias", "finite and at least 0", lambda bias: bias >= 0)

    def bounds(self, n):
        return np.full(n, -self.bias), np.full(n, self.bias)

    def describe(self):
        return f"two ideal diodes that hold it between -{self.bias} and {self.bias} V"


@dataclass(frozen=True)
class IdealDiodes(IdealDevice):
    """One ideal diode at every node.

    The first half of a layer is held at or above −`bias`, the second at or below `bias`; without a
    bias as in Scellier, "A fast algorithm to simulate nonlinear resistive networks" (ICML 2024).

    **Arguments:**

    - `bias`: in V, of either sign.

    **Raises** `ValueError` for a bias that is not finite.
    """

    bias: float = 0.0

    def __post_init__(self):
        if not hasattr(self.bias, "shape"):
            check_number(self.bias, "bias", "finite")
        elif not np.all(np.isfinite(self.bias)):
            raise ValueError(f"`bias` must be finite, but is {self.bias}")

    def bounds(self, n):
        first = first_half(n)
        return np.where(first, 0.0 - self.bias, -np.inf), np.where(first, np.inf, self.bias)

    def describe(self):
        return (
            f"an ideal diode: the first half of a layer is held at or above {0.0 - self.bias} V, "
            f"the second at or below {self.bias} V"
        )
