"""Sources: independent ones, controlled ones, and those given by an expression."""

import abc
from dataclasses import dataclass, replace
from functools import cached_property

from ..units import number, quantity
from .base import (
    GROUND,
    Element,
    Symbol,
    TwoTerminal,
    check_name,
    check_names,
    check_value,
    current_of,
)
from .expression_laws import current_term, term_of
from .expressions import Current, Expression, Voltage, renamed, variables
from .waveforms import Waveform


class _Independent(TwoTerminal):
    """A source of a `value` in V or A, by whose `key`, its SPICE name, it is driven.

    Constant at operating points; `waveform`, if it has one, in transients. `ac` is its small-signal
    amplitude, needed by the source of a noise analysis.
    """

    unit: str
    ac: float
    waveform: Waveform | None

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, self.unit)
        check_value(self, "ac")

    @property
    @abc.abstractmethod
    def value(self) -> float:
        """Its constant value in V or A."""

    def lines(self):
        ac = f" ac {number(self.ac)}" if self.ac else ""
        waveform = f" {self.waveform}" if self.waveform is not None else ""
        return [f"{self.key} {self.plus} {self.minus} {number(self.value)}{ac}{waveform}"]


@dataclass(frozen=True)
class VoltageSource(_Independent):
    """An ideal source: v_plus − v_minus = `volts`, or the `waveform` in a transient.

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `volts`: in V. `ac`: its small-signal amplitude in V.
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
    - `amperes`: in A. `ac`: its small-signal amplitude in A.
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

    @property
    def value(self):
        return self.amperes

    def label(self):
        return quantity(self.amperes, "A")


IndependentSource = VoltageSource | CurrentSource


class _VoltageControlled(Element):
    """A source that the voltage between two nodes controls."""

    word = "controlled source"
    node_fields = ("plus", "minus", "control_plus", "control_minus")
    plus: str
    minus: str
    control_plus: str
    control_minus: str

    @property
    def nodes(self):
        return (self.plus, self.minus, self.control_plus, self.control_minus)

    @property
    def control(self) -> str:
        """The controlling voltage, as a label writes it."""
        plus, minus = self.control_plus, self.control_minus
        return f"v({plus})" if minus == GROUND else f"v({plus}, {minus})"


class _CurrentControlled(TwoTerminal):
    """A source that the current of a voltage source controls."""

    word = "controlled source"
    source: str

    @property
    def sensed(self):
        return (self.source,)

    def check(self) -> None:
        """Raise `ValueError` where `source` cannot be a voltage source's SPICE name."""
        if self.source[:1] != "V":
            raise ValueError(
                f"`source` of {self.name} must be the SPICE name of a voltage source, as Vin, "
                f"but is {self.source!r}"
            )
        check_name(self.source)


@dataclass(frozen=True)
class VoltageGain(_VoltageControlled):
    """A voltage-controlled voltage source (E).

    v_plus − v_minus = `gain` · (v_control_plus − v_control_minus).

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`, `control_plus`,
    `control_minus`: nodes. `gain`: in V/V.

    **Raises** `ValueError` for a gain that is not finite, or a name that is none.
    """

    letter = "E"
    symbol = Symbol("SourceControlledV", turned=True)
    name: str
    plus: str
    minus: str
    control_plus: str
    control_minus: str
    gain: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "gain")

    def lines(self):
        return [f"E{self.name} {' '.join(self.nodes)} {number(self.gain)}"]

    def fixes_voltage(self, *, transient=False):
        del transient
        return True

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)
        stamps.entry(current_of(self.key), self.control_plus, -self.gain)
        stamps.entry(current_of(self.key), self.control_minus, self.gain)

    def label(self):
        return f"{self.gain:g}·{self.control}"


@dataclass(frozen=True)
class CurrentGain(_CurrentControlled):
    """A current-controlled current source (F).

    `gain` times the current of the voltage source `source` leaves `plus` and enters `minus`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `source`: the
    SPICE name of a voltage source, letter included. `gain`: in A/A.

    **Raises** `ValueError` for a gain that is not finite, or a name that is none.
    """

    letter = "F"
    symbol = Symbol("SourceControlledI")
    name: str
    plus: str
    minus: str
    source: str
    gain: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        self.check()
        check_value(self, "gain")

    def lines(self):
        return [f"F{self.name} {self.plus} {self.minus} {self.source} {number(self.gain)}"]

    def stamp(self, stamps):
        stamps.entry(self.plus, current_of(self.source), self.gain)
        stamps.entry(self.minus, current_of(self.source), -self.gain)

    def label(self):
        return f"{self.gain:g}·i({self.source})"


@dataclass(frozen=True)
class Transconductance(_VoltageControlled):
    """A voltage-controlled current source (G).

    `siemens` · (v_control_plus − v_control_minus) leave `plus` and enter `minus`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`, `control_plus`,
    `control_minus`: nodes. `siemens`: in S, of either sign.

    **Raises** `ValueError` for a value that is not finite, or a name that is none.
    """

    letter = "G"
    symbol = Symbol("SourceControlledI")
    name: str
    plus: str
    minus: str
    control_plus: str
    control_minus: str
    siemens: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "siemens")

    def lines(self):
        return [f"G{self.name} {' '.join(self.nodes)} {number(self.siemens)}"]

    def stamp(self, stamps):
        stamps.transfer(*self.nodes, self.siemens)

    def label(self):
        return f"{quantity(self.siemens, 'S')}·{self.control}"


@dataclass(frozen=True)
class Transresistance(_CurrentControlled):
    """A current-controlled voltage source (H).

    v_plus − v_minus = `ohms` times the current of the voltage source `source`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `source`: the
    SPICE name of a voltage source, letter included. `ohms`: in Ω, of either sign.

    **Raises** `ValueError` for a value that is not finite, or a name that is none.
    """

    letter = "H"
    symbol = Symbol("SourceControlledV", turned=True)
    name: str
    plus: str
    minus: str
    source: str
    ohms: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        self.check()
        check_value(self, "ohms")

    def lines(self):
        return [f"H{self.name} {self.plus} {self.minus} {self.source} {number(self.ohms)}"]

    def fixes_voltage(self, *, transient=False):
        del transient
        return True

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)
        stamps.entry(current_of(self.key), current_of(self.source), -self.ohms)

    def label(self):
        return f"{quantity(self.ohms, 'Ω')}·i({self.source})"


@dataclass(frozen=True)
class Behavioural(TwoTerminal):
    """A source whose value is an expression of voltages and currents (B).

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `output`: "i", a current in A out of `plus` and into `minus`, or "v", a voltage in V between
      them.
    - `expression`: of node voltages in V and currents of voltage sources in A.

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
    def controls(self) -> tuple[Voltage | Current, ...]:
        """The voltages and currents that its expression holds, each once."""
        return tuple(dict.fromkeys(variables(self.expression)))

    @cached_property
    def nodes(self):
        controls = (n for v in self.controls if isinstance(v, Voltage) for n in (v.plus, v.minus))
        return tuple(dict.fromkeys((self.plus, self.minus, *controls)))

    def with_nodes(self, names):
        def other(variable: Voltage | Current) -> Voltage | Current:
            if isinstance(variable, Current):
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
        del kelvin
        if self.output == "v":
            return (term_of(self.expression, ((current_of(self.key), -1.0),)),)
        return (current_term(self.expression, self.plus, self.minus),)

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
