"""What a chip is: a netlist after variations, each drawn from the chip's seed, its number, and the element's name."""

import abc
import fnmatch
import operator
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..elements.base import Element
from ..netlist.netlist import Netlist

Draw = Callable[[Element], np.random.Generator]
"""The random numbers of an element of a chip."""


class Variation(abc.ABC):
    """Ways in which a made circuit differs from its netlist. `a + b` does first a, then b."""

    @abc.abstractmethod
    def parts(self) -> tuple["Part", ...]:
        """The single variations it is composed of, in order."""

    def chip(self, netlist: Netlist, *, seed: int, number: int, cycle: int = 0) -> Netlist:
        """Chip `number` of those with `seed`: the same chip whenever, wherever and in whatever order it is made.

        Each element draws from a counter-based generator of its own, keyed by seed, chip, the kind of variation and the element's name.
        `cycle`: how often the chip has been programmed and read before: what changes from cycle to cycle is drawn anew for each.

        **Raises** `ValueError` for a pattern that was chosen and by which nothing varies, besides what the variations raise.
        """
        made = netlist
        for part in self.parts():
            before, made = (
                made,
                part.apply(
                    made, lambda element, part=part: part.random(element, seed, number, cycle)
                ),
            )
            same = len(made.elements) == len(before.elements) and all(
                map(operator.is_, made.elements, before.elements)
            )
            check_pattern(
                part,
                not same,
                [*(element.letter + element.name for element in before.elements), *before.nodes],
            )
        said = " + ".join(map(str, self.parts()))
        again = f", cycle {cycle}" if cycle else ""
        return replace(
            made, header=(*netlist.header, f"Chip {number} of seed {seed}{again}: {said}.")
        )

    def drives(self, drives: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What reaches the sources of `drives` that are asked for."""
        for part in self.parts():
            drives = part.convert(drives)
        return dict(drives)

    def read(self, voltages: np.ndarray) -> np.ndarray:
        """What is read of `voltages` in V."""
        for part in self.parts():
            voltages = part.measure(voltages)
        return voltages

    @abc.abstractmethod
    def times(self, factor: float) -> "Variation":
        """The same with all that is drawn spread `factor` times as wide: 0 for none; what is not random stays as it is."""

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

    def times(self, factor):
        return Composed(tuple(member.times(factor) for member in self.members))


class Part(Variation):
    """A single variation."""

    cause: ClassVar[str]
    """What it is called among the causes of a chip's distance from its model; the name of its class where it does not say."""
    anew = False
    """Whether every cycle draws anew; otherwise a chip keeps what it has."""
    spreads: tuple[str, ...] = ()
    """The fields that say how wide what is drawn is spread, in proportion."""

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        if "cause" not in vars(cls):
            cls.cause = cls.__name__

    @abc.abstractmethod
    def apply(self, netlist: Netlist, draw: Draw) -> Netlist:
        """The netlist of a chip."""

    def random(self, element: Element, seed: int, number: int, cycle: int) -> np.random.Generator:
        """The generator of one element of one chip."""
        keys = (
            zlib.crc32(text.encode())
            for text in (type(self).__name__, type(element).__name__, element.name)
        )
        own = (seed, number, *keys, *((cycle,) if self.anew and cycle else ()))
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(own)))

    def convert(self, drives: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """What a digital-to-analog converter makes of `drives`; itself for all other variations."""
        return drives

    def measure(self, voltages: np.ndarray) -> np.ndarray:
        """What an analog-to-digital converter makes of `voltages`; itself for all other variations."""
        return voltages

    def parts(self):
        return (self,)

    def times(self, factor: float) -> "Part":
        check_spread(factor, "factor")
        own: Any = self
        return replace(
            own, **{field: _times(getattr(self, field), factor) for field in self.spreads}
        )


class OfElements(Part):
    """A variation of single elements, those whose SPICE names match the pattern `of`."""

    of: str = "*"

    @abc.abstractmethod
    def vary(self, element: Element, random: np.random.Generator) -> Element:
        """One element of one chip; `random` is that element's own."""

    def concerns(self, element: Element) -> bool:
        """Whether it is one of those that are meant."""
        return fnmatch.fnmatchcase(element.letter + element.name, self.of)

    def apply(self, netlist, draw):
        vary = (
            self.vary(element, draw(element)) if self.concerns(element) else element
            for element in netlist.elements
        )
        return replace(netlist, elements=tuple(vary))


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_times(one, factor) for one in value)
    return value if value == np.inf else value * factor  # a limit that is none stays so


def check_pattern(part: Any, varied: bool, names: Sequence[str]) -> None:
    """Raises `ValueError` where nothing of a circuit, with elements and nodes of these names, was varied by an `of` that was chosen."""
    if not varied and getattr(part, "of", None) != getattr(type(part), "of", None):
        some = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise ValueError(
            f"`of` of {type(part).__name__} must match what it varies among {some}, but is {part.of!r}"
        )


def check_spread(value: float, field: str = "spread") -> None:
    """Raises `ValueError` for a number that is negative or not finite."""
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"`{field}` must be finite and at least 0, but is {value}")


def log_normal(
    spread: float, random: np.random.Generator, shape: tuple[int, ...] = ()
) -> np.ndarray:
    """Factors exp(σ z − σ²/2), z ~ N(0, 1), σ² = ln(1 + spread²): of mean 1 and standard deviation `spread`."""
    sigma = np.sqrt(np.log1p(spread**2))
    return np.exp(sigma * random.standard_normal(shape) - sigma**2 / 2)
