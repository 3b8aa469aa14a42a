"""What a memristor is: two equations in one place, from which its current, its ODE, its co-content and its SPICE text come.

A memristor of voltage v and state x has the current i = i(v, x) and dx/dt = f(v, x). The state is the paper's own, scaled to run from
0, where the device conducts least, to 1, where it conducts most.
"""

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from ..elements.base import GROUND, Element, check_name
from ..elements.expressions import Constant, Expression, Voltage, evaluate
from ..elements.passive import Capacitor, Resistor
from ..elements.sources import Behavioural
from ..units import Array

_V, _X = Voltage("plus", "minus"), Voltage("state")


class Laws(NamedTuple):
    """At a voltage and a state: the current in A, dx/dt in 1/s, and the co-content ∫₀ᵛ i(u, x) du in W."""

    current: Expression
    rate: Expression
    cocontent: Expression


@dataclass(frozen=True)
class MemristorModel(abc.ABC):
    """The equations of a memristor. Parameters may be arrays, a number for each device, where no SPICE is written."""

    linear: ClassVar[bool]
    """Whether the current is proportional to the voltage at a given state."""

    @abc.abstractmethod
    def laws(self, v: Expression, x: Expression) -> Laws:
        """Its equations, as SPICE is told them and as they are computed."""

    @cached_property
    def _laws(self) -> Laws:
        return self.laws(_V, _X)

    def current(self, v: Array, x: Array) -> Array:
        """i(v, x) in A, elementwise; NumPy or JAX."""
        return evaluate(self._laws.current, {_V: v, _X: x})[0]

    def rate(self, v: Array, x: Array) -> Array:
        """dx/dt in 1/s, elementwise."""
        return evaluate(self._laws.rate, {_V: v, _X: x})[0]

    def rate_and_slope(self, v: Array, x: Array) -> tuple[Array, Array]:
        """dx/dt in 1/s, and its derivative by x in 1/s, elementwise."""
        rate, slopes = evaluate(self._laws.rate, {_V: v, _X: x})
        return rate, slopes[_X]

    def cocontent(self, v: Array, x: Array) -> Array:
        """∫₀ᵛ i(u, x) du in W, elementwise."""
        return evaluate(self._laws.cocontent, {_V: v, _X: x})[0]

    def siemens(self, x: Array, read: float = 0.1) -> Array:
        """The conductance i/v in S that is read at `read` volts, elementwise."""
        return self.current(read, x) / read

    def subcircuit(self, name: str) -> str:
        """Its SPICE subcircuit, with the nodes plus, minus and state; the state is a voltage."""
        check_name(name)
        lines = [
            line
            for element in _dynamics(self, "", "plus", "minus", "state")
            for line in element.lines()
        ]
        return "\n".join([f".subckt {name} plus minus state", *lines, ".ends", ""])


def _dynamics(
    model: MemristorModel, prefix: str, plus: str, minus: str, state: str
) -> tuple[Element, ...]:
    """The current, and a farad charged by as many amperes as dx/dt has 1/s: the state is its voltage."""
    current, rate, _ = model.laws(Voltage(plus, minus), Voltage(state))
    return (
        Behavioural(f"{prefix}current", plus, minus, "i", current),
        Behavioural(f"{prefix}rate", GROUND, state, "i", rate),
        Capacitor(f"{prefix}state", state, GROUND, 1.0),
    )


@dataclass(frozen=True)
class Memristor:
    """A memristor of `model` from `plus` to `minus`, at `state` between 0 and 1.

    In a transient its state moves: its `elements()` stand in the netlist, and `start` tells where the state starts. At an operating
    point it is the resistor or the source that `frozen()` gives, as an operating point of the other would be where the state rests.
    """

    name: str
    plus: str
    minus: str
    model: MemristorModel
    state: float

    def __post_init__(self):
        check_name(self.name)
        if not 0 <= self.state <= 1:
            raise ValueError(f"`state` of {self.name} must be from 0 to 1, but is {self.state}")

    @property
    def node(self) -> str:
        """The node whose voltage in V is the state."""
        return f"x{self.name}.state".lower()

    @property
    def start(self) -> dict[str, float]:
        """Its state as the start of a transient."""
        return {self.node: self.state}

    def elements(self) -> tuple[Element, ...]:
        """What an instance of its subcircuit stands for."""
        return _dynamics(self.model, f"{self.name}.", self.plus, self.minus, self.node)

    def frozen(self) -> Element:
        """The memristor with its state held: a resistor where its model is linear, else a source of its current."""
        if self.model.linear:
            return Resistor(
                self.name, self.plus, self.minus, siemens=float(self.model.siemens(self.state))
            )
        law = self.model.laws(Voltage(self.plus, self.minus), Constant(self.state)).current
        return Behavioural(self.name, self.plus, self.minus, "i", law)
