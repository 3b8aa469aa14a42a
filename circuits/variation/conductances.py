"""Variations of conductances that a chip keeps: range, levels, mismatch and stuck devices."""

import abc
from dataclasses import dataclass, replace

import numpy as np

from ..elements.passive import ConductanceMatrix, Resistor
from .base import OfElements, check_positive, check_range, check_spread, check_whole, log_normal

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
        check_whole(self.count, "count", 2)
        check_range(self.lowest, self.highest)

    def siemens(self, g, random):
        del random
        step = (self.highest - self.lowest) / (self.count - 1)
        return self.lowest + step * np.clip(np.rint((g - self.lowest) / step), 0, self.count - 1)


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
