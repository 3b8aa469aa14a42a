"""Training, validation and test sets, and how examples are shared out among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num


@dataclass(frozen=True)
class Split:
    """Examples: `x` (examples, …) and `y` (examples, …)."""

    x: Num[np.ndarray, "examples *features"]
    y: Num[np.ndarray, "examples *target"]

    def __post_init__(self):
        if len(self.x) != len(self.y) or len(self.x) == 0:
            raise ValueError(
                f"`x` and `y` must hold the same number of examples, and some, but hold {len(self.x)} and {len(self.y)}"
            )

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Data:
    """A training set, a test set that no training decision reads, and a validation set, or none, on which the best epoch is chosen."""

    train: Split
    test: Split
    validation: Split | None = None


def hold_out(
    labels: Int[np.ndarray, " examples"], count: int, seed: int
) -> Sequence[slice | Int[np.ndarray, " rows"]]:
    """The rows to keep and the `count` rows to hold out, both in ascending order; all rows and nothing else where `count` is 0.

    Which rows are held out is drawn with `seed`. Each class gives its share of them, rounded up or down to a whole number.

    **Raises** `ValueError` unless 0 ≤ `count` < examples.
    """
    examples = len(labels)
    if not (isinstance(count, int | np.integer) and 0 <= count < examples):
        raise ValueError(
            f"`validation` must be a whole number from 0 to {examples - 1}, but is {count!r}"
        )
    if count == 0:
        return (slice(None),)  # a view, where an array of rows would copy
    shuffled = np.random.default_rng(seed).permutation(examples)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held = np.zeros(examples, bool)
    held[by_class[(2 * np.arange(count) + 1) * examples // (2 * count)]] = (
        True  # evenly spaced, so that each class meets its share
    )
    return np.flatnonzero(~held), np.flatnonzero(held)
