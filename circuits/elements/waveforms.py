"""What independent sources do in time."""

import abc
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..units import Array, number


class Waveform(abc.ABC):
    """What a source does in a transient, instead of its constant value in V or A."""

    @abc.abstractmethod
    def at(self, time: Array) -> Array:
        """Return the value in V or A at `time` in s, elementwise; NumPy or JAX."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """Return its text as SPICE writes it."""


@dataclass(frozen=True)
class _Numbers(Waveform):
    """A waveform of some numbers, written in their order."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value) or (field.name in _NOT_NEGATIVE and value < 0):
                least = " and at least 0" if field.name in _NOT_NEGATIVE else ""
                raise ValueError(
                    f"`{field.name}` of a waveform must be finite{least}, but is {value}"
                )

    def __str__(self):
        *first, last = fields(self)
        # what a waveform seldom has stands last, and is said where it has it
        given = first if getattr(self, last.name) == last.default else [*first, last]
        numbers = " ".join(number(getattr(self, field.name)) for field in given)
        return f"{type(self).__name__.lower()}({numbers})"


_NOT_NEGATIVE = (
    *("delay", "rise", "fall", "width", "frequency", "damping", "rise_delay", "fall_delay"),
    *("count", "carrier", "modulation", "signal"),
)


@dataclass(frozen=True)
class Pulse(_Numbers):
    """A periodic pulse from `low` to `high`, rising and falling in straight lines (SPICE's pulse).

    **Arguments:**

    - `low`, `high`: in V or A; it is `low` before `delay` and between pulses.
    - `delay`: of the first pulse in s, at least 0.
    - `rise`, `fall`: how long it rises and falls, in s, above 0.
    - `width`: how long it stays at `high`, in s, above 0.
    - `period`: from one pulse to the next in s, above 0.
    - `count`: how many pulses there are; 0 for no end of them.

    **Raises** `ValueError` where a number is not finite or one of these times is not so.
    """

    low: float
    high: float
    delay: float
    rise: float
    fall: float
    width: float
    period: float
    count: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        for field in ("rise", "fall", "width", "period"):
            if not getattr(self, field) > 0:
                raise ValueError(
                    f"`{field}` of a pulse must be above 0, but is {getattr(self, field)}"
                )

    def at(self, time):
        xp = _namespace(time)
        since = time - self.delay
        still = since < 0
        if self.count:
            still = still | (since >= self.count * self.period)
        phase = xp.where(still, 0.0, since % self.period)
        corners = np.cumsum([0.0, self.rise, self.width, self.fall])
        return xp.interp(
            phase,
            xp.asarray(corners),
            xp.asarray(np.array([self.low, self.high, self.high, self.low])),
        )


@dataclass(frozen=True)
class Sin(_Numbers):
    """A sine that may decay (SPICE's sin).

    With s = max(t − `delay`, 0) it is `offset` + `amplitude` · exp(−`damping` s) sin(2π `frequency`
    s + φ).

    **Arguments:**

    - `offset`, `amplitude`: in V or A.
    - `frequency`: in Hz, at least 0. `delay`: in s, at least 0. `damping`: in 1/s, at least 0.
    - `phase`: φ in degrees.

    **Raises** `ValueError` where a number is not finite, or one of the last three is below 0.
    """

    offset: float
    amplitude: float
    frequency: float
    delay: float = 0.0
    damping: float = 0.0
    phase: float = 0.0

    def at(self, time):
        xp = _namespace(time)
        since = xp.maximum(time - self.delay, 0.0)
        turns = 2 * math.pi * self.frequency * since + math.radians(self.phase)
        return self.offset + self.amplitude * xp.exp(-self.damping * since) * xp.sin(turns)


@dataclass(frozen=True)
class Exp(_Numbers):
    """An exponential rise and fall (SPICE's exp).

    From `low` towards `high` from `rise_delay` on with the time constant `rise`, and back from
    `fall_delay` on with the time constant `fall`.

    **Arguments:** `low`, `high`: in V or A. `rise_delay`, `fall_delay`: in s, at least 0. `rise`,
    `fall`: in s, above 0.

    **Raises** `ValueError` where a number is not finite or one of these times is not so.
    """

    low: float
    high: float
    rise_delay: float
    rise: float
    fall_delay: float
    fall: float

    def __post_init__(self):
        super().__post_init__()
        for field in ("rise", "fall"):
            if not getattr(self, field) > 0:
                raise ValueError(
                    f"`{field}` of a waveform must be above 0, but is {getattr(self, field)}"
                )

    def at(self, time):
        xp = _namespace(time)
        rising = xp.maximum(time - self.rise_delay, 0.0) / self.rise
        falling = xp.maximum(time - self.fall_delay, 0.0) / self.fall
        return self.low + (self.high - self.low) * (xp.exp(-falling) - xp.exp(-rising))


@dataclass(frozen=True)
class Sffm(_Numbers):
    """A sine whose frequency another sine modulates (SPICE's sffm).

    `offset` + `amplitude` sin(2π `carrier` t + `index` sin(2π `signal` t)).

    **Arguments:** `offset`, `amplitude`: in V or A. `carrier`, `signal`: in Hz, at least 0.
    `index`: of the modulation.

    **Raises** `ValueError` where a number is not finite, or a frequency below 0.
    """

    offset: float
    amplitude: float
    carrier: float
    index: float
    signal: float

    def at(self, time):
        xp = _namespace(time)
        inner = self.index * xp.sin(2 * math.pi * self.signal * time)
        return self.offset + self.amplitude * xp.sin(2 * math.pi * self.carrier * time + inner)


@dataclass(frozen=True)
class Am(_Numbers):
    """A sine whose amplitude another sine modulates (SPICE's am).

    With s = t − `delay`, `amplitude` · (`offset` + sin(2π `modulation` s)) sin(2π `carrier` s) from
    `delay` on, and 0 before.

    **Arguments:** `amplitude`: in V or A. `offset`: a number. `modulation`, `carrier`: in Hz, at
    least 0. `delay`: in s, at least 0.

    **Raises** `ValueError` where a number is not finite, or one of the last three below 0.
    """

    amplitude: float
    offset: float
    modulation: float
    carrier: float
    delay: float

    def at(self, time):
        xp = _namespace(time)
        since = xp.maximum(time - self.delay, 0.0)
        envelope = self.offset + xp.sin(2 * math.pi * self.modulation * since)
        return self.amplitude * envelope * xp.sin(2 * math.pi * self.carrier * since)


@dataclass(frozen=True)
class Pwl(Waveform):
    """Straight lines between points, the first and the last value outside them (SPICE's pwl).

    **Arguments:** `times`: (points,) in s, increasing. `values`: (points,) in V or A. `repeat`: one
    of the times from which all is repeated again and again, None for once. `delay`: how much later
    it all is, in s.

    **Raises** `ValueError` where they are not as many, one or more, or not finite, or `times` do
    not increase.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    repeat: float | None = None
    delay: float = 0.0

    def __post_init__(self):
        if self.repeat is not None and self.repeat not in self.times[:-1]:
            raise ValueError(
                f"`repeat` must be one of the times but the last, but is {self.repeat}"
            )
        if not 0 <= self.delay < math.inf:
            raise ValueError(f"`delay` must be finite and at least 0, but is {self.delay}")
        if len(self.times) != len(self.values) or not self.times:
            raise ValueError(
                "`times` and `values` must be as many, one or more, "
                f"but are {len(self.times)} and {len(self.values)}"
            )
        if not np.isfinite([self.times, self.values]).all() or np.any(np.diff(self.times) <= 0):
            raise ValueError(
                "`times` must increase and all be finite, "
                f"but are {self.times} with values {self.values}"
            )

    def at(self, time):
        xp = _namespace(time)
        since = time - self.delay
        if self.repeat is not None:
            last = self.times[-1]
            again = self.repeat + (since - last) % (last - self.repeat)
            since = xp.where(since > last, again, since)
        return xp.interp(since, xp.asarray(np.array(self.times)), xp.asarray(np.array(self.values)))

    def __str__(self):
        points = (f"{number(t)} {number(v)}" for t, v in zip(self.times, self.values, strict=True))
        repeat = "" if self.repeat is None else f" r={number(self.repeat)}"
        delay = f" td={number(self.delay)}" if self.delay else ""
        return f"pwl({' '.join(points)}){repeat}{delay}"


def _namespace(time: Array) -> Any:
    """Return the array namespace of a time: NumPy for numbers."""
    return np if isinstance(time, float | int) else time.__array_namespace__()
