"""Training, validation and test sets, and which examples each of them holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num


@dataclass(frozen=True)
class Split:
    """Examples with their targets.

    **Arguments:**

    - `x`: the inputs (examples, …).
    - `y`: the targets (examples, …); integers (examples) are class labels.

    **Raises** `ValueError` where the two have different lengths, or none.
    """

    x: Num[np.ndarray, "examples *features"]
    y: Num[np.ndarray, "examples *target"]

    def __post_init__(self):
        if len(self.x) != len(self.y) or len(self.x) == 0:
            raise ValueError(
                "`x` and `y` must hold the same number of examples, and some, but hold "
                f"{len(self.x)} and {len(self.y)}"
            )

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Data:
    """A data set in its parts.

    - `train`: what is learned from.
    - `test`: what no decision in training reads.
    - `validation`: what the best epoch is chosen on, or `None`.
    """

    train: Split
    test: Split
    validation: Split | None = None


def hold_out(
    labels: Int[np.ndarray, " examples"], count: int, seed: int
) -> Sequence[slice | Int[np.ndarray, " rows"]]:
    """Return the rows to keep and the rows to hold out, both in ascending order.

    Each class gives its share of them, rounded up or down to a whole number.

    **Arguments:**

    - `labels`: the class of each example.
    - `count`: the number of examples to hold out.
    - `seed`: draws which.

    **Returns** the two arrays of rows; all rows, and nothing else, where `count` is 0.

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
    # Evenly spaced in the order of the classes, so that each class gives its share.
    held = np.zeros(examples, bool)
    held[by_class[(2 * np.arange(count) + 1) * examples // (2 * count)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
