"""PySpice: its circuits from netlists and back, and its libngspice as a simulator."""

import ctypes.util
import dataclasses
import importlib
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.netlists import JUNCTION, WAVES, divider, pumped
from helpers.networks import examples, network

import circuits
from circuits.devices.ideal import clamp
from circuits.simulators import ngspice_shared as shared_module

if importlib.util.find_spec("PySpice") is None:
    pytest.skip("PySpice, an optional extra, is not installed", allow_module_level=True)
spice = importlib.import_module("PySpice.Spice.Netlist")
library = importlib.import_module("PySpice.Spice.NgSpice.Shared")
unit = importlib.import_module("PySpice.Unit")

THIRD = 1 / 3
ELEMENTS = [
    circuits.Resistor("a", "mid", "0", siemens=THIRD),
    circuits.ConductanceMatrix(
        "m", ("in", "mid"), ("x", "y"), np.array([[THIRD, 0.0], [1e-5, 3e-4]])
    ),
    circuits.Capacitor("a", "mid", "0", 1e-12 * THIRD),
    circuits.Inductor("a", "mid", "0", 1e-3 * THIRD),
    circuits.VoltageSource("a", "x", "0", THIRD),
    circuits.VoltageSource("a", "x", "0", -THIRD, ac=0.7),
    circuits.VoltageSource("a", "x", "0", 0.25, 0.7, circuits.Sin(THIRD, 1e-3, 50.0, 1e-7, 2.5)),
    circuits.VoltageSource(
        "a", "x", "0", 0.25, 0.7, circuits.Pulse(THIRD, -1.0, 0.0, 1e-9, 2e-9, 3e-6, 1e-5)
    ),
    circuits.VoltageSource("a", "x", "0", 0.25, 0.7, circuits.Pwl((0.0, 1e-7), (THIRD, 1e-30))),
    circuits.CurrentSource("a", "0", "mid", 1e-6 * THIRD, ac=0.7),
    circuits.CurrentSource("a", "0", "mid", 0.25, waveform=circuits.Sin(THIRD, 1e-3, 50.0)),
    circuits.CurrentSource(
        "a", "0", "mid", 0.25, waveform=circuits.Pulse(THIRD, -1.0, 1e-8, 1e-9, 2e-9, 3e-6, 1e-5)
    ),
    circuits.CurrentSource(
        "a", "0", "mid", 0.25, waveform=circuits.Pwl((0.0, 1e-7), (THIRD, 1e-30))
    ),
    circuits.VoltageGain("a", "x", "0", "in", "mid", THIRD),
    circuits.CurrentGain("a", "0", "mid", "Vin", THIRD),
    circuits.Transconductance("a", "0", "mid", "in", "0", THIRD),
    circuits.Transresistance("a", "x", "0", "Vin", THIRD),
    clamp("a", "mid", -0.1, THIRD, 1e4),
    circuits.Diode(
        "a", "mid", "0", circuits.DiodeModel(1e-9 * THIRD, 1.3, name="other"), area=THIRD
    ),
    circuits.Diode("a", "mid", "0", circuits.DiodeModel(1e-9, bandgap=0.69, exponent=2.0)),
    circuits.Mosfet(
        "a",
        "mid",
        "in",
        "0",
        "0",
        circuits.MosfetModel("p", -THIRD, 1e-4, 0.5, 0.7, 0.02, name="pair"),
        1e-6,
        3e-7,
    ),
    circuits.Diode("a", "mid", "0", JUNCTION),
]


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda e: e.lines()[0])
def test_what_pyspice_holds_reads_back_as_it_was(element):
    deck = divider(element, title="Title of 1", header=("What it is.", "And more."))
    circuit = circuits.to_pyspice(deck)
    assert circuits.from_pyspice(circuit) == deck
    assert circuit.title == deck.title
    circuit["Rtop"].resistance = 2 @ unit.u_kΩ
    assert (
        circuits.from_pyspice(circuit)
        == deck.with_elements(circuits.Resistor("top", "in", "mid", siemens=5e-4))
        != deck
    )


def test_its_elements_are_pyspice_s_own():
    sine, diode = ELEMENTS[6], ELEMENTS[18]
    circuit = circuits.to_pyspice(divider(sine, diode))
    assert isinstance(circuit, spice.Circuit)
    assert float(circuit["Va"].amplitude) == sine.waveform.amplitude
    assert float(circuit["Va"].ac_magnitude) == sine.ac
    assert circuit["Da"].area == diode.area
    assert [(model.name, model["N"]) for model in circuit.models] == [
        ("other", diode.model.emission)
    ]


def test_analyses_options_and_temperature_are_the_simulator_s():
    deck = dataclasses.replace(
        divider(),
        analyses=(circuits.OperatingPoint(("mid",)),),
        options="reltol=1e-9",
        temperature=350.0,
    )
    assert circuits.from_pyspice(circuits.to_pyspice(deck)) == divider() != deck


class Delay(circuits.Element):
    """An element of a kind that is not the library's own."""

    letter, name, nodes = "T", "line", ("in", "mid")

    def lines(self):
        return ["Tline in 0 mid 0 50"]


def test_what_it_cannot_hold_is_said():
    leaking = circuits.DiodeModel(1e-9, gmin=1e-9, name="leaking")
    with pytest.raises(
        circuits.NetlistError,
        match="`gmin` of leaking must be 1e-12 for PySpice, whose circuits hold no options, but is",
    ):
        circuits.to_pyspice(divider(circuits.Diode("d", "mid", "0", leaking)))
    with pytest.raises(
        circuits.NetlistError,
        match=r"elements must be of the kinds B, D, I, M, V, R, C, .* for PySpice, "
        r"but Tline is not",
    ):
        circuits.to_pyspice(divider(Delay()))


class Half(spice.SubCircuit):
    """Two equal resistors in series, the middle brought out."""

    def __init__(self):
        super().__init__("half", "top", "middle", "bottom")
        self.R(1, "top", "middle", 2 @ unit.u_kΩ)
        self.R(2, "middle", "bottom", 2000 @ unit.u_Ω)


def written_by_hand():
    circuit = spice.Circuit("By hand: 1st")
    circuit.subcircuit(Half())
    circuit.V("input", 1, circuit.gnd, 10 @ unit.u_V)
    circuit.X("one", "half", 1, "Out", circuit.gnd)
    circuit.C(1, "out", circuit.gnd, 2.5 @ unit.u_uF)
    circuit.I("b", circuit.gnd, "out", 1 @ unit.u_mA)
    circuit.R("off", "out", circuit.gnd, 1 @ unit.u_Ω).enabled = False
    circuit.D(1, "out", 2, model="d1n")
    circuit.R(2, 2, circuit.gnd, "{rload}")
    circuit.parameter("rload", "2*500")
    circuit.model("d1n", "D", is_=4e-9, n=1.5)
    return circuit


def test_a_circuit_written_with_pyspice():
    assert circuits.from_pyspice(written_by_hand()) == circuits.Netlist(
        "By hand: 1st",
        (
            circuits.VoltageSource("input", "1", "0", 10.0),
            circuits.Resistor("one.1", "1", "out", siemens=1 / 2e3),
            circuits.Resistor("one.2", "out", "0", siemens=1 / 2e3),
            circuits.Capacitor("1", "out", "0", 2.5e-6),
            circuits.CurrentSource("b", "0", "out", 1e-3),
            circuits.Diode("1", "out", "2", circuits.DiodeModel(4e-9, 1.5, name="d1n")),
            circuits.Resistor("2", "2", "0", siemens=1e-3),
        ),
    )


def test_pyspice_finds_the_same_voltages(shared, simulator):
    circuit = written_by_hand()
    deck = circuits.from_pyspice(circuit)
    pyspice = circuit.simulator()
    pyspice.options(*deck.options.split())
    point = pyspice.operating_point()
    for one in (shared, simulator):
        points = one.operating_points(deck)
        assert points.status.values.tolist() == ["ok"]
        np.testing.assert_allclose(
            points.voltage[0],
            [point[str(node)].as_ndarray()[0] for node in points.node.values],
            atol=1e-9,
        )


@pytest.mark.parametrize(
    ("smuggle", "message"),
    [
        (
            lambda c: setattr(c, "raw_spice", ".control\nshell touch x\n.endc"),
            r"str\(circuit\), line 2, column 1: commands .* '.control'",
        ),
        (
            lambda c: setattr(c, "raw_spice", "*#shell touch x"),
            r"commands to a simulator are refused, but here is '\*#'",
        ),
        (
            lambda c: c.R("x", 1, 0, 1, raw_spice="`touch x`"),
            "commands to a simulator are refused, but here is a backtick",
        ),
        (
            lambda c: c.R("x", 1, 0, "1\n.control"),
            r"line 6, column 1: commands to a simulator are refused",
        ),
        (
            lambda c: setattr(c, "title", "*ng_script"),
            r"line 1, column 1: commands to a simulator are refused",
        ),
        (lambda c: c.include("/etc/passwd"), ".include is followed in trusted decks alone"),
        (lambda c: c.lib("/etc/passwd", "x"), ".lib is followed in trusted decks alone"),
        (lambda c: c.Q("x", 1, 2, 0, model="npn"), "elements of kind Q are not supported"),
        (
            lambda c: c.D("x", 1, 0, model="nowhere"),
            "'nowhere' must be a model of a diode that the deck defines",
        ),
    ],
)
def test_a_circuit_from_outside_is_data(smuggle, message):
    circuit = circuits.to_pyspice(divider())
    smuggle(circuit)
    with pytest.raises(circuits.DeckError, match=message):
        circuits.from_pyspice(circuit)


def test_only_circuits_are_read():
    with pytest.raises(
        TypeError, match=r"`circuit` must be a PySpice.Spice.Netlist.Circuit, but is a str"
    ):
        circuits.from_pyspice("R1 1 0 1")


def test_a_missing_pyspice_is_said(monkeypatch):
    for module in ("PySpice.Spice.Netlist", "PySpice.Spice.NgSpice.Shared"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'eqprop-circuits\[pyspice\]'"):
        circuits.to_pyspice(divider())
    with pytest.raises(
        circuits.SimulationError,
        match=r"NgspiceShared needs PySpice: pip install 'eqprop-circuits\[pyspice\]'",
    ):
        shared_module._library.__wrapped__()


@pytest.fixture
def shared():
    """libngspice, where it is installed."""
    if ctypes.util.find_library("ngspice") is None:
        pytest.skip("libngspice, which only NgspiceShared needs, is not installed")
    simulator = circuits.NgspiceShared()
    simulator.version()  # which loads it, for PySpice too
    return simulator


def test_operating_points_are_those_of_the_process(shared, simulator):
    net, (xs, _) = network(), examples(6)
    deck, drives = circuits.emit(net), circuits.drives(net, xs)
    for sources in (drives, {name: values[:1] for name, values in drives.items()}):
        here, there = (one.operating_points(deck, sources) for one in (shared, simulator))
        assert set(here.status.values) == {"ok"}
        np.testing.assert_allclose(here.voltage, there.voltage, atol=1e-9)
    assert float(np.ptp(here.voltage.values)) > 0.1
    assert here.attrs["simulator"] == f"{there.attrs['simulator']} (shared)"


def test_currents_of_sources_are_certified_too(shared):
    """Elements that depend on a source's current make it an unknown."""
    deck = divider(
        circuits.CurrentGain("f", "0", "mid", "Vin", 0.25),
        circuits.Transresistance("h", "o", "0", "Vin", 50.0),
    )
    points = shared.operating_points(deck, WAVES)
    assert set(points.status.values) == {"ok"}
    assert float(points.correction.max()) < 1e-12


def test_one_circuit_s_temperature_is_not_another_s(shared, simulator):
    usual = divider(circuits.Diode("d", "mid", "0", JUNCTION))
    for deck in (usual, dataclasses.replace(usual, temperature=350.0), usual):
        here, there = (
            one.operating_points(deck, {"Vin": np.array([1.5, 3.0])}) for one in (shared, simulator)
        )
        assert set(here.status.values) == {"ok"}
        np.testing.assert_allclose(here.voltage, there.voltage, atol=1e-9)


def test_a_point_that_is_given_up_is_marked_and_the_others_are_not(shared, simulator):
    drives = {"Iin": np.array([1e-6, 2e-6, -5e-6, 3e-6, 4e-6])}
    here, there = (one.operating_points(pumped(), drives) for one in (shared, simulator))
    assert (
        here.status.values.tolist()
        == there.status.values.tolist()
        == ["ok", "ok", "failed", "ok", "ok"]
    )
    np.testing.assert_allclose(here.voltage, there.voltage, atol=1e-9)


def test_transients_noise_and_responses_are_those_of_the_process(shared, simulator):
    deck = divider(
        circuits.Capacitor("c", "mid", "0", 4e-12), circuits.Diode("d", "mid", "0", JUNCTION)
    )
    deck = deck.with_elements(circuits.VoltageSource("in", "in", "0", 1.0, ac=1.0))
    here, there = (
        one.transient(deck, stop=5e-9, step=5e-11, start={"mid": -0.5})
        for one in (shared, simulator)
    )
    np.testing.assert_array_equal(here.time, there.time)
    np.testing.assert_allclose(here.voltage, there.voltage, atol=1e-9)
    here, there = (
        one.noise(deck, ["mid"], lowest=1.0, highest=1e6).deviation for one in (shared, simulator)
    )
    np.testing.assert_allclose(here, there, rtol=1e-9)
    here, there = (
        one.small_signal(deck, lowest=1e6, highest=1e10).voltage for one in (shared, simulator)
    )
    np.testing.assert_allclose(here, there, atol=1e-9)
    assert float(np.abs(here.values.imag).max()) > 0.05


def test_circuits_and_plots_of_a_run_are_removed_and_others_stay(shared):
    circuits.to_pyspice(divider()).simulator().operating_point()
    ngspice = library.NgSpiceShared.new_instance()
    before = ngspice.plot_names
    assert len(before) > 1
    shared.noise(pumped(), ["a"], lowest=1.0, highest=10.0)
    shared.operating_points(pumped(), {"Iin": np.array([1e-6, -5e-6])})
    assert ngspice.plot_names == before
    assert "rtop" in ngspice.exec_command("listing")
    ngspice.remove_circuit()


def test_threads_run_one_after_another(shared):
    volts = np.linspace(0.1, 1.0, 8)
    with ThreadPoolExecutor(4) as pool:
        voltages = list(
            pool.map(
                lambda v: float(
                    shared.operating_points(divider(), {"Vin": np.array([v])}).voltage[0, 0]
                ),
                volts,
            )
        )
    np.testing.assert_allclose(voltages, volts / 4, atol=1e-12)


class Library:
    """A stand-in for PySpice's instance that refuses to load a deck, or to run it."""

    ngspice_version, plot_names, stdout, stderr = 39, ("const",), "", "Error: out of luck"

    def __init__(self, refuses):
        self.refuses, self.done = refuses, []

    def __getattr__(self, step):
        def do(*texts):
            self.done.append((step, *texts))
            if step == self.refuses:
                raise library.NgSpiceCommandError(step)

        return do


@pytest.mark.parametrize(("refuses", "steps"), [("load_circuit", 1), ("run", 3)])
def test_what_the_library_refuses_is_said(shared, monkeypatch, refuses, steps):
    stand_in = Library(refuses)
    monkeypatch.setattr(shared_module, "_library", lambda: stand_in)
    secret = dataclasses.replace(divider(), title="Secret title", header=("Secret header.",))
    with pytest.raises(
        circuits.SimulationError,
        match=r"^ngspice-39 \(shared\) reported an error on 'Secret title': Error: out of luck",
    ):
        shared.operating_points(secret)
    assert len(stand_in.done) == steps
    assert "Rtop" in stand_in.done[0][1]
    assert "ecret" not in stand_in.done[0][1]


def test_tolerances_must_make_sense():
    with pytest.raises(ValueError, match=r"`tolerance` must be above 0, but is 0\.0"):
        circuits.NgspiceShared(tolerance=0.0)


BY_PYSPICE = "from PySpice.Spice.NgSpice.Shared import NgSpiceShared; NgSpiceShared.new_instance()"
BY_US = "import circuits; print(circuits.NgspiceShared().version())"


def python(code, folder, **variables):
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_start_up_file_is_read(tmp_path):
    (tmp_path / ".spiceinit").write_text("shell touch ran\n")
    marker = tmp_path / "ran"
    assert python(BY_US, tmp_path).stdout == "ngspice-39 (shared)\n"
    assert not marker.exists()
    python(BY_PYSPICE, tmp_path, NGSPICE_LIBRARY_PATH=ctypes.util.find_library("ngspice"))
    assert marker.exists()  # the control: PySpice alone does run it


def test_a_missing_library_is_said(tmp_path):
    stderr = python(BY_US, tmp_path, NGSPICE_LIBRARY_PATH="libnowhere.so").stderr
    assert "SimulationError: libngspice cannot be loaded from 'libnowhere.so'" in stderr
    assert "apt install libngspice0" in stderr
    forget = "del os.environ['NGSPICE_LIBRARY_PATH']"
    tried = f"import os\ntry: {BY_PYSPICE}\nexcept OSError: {forget}\n{BY_US}"
    assert (
        "start Python again" in python(tried, tmp_path, NGSPICE_LIBRARY_PATH="libnowhere.so").stderr
    )
