"""Small problems that are drawn, not read from files: a network learns them in seconds."""

import numpy as np

from .splits import Data, Split, hold_out


def xor() -> Data:
    """Return the exclusive or: points x ∈ {−1, 1}², of class 1 where their signs differ, else 0.

    There are no more points than these, so the test set is the training set: it tells what was
    learned, not what generalises.

    **Returns** `x` float32 (4, 2) and `y` int32 (4).
    """
    x = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)], np.float32)
    points = Split(x, (x[:, 0] != x[:, 1]).astype(np.int32))
    return Data(points, points)


def two_moons(n: int = 1000, *, noise: float = 0.1, seed: int = 0) -> Data:
    """Return points on two interleaving half circles of radius 1, one a class.

    (Scikit-learn's `make_moons`.)

    **Arguments:**

    - `n`: the number of points for training; there are as many others for testing.
    - `noise`: the standard deviation of the Gaussian noise that moves each point.
    - `seed`: draws the points.

    **Returns** `x` float32 (n, 2) and `y` int32 (n).

    **Raises** `ValueError` unless `n` ≥ 2 and 0 ≤ `noise` < ∞.
    """
    _require_examples(n)
    if not 0 <= noise < np.inf:
        raise ValueError(f"`noise` must be finite and at least 0, but is {noise}")
    from sklearn.datasets import make_moons

    x, y = make_moons(2 * n, noise=noise, random_state=seed)
    x, y = np.asarray(x, np.float32), np.asarray(y, np.int32)
    train, test = (Split(x[rows], y[rows]) for rows in hold_out(y, n, seed))
    return Data(train, test)


def regression(n: int = 1000, *, inputs: int = 4, outputs: int = 2, seed: int = 0) -> Data:
    """Return examples of a smooth random function, y = B tanh(A x + c), without noise.

    x is uniform in [−1, 1]. The 16 hidden units have A_ij ~ N(0, 3/inputs), c_i ~ N(0, 1/4) and
    B_ki ~ N(0, 1/16), so that A x has variance 1 and y is of order 1.

    **Arguments:**

    - `n`: the number of examples for training; there are as many others for testing.
    - `inputs`, `outputs`: the lengths of x and y.
    - `seed`: draws the function and the examples.

    **Returns** `x` float32 (n, inputs) and `y` float32 (n, outputs).

    **Raises** `ValueError` unless `n` ≥ 2 and `inputs` and `outputs` are at least 1.
    """
    _require_examples(n)
    for name, value in (("inputs", inputs), ("outputs", outputs)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, but is {value}")

    random, hidden = np.random.default_rng(seed), 16
    a = random.normal(0, np.sqrt(3 / inputs), (hidden, inputs))
    c = random.normal(0, 0.5, hidden)
    b = random.normal(0, 1 / np.sqrt(hidden), (outputs, hidden))
    x = random.uniform(-1, 1, (2 * n, inputs))
    y = np.tanh(x @ a.T + c) @ b.T
    x, y = x.astype(np.float32), y.astype(np.float32)
    return Data(Split(x[:n], y[:n]), Split(x[n:], y[n:]))


def _require_examples(n: int) -> None:
    """Raise `ValueError` for a number of examples below 2."""
    if n < 2:
        raise ValueError(f"`n` must be at least 2, but is {n}")
