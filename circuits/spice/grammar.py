"""What the reader's tables hold: the words of a line, what each means, and how it is read.

A table is all that the reader knows of a kind of line, and all that the page about decks says of it
(`circuits.spice.reference`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Number:
    """A `name=value` pair that a line may hold.

    - `meaning`: what it says; "" for what only informs, and is passed over whatever it holds.
    - `only`: the one value that is supported, None for any.
    """

    meaning: str
    only: float | None = None


INFORMS = Number("")
"""A pair that says nothing about a voltage or a current."""


@dataclass(frozen=True)
class Kind:
    """A kind of line, by the word or letter with which it begins.

    - `word`: what it is, in the singular.
    - `forms`: what may follow the name, as one writes it, and what each form means.
    - `read`: makes of a line what it stands for.
    - `numbers`: the `name=value` pairs that may end it.
    """

    word: str
    forms: Mapping[str, str]
    read: Callable[..., Any]
    numbers: Mapping[str, Number] = field(default_factory=dict)


def meanings(**words: str) -> dict[str, Number]:
    """Return numbers of any value by what each means."""
    return {name: Number(meaning) for name, meaning in words.items()}
