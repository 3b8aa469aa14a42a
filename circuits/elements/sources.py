"""Sources: independent ones, controlled ones, and those given by an expression."""

import abc
import cmath
import math
from dataclasses import dataclass, replace
from functools import cached_property

from ..units import number, quantity
from .base import (
    Symbol,
    TwoTerminal,
    check_name,
    check_names,
    check_value,
    current_of,
)
from .expression_laws import at_temperature, current_term, term_of
from .expressions import (
    Current,
    Expression,
    SpecialVariable,
    Variable,
    Voltage,
    renamed,
    variables,
)
from .waveforms import Waveform


class _Independent(TwoTerminal):
    """A source of a `value` in V or A, by whose `key`, its SPICE name, it is driven.

    Constant at operating points; `waveform`, if it has one, in transients. `ac` is its small-signal
    amplitude, needed by the source of a noise analysis, and `phase` its phase.
    """

    unit: str
    ac: float
    waveform: Waveform | None
    phase: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, self.unit)
        check_value(self, "ac")
        check_value(self, "phase")

    @property
    @abc.abstractmethod
    def value(self) -> float:
        """Its constant value in V or A."""

    @property
    def phasor(self) -> complex:
        """Its small-signal amplitude in V or A, complex."""
        return cmath.rect(self.ac, math.radians(self.phase)) if self.phase else complex(self.ac)

    def lines(self):
        phase = f" {number(self.phase)}" if self.phase else ""
        ac = f" ac {number(self.ac)}{phase}" if self.ac else ""
        waveform = f" {self.waveform}" if self.waveform is not None else ""
        return [f"{self.key} {self.plus} {self.minus} {number(self.value)}{ac}{waveform}"]


@dataclass(frozen=True)
class VoltageSource(_Independent):
    """An ideal source: v_plus − v_minus = `volts`, or the `waveform` in a transient.

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `volts`: in V. `ac`: its small-signal amplitude in V, and `phase`: its phase in
      degrees.
    - `waveform`: its voltage in V over time in s, in transients.

    **Raises** `ValueError` where a number is not finite, or a name is none.
    """

    letter = "V"
    word = "voltage source"
    symbol = Symbol("SourceV", turned=True)
    passive = True
    unit = "volts"
    name: str
    plus: str
    minus: str
    volts: float
    ac: float = 0.0
    waveform: Waveform | None = None
    phase: float = 0.0

    @property
    def value(self):
        return self.volts

    def fixes_voltage(self, *, transient=False):
        del transient
        return True

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)

    def label(self):
        return quantity(self.volts, "V")


@dataclass(frozen=True)
class CurrentSource(_Independent):
    """An ideal source: `amperes`, or the `waveform` in a transient, leave `plus`, enter `minus`.

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `amperes`: in A. `ac`: its small-signal amplitude in A, and `phase`: its phase in
      degrees.
    - `waveform`: its current in A over time in s, in transients.

    **Raises** `ValueError` where a number is not finite, or a name is none.
    """

    letter = "I"
    word = "current source"
    symbol = Symbol("SourceI")
    passive = True
    unit = "amperes"
    name: str
    plus: str
    minus: str
    amperes: float
    ac: float = 0.0
    waveform: Waveform | None = None
    phase: float = 0.0

    @property
    def value(self):
        return self.amperes

    def label(self):
        return quantity(self.amperes, "A")


IndependentSource = VoltageSource | CurrentSource


@dataclass(frozen=True)
class Behavioural(TwoTerminal):
    """A source whose value is an expression of voltages and currents (B).

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `output`: "i", a current in A out of `plus` and into `minus`, or "v", a voltage in V between
      them.
    - `expression`: of node voltages in V, currents of voltage sources in A, the time in s and the
      temperature in °C.

    **Raises** `ValueError` for another `output`, and a name that is none.
    """

    letter = "B"
    word = "behavioural source"
    name: str
    plus: str
    minus: str
    output: str
    expression: Expression

    def __post_init__(self):
        nodes = [n for v in self.controls if isinstance(v, Voltage) for n in (v.plus, v.minus)]
        check_names(self.name, (self.plus, self.minus, *nodes))
        for source in self.sensed:
            check_name(source)
        if self.output not in ("i", "v"):
            raise ValueError(f"`output` of {self.name} must be 'i' or 'v', but is {self.output!r}")

    @cached_property
    def controls(self) -> tuple[Variable, ...]:
        """The variables that its expression holds, each once."""
        return tuple(dict.fromkeys(variables(self.expression)))

    @cached_property
    def nodes(self):
        controls = (n for v in self.controls if isinstance(v, Voltage) for n in (v.plus, v.minus))
        return tuple(dict.fromkeys((self.plus, self.minus, *controls)))

    def with_nodes(self, names):
        def other(variable: Variable) -> Variable:
            if not isinstance(variable, Voltage):
                return variable
            plus, minus = variable.plus, variable.minus
            return Voltage(names.get(plus, plus), names.get(minus, minus))

        plus, minus = (names.get(node, node) for node in (self.plus, self.minus))
        expression = renamed(self.expression, other)
        return replace(self, plus=plus, minus=minus, expression=expression)

    @property
    def sensed(self):
        return tuple(v.source for v in self.controls if isinstance(v, Current))

    @property
    def depends_on_time(self):
        return SpecialVariable("time") in self.controls

    @property
    def symbol(self):  # pyright: ignore[reportIncompatibleVariableOverride]  # by its output
        volts = self.output == "v"
        return Symbol("SourceControlledV" if volts else "SourceControlledI", turned=volts)

    def lines(self):
        return [f"B{self.name} {self.plus} {self.minus} {self.output}={self.expression}"]

    def fixes_voltage(self, *, transient=False):
        del transient
        return self.output == "v"

    def stamp(self, stamps):
        if self.output == "v":
            stamps.branch(self.key, self.plus, self.minus)

    def terms(self, kelvin):
        expression = self.expression
        if SpecialVariable("temper") in self.controls:
            expression = at_temperature(expression, kelvin)
        if self.output == "v":
            return (term_of(expression, ((current_of(self.key), -1.0),)),)
        return (current_term(expression, self.plus, self.minus),)

    def conducts(self, *, transient=False):
        """Yield its ends where the voltage across it determines its current.

        At an operating point alone, as nothing else need then be known.
        """
        ways = {Voltage(self.plus, self.minus), Voltage(self.minus, self.plus)}
        across = sum(variable in ways for variable in self.controls)
        alone = across == len(self.controls)
        if self.output == "v" or (across and (transient or alone)):
            yield self.plus, self.minus

    def label(self):
        text = str(self.expression)
        return text if len(text) <= 20 else f"{text[:19]}…"
