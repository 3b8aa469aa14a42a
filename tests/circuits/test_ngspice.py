"""ngspice as a simulator: right answers, and no wrong ones in silence."""

import dataclasses
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.netlists import JUNCTION, WAVES, divider, program, pumped, raw_body
from helpers.networks import PAIR, examples, network

import circuits
import eqprop as ep
from circuits.simulators.raw import RawError, read


def test_a_sweep_is_its_points(simulator):
    deck = divider(circuits.Diode("d", "mid", "0", JUNCTION))
    batch = simulator.operating_points(deck, WAVES)
    assert set(batch.status.values) == {"ok"}
    assert batch.attrs["simulator"].startswith("ngspice-")
    for k in range(4):
        one = simulator.operating_points(deck, {"Vin": WAVES["Vin"][k : k + 1]})
        np.testing.assert_allclose(batch.voltage[k], one.voltage[0], atol=1e-10)
    np.testing.assert_allclose(
        simulator.operating_points(divider(), WAVES).voltage[:, 0], WAVES["Vin"] / 4, atol=1e-12
    )


def test_currents_are_driven_too(simulator):
    deck = divider(circuits.CurrentSource("b", "0", "mid", 1e-3))
    points = simulator.operating_points(deck, {"Ib": np.array([0.0, 2e-3])})
    np.testing.assert_allclose(points.voltage[:, 0], [0.25, 0.75], atol=1e-12)


def test_the_emitted_deck_runs_under_plain_ngspice(simulator, tmp_path):
    net, (xs, ys) = network(), examples(1)
    deck = circuits.emit(net, xs[0], y=ys[0], cost=ep.SquaredError(), beta=0.1)
    deck.save(tmp_path / "net.cir")
    done = subprocess.run(
        [simulator.command, "-b", "net.cir"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    printed = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("0\t")]
    expected = simulator.operating_points(deck).voltage.sel(node=["out0", "out1"]).values[0]
    np.testing.assert_allclose(
        np.array(printed[0], float), expected, rtol=3e-6
    )  # it prints seven digits


def test_a_transient_is_the_exponential(simulator):
    deck = divider(circuits.Capacitor("c", "mid", "0", 4e-12))
    tau = 4e-12 / 4e-3
    transient = simulator.transient(deck, stop=5 * tau, step=tau / 200, start={"mid": -0.5})
    times = transient.time.values
    assert np.all(np.diff(times) > 0)
    np.testing.assert_allclose(
        transient.voltage[:, 0], 0.25 - 0.75 * np.exp(-times / tau), atol=1e-4
    )
    with pytest.raises(circuits.NetlistError, match="`start` must name nodes"):
        simulator.transient(deck, stop=tau, step=tau, start={"nid": 1.0})


def test_the_stand_in_can_answer(tmp_path):
    """The control of the tests below: given the right answer, the stand-in passes."""
    points = program(tmp_path, raw_body(["v(mid)"], [0.25])).operating_points(divider())
    assert points.status.values.tolist() == ["ok"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("kill -SEGV $$", "was ended by signal SIGSEGV"),
        ("sleep 30", r"did not end within the time limit of 2.0 s"),
        (
            "echo 'Error: no such model'; exit 1",
            "reported an error on 'Divider': Error: no such model",
        ),
        ("exit 0", "gave no result"),
        (raw_body(["v(mid)", "v(more)"], [0.25, 0.1]), r"returned others: \['v\(more\)'\]"),
        (raw_body(["v(other)"], [0.25]), r"returned others: \['v\(mid\)', 'v\(other\)'\]"),
        ("printf 'rubbish' > out.raw", "left a result that cannot be read"),
        (
            raw_body(["v(mid)"], [0.25], say="echo 'Fatal error: out of luck' >&2"),
            "Fatal error: out of luck",
        ),
    ],
)
def test_what_ngspice_does_wrong_is_said(tmp_path, body, message):
    with pytest.raises(circuits.SimulationError, match=message):
        program(tmp_path, body).operating_points(divider())


def test_a_wrong_answer_is_not_certified(tmp_path):
    points = program(tmp_path, raw_body(["v(mid)"], [0.26])).operating_points(divider())
    assert points.status.values.tolist() == ["uncertified"]
    np.testing.assert_allclose(points.correction, 0.01)


def test_a_saddle_is_not_ok(simulator):
    points = simulator.operating_points(
        divider(circuits.Transconductance("nudge", "0", "mid", "0", "mid", -5e-3))
    )
    assert points.status.values.tolist() == ["saddle"]


def test_a_point_that_ngspice_gives_up_is_marked_and_the_others_are_not(simulator):
    amperes = np.array([1e-6, 2e-6, -5e-6, 3e-6, 4e-6])
    points = simulator.operating_points(pumped(), {"Iin": amperes})
    solved = points.status.values != "failed"
    assert solved.tolist() == [True, True, False, True, True]
    assert np.isnan(points.voltage.values[2, 0])
    assert float(points.correction[solved].max()) < 1e-9
    alone = simulator.operating_points(pumped(), {"Iin": amperes[2:3]})
    assert alone.status.values.tolist() == ["failed"]


@pytest.mark.parametrize(
    "say",
    [
        "doAnalyses: DC: Timestep too small; vsweep_counter = 2: trouble",
        "doAnalyses: iteration limit reached",
    ],
)
def test_a_failed_point_is_found_whatever_ngspice_says(tmp_path, say):
    """A stand-in that fails on the third sample, saying where or not, and answers 0 V to others."""
    one, two = (
        raw_body(["v(mid)"], [0.0] * n, points=n, plot="DC transfer characteristic") for n in (1, 2)
    )
    lost = raw_body(
        ["v(mid)"], [], points=0, plot="DC transfer characteristic", say=f"echo '{say}'"
    )
    body = (
        f"if grep -q 2.5 deck.cir; then {lost}; "
        f"elif grep -q '^.dc.* 0 1 1' deck.cir; then {two}; else {one}; fi"
    )
    points = program(tmp_path, body).operating_points(
        divider(), {"Vin": np.array([0.0, 0.0, 2.5, 0.0])}
    )
    assert points.status.values.tolist() == ["ok", "ok", "failed", "ok"]


def test_a_missing_ngspice_is_said():
    with pytest.raises(
        circuits.SimulationError, match=r"'no-such-ngspice' cannot be run: .* install ngspice"
    ):
        circuits.Ngspice(command="no-such-ngspice").operating_points(divider())
    with pytest.raises(
        circuits.SimulationError, match=r"`command` must be ngspice, but '.*/true' answers"
    ):
        circuits.Ngspice(command="true").version()


def test_floating_nodes_never_reach_ngspice(tmp_path):
    marker = tmp_path / "ran"
    with pytest.raises(circuits.NetlistError, match="these float"):
        program(tmp_path, f"touch {marker}").operating_points(
            divider(circuits.Resistor("lost", "p", "q", siemens=1.0))
        )
    assert not marker.exists()


@pytest.mark.parametrize(
    ("drives", "message"),
    [
        ({"Vout": np.ones(2)}, "`drives` must name sources of the netlist .* but 'Vout' is none"),
        ({"Vin": np.array([1.0, np.nan])}, "`drives` must be finite, but 'Vin' is nan"),
        ({"Vin": np.ones((2, 2))}, "`drives` must hold one value for each sample and source"),
        ({"Vin": np.ones(0)}, "`drives` must hold one value for each sample and source"),
    ],
)
def test_drives_must_fit(drives, message, simulator):
    with pytest.raises(ValueError, match=message):
        simulator.operating_points(divider(), drives)


def test_ngspice_runs_in_a_private_folder_without_start_up_files(tmp_path, monkeypatch, simulator):
    """A start-up file in the home or the current folder would be run by ngspice."""
    marker = tmp_path / "ran"
    for name in (".spiceinit", "spice.rc"):
        (tmp_path / name).write_text(f"shell touch {marker}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    simulator.operating_points(divider(), WAVES)
    assert not marker.exists()
    deck = divider().save(tmp_path / "deck.cir")
    subprocess.run(
        [simulator.command, "-b", deck.name],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        check=False,
    )
    assert marker.exists()  # the control: plain ngspice does run it


def test_no_process_is_left_after_a_time_limit(tmp_path):
    with pytest.raises(circuits.SimulationError, match="time limit"):
        program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; wait").operating_points(divider())
    state = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    "data", [b"rubbish", b"Title: x\nFlags: complex\nVariables:\nBinary:\n", b"Title: x\nBinary:\n"]
)
def test_a_damaged_raw_file_is_said(data):
    with pytest.raises(RawError):
        read(data)


def test_reduced_and_whole_agree_in_ngspice_and_a_lost_conductance_does_not(simulator):
    net, (xs, _) = network(PAIR), examples(4)
    whole, sources = circuits.emit(net), circuits.drives(net, xs)
    full = simulator.operating_points(whole, sources).voltage
    small, fewer = circuits.reduce(whole, sources)
    np.testing.assert_allclose(
        simulator.operating_points(small, fewer).voltage.sel(node=full.node), full, atol=1e-9
    )
    norton = next(
        e for e in small.elements if e.name == "norton_h3" and isinstance(e, circuits.Resistor)
    )
    wrong = small.with_elements(dataclasses.replace(norton, siemens=norton.siemens * 1.01))
    assert (
        float(
            np.abs(
                simulator.operating_points(wrong, fewer).voltage.sel(node=full.node) - full
            ).max()
        )
        > 1e-6
    )


def test_a_transient_that_ends_early_is_said(tmp_path):
    deck = divider(circuits.Capacitor("c", "mid", "0", 4e-12))
    body = raw_body(["time", "v(mid)"], [0.0, 0.0, 1e-12, 0.1], points=9, plot="Transient Analysis")
    with pytest.raises(
        circuits.SimulationError, match="must simulate 'Divider' to 1e-09 s, but ended at 1e-12 s"
    ):
        program(tmp_path, body).transient(deck, stop=1e-9, step=1e-11)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda s, d: s.transient(d, stop=-1.0, step=1e-9),
            "`stop` must be finite and above 0, but is -1.0",
        ),
        (
            lambda s, d: s.transient(d, stop=1e-9, step=1e-9, start={"mid": np.nan}),
            "`start` must be finite, but is nan at mid",
        ),
        (
            lambda s, d: s.transient(d, stop=1e-9, step=1e-9, start={"in": 1.0}),
            "`start` must name free nodes",
        ),
        (lambda s, d: s.noise(d, ["mid"], lowest=1.0, highest=0.5), "0 < lowest < highest"),
        (
            lambda s, d: s.noise(d, ["mud"], lowest=1.0, highest=2.0),
            "'mud' is none; did you mean 'mid'",
        ),
        (lambda s, d: circuits.reduce(d, {"Vtypo": np.ones(2)}), "'Vtypo' is none"),
        (
            lambda s, d: circuits.reduce(d, {"Vin": np.array([np.nan])}),
            "`drives` must be finite, but 'Vin' is nan",
        ),
        (lambda s, d: circuits.Ngspice(timeout=-1.0), "`timeout` must be above 0, but is -1.0"),
    ],
)
def test_what_is_asked_must_make_sense(ask, message, simulator):
    with pytest.raises(ValueError, match=message):
        ask(simulator, divider(circuits.Capacitor("c", "mid", "0", 4e-12)))


def test_titles_and_headers_never_reach_ngspice(tmp_path):
    saved = tmp_path / "seen"
    deck = circuits.Netlist("Secret title", divider().elements, ("Secret header.",))
    program(tmp_path, f"cp deck.cir {saved}\n" + raw_body(["v(mid)"], [0.25])).operating_points(
        deck
    )
    assert "Rtop" in saved.read_text()
    assert "ecret" not in saved.read_text()
