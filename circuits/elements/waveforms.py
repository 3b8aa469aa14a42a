"""What independent sources do in time."""

import abc
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..units import Array, number


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
    """`offset` + `amplitude` · exp(−`damping` (t − `delay`)) sin(2π `frequency` (t − `delay`)) after `delay`, `offset` before it."""

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
    """Straight lines between `values` at `times` (s, increasing), and the first and the last value outside them."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self):
        if len(self.times) != len(self.values) or not self.times:
            raise ValueError(
                f"`times` and `values` must be as many, one or more, but are {len(self.times)} and {len(self.values)}"
            )
        if not np.isfinite([self.times, self.values]).all() or np.any(np.diff(self.times) <= 0):
            raise ValueError(
                f"`times` must increase and all be finite, but are {self.times} with values {self.values}"
            )

    def at(self, time):
        xp = _namespace(time)
        return xp.interp(time, xp.asarray(np.array(self.times)), xp.asarray(np.array(self.values)))

    def __str__(self):
        points = (f"{number(t)} {number(v)}" for t, v in zip(self.times, self.values, strict=True))
        return f"pwl({' '.join(points)})"


def _namespace(time: Array) -> Any:
    return np if isinstance(time, float | int) else time.__array_namespace__()
