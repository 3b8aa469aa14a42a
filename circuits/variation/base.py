"""Chips: netlists after variations, drawn from a chip's seed and number and an element's name."""

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
from ..units import check_number

Draw = Callable[[Element], np.random.Generator]
"""Returns the random generator of one element of one chip."""


class Variation(abc.ABC):
    """A way in which a fabricated circuit differs from its netlist; `a + b` applies a, then b."""

    @abc.abstractmethod
    def parts(self) -> tuple["Part", ...]:
        """Return the single variations of which this one is composed, in order."""

    def chip(self, netlist: Netlist, *, seed: int, number: int, cycle: int = 0) -> Netlist:
        """Return one chip: the same one whenever, wherever and in whatever order chips are made.

        Each element draws from a counter-based generator (Philox) of its own, keyed by the seed,
        the chip, the kind of variation and the element's name.

        **Arguments:**

        - `netlist`: the nominal circuit.
        - `seed`: of the family of chips.
        - `number`: of the chip within the family.
        - `cycle`: how often the chip has been programmed and read before; what changes from cycle
          to cycle is drawn anew for each.

        **Returns** the netlist of the chip, with a header line that says how it was made.

        **Raises** `ValueError` for a seed, number or cycle that is no whole number of at least 0,
        for a pattern `of` that was chosen and matches nothing that varies, and whatever the
        variations raise.
        """
        for field, value in (("seed", seed), ("number", number), ("cycle", cycle)):
            check_whole(value, field)
        chip = netlist
        for part in self.parts():
            before = chip
            chip = part.apply(
                before, lambda element, part=part: part.random(element, seed, number, cycle)
            )
            unchanged = len(chip.elements) == len(before.elements) and all(
                map(operator.is_, chip.elements, before.elements)
            )
            names = [element.letter + element.name for element in before.elements]
            check_pattern(part, not unchanged, [*names, *before.nodes])

        description = " + ".join(map(str, self.parts()))
        repetition = f", cycle {cycle}" if cycle else ""
        line = f"Chip {number} of seed {seed}{repetition}: {description}."
        return replace(chip, header=(*netlist.header, line))

    def drives(self, drives: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values that reach the sources, by name, where `drives` are asked for.

        **Arguments:**

        - `drives`: values of sources by SPICE name, V or A, an array (samples,) each.
        """
        for part in self.parts():
            drives = part.convert(drives)
        return dict(drives)

    def read(self, voltages: np.ndarray) -> np.ndarray:
        """Return the readings, in V, of `voltages` of any shape, in V."""
        for part in self.parts():
            voltages = part.measure(voltages)
        return voltages

    @abc.abstractmethod
    def times(self, factor: float) -> "Variation":
        """Return the same variation with every random spread `factor` times as wide.

        A factor of 0 leaves no spread; what is not random stays as it is. **Raises** `ValueError`
        for a factor that is negative or not finite.
        """

    def __add__(self, other: "Variation") -> "Variation":
        return Composed((*self.parts(), *other.parts()))


@dataclass(frozen=True)
class Composed(Variation):
    """Several variations, one after the other, as `+` makes them.

    **Arguments:**

    - `members`: the single variations, in order.

    **Raises** `ValueError` for two members of one kind, as they would draw the same numbers.
    """

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
    """A single variation, not a sum."""

    cause: ClassVar[str]
    """The name among the causes of a chip's error; by default that of the class."""
    anew = False
    """Whether every cycle draws anew; otherwise a chip keeps what it has."""
    spreads: tuple[str, ...] = ()
    """The fields to which the widths of the random draws are proportional."""

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        if "cause" not in vars(cls):
            cls.cause = cls.__name__

    @abc.abstractmethod
    def apply(self, netlist: Netlist, draw: Draw) -> Netlist:
        """Return the netlist of a chip.

        **Arguments:**

        - `netlist`: the circuit before this variation.
        - `draw`: returns the random generator of an element.
        """

    def random(self, element: Element, seed: int, number: int, cycle: int) -> np.random.Generator:
        """Return the generator of one element of one chip; arguments as those of `chip`."""
        names = (type(self).__name__, type(element).__name__, element.name)
        keys = (seed, number, *(zlib.crc32(name.encode()) for name in names))
        if self.anew and cycle:
            keys = (*keys, cycle)
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(keys)))

    def convert(self, drives: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return what a digital-to-analog converter makes of `drives`; by default the same."""
        return drives

    def measure(self, voltages: np.ndarray) -> np.ndarray:
        """Return what an analog-to-digital converter makes of `voltages`; by default the same."""
        return voltages

    def parts(self):
        return (self,)

    def times(self, factor: float) -> "Part":
        check_spread(factor, "factor")
        variation: Any = self
        wider = {field: _times(getattr(self, field), factor) for field in self.spreads}
        return replace(variation, **wider)


class OfElements(Part):
    """A variation of single elements, those whose SPICE names match the pattern `of`."""

    of: str = "*"

    @abc.abstractmethod
    def vary(self, element: Element, random: np.random.Generator) -> Element:
        """Return the element of a chip that stands in the place of `element`.

        **Arguments:**

        - `element`: the nominal element.
        - `random`: the generator of this element of this chip.
        """

    def concerns(self, element: Element) -> bool:
        """Return whether the name of `element` matches the pattern."""
        return fnmatch.fnmatchcase(element.letter + element.name, self.of)

    def apply(self, netlist, draw):
        elements = (
            self.vary(element, draw(element)) if self.concerns(element) else element
            for element in netlist.elements
        )
        return replace(netlist, elements=tuple(elements))


def _times(value: Any, factor: float) -> Any:
    """Return `factor` times a number, a tuple of numbers or a `Logarithmic`."""
    if isinstance(value, tuple):
        return tuple(_times(entry, factor) for entry in value)
    return value if value == np.inf else value * factor  # 0 · inf: no limit stays no limit


def check_pattern(part: Any, varied: bool, names: Sequence[str]) -> None:
    """Raise `ValueError` where a pattern `of` that was chosen matches nothing that varies.

    **Arguments:**

    - `part`: the variation.
    - `varied`: whether anything of the circuit was varied.
    - `names`: of the circuit's elements and nodes, for the message.
    """
    if not varied and getattr(part, "of", None) != getattr(type(part), "of", None):
        listed = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise ValueError(
            f"`of` of {type(part).__name__} must match what it varies among {listed}, "
            f"but is {part.of!r}"
        )


def check_spread(value: float, field: str = "spread") -> None:
    """Raise `ValueError` for a number that is negative or not finite."""
    check_number(value, field, "finite and at least 0", lambda number: number >= 0)


def check_positive(value: float, field: str) -> None:
    """Raise `ValueError` for a number that is not finite or not above 0."""
    check_number(value, field, "finite and above 0", lambda number: number > 0)


def check_whole(value: int, field: str, lowest: int = 0) -> None:
    """Raise `ValueError` for what is no whole number of at least `lowest`."""
    requirement = f"a whole number of at least {lowest}"
    check_number(value, field, requirement, lambda n: n >= lowest and n.is_integer())


def check_range(lowest: float, highest: float) -> None:
    """Raise `ValueError` unless 0 ≤ lowest < highest < ∞."""
    check_spread(lowest, "lowest")
    check_positive(highest, "highest")
    if lowest >= highest:
        raise ValueError(
            f"`lowest` and `highest` must be 0 <= lowest < highest, but are {lowest} and {highest}"
        )


def log_normal(
    spread: float, random: np.random.Generator, shape: tuple[int, ...] = ()
) -> np.ndarray:
    """Return random factors of mean 1 and standard deviation `spread`.

    exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + spread²)

    **Arguments:**

    - `spread`: a pure number, at least 0.
    - `random`: the generator.
    - `shape`: of the array.
    """
    sigma = np.sqrt(np.log1p(spread**2))
    return np.exp(sigma * random.standard_normal(shape) - sigma**2 / 2)
