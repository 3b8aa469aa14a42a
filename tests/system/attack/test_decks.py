"""Attacks by decks: text that costs far more to read than it has characters, or never ends."""

import math
import os
import re
import time

import numpy as np
import pytest
from helpers.netlists import program, raw_body

import circuits
from circuits.spice import lexer, limits


def deck(*lines):
    return "\n".join(["Deck", *lines, ".end", ""])


def seconds_to_read(text):
    """The processor time that a deck takes to be read or refused."""
    start = time.process_time()
    try:
        circuits.parse(text)
    except circuits.DeckError as error:
        assert min(error.line, error.column) >= 1  # noqa: PT017 - either is right
        assert len(str(error)) < 4000  # noqa: PT017
    return time.process_time() - start


def many_models(count):
    """Subcircuits each of which has a model of its own that is called as all the others."""
    return [
        *(f"X{k} a s{k}" for k in range(count)),
        *(
            line
            for k in range(count)
            for line in (f".subckt s{k} a", f".model dm d is={k + 1}e-12", "D1 a 0 dm", ".ends")
        ),
    ]


def many_defaults(count):
    """A subcircuit of many parameters, of which there are as many instances."""
    return [
        f".subckt s a {' '.join(f'p{k}=1' for k in range(count))}",
        "R1 a 0 1",
        ".ends",
        *(f"X{k} a s" for k in range(count)),
    ]


ATTACKS = {  # what costs the square of its length where each line is looked at once more for each
    "empty continuations": (deck("R1 a 0 1", *["+"] * 200_000), 6),
    "a sum of a megabyte": (deck("V1 a 0 {1", *["+ +1"] * 200_000, "+ }", "R1 a 0 1"), 12),
    "a sum in a source": (deck("B1 a 0 v=1", *["+ +1"] * 200_000, "R1 a 0 1"), 12),
    "signs": (deck("B1 a 0 v=", *["+ " + "-" * 80] * 4_000, "+ 1", "R1 a 0 1"), 6),
    "powers": (deck("B1 a 0 v=1", *["+ ^1"] * 50_000, "R1 a 0 1"), 12),
    "blanks": (deck("B1 a 0 v=1" + " " * 90_000 + "+1", "R1 a 0 1"), 3),
    "open brackets": (deck("B1 a 0 v=v(a", *["+ v(a"] * 100_000), 6),
    "words that are not understood": (deck("R1 a 0 1", *["+ tc1=1"] * 100_000), 6),
    "a table": (deck("B1 a 0 v=pwl(v(b)", *(f"+ ,{k},1" for k in range(50_000)), "+ )"), 12),
    "a waveform": (deck("V1 a 0 pwl(", *(f"+ {k} 1" for k in range(60_000)), "+ )"), 12),
    "models of one name": (deck("V1 a 0 1", *many_models(3_000)), 6),
    "defaults of instances": (deck("V1 a 0 1", *many_defaults(1_000)), 6),
    "models in sight of instances": (
        deck(
            *(f".model m{k} d is=1e-12" for k in range(6_000)),
            *(f"X{k} a s" for k in range(6_000)),
            *(".subckt s a", "R1 a 0 1", ".ends"),
        ),
        6,
    ),
    "ports": (deck(".subckt s", *(f"+ a{k}" for k in range(60_000)), "R1 a1 0 1", ".ends"), 6),
    "many analyses": (
        deck(*(f"R{k} n{k} 0 1" for k in range(20_000)), *[".op"] * 20_000),
        6,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_deck_costs_the_square_of_its_length(name):
    """Each took minutes, or as many seconds as half of its length took squared."""
    text, seconds = ATTACKS[name]
    assert seconds_to_read(text) < seconds


def test_many_saved_nodes_are_read_and_simulated(simulator):
    """ngspice's time goes as the square of the voltages that it is asked for by name: 6 s here."""
    n = 30_000
    star = [f"R{k} n0 n{k} 1\nS{k} n{k} 0 1".replace("S", "Rs") for k in range(1, n)]
    saved = [f".save v(n{k})" for k in range(0, n, 3)]
    start = time.process_time()
    netlist = circuits.parse(deck("V1 n0 0 1", *star, *saved, ".op"))
    assert len(netlist.analyses[0].nodes) == n // 3
    assert time.process_time() - start < 6
    start = os.times().children_user
    points = simulator.operating_points(netlist, {"V1": np.array([1.0, 2.0])})
    assert os.times().children_user - start < 4
    assert points.status.values.tolist() == ["ok", "ok"]
    np.testing.assert_allclose(points.voltage, np.outer([0.5, 1.0], np.ones(n - 1)), atol=1e-9)


def test_a_node_that_is_missing_among_many_is_said(tmp_path):
    """A large circuit is not asked for by name, but all its nodes must be in the answer."""
    lines = [f"R{k} n{k} 0 1" for k in range(1, 1_101)]
    netlist = circuits.parse(deck("I1 0 n1 1", *lines))
    fake = program(tmp_path, raw_body(["v(n1)", "v(more)"], [1.0, 2.0]))
    with pytest.raises(circuits.SimulationError, match=r"returned others: \['v\(n10\)', 'v\(n100"):
        fake.operating_points(netlist)


def test_a_transient_of_sources_alone_has_no_free_voltage(simulator):
    netlist = circuits.parse(deck("V1 in 0 pulse(0 1 1m 1u 1u 5m 20m)", "R1 in 0 1k"))
    answer = simulator.transient(netlist, stop=1e-2, step=1e-4)
    assert answer.voltage.shape[1] == 0
    assert float(answer.time[-1]) == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (".dc V1 0 1 1e-12", r"line 4, column 1: a sweep may have 10000000 points, but 0.0 to 1.0"),
        (".dc V1 0 1e300 1e-300", r"a sweep may have 10000000 points"),
        (".tran 1n 1k", r"line 4, column 1: a transient may take 100000000 steps"),
        (".tran 1 10 0 1e-300", r"a transient may take 100000000 steps"),
        (".ac dec 1000000 1e-300 1e300", r"an analysis may have 10000000 frequencies"),
        (".noise v(a) V1 dec 1000000 1e-300 1e300", r"an analysis may have 10000000 frequencies"),
    ],
)
def test_an_analysis_of_too_many_points_is_refused(line, message):
    with pytest.raises(circuits.DeckError, match=message):
        circuits.parse(deck("V1 a 0 1", "R1 a 0 1", line))


def test_expansions_are_limited_in_names_characters_and_seconds(monkeypatch):
    """What the limit counts is what it costs."""
    long = "a" * 2_000
    with pytest.raises(circuits.DeckError, match="names may have 1000 characters"):
        circuits.parse(deck(f"X{long} a s", ".subckt s a", "R1 a 0 1", ".ends"))
    with pytest.raises(circuits.DeckError, match="line 2, column 1: names may have 1000 char"):
        circuits.parse(deck(f"R1 {long} 0 1 ; not plain"))
    with pytest.raises(circuits.DeckError, match="names may have 1000 characters"):
        circuits.parse(deck("X1 a s", ".subckt s a", f"R1 a {long} 1", ".ends"))
    longest = "\n+ ".join(["R1 a 0 1", *[" " * 99_000] * 25, ""])
    assert circuits.parse(deck(longest)).elements[0].name == "1"  # blanks are no characters
    with pytest.raises(circuits.DeckError, match="with its continuations may have 2000000 char"):
        circuits.parse(deck("B1 a 0 v=1", *["+ " + "-" * 99_000] * 25))

    bomb = [".subckt s a", *["R1 a 0 {" + "1+" * 20_000 + "1}"], ".ends"]
    monkeypatch.setattr(limits, "MOST_CHARACTERS", 100_000)
    with pytest.raises(circuits.DeckError, match="may expand to 100000 characters"):
        circuits.parse(deck(*(f"X{k} a s" for k in range(1_000)), *bomb))
    monkeypatch.setattr(limits, "SECONDS", -1.0)
    with pytest.raises(circuits.DeckError, match="must be read within -1 s"):
        circuits.parse(deck("R1 a 0 1"))


MANY = {
    "plain resistors": [f"R{k} a 0 {k + 1}" for k in range(100)],
    "other elements": [f"C{k} a 0 1p" for k in range(100)],
    "both": [f"{letter}{k} a 0 1" for k in range(50) for letter in "RC"],
    "subcircuits": [*(f"X{k} a s" for k in range(10)), ".subckt s p"]
    + [f"R{k} p 0 1" for k in range(10)]
    + [".ends"],
}


@pytest.mark.parametrize("kind", MANY)
def test_a_deck_has_no_more_elements_than_it_may(monkeypatch, kind):
    monkeypatch.setattr("circuits.spice.expansion.LARGEST", 100)
    assert len(circuits.parse(deck(*MANY[kind])).elements) == 100
    monkeypatch.setattr("circuits.spice.expansion.LARGEST", 99)
    with pytest.raises(circuits.DeckError, match="a deck may expand to 99 elements"):
        circuits.parse(deck(*MANY[kind]))


def test_parameters_that_stand_behind_one_another_end():
    """Each in many brackets, which takes more of Python's stack than there is."""
    chain = [f".param a{k + 1}={{{'(' * 40}a{k}{')' * 40}}}" for k in range(60)]
    for lines in (chain, chain[::-1]):
        with pytest.raises(circuits.DeckError, match=r"nest too deep|through too many others"):
            circuits.parse(deck(".param a0=1", *lines, "V1 a 0 {a60}", "R1 a 0 1"))


# --- files that are none


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    """A pipe that nobody writes to, and a device that never ends: as a deck, and included."""
    path = tmp_path / "deck.cir"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    start = time.monotonic()
    with pytest.raises(OSError, match=r"must be a regular file"):
        circuits.read(path)
    with pytest.raises(circuits.DeckError, match=r"cannot be read|must be in the deck's folder"):
        circuits.parse(deck(".include deck.cir"), trusted=True, folder=tmp_path)
    assert time.monotonic() - start < 2


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.cir"
    path.write_text(deck("R1 a 0 1"))
    monkeypatch.setattr("circuits.spice.parser.MOST_BYTES", path.stat().st_size - 1)
    with pytest.raises(OSError, match=r"`path` must be a file of at most \d+ bytes"):
        circuits.read(path)
    monkeypatch.setattr("circuits.spice.parser.MOST_BYTES", path.stat().st_size)
    assert len(circuits.read(path).elements) == 1  # the control


@pytest.mark.parametrize("text", [None, b"Deck\nR1 a 0 1\n", 5])
def test_what_is_no_text_is_said(text):
    with pytest.raises(ValueError, match="`text` must be the text of a deck, but is a "):
        circuits.parse(text)


# --- the fast way of reading plain resistors is the slow one


LINES = [
    *("R{n} a b 1000.0", "r{n} n1 N2 4.7e-3", "R{n}\ta   0 .5", "  R{n} a gnd 3 ", "R{n} a GND +7"),
    *("R{n} a b 10k", "R{n} a b 1megohm", "R{n} a b 2e3k", "R{n} a b 1e", "R{n} a b 3mil"),
    *(
        "R{n} a b 5 ; note",
        "R{n} a b 5 $ note",
        "R{n} a b {{2*3}}",
        "R{n} a b r=5",
        "R{n} a b\n+ 5",
    ),
    *("R{n} a b 5\n* between\n+", "R{n} a b 5\n\n+ ; nothing", "C{n} a b 1u", "V{n} a b 1"),
    *("* note", "", "D{n} a b dm", ".op", "R{n}.x_[1] + - 5", "R{n} a$b c 6", "X{n} a b cell"),
    ".subckt s{n} p q\nR1 p q 1\nR2 p m 1\nR3 m q 10k\n.ends\nXs{n} a b s{n}",
]
WRONG = [
    *("R{n} a b 0", "R{n} a b -1", "R{n} a b 1e999", "R{n} a b 1e-320", "R{n} a b nan", "R{n} a b"),
    *("R{n} a b 5 6", "R{n} a b 5\n+ 6", "R1 a b 5\nr1 a b 6", "R{n} ä b 5", "R{n} a b 1 tc1=2"),
    *("R a b 5", "R{n} a b 5\x00", "R{n} a `b` 5", "*#R{n} a b 5", "R{n} a b 1_0", "R{n} =a b 5"),
    *("R{n} a b ५", "R{n} a b 0x5", "\x0bR{n} a b 5", "R{n} a b 5\r", "R{n} a b 1e99999", "+ 1"),
]


def outcome(text):
    """The elements of a deck and its text, or its error and the place."""
    try:
        netlist = circuits.parse(text)
    except circuits.DeckError as error:
        return str(error), error.line, error.column
    return netlist.spice(), netlist.elements, [type(e) for e in netlist.elements]


@pytest.mark.filterwarnings("ignore:line ")
def test_plain_lines_are_read_as_all_lines_are(monkeypatch):
    """Random decks, half of them with something wrong: the same netlist or error, by both ways."""
    random = np.random.default_rng(0)
    frame = (".model dm d is=1n", ".subckt cell a b", "R1 a b 2", "R2 a b 4", ".ends")
    texts = []
    for _ in range(600):
        lines = list(random.choice(LINES, random.integers(1, 30)))
        for _ in range(random.integers(0, 2)):
            lines.insert(random.integers(0, len(lines) + 1), random.choice(WRONG))
        texts.append(deck(*frame, *(line.format(n=k + 1) for k, line in enumerate(lines))))
    fast = [outcome(text) for text in texts]
    monkeypatch.setattr(lexer, "_PLAIN", re.compile(r"^.*$()()()()", re.MULTILINE))
    assert not any(hasattr(one, "rows") for one in lexer.logical_lines("R1 a b 1\n" * 9))
    for text, quick in zip(texts, fast, strict=True):
        assert outcome(text) == quick
    wrong = sum(isinstance(one[1], int) for one in fast)
    assert 100 < wrong < 500
    assert len({one[0].partition(":")[2][:12] for one in fast if isinstance(one[1], int)}) > 8


def test_plain_lines_are_found():
    """The control: most lines of a crossbar's deck go the fast way."""
    text = "\n".join(f"R{k} a{k} b{k} {k + 1}.5e3" for k in range(100))
    (run, last) = lexer.logical_lines(text)
    assert (len(run.rows), last.text) == (99, "R99 a99 b99 100.5e3")
    assert run.lines()[5] == lexer.Line("R5 a5 b5 6.5e3", ((0, 6, 1),), "")
    resistors = circuits.parse(f"Deck\n{text}\n").elements
    assert resistors[7] == circuits.Resistor("7", "a7", "b7", ohms=8500.0)
    assert vars(resistors[7]) == vars(resistors[99]) | {
        "name": "7",
        "plus": "a7",
        "minus": "b7",
        "siemens": 1 / 8500.0,
    }
    assert math.isclose(resistors[99].ohms, 100_500.0)
