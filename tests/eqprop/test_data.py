"""Data sets are what they say, and nothing is in two splits that should be in one."""

import numpy as np
import pytest
from helpers.data import rows, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import eqprop as ep
from eqprop.data.splits import hold_out


@settings(max_examples=40, deadline=None)
@given(
    labels=hnp.arrays(np.int32, st.integers(2, 60), elements=st.integers(0, 4)),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1, exclude_max=True),
)
def test_every_class_gives_its_share(labels, seed, share):
    count = max(1, int(share * len(labels)))
    kept, held = hold_out(labels, count, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert len(held) == count
    exact = np.bincount(labels, minlength=5) * count / len(labels)
    assert np.all(np.abs(np.bincount(labels[held], minlength=5) - exact) < 1)


def test_every_example_is_held_out_as_often():
    labels = np.repeat([0, 1, 2], [9, 2, 4])
    times = np.zeros(15)
    for seed in range(3000):
        times[hold_out(labels, 5, seed)[1]] += 1
    sigma = np.sqrt(3000 * 1 / 3 * 2 / 3)
    for examples in (slice(0, 9), slice(9, 11), slice(11, 15)):
        assert np.abs(times[examples] - times[examples].mean()).max() < 4 * sigma
    first = np.bincount(np.tile(np.arange(5), 3000), minlength=15)
    assert (
        np.abs(first[:9] - first[:9].mean()).max() > 4 * sigma
    )  # the control: always the first five


@pytest.mark.parametrize("validation", [-1, 1437, 0.1, np.nan])
def test_a_validation_set_leaves_something_to_train_on(validation):
    with pytest.raises(
        ValueError, match=f"`validation` must be a whole number from 0 to 1436, but is {validation}"
    ):
        ep.data.digits(validation=validation)


def test_digits_hold_out_a_validation_set_and_keep_their_test_set():
    whole, parted = ep.data.digits(0), ep.data.digits(0, validation=200)
    assert whole.validation is None
    assert parted.validation is not None
    assert (len(parted.train), len(parted.validation), len(parted.test)) == (1237, 200, 360)
    np.testing.assert_array_equal(parted.test.x, whole.test.x)
    assert rows(parted.train) | rows(parted.validation) == rows(whole.train)
    assert not (rows(parted.train) | rows(parted.test)) & rows(parted.validation)
    exact = np.bincount(whole.train.y) * 200 / 1437
    assert np.all(np.abs(np.bincount(parted.validation.y) - exact) < 1)


def test_xor_is_the_four_points():
    data = ep.data.xor()
    assert {(*map(float, x), int(y)) for x, y in zip(data.train.x, data.train.y, strict=True)} == {
        (-1, -1, 0),
        (-1, 1, 1),
        (1, -1, 1),
        (1, 1, 0),
    }
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int32)
    assert same(data, ep.data.xor())
    design = np.column_stack([np.ones(4), data.train.x])
    assert np.allclose(np.linalg.pinv(design) @ data.train.y, [0.5, 0, 0])  # no line parts it


def test_two_moons_without_noise_lie_on_their_circles():
    data = ep.data.two_moons(201, noise=0)
    assert not rows(data.train) & rows(data.test)
    for split in (data.train, data.test):
        assert (split.x.shape, split.x.dtype, split.y.dtype) == ((201, 2), np.float32, np.int32)
        assert np.ptp(np.bincount(split.y)) <= 1
        centre = np.array([(0, 0), (1, 0.5)])[split.y]
        np.testing.assert_allclose(np.linalg.norm(split.x - centre, axis=1), 1, atol=1e-6)
        assert np.all(
            (split.x - centre)[:, 1] * (1 - 2 * split.y) >= -1e-6
        )  # the upper and the lower half


def test_two_moons_with_noise():
    data = ep.data.two_moons(2000, noise=0.1, seed=4)
    centre = np.array([(0, 0), (1, 0.5)])[data.train.y]
    assert np.std(np.linalg.norm(data.train.x - centre, axis=1)) == pytest.approx(0.1, rel=0.1)
    assert same(data, ep.data.two_moons(2000, noise=0.1, seed=4))
    assert not same(data, ep.data.two_moons(2000, noise=0.1, seed=5))


def error_of_polynomial(train, test, degree=9):
    """Return the share of the variance of `test.y` that a polynomial fitted to `train` leaves."""
    fitted = np.polynomial.polynomial.polyfit(train.x[:, 0], train.y, degree)
    predicted = np.polynomial.polynomial.polyval(test.x[:, 0], fitted).T
    return np.mean((predicted - test.y) ** 2) / np.var(test.y)


def test_regression_is_a_smooth_function_that_is_not_linear():
    data = ep.data.regression(300, inputs=1, outputs=3)
    assert (
        error_of_polynomial(data.train, data.test) < 1e-3
    )  # training and test set are of one function
    assert error_of_polynomial(data.train, data.test, degree=1) > 1e-2
    assert (
        error_of_polynomial(data.train, ep.data.regression(300, inputs=1, outputs=3, seed=1).test)
        > 0.1
    )  # the control: of another


def test_regression_has_the_sizes_asked_for_and_scales_of_order_one():
    data = ep.data.regression(1000, inputs=5, outputs=1, seed=2)
    for split in (data.train, data.test):
        assert (split.x.shape, split.y.shape) == ((1000, 5), (1000, 1))
        assert (split.x.dtype, split.y.dtype) == (np.float32, np.float32)
        assert np.abs(split.x).max() <= 1
        assert np.var(split.x) == pytest.approx(1 / 3, rel=0.05)
    variances = [np.mean(ep.data.regression(200, seed=seed).train.y ** 2) for seed in range(50)]
    assert 0.2 < np.mean(variances) < 1
    assert not rows(data.train) & rows(data.test)
    assert same(data, ep.data.regression(1000, inputs=5, outputs=1, seed=2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ep.data.two_moons(1), "`n` must be at least 2, but is 1"),
        (
            lambda: ep.data.two_moons(noise=-0.1),
            "`noise` must be finite and at least 0, but is -0.1",
        ),
        (
            lambda: ep.data.two_moons(noise=np.nan),
            "`noise` must be finite and at least 0, but is nan",
        ),
        (lambda: ep.data.regression(0), "`n` must be at least 2, but is 0"),
        (lambda: ep.data.regression(inputs=0), "`inputs` must be at least 1, but is 0"),
        (lambda: ep.data.regression(outputs=-1), "`outputs` must be at least 1, but is -1"),
    ],
)
def test_toys_that_cannot_be_drawn(make, message):
    with pytest.raises(ValueError, match=message):
        make()
