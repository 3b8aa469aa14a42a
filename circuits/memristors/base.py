"""Memristors: two equations, from which current, ODE, co-content and SPICE text are derived.

A memristor of voltage v and state x has the current i = i(v, x) and dx/dt = f(v, x). The state is
the paper's own, scaled to run from 0, where the device conducts least, to 1, where it conducts
most.
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
    """The equations of a memristor at a voltage and a state.

    **Arguments:**

    - `current`: i(v, x) in A.
    - `rate`: dx/dt = f(v, x) in 1/s.
    - `cocontent`: ∫₀ᵛ i(u, x) du in W.
    """

    current: Expression
    rate: Expression
    cocontent: Expression


@dataclass(frozen=True)
class MemristorModel(abc.ABC):
    """A model of a memristor, by its equations.

    Parameters may be arrays, with a number for each device, where no SPICE is written.
    """

    linear: ClassVar[bool]
    """Whether the current is proportional to the voltage at a given state."""

    @abc.abstractmethod
    def laws(self, v: Expression, x: Expression) -> Laws:
        """Return the equations as expressions, which are written to SPICE and evaluated alike.

        **Arguments:**

        - `v`: the voltage, in V.
        - `x`: the state, from 0 to 1.
        """

    @cached_property
    def _laws(self) -> Laws:
        return self.laws(_V, _X)

    def current(self, v: Array, x: Array) -> Array:
        """Return the current i(v, x) in A, elementwise, for arrays of NumPy or JAX.

        **Arguments:**

        - `v`: voltages, in V.
        - `x`: states, from 0 to 1, of a shape that fits.
        """
        return evaluate(self._laws.current, {_V: v, _X: x})[0]

    def rate(self, v: Array, x: Array) -> Array:
        """Return dx/dt in 1/s, elementwise; arguments as those of `current`."""
        return evaluate(self._laws.rate, {_V: v, _X: x})[0]

    def rate_and_slope(self, v: Array, x: Array) -> tuple[Array, Array]:
        """Return dx/dt and its derivative by x, both in 1/s, elementwise."""
        rate, slopes = evaluate(self._laws.rate, {_V: v, _X: x})
        return rate, slopes[_X]

    def cocontent(self, v: Array, x: Array) -> Array:
        """Return the co-content ∫₀ᵛ i(u, x) du in W, elementwise."""
        return evaluate(self._laws.cocontent, {_V: v, _X: x})[0]

    def siemens(self, x: Array, read: float = 0.1) -> Array:
        """Return the conductance i/v in S at a read-out voltage, elementwise.

        **Arguments:**

        - `x`: states, from 0 to 1.
        - `read`: the voltage, in V.
        """
        return self.current(read, x) / read

    def subcircuit(self, name: str) -> str:
        """Return the SPICE subcircuit with nodes plus, minus and state, the state being a voltage.

        **Raises** `ValueError` for a `name` that SPICE could read as something else.
        """
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
    """Return a source of the current, and a capacitor of 1 F whose voltage is the state.

    The capacitor is charged by as many amperes as dx/dt has 1/s.
    """
    current, rate, _ = model.laws(Voltage(plus, minus), Voltage(state))
    return (
        Behavioural(f"{prefix}current", plus, minus, "i", current),
        Behavioural(f"{prefix}rate", GROUND, state, "i", rate),
        Capacitor(f"{prefix}state", state, GROUND, 1.0),
    )


@dataclass(frozen=True)
class Memristor:
    """A memristor between two nodes.

    In a transient its state moves: its `elements()` stand in the netlist, and `start` says where
    the state begins. At an operating point it is the resistor or source that `frozen()` returns, as
    an operating point of the moving one would be where the state rests.

    **Arguments:**

    - `name`: without SPICE's letter.
    - `plus`, `minus`: its nodes; a current is positive from plus to minus.
    - `model`: its equations, with scalar parameters.
    - `state`: from 0 to 1.

    **Raises** `ValueError` for a name that SPICE could read as something else and for a state
    outside 0 to 1.
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
        """Return the node whose voltage in V is the state."""
        return f"x{self.name}.state".lower()

    @property
    def start(self) -> dict[str, float]:
        """Return the state as the start of a transient: a voltage by node."""
        return {self.node: self.state}

    def elements(self) -> tuple[Element, ...]:
        """Return the elements for which an instance of the model's subcircuit stands."""
        return _dynamics(self.model, f"{self.name}.", self.plus, self.minus, self.node)

    def frozen(self) -> Element:
        """Return the memristor with its state held.

        It is a resistor where the model is linear, otherwise a source of the current.
        """
        if self.model.linear:
            return Resistor(
                self.name, self.plus, self.minus, siemens=float(self.model.siemens(self.state))
            )
        law = self.model.laws(Voltage(self.plus, self.minus), Constant(self.state)).current
        return Behavioural(self.name, self.plus, self.minus, "i", law)
