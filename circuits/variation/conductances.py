"""Variations of conductances: errors of programming, permanent faults, and changes with time."""

import abc
from dataclasses import dataclass, replace

import numpy as np

from ..elements.passive import ConductanceMatrix, Resistor
from ..units import check_number
from .base import OfElements, check_positive, check_range, check_spread, log_normal

ROUNDING = 1e-6
"""By how much of its ends a conductance may be out of a range."""


class OfConductances(OfElements):
    """A variation of resistors and conductance matrices whose SPICE names match the pattern `of`.

    Every crossing of a matrix has a device: one of 0 S is programmed to 0 S, and is absent from the
    chip if it comes out as that. Vary a netlist before it is reduced: a `Rnorton_*` stands for many
    devices, but would be drawn as one.
    """

    of: str = "R*"

    @abc.abstractmethod
    def siemens(self, g: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the conductances of devices on a chip.

        **Arguments:**

        - `g`: the conductances that they should have, in S, of any shape.
        - `random`: the generator of this element of this chip.

        **Returns** conductances in S, of the shape of `g`.
        """

    def vary(self, element, random):
        if isinstance(element, ConductanceMatrix):
            return replace(
                element, siemens=self.siemens(np.asarray(element.siemens, float), random)
            )
        if isinstance(element, Resistor):
            g = float(self.siemens(np.asarray(element.siemens, float), random))
            # A resistor is there, however little it conducts.
            return replace(element, siemens=max(g, 1e-18))
        return element


@dataclass(frozen=True)
class Within(OfConductances):
    """Devices that can be programmed from `lowest` to `highest` alone.

    A chip is refused, by a `ValueError` that names the element, where a conductance is beyond.

    **Arguments:**

    - `highest`, `lowest`: the bounds, in S.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` unless 0 ≤ lowest < highest.
    """

    cause = "device range"
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        check_range(self.lowest, self.highest)

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
                f"conductances must be within {self.lowest} and {self.highest} S, "
                f"but one is {g[beyond].flat[0]}"
            )
        return g


@dataclass(frozen=True)
class Programming(OfConductances):
    """Log-normal error of programming, drawn anew in every cycle.

    g → g exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + spread²)

    The mean stays g and the standard deviation is `spread` · g.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

    cause = "programming"
    anew = True
    spreads = ("spread",)
    spread: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """Return the standard deviation, in S, of what is programmed as `g`, in S."""
        return self.spread * g

    def siemens(self, g, random):
        return g * log_normal(self.spread, random, g.shape)


@dataclass(frozen=True)
class ProgrammingNoise(OfConductances):
    """Normal error of programming, drawn anew in every cycle, whose size depends on the target.

    g → max(g + σ(g) z, 0),    z ~ N(0, 1),    σ(g) = highest · max(Σ_k c_k (g/highest)^k, 0)

    **Arguments:**

    - `highest`: the device's highest conductance, in S.
    - `coefficients`: c_0, c_1, …, pure numbers, one or more.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` where a coefficient is not finite, or `highest` not above 0.
    """

    cause = "programming error"
    anew = True
    spreads = ("coefficients",)
    highest: float
    coefficients: tuple[float, ...]
    of: str = "R*"

    def __post_init__(self):
        object.__setattr__(self, "coefficients", tuple(float(c) for c in self.coefficients))
        check_positive(self.highest, "highest")
        if not self.coefficients or not np.isfinite(self.coefficients).all():
            raise ValueError(
                f"`coefficients` must be finite numbers, one or more, but are {self.coefficients}"
            )

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """Return σ(g), in S, for targets `g`, in S."""
        share = np.polynomial.polynomial.polyval(g / self.highest, self.coefficients)
        return self.highest * np.maximum(share, 0.0)

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)


@dataclass(frozen=True)
class DeviceToDevice(OfConductances):
    """Log-normal spread from device to device: the law of `Programming`, drawn once for a chip.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

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
    """Devices with evenly spaced states: each conductance becomes the nearest of them.

    **Arguments:**

    - `count`: the number of states.
    - `highest`, `lowest`: the last and the first state, in S.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` where `count` is no whole number of at least 2, and unless
    0 ≤ lowest < highest.
    """

    cause = "quantised levels"
    count: int
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        check_number(
            self.count, "count", "a whole number of at least 2", lambda n: n >= 2 and n.is_integer()
        )
        check_range(self.lowest, self.highest)

    def siemens(self, g, random):
        del random
        step = (self.highest - self.lowest) / (self.count - 1)
        return self.lowest + step * np.clip(np.rint((g - self.lowest) / step), 0, self.count - 1)


@dataclass(frozen=True)
class StepNoise(OfConductances):
    """Error of programming by counting steps from 0 S up, drawn anew in every cycle.

    g → max(g + spread √(g s) z, 0),    z ~ N(0, 1),    s = highest/count

    so that n steps are off by `spread` · √n steps.

    **Arguments:**

    - `spread`: standard deviation over mean of one step.
    - `count`: the number of steps up to `highest`.
    - `highest`: the device's highest conductance, in S.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for a spread that is negative or not finite, and for a count or a
    conductance that is not above 0.
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
        check_positive(self.count, "count")
        check_positive(self.highest, "highest")

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """Return the standard deviation, in S, of what is programmed as `g`, in S."""
        return self.spread * np.sqrt(g * self.highest / self.count)

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)


@dataclass(frozen=True)
class Bounds(OfConductances):
    """Highest conductances that differ from device to device.

    g → min(g, max(highest (1 + spread z), 0)),    z ~ N(0, 1)

    **Arguments:**

    - `highest`: the mean of the highest conductances, in S.
    - `spread`: their standard deviation over the mean.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for a spread that is negative or not finite, and a conductance not above
    0.
    """

    cause = "device bounds"
    spreads = ("spread",)
    highest: float
    spread: float
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.spread)
        check_positive(self.highest, "highest")

    def siemens(self, g, random):
        return np.minimum(
            g, np.maximum(self.highest * (1 + self.spread * random.standard_normal(g.shape)), 0.0)
        )


@dataclass(frozen=True)
class StuckAt(OfConductances):
    """Devices that are stuck at a bound for good.

    **Arguments:**

    - `on`: the share of devices that are stuck at `highest`.
    - `off`: the share of devices that are stuck at `lowest`.
    - `highest`, `lowest`: the bounds, in S.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for shares that are below 0 or above 1 together, and unless
    0 ≤ lowest < highest.
    """

    cause = "stuck devices"
    spreads = ("on", "off")
    on: float
    off: float
    highest: float
    lowest: float = 0.0
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.on, "on")
        check_spread(self.off, "off")
        if self.on + self.off > 1:
            raise ValueError(
                "`on` and `off` must be shares, together at most 1, "
                f"but are {self.on} and {self.off}"
            )
        check_range(self.lowest, self.highest)

    def siemens(self, g, random):
        draw = random.random(g.shape)
        stuck_off = np.where(draw < self.on + self.off, self.lowest, g)
        return np.where(draw < self.on, self.highest, stuck_off)


@dataclass(frozen=True)
class Logarithmic:
    """A quantity that depends on the logarithm of the conductance.

    q(g) = slope · ln(g/highest conductance) + offset, kept from `lowest` to `highest`

    **Arguments:**

    - `slope`, `offset`: in the unit of the quantity.
    - `lowest`, `highest`: bounds of the quantity, in its unit.
    """

    slope: float
    offset: float
    lowest: float
    highest: float

    def at(self, share: np.ndarray) -> np.ndarray:
        """Return the quantity at conductances of `share`, above 0, times the highest one."""
        return np.clip(self.slope * np.log(share) + self.offset, self.lowest, self.highest)

    def __mul__(self, factor: float) -> "Logarithmic":
        numbers = (self.slope, self.offset, self.lowest, self.highest)
        return Logarithmic(*(factor * number for number in numbers))


@dataclass(frozen=True)
class Drift(OfConductances):
    """Drift by structural relaxation, with an exponent of each device's own.

    g → g (t/t0)^−ν,    ν = max(exponent + spread · z, 0),    z ~ N(0, 1)

    Biases, which are current sources, stay as they are, so that a network with them does not merely
    scale.

    **Arguments:**

    - `seconds`: t, the time since programming, in s, at least `reference`.
    - `exponent`, `spread`: mean and standard deviation of ν; numbers, or `Logarithmic` in
      g/`highest`.
    - `reference`: t0, the time in s at which conductances are still those programmed.
    - `highest`: the device's highest conductance, in S.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for times and conductances that are not so, and for numbers that are
    negative or not finite.
    """

    cause = "drift"
    spreads = ("spread",)
    seconds: float
    exponent: float | Logarithmic
    spread: float | Logarithmic = 0.0
    reference: float = 1.0
    highest: float = 1.0
    of: str = "R*"

    def __post_init__(self):
        for field in ("reference", "highest"):
            check_positive(getattr(self, field), field)
        check_number(
            self.seconds,
            "seconds",
            f"finite and at least `reference`, {self.reference}",
            lambda seconds: seconds >= self.reference,
        )
        for field in ("exponent", "spread"):
            if not isinstance(value := getattr(self, field), Logarithmic):
                check_spread(value, field)

    def siemens(self, g, random):
        share = np.where(g > 0, g, self.highest) / self.highest
        mean, spread = (
            value.at(share) if isinstance(value, Logarithmic) else value
            for value in (self.exponent, self.spread)
        )
        nu = np.maximum(mean + spread * random.standard_normal(g.shape), 0.0)
        return g * (self.seconds / self.reference) ** -nu


@dataclass(frozen=True)
class ReadNoise(OfConductances):
    """Noise of a reading, drawn anew in every cycle.

    g → max(g (1 + q z), 0),    z ~ N(0, 1),    q = min(relative (g/highest)^−exponent, most)

    **Arguments:**

    - `relative`: q of a device at `highest`.
    - `exponent`: how fast q grows towards low conductances.
    - `highest`: the device's highest conductance, in S.
    - `most`: the largest q; infinite for no limit.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` where `relative`, `exponent` or `most` is negative or not a number, or
    `highest` not above 0.
    """

    cause = "read noise"
    anew = True
    spreads = ("relative", "most")
    relative: float
    exponent: float = 0.0
    highest: float = 1.0
    most: float = np.inf
    of: str = "R*"

    def __post_init__(self):
        check_spread(self.relative, "relative")
        check_spread(self.exponent, "exponent")
        check_positive(self.highest, "highest")
        if self.most != np.inf:
            check_spread(self.most, "most")

    def deviation(self, g: np.ndarray) -> np.ndarray:
        """Return the standard deviation, in S, of readings of `g`, in S."""
        share = np.where(g > 0, g, self.highest) / self.highest
        return g * np.minimum(self.relative * share**-self.exponent, self.most)

    def siemens(self, g, random):
        return np.maximum(g + self.deviation(g) * random.standard_normal(g.shape), 0.0)
