"""Variations of conductances: how they are programmed, what is wrong with them for good, and what time does to them."""

import abc
from dataclasses import dataclass, replace

import numpy as np

from ..elements.passive import ConductanceMatrix, Resistor
from .base import OfElements, check_spread, log_normal

ROUNDING = 1e-6
"""How far, relative to its ends, a conductance may be out of a range."""


class OfConductances(OfElements):
    """A variation of resistors and conductance matrices, those whose SPICE names match the pattern `of`.

    Every crossing of a matrix has a device: one of 0 S is programmed to 0 S, and is absent from the chip if it comes out as that. Vary
    a netlist before it is reduced: a `Rnorton_*` stands for many devices, but would be drawn as one.
    """

    of: str = "R*"

    @abc.abstractmethod
    def siemens(self, g: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The conductances in S of devices that should have `g`."""

    def vary(self, element, random):
        if isinstance(element, ConductanceMatrix):
            return replace(
                element, siemens=self.siemens(np.asarray(element.siemens, float), random)
            )
        if isinstance(element, Resistor):
            g = float(self.siemens(np.asarray(element.siemens, float), random))
            return replace(
                element, siemens=max(g, 1e-18)
            )  # a resistor is there, however little it conducts
        return element


@dataclass(frozen=True)
class Within(OfConductances):
    """Devices that can be programmed from `lowest` to `highest` (S) alone: a `ValueError` names an element that is beyond."""

    cause = "device range"
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        _check_range(self.lowest, self.highest)

    def vary(self, element, random):
        try:
            return super().vary(element, random)
        except ValueError as error:
            raise ValueError(f"{element.letter}{element.name}: {error}") from error

    def siemens(self, g, random):
        del random
        beyond = (g < self.lowest * (1 - ROUNDING)) | (g > self.highest * (1 + ROUNDING))
        if beyond.any():
            raise ValueError(
                f"conductances must be within {self.lowest} and {self.highest} S, but one is {g[beyond].flat[0]}"
            )
        return g


@dataclass(frozen=True)
class Programming(OfConductances):
    """Log-normal spread of what is programmed, anew in every cycle: g → g exp(σ z − σ²/2), z ~ N(0, 1), σ² = ln(1 + spread²).

    The mean stays g and the standard deviation is `spread` · g. Raises `ValueError` for a spread that is negative or not finite.
    """

    cause = "programming"
    anew = True
    spreads = ("spread",)
    spread: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """The standard deviation in S of what is programmed as `g`."""
        return self.spread * g

    def siemens(self, g, random):
        return g * log_normal(self.spread, random, g.shape)


@dataclass(frozen=True)
class ProgrammingNoise(OfConductances):
    """A normal error of what is programmed, anew in every cycle, whose size depends on the target.

    g → max(g + σ(g) z, 0),    σ(g) = `full` · max(Σ_k c_k (g/`full`)^k, 0)

    **Arguments:** `full`: the device's highest conductance in S. `coefficients`: c_0, c_1, …, pure numbers. Raises `ValueError` where
    they are not finite, or `full` not above 0.
    """

    cause = "programming error"
    anew = True
    spreads = ("coefficients",)
    full: float
    coefficients: tuple[float, ...]
    of: str = "R*"

    def __post_init__(self):
        object.__setattr__(self, "coefficients", tuple(float(c) for c in self.coefficients))
        _check_positive(self.full, "full")
        if not self.coefficients or not np.isfinite(self.coefficients).all():
            raise ValueError(
                f"`coefficients` must be finite numbers, one or more, but are {self.coefficients}"
            )

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """σ(g) in S."""
        return self.full * np.maximum(
            np.polynomial.polynomial.polyval(g / self.full, self.coefficients), 0.0
        )

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)


@dataclass(frozen=True)
class DeviceToDevice(OfConductances):
    """Log-normal spread from device to device, which a chip keeps in every cycle: as `Programming`, drawn once."""

    cause = "device mismatch"
    spreads = ("spread",)
    spread: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)

    def siemens(self, g, random):
        return g * log_normal(self.spread, random, g.shape)


@dataclass(frozen=True)
class Levels(OfConductances):
    """Devices of `count` states, evenly spaced from `lowest` to `highest` (S): each conductance becomes the nearest of them.

    Raises `ValueError` where `count` is below 2, or not 0 ≤ lowest < highest.
    """

    cause = "quantised levels"
    count: int
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        if self.count < 2:
            raise ValueError(f"`count` must be at least 2, but is {self.count}")
        _check_range(self.lowest, self.highest)

    def siemens(self, g, random):
        del random
        step = (self.highest - self.lowest) / (self.count - 1)
        return self.lowest + step * np.clip(np.rint((g - self.lowest) / step), 0, self.count - 1)


@dataclass(frozen=True)
class StepNoise(OfConductances):
    """Steps of a device that is programmed by counting them, from 0 S up, anew in every cycle: n steps are off by `spread` · √n steps.

    g → max(g + `spread` √(g s) z, 0),    s = `highest`/`count`

    Raises `ValueError` for a spread that is negative or not finite, and a count or a conductance not above 0.
    """

    cause = "programming steps"
    anew = True
    spreads = ("spread",)
    spread: float
    count: int
    highest: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)
        _check_positive(self.count, "count")
        _check_positive(self.highest, "highest")

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """The standard deviation in S of what is programmed as `g`."""
        return self.spread * np.sqrt(g * self.highest / self.count)

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)


@dataclass(frozen=True)
class Bounds(OfConductances):
    """Devices that each have a highest conductance of their own, normal about `highest` (S) with a relative `spread`, at least 0.

    Raises `ValueError` for a spread that is negative or not finite, and a conductance not above 0.
    """

    cause = "device bounds"
    spreads = ("spread",)
    highest: float
    spread: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)
        _check_positive(self.highest, "highest")

    def siemens(self, g, random):
        return np.minimum(
            g, np.maximum(self.highest * (1 + self.spread * random.standard_normal(g.shape)), 0.0)
        )


@dataclass(frozen=True)
class StuckAt(OfConductances):
    """Devices that are what they are for good: a share `on` of them at `highest`, a share `off` at `lowest` (S).

    Raises `ValueError` for shares that are below 0 or above 1 together, and where not 0 ≤ lowest < highest.
    """

    cause = "stuck devices"
    spreads = ("on", "off")
    on: float
    off: float
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        if not (self.on >= 0 and self.off >= 0 and self.on + self.off <= 1):
            raise ValueError(
                f"`on` and `off` must be shares, together at most 1, but are {self.on} and {self.off}"
            )
        _check_range(self.lowest, self.highest)

    def siemens(self, g, random):
        at = random.random(g.shape)
        return np.where(
            at < self.on, self.highest, np.where(at < self.on + self.off, self.lowest, g)
        )


@dataclass(frozen=True)
class Logarithmic:
    """A quantity that depends on the conductance: `slope` · ln(g/full) + `offset`, kept within `lowest` and `highest`."""

    slope: float
    offset: float
    lowest: float
    highest: float

    def at(self, share: np.ndarray) -> np.ndarray:
        """Its value at `share` = g/full, above 0."""
        return np.clip(self.slope * np.log(share) + self.offset, self.lowest, self.highest)

    def __mul__(self, factor: float) -> "Logarithmic":
        return Logarithmic(
            *(factor * part for part in (self.slope, self.offset, self.lowest, self.highest))
        )


@dataclass(frozen=True)
class Drift(OfConductances):
    """Structural relaxation: g → g (t/t0)^−ν after `seconds` = t, with an exponent ν = max(mean + spread · z, 0) of each device.

    Biases, which are current sources, stay as they are, so that a network with them does not merely scale.

    **Arguments:** `seconds`: since programming, at least `reference` = t0, when what was programmed is read first. `exponent`,
    `spread`: mean and standard deviation of ν, numbers or `Logarithmic` in g/`full`; `full`: in S. Raises `ValueError` where they are
    not so.
    """

    cause = "drift"
    spreads = ("spread",)
    seconds: float
    exponent: float | Logarithmic
    spread: float | Logarithmic = 0.0
    reference: float = 1.0
    full: float = 1.0
    of: str = "R*"

    def __post_init__(self):
        for field in ("reference", "full"):
            _check_positive(getattr(self, field), field)
        if not self.reference <= self.seconds < np.inf:
            raise ValueError(
                f"`seconds` must be finite and at least `reference`, {self.reference}, but are {self.seconds}"
            )
        for field in ("exponent", "spread"):
            if isinstance(value := getattr(self, field), float | int):
                check_spread(value, field)

    def siemens(self, g, random):
        share = np.where(g > 0, g, self.full) / self.full
        mean, spread = (
            value.at(share) if isinstance(value, Logarithmic) else value
            for value in (self.exponent, self.spread)
        )
        nu = np.maximum(mean + spread * random.standard_normal(g.shape), 0.0)
        return g * (self.seconds / self.reference) ** -nu


@dataclass(frozen=True)
class ReadNoise(OfConductances):
    """Noise of a reading, anew in every cycle: g → max(g (1 + q z), 0) with q = min(`relative` (g/`full`)^−`exponent`, `most`).

    **Arguments:** `relative`: q of a device at `full` (S). `exponent`: how q grows towards low conductances. Raises `ValueError` where
    they are negative or not finite, or `full` not above 0.
    """

    cause = "read noise"
    anew = True
    spreads = ("relative", "most")
    relative: float
    exponent: float = 0.0
    full: float = 1.0
    most: float = np.inf
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.relative, "relative")
        check_spread(self.exponent, "exponent")
        _check_positive(self.full, "full")

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """The standard deviation in S of readings of `g`."""
        share = np.where(g > 0, g, self.full) / self.full
        return g * np.minimum(self.relative * share**-self.exponent, self.most)

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)


def _check_range(lowest: float, highest: float) -> None:
    if not 0 <= lowest < highest < np.inf:
        raise ValueError(
            f"`lowest` and `highest` must be 0 <= lowest < highest, but are {lowest} and {highest}"
        )


def _check_positive(value: float, field: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"`{field}` must be finite and above 0, but is {value}")
