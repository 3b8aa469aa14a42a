"""Networks on imperfect chips: a chip's model is its netlist, causes add up, learning helps."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.data import few_digits
from helpers.networks import PAIR, network

import circuits
import eqprop as ep
from circuits.learning import causes
from circuits.learning.chips import Chips, look_up
from circuits.learning.phases import METHOD, phases
from circuits.variation import PRESETS

XS = np.random.default_rng(0).uniform(-1, 1, (4, 3))
COST = ep.SquaredError(on=0.2)
CONDUCTANCES = (
    circuits.DeviceToDevice(0.1)
    + circuits.Programming(0.05)
    + circuits.StuckAt(0.05, 0.05, 3e-6)
    + circuits.ReadNoise(0.01)
)


def device(variation, highest=3e-6):
    return circuits.Preset("mine@1", 0.0, highest, variation, "none")


def within(net, top=0.3):
    """The network with conductances up to `top` alone."""
    return ep.Resistive(
        tuple(jnp.minimum(g, top) for g in net.conductances),
        net.biases,
        net.device,
        net.unit,
        net.input_gain,
        conductance_bounds=(0, top),
    )


def test_the_model_of_a_chip_is_its_netlist():
    net = network()
    variation = CONDUCTANCES + circuits.Temperature(330.0)
    chip = variation.chip(circuits.emit(net, XS[0]), seed=3, number=2)
    model = circuits.on_chip(net, variation, seed=3, number=2)
    same = circuits.emit(model, XS[0])
    assert (same.nodes, same.temperature) == (chip.nodes, 330.0)
    for one, two, nominal in zip(
        *(n.of(circuits.ConductanceMatrix) for n in (same, chip, circuits.emit(net, XS[0]))),
        strict=True,
    ):
        np.testing.assert_allclose(one.siemens, two.siemens, rtol=1e-14)
        assert np.max(np.abs(two.siemens - nominal.siemens)) > 1e-7  # the control
    other = circuits.on_chip(net, variation, seed=3, number=2, cycle=1)
    assert not np.allclose(other.conductances[0], model.conductances[0])
    only = circuits.on_chip(net, circuits.Programming(0.1, of="Rg2"), seed=0, number=0)
    np.testing.assert_allclose(only.conductances[0], net.conductances[0], rtol=1e-15)
    assert not np.allclose(only.conductances[1], net.conductances[1])
    with pytest.raises(
        ValueError,
        match=r"`variation` must be of conductances .* WireResistance.*: vary its netlist",
    ):
        circuits.on_chip(net, circuits.WireResistance(1.0), seed=0, number=0)
    with pytest.raises(
        ValueError,
        match="`of` of Programming must match what it varies among Rg1, Rg2, but is 'Rg3'",
    ):
        circuits.on_chip(net, circuits.Programming(0.1, of="Rg3"), seed=0, number=0)


EFFECTS = (
    circuits.Programming(0.02)
    + circuits.StuckAt(0.02, 0.02, 3e-6)
    + circuits.Saturation(0.1)
    + circuits.NudgeMismatch(0.05)
    + circuits.Temperature(305.0)
    + circuits.Converter(dac_bits=7, volts=4.0)
    + circuits.WireResistance(50.0)
)
BETA, LABELS = 1e-3, np.arange(4) % 2


@pytest.mark.parametrize("own", [True, False])
def test_causes_at_points_that_are_not_certified_are_refused(monkeypatch, own):
    """To a tolerance that no rounding allows: by `Nodal`, and by the simulator that is compared."""
    strict, variation = partial(circuits.Nodal, tolerance=1e-30), circuits.Programming(0.02)
    if own:
        monkeypatch.setattr(causes, "Nodal", strict)
    with pytest.raises(circuits.SimulationError, match="must be certified, but 4 are not"):
        circuits.attribute(network(), XS, variation, simulator=None if own else strict())


def test_the_causes_of_a_distance_add_up(simulator):
    attribution = circuits.attribute(
        network(), XS, EFFECTS, simulator=simulator, ys=LABELS, cost=COST, beta=BETA
    )
    data = attribution.dataset
    varied = [
        "programming",
        "stuck devices",
        "diode mismatch (Is)",
        "nudge mismatch",
        "temperature",
        "converters",
        "wire resistance",
    ]
    assert data.cause.values.tolist() == [
        "diode law",
        *varied,
        "noise",
        "finite beta",
        "solver",
        "interaction",
    ]
    for of, whole in (("part", data.whole), ("displacement", data.whole_displacement)):
        np.testing.assert_allclose(data[of].sum("cause"), whole, atol=1e-13)
        assert not np.allclose(
            data[of].sel(cause=data.cause != "programming").sum("cause"), whole, atol=1e-8
        )  # the control
        assert sum(attribution.shares(of).values()) == pytest.approx(1.0, abs=1e-12)
        assert attribution.rms(of)["solver"] < 1e-9
        assert attribution.rms(of)["wire resistance"] > 1e-8
    assert (attribution.rms()["finite beta"], attribution.rms()["nudge mismatch"]) == (0.0, 0.0)
    assert attribution.rms("displacement")["nudge mismatch"] > 1e-6
    # the diodes alone, by another way: the model's own fixed points, and compare's
    off = circuits.compare(
        network(),
        XS,
        circuit=circuits.Saturation(0.1).chip(circuits.emit(network()), seed=0, number=0),
    )
    gap = (off.dataset.circuit - off.dataset.model).sel(phase="free").values
    np.testing.assert_allclose(data.part.sel(cause="diode mismatch (Is)"), gap, atol=1e-9)
    np.testing.assert_allclose(
        data.part.sel(cause="diode law"),
        (off.dataset.model.sel(phase="free") - off.dataset.ideal),
        atol=1e-9,
    )
    assert data.attrs["gradient_cosine_model_exact"] > 0.999999
    assert 0 < data.attrs["gradient_cosine_circuit_exact"] < 0.99999
    exact = ep.Implicit(METHOD)(network(), COST, jnp.asarray(XS), jnp.asarray(LABELS)).grad
    norm = np.sqrt(
        sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(eqx.filter(exact, eqx.is_array)))
    )
    assert data.attrs["gradient_norm_exact"] == pytest.approx(norm, rel=1e-6)
    assert data.attrs["gradient_norm_circuit"] != pytest.approx(norm, rel=1e-3)  # another chip's
    text = str(attribution)
    for phrase in (
        "diode law",
        "gradient, norm in V2: chip ",
        "interaction",
        "100.0%",
        "displacement, beta 0.001",
        "gradient, finite beta: cosine 1.000000",
    ):
        assert phrase in text
    with pytest.raises(
        ValueError,
        match="`of` must be 'part', or 'displacement' where there is a nudge, but is 'gradient'",
    ):
        attribution.rms("gradient")


def test_what_a_finite_nudge_costs_is_what_halving_it_says():
    """A displacement is βv′ + cβ³: from two of them, of the model's own phases, c is known."""
    beta = 0.1
    data = circuits.attribute(
        network(), XS, circuits.Programming(0.0), ys=LABELS, cost=COST, beta=beta
    ).dataset

    def displaced(strength):
        _, plus, minus = phases(network(), COST, XS, LABELS, (strength, -strength))
        return (plus - minus) / 2

    cost = 4 / 3 * (displaced(beta) - 2 * displaced(beta / 2))
    part = data.displacement.sel(cause="finite beta").values
    assert np.abs(part).max() > 1e-4
    np.testing.assert_allclose(part, cost, atol=0.02 * np.abs(cost).max())


def test_the_noise_of_a_chip_is_ngspices(simulator):
    """On a chip with drivers, at whose nodes there is no capacitance; and the size of the draw."""
    variation = circuits.Programming(0.1) + circuits.SourceResistance(1e3)
    data = circuits.attribute(network(), XS, variation, seed=3).dataset
    netlist = variation.chip(circuits.emit(network(), XS[0]), seed=3, number=0)
    nodes = data.node.values.tolist()
    deviation = simulator.noise(netlist, nodes[-3:], lowest=1.0, highest=1e14).deviation.values
    np.testing.assert_allclose(data.noise.values[0, -3:], deviation, rtol=5e-3)
    assert not np.allclose(
        data.noise.values[1, -3:], deviation, rtol=5e-3
    )  # the control: another sample's operating point
    drawn = data.part.sel(cause="noise").values / data.noise.values
    assert 0.6 < drawn.std() < 1.5


def test_amplifiers_are_no_obstacle():
    net = ep.Resistive.init(
        jax.random.key(0), (3, 5, 2), device=PAIR, unit=1e-5, input_gain=4.0, amplification=4.0
    )
    attribution = circuits.attribute(net, XS, circuits.Amplifiers(gain=0.02))
    assert attribution.rms()["amplifier mismatch"] > 1e-4
    assert attribution.dataset.noise.values.min() > 1e-5


def test_interaction_is_of_second_order():
    """Half of every variation leaves a quarter of the interaction, and half of each part."""

    def rms(scale):
        variation = (
            circuits.DeviceToDevice(1e-3 * scale)
            + circuits.Saturation(1e-3 * scale)
            + circuits.SenseResistance(1e8 / scale)
        )
        return circuits.attribute(network(), XS, variation).rms()

    one, half = rms(1.0), rms(0.5)
    assert one["interaction"] / half["interaction"] == pytest.approx(4, rel=0.05)
    assert one["device mismatch"] / half["device mismatch"] == pytest.approx(2, rel=0.01)
    assert one["interaction"] < 0.01 * one["device mismatch"]


def test_a_programmed_chip_knows_its_devices():
    """A device's gain and bounds, and that it is stuck, follow from the variations."""
    net = within(network())
    variation = (
        circuits.DeviceToDevice(0.2) + circuits.StuckAt(0.1, 0.1, 3e-6) + circuits.Programming(0.05)
    )
    chips = Chips.program(net, device(variation), seed=1, chips=3)
    for layer in range(2):
        name = f"g{layer + 1}"
        for number in range(3):
            one = circuits.on_chip(net, variation, seed=1, number=number)
            np.testing.assert_array_equal(
                chips.conductances[layer][number], one.conductances[layer]
            )
        gain, low, high = (
            np.asarray(field[layer]) for field in (chips.gain, chips.lowest, chips.highest)
        )
        stuck = np.abs(high - low) < 1e-15
        assert stuck.any(), name
        assert (gain[stuck] == 0).all()
        assert set(np.round(high[stuck], 12)) <= {0.0, 0.3}
        np.testing.assert_allclose(
            high[~stuck], 0.3 * gain[~stuck], rtol=1e-12
        )  # a device's own factor
    gains = np.concatenate([np.asarray(g)[np.asarray(g) > 0] for g in chips.gain], axis=None)
    assert gains.std() == pytest.approx(0.2, rel=0.3)
    np.testing.assert_allclose(chips.error, 0.05 * np.linspace(0, 1, 257), atol=1e-15)
    assert chips.noise is None


def test_a_gain_is_a_device_s_own_step_whatever_its_bounds_and_levels():
    net = within(network())
    mismatch = circuits.DeviceToDevice(0.2)
    bounded = device(circuits.Levels(20, 3e-6) + mismatch + circuits.Bounds(3e-6, 0.5))
    chips, free = (
        Chips.program(net, preset, seed=1, chips=2) for preset in (bounded, device(mismatch))
    )
    for gain, alone, high, beyond in zip(
        chips.gain, free.gain, chips.highest, free.highest, strict=True
    ):
        np.testing.assert_allclose(gain, alone, rtol=1e-12)
        assert (
            np.mean(np.asarray(high) < 0.7 * np.asarray(beyond)) > 0.1
        )  # where the slope up to three quarters would be too low


def test_what_is_tabulated_is_read_between_its_points():
    g, full = np.array([-0.1, 0.0, 0.0371, 0.15, 0.2999, 0.3, 0.4]), 0.3
    table = np.linspace(0, 1, 257) ** 2 + 0.1
    np.testing.assert_allclose(
        look_up(table, jnp.asarray(g), full),
        0.3 * np.interp(g / full, np.linspace(0, 1, 257), table),
        rtol=1e-12,
    )


@pytest.fixture(scope="module")
def few():
    """Some digits, and a small network that knows them."""
    data = few_digits()
    net = ep.Resistive.init(
        jax.random.key(0),
        (64, 20, 10),
        device=PAIR,
        unit=1e-5,
        input_gain=8.0,
        conductance_bounds=(0.0, 0.3),
    )
    estimator = ep.EqProp.centred(0.5, ep.FixedSweeps(n=6))
    fit = ep.fit(
        net,
        COST,
        data,
        estimator,
        rates={"conductances*": 0.2},
        epochs=12,
        decay=0.9,
        key=jax.random.key(1),
    )
    return fit.net, data, estimator


def test_learning_on_the_chip_brings_back_what_moving_lost(few):
    net, data, estimator = few
    variation = circuits.DeviceToDevice(0.6) + circuits.Programming(0.05)
    learned = circuits.learn_on_chips(
        net, COST, data, device(variation), estimator=estimator, rate=0.1, epochs=3, chips=4
    )
    assert learned.dataset.ideal > 0.8
    assert learned.dataset.moved.mean() < learned.dataset.ideal - 0.05
    assert learned.recovered > 0.5
    again = circuits.learn_on_chips(
        net, COST, data, device(variation), estimator=estimator, rate=0.1, epochs=3, chips=4
    )
    np.testing.assert_array_equal(learned.dataset.trained, again.dataset.trained)
    idle = circuits.learn_on_chips(
        net, COST, data, device(variation), estimator=estimator, rate=0.0, epochs=1, chips=4
    )
    assert idle.recovered == 0.0  # the control: nothing learned, nothing brought back
    assert "4 chips; ideal chip" in str(learned)


def test_accuracy_against_spread(few):
    net, data, estimator = few
    preset = device(circuits.DeviceToDevice(0.3) + circuits.ReadNoise(0.02))
    options = {"estimator": estimator, "rate": 0.1, "epochs": 1, "chips": 2}
    accuracies = circuits.accuracy_against_spread(net, COST, data, preset, (0.0, 3.0), **options)
    assert dict(accuracies.sizes) == {"spread": 2, "chip": 2}
    np.testing.assert_array_equal(accuracies.moved.sel(spread=0.0), float(accuracies.ideal))
    learned = circuits.learn_on_chips(net, COST, data, preset.times(3.0), **options).dataset
    np.testing.assert_array_equal(accuracies.trained.sel(spread=3.0), learned.trained)
    assert learned.moved.mean() < accuracies.ideal - 0.05
    ax = circuits.plotting.against_spread(accuracies.sel(spread=[3.0]))
    assert [line.get_label() for line in ax.get_lines()] == [
        "trained elsewhere",
        "trained on the chip",
        "ideal chip",
    ]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 100 * learned.moved.mean())


def test_an_update_passes_through_the_device(few):
    """Without spread a chip learns what `fit` does; a stuck device stays; bounds hold."""
    net, data, estimator = few
    first = ep.data.Data(ep.data.Split(data.train.x[:8], data.train.y[:8]), data.test)
    ideal = circuits.learn_on_chips(
        net,
        COST,
        first,
        device(circuits.DeviceToDevice(0.0)),
        estimator=estimator,
        rate=0.2,
        epochs=1,
        chips=1,
    )
    grad = estimator(net, COST, first.train.x, first.train.y).grad.conductances
    for g, slope, updated in zip(net.conductances, grad, ideal.chips.conductances, strict=True):
        np.testing.assert_allclose(
            updated[0], np.clip(g - 0.2 * slope, 0, 0.3), rtol=1e-9, atol=1e-9
        )
    variation = (
        circuits.DeviceToDevice(0.3)
        + circuits.StuckAt(0.2, 0.2, 3e-6)
        + circuits.Programming(0.2)
        + circuits.ReadNoise(0.05)
    )
    before = Chips.program(net, device(variation), seed=0, chips=2)
    after = circuits.learn_on_chips(
        net, COST, first, device(variation), estimator=estimator, rate=0.5, epochs=2, chips=2
    ).chips
    for g, h, gain, low, high in zip(
        before.conductances,
        after.conductances,
        before.gain,
        before.lowest,
        before.highest,
        strict=True,
    ):
        moved = np.asarray(h != g)
        assert moved.mean() > 0.3
        assert np.all(np.asarray(h) <= np.maximum(high, g))
        assert np.all(np.asarray(h) >= np.minimum(low, g))
        assert np.any(np.asarray(h) == np.asarray(high))
        stuck = np.asarray(gain == 0)
        assert np.array_equal(np.asarray(h)[stuck], np.asarray(g)[stuck])


def test_the_error_of_an_update_is_that_of_its_share(few):
    """σ √(|Δ|/full) in each of some thousand devices, whose Δ is found here from the same start."""
    net, data, estimator = few
    first = ep.data.Data(ep.data.Split(data.train.x[:8], data.train.y[:8]), data.test)
    preset = device(
        circuits.ProgrammingNoise(3e-6, (0.05,))
    )  # σ = 5 % of the range, whatever the conductance
    start = tuple(g[0] for g in Chips.program(net, preset, seed=0, chips=1).conductances)
    end = circuits.learn_on_chips(
        net, COST, first, preset, estimator=estimator, rate=0.02, epochs=1, chips=1
    ).chips.conductances
    programmed = eqx.tree_at(lambda n: n.conductances, net, start)
    grad = estimator(programmed, COST, first.train.x, first.train.y).grad.conductances
    for g, slope, updated in zip(start, grad, end, strict=True):
        before, move = np.asarray(g), -0.02 * np.asarray(slope)
        inside = (np.abs(move) > 1e-7) & (before > 0.02) & (before < 0.28)
        z = (np.asarray(updated[0]) - before - move)[inside] / (
            0.3 * 0.05 * np.sqrt(np.abs(move[inside]) / 0.3)
        )
        assert z.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * z.size))
        assert z.size > 50


def test_every_preset_takes_a_network_in_its_range():
    for make in PRESETS.values():
        preset = make()
        low = preset.lowest / preset.highest
        bounds = (low, 1.0)
        net = ep.Resistive.init(
            jax.random.key(0),
            (3, 4, 2),
            unit=preset.highest,
            device=circuits.IdealPair(0.5),
            conductance_bounds=bounds,
        )
        chips = Chips.program(net, preset, seed=0, chips=2)
        assert all(np.isfinite(g).all() and (g >= 0).all() for g in chips.conductances)
    with pytest.raises(ValueError, match="Rg1: conductances must be within"):
        Chips.program(
            ep.Resistive.init(jax.random.key(0), (3, 4, 2), unit=1.0), preset, seed=0, chips=1
        )
