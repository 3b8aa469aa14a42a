"""Equilibrium propagation with ngspice in the loop: gradients from its voltages, and learning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.energies import NEWTON, amplified, energy_of
from helpers.networks import PAIR, examples, network
from helpers.simulators import OnlyOperatingPoints

import circuits
import eqprop as ep

COST = ep.SquaredError(on=0.2)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("layered", "one_sided"),
        ("doubled behind amplifiers", "centred"),
        ("a circuit behind amplifiers", "centred"),
    ],
)
def test_the_gradient_is_the_models(simulator, kind, make):
    if kind == "a circuit behind amplifiers":
        net, method, beta = (
            energy_of(amplified(3.0, 3.0, 2.0, 2.0), outputs=("o1", ("o0", "o1"))),
            NEWTON,
            1e-4,
        )
        xs, ys = examples(3, inputs=2)
    else:
        net, method, beta = network(), ep.BlockNewton(tolerance=1e-14), 1e-2
        if kind != "layered":
            net, beta = (
                dataclasses.replace(
                    network(sizes=(3, 6, 5, 4)), amplification=3.0, doubled_outputs=True
                ),
                1e-4,
            )
        xs, ys = examples(3)
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)
    estimate = getattr(circuits.SpiceEqProp, make)(beta, simulator)(net, COST, xs, ys)
    expected = getattr(ep.EqProp, make)(beta, method)(net, COST, xs, ys)
    assert ep.relative_error(estimate.grad, expected.grad) < 1e-6
    assert float(estimate.loss) == pytest.approx(float(expected.loss), abs=1e-10)
    assert np.max(np.asarray(estimate.free.error)) < 1e-9
    assert np.max(np.asarray(estimate.nudged.error)) < 1e-9
    largest = max(float(jnp.max(jnp.abs(r))) for r in jax.tree.leaves(estimate.nudged.residual))
    assert largest < 1e-8  # what the model says of SPICE's voltages, with the nudge
    wrong = getattr(circuits.SpiceEqProp, make)(
        -beta if make == "one_sided" else 3 * beta, simulator
    )(net, COST, xs, ys)
    assert ep.relative_error(wrong.grad, expected.grad) > 1e-6  # the control


def test_xor_is_learned_from_scratch(simulator):
    net = ep.Resistive.init(jax.random.key(0), (2, 8, 2), device=PAIR, unit=1e-5, input_gain=3.0)
    before = ep.evaluate(net, COST, ep.data.xor().test).accuracy
    fit = ep.fit(
        net,
        COST,
        ep.data.xor(),
        circuits.SpiceEqProp.centred(0.01, simulator),
        rates={"*": 1.0},
        epochs=120,
        key=jax.random.key(1),
    )
    assert before < 1.0
    assert fit.history["test_accuracy"][-1] == 1.0


def test_a_circuit_learns_two_moons_from_scratch(simulator):
    """A circuit made by `circuits.energy`; a linear classifier has 87 %."""
    layered = circuits.emit(
        ep.Resistive.init(jax.random.key(0), (3, 16, 2), device=PAIR, unit=1e-5)
    )
    inputs = tuple(f"V{node}" for node in circuits.topologies.LayeredNames(3, (16, 2)).rails)

    def encode(x):
        rails = 3.0 * jnp.append(x, 1)
        return jnp.concatenate([rails, -rails])

    net = circuits.energy(
        layered, inputs=inputs, outputs=("out0", "out1"), unit=1e-5, encode=encode
    )
    data = ep.data.two_moons(100)
    fit = ep.fit(
        net,
        COST,
        data,
        circuits.SpiceEqProp.centred(0.01, simulator),
        rates={"*": 2.0},
        epochs=20,
        batch=20,
        key=jax.random.key(1),
    )
    assert fit.history["train_accuracy"][-1] >= 0.92


class Refuses(OnlyOperatingPoints):
    """A simulator that does not certify one point: a nudged phase of the second example."""

    def operating_points(self, netlist, drives=None):
        points = circuits.Ngspice().operating_points(netlist, drives)
        points["status"] = (
            "sample",
            np.where(np.arange(points.sample.size) == 4, "uncertified", points.status.values),
        )
        return points


def test_a_point_that_is_not_ok_is_said(simulator):
    net, (xs, ys) = network(), examples(3)
    relaxer = circuits.SpiceEqProp.centred(0.01, Refuses())
    with pytest.raises(
        ep.NotSettledError, match="the nudged phase did not settle in 1 of 6 examples"
    ):
        relaxer(net, COST, xs, ys)
    estimate = relaxer.estimate(net, COST, jnp.asarray(xs), jnp.asarray(ys))
    assert np.asarray(estimate.free.settled).all()
    assert np.asarray(estimate.nudged.settled).tolist() == [[True, False, True], [True, True, True]]


def test_bad_arguments_are_named(simulator):
    xs, ys = examples(3)

    class Other(ep.Cost):
        def __call__(self, outputs, y):
            return jnp.sum(outputs)

        def decide(self, outputs):
            return outputs

    relaxer = circuits.SpiceEqProp.centred(0.01, simulator)
    with pytest.raises(
        ValueError,
        match="`cost` must be a SquaredError, which sources can nudge towards, but is Other",
    ):
        relaxer(network(), Other(), xs, ys)
    quartic = ep.energy(
        lambda p, s, x: p * jnp.sum(s**4), jnp.ones(()), state=jnp.zeros(2), outputs=lambda s: s
    )
    with pytest.raises(
        ValueError,
        match=r"`net` must be of a circuit: .* by circuits\.energy, but is FunctionEnergy",
    ):
        relaxer(quartic, COST, xs, ys)
    with pytest.raises(ValueError, match="`beta` must be finite and not 0, but is 0"):
        circuits.SpiceEqProp.one_sided(0.0)
    with pytest.raises(ep.NudgeError, match="`beta` must be below"):
        circuits.SpiceEqProp.centred(100.0, simulator)(network(), COST, xs, ys)
