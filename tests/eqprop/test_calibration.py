"""The estimated error of a gradient against its true error, and the settings that are proposed."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import coupled, examples, network

import eqprop as ep
from eqprop.accuracy.calibration import large_intermediates

COST = ep.SquaredError()


@pytest.mark.parametrize("estimator", [ep.EqProp.one_sided, ep.EqProp.centred])
def test_the_error_of_a_finite_nudge_is_estimated(estimator):
    net, (xs, ys) = network(), examples()
    exact = ep.Implicit()(net, COST, xs, ys).grad
    true = ep.relative_error(estimator(0.01)(net, COST, xs, ys).grad, exact)
    errors = ep.gradient_error(estimator(0.01), net, COST, xs, ys)
    assert 0.9 < errors.nudge / true < 1.1
    assert errors.settling < 1e-3 * true


def test_the_error_of_unsettled_phases_is_estimated():
    net, (xs, ys) = network(), examples()
    exact = ep.Implicit()(net, COST, xs, ys).grad
    estimator = ep.EqProp.centred(1e-3, ep.FixedSweeps(n=3))
    true = ep.relative_error(estimator(net, COST, xs, ys).grad, exact)
    errors = ep.gradient_error(estimator, net, COST, xs, ys)
    assert 0.7 < errors.settling / true < 1.3
    assert errors.nudge < 0.1 * true


def test_what_is_proposed_is_good_enough_and_not_much_better():
    net, (xs, ys) = network(), examples()
    settings = ep.calibrate(net, COST, xs, ys, error=0.01)
    exact = ep.Implicit()(net, COST, xs, ys).grad
    for method in (ep.FixedSweeps(n=settings.sweeps), ep.BlockNewton(tolerance=settings.tolerance)):
        estimate = ep.EqProp.centred(settings.beta, method)(net, COST, xs, ys)
        assert ep.relative_error(estimate.grad, exact) <= 0.01
    stronger = ep.EqProp.centred(3.2 * settings.beta)(net, COST, xs, ys)
    assert ep.relative_error(stronger.grad, exact) > 0.01
    fewer = ep.EqProp.centred(settings.beta, ep.FixedSweeps(n=settings.sweeps - 1))(
        net, COST, xs, ys
    )
    assert ep.relative_error(fewer.grad, exact) > 0.01
    assert f"beta = {settings.beta:.3g}: the strongest of" in str(settings)
    assert f"sweeps = {settings.sweeps}" in str(settings)


def test_an_energy_without_blocks_has_no_sweeps():
    settings = ep.calibrate(coupled(), COST, *examples())
    assert settings.sweeps is None
    assert "nodes inside one leaf of the state interact" in str(settings)


def test_a_slow_way_to_write_an_energy_is_noted():
    def slow(g, state, x):
        return jnp.sum(g * (x[:, None] - state) ** 2) / 2

    def fast(g, state, x):
        return ep.conductances(g, x, state)

    shapes = {}
    for function in (slow, fast):
        net = ep.energy(
            function, jnp.ones((30, 40)), state=jnp.zeros(40), outputs=lambda state: state
        )
        shapes[function] = large_intermediates(net, jnp.ones(30))
    assert shapes[slow] == [(30, 40)]
    assert shapes[fast] == []


def test_no_gradient_is_no_calibration():
    net = network(biases=0.0)
    with pytest.raises(ValueError, match="must give a gradient to compare with"):
        ep.calibrate(net, COST, np.zeros((2, 3)), np.zeros((2, 2)))
