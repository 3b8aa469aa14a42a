"""What the values of a declaration must be: numbers in their range, words, lists."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..elements.base import did_you_mean

Scalar = bool | int | float | str
"""A value of an axis."""

MAX_DEPTH = 20
"""How many tables and lists of a declaration may lie in one another."""


class SweepError(ValueError):
    """A declaration that is no sweep, or a file of a run that no sweep wrote."""


@dataclass(frozen=True)
class Number:
    """What a number must be.

    **Arguments:**

    - `whole`: whether it must be a whole number.
    - `least`: the least that it may be; `None` for any.
    - `most`: the most that it may be; `None` for any.
    - `above`: what it must be above; `None` for anything.
    - `unit`: of `above`, for messages.
    """

    whole: bool = False
    least: float | None = None
    most: float | None = None
    above: float | None = None
    unit: str = ""

    def require(self, name: str, value: Any) -> None:
        """Raise `SweepError` for a value that is no such number; a boolean is none.

        **Arguments:**

        - `name`: its key, for the message.
        - `value`: the value.
        """
        if (
            not isinstance(value, int if self.whole else int | float | np.number)
            or isinstance(value, bool)
            or (isinstance(value, float) and not math.isfinite(value))
            or (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
        ):
            raise SweepError(f"`{name}` must be {self}, but is {shortened(value)}")

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a finite number"
        if self.above is not None:
            return f"{kind} above {self.above:g}{self.unit}"
        if self.least is None:
            return kind
        if self.most is None:
            return f"{kind} of at least {self.least:g}"
        return f"{kind} from {self.least:g} to {self.most:g}"


NUMBERS = {
    "chips": Number(whole=True, least=1),
    "seed": Number(whole=True, least=0),
    "cycle": Number(whole=True, least=0),
    "beta": Number(),
    "temperature": Number(above=0, unit=" K"),
    "network.hidden": Number(whole=True, least=1, most=100_000),
    "network.seed": Number(whole=True, least=0),
    "cost.on": Number(),
    "cost.off": Number(),
    "data.count": Number(whole=True, least=1),
    "data.seed": Number(whole=True, least=0),
    "simulator.timeout": Number(above=0, unit=" s"),
    "simulator.tolerance": Number(above=0),
    "simulator.iterations": Number(whole=True, least=1),
}
"""What the numbers of a declaration must be, by their keys."""

WORDS = ("network.deck", "network.factory", "network.checkpoint", "data.file", "simulator.name")
"""The keys whose values are words."""


def require_value(name: str, value: Any) -> None:
    """Raise `SweepError` for a value that the key of a declaration cannot have.

    **Arguments:**

    - `name`: the key, with the tables in which it lies, as `network.hidden`.
    - `value`: its value.
    """
    table = name.partition(".")[0]
    if name in NUMBERS:
        NUMBERS[name].require(name, value)
    elif table in ("device", "elements", "models"):
        Number().require(name, value)
    elif name in WORDS and not isinstance(value, str):
        raise SweepError(f"`{name}` must be a word, but is {shortened(value)}")
    elif table == "variation" and isinstance(value, bool):
        raise SweepError(f"`{name}` must be a number, a word or a list, but is {value}")


def require_known(name: str, known: Iterable[str], where: str) -> None:
    """Raise `SweepError` for a name that is not among the known ones, naming the nearest.

    **Arguments:**

    - `name`: the name.
    - `known`: the names that may be.
    - `where`: what has these names, for the message.
    """
    known = list(known)
    if name not in known:
        nearest = did_you_mean(name, known) or f"; it has {', '.join(known)}"
        raise SweepError(f"{where} has no {shortened(name)}{nearest}")


def require_shallow(value: Any) -> None:
    """Raise `SweepError` for tables and lists that lie in one another more than `MAX_DEPTH` deep.

    **Arguments:**

    - `value`: what a TOML or a JSON file holds.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list | tuple)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    if level:
        raise SweepError(
            f"tables and lists must lie at most {MAX_DEPTH} deep in one another, but lie deeper"
        )


def shortened(value: Any, most: int = 200) -> str:
    """Return a value as Python writes it, cut where it is long.

    **Arguments:**

    - `value`: the value.
    - `most`: the number of characters that are left.
    """
    try:
        text = repr(value)
    except ValueError:  # a whole number of too many digits to be written
        return f"a number of {value.bit_length()} bits"
    return text if len(text) <= most else f"{text[:most]}…"


def printable(text: str) -> str:
    """Return a text whose characters a terminal shows and does not obey.

    **Arguments:**

    - `text`: what a file or a simulator says.
    """
    return "".join(
        one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text
    )
