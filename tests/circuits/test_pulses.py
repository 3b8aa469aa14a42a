"""Learning by pulses: they do what the memristor's equation says, and a network learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.data import few_digits
from helpers.networks import PAIR

import circuits
import eqprop as ep
from circuits.memristors import VTEAM, IonDrift, Joglekar, Yakopcic, program

DEVICES = {
    "vteam": (VTEAM(), (-0.3, 2e-11), (0.1, 3e-8)),
    "joglekar": (IonDrift(window=Joglekar(1)), (1.0, 1e-3), (-1.0, 1e-3)),
    "yakopcic": (Yakopcic(), (0.3, 1e-5), (-0.3, 1e-5)),
}


def stepped(rule, g, gradient, state=None):
    """The conductances after an update."""
    params, grads = (
        {"conductances": jnp.asarray(g)},
        {"conductances": jnp.broadcast_to(jnp.asarray(gradient), jnp.shape(g))},
    )
    updates, _ = rule.update(grads, rule.init(params) if state is None else state, params)
    return np.asarray(optax.apply_updates(params, updates)["conductances"])


@pytest.mark.parametrize("name", DEVICES)
def test_pulses_do_what_the_equation_of_the_device_says(name):
    """As many up and down as are asked for, against the integrator of trains."""
    model, up, down = DEVICES[name]
    states = np.linspace(0.1, 0.9, 9)
    unit = float(model.siemens(1.0))
    g = model.siemens(states) / unit
    rule = circuits.pulses(model, up=up, down=down, rate=1.0, unit=unit, most=3)
    for sign, (volts, seconds) in ((-1.0, up), (1.0, down)):
        updated = stepped(rule, g, 1e9 * sign)  # far more than the three that there may be
        expected = [
            model.siemens(program(model, states, np.full(n, volts), seconds)[-1]) / unit
            for n in (3, 2)
        ]
        np.testing.assert_allclose(updated - g, expected[0] - g, rtol=1e-3, atol=1e-9)
        assert not np.allclose(
            updated - g, expected[1] - g, rtol=1e-2, atol=1e-9
        )  # the control: two
    moves = [np.abs(stepped(rule, g, 1e9 * sign) - g) for sign in (-1.0, 1.0)]
    assert moves[0].max() > 1.2 * moves[0].min()
    assert not np.allclose(*moves, rtol=0.1)
    np.testing.assert_array_equal(stepped(rule, g, 0.0), g)


def test_as_many_pulses_as_the_gradient_asks_for_in_the_mean():
    """Halfway, where the step is known from large updates; each cycle is a little different."""
    model, up, down = DEVICES["yakopcic"]
    unit = float(model.siemens(1.0))
    half = np.full(20000, 0.5 * (1 + float(model.siemens(0.0)) / unit))
    most = {"up": up, "down": down, "unit": unit, "most": 1}
    one = np.abs(stepped(circuits.pulses(model, rate=1.0, **most), half[:1], -1e9) - half[0])[0]
    few = stepped(circuits.pulses(model, rate=1.0, **most), half, -0.3 * one) - half
    assert np.mean(few > 0) == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / half.size))
    np.testing.assert_allclose(few[few > 0], one, rtol=1e-6)
    differ = stepped(circuits.pulses(model, rate=1.0, spread=0.2, **most), half, -1e9) - half
    assert differ.std() / one == pytest.approx(0.2, rel=0.05)
    assert differ.mean() / one == pytest.approx(1.0, abs=0.01)


def test_a_network_learns_by_pulses():
    """Digits, on memristors whose steps depend on their state and differ by a fifth a cycle."""
    data = few_digits()
    net = ep.Resistive.init(
        jax.random.key(0),
        (64, 8, 10),
        device=PAIR,
        unit=1e-5,
        input_gain=8.0,
        conductance_bounds=(1e-3, 0.3),
    )
    model = Yakopcic(set_amperes=6e-5, reset_amperes=6e-5)  # 3 µS at most
    rule = circuits.pulses(
        model, up=(0.3, 2e-6), down=(-0.3, 2e-6), rate=0.4, unit=net.unit, spread=0.2, most=5
    )
    estimator = ep.EqProp.centred(0.005, ep.FixedSweeps(n=4))

    def accuracy(rate):
        fit = ep.fit(
            net,
            ep.SquaredError(on=0.2),
            data,
            estimator,
            rates={"conductances*": rate},
            optimizer=rule,
            epochs=3,
            batch=8,
            key=jax.random.key(1),
        )
        return fit.history["test_accuracy"][-1]

    assert accuracy(1.0) > 0.5
    assert accuracy(-1.0) < 0.25  # the control: the same pulses the wrong way


def test_what_moves_nothing_is_refused():
    with pytest.raises(
        ValueError, match=r"`up` must move every state up, but 0\.1 V for 1e-09 s do not"
    ):
        circuits.pulses(VTEAM(), up=(0.1, 1e-9), down=(0.1, 1e-9), rate=0.1, unit=1.0)
    with pytest.raises(ValueError, match="`rate` must be finite and above 0, but is 0"):
        circuits.pulses(VTEAM(), up=(-0.3, 1e-9), down=(0.1, 1e-9), rate=0.0, unit=1.0)
    rule = circuits.pulses(VTEAM(), up=(-0.3, 1e-9), down=(0.1, 1e-9), rate=0.1, unit=1.0)
    with pytest.raises(ValueError, match="`params` must be given to a rule of pulses"):
        rule.update({"conductances": jnp.zeros(1)}, rule.init(None))
