"""The command `circuits run`."""

import json

import pytest

import circuits.commands.cli

DECK = """A divider with a diode
V1 in 0 1
R1 in out 1k
C1 out 0 1n
D1 out 0 d
.model d d(is=1n)
.op
.dc V1 0 1 0.25
.tran 50n 1u uic
.noise v(out) V1 dec 10 1k 1g
.save v(out)
.end
"""


@pytest.fixture
def deck(tmp_path):
    path = tmp_path / "deck.cir"
    path.write_text(DECK)
    return path


def test_both_answers_and_their_difference_are_printed(deck, capsys, simulator):
    assert circuits.commands.cli.main(["run", str(deck), "--compare"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("A divider with a diode: 4 elements, 2 nodes; ngspice-")
    assert [line for line in out if line.startswith(".")] == [
        ".op",
        ".dc V1 0.0 1.0 0.25",
        ".tran 2e-08 1e-06 0 2e-08 uic",
        ".noise v(out) V1 dec 10 1000.0 1000000000.0",
    ]
    at = out.index(".op")
    node, theirs, ours, plain, difference = out[at + 2].split()
    assert node == "out"
    assert abs(float(theirs) - float(ours)) <= 1e-12
    assert abs(float(theirs) - float(plain)) <= 1e-12
    assert float(difference) <= 1e-12
    assert 0.3 < float(ours) < 0.4
    assert out[-1].startswith("largest difference: ")
    assert 0 < float(out[-1].split()[2]) < 1e-3  # the transient's


def test_one_simulator_alone(deck, capsys):
    assert circuits.commands.cli.main(["run", str(deck), "--simulator", "nodal"]) == 0
    out = capsys.readouterr().out
    assert "nodal" in out
    assert "difference" not in out


def test_what_is_wrong_is_one_line_and_status_1(deck, tmp_path, capsys):
    for text, message in (
        (
            DECK.replace("1k", "zero"),
            "circuits: deck.cir, line 3, column 11: a resistance must stand here",
        ),
        (
            DECK.replace(".op", ".control\nshell touch was_here\n.endc"),
            "circuits: deck.cir, line 7, column 1: commands to a simulator",
        ),
        (
            DECK.replace(".op", '.include "x"'),
            "circuits: deck.cir, line 7, column 1: .include is followed in trusted decks alone",
        ),
        (
            DECK.replace("C1 out 0 1n", "C1 out p 1n"),
            "circuits: every node must have a path to ground, but these float: ['p']",
        ),
    ):
        deck.write_text(text)
        assert circuits.commands.cli.main(["run", str(deck), "--simulator", "nodal"]) == 1
        assert capsys.readouterr().err.startswith(message)
    assert circuits.commands.cli.main(["run", str(tmp_path / "none.cir")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_notes_of_the_lint_are_said(deck, capsys):
    deck.write_text(
        DECK.replace(
            "C1 out 0 1n", "C1 out 0 1n\nR9 out open 1k\nC9 open 0 1p\nR8 out end 1k"
        ).replace(".tran", "* .tran")
    )
    circuits.commands.cli.main(["run", str(deck), "--simulator", "nodal"])
    assert "note: node 'end' is touched by R8 alone" in capsys.readouterr().out


STEP = """A step and a response
V1 in 0 0.5 ac 1 pwl(0 0.2 1u 1)
R1 in out 1k
C1 out 0 1n
D1 out 0 d
.model d d(is=1n)
.ac dec 5 10k 100meg
.tran 20n 2u
.save v(out)
.end
"""


def test_responses_and_transients_from_the_operating_point(tmp_path, capsys, simulator):
    """A transient starts at the sources' waveforms at time 0: 0.2 V, not 0.5 V as the point."""
    path = tmp_path / "step.cir"
    path.write_text(STEP)
    assert circuits.commands.cli.main(["run", str(path), "--compare"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert ".ac dec 5 10000.0 100000000.0" in out
    assert float(out[-1].split()[2]) < 1e-4
    netlist = circuits.read(path)
    for used in (simulator, circuits.Nodal()):
        answers = dict(circuits.commands.run.simulate(used, netlist))
        response, transient = (answers[analysis] for analysis in netlist.analyses)
        assert response.voltage.dtype == complex
        assert 0.195 < float(transient.voltage.sel(node="out")[0]) < 0.2  # the diode takes 2 µA
        assert float(transient.voltage.sel(node="out")[-1]) > 0.3
    path.write_text(STEP.replace("R1 in out 1k", "R1 in x 1k\nL1 x out 1u"))
    assert circuits.commands.cli.main(["run", str(path), "--compare"]) == 0
    assert float(capsys.readouterr().out.split()[-2]) < 1e-4


def test_currents_powers_and_all_values_in_a_file(tmp_path, capsys, simulator):
    """An ideal crossbar, whose output is the currents of its columns: 0.2/10k + 0.1/40k, and so on.

    Powers add up to 0 (Tellegen).
    """
    path, output = tmp_path / "crossbar.cir", tmp_path / "values.json"
    path.write_text(CROSSBAR)
    columns = {"i(vb1)": 2.25e-5, "i(vb2)": 1.2e-5}
    for name in ("ngspice", "nodal"):
        command = ["run", str(path), "--simulator", name, "--json", str(output)]
        assert circuits.commands.cli.main(command) == 0
        out = capsys.readouterr().out.splitlines()
        at = next(k for k, line in enumerate(out) if line.startswith("current, A"))
        rows = dict(line.split() for line in out[at + 1 : at + 9])
        assert float(rows["Vb1"]) == pytest.approx(2.25e-5, rel=1e-12)
        at = next(k for k, line in enumerate(out) if line.startswith("power, W"))
        powers = [float(line.split()[1]) for line in out[at + 1 : at + 9]]
        assert sum(powers) == pytest.approx(0.0, abs=1e-18)

        point, sweep, response, transient = json.loads(output.read_text())
        assert (point["line"], point["axis"]) == (".op", None)
        assert {key: point["values"][key] for key in columns} == pytest.approx(columns, rel=1e-12)
        assert point["values"]["v(w1)"] == 0.2
        assert point["values"]["@r11[i]"] == pytest.approx(2e-5)
        assert point["values"]["@r11[p]"] == pytest.approx(4e-6)
        assert sweep["axis"] == {"name": "v-sweep", "values": [0.0, 0.2, 0.4]}
        assert sweep["values"]["i(vb1)"] == pytest.approx([2.5e-6, 2.25e-5, 4.25e-5], rel=1e-12)
        assert sweep["values"]["v(w1)"] == [0.0, 0.2, 0.4]
        assert response["axis"]["name"] == "frequency"
        real, imaginary = response["values"]["i(vb1)"][0]
        assert (real, imaginary) == pytest.approx((0.0, 1e-4), abs=1e-12)  # ac 1 90 over 10 kΩ
        assert transient["axis"]["name"] == "time"
        assert transient["values"]["i(vb1)"][-1] == pytest.approx(2.25e-5, rel=1e-9)


CROSSBAR = """An ideal crossbar
Vr1 w1 0 0.2 ac 1 90
Vr2 w2 0 0.1
R11 w1 b1 10k
R12 w1 b2 20k
R21 w2 b1 40k
R22 w2 b2 50k
Vb1 b1 0 0
Vb2 b2 0 0
.op
.dc Vr1 0 0.4 0.2
.ac lin 1 1k 1k
.tran 1u 10u
.print op i(Vb1) i(Vb2)
.end
"""
