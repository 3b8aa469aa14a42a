"""Transistors and temperature: against ngspice and textbook values, and what has no energy."""

import dataclasses
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import PAIR, network
from helpers.tiers import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import circuits
from circuits import GROUND, Mosfet, MosfetModel, Resistor, VoltageSource
from circuits.mna.noise import densities
from circuits.simulators import raw
from circuits.topologies import crossbar, transistor_array
from circuits.units import BOLTZMANN, CHARGE, ROOM

N = MosfetModel("n", 0.7, 110e-6, 0.4, 0.7, 0.04, name="nm")
P = MosfetModel("p", -0.8, 50e-6, 0.5, 0.65, 0.05, saturation=3e-15, name="pm")
V = np.random.default_rng(0).uniform(-3, 3, (4, 400))  # drain, gate, source, bulk


def law(model, kelvin=ROOM):
    return model.channel(20e-6, 2e-6, kelvin)


@pytest.mark.parametrize("kelvin", [233.15, ROOM, 398.15])
@pytest.mark.parametrize("model", [N, P])
def test_every_terminal_s_current_is_ngspice_s(simulator, model, kelvin):
    """Channel and junctions, forwards and backwards.

    With the bulk in reverse and up to where its junctions conduct.
    """
    nodes = ("d", "g", "s", "b")
    d, g, s = V[:3, :16]
    low = model.sign * np.minimum(model.sign * d, model.sign * s)
    v = np.array([d, g, s, low + model.sign * np.resize([-2.0, -0.5, 0.0, 0.4], 16)]).T
    points = []
    # one by one: in a sweep of sources alone ngspice 39 may stop before its limited steps arrive
    for volts in v.tolist():
        sources = [
            VoltageSource(node, node, GROUND, value)
            for node, value in zip(nodes, volts, strict=True)
        ]
        netlist = circuits.Netlist(
            "One", (*sources, Mosfet("1", *nodes, model, 20e-6, 2e-6)), temperature=kelvin
        )
        points.append(simulator._points(circuits.Equations.of(netlist, pinning=False), {}, 1)[0][0])
    channel, _ = law(model, kelvin).evaluate(*v.T)
    junction = model.junction(kelvin)
    into_bulk = [junction.current(model.sign * (v[:, 3] - v[:, k])) * model.sign for k in (0, 2)]
    expected = np.array(
        [channel - into_bulk[0], np.zeros(16), -channel - into_bulk[1], into_bulk[0] + into_bulk[1]]
    ).T
    np.testing.assert_allclose(-np.array(points)[:, 4:], expected, rtol=1e-9, atol=1e-15)
    warmer, _ = law(model, kelvin + 1).evaluate(*v.T)
    assert (
        np.max(np.abs(warmer - channel) / (np.abs(channel) + 1e-9)) > 1e-3
    )  # the control: a degree shows


@pytest.mark.parametrize("model", [N, P])
@pytest.mark.parametrize("kelvin", [ROOM, 350.0])
def test_slopes_are_those_of_the_current(model, kelvin):
    channel = law(model, kelvin)
    slopes = channel.evaluate(*V)[1]
    exact = jax.vmap(jax.grad(lambda v: channel.evaluate(*v)[0]))(jnp.asarray(V.T)).T
    np.testing.assert_allclose(slopes, exact, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        np.sum(slopes, axis=0), 0, atol=1e-15
    )  # only differences of voltages matter


def test_textbook_values():
    """Saturation, triode and the body effect: Shichman and Hodges' equations by hand."""
    plain = MosfetModel("n", 0.5, 100e-6)
    ampere = [
        plain.channel(10e-6, 1e-6).evaluate(*np.array([[d], [g], [0.0], [0.0]]))[0][0]
        for d, g in ((2, 1.5), (0.2, 1.5), (2, 0.4))
    ]
    np.testing.assert_allclose(ampere, [1e-3 / 2, 1e-3 * (1.0 - 0.1) * 0.2, 0.0], rtol=1e-12)
    body = (
        MosfetModel("n", 0.5, 100e-6, 0.4, 0.6)
        .channel(10e-6, 1e-6)
        .evaluate(*np.array([[2.0], [1.5], [0.0], [-2.0]]))[0][0]
    )
    threshold = 0.5 + 0.4 * (np.sqrt(2.6) - np.sqrt(0.6))
    assert body == pytest.approx(1e-3 / 2 * (1.5 - threshold) ** 2, rel=1e-12)
    swapped = plain.channel(10e-6, 1e-6).evaluate(*np.array([[0.0], [1.5], [2.0], [0.0]]))[0][0]
    assert swapped == pytest.approx(-1e-3 / 2, rel=1e-12)


def inverters(kelvin=ROOM):
    """Two stages of complementary transistors, the second read through a pass transistor."""
    stage = lambda k, a, b: (  # noqa: E731
        Mosfet(f"n{k}", b, a, GROUND, GROUND, N, 20e-6, 2e-6),
        Mosfet(f"p{k}", b, a, "dd", "dd", P, 40e-6, 2e-6),
        Resistor(f"l{k}", b, GROUND, siemens=1e-6),
    )
    elements = (
        VoltageSource("dd", "dd", GROUND, 3.0),
        VoltageSource("in", "in", GROUND, 1.3),
        *stage(1, "in", "a"),
        *stage(2, "a", "b"),
        Mosfet("pass", "b", "dd", "c", GROUND, N),
        Resistor("out", "c", GROUND, siemens=1e-5),
    )
    return circuits.Netlist("Inverters", elements, temperature=kelvin)


@pytest.mark.parametrize("kelvin", [250.0, ROOM, 380.0])
def test_both_simulators_find_the_same_voltages(simulator, kelvin):
    netlist = inverters(kelvin)
    assert circuits.parse(netlist.spice()) == netlist
    drives = {"Vin": np.linspace(-0.5, 3.5, 33)}
    ours, theirs = (one.operating_points(netlist, drives) for one in (circuits.Nodal(), simulator))
    assert set(ours.status.values) == set(theirs.status.values) == {"ok"}
    np.testing.assert_allclose(ours.voltage, theirs.voltage, atol=1e-9)
    gain = np.diff(ours.voltage.sel(node="b").values) / np.diff(drives["Vin"])
    assert gain.max() > 5  # two inversions


CONDUCTANCE = st.floats(1e-7, 1e-3)


@settings(max_examples=drawn(4, 8), deadline=None)
@given(
    kelvin=st.floats(230.0, 400.0),
    wiring=st.lists(st.permutations(["a", "b", "c", "in", "dd", GROUND]), min_size=1, max_size=3),
    kinds=st.lists(st.sampled_from([N, P]), min_size=3, max_size=3),
    loads=st.lists(CONDUCTANCE, min_size=3, max_size=3),
)
def test_any_transistors_any_way(simulator, kelvin, wiring, kinds, loads):
    """Points that both simulators certify agree.

    Wherever feedback makes several points, both may find another, and it is not asked.
    """
    elements = [VoltageSource("dd", "dd", GROUND, 2.5), VoltageSource("in", "in", GROUND, 1.0)]
    elements += [
        Resistor(node, node, GROUND, siemens=g) for node, g in zip("abc", loads, strict=True)
    ]
    for k, (nodes, model) in enumerate(zip(wiring, kinds, strict=False)):
        bulk = GROUND if model.kind == "n" else "dd"
        elements.append(Mosfet(str(k), *nodes[:3], bulk, model, 10e-6, 2e-6))
    netlist = circuits.Netlist("Any", tuple(elements), temperature=kelvin)
    assert circuits.parse(netlist.spice()) == netlist
    ours, theirs = (one.operating_points(netlist) for one in (circuits.Nodal(), simulator))
    assert ours.status.item() == theirs.status.item() == "ok" or len(wiring) > 1
    if len(wiring) == 1:
        np.testing.assert_allclose(ours.voltage, theirs.voltage, atol=1e-9)


def test_diodes_at_any_temperature(simulator):
    """At one current the voltage falls by some 2 mV a degree (0.6 V junction).

    By ngspice, and by hand, as every textbook has it.
    """
    model = circuits.DiodeModel(1e-14, emission=1.2, bandgap=0.9, exponent=2.5, name="odd")
    source = circuits.CurrentSource("in", GROUND, "a", 1e-6)
    drops = {}
    for kelvin in (250.0, ROOM, 350.0):
        for name, law in (("odd", model), ("silicon", circuits.DiodeModel(1e-14))):
            netlist = circuits.Netlist(
                "Diode", (source, circuits.Diode("1", "a", GROUND, law)), temperature=kelvin
            )
            assert circuits.parse(netlist.spice()) == netlist
            ours, theirs = (
                one.operating_points(netlist).voltage.item()
                for one in (circuits.Nodal(), simulator)
            )
            assert ours == pytest.approx(theirs, abs=1e-10)
            drops[name, kelvin] = ours
    volts, gap, thermal = drops["silicon", ROOM], 1.11, BOLTZMANN * ROOM / CHARGE
    by_hand = (volts - gap - 3 * thermal) / ROOM  # dV/dT at a constant current
    slope = (drops["silicon", 350.0] - drops["silicon", 250.0]) / 100
    assert slope == pytest.approx(by_hand, rel=0.05)
    assert -2.6e-3 < slope < -1.6e-3
    assert model.at(ROOM) == circuits.Junction(1e-14, 1.2)


def test_a_network_at_another_temperature(simulator):
    warm = network(dataclasses.replace(PAIR, temperature=345.0))
    netlist = circuits.emit(warm, np.ones(3))
    assert netlist.temperature == 345.0
    assert ".temp 71.85" in netlist.spice()
    comparison = circuits.compare(
        warm, np.random.default_rng(0).uniform(-1, 1, (4, 3)), simulator=simulator
    )
    assert comparison.agrees
    cold = circuits.compare(
        warm,
        np.ones((1, 3)),
        circuit=dataclasses.replace(netlist, temperature=ROOM),
        simulator=simulator,
    )
    assert cold.error > 1e-3  # the control: the temperature shows
    with pytest.raises(ValueError, match="`temperature` must be finite and above 0 K, but is -3"):
        circuits.SingleDiode(1e-9, temperature=-3.0)


def test_noise_of_a_channel_and_of_a_warm_resistor(simulator):
    netlist = circuits.Netlist(
        "Follower",
        (
            VoltageSource("dd", "dd", GROUND, 3.0),
            VoltageSource("in", "in", GROUND, 2.0),
            Mosfet("1", "dd", "in", "a", GROUND, N, 20e-6, 2e-6),
            Resistor("1", "a", GROUND, siemens=1e-5),
            circuits.Capacitor("1", "a", GROUND, 1e-12),
        ),
        temperature=350.0,
    )
    ours, theirs = (
        one.noise(netlist, ("a",), lowest=1e3, highest=1e10).deviation.item()
        for one in (circuits.Nodal(), simulator)
    )
    assert ours == pytest.approx(theirs, rel=2e-3)
    equations = circuits.Equations.of(netlist)
    point = circuits.Nodal().operating_points(netlist).voltage.values
    slopes = (
        netlist.of(Mosfet)[0].channel(350.0).evaluate(*np.array([[3.0], [2.0], point[0], [0.0]]))[1]
    )
    by_hand = 2 * BOLTZMANN * 350.0 * (1e-5 + 2 / 3 * slopes[1][0])
    np.testing.assert_allclose(densities(equations, {}, point).toarray(), [[by_hand]], rtol=1e-12)


def test_flicker_of_a_diode(simulator):
    """KF |i|^AF/f, which in ngspice comes to 0.2 % of the exact integral at 10 points a decade."""
    model = circuits.DiodeModel(1e-12, name="noisy", flicker=1e-12, flicker_exponent=1.2)
    elements = (
        VoltageSource("in", "in", GROUND, 1.0),
        Resistor("1", "in", "a", siemens=1e-4),
        circuits.Diode("1", "a", GROUND, model),
        circuits.Capacitor("1", "a", GROUND, 1e-9),
    )
    netlist = circuits.Netlist("Flicker", elements)
    assert circuits.parse(netlist.spice()) == netlist
    band = {"lowest": 1.0, "highest": 1e3}
    ours, theirs = (
        one.noise(netlist, ("a",), **band).deviation.item() for one in (circuits.Nodal(), simulator)
    )
    assert ours == pytest.approx(theirs, rel=3e-3)
    point = circuits.Nodal().operating_points(netlist).voltage.item()
    resistance = 1 / (1e-4 + model.at().conductance(point))
    by_hand = resistance * np.sqrt(
        1e-12 * model.at().current(point) ** 1.2 * np.log(1e3)
    )  # far below the corner, where it is all that counts
    assert ours == pytest.approx(by_hand, rel=1e-3)
    quiet = netlist.with_elements(
        circuits.Diode("1", "a", GROUND, dataclasses.replace(model, flicker=0.0))
    )
    assert (
        circuits.Nodal().noise(quiet, ("a",), **band).deviation.item() < 0.1 * ours
    )  # the control


def test_small_signals_through_transistors(simulator):
    netlist = inverters().with_elements(VoltageSource("in", "in", GROUND, 1.45, ac=1.0))
    netlist = dataclasses.replace(
        netlist, elements=(*netlist.elements, circuits.Capacitor("a", "a", GROUND, 1e-13))
    )
    ours, theirs = (
        one.small_signal(netlist, lowest=1e5, highest=1e9, points=3)
        for one in (circuits.Nodal(), simulator)
    )
    np.testing.assert_allclose(ours.voltage, theirs.voltage, rtol=1e-8, atol=1e-12)
    assert abs(ours.voltage.sel(node="a").values[0]) > 1


def test_a_transistor_has_no_energy():
    with pytest.raises(
        circuits.NetlistError,
        match=r"\['Mn1', 'Mp1', 'Mn2', 'Mp2', 'Mpass'\] depend on gates .* is 0\.\d+ where it "
        "works",
    ):
        circuits.energy(
            inverters().with_elements(VoltageSource("in", "in", GROUND, 1.45)),
            inputs=["Vin"],
            outputs=["c"],
        )
    one = circuits.Netlist(
        "Programmable",
        (
            VoltageSource("in", "in", GROUND, 0.5),
            VoltageSource("g", "g", GROUND, 3.0),
            Resistor("1", "in", "a", siemens=1e-4),
            Mosfet("1", "a", "g", "b", GROUND, N),
            Resistor("2", "b", GROUND, siemens=1e-4),
        ),
    )
    at = {
        volts: circuits.Nodal().operating_points(one, {"Vin": np.array([volts])})
        for volts in (0.0, 0.05, 0.5)
    }
    asymmetry = {volts: circuits.nonreciprocity(one, points) for volts, points in at.items()}
    assert asymmetry[0.0] < 1e-12
    assert 1e-4 < asymmetry[0.05] < asymmetry[0.5]  # a resistor only where no current flows


ARRAY = {"wire_ohms": 2.0, "driver_ohms": 50.0, "sense_ohms": 20.0}


def test_an_array_of_one_transistor_and_one_resistor(simulator):
    random = np.random.default_rng(2)
    siemens, volts = random.uniform(1e-6, 4e-5, (5, 4)), random.uniform(0.0, 0.3, 5)
    shape = {"width": 1e-6, "length": 1e-7}
    array = transistor_array(siemens, volts, np.full(5, 3.0), N, **shape, **ARRAY)
    assert circuits.parse(array.spice()) == array
    ours, theirs = (one.operating_points(array) for one in (circuits.Nodal(), simulator))
    assert ours.status.item() == theirs.status.item() == "ok"
    np.testing.assert_allclose(ours.voltage, theirs.voltage, atol=1e-9)

    def sensed(netlist):
        return (
            circuits.Nodal()
            .operating_points(netlist)
            .voltage.sel(node=[f"sense{j}" for j in range(4)])
            .values[0]
            / 20.0
        )

    bare = sensed(crossbar(siemens, volts, **ARRAY))
    strong = sensed(
        transistor_array(
            siemens,
            volts,
            np.full(5, 1e4),
            dataclasses.replace(N, modulation=0.0),
            **shape,
            **ARRAY,
        )
    )
    np.testing.assert_allclose(strong, bare, rtol=1e-4)  # gates far above: nearly nothing in series
    assert np.all(sensed(array) < 0.995 * bare)
    chosen = sensed(
        transistor_array(siemens, volts, np.array([3.0, 0, 0, 0, 0]), N, **shape, **ARRAY)
    )
    alone = sensed(transistor_array(siemens[:1], volts[:1], np.array([3.0]), N, **shape, **ARRAY))
    np.testing.assert_allclose(chosen, alone, rtol=1e-3)  # the other word lines are cut off


def test_a_large_array_is_certified():
    """More unknowns than are certified densely, and no symmetric Jacobian."""
    random = np.random.default_rng(3)
    siemens, volts = random.uniform(1e-6, 4e-5, (16, 16)), random.uniform(-0.2, 0.3, 16)
    array = transistor_array(
        siemens, volts, np.full(16, 3.0), N, width=1e-6, length=1e-7, wire_ohms=1.0
    )
    points = circuits.Nodal().operating_points(array)
    assert points.node.size > 700
    assert points.status.item() == "ok"


DECK = """Somebody's amplifier
.model nch nmos (vto=0.6 kp=80u lambda=0.03 rs=150 cgso=0)
.model pch PMOS LEVEL=1 VTO=-0.7 KP=30u RD=90 RS=40
.subckt stage in out vdd
M1 out in 0 0 nch w={w} l=1u ad=3p pd=8u
M2 out in vdd vdd pch w={2*w} l=1u m=1
.param w=12u
.ends
Vdd vdd 0 2.5
Vin in 0 1.15
X1 in a vdd stage
Rl a 0 1meg
.temp 85
.op
.end
"""


def test_somebody_else_s_deck(simulator, tmp_path):
    """Series resistances become resistors; ngspice on the text itself is the truth."""
    netlist = circuits.parse(DECK)
    assert netlist.temperature == pytest.approx(358.15, abs=1e-12)
    assert [f"{e.letter}{e.name}" for e in netlist.elements[2:5]] == [
        "Rm1.1.rs",
        "M1.1",
        "Rm1.2.rd",
    ]
    ours = circuits.Nodal().operating_points(netlist)
    assert ours.status.item() == "ok"
    exact = DECK.replace(".op", f".options {circuits.netlist.netlist.OPTIONS}\n.save v(a)\n.op")
    (tmp_path / "deck.cir").write_text(exact)
    subprocess.run(
        ["ngspice", "-n", "-b", "-r", "out.raw", "deck.cir"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (plot,) = raw.read((tmp_path / "out.raw").read_bytes())
    assert ours.voltage.sel(node="a").item() == pytest.approx(plot.values["v(a)"].item(), abs=1e-9)
    assert 0.5 < plot.values["v(a)"].item() < 2.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MosfetModel("x"), "`kind` must be 'n' or 'p', but is 'x'"),
        (
            lambda: MosfetModel(transconductance=0.0),
            "`transconductance` must be finite and above 0, but is 0.0",
        ),
        (
            lambda: MosfetModel(body_effect=-1.0),
            "`body_effect` must be finite and at least 0, but is -1.0",
        ),
        (lambda: MosfetModel(threshold=np.nan), "`threshold` must be finite, but is nan"),
        (
            lambda: MosfetModel(potential=0.3).channel(1e-6, 1e-6, 500.0),
            "`potential` of mosfet must be above 0 at every temperature",
        ),
        (
            lambda: Mosfet("1", "a", "b", "c", "d", N, width=0.0),
            "`width` of 1 must be finite and above 0",
        ),
        (
            lambda: circuits.Netlist("T", (), temperature=0.0),
            "`temperature` must be finite and above 0 K, but is 0.0",
        ),
        (
            lambda: transistor_array(
                np.ones((2, 2)), np.ones(2), np.ones(3), N, width=1e-6, length=1e-6, wire_ohms=1.0
            ),
            "`gates` must be finite, one for each of the 2 word lines",
        ),
        (
            lambda: transistor_array(
                np.ones((2, 2)), np.ones(2), np.ones(2), P, width=1e-6, length=1e-6, wire_ohms=1.0
            ),
            "`model` must be of kind 'n'",
        ),
    ],
)
def test_bad_transistors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
