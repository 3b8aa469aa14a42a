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
        numbers = " ".join(number(getattr(self, field.name)) for field in fields(self))
        return f"{type(self).__name__.lower()}({numbers})"


_NOT_NEGATIVE = ("delay", "rise", "fall", "width", "frequency", "damping")


@dataclass(frozen=True)
class Pulse(_Numbers):
    """A periodic pulse from `low` to `high`, rising and falling in straight lines (SPICE's pulse).

    **Arguments:**

    - `low`, `high`: in V or A; it is `low` before `delay` and between pulses.
    - `delay`: of the first pulse in s, at least 0.
    - `rise`, `fall`: how long it rises and falls, in s, above 0.
    - `width`: how long it stays at `high`, in s, above 0.
    - `period`: from one pulse to the next in s, above 0.

    **Raises** `ValueError` where a number is not finite or one of these times is not so.
    """

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
                raise ValueError(
                    f"`{field}` of a pulse must be above 0, but is {getattr(self, field)}"
                )

    def at(self, time):
        xp = _namespace(time)
        phase = xp.where(time < self.delay, 0.0, (time - self.delay) % self.period)
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
    s): `offset` before `delay`.

    **Arguments:**

    - `offset`, `amplitude`: in V or A.
    - `frequency`: in Hz, at least 0. `delay`: in s, at least 0. `damping`: in 1/s, at least 0.

    **Raises** `ValueError` where a number is not finite, or one of the last three is below 0.
    """

    offset: float
    amplitude: float
    frequency: float
    delay: float = 0.0
    damping: float = 0.0

    def at(self, time):
        xp = _namespace(time)
        since = xp.maximum(time - self.delay, 0.0)
        return self.offset + self.amplitude * xp.exp(-self.damping * since) * xp.sin(
            2 * math.pi * self.frequency * since
        )


@dataclass(frozen=True)
class Pwl(Waveform):
    """Straight lines between points, the first and the last value outside them (SPICE's pwl).

    **Arguments:** `times`: (points,) in s, increasing. `values`: (points,) in V or A.

    **Raises** `ValueError` where they are not as many, one or more, or not finite, or `times` do
    not increase.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self):
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
        return xp.interp(time, xp.asarray(np.array(self.times)), xp.asarray(np.array(self.values)))

    def __str__(self):
        points = (f"{number(t)} {number(v)}" for t, v in zip(self.times, self.values, strict=True))
        return f"pwl({' '.join(points)})"


def _namespace(time: Array) -> Any:
    """Return the array namespace of a time: NumPy for numbers."""
    return np if isinstance(time, float | int) else time.__array_namespace__()
