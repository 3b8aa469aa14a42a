"""Transients of circuits in which not every unknown has a derivative.

Against closed forms, operating points and ngspice.
"""

import numpy as np
import pytest

import circuits
from circuits import Capacitor, Memristor, Netlist, Resistor
from circuits.memristors import IonDrift

NODAL = circuits.Nodal()
OMEGA, STOP = 2 * np.pi * 1e3, 2e-3
DEVICE = Memristor("m", "series", "0", IonDrift(mobility=1e-11), 0.2)
PAIR = (
    Memristor("up", "in", "mid", IonDrift(mobility=1e-11), 0.3),
    Memristor("down", "0", "mid", IonDrift(mobility=1e-11), 0.6),
)
START = {"p": 0.3, **DEVICE.start, **PAIR[0].start, **PAIR[1].start}

DECK = """Some circuits on one source
V1 in 0 sin(0 1 1k)
* a capacitance between a node and the source
C1 in high 100n
R1 high 0 1k
* no capacitance at all: a divider, a clipper, and sources whose currents are unknown
R2 in half 1k
V2 half sensed 0
R3 sensed 0 1k
H1 amperes 0 V2 1k
R4 in clipped 1k
D1 clipped 0 d
D2 0 clipped d
.model d d(is=1e-9)
* a capacitance that floats
R5 in p 1k
C2 p q 100n
R6 q 0 2k
* a memristor behind a resistor
R7 in series 500
* an inductance
R8 in l 1k
L1 l 0 1
.end
"""


def whole():
    netlist = circuits.parse(DECK)
    return Netlist(
        netlist.title,
        (
            *netlist.elements,
            *(element for device in (DEVICE, *PAIR) for element in device.elements()),
        ),
    )


@pytest.fixture(scope="module")
def solution():
    return NODAL.transient(whole(), stop=STOP, step=5e-6, start=START).voltage


def relaxed(t, rate, first, drive):
    """Return the solution of y' = −rate y + Re(d exp(iωt)) from `first`, d being `drive`."""
    steady = drive / (rate + 1j * OMEGA)
    return np.real(steady * np.exp(1j * OMEGA * t)) + (first - np.real(steady)) * np.exp(-rate * t)


def test_what_has_no_capacitance_follows_at_once(solution):
    volts = np.sin(OMEGA * solution.time.values)
    for node, factor in (("half", 0.5), ("sensed", 0.5), ("amperes", 0.5)):
        np.testing.assert_allclose(solution.sel(node=node), factor * volts, rtol=0, atol=1e-12)


def test_a_clipper_without_capacitance_goes_through_its_operating_points(solution):
    netlist = circuits.parse(
        "Clipper\nV1 in 0 0\nR4 in clipped 1k\nD1 clipped 0 d\nD2 0 clipped d\n"
        ".model d d(is=1e-9)\n.end\n"
    )
    points = NODAL.operating_points(netlist, {"V1": np.sin(OMEGA * solution.time.values)})
    np.testing.assert_allclose(
        solution.sel(node="clipped"), points.voltage.sel(node="clipped"), rtol=0, atol=1e-9
    )
    assert 0.2 < float(abs(points.voltage).max()) < 0.5  # the diodes do conduct


def test_a_source_that_moves_pushes_current_through_a_capacitor(solution):
    t, rate = solution.time.values, 1 / (1e3 * 100e-9)
    np.testing.assert_allclose(
        solution.sel(node="high"), relaxed(t, rate, 0.0, OMEGA), rtol=0, atol=2e-6
    )


def test_a_floating_capacitor_keeps_its_voltage_and_its_ends_follow(solution):
    t, rate = solution.time.values, 1 / (3e3 * 100e-9)
    across = relaxed(t, rate, 0.3, -1j * rate)
    np.testing.assert_allclose(
        solution.sel(node="p") - solution.sel(node="q"), across, rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(
        solution.sel(node="q"), 2 / 3 * (np.sin(OMEGA * t) - across), rtol=0, atol=2e-6
    )


def test_an_inductor_starts_without_current(solution):
    t, rate = solution.time.values, 1e3 / 1.0
    amperes = relaxed(t, rate, 0.0, -1j)
    np.testing.assert_allclose(
        solution.sel(node="l"), np.sin(OMEGA * t) - 1e3 * amperes, rtol=0, atol=2e-6
    )


def test_a_memristor_behind_a_resistor_is_the_root_of_the_flux(solution):
    """With R(x) = R₀ − Δx, R dx/dt = kv integrates to R² = R(x₀)² − 2Δk ∫v dt."""
    model = DEVICE.model
    total, difference = 500 + model.off_ohms, model.off_ohms - model.on_ohms
    speed = model.mobility * model.on_ohms / model.thickness**2
    flux = (1 - np.cos(OMEGA * solution.time.values)) / OMEGA
    ohms = np.sqrt((total - difference * DEVICE.state) ** 2 - 2 * difference * speed * flux)
    np.testing.assert_allclose(
        solution.sel(node=DEVICE.node), (total - ohms) / difference, rtol=0, atol=2e-6
    )
    volts = np.sin(OMEGA * solution.time.values)
    np.testing.assert_allclose(
        solution.sel(node="series"), volts * (1 - 500 / ohms), rtol=0, atol=2e-6
    )
    assert np.ptp(ohms) > 3000  # its state does move


def test_two_memristors_head_to_head_are_a_resistor_between_which_a_node_moves(solution):
    """What one gains the other loses: the charge sets both.

    The node between them has no other element.
    """
    model, (up, down) = PAIR[0].model, PAIR
    ohms = sum(1 / model.siemens(device.state) for device in PAIR)
    charge = (1 - np.cos(OMEGA * solution.time.values)) / OMEGA / ohms
    moved = model.mobility * model.on_ohms / model.thickness**2 * charge
    np.testing.assert_allclose(solution.sel(node=up.node), up.state + moved, rtol=0, atol=2e-6)
    np.testing.assert_allclose(solution.sel(node=down.node), down.state - moved, rtol=0, atol=2e-6)
    expected = np.sin(OMEGA * solution.time.values) / model.siemens(down.state - moved) / ohms
    np.testing.assert_allclose(solution.sel(node="mid"), expected, rtol=0, atol=1e-5)
    assert np.ptp(moved) > 0.1


def test_all_of_it_is_what_ngspice_finds(solution, simulator):
    theirs = simulator.transient(whole(), stop=STOP, step=1e-6, start=START).voltage
    for node in solution.node.values:
        expected = np.interp(solution.time[1:], theirs.time, theirs.sel(node=node))
        np.testing.assert_allclose(solution.sel(node=node)[1:], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "V1 a 0 1\nC1 a 0 1n\nR1 a 0 1k\nH1 h 0 V1 1\n",
            "which other sources fix",
        ),  # its current would need dv/dt
        ("V1 a 0 1\nL1 a b 1\nL2 b 0 2\n", r"index 1"),  # two currents, one derivative
    ],
    ids=["capacitor across a branch", "inductors in series"],
)
def test_circuits_of_a_higher_index_are_refused(lines, message):
    with pytest.raises(circuits.NetlistError, match=message):
        NODAL.transient(circuits.parse(f"Index 2\n{lines}.end\n"), stop=1e-3, step=1e-5)


def test_a_law_without_a_derivative_on_the_way_is_refused():
    """Implicit steps would stand still at √0: v rises from 0 V, as that of |v| does."""
    text = "T\nV1 in 0 1\nR1 in p 1k\nC1 p 0 1u\nB1 p 0 i=1m*{}\n.end\n"
    start = {"p": 0.0}
    with pytest.raises(circuits.SimulationError, match=r"a finite derivative .* has none at 0 s"):
        NODAL.transient(
            circuits.parse(text.format("sqrt(v(p))")), stop=1e-3, step=1e-5, start=start
        )
    smooth = circuits.parse(text.format("abs(v(p))"))
    rising = NODAL.transient(smooth, stop=1e-3, step=1e-5, start=start).voltage.sel(node="p")
    np.testing.assert_allclose(rising[-1], (1 - np.exp(-2.0)) / 2, rtol=1e-6)


def test_a_node_on_capacitors_alone_floats_at_an_operating_point_only():
    elements = (
        Capacitor("c", "a", "0", 1e-9),
        Resistor("r", "b", "0", siemens=1.0),
        Capacitor("d", "e", "f", 1e-9),
    )
    floating = {tuple(f.elements) for f in circuits.lint(Netlist("N", elements)) if f.serious}
    assert floating == {("Cc", "Cd")}
    assert {
        tuple(f.elements)
        for f in circuits.lint(Netlist("N", elements), transient=True)
        if f.serious
    } == {("Cd",)}
