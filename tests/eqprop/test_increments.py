"""Increments: exact differences, to as many digits when they are small as when they are large."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import PAIR

from eqprop.increments import increment

A = jnp.asarray(np.random.default_rng(0).normal(size=6))
D = jnp.asarray(np.random.default_rng(1).normal(size=6))
FUNCTIONS = {
    "exp": jnp.exp,
    "log": lambda a: jnp.log(a**2 + 0.1) + jnp.log1p(a**2),
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "trigonometry": lambda a: jnp.sin(a) * jnp.cos(2 * a),
    "hyperbolic": lambda a: jnp.sinh(a) * jnp.cosh(2 * a),
    "powers": lambda a: a**3 - a**-2,
    "square roots": lambda a: jnp.sqrt(a**2 + 1) + jax.lax.rsqrt(a**2 + 1),
    "quotient": lambda a: a / (2 + a**2),
    "relu": jax.nn.relu,
    "clip": lambda a: jnp.clip(a, -0.5, 0.5),
    "absolute": jnp.abs,
    "extremes": lambda a: jnp.max(a) * jnp.min(a),
    "softmax": jax.nn.softmax,
    "pairs": lambda a: jnp.cos(a[:, None] - a),
    "convolution": lambda a: jnp.convolve(a, a),
    "places": lambda a: a[2:4] * a[::-1][jnp.array([1, 2])],
    "branches": lambda a: jnp.where(a > 0.1, a**2, jnp.exp(a)),
    "slope of a log-sum-exp": jax.grad(jax.nn.logsumexp),
    "scatter": lambda a: jnp.zeros(4).at[jnp.array([0, 2, 2])].add(a[:3] ** 2),
    "a diode pair": PAIR.current,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_large_increment_is_the_difference(name):
    f = FUNCTIONS[name]
    change, exact = increment(f, 0.1 * A, 0.1 * D)
    assert exact
    np.testing.assert_allclose(
        change,
        f(0.1 * A + 0.1 * D) - f(0.1 * A),
        rtol=1e-9,
        atol=1e-12 * float(jnp.max(jnp.abs(f(0.1 * A)))),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_tiny_increment_is_the_derivative(name):
    """To 1e-8 of the largest; subtracting, the control, is off by a thousandth and more."""
    f, step = FUNCTIONS[name], 1e-14
    change, _ = increment(f, A, step * D)
    expected = jax.jvp(f, (A,), (D,))[1]
    size = float(jnp.max(jnp.abs(expected)))
    np.testing.assert_allclose(change / step, expected, atol=1e-8 * size)
    assert float(jnp.max(jnp.abs((f(A + step * D) - f(A)) / step - expected))) > 1e-4 * size


FAR = {
    "slope of log cosh": (jax.grad(lambda a: jnp.sum(jnp.log(jnp.cosh(a)))), jnp.tanh),
    "quotient of sines": (lambda a: jnp.sinh(a) / jnp.cosh(a), jnp.tanh),
    "two products": (lambda a: jnp.exp(a) * (a * jnp.exp(-a)), lambda a: a),
}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", FAR)
def test_a_step_over_a_hundred_orders_of_magnitude_has_all_digits(name, sign):
    """Parts grow and fall by 10^100, and their product does not; nor do its derivatives."""
    f, plain = FAR[name]
    start, step = 0.1 * A, sign * (200 + 10 * D)
    change, exact = increment(f, start, step)
    assert exact
    np.testing.assert_allclose(change, plain(start + step) - plain(start), rtol=1e-12)
    slope = jax.jvp(lambda d: increment(f, start, d)[0], (step,), (jnp.ones(6),))[1]
    expected = jax.jvp(plain, (start + step,), (jnp.ones(6),))[1]
    np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-12)


def test_what_has_no_rule_is_subtracted_and_called_inexact():
    change, exact = increment(lambda a: jax.lax.erf_inv(a / 10), A, D)
    assert not exact
    np.testing.assert_allclose(
        change, jax.lax.erf_inv((A + D) / 10) - jax.lax.erf_inv(A / 10), rtol=1e-12
    )


def test_it_can_be_mapped_compiled_and_differentiated():
    batch = jnp.stack([A, 2 * A])
    change = jax.jit(jax.vmap(lambda a: increment(jnp.tanh, a, D)[0]))(batch)
    np.testing.assert_allclose(change, jnp.tanh(batch + D) - jnp.tanh(batch), rtol=1e-12)
    slope = jax.jvp(lambda d: increment(jnp.tanh, A, d)[0], (D,), (jnp.ones(6),))[1]
    np.testing.assert_allclose(slope, 1 - jnp.tanh(A + D) ** 2, rtol=1e-10)
