"""Decks from outside: read as data, written back the same, refused where they run a command."""

import importlib.util
import random
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.networks import network
from hypothesis import given, settings
from hypothesis import strategies as st

import circuits
from circuits.elements.expressions import Constant, Current, Operation, Voltage, evaluate
from circuits.spice.numbers import number

DECK = """* An amplifier, by someone else
* what it is
.param rl=2k g={1/rl} twice={2*rl}
.subckt cell a b params: r=1k
.param half={r/2}
R1 a m {r*2}  ; on the way in
R2 m b 'half*2'
D1 m 0 dm
.model dm D(IS=1e-12 N=1.5)
.ends cell
.model dm d is=1n
Vin in 0 dc 1 ac 1 sin(0 1
+ 1k)
X1 in out cell r={rl}
X2 out gnd cell
D2 out 0 dm area=2 $ a comment
E1 e 0 out 0 2
Re e f 1k
F1 0 f Vin 0.5
Rf f GND 1k
H1 h 0 vin 10
Rh h 0 1k
G1 0 f out 0 {g}
B1 q 0 v={rl}*1m*v(out)^2+i(vin)
Rq q 0 1
L1 q z 1m
Rz z 0 10
Cz z 0 1u
I1 0 z pulse(0 1m 0 1n 1n 1u 2u)
I2 0 z pwl(0 0 1u 1m)
.options gmin=1e-12 reltol=1e-11 vntol=1e-12 abstol=1e-18
.op
.tran 1u 1m uic
.ic v(z)=0.5
.ac dec 10 1 1meg
.dc Vin 0 1 0.25
.noise v(out) Vin dec 10 1 1k
.save v(out) v(z) i(vin)
.end
"""


def deck(*lines):
    return "\n".join(["Deck", *lines, ".end", ""])


def test_a_deck_reads_as_it_says():
    netlist = circuits.parse(DECK)
    assert netlist.title == "An amplifier, by someone else"
    assert netlist.header == ("what it is",)
    by_name = {e.letter + e.name: e for e in netlist.elements}
    assert by_name["R1.1"] == circuits.Resistor("1.1", "in", "x1.m", siemens=1 / 4000.0)
    assert by_name["R2.2"] == circuits.Resistor("2.2", "x2.m", "0", siemens=1 / 1000.0)
    assert by_name["D1.1"].model.saturation == 1e-12
    assert by_name["D2"].model.saturation == 1e-9
    assert by_name["H1"].source == "Vin"
    assert by_name["G1"].siemens == 1 / 2000.0
    assert by_name["Vin"].waveform == circuits.Sin(0.0, 1.0, 1000.0)
    assert by_name["Vin"].volts == 1.0
    assert by_name["Rf"].minus == "0"
    assert [type(a).__name__ for a in netlist.analyses] == [
        "OperatingPoint",
        "Transient",
        "SmallSignal",
        "DcSweep",
        "Noise",
    ]
    assert netlist.analyses[1].start == (("z", 0.5),)
    np.testing.assert_allclose(netlist.analyses[3].values, [0, 0.25, 0.5, 0.75, 1.0])
    assert netlist.analyses[0].nodes == ("out", "z")


@pytest.mark.parametrize(
    "text",
    [
        DECK,
        deck("R1 a 0 1"),
        deck("V1 in+ 0 1", "R1 in+ x.1[2] 3", "B1 x.1[2] 0 i=v(in+,x.1[2])*1m"),
    ],
)
def test_what_is_read_is_written_back_the_same(text):
    netlist = circuits.parse(text)
    again = circuits.parse(netlist.spice())
    assert again == netlist
    assert again.elements == netlist.elements


def test_a_network_is_read_back_the_same():
    for device in (
        None,
        circuits.DiodePair(1e-9, 0.1),
        circuits.IdealPair(0.2),
        circuits.Curve([-1.0, 0.0, 1.0], [-1e-6, 0.0, 3e-6]),
    ):
        netlist = circuits.emit(network(device, sizes=(3, 4, 2)))
        assert circuits.parse(netlist.spice()) == netlist
    assert (
        circuits.parse(netlist.spice().replace("Rg1_in0p_h0 in0p h0 ", "Rg1_in0p_h0 in0p h0 1"))
        != netlist
    )  # the control


def test_ngspice_reads_the_original_as_we_do(simulator, tmp_path):
    """The original goes to ngspice as it is, which only a test with a deck of its own may do."""
    plain = (
        DECK.replace(".tran 1u 1m uic\n", "")
        .replace(".ic v(z)=0.5\n", "")
        .replace(".ac dec 10 1 1meg\n", "")
    )
    plain = (
        plain.replace(".dc Vin 0 1 0.25\n", "")
        .replace(".noise v(out) Vin dec 10 1 1k\n", "")
        .replace(".save v(out) v(z) i(vin)\n", "")
    )
    (tmp_path / "deck.cir").write_text(plain)
    subprocess.run(
        [simulator.command, "-n", "-b", "-r", "out.raw", "deck.cir"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    plot = circuits.simulators.raw.read((tmp_path / "out.raw").read_bytes())[0]
    point = simulator.operating_points(circuits.parse(plain))
    assert point.status.values.tolist() == ["ok"]
    for node in ("out", "x1.m", "e", "f", "h", "q", "z"):
        np.testing.assert_allclose(
            point.voltage.sel(node=node), plot.values[f"v({node})"], rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-1.5e-3", -1.5e-3),
        ("4.7k", 4.7e3),
        ("2.5megohm", 2.5e6),
        ("2.5MEG", 2.5e6),
        ("1M", 1e-3),
        ("10pF", 10e-12),
        ("3mil", 3 * 25.4e-6),
        ("1e3k", 1e6),
        ("1a", 1.0),
        ("3e", 3.0),
        (".5u", 0.5e-6),
        ("1t", 1e12),
        ("2g", 2e9),
        ("7n", 7e-9),
        ("1f", 1e-15),
        ("x", None),
        ("1..2", None),
        ("--1", None),
        ("", None),
        ("1_000", None),
    ],
)
def test_numbers_are_spices(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+3*4", 14.0),
        ("(2+3)*4", 20.0),
        ("-2**2", -4.0),
        ("(-2)^3", 8.0),  # |x|^y
        ("2^3^2", 64.0),  # from the left
        ("6-2-1", 3.0),
        ("8/4/2", 1.0),
        ("2*-3", -6.0),
        ("2^-1", 0.5),
        ("a<0 ? 1 : 2", 2.0),
        ("min(1,2)+max(3,4)+abs(-1)", 6.0),
        ("1k/1meg", 1e-3),
        ("sqrt(4)+ln(1)+exp(0)", 3.0),
        ("u(0)", 0.5),
        ("pwl(3,0,0,1,1,2,5)", 9.0),
        ("a && 0 || 1", 1.0),
        ("a==3", 1.0),
        ("a!=3", 0.0),
        ("2*pi", 2 * np.pi),
    ],
)
def test_parameters_mean_what_ngspice_makes_of_them(text, expected):
    netlist = circuits.parse(deck(".param a=3", f"V1 x 0 {{{text}}}", "R1 x 0 1"))
    np.testing.assert_allclose(netlist.elements[0].volts, expected, rtol=1e-15)


VALUES = {"a": 0.3, "b": -1.7}
IN_SPICE = """v(a)*v(b)-v(a)/v(b); v(b)^3; pow(v(b),2); pwr(v(b),3); exp(v(a)); ln(v(a)); log(v(a));
log10(v(a));
sin(v(b)); cos(v(b));
tan(v(a)); asin(v(a)); acos(v(a)); atan(v(b)); sinh(v(a)); cosh(v(a)); tanh(v(b)); u(v(a));
uramp(v(b));
sgn(v(b)); min(v(a),v(b));
max(v(a),v(b)); abs(v(b)); sqrt(v(a)); v(a)<v(b) ? 1 : 2+v(a); pwl(v(b),-1,0,0,1,1,5); v(a,b)*2;
-v(b)^2; 10*i(Va);
(v(a)>0 && v(b)>0)+(v(a)>=0 || v(b)<=0)*2""".replace("\n", " ").split("; ")


def test_expressions_mean_what_ngspice_makes_of_them(simulator):
    lines = [f"B{k} n{k} 0 v={text}" for k, text in enumerate(IN_SPICE)] + [
        f"R{k} n{k} 0 1" for k in range(len(IN_SPICE))
    ]
    netlist = circuits.parse(
        deck(f"Va a 0 {VALUES['a']}", f"Vb b 0 {VALUES['b']}", "Ra a 0 2", "Rb b 0 1", *lines)
    )
    v = simulator.operating_points(netlist)
    assert v.status.values.tolist() == [
        "ok"
    ]  # the equations, with our expressions, hold at ngspice's voltages
    values = {Voltage(n): np.array([x]) for n, x in VALUES.items()}
    values |= {Voltage("a", "b"): np.array([2.0]), Current("Va"): np.array([-0.15])}
    sources = [e for e in netlist.elements if e.letter == "B"]
    for k, source in enumerate(sources):
        np.testing.assert_allclose(
            np.broadcast_to(evaluate(source.expression, values)[0], 1),
            v.voltage.sel(node=f"n{k}"),
            rtol=1e-12,
        )


@pytest.mark.parametrize("text", IN_SPICE)
def test_slopes_are_those_of_the_values(text):
    source = circuits.parse(deck(f"B1 n 0 v={text}", "R1 n 0 1", "Va a 0 1", "Vb b 0 1")).elements[
        0
    ]
    at = {
        c: np.array([0.3 if str(c).endswith("(a)") else 0.45 if isinstance(c, Current) else -1.7])
        for c in source.controls
    }
    slopes = evaluate(source.expression, at)[1]
    for control in source.controls:
        up, down = (
            evaluate(source.expression, at | {control: at[control] + h})[0] for h in (1e-6, -1e-6)
        )
        np.testing.assert_allclose(slopes[control], (up - down) / 2e-6, rtol=1e-6, atol=1e-9)


# --- what is refused, and where


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("R1 a 0", r"line 2, column 6: a resistance must follow"),
        (
            "R1 a 0 zero",
            r"line 2, column 8: a resistance must stand here, a number or an expression in braces, "
            r"but 'zero' does",
        ),
        (
            ".model m d(rs=1)\nD1 a 0 m area=0",
            r"line 3, column 1: the area of D1 must be above 0, but is 0",
        ),
        ("R1 a 0 1 tc3=2", "'tc3' is not supported here; what is: tc1, tc2, tc"),
        ("V1 a 0 1 2", "line 2, column 10: the line must end here: the source has a value"),
        ("R1 a 0 {1+}", r"line 2, column 11: a number, a name or a bracket must stand here"),
        ("R1 a 0 {x}", r"line 2, column 9: 'x' is no parameter that the deck defines"),
        ("R1 a 0 {1/0}", "must have a finite value"),
        ("C1 a 0 {v(a)}", "no voltages and currents"),
        ("R1 a 0 1e999", "must be finite"),
        ("Q1 a b 0 npn", r"line 2, column 1: elements of kind Q are not supported"),
        ("D1 a 0 none", r"column 8: 'none' must be a model of a diode that the deck defines"),
        ("X1 a 0 none", "must be a subcircuit that the deck defines"),
        ("B1 a 0 q=1", "i=… or v=… must stand here"),
        ("B1 a 0 i=foo(v(a))", "'foo' is no function that is supported"),
        ("B1 a 0 i=min(v(a))", "min must have 2 arguments, but has 1"),
        ("B1 a 0 i=" + "(" * 200 + "1" + ")" * 200, "brackets may nest 50 deep"),
        ("B1 a 0 i=v(a)" + "+v(a)" * 200, "may nest 100 deep"),
        ("F1 a 0 Vnone 1", "currents must be those of voltage sources|are none"),
        ("V1 a 0 pulse(0 1)", "pulse must have 7 values above 0 where the deck has no .tran"),
        ("V1 a 0 pulse(0)", "pulse must have 2 to 8 values, but has 1"),
        ("V1 a 0 pwl(0 0 1 1 1 2 1 3)", "`times` must increase"),
        ("F1 a 0 R9 1\nR1 a 0 1", "line 2, column 1: 'r9' must be an element of the deck whose"),
        ("B1 a 0 v=i(M1)\n.model m nmos()\nM1 a a 0 0 m", "the current of M1 cannot be measured"),
        (
            ".dc C1 0 1 1\nC1 a 0 1",
            "line 2, column 5: an independent source or a resistor of the deck must stand",
        ),
        (".func f(x)", r"\.func must hold name\(arguments\) \{expression\}"),
        (".func f(x) {x+y}\nB1 a 0 v=f(1)", "line 2, column 15: 'y' is no parameter"),
        (".func f(x) {f(x)}\nB1 a 0 v=f(v(a))", "nest too deep|brackets may nest"),
        ("E1 a 0 poly(2) b 0 c 0", "a polynomial must have 1 to 60 coefficients, but has 0"),
        ("V1 a 0 4 dc 5", "line 2, column 10: the source has a value already"),
        (".model m npn", "models of kind 'npn' are not supported"),
        (".model m d(is=1 bvj=5)", "'bvj' is not supported here; what is"),
        (".model m d(is=-1)", "`saturation` must be finite and above 0"),
        (".model m d(is=1 rs=-1)", "rs must be finite and at least 0, but is -1.0"),
        (".options rshunt=1e9", "'rshunt' is not supported as an option"),
        (
            ".temp cold",
            "a temperature must be a number of degrees Celsius above -273.15, but is 'cold'",
        ),
        (
            ".temp -300",
            "a temperature must be a number of degrees Celsius above -273.15, but is '-300'",
        ),
        (".temp 27 85", r"\.temp must give one temperature"),
        (".options tnom=25\n.model m nmos()", "tnom of a transistor is supported as 27 alone"),
        (".model m nmos(tox=1e-8)", "'tox' is not supported here; what is: level, vto, kp, gamma"),
        (".model m nmos(level=3)", "level is supported as 1.0 alone, but is 3.0"),
        (".model m npn(bf=100)", "models of kind 'npn' are not supported; what is: d, nmos, pmos"),
        (".model m pmos(kp=-1)", "`transconductance` must be finite and above 0"),
        (
            ".model m d()\nD1 a 0 m dtemp=10",
            "D1 must have the temperature of the deck, 27 °C, but has 37 °C",
        ),
        (".model m d()\nD1 a 0 m temp=50", "D1 must have the temperature of the deck"),
        (".model m nmos(cj=1m)\nM1 a b c 0 m ad=1p", "ad of M1 must be 0"),
        (".model m d()\nM1 a b c 0 m", "'m' must be a model of a transistor that the deck defines"),
        (".model m nmos()\nM1 a b c 0 m w=1u l=0", "`length` of 1 must be finite and above 0"),
        (".step param x 1 2 1", r"\.step is not supported"),
        (".tran 1", "an end must follow"),
        (".tran 1 -1", "`step` must be finite and above 0"),
        (".dc V1 0 1 -1\nV1 a 0 1", "`step` must lead from"),
        (".include file.cir", r"\.include is followed in trusted decks alone"),
        (".param a=1\n.param a=2", "parameter 'a' is defined twice"),
        (".param a={b} b={a}\nR1 x 0 {a}", "depends on itself"),
        (".subckt s a\nR1 a 0 1", "must end with .ends"),
        (".subckt s a x=\nR1 a 0 1\n.ends", "a value must follow '='"),
        (".param a=", "a value must follow '='"),
        (".param a= b=1", "a value must follow '='"),
        (".ends", "none is open"),
        ("R1 a 0 1\nr1 a 0 1", "line 3, column 1: element R1 stands twice"),
        ("+ 1", "a continuation"),
        ("R1 a 0 1\x00", "control characters"),
        ("R1 ä 0 1", "plain ASCII outside of comments"),
        ("R1 a" + " " * 200_000 + "0 1", "a line may have 100000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(line, message):
    with pytest.raises(circuits.NetlistError, match=message):
        circuits.Equations.of(circuits.parse(deck(*line.split("\n"))))


def test_what_changes_nothing_is_read_and_what_is_left_out_is_noted():
    """The controls of two refusals: the deck's own temperature, and areas without `cj`."""
    models = (".model m d()", ".model t nmos()", ".temp 50")
    lines = ("D1 a 0 m temp=50 ic=0.5", "M1 a b c 0 t ad=1p as=1p", "R1 a 0 1", "R2 b c 1")
    with pytest.warns(UserWarning, match="line 5: the initial voltage of D1 is left out"):
        circuits.parse(deck(*models, *lines))


def test_errors_in_a_continuation_and_a_subcircuit_have_their_own_place():
    with pytest.raises(circuits.DeckError) as caught:
        circuits.parse(deck("R1 a", "* between", "+ 0", "+   zero"))
    assert (caught.value.line, caught.value.column) == (5, 5)
    with pytest.raises(circuits.DeckError) as caught:
        circuits.parse(deck("X1 a cell", ".subckt cell p", "R1 p 0 none", ".ends"))
    assert (caught.value.line, caught.value.column) == (4, 8)


RUNS = [
    "*#shell touch {file}",
    "*# shell touch {file}",
    "  *#shell touch {file}",
    ".control\nshell touch {file}\n.endc",
    "  .CONTROL\nshell touch {file}\n.endc",
    ".controlled\nshell touch {file}\n.endc",
    ".control\nshell touch {file}",
    ".subckt s a\n.control\nshell touch {file}\n.endc\n.ends",
    "R9 `touch {file}` 0 1",
    "R9 a 0 1\n+ `touch {file}`",
    ".end\n.control\nshell touch {file}\n.endc\n.end",
    ".end\n*#shell touch {file}",
    "A1 [a] [b] filesource\n.model filesource filesource (file={file})",
    "B9 a 0 v=`touch {file}`",
    '.param x={{system("touch {file}")}}',
    ".write {file}",
    ".meas op x param=`touch {file}`",
]


@pytest.mark.parametrize("body", RUNS)
def test_a_deck_that_runs_a_command_is_refused_and_nothing_is_run(body, tmp_path, simulator):
    """With ngspice behind it, for the case that it were not refused."""
    file = tmp_path / "was_here"
    text = deck("V1 a 0 1", "R1 a 0 1", *body.format(file=file).split("\n"))
    with pytest.raises(circuits.DeckError):
        simulator.operating_points(circuits.parse(text))
    assert not file.exists()


@pytest.mark.parametrize("title", ["*ng_script", "*#shell touch {file}", "`touch {file}`"])
def test_a_title_that_runs_a_command_is_refused(title, tmp_path, simulator):
    file = tmp_path / "was_here"
    with pytest.raises(circuits.DeckError):
        simulator.operating_points(
            circuits.parse(
                f"{title.format(file=file)}\nshell touch {file}\nV1 a 0 1\nR1 a 0 1\n.end\n"
            )
        )
    assert not file.exists()


def test_ngspice_itself_would_have_run_it(tmp_path, simulator):
    """The control: the same deck, given to ngspice as it is."""
    file = tmp_path / "was_here"
    (tmp_path / "deck.cir").write_text(
        deck("V1 a 0 1", "R1 a 0 1", ".control", f"shell touch {file}", ".endc")
    )
    subprocess.run(
        [simulator.command, "-n", "-b", "deck.cir"], cwd=tmp_path, check=False, capture_output=True
    )
    assert file.exists()


def test_comments_are_not_passed_on(tmp_path, simulator):
    text = "Title\n* header `touch x` *#shell\nV1 a 0 1\n* note\nR1 a 0 1 ; tail\n.end\n"
    netlist = circuits.parse(text)
    assert "note" not in netlist.spice()
    assert "`" not in netlist.spice()
    assert simulator.operating_points(netlist).status.values.tolist() == ["ok"]


def test_files_are_followed_in_the_decks_folder_alone(tmp_path):
    inner = tmp_path / "deck"
    (inner / "parts").mkdir(parents=True)
    (inner / "parts" / "r.inc").write_text("R1 a 0 2k\n")
    (inner / "lib.lib").write_text(".lib slow\nR2 a 0 3k\n.endl\n.lib fast\nR2 a 0 4k\n.endl\n")
    (tmp_path / "outside.inc").write_text("R3 a 0 1\n")
    (inner / "link.inc").symlink_to(tmp_path / "outside.inc")
    (inner / "deck.cir").write_text(deck("V1 a 0 1", '.include "parts/r.inc"', ".lib lib.lib fast"))
    assert [e.name for e in circuits.read(inner / "deck.cir", trusted=True).elements] == [
        "1",
        "1",
        "2",
    ]
    assert circuits.read(inner / "deck.cir", trusted=True).elements[2].siemens == 1 / 4000.0
    with pytest.raises(
        circuits.DeckError,
        match=r"deck\.cir, line 3, column 1: \.include is followed in trusted decks alone",
    ):
        circuits.read(inner / "deck.cir")
    for name in ("../outside.inc", str(tmp_path / "outside.inc"), "link.inc"):
        with pytest.raises(circuits.DeckError, match="must be in the deck's folder or below it"):
            circuits.parse(deck(f".include {name}"), trusted=True, folder=inner)
    with pytest.raises(circuits.DeckError, match="cannot be read: No such file"):
        circuits.parse(deck(".include none.inc"), trusted=True, folder=inner)
    (inner / "self.inc").write_text(".include self.inc\n")
    with pytest.raises(circuits.DeckError, match="nested 20 deep at most"):
        circuits.parse(deck(".include self.inc"), trusted=True, folder=inner)
    (inner / "bad.inc").write_text("* fine\n*#shell touch x\n")
    with pytest.raises(circuits.DeckError, match=r"bad\.inc, line 2, column 1: commands"):
        circuits.parse(deck(".include bad.inc"), trusted=True, folder=inner)


def test_subcircuits_that_never_end_are_refused(monkeypatch):
    with pytest.raises(circuits.DeckError, match="subcircuits may nest 20 deep"):
        circuits.parse(deck("X1 a s", ".subckt s a", "X1 a s", ".ends"))
    bomb = [
        line
        for k in range(12)
        for line in (f".subckt s{k} a", *(f"X{j} a s{k + 1}" for j in range(10)), ".ends")
    ]
    monkeypatch.setattr("circuits.spice.limits.MOST_LINES", 20_000)
    with pytest.raises(
        circuits.DeckError, match="a deck may have 20000 lines, its files and expanded"
    ):
        circuits.parse(deck("X1 a s0", *bomb, ".subckt s12 a", "R1 a 0 1", ".ends"))


WORDS = [
    *[
        "R1",
        "a",
        "0",
        "1k",
        "{",
        "}",
        "'",
        "(",
        ")",
        "=",
        ",",
        "+",
        "-",
        "*",
        "/",
        "^",
        "v(a)",
        "i(V1)",
        "V1",
        "D1",
        "dm",
        ".model",
        "d",
        "is",
        ".param",
        "x",
        ".subckt",
        ".ends",
        "X1",
        "s",
        "E1",
        "F1",
        "G1",
        "H1",
        "B1",
        "I1",
        "L1",
        "C1",
    ],
    *[
        "pulse",
        "sin",
        "pwl",
        "ac",
        "dc",
        ".op",
        ".tran",
        "uic",
        ".ic",
        ".save",
        ".print",
        ".options",
        "gmin",
        "1e-12",
        ".temp",
        "27",
        "M1",
        "nmos",
        ".end",
        ";",
        "$",
        "1e999",
        "nan",
        "inf",
        ".include",
        ".lib",
    ],
    *[".global", "?", ":", "<", "&&", "é", "`", "#", "\\", '"', "params:", ".noise", ".ac", "dec"],
    *("\n", "\n+ ", "\n* ", "\t", "\x00"),
    *("K1", "L2", "0.5", "exp", "sffm", "am", "r=0", "td=1u", "poly(1)", "table", "{v(a)}", "time"),
    *(
        ".if",
        ".elseif",
        ".else",
        ".endif",
        "(1)",
        "m=2",
        "tc=1",
        "ic=1",
        "temper",
        "bv=5",
        "cjo=1p",
    ),
    *(
        "temp",
        "oct",
        "lin",
        "R",
        "/a",
        ".ends",
        ".func",
        "f(x)",
        "@r1[i]",
        ".dc",
        "area=2",
        "isr=1n",
    ),
]


@pytest.mark.filterwarnings("ignore:line ", "ignore:and ")
@given(
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
)
@settings(max_examples=400, deadline=2000)
def test_no_text_does_anything_but_parse_or_raise_its_error(text):
    for whole in (text, deck(text)):
        try:
            netlist = circuits.parse(whole)
        except circuits.DeckError as error:
            assert min(error.line, error.column) >= 1  # noqa: PT017 - either is right
        else:
            assert circuits.parse(netlist.spice()) == netlist


def test_a_title_that_reads_as_an_element_is_said():
    """A deck without a title loses its first element; one whose title is words does not."""
    with pytest.warns(
        UserWarning,
        match="line 1 is the title of a deck, but reads as an element, which is left out: "
        "'V1 in 0 dc 2'",
    ):
        lost = circuits.parse("V1 in 0 dc 2\nI1 0 a 1m\nR1 in a 1k\nR2 a 0 1k\nR3 in 0 1k\n.end\n")
    assert [element.name for element in lost.elements] == ["1", "1", "2", "3"]
    with warnings.catch_warnings(action="error"):
        for title in (
            "Resistive network 1-2-1",
            "Divider",
            "Bridge of two diodes",
            "",
            "* comment",
            "d1 a b unknown",
        ):
            circuits.parse(f"{title}\nV1 in 0 1\nR1 in 0 1k\n.end\n")


@pytest.mark.filterwarnings("ignore:line ", "ignore:and ")
def test_a_damaged_deck_parses_or_raises_its_error():
    pick = random.Random(0)
    for _ in range(1500):
        text = list(DECK)
        for _ in range(pick.randint(1, 4)):
            at = pick.randrange(len(text))
            text[at : at + pick.randint(0, 3)] = pick.choice([*WORDS, pick.choice(DECK), ""])
        try:
            netlist = circuits.parse("".join(text))
        except circuits.DeckError:
            continue
        assert circuits.parse(netlist.spice()) == netlist


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it is not everywhere",
)
def test_no_input_that_reaches_new_code_does_anything_else(tmp_path):
    """libFuzzer's mutations, led by coverage; the control is a parser with a fault behind a
    word.
    """
    (tmp_path / "deck.cir").write_text(DECK)
    program = str(Path(__file__).parents[1] / "system" / "fuzz_decks.py")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # a child begins with it
    limits = [
        f"-rss_limit_mb={before + 2048}",
        "-runs=15000",
        "-timeout=10",
        "-max_len=3000",
        "-seed=1",
        f"-artifact_prefix={tmp_path}/",
    ]
    process = subprocess.run(
        [sys.executable, program, str(tmp_path), *limits],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert "Done 15000 runs" in process.stderr
    faulty = f"""
import sys, runpy, circuits
parse = circuits.parse
def fails(text):
    assert ".model" not in text.lower()
    return parse(text)
circuits.parse = fails
sys.argv = {[program, str(tmp_path), *limits]!r}
runpy.run_path({program!r}, run_name="__main__")
"""
    process = subprocess.run(
        [sys.executable, "-c", faulty], capture_output=True, text=True, check=False
    )
    assert process.returncode != 0
    assert "AssertionError" in process.stdout + process.stderr


@given(st.recursive(
    st.one_of(
        st.floats(-1e3, 1e3).map(Constant),
        st.sampled_from([Voltage("a"), Voltage("a", "b"), Current("V1")]),
    ),
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(["+", "-", "*", "/", "^", "<", "&&", "min", "pwr"]),
            st.tuples(inner, inner),
        ),
        st.tuples(st.sampled_from(["negative", "exp", "abs"]), st.tuples(inner)),
        st.tuples(st.just("?:"), st.tuples(inner, inner, inner)),
    ).map(lambda arguments: Operation(*arguments)),
    max_leaves=12,
))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_text_of_an_expression_reads_back_as_itself(expression):
    """But for constants, which are worked out where all arguments are."""
    text = str(expression)
    first = _read(text)
    if first is not None:
        assert str(_read(str(first))) == str(first)
        if not _constant_inside(expression):
            assert first == expression


def _read(text):
    try:
        return (
            circuits.parse(deck("V1 a 0 1", "V2 b 0 1", f"B1 n 0 v={text}", "R1 n 0 1"))
            .elements[2]
            .expression
        )
    except circuits.DeckError as error:
        assert "finite value" in str(error) or "not supported" in str(error)  # noqa: PT017 - an operation of constants, worked out
        return None


def _constant_inside(expression):
    if not isinstance(expression, Operation):
        return False
    return all(isinstance(a, Constant) for a in expression.arguments) or any(
        _constant_inside(a) for a in expression.arguments
    )


def test_a_diodes_series_resistance_is_a_resistor(simulator, tmp_path):
    """Our deck of it in ngspice and in `Nodal`, against ngspice on the deck as it was written.

    Within 1e-9 V, at 100 mA.
    """
    text = """Series resistance
V1 in 0 2
Rin in a 10
D1 a b dm area=2
.subckt pair p q
D2 p q dm
.ends
X1 b 0 pair
.model dm d(is=2.52n rs=0.568 n=1.752 eg=1.11 xti=3)
.options {options}
.op
.end
""".replace("{options}", circuits.netlist.netlist.OPTIONS)
    netlist = circuits.parse(text)
    ohms = {e.name: 1 / e.siemens for e in netlist.of(circuits.Resistor)}
    assert ohms == pytest.approx({"in": 10, "d1.rs": 0.284, "d1.2.rs": 0.568})
    (tmp_path / "deck.cir").write_text(text)
    subprocess.run(
        [simulator.command, "-n", "-b", "-r", "out.raw", "deck.cir"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    expected = circuits.simulators.raw.read((tmp_path / "out.raw").read_bytes())[0].values
    for used in (simulator, circuits.Nodal()):
        points = used.operating_points(netlist)
        for node in ("a", "b"):
            assert float(points.voltage.sel(node=node)[0]) == pytest.approx(
                float(expected[f"v({node})"][0]), abs=1e-9
            )
    assert circuits.parse(netlist.spice()) == netlist
    without = circuits.Nodal().operating_points(circuits.parse(text.replace("rs=0.568", "")))
    assert (
        abs(float(without.voltage.sel(node="b")[0]) - float(expected["v(b)"][0])) > 1e-3
    )  # the control
