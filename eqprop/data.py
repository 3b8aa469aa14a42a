"""Data sets, split into what is learned from and what is not."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Num


@dataclass(frozen=True)
class Split:
    """Examples: `x` (examples, …) and `y` (examples, …)."""

    x: Num[np.ndarray, "examples *features"]
    y: Num[np.ndarray, "examples *target"]

    def __post_init__(self):
        if len(self.x) != len(self.y) or len(self.x) == 0:
            raise ValueError(f"`x` and `y` must hold the same number of examples, and some, but hold {len(self.x)} and {len(self.y)}")

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Data:
    """A training set and a test set that no training decision reads."""

    train: Split
    test: Split


def digits(seed: int = 0) -> Data:
    """Scikit-learn's handwritten digits: 1,797 images of 8×8 pixels in [−1, 1] and their class, 1,437 for training and 360 for testing.

    The split is drawn with `seed`, equal in the share of each class. (Alpaydin & Kaynak 1998, UCI repository; part of scikit-learn.)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    train, test = train_test_split(np.arange(len(labels)), test_size=360, random_state=seed, stratify=labels)
    x, y = pixels / 8 - 1, labels.astype(np.int32)
    return Data(Split(x[train], y[train]), Split(x[test], y[test]))
