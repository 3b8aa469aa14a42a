"""Errors of programmed conductances, drawn anew whenever a chip is programmed."""

from dataclasses import dataclass

import numpy as np

from .base import check_positive, check_spread, log_normal
from .conductances import OfConductances


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
