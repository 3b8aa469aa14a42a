"""Small decks as people write them, each for a kind of line, with the voltages that are right."""

import warnings

import jax
import numpy as np
import pytest

import circuits
from circuits.commands.analyses import simulate

DECKS = {
    "i-of-resistor": (
        """V1 in 0 2
V2 b 0 1
R1 b x 500
R2 x 0 500
B1 out 0 V=1k*i(R1)
R3 out 0 1k
.op
.end
""",
        {"in": 2.0, "b": 1.0, "b_vmeas_0": 1.0, "x": 0.5, "out": 1.0},
    ),
    "i-of-vcvs": (
        """V1 in 0 2
R1 in 0 1k
E1 a 0 in 0 2
R2 a 0 1k
F1 0 out E1 1
R3 out 0 1k
.op
.end
""",
        {"in": 2.0, "a": 4.0, "out": -4.0},
    ),
    "pow-of-negative-in-param": (
        """.param p={pow(-2,3)}
V1 in 0 {p}
R1 in out 1k
R2 out 0 1k
.op
.end
""",
        {"in": -8.0, "out": -4.0},
    ),
    "crossbar-currents": (
        """Vr1 w1 0 0.2
Vr2 w2 0 0.1
R11 w1 b1 10k
R12 w1 b2 20k
R21 w2 b1 40k
R22 w2 b2 50k
Vb1 b1 0 0
Vb2 b2 0 0
.op
.print op i(Vb1) i(Vb2)
.end
""",
        {"w1": 0.2, "w2": 0.1, "b1": 0.0, "b2": 0.0},
    ),
    "diode-level-tnom": (
        """V1 in 0 1
R1 in out 1k
D1 out 0 dl
.model dl d(level=1 is=1n n=1.5 tnom=27)
.op
.end
""",
        {"in": 1.0, "out": 0.5084519},
    ),
    "mos-m-2": (
        """Vd d 0 3
Vg g 0 2
R1 d out 1k
M1 out g 0 0 nm w=10u l=1u m=2
.model nm nmos(vto=1 kp=50u)
.op
.end
""",
        {"d": 3.0, "g": 2.0, "out": 2.5},
    ),
    "func-in-source": (
        """.func sq(x) {x*x}
V1 in 0 2
R1 in 0 1k
B1 out 0 V=sq(v(in))+1
R2 out 0 1k
.op
.end
""",
        {"in": 2.0, "out": 5.0},
    ),
    "resistor-of-voltage": (
        """V1 in 0 3
Vc c 0 2
R1 in out 1k
R2 out 0 r={500+250*v(c)}
.op
.end
""",
        {"in": 3.0, "c": 2.0, "out": 1.5},
    ),
    "logic-not": (
        """V1 in 0 1
R1 in 0 1k
B1 out 0 V=!(v(in)>2) ? 4 : 3
R2 out 0 1k
.op
.end
""",
        {"in": 1.0, "out": 4.0},
    ),
    "bare-parameter": (
        """.param rv=2k vv=3
V1 in 0 vv
R1 in out 1k
R2 out 0 rv
.op
.end
""",
        {"in": 3.0, "out": 2.0},
    ),
    "bare-parameter-in-subckt": (
        """V1 s 0 1
R1 s out 1k
X1 out 0 cell ival=2m
.subckt cell a b ival=1m
I1 b a ival
R1 a b 1k
.ends
.op
.end
""",
        {"s": 1.0, "out": 1.5},
    ),
    "dc-equals": (
        """V1 in 0 dc=3 ac=1
R1 in out 1k
R2 out 0 2k
.op
.end
""",
        {"in": 3.0, "out": 2.0},
    ),
    "pwl-step-at-one-time": (
        """V1 in 0 pwl(0 0 1m 0 1m 1 3m 1 3m 0)
R1 in out 1k
C1 out 0 1u
.tran 10u 5m uic
.end
""",
        {"in": 0.0, "out": 0.1166068},
    ),
    "pulse-zero-edges": (
        """V1 in 0 pulse(0 1 1m 0 0 1m 4m)
R1 in out 1k
C1 out 0 1u
.tran 10u 3m uic
.end
""",
        {"in": 0.0, "out": 0.2374074},
    ),
    "pulse-short": (
        """V1 in 0 pulse(0 1 1m 1u)
R1 in out 1k
C1 out 0 1u
.tran 10u 3m uic
.end
""",
        {"in": 1.0, "out": 0.8645993},
    ),
    "controlled-brackets": (
        """V1 in 0 2
R1 in 0 1k
E1 out 0 (in,0) 3
R2 out 0 1k
.op
.end
""",
        {"in": 2.0, "out": 6.0},
    ),
    "poly-one": (
        """V1 in 0 2
R1 in 0 1k
E1 out 0 POLY(1) in 0 1 2 3
R2 out 0 1k
.op
.end
""",
        {"in": 2.0, "out": 17.0},
    ),
    "resistor-tc": (
        """V1 in 0 3
R1 in out 1k
R2 out 0 2k tc1=0.01
.temp 77
.op
.end
""",
        {"in": 3.0, "out": 2.25},
    ),
    "resistor-zero": (
        """V1 in 0 3
R1 in a 0
R2 a out 1k
R3 out 0 2k
.op
.end
""",
        {"in": 3.0, "a": 2.999999, "out": 1.999999},
    ),
    "comment-dollar-glued": (
        """V1 in 0 1
R1 in out 1k $comment
R2 out 0 1k
.op
.end
""",
        {"in": 1.0, "out": 0.5},
    ),
    "print-expression": (
        """V1 in 0 1
R1 in out 1k
R2 out 0 1k
.print dc v(out) {v(in)-v(out)} i(R1)
.dc V1 0 1 0.5
.end
""",
        {"in": 1.0, "out": 0.5},
    ),
    "options-unknown": (
        """V1 in 0 1
R1 in out 1k
R2 out 0 1k
.options noacct post=2 method=gear savecurrents
.op
.end
""",
        {"in": 1.0, "out": 0.5},
    ),
    "tnom-25": (
        """V1 in 0 1
R1 in out 1k
D1 out 0 dx
.model dx d(is=1n n=1.5)
.options temp=25
.options tnom=25
.op
.end
""",
        {"in": 1.0, "out": 0.5053095},
    ),
    "meas-line": (
        """V1 in 0 sin(0 1 1k)
R1 in out 1k
C1 out 0 0.1u
.tran 5u 2m
.meas tran peak max v(out)
.end
""",
        {"in": -4.898587e-16, "out": -0.4504929},
    ),
    "csparam-line": (
        """.param a=2
.csparam a={a}
V1 in 0 1
R1 in out 1k
R2 out 0 {a*1k}
.op
.end
""",
        {"in": 1.0, "out": 0.6666667},
    ),
    "tran-tstart": (
        """V1 in 0 sin(0 1 1k)
R1 in out 1k
C1 out 0 0.1u
.tran 5u 3m 1m
.end
""",
        {"in": -7.347881e-16, "out": -0.4504929},
    ),
    "tran-inductor-no-uic": (
        """V1 in 0 pulse(0 1 1m 1u 1u 5m 20m)
R1 in out 1k
L1 out 0 1
.tran 20u 5m
.end
""",
        {"in": 1.0, "out": 0.01832228},
    ),
    "tran-all-fixed": (
        """V1 in 0 pulse(0 1 1m 1u 1u 5m 20m)
R1 in 0 1k
.tran 50u 10m
.end
""",
        {"in": 0.0},
    ),
    "nodal-one-over-v": (
        """V1 a 0 2
R1 a 0 1k
B2 b 0 V=v(a)*2
R2 b 0 1k
B3 out 0 V=v(a)/v(b)
R3 out 0 1k
.op
.end
""",
        {"a": 2.0, "b": 4.0, "out": 0.5},
    ),
    "nodal-c-between-outputs": (
        """V1 in 0 pulse(0 1 1m 1u 1u 5m 20m)
E1 a 0 in 0 2
E2 b 0 in 0 3
C1 a b 1u
R1 a out 1k
R2 out b 1k
.tran 50u 10m
.end
""",
        {"in": 0.0, "a": 0.0, "b": 0.0, "out": 0.0},
    ),
    "sqrt-source": (
        """V1 in 0 1
R1 in out 1k
B1 out 0 i=1m*sqrt(v(out))
.op
.end
""",
        {"in": 1.0, "out": 0.381966},
    ),
    "ic-without-uic": (
        """V1 in 0 25
R1 in out 1k
C1 out 0 1u
.ic v(out)=0
.tran 10u 5m
.end
""",
        {"in": 25.0, "out": 24.83156},
    ),
    "diode-1n4148-op": (
        """V1 in 0 1
R1 in out 1k
D1 out 0 dx
.model dx d(is=2.5n rs=0.57 n=1.75 bv=100 ibv=100u cjo=4p m=0.4 vj=0.6 tt=20n)
.op
.end
""",
        {"in": 1.0, "out": 0.548164},
    ),
    "diode-schottky-pair-dc": (
        """V1 in 0 0
Vm m 0 2.5
R1 in h 21k
D1 h m ds
D2 m h ds
.model ds d(is=100n rs=12 n=1.1 cjo=15p vj=0.25 m=0.5)
.dc V1 0 5 1
.end
""",
        {"in": 5.0, "m": 2.5, "h": 2.700431},
    ),
    "diode-breakdown": (
        """V1 in 0 -8
R1 in out 1k
D1 out 0 dz
.model dz d(is=1n n=1.5 bv=5.1 ibv=1m)
.op
.end
""",
        {"in": -8.0, "out": -5.140766},
    ),
    "mos-card-with-charges": (
        """Vd d 0 3
Vg g 0 2
R1 d out 1k
M1 out g 0 0 nm w=10u l=1u
.model nm nmos(level=1 vto=1 kp=50u lambda=0.02 cgso=0.3n cgdo=0.3n cbd=10f cbs=10f pb=0.8 mj=0.5)
.op
.end
""",
        {"d": 3.0, "g": 2.0, "out": 2.736318},
    ),
    "expression-time": (
        """V1 in 0 0
R1 in 0 1k
B1 out 0 V=1+100*time
R2 out 0 1k
.tran 10u 5m
.end
""",
        {"in": 0.0, "out": 1.5},
    ),
    "sin-phase": (
        """V1 in 0 sin(0 1 1k 0 0 90)
R1 in out 1k
C1 out 0 0.1u
.tran 5u 2m uic
.end
""",
        {"in": 1.0, "out": 0.7169235},
    ),
    "if-else": (
        """.param a=2
V1 in 0 1
R1 in out 1k
.if (a>1)
R2 out 0 2k
.else
R2 out 0 1k
.endif
.op
.end
""",
        {"in": 1.0, "out": 0.6666667},
    ),
    "bare-letter-name": (
        """V in 0 1
R in out 1k
R2 out 0 1k
.op
.end
""",
        {"in": 1.0, "out": 0.5},
    ),
    "kicad-node": (
        """V1 /in 0 1
R1 /in /out 1k
R2 /out 0 1k
.op
.end
""",
        {"/in": 1.0, "/out": 0.5},
    ),
    "ac-lin": (
        """V1 in 0 ac 1
R1 in out 1k
C1 out 0 1u
.ac lin 5 100 500
.end
""",
        {"in": (1 + 0j), "out": (0.09199967 - 0.2890255j)},
    ),
    "dc-temp": (
        """V1 in 0 1
R1 in out 1k
D1 out 0 dx
.model dx d(is=1n n=1.5)
.dc temp 0 50 25
.end
""",
        {"in": 1.0, "out": 0.4601072},
    ),
    "dc-resistor": (
        """V1 in 0 1
R1 in out 1k
R2 out 0 1k
.dc R2 1k 3k 1k
.end
""",
        {"in": 1.0, "out": 0.75},
    ),
    "coupled-inductors": (
        """V1 in 0 sin(0 1 1k)
R1 in a 10
L1 a 0 10m
L2 out 0 10m
K1 L1 L2 0.9
R2 out 0 1k
.tran 10u 5m uic
.end
""",
        {"in": -1.224647e-15, "a": 0.1517684, "out": 0.1261721},
    ),
    "ngspice-tran-big-capacitors": (
        """VDD vdd 0 5
VIN ndc 0 1.6
VG ng 0 2.5
RD vdd nd 50k
VS nsig 0 SIN(0 0.01 10k)
RL nout 0 10meg
C1 nd nout 10u
M1 nd ng ns 0 nm W=1u L=200n
RS ndc ns 10k
C2 nsig ns 10u
.model nm NMOS(KP=100u VTO=0.5 LAMBDA=0.05)
.tran 1u 1m
.end
""",
        {
            "vdd": 5.0,
            "ndc": 1.6,
            "ng": 2.5,
            "nd": 4.196724,
            "nsig": -2.449294e-17,
            "nout": 8.210557e-06,
            "ns": 1.760658,
        },
    ),
}
"""By the kind of line: a deck, and its voltages by node, at the operating point or the last point.
They are computed by hand, or by ngspice 39 on the deck as it stands."""

NOTES = {
    "resistor-zero": "R1 has 0 Ω, for which 0.001 Ω stand, as in ngspice",
    "print-expression": "{v(in)-v(out)} is not printed: only v(node) and i(source) are",
    "options-unknown": "option method is left out: it changes no voltage",
    "meas-line": ".meas is left out: it changes no voltage",
    "csparam-line": ".csparam is left out: it changes no voltage",
    "pwl-step-at-one-time": "a step of pwl at one time lasts 5e-12 s",
}


def voltages(netlist, simulator):
    """The voltages of the free nodes at the last point of the deck's analysis."""
    ((_, answer),) = simulate(simulator, netlist)
    if "status" in answer:
        assert set(answer.status.values) == {"ok"}
    return answer.voltage[-1]


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_as_it_is_written_is_right(name, simulator):
    """The operating points to the seven digits given, the transients to 1e-3 of full scale."""
    text, expected = DECKS[name]
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        netlist = circuits.parse(f"{name}\n{text}")
    messages = [str(note.message) for note in notes]
    assert any(NOTES[name] in message for message in messages) if name in NOTES else not messages

    assert circuits.parse(netlist.spice()) == netlist
    answer = voltages(netlist, simulator)
    close = 1e-3 if ".tran" in text else 2e-6
    for node in expected.keys() & set(answer.node.values.tolist()):
        value = answer.sel(node=node).item()
        assert value == pytest.approx(expected[node], rel=close, abs=close)


@pytest.mark.parametrize(
    "name",
    [
        *("i-of-resistor", "i-of-vcvs", "func-in-source", "resistor-of-voltage", "poly-one"),
        *("tnom-25", "nodal-one-over-v", "sqrt-source", "diode-breakdown", "if-else"),
    ],
)
def test_nodal_answers_the_same(name):
    text, expected = DECKS[name]
    with jax.enable_x64(True):
        points = circuits.Nodal().operating_points(circuits.parse(f"{name}\n{text}"))
    for node in expected.keys() & set(points.node.values.tolist()):
        value = float(points.voltage.sel(node=node)[0])
        assert value == pytest.approx(expected[node], rel=2e-6, abs=2e-6)


def test_a_source_that_touches_only_sources_is_not_idle(simulator):
    """The reduction keeps V2, on which V3 stands; without it c is at 0 V."""
    netlist = circuits.parse("Deck\nV2 b 0 1\nV3 b c 0.25\nR1 c 0 500\n.end")
    with jax.enable_x64(True):
        points = circuits.Nodal().operating_points(netlist)
    for answer in (points, simulator.operating_points(*circuits.reduce(netlist))):
        assert float(answer.voltage.sel(node="c")[0]) == pytest.approx(0.75)


def test_a_current_is_that_of_the_element_that_is_named(simulator):
    """Of resistors and sources, in subcircuits too; never that of a source of the same number."""
    text = """Currents
V1 in 0 2
R1 in a 1k
R2 a 0 1k
E2 e 0 a 0 3
R3 e 0 1k
Xa a 0 cell
.subckt cell p q
R1 p q 2k
B1 f 0 v=1k*i(R1)
Rf f 0 1
.ends
B2 x 0 v=1k*i(E2)
Rx x 0 1
H1 y 0 R2 1k
Ry y 0 1
.op
.end
"""
    netlist = circuits.parse(text)
    points = simulator.operating_points(netlist)
    a = 2 * (1 / 1.5e-3) / (1000 + 1 / 1.5e-3)
    expected = {"a": a, "x": -3 * a, "y": a, "xa.f": a / 2}
    for node, value in expected.items():
        assert float(points.voltage.sel(node=node)[0]) == pytest.approx(value, abs=1e-9)
    assert circuits.parse(netlist.spice()) == netlist
    assert [e.name for e in netlist.of(circuits.VoltageSource)] == ["1", "_r2", "_e2", "_ra.1"]


def test_functions_of_a_deck_do_not_multiply_without_end():
    """Each calls the one before it twice: 2^40 calls in 40 lines."""
    lines = [f".func f{k + 1}(x) {{f{k}(x)+f{k}(x)}}" for k in range(40)]
    text = "\n".join(["Deck", ".func f0(x) {x}", *lines, "B1 a 0 v=f40(v(a))", "R1 a 0 1", ".end"])
    with pytest.raises(circuits.DeckError, match=r"may call 10000 functions of the deck|nest"):
        circuits.parse(text)


def test_many_notes_are_said_in_few(recwarn):
    circuits.parse("\n".join(["Deck", "V1 a 0 1", "R1 a 0 1", *[".meas op x"] * 100_000, ".end"]))
    assert len(recwarn) == 21
    assert str(recwarn[-1].message) == "and 99980 more lines of that kind"
    np.testing.assert_equal(str(recwarn[0].message)[:7], "line 4:")


CONTROL = """A deck with commands
V1 in 0 1
R1 in out 1k
R2 out 0 1k
  .Control
op
print v(out) > {file}
shell touch {file}
dc V1 0 2 1
dc V1 0 1 `touch {file}`
*#shell touch {file}
tran 1u 1m ; shell touch {file}
.endc
.end
"""


def test_commands_are_skipped_where_that_is_asked_for(simulator, tmp_path):
    """Their analyses are read, and nothing is run or reaches ngspice; else they are refused."""
    file = tmp_path / "was_here"
    text = CONTROL.format(file=file)
    with pytest.raises(circuits.DeckError, match="line 5, column 3: commands to a simulator"):
        circuits.parse(text)
    with pytest.warns(
        UserWarning, match="line 5: commands are not run: .*, 5 other lines are left"
    ):
        netlist = circuits.parse(text, control="skip")
    assert [type(a).__name__ for a in netlist.analyses] == ["OperatingPoint", "DcSweep"]
    points = simulator.operating_points(netlist)
    assert float(points.voltage.sel(node="out")[0]) == pytest.approx(0.5)
    assert "touch" not in netlist.spice()
    assert not file.exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (".control\nop", "line 2, column 1: this .control block must end with .endc"),
        (".controlled\nop\n.endc", "line 2, column 1: commands to a simulator are refused"),
        (".endc", "line 2, column 1: commands to a simulator are refused"),
        (".control\n.endc\n*#shell ls", "line 4, column 1: commands to a simulator are refused"),
        (".control\ndc none 0 1 1\n.endc", "line 3, column 5: an independent source"),
    ],
)
@pytest.mark.filterwarnings("ignore:line ")
def test_what_is_no_block_of_commands_is_still_refused(lines, message):
    with pytest.raises(circuits.DeckError, match=message):
        circuits.parse(f"Deck\n{lines}\n", control="skip")
    with pytest.raises(ValueError, match="`control` must be 'refuse' or 'skip', but is 'run'"):
        circuits.parse("Deck\n", control="run")


NESTED = """Nested
V1 in 0 1
X1 in out top
X2 in other inner
.subckt inner x y
R1 x y 2k
R2 y 0 1k
.ends
.subckt top a b
.subckt inner x y
R1 x y 1k
.ends inner
X1 a b inner
X2 b 0 half
R2 b 0 2k
.ends top
.subckt half p q
X1 p m inner
Rm m q 1k
.ends
.op
.end
"""


def test_a_subcircuit_within_one_is_seen_there_alone(simulator):
    """`inner` is 1 kΩ within `top`; outside, and in what `half` sees, it is the other one."""
    netlist = circuits.parse(NESTED)
    points = simulator.operating_points(netlist)
    ohms = 1 / (1 / 2e3 + 1 / (2e3 + 0.5e3))  # what is at b: 2 kΩ, and 2 kΩ to 1 kΩ beside 1 kΩ
    expected = {"out": ohms / (1e3 + ohms), "other": 1 / 3}
    for node, value in expected.items():
        assert float(points.voltage.sel(node=node)[0]) == pytest.approx(value, abs=1e-9)
    with pytest.raises(circuits.DeckError, match="'hidden' must be a subcircuit that the deck"):
        circuits.parse("Deck\n.subckt s a\n.subckt hidden b\nR1 b 0 1\n.ends\n.ends\nX1 a hidden\n")
    deep = [".subckt s a"] * 30 + ["R1 a 0 1"] + [".ends"] * 30
    with pytest.raises(circuits.DeckError, match="subcircuits may nest 20 deep"):
        circuits.parse("\n".join(["Deck", *deep, "X1 a s"]))


MEMRISTOR = """A memristor with a threshold
.param stime=10m
V1 in 0 sin(0 3 {1/stime})
X1 in 0 mem
.subckt mem p n params: Ron=1k Roff=10k Rinit=7k beta=2e7 Vt=1.6
.func g(y) {beta*(y-0.5*(abs(y+Vt)-abs(y-Vt)))}
Bx 0 x I=((g(v(p,n))>0) && (v(x)<Roff)) || ((g(v(p,n))<0) && (v(x)>Ron)) ? g(v(p,n)) : 0
Cx x 0 1 IC={Rinit}
Rm p n r={v(x)}
.ends
.tran 20u 10m uic
.end
"""


def test_capacitors_start_where_they_are_told(simulator):
    """One that discharges, against its exponential; and a memristor, which stops at its Ron.

    ngspice at its own tolerances steps beyond Ron, to 853 Ω.
    """
    netlist = circuits.parse("Deck\nV1 in 0 0\nR1 in out 1k\nC1 out 0 1u ic=1\n.tran 10u 3m uic\n")
    (analysis,) = netlist.analyses
    assert analysis.start == (("out", 1.0),)
    answer = simulator.transient(netlist, stop=3e-3, step=1e-5, start=dict(analysis.start))
    np.testing.assert_allclose(
        answer.voltage.sel(node="out"), np.exp(-answer.time.values / 1e-3), atol=1e-3
    )
    assert circuits.parse(netlist.spice()) == netlist
    at_rest = "Deck\nV1 in 0 0\nR1 in out 1k\nC1 out 0 1u ic=1\n.tran 10u 3m\n"
    assert circuits.parse(at_rest).analyses[0].start == ()  # as ngspice: it is for uic alone
    between = "Deck\nV1 in 0 0\nR1 in a 1k\nC1 a b 1u ic=1\nC2 b 0 1u ic=2\n.tran 10u 3m uic\n"
    assert dict(circuits.parse(between).analyses[0].start) == {"a": 3.0, "b": 2.0}
    with pytest.raises(circuits.DeckError, match="capacitors start must agree, but ic=2"):
        circuits.parse("Deck\nR1 a 0 1\nC1 a 0 1u ic=1\nC2 a 0 1u ic=2\n.tran 1u 1m uic\n")

    netlist = circuits.parse(MEMRISTOR)
    (analysis,) = netlist.analyses
    answer = simulator.transient(netlist, stop=10e-3, step=2e-5, start=dict(analysis.start))
    assert float(answer.voltage.sel(node="x1.x")[-1]) == pytest.approx(1e3, rel=1e-3)
