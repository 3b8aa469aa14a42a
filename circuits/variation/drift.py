"""Changes of conductances with time: drift, and the noise of readings."""

from dataclasses import dataclass

import numpy as np

from ..units import check_number
from .base import check_positive, check_spread
from .conductances import OfConductances


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
