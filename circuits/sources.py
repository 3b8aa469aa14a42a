"""Sources: independent ones with their waveforms, controlled ones, and those that an expression tells."""

import abc
import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from .elements import Element, TwoTerminal, check_name, check_names, check_value
from .expressions import Current, Expression, Voltage, variables
from .units import number

Array = Any  # a NumPy or a JAX array


class Waveform(abc.ABC):
    """What a source does in a transient, instead of its constant value."""

    @abc.abstractmethod
    def at(self, time: Array) -> Array:
        """The value at `time` (s), elementwise; NumPy or JAX."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """As SPICE writes it."""


@dataclass(frozen=True)
class _Numbers(Waveform):
    """A waveform of some numbers, written in their order."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value) or (field.name in _NOT_NEGATIVE and value < 0):
                what = "finite and at least 0" if field.name in _NOT_NEGATIVE else "finite"
                raise ValueError(f"`{field.name}` of a waveform must be {what}, but is {value}")

    def __str__(self):
        return f"{type(self).__name__.lower()}({' '.join(number(getattr(self, f.name)) for f in fields(self))})"


_NOT_NEGATIVE = ("delay", "rise", "fall", "width", "frequency", "damping")


@dataclass(frozen=True)
class Pulse(_Numbers):
    """From `low` to `high` after `delay`, rising and falling in straight lines, every `period`; times in s, all above 0 but `delay`."""

    low: float
    high: float
    delay: float
    rise: float
    fall: float
    width: float
    period: float

    def __post_init__(self):
        super().__post_init__()
        for field in ("rise", "fall", "width", "period"):
            if not getattr(self, field) > 0:
                raise ValueError(f"`{field}` of a pulse must be above 0, but is {getattr(self, field)}")

    def at(self, time):
        xp = _namespace(time)
        phase = xp.where(time < self.delay, 0.0, (time - self.delay) % self.period)
        corners = np.cumsum([0.0, self.rise, self.width, self.fall])
        return xp.interp(phase, xp.asarray(corners), xp.asarray(np.array([self.low, self.high, self.high, self.low])))


@dataclass(frozen=True)
class Sin(_Numbers):
    """`offset` + `amplitude` · exp(−`damping` (t − `delay`)) sin(2π `frequency` (t − `delay`)) after `delay`, `offset` before it."""

    offset: float
    amplitude: float
    frequency: float
    delay: float = 0.0
    damping: float = 0.0

    def at(self, time):
        xp = _namespace(time)
        since = xp.maximum(time - self.delay, 0.0)
        return self.offset + self.amplitude * xp.exp(-self.damping * since) * xp.sin(2 * math.pi * self.frequency * since)


@dataclass(frozen=True)
class Pwl(Waveform):
    """Straight lines between `values` at `times` (s, increasing), and the first and the last value outside them."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self):
        if len(self.times) != len(self.values) or not self.times:
            raise ValueError(f"`times` and `values` must be as many, one or more, but are {len(self.times)} and {len(self.values)}")
        if not np.isfinite([self.times, self.values]).all() or np.any(np.diff(self.times) <= 0):
            raise ValueError(f"`times` must increase and all be finite, but are {self.times} with values {self.values}")

    def at(self, time):
        xp = _namespace(time)
        return xp.interp(time, xp.asarray(np.array(self.times)), xp.asarray(np.array(self.values)))

    def __str__(self):
        points = (f"{number(t)} {number(v)}" for t, v in zip(self.times, self.values, strict=True))
        return f"pwl({' '.join(points)})"


def _namespace(time: Array) -> Any:
    return np if isinstance(time, float | int) else time.__array_namespace__()


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
            raise ValueError(f"`source` of {self.name} must be the SPICE name of a voltage source, as Vin, but is {self.source!r}")
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
        nodes = [node for v in self.controls if isinstance(v, Voltage) for node in (v.plus, v.minus)]
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
        return {c: ways[c.plus, c.minus] for c in self.controls if isinstance(c, Voltage) and (c.plus, c.minus) in ways}

    @cached_property
    def nodes(self):
        controls = (node for v in self.controls if isinstance(v, Voltage) for node in (v.plus, v.minus))
        return tuple(dict.fromkeys((self.plus, self.minus, *controls)))

    def lines(self):
        return [f"B{self.name} {self.plus} {self.minus} {self.output}={self.expression}"]
