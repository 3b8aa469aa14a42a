"""Sources: independent, controlled, and told by an expression."""

import abc
from dataclasses import dataclass
from functools import cached_property

from ..units import number
from .base import Element, TwoTerminal, check_name, check_names, check_value
from .expressions import Current, Expression, Voltage, variables
from .waveforms import Waveform


class _Independent(TwoTerminal):
    """A source of a `value` in V or A: constant in operating points, `waveform`, if it has one, in transients.

    `ac` is its small-signal amplitude, needed by the source of a noise analysis.
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

    @property
    def key(self) -> str:
        """Its SPICE name, by which it is driven."""
        return self.letter + self.name

    def lines(self):
        ac = f" ac {number(self.ac)}" if self.ac else ""
        waveform = f" {self.waveform}" if self.waveform is not None else ""
        return [f"{self.key} {self.plus} {self.minus} {number(self.value)}{ac}{waveform}"]


@dataclass(frozen=True)
class VoltageSource(_Independent):
    """An ideal source: v_plus − v_minus = `volts`, or the `waveform` in a transient."""

    letter = "V"
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


@dataclass(frozen=True)
class CurrentSource(_Independent):
    """An ideal source of `amperes`, or the `waveform` in a transient, that leave `plus` and enter `minus`."""

    letter = "I"
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


IndependentSource = VoltageSource | CurrentSource


class _VoltageControlled(Element):
    plus: str
    minus: str
    control_plus: str
    control_minus: str

    @property
    def nodes(self):
        return (self.plus, self.minus, self.control_plus, self.control_minus)


class _CurrentControlled(TwoTerminal):
    source: str

    def check(self) -> None:
        """Raises `ValueError` where `source` can be no voltage source's name."""
        if self.source[:1] != "V":
            raise ValueError(
                f"`source` of {self.name} must be the SPICE name of a voltage source, as Vin, but is {self.source!r}"
            )
        check_name(self.source)


@dataclass(frozen=True)
class VoltageGain(_VoltageControlled):
    """A voltage-controlled voltage source (E): v_plus − v_minus = `gain` · (v_control_plus − v_control_minus)."""

    letter = "E"
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


@dataclass(frozen=True)
class CurrentGain(_CurrentControlled):
    """A current-controlled current source (F): `gain` times the current of the source `source` leaves `plus`, enters `minus`."""

    letter = "F"
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


@dataclass(frozen=True)
class Transconductance(_VoltageControlled):
    """A voltage-controlled current source (G): `siemens` · (v_control_plus − v_control_minus) leave `plus`, enter `minus`."""

    letter = "G"
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


@dataclass(frozen=True)
class Transresistance(_CurrentControlled):
    """A current-controlled voltage source (H): v_plus − v_minus = `ohms` times the current of the voltage source `source`."""

    letter = "H"
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


@dataclass(frozen=True)
class Behavioural(TwoTerminal):
    """A source that an `expression` of voltages and currents tells (B): a current out of `plus` (`output` "i") or a voltage ("v")."""

    letter = "B"
    name: str
    plus: str
    minus: str
    output: str
    expression: Expression

    def __post_init__(self):
        nodes = [
            node for v in self.controls if isinstance(v, Voltage) for node in (v.plus, v.minus)
        ]
        check_names(self.name, (*super().nodes, *nodes))
        for current in self.controls:
            if isinstance(current, Current):
                check_name(current.source)
        if self.output not in ("i", "v"):
            raise ValueError(f"`output` of {self.name} must be 'i' or 'v', but is {self.output!r}")

    @cached_property
    def controls(self) -> tuple[Voltage | Current, ...]:
        """The voltages and currents that its expression holds, each once."""
        return tuple(dict.fromkeys(variables(self.expression)))

    @property
    def own_voltages(self) -> dict[Voltage, float]:
        """Those of its controls that are the voltage across it: 1 for v(plus) − v(minus), −1 for the other way."""
        ways = {(self.plus, self.minus): 1.0, (self.minus, self.plus): -1.0}
        return {
            c: ways[c.plus, c.minus]
            for c in self.controls
            if isinstance(c, Voltage) and (c.plus, c.minus) in ways
        }

    @cached_property
    def nodes(self):
        controls = (
            node for v in self.controls if isinstance(v, Voltage) for node in (v.plus, v.minus)
        )
        return tuple(dict.fromkeys((self.plus, self.minus, *controls)))

    def lines(self):
        return [f"B{self.name} {self.plus} {self.minus} {self.output}={self.expression}"]
