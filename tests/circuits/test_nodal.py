"""The built-in simulator against ngspice, the energy and closed forms."""

import dataclasses
import gc
import os
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.netlists import divider
from helpers.networks import examples, network
from helpers.tiers import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import circuits
import eqprop as ep
from circuits.mna.certificates import Certificate, certify

NODAL = circuits.Nodal()


@st.composite
def decks(draw):
    """Draw a random circuit of every kind of element that an operating point needs.

    A resistive tree to ground, and more upon it.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 6))
    nodes = ["0", *(f"n{k}" for k in range(n))]

    def pick():
        return [nodes[k] for k in random.choice(n + 1, 2, replace=False)]

    def volts():
        return random.uniform(-2, 2)

    lines = [
        f"Rt{k} n{k} {nodes[random.integers(0, k + 1)]} {10 ** random.uniform(2, 5)}"
        for k in range(n)
    ]
    lines += [
        f"R{k} {' '.join(pick())} {10 ** random.uniform(2, 5)}"
        for k in range(draw(st.integers(0, 4)))
    ]
    lines += [
        f"D{k} {' '.join(pick())} d{random.integers(0, 2)} area={random.uniform(0.5, 2)}"
        for k in range(draw(st.integers(0, 4)))
    ]
    lines += [f"I{k} {' '.join(pick())} {1e-3 * volts()}" for k in range(draw(st.integers(0, 2)))]
    lines += [f"V1 in 0 {volts()}", f"Rin in {nodes[1]} {10 ** random.uniform(2, 4)}"]
    lines += (
        [f"V2 {nodes[1]} s {0.3 * volts()}", "Rs s 0 1k"]
        if draw(st.booleans())
        else ["V2 s 0 1", "Rs s 0 1k"]
    )
    if draw(st.booleans()):
        lines += [
            f"E1 e 0 {' '.join(pick())} {volts()}",
            "Re e 0 1k",
            f"F1 {' '.join(pick())} V2 {0.2 * volts()}",
        ]
    if draw(st.booleans()):
        lines += [
            "H1 h 0 V2 50",
            f"Rh h {nodes[1]} 2k",
            f"G1 {' '.join(pick())} {' '.join(pick())} {1e-5 * volts()}",
        ]
    if draw(st.booleans()):
        lines += [
            f"B1 {nodes[1]} 0 i=1u*v({nodes[1]})^2+1u*tanh(v({nodes[1]})*3)",
            "B2 b 0 v=0.1*v(in)+i(V2)*10",
            "Rb b 0 1k",
        ]
    if draw(st.booleans()):
        lines += ["L1 l in 1m", f"Rl l {nodes[1]} 5k"]
    cards = [".model d0 d(is=1e-12)", ".model d1 d(is=1e-9 n=1.6)"]
    return circuits.parse("\n".join(["Random", *lines, *cards, ".end", ""]))


@given(decks())
@settings(max_examples=drawn(10, 25), deadline=None, derandomize=True)
def test_it_agrees_with_ngspice_on_circuits_of_every_element(netlist):
    theirs, ours = circuits.Ngspice().operating_points(netlist), NODAL.operating_points(netlist)
    assert ours.status.values.tolist() == theirs.status.values.tolist()
    if theirs.status.values[0] in ("ok", "saddle"):
        size = max(1.0, float(np.abs(theirs.voltage).max()))
        np.testing.assert_allclose(ours.voltage, theirs.voltage, rtol=0, atol=1e-9 * size)


DEVICES = {
    "linear": None,
    "pair": circuits.DiodePair(1e-9, 0.1),
    "single": circuits.SingleDiode(1e-12, 0.05, 1.4),
    "ideal": circuits.IdealPair(0.2),
    "curve": circuits.Curve([-1, 0, 1], [-1e-5, 0, 3e-6]),
}


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_energy_nodal_and_ngspice_agree(device, simulator):
    """Three ways to one answer, 1e-9 V."""
    net, (xs, ys) = network(device, sizes=(3, 6, 4, 2)), examples(6)
    cost = ep.SquaredError()
    for beta in (0.0, 0.3):
        netlist = circuits.emit(net, xs[0], y=ys[0], cost=cost, beta=beta)
        drives = circuits.drives(net, xs, ys=ys, cost=cost)
        theirs, ours = (
            simulator.operating_points(netlist, drives),
            NODAL.operating_points(netlist, drives),
        )
        assert set(ours.status.values) == set(theirs.status.values) == {"ok"}
        np.testing.assert_allclose(ours.voltage, theirs.voltage, rtol=0, atol=1e-9)
        model = jnp.concatenate(
            jax.vmap(lambda x, y, b=beta: _settled(net, cost, x, y, b))(
                jnp.asarray(xs), jnp.asarray(ys)
            ),
            axis=1,
        )
        nodes = list(circuits.learning.ports.Ports.of(net).nodes)
        np.testing.assert_allclose(
            ours.voltage.sel(node=nodes),
            model,
            rtol=0,
            atol=1e-8 if isinstance(device, circuits.IdealPair) else 1e-9,
        )
    assert (
        np.abs(ours.voltage.values[0] - ours.voltage.values[1]).max() > 1e-3
    )  # the control: they are six different answers


def _settled(net, cost, x, y, beta):
    energy = ep.Nudged(net, cost, y, jnp.asarray(beta)) if beta else net
    return ep.settle(energy, x).state


def test_a_layered_network_is_solved_by_elimination_and_densely_alike(monkeypatch):
    from circuits.simulators import newton, nodal

    net, (xs, _) = network(circuits.DiodePair(1e-9, 0.1), sizes=(3, 8, 2)), examples(4)
    netlist, drives = circuits.emit(net), circuits.drives(net, xs)
    small = circuits.Equations.of(circuits.reduce(netlist, drives)[0])
    assert len(nodal.Solver.of(small, 1)._circuit.removed) == 8  # the hidden layer
    apart = NODAL.operating_points(netlist, drives)
    monkeypatch.setattr(newton, "_independent", lambda linear: np.zeros(0, int))
    np.testing.assert_allclose(
        NODAL.operating_points(netlist, drives).voltage, apart.voltage, rtol=0, atol=1e-14
    )


@settings(max_examples=drawn(4, 10), deadline=None)
@given(decks())
def test_unknowns_that_only_linear_elements_touch_are_eliminated_exactly(netlist):
    """A large circuit's way, taken with a small one, gives the same voltages.

    And a certificate from the whole circuit's equations.
    """
    plain = NODAL.operating_points(netlist)
    with (
        mock.patch("circuits.simulators.nodal.DENSE", 0),
        mock.patch("circuits.mna.certificates.DENSE", 0),
    ):
        eliminated = NODAL.operating_points(netlist)
    assert eliminated.status.values.tolist() == plain.status.values.tolist()
    np.testing.assert_allclose(eliminated.voltage, plain.voltage, rtol=0, atol=1e-9)


def test_a_crossbar_with_wires_and_diodes_is_that_of_ngspice(simulator):
    """More unknowns than are solved densely, with drives, prepared once.

    There are 16 × 16 crossings, and a pair of diodes at each bit line.
    """
    random = np.random.default_rng(0)
    plain = circuits.topologies.crossbar(
        random.uniform(1e-6, 4e-5, (16, 16)), np.zeros(16), wire_ohms=0.35, sense_ohms=2e4
    )
    law = circuits.DiodeModel(1e-9)
    up = [circuits.Diode(f"p{j}", f"sense{j}", "0", law) for j in range(16)]
    diodes = [*up, *(circuits.Diode(f"n{j}", "0", f"sense{j}", law) for j in range(16))]
    netlist = dataclasses.replace(plain, elements=(*plain.elements, *diodes))
    drives = {f"Vin{i}": random.uniform(-1, 1, 5) for i in range(16)}
    prepared = NODAL.prepare(netlist)
    points, expected = (
        prepared.operating_points(drives),
        simulator.operating_points(netlist, drives),
    )
    assert len(points.node) == 2 * 16 * 16 + 16
    assert set(points.status.values) == set(expected.status.values) == {"ok"}
    np.testing.assert_allclose(
        points.voltage, expected.voltage.sel(node=points.node), rtol=0, atol=1e-9
    )
    again = prepared.operating_points({name: values[2:3] for name, values in drives.items()})
    np.testing.assert_allclose(again.voltage[0], points.voltage[2], rtol=0, atol=1e-12)
    linear = NODAL.operating_points(plain, drives)
    assert set(linear.status.values) == {"ok"}
    assert float(abs(linear.voltage - points.voltage).max()) > 1e-3  # the diodes do something


def test_a_diode_at_many_volts_settles_in_some_iterations():
    hard = circuits.parse(
        "Hard\nV1 a 0 1000\nR1 a b 1\nD1 b c d\nD2 c 0 d\n.model d d(is=1e-16)\n.end\n"
    )
    points = NODAL.operating_points(hard)
    assert points.status.values.tolist() == ["ok"]
    assert points.attrs["iterations"] < 60
    assert 0.9 < points.voltage.sel(node="c").item() < 1.3


@pytest.mark.parametrize(("volts", "ohms"), [(5, "1k"), (50, "1k"), (5, "10"), (50, "10")])
def test_steep_expressions_are_settled_by_shorter_steps(simulator, volts, ohms):
    """The first step of Newton's method would take exp(200 v) to infinity."""
    steep = circuits.parse(
        f"Steep\nV1 a 0 {volts}\nR1 a b {ohms}\nB1 b 0 i=1e-12*(exp(200*v(b))-1)\n.end\n"
    )
    points, expected = (used.operating_points(steep) for used in (NODAL, simulator))
    assert points.status.values.tolist() == ["ok"]
    np.testing.assert_allclose(points.voltage, expected.voltage, rtol=0, atol=1e-12)


def test_a_point_that_does_not_exist_is_marked():
    text = "Nowhere\nV1 a 0 1\nR1 a b 1k\nB1 b 0 i=v(b)^2*sgn(v(b))+{0}*v(b)^2+1\nR2 b 0 1k\n.end\n"
    points = NODAL.operating_points(
        circuits.parse(text.replace("{0}", "2"))
    )  # the current is above 0 at any voltage
    assert points.status.values.item() in ("failed", "uncertified")
    assert points.attrs["stepped"] == 1
    assert NODAL.operating_points(
        circuits.parse(text.replace("{0}", "0"))
    ).status.values.tolist() == ["ok"]  # the control


@pytest.mark.parametrize(
    "load", ["R1 a 0 1meg", "V1 a b 0\nR1 b 0 1meg"], ids=["nodes alone", "with a branch"]
)
def test_a_saddle_is_no_answer(load):
    netlist = circuits.parse(f"Bistable\nB1 a 0 i=v(a)^2*sgn(v(a))*1m-1m*v(a)\n{load}\n.end\n")
    assert NODAL.operating_points(netlist).status.values.tolist() == ["saddle"]


def test_a_transient_is_the_exponential_and_that_of_ngspice(simulator):
    deck = divider(circuits.Capacitor("c", "mid", "0", 1e-9))
    tau = 1e-9 / 4e-3
    ours = NODAL.transient(deck, stop=5 * tau, step=tau / 10, start={"mid": -0.5})
    np.testing.assert_allclose(
        ours.voltage.sel(node="mid"), 0.25 - 0.75 * np.exp(-ours.time / tau), rtol=0, atol=1e-6
    )
    theirs = simulator.transient(deck, stop=5 * tau, step=tau / 200, start={"mid": -0.5})
    expected = np.interp(ours.time, theirs.time, theirs.voltage.sel(node="mid"))
    np.testing.assert_allclose(ours.voltage.sel(node="mid"), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "waveform",
    ["sin(0.2 1 1meg 0.1u 1meg)", "pulse(0 1 0.3u 0.1u 0.2u 0.5u 2u)", "pwl(0 0 1u 1 1.5u -1)"],
)
def test_waveforms_are_those_of_ngspice(waveform, simulator):
    faster = waveform.replace("1meg)", "2meg)")
    netlist = circuits.parse(
        f"Wave\nV1 a 0 {waveform}\nR1 a b 1k\nC1 b 0 50p\nD1 b 0 d\nI1 0 b {faster}\n"
        "R2 b 0 1\nL1 b c 1u\nR3 c 0 10\nC2 c 0 10p\n.model d d(is=1n)\n.end\n"
    )
    ours = NODAL.transient(netlist, stop=3e-6, step=1e-8)
    theirs = simulator.transient(netlist, stop=3e-6, step=1e-9)
    for node in ("b", "c"):
        expected = np.interp(
            ours.time[1:], theirs.time, theirs.voltage.sel(node=node)
        )  # it keeps no time 0
        size = float(np.abs(theirs.voltage.sel(node=node)).max())
        np.testing.assert_allclose(
            ours.voltage.sel(node=node)[1:], expected, rtol=0, atol=3e-3 * size
        )
        assert size > 0.05


def test_noise_is_that_of_ngspice_and_of_the_whole_band(simulator):
    deck = divider(
        circuits.Capacitor("c", "mid", "0", 1e-12),
        circuits.Diode("d", "mid", "0", circuits.DiodeModel(1e-9)),
    )
    ours = NODAL.noise(deck, ["mid"], lowest=1e3, highest=1e11).deviation.values
    theirs = simulator.noise(deck, ["mid"], lowest=1e3, highest=1e11).deviation.values
    np.testing.assert_allclose(ours, theirs, rtol=5e-3)
    whole = np.sqrt(circuits.covariance(deck, None, NODAL.operating_points(deck))[0, 0])
    np.testing.assert_allclose(
        NODAL.noise(deck, ["mid"], lowest=1.0, highest=1e14).deviation, whole, rtol=5e-3
    )


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`tolerance` must be above 0, but is 0"):
        circuits.Nodal(tolerance=0)
    with pytest.raises(circuits.NetlistError, match="these float"):
        NODAL.operating_points(divider(circuits.Capacitor("c", "mid", "out", 1e-12)))
    with pytest.raises(ValueError, match="'Vnone' is none"):
        NODAL.operating_points(divider(), {"Vnone": [1.0]})
    with pytest.raises(
        circuits.NetlistError,
        match="V2 fixes the voltage between 'in' and '0', which other sources fix",
    ):
        NODAL.operating_points(circuits.parse("Loop\nV1 in 0 1\nV2 in 0 2\nR1 in 0 1\n.end\n"))


def test_settings_of_jax_stay_as_they_are():
    before = jax.config.jax_enable_x64
    NODAL.operating_points(divider())
    assert jax.config.jax_enable_x64 == before


STATM = Path("/proc/self/statm")


@pytest.mark.skipif(not STATM.exists(), reason="reads Linux's account of the process's memory")
@pytest.mark.parametrize("chosen", ["ngspice", "nodal"])
def test_many_simulations_keep_memory_flat(chosen, simulator):
    """What a process holds after hundreds of simulations is what it held after the first hundred.

    4 MB aside; their values change.
    """
    used, held = simulator if chosen == "ngspice" else NODAL, []
    for k in range(2000 if os.environ.get("EQPROP_TEST_FULL") == "1" else 300):
        netlist = divider(circuits.Resistor("more", "mid", "0", siemens=1e-5 * (1 + k)))
        assert used.operating_points(netlist).status.values == ["ok"]
        if k % 100 == 99:
            gc.collect()
            held.append(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    assert held[-1] - held[0] < 4 << 20, held


UNCERTIFIABLE = {
    # the slope of a root is infinite at 0 V, where J⁻¹F then is 0
    "root": ("Root\nV1 in 0 1\nR1 in out 1k\nB1 0 out i=-1m*sqrt(v(out))\n", {"out": 0.381966011}),
    # half of the current that flows at most, at a slope of 5e9 S: as good as a jump
    "jump": ("Jump\nV1 in 0 1\nR1 in out 1k\nB1 out 0 i=0.5m*tanh(1e13*v(out))\n", {"out": 0.5}),
    # a triple root: 1e-4 V off leaves a part in 1e12 of the current
    "triple root": (
        "Triple\nI1 0 out 1m\nB1 out 0 i=1m+1m*(v(out)-1)^3*sgn(v(out)-1)\n",
        {"out": 1.0},
    ),
    # the conductance to ground is less than what rounding makes of the other
    "swallowed": (
        "Tied\nI1 0 a 1e-13\nR1 a b 9.765625e-4\nR2 b 0 6.25e12\n",
        {"a": 0.625, "b": 0.625},
    ),
}
"""Circuits of which each was once `ok` and wrong: a quotient by a slope stood for the residual."""


@pytest.mark.parametrize("kind", UNCERTIFIABLE)
def test_what_a_newton_step_says_nothing_about_is_not_certified(kind, simulator):
    deck, right = UNCERTIFIABLE[kind]
    netlist = circuits.parse(deck)
    for one in (NODAL, simulator):
        points = one.operating_points(netlist)
        if points.status.values.tolist() == ["ok"]:
            for node, volts in right.items():
                assert float(points.voltage.sel(node=node)[0]) == pytest.approx(volts, abs=1e-8)
    if kind == "jump":  # found from other voltages than 0, where the law's slope is no jump
        points = NODAL.operating_points(netlist)
        assert points.status.values.tolist() == ["ok"]
        assert float(points.voltage.sel(node="out")[0]) == pytest.approx(right["out"], abs=1e-9)
    if kind == "swallowed":  # the control: nobody can know this
        assert NODAL.operating_points(netlist).status.values.tolist() == ["uncertified"]


@pytest.mark.parametrize("kind", UNCERTIFIABLE)
def test_certificates_see_wrong_voltages(kind):
    """What either simulator once gave, put into the equations: never within the tolerance."""
    netlist = circuits.parse(UNCERTIFIABLE[kind][0])
    equations = circuits.Equations.of(netlist)
    wrong = {"root": [0.0], "jump": [1e-14], "triple root": [1 + 3.7e-6], "swallowed": [0.2, 0.2]}
    certificate = certify(equations, np.array([wrong[kind]]), {})
    assert not certificate.within(1e-9).any(), certificate


def test_what_is_certified_is_right_beside_it():
    """The control: the same circuits, less extreme, are solved and certified."""
    root = circuits.parse(
        "Root\nV1 in 0 1\nR1 in out 1k\nR2 out 0 1meg\nB1 out 0 i=1m*pwr(v(out),0.9)\n"
    )
    jump = circuits.parse("Jump\nV1 in 0 1\nR1 in out 1k\nB1 out 0 i=2m*tanh(1e4*v(out))\n")
    tied = circuits.parse("Tied\nI1 0 a 1e-6\nR1 a b 1\nR2 b 0 1e6\n")
    for netlist in (root, jump, tied):
        assert NODAL.operating_points(netlist).status.values.tolist() == ["ok"], netlist.title


def test_rounding_alone_keeps_a_point_from_being_certified():
    """However small its Newton step; the control is a circuit that hangs on what rounding keeps."""
    for ohms, sure in ((6.25e12, False), (1e6, True)):
        netlist = circuits.parse(f"Tied\nI1 0 a 0\nR1 a b 9.765625e-4\nR2 b 0 {ohms}\n")
        certificate = certify(circuits.Equations.of(netlist), np.array([[0.2, 0.2]]), {})
        assert (certificate.rounding[0] < 1e-6) == sure
    still = np.zeros(1)
    for rounding, known in ((1e-12, True), (1e-3, False)):
        point = Certificate(still, still + rounding, still, still == 0, still == 0)
        assert point.within(1e-9).tolist() == [known]
