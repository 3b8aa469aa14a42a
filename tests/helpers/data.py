"""Data sets that tests compare, and a few digits to learn."""

import numpy as np

import eqprop as ep


def same(one, other):
    """Whether the training and test sets of two data sets are equal."""
    return all(
        np.array_equal(getattr(one, part).x, getattr(other, part).x)
        and np.array_equal(getattr(one, part).y, getattr(other, part).y)
        for part in ("train", "test")
    )


def rows(split):
    """The inputs of a split as a set of bytes, one of each example."""
    return {row.tobytes() for row in split.x}


def few_digits():
    """400 digits to learn and 100 to test on."""
    digits = ep.data.digits(0)
    return ep.data.Data(
        ep.data.Split(digits.train.x[:400], digits.train.y[:400]),
        ep.data.Split(digits.test.x[:100], digits.test.y[:100]),
    )
