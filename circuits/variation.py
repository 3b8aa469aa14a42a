"""Device variation: what a chip is, drawn from its seed and number."""

import abc
import zlib
from dataclasses import dataclass, replace

import numpy as np

from .devices import Diode
from .elements import ConductanceMatrix, Element, Resistor
from .netlist import Netlist


class Variation(abc.ABC):
    """Ways in which a made circuit differs from its netlist. `a + b` does first a, then b."""

    @abc.abstractmethod
    def parts(self) -> tuple["Part", ...]:
        """The single variations it is composed of, in order."""

    def chip(self, netlist: Netlist, *, seed: int, number: int) -> Netlist:
        """Chip `number` of those with `seed`: the same chip whenever, wherever and in whatever order it is made.

        Each element draws from a counter-based generator of its own, keyed by seed, chip, the kind of variation and the element's name.
        """
        elements = []
        for nominal in netlist.elements:
            made = nominal
            for part in self.parts():
                keys = (zlib.crc32(text.encode()) for text in (type(part).__name__, type(made).__name__, made.name))
                made = part.vary(made, np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number, *keys)))))
            elements.append(made)
        said = " + ".join(map(str, self.parts()))
        return replace(netlist, elements=tuple(elements), header=(*netlist.header, f"Chip {number} of seed {seed}: {said}."))

    def __add__(self, other: "Variation") -> "Variation":
        return Composed((*self.parts(), *other.parts()))


@dataclass(frozen=True)
class Composed(Variation):
    """Several variations, one after the other; made by `+`. No two may be of one kind, as they would draw the same numbers."""

    members: tuple["Part", ...]

    def __post_init__(self):
        kinds = [type(member).__name__ for member in self.members]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"variations that are added must differ in kind, but are {kinds}")

    def parts(self):
        return self.members


class Part(Variation):
    """A single variation."""

    @abc.abstractmethod
    def vary(self, element: Element, random: np.random.Generator) -> Element:
        """One element of one chip; `random` is that element's own."""

    def parts(self):
        return (self,)


@dataclass(frozen=True)
class Programming(Part):
    """Log-normal spread of every conductance: g → g exp(σ z − σ²/2), z ~ N(0, 1), σ² = ln(1 + spread²).

    The mean stays g and the standard deviation is `spread` · g. Vary a netlist before it is reduced: a `Rnorton_*` stands for many
    devices, but would be drawn as one. Raises `ValueError` for a spread that is negative or not finite.
    """

    spread: float

    def __post_init__(self):
        _check_spread(self.spread)

    def vary(self, element, random):
        if isinstance(element, ConductanceMatrix):
            return replace(element, siemens=element.siemens * log_normal(self.spread, random, element.siemens.shape))
        if isinstance(element, Resistor):
            return replace(element, siemens=element.siemens * float(log_normal(self.spread, random, ())))
        return element


@dataclass(frozen=True)
class Saturation(Part):
    """Log-normal spread of every diode's saturation current, through its `area`; `spread` as for `Programming`."""

    spread: float

    def __post_init__(self):
        _check_spread(self.spread)

    def vary(self, element, random):
        if not isinstance(element, Diode):
            return element
        return replace(element, area=element.area * float(log_normal(self.spread, random, ())))


def _check_spread(spread: float) -> None:
    if not (np.isfinite(spread) and spread >= 0):
        raise ValueError(f"`spread` must be finite and at least 0, but is {spread}")


def log_normal(spread: float, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of mean 1 and standard deviation `spread`."""
    sigma = np.sqrt(np.log1p(spread**2))
    return np.exp(sigma * random.standard_normal(shape) - sigma**2 / 2)
