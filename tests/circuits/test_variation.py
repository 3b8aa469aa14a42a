"""Variation: the spread that was asked for, and the same chip for the same seed."""

import dataclasses

import numpy as np
import pytest
from helpers.netlists import JUNCTION
from helpers.networks import PAIR, network

import circuits
from circuits.commands.cli import main
from circuits.commands.devices import spread
from circuits.topologies import amplifier, crossbar
from circuits.variation import PRESETS
from circuits.variation.presets import pcm_nandakumar2019, rram_wan2022

MATRIX = circuits.ConductanceMatrix(
    "g1",
    tuple(f"a{i}" for i in range(400)),
    tuple(f"b{i}" for i in range(100)),
    np.full((400, 100), 2e-5),
)
DIODES = tuple(circuits.Diode(f"d{i}", f"b{i % 100}", "0", JUNCTION, area=2.0) for i in range(2000))
DECK = circuits.Netlist("Deck", (MATRIX, *DIODES))
BOTH = circuits.Programming(0.1) + circuits.Saturation(0.2)


def values(chip):
    return chip.elements[0].siemens.ravel(), np.array([diode.area for diode in chip.elements[1:]])


@pytest.mark.parametrize("spread", [0.01, 0.1, 0.5])
def test_mean_and_deviation_are_what_was_asked_for(spread):
    siemens, areas = values(
        (circuits.Programming(spread) + circuits.Saturation(spread)).chip(DECK, seed=0, number=0)
    )
    for numbers, nominal in ((siemens, 2e-5), (areas, 2.0)):
        error = 1 / np.sqrt(numbers.size)
        np.testing.assert_allclose(numbers.mean() / nominal, 1, atol=4 * spread * error)
        np.testing.assert_allclose(numbers.std() / nominal, spread, rtol=6 * error)
        assert numbers.min() > 0
        log = np.log(numbers)
        assert (
            abs(np.mean((log - log.mean()) ** 3)) / log.std() ** 3 < 5 * np.sqrt(6) * error
        )  # log-normal: no skew in the logarithm


def test_the_same_seed_is_the_same_chip_in_any_order():
    first = BOTH.chip(DECK, seed=3, number=7)
    backwards = circuits.Netlist("Deck", DECK.elements[::-1])
    again = BOTH.chip(backwards, seed=3, number=7)
    assert set(first.elements[1:]) == set(again.elements[:-1])
    assert first.elements[0] == again.elements[-1]
    assert (
        first.header[-1]
        == "Chip 7 of seed 3: Programming(spread=0.1, of='R*') + Saturation(spread=0.2, of='D*')."
    )


@pytest.mark.parametrize(("seed", "number"), [(4, 7), (3, 8)])
def test_another_seed_or_number_is_another_chip(seed, number):
    first, other = (
        values(BOTH.chip(DECK, seed=3, number=7)),
        values(BOTH.chip(DECK, seed=seed, number=number)),
    )
    for a, b in zip(first, other, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)


def test_no_spread_is_the_nominal_circuit():
    chip = (circuits.Programming(0.0) + circuits.Saturation(0.0)).chip(DECK, seed=0, number=0)
    assert chip.elements == DECK.elements


def test_each_varies_its_own():
    chip = circuits.Programming(0.1).chip(DECK, seed=0, number=0)
    assert chip.elements[1:] == DECK.elements[1:]
    assert chip.elements[0] != DECK.elements[0]


def test_single_resistors_vary_too():
    chip = circuits.Programming(0.1).chip(
        circuits.Netlist("R", (circuits.Resistor("r", "a", "0", siemens=1.0),)), seed=0, number=0
    )
    assert 0.5 < chip.elements[0].siemens < 1.5
    assert chip.elements[0].siemens != 1.0


def test_every_variation_is_a_cause_by_name():
    """Names that differ, as a chip's causes are told apart by them; one's own goes by its class."""

    class Tails(circuits.variation.OfConductances):
        pass

    public = [getattr(circuits, name) for name in dir(circuits)]
    causes = [
        one.cause
        for one in public
        if isinstance(one, type) and issubclass(one, circuits.variation.Part)
    ]
    assert len(set(causes)) == len(causes) > 15
    assert {"programming", "stuck devices", "wire resistance", "device mismatch"} < set(causes)
    assert Tails.cause == "Tails"


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"`spread` must be finite and at least 0, but is -0\.1"):
        circuits.Programming(-0.1)
    with pytest.raises(ValueError, match="variations that are added must differ in kind"):
        circuits.Programming(0.1) + circuits.Programming(0.2)


def drawn(variation, g, *, number=0, cycle=0, shape=(300, 100)):
    """What becomes of many devices of `g` S."""
    rows, columns = (
        tuple(f"{letter}{i}" for i in range(n)) for letter, n in zip("ab", shape, strict=True)
    )
    netlist = circuits.Netlist(
        "Many", (circuits.ConductanceMatrix("g1", rows, columns, np.full(shape, float(g))),)
    )
    return variation.chip(netlist, seed=0, number=number, cycle=cycle).elements[0].siemens.ravel()


def has_deviation(values, expected):
    """Within 5 standard errors of a normal sample's deviation; a tenth more is not."""
    error = 5 / np.sqrt(2 * values.size)
    assert values.std() == pytest.approx(expected, rel=error)
    assert values.std() != pytest.approx(1.1 * expected, rel=error)


def of_kind(preset, kind):
    (match,) = (part for part in preset.variation.parts() if isinstance(part, kind))
    return match


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_phase_change_memory_is_the_published_curve(share):
    preset = pcm_nandakumar2019()
    g = 25e-6 * share
    values = drawn(of_kind(preset, circuits.ProgrammingNoise), g)
    has_deviation(values, 1e-6 * (0.263 + 1.965 * share - 1.173 * share**2))
    assert values.mean() == pytest.approx(g, abs=5 * values.std() / np.sqrt(values.size))
    read = drawn(of_kind(preset, circuits.ReadNoise), g)
    has_deviation(read, g * 0.0088 / share**0.65 * np.sqrt(np.log((20 + 250e-9) / 500e-9)))
    exponents = -np.log(drawn(of_kind(pcm_nandakumar2019(2e5), circuits.Drift), g) / g) / np.log(
        1e4
    )
    mean, spread = np.clip(
        [-0.0155 * np.log(share) + 0.0244, -0.0125 * np.log(share) - 0.0059],
        [0.049, 0.008],
        [0.1, 0.045],
    )
    assert np.median(exponents) == pytest.approx(
        mean, abs=5 * 1.2533 * spread / np.sqrt(exponents.size)
    )
    assert exponents.min() >= 0
    assert drawn(of_kind(preset, circuits.Drift), g) == pytest.approx(
        g, rel=1e-12
    )  # none at the reference itself


@pytest.mark.parametrize(("days", "peak"), [(0, 0.055), (1, 0.10), (2, 0.10)])
def test_resistive_memory_of_wan_has_the_published_peaks(days, peak):
    preset = rram_wan2022(days)
    law = of_kind(preset, circuits.ProgrammingNoise)
    targets = np.linspace(0, 40e-6, 401)
    assert law.deviation(targets).max() == pytest.approx(peak * 40e-6, rel=0.05)
    at = targets[np.argmax(law.deviation(targets))]
    has_deviation(drawn(law, at), law.deviation(at))
    for g in (1e-5, 4e-5):
        has_deviation(drawn(of_kind(preset, circuits.ReadNoise), g), 0.4e-6)


@pytest.mark.parametrize("micro", [50.0, 120.0, 225.0])
def test_resistive_memory_of_milo_is_the_published_line(micro):
    preset = PRESETS["rram-milo2021@1"]()
    has_deviation(drawn(preset.variation, micro * 1e-6), (4.78 - 0.0091 * micro) * 1e-6)
    with pytest.raises(
        ValueError,
        match=r"Rg1: conductances must be within 5e-05 and 0\.000225 S, but one is 4e-05",
    ):
        drawn(preset.variation, 40e-6)


@pytest.mark.parametrize(
    ("name", "states", "apart", "bounds"),
    [("ecram-tang2018@1", 1000, 0.1, 0.0), ("rpu-gokmen2016@1", 1200, 0.3, 0.3)],
)
def test_devices_that_are_programmed_by_steps(name, states, apart, bounds):
    preset = PRESETS[name]()
    step = preset.highest / states
    levels = np.unique(drawn(of_kind(preset, circuits.Levels), 10.26e-6))
    np.testing.assert_allclose(
        levels / (preset.highest / (states - 1)),
        np.rint(10.26e-6 / (preset.highest / (states - 1))),
        rtol=1e-12,
    )
    has_deviation(
        drawn(of_kind(preset, circuits.StepNoise), 1e-5), 0.3 * step * np.sqrt(1e-5 / step)
    )
    has_deviation(drawn(of_kind(preset, circuits.DeviceToDevice), 1e-5), apart * 1e-5)
    if bounds:
        has_deviation(drawn(of_kind(preset, circuits.Bounds), 1.0), bounds * preset.highest)


def test_stuck_devices_are_the_published_shares():
    values = drawn(PRESETS["stuck-chen2015@1"]().variation, 1e-5)
    for share, g in ((0.0904, 40e-6), (0.0175, 0.0)):
        assert np.mean(values == g) == pytest.approx(share, abs=5 * np.sqrt(share / values.size))
    assert np.mean(values == 1e-5) == pytest.approx(1 - 0.0904 - 0.0175, abs=0.01)
    assert (
        np.mean(drawn(PRESETS["stuck-chen2015@1"]().variation, 0.0) == 40e-6) > 0.08
    )  # a device of 0 S is a device too


def test_a_pattern_that_matches_nothing_is_said():
    netlist = circuits.parse("D\nV1 in 0 1\nR1 in a 1k\nR2 a 0 1k\n.end\n")
    for variation in (
        circuits.Programming(0.1, of="X*"),
        circuits.Programming(0.1, of="V*"),  # which is there, and no conductance
        circuits.Converter(dac_bits=4, of="Vx"),
        circuits.WireResistance(1.0, of="Rg*"),
        circuits.SourceResistance(1.0, of="Vx"),
        circuits.SenseResistance(1.0, of="q"),
    ):
        with pytest.raises(
            ValueError,
            match=rf"`of` of {type(variation).__name__} must match what it varies among "
            "V1, R1, R2, in, a, but is ",
        ):
            variation.chip(netlist, seed=0, number=0)
    for none in (0.0, 0.1):  # what varies by nothing is still what was meant
        circuits.Programming(none, of="R1").chip(netlist, seed=0, number=0)
    unvaried = circuits.Saturation(0.1).chip(
        netlist, seed=0, number=0
    )  # whose own pattern has nothing here
    assert unvaried.elements == netlist.elements


def test_a_preset_is_a_variation_of_its_parts():
    netlist, preset = (
        circuits.parse("D\nV1 in 0 1\nR1 in a 100k\nR2 a 0 100k\n.end\n"),
        PRESETS["rram-wan2022@1"](),
    )
    assert (
        preset.chip(netlist, seed=0, number=1)
        == preset.variation.chip(netlist, seed=0, number=1)
        != netlist
    )
    assert (preset + circuits.Ideality(0.1)).parts() == (
        *preset.variation.parts(),
        circuits.Ideality(0.1),
    )
    with pytest.raises(
        KeyError, match="no preset is called 'rram-wan2022'; did you mean 'rram-wan2022@1'"
    ):
        PRESETS["rram-wan2022"]


def test_every_preset_says_what_it_is():
    assert len(PRESETS) == 7
    for name, make in PRESETS.items():
        preset = make()
        assert preset.name == name
        assert name.split("@")[1] == "1"
        assert preset.source
        assert len(make.__doc__) > 80
        values = drawn(preset.variation, preset.highest)
        assert np.all(values >= 0)
        assert 0.01 < values.std() / preset.highest < 0.5


def test_the_command_lists_devices_with_units_and_sources(capsys, tmp_path):
    assert main(["devices", "--plot", str(tmp_path / "devices.svg")]) == 0
    output = capsys.readouterr().out
    for name, make in PRESETS.items():
        assert name in output
        assert make().source in output
    for words in (
        "3.36 mV um",
        "0 to 25 uS",
        "50 to 225 uS",
        "DiodePair(saturation in A, bias in V = 0.0",
        "threshold in V",
        "Shichman & Hodges",
    ):
        assert words in output
    drawn_text = (tmp_path / "devices.svg").read_text()
    assert "<svg" in drawn_text
    target, deviation = spread("rram-milo2021@1")
    np.testing.assert_allclose(deviation, 4.78 / 225 - 0.0091 * target, rtol=5 / np.sqrt(4000))


def test_a_cycle_programs_anew_what_is_programmed():
    kept, anew = circuits.DeviceToDevice(0.1), circuits.Programming(0.1)
    for part, same in ((kept, True), (anew, False)):
        first, second = drawn(part, 1e-5), drawn(part, 1e-5, cycle=3)
        assert np.array_equal(first, second) is same
        np.testing.assert_array_equal(second, drawn(part, 1e-5, cycle=3))
        assert not np.array_equal(first, drawn(part, 1e-5, number=1))
    assert abs(np.corrcoef(drawn(kept, 1e-5), drawn(anew, 1e-5))[0, 1]) < 0.03


def voltages(netlist, simulator=None, drives=None):
    points = (circuits.Nodal() if simulator is None else simulator).operating_points(
        netlist, drives
    )
    assert set(points.status.values) == {"ok"}
    return points.voltage


def test_lines_with_resistance(simulator):
    """A matrix on ideal sources with grounded columns is the crossbar that is solved elsewhere."""
    random = np.random.default_rng(1)
    siemens, volts = random.uniform(1e-6, 4e-5, (4, 3)), random.uniform(-0.3, 0.3, 4)
    rows, columns = tuple(f"in{i}" for i in range(4)), tuple(f"sense{j}" for j in range(3))
    netlist = circuits.Netlist(
        "Crossbar",
        (
            *(
                circuits.VoltageSource(row, row, "0", float(v))
                for row, v in zip(rows, volts, strict=True)
            ),
            circuits.ConductanceMatrix("g1", rows, columns, siemens),
            *(circuits.Resistor(column, column, "0", siemens=1 / 25.0) for column in columns),
        ),
    )
    chip = (circuits.WireResistance(3.0, of="Rg1") + circuits.SourceResistance(40.0)).chip(
        netlist, seed=0, number=0
    )
    expected = voltages(crossbar(siemens, volts, wire_ohms=3.0, driver_ohms=40.0, sense_ohms=25.0))
    np.testing.assert_allclose(
        voltages(chip).sel(node=list(columns)), expected.sel(node=list(columns)), rtol=1e-9
    )
    np.testing.assert_allclose(
        voltages(chip, simulator).sel(node=list(columns)),
        expected.sel(node=list(columns)),
        rtol=1e-7,
    )
    thin = circuits.WireResistance(1e-4).chip(netlist, seed=0, number=0)
    nominal = voltages(netlist)
    np.testing.assert_allclose(voltages(thin).sel(node=list(columns)), nominal, rtol=1e-4)
    assert (
        np.max(np.abs(voltages(chip).sel(node=list(columns)).values / nominal.values - 1)) > 1e-3
    )  # the control


def test_a_network_with_everything_off_settles_in_both_simulators(simulator):
    """One chip, all that can vary at once: the same netlist for both, and the same voltages."""
    net = network(sizes=(2, 5, 2))
    netlist = circuits.emit(net, np.array([0.5, -0.3]))
    variation = (
        circuits.DeviceToDevice(0.1)
        + circuits.Programming(0.05)
        + circuits.Levels(64, 1e-4)
        + circuits.StuckAt(0.02, 0.02, 5e-5)
        + circuits.Drift(100.0, 0.05, 0.01)
        + circuits.ReadNoise(0.01)
        + circuits.Saturation(0.2)
        + circuits.Ideality(0.03)
        + circuits.WireResistance(2.0)
        + circuits.SourceResistance(30.0)
        + circuits.SenseResistance(1e8)
        + circuits.Temperature(320.0)
        + circuits.Converter(dac_bits=6, volts=4.0)
    )
    chip = variation.chip(netlist, seed=1, number=2)
    assert circuits.parse(chip.spice()) == chip
    assert variation.chip(netlist, seed=1, number=2) == chip
    drives = variation.drives(circuits.drives(net, np.random.default_rng(0).uniform(-1, 1, (5, 2))))
    by_nodal, by_ngspice = (voltages(chip, one, drives) for one in (circuits.Nodal(), simulator))
    np.testing.assert_allclose(by_nodal, by_ngspice, atol=1e-9)
    nodes = ["h0", "out1"]
    assert (
        np.max(
            np.abs(
                by_nodal.sel(node=nodes).values
                - voltages(netlist, None, drives).sel(node=nodes).values
            )
        )
        > 1e-3
    )


def test_amplifiers_that_are_off():
    ends = (
        circuits.VoltageSource("in", "in", "0", 0.1),
        circuits.Resistor("1", "in", "a", siemens=1e-3),
        circuits.Resistor("2", "b", "0", siemens=1e-3),
    )
    netlist = circuits.Netlist("Amplifier", (*ends, *amplifier("x", "a", "b", 4.0)))
    assert circuits.nonreciprocity(netlist) < 1e-12
    off = circuits.Amplifiers(gain=0.1).chip(netlist, seed=0, number=0)
    v = voltages(off)
    assert v.sel(node="b").item() / v.sel(node="a").item() != pytest.approx(4.0, rel=1e-3)
    offsets = []
    for number in range(200):
        v = voltages(circuits.Amplifiers(offset=2e-3).chip(netlist, seed=0, number=number))
        offsets.append(v.sel(node="b").item() / 4.0 - v.sel(node="a").item())
    assert np.std(offsets) == pytest.approx(2e-3, rel=5 / np.sqrt(400))


def test_nudges_and_thresholds_that_are_off():
    nudges = tuple(
        circuits.Transconductance(f"nudge_{i}", "0", "a", "b", "a", 1e-5) for i in range(2000)
    )
    other = circuits.Transconductance("other", "0", "a", "b", "a", 1e-5)
    chip = circuits.NudgeMismatch(0.05).chip(
        circuits.Netlist("Nudges", (*nudges, other)), seed=0, number=0
    )
    assert chip.elements[-1] == other
    assert np.std([e.siemens for e in chip.elements[:-1]]) == pytest.approx(5e-7, rel=0.1)
    model = circuits.MosfetModel("n", 0.7, name="nfet")
    pairs = tuple(
        circuits.Mosfet(str(i), "d", "g", "0", "0", model, 4e-6, 1e-6) for i in range(4000)
    )
    published = {"mos-sky130@1": 3.36e-9, "mos-sg13g2-3.9@1": 3.9e-9, "mos-sg13g2-2.2@1": 2.2e-9}
    assert set(circuits.MATCHING) == set(published)
    for name, volt_metres in published.items():
        chip = circuits.MATCHING[name].chip(circuits.Netlist("Pairs", pairs), seed=0, number=0)
        thresholds = np.array([t.model.threshold for t in chip.elements])
        apart = thresholds[::2] - thresholds[1::2]  # of two of one size: A_VT/√(W L)
        assert apart.std() == pytest.approx(volt_metres / 2e-6, rel=5 / np.sqrt(2 * apart.size))
    assert circuits.parse(chip.spice()) == chip


def test_converters():
    bits = circuits.Converter(dac_bits=2, adc_bits=3, volts=3.0)
    drives = bits.drives(
        {"Vin0": np.array([-5.0, -0.9, 0.2, 1.1, 2.9]), "Vother": np.array([0.123] * 5)}
    )
    np.testing.assert_allclose(drives["Vin0"], [-3, -1, 1, 1, 3], rtol=1e-15)
    np.testing.assert_array_equal(drives["Vother"], 0.123)
    np.testing.assert_allclose(
        bits.read(np.array([-9.0, 0.1, 0.5])), [-3.0, 3 / 7, 3 / 7], rtol=1e-12
    )
    np.testing.assert_allclose(
        circuits.Converter(adc_bits=3).read(np.array([0.1])), [1 / 7], rtol=1e-12
    )
    np.testing.assert_array_equal(circuits.Programming(0.1).read(np.array([0.1])), [0.1])


def test_the_temperature_of_a_chip():
    netlist = circuits.emit(network(PAIR), np.ones(3))
    chip = circuits.Temperature(350.0).chip(netlist, seed=0, number=0)
    assert chip.elements == netlist.elements
    assert (
        chip
        == dataclasses.replace(chip, temperature=350.0)
        != dataclasses.replace(chip, temperature=300.15)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: circuits.ProgrammingNoise(0.0, (0.1,)),
            "`highest` must be finite and above 0, but is 0.0",
        ),
        (
            lambda: circuits.ProgrammingNoise(1e-5, ()),
            "`coefficients` must be finite numbers, one or more",
        ),
        (
            lambda: circuits.Programming("0.1"),
            "`spread` must be finite and at least 0, but is '0.1'",
        ),
        (lambda: circuits.Levels(2.5, 1e-5), "`count` must be a whole number of at least 2"),
        (lambda: circuits.StuckAt(None, 0.1, 1e-5), "`on` must be finite and at least 0"),
        (lambda: circuits.WireResistance(10**400), "`ohms` must be finite and above 0"),
        (
            lambda: circuits.Levels(1, 1e-5),
            "`count` must be a whole number of at least 2, but is 1",
        ),
        (
            lambda: circuits.Levels(8, 1e-6, 1e-5),
            "`lowest` and `highest` must be 0 <= lowest < highest",
        ),
        (
            lambda: circuits.StuckAt(0.9, 0.2, 1e-5),
            "`on` and `off` must be shares, together at most 1",
        ),
        (
            lambda: circuits.Drift(0.5, 0.05),
            "`seconds` must be finite and at least `reference`, 1.0, but is 0.5",
        ),
        (lambda: circuits.Drift(5.0, -0.05), "`exponent` must be finite and at least 0"),
        (lambda: circuits.ReadNoise(-0.1), "`relative` must be finite and at least 0"),
        (lambda: circuits.StepNoise(0.1, 0, 1e-5), "`count` must be finite and above 0"),
        (lambda: circuits.Bounds(0.0, 0.1), "`highest` must be finite and above 0"),
        (lambda: circuits.WireResistance(0.0), "`ohms` must be finite and above 0, but is 0.0"),
        (
            lambda: circuits.Converter(dac_bits=40),
            "`dac_bits` must be a whole number from 0 to 32, but is 40",
        ),
        (lambda: circuits.Converter(volts=0.0), "`volts` must be finite and above 0"),
        (lambda: circuits.Temperature(-1.0), "`temperature` must be finite and above 0 K"),
        (
            lambda: BOTH.chip(DECK, seed=-1, number=0),
            "`seed` must be a whole number of at least 0, but is -1",
        ),
        (
            lambda: BOTH.chip(DECK, seed=0, number=None),
            "`number` must be a whole number of at least 0, but is None",
        ),
        (lambda: rram_wan2022(3), "`days` must be 0, 1 or 2, as published, but is 3"),
    ],
)
def test_variations_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_times_widens_what_is_drawn_and_nothing_else():
    """Twice a small spread is twice the distance from nominal; what is not random stays."""
    g = np.linspace(1e-6, 3e-6, 50)

    def off(variation):
        chip = variation.chip(
            circuits.Netlist(
                "x",
                [
                    circuits.ConductanceMatrix(
                        "g", ("a",), tuple(map("b{}".format, range(50))), g[None]
                    )
                ],
            ),
            seed=0,
            number=0,
        )
        return chip.elements[0].siemens[0] / g - 1

    for part in (
        circuits.Programming(1e-6),
        circuits.DeviceToDevice(1e-6),
        circuits.ProgrammingNoise(3e-6, (1e-6, 1e-6)),
        circuits.StepNoise(1e-6, 100, 3e-6),
        circuits.ReadNoise(1e-6, 0.5, 3e-6),
    ):
        one = off(part)
        assert np.all(one != 0)
        np.testing.assert_allclose(off(part.times(3.0)), 3 * one, rtol=1e-4, atol=1e-14)
        np.testing.assert_allclose(off(part.times(0.0)), 0.0, atol=1e-15)
    wider = (circuits.PRESETS["pcm-nandakumar2019@1"]().times(2.0)).variation.parts()
    drift = next(part for part in wider if isinstance(part, circuits.Drift))
    assert drift.exponent == circuits.variation.Logarithmic(-0.0155, 0.0244, 0.049, 0.1)
    np.testing.assert_allclose(
        drift.spread.at(np.array([0.5])), 2 * np.clip(-0.0125 * np.log(0.5) - 0.0059, 0.008, 0.045)
    )
    rest = (
        circuits.Temperature(310.0)
        + circuits.WireResistance(2.0)
        + circuits.Converter(4, 4, 1.0)
        + circuits.Levels(4, 3e-6)
    )
    assert rest.times(5.0).parts() == rest.parts()
    assert circuits.StuckAt(0.1, 0.2, 1e-6).times(2.0) == circuits.StuckAt(0.2, 0.4, 1e-6)
    assert (circuits.Saturation(0.1) + circuits.Amplifiers(0.1, 0.01)).times(2.0).parts() == (
        circuits.Saturation(0.2),
        circuits.Amplifiers(0.2, 0.02),
    )
    with pytest.raises(ValueError, match="`factor` must be finite and at least 0, but is -1"):
        circuits.Programming(0.1).times(-1)
    with pytest.raises(ValueError, match="must be shares, together at most 1"):
        circuits.PRESETS["stuck-chen2015@1"]().times(20)
