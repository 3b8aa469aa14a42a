"""Netlists: their text, their check, and what they refuse."""

import dataclasses

import numpy as np
import pytest
from helpers.netlists import JUNCTION, divider

import circuits
from circuits.devices.ideal import clamp


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (circuits.Resistor("a", "x", "0", siemens=1e-5), ["Ra x 0 99999.99999999999"]),
        (
            circuits.ConductanceMatrix(
                "g1", ("x", "y"), ("h0", "h1"), np.array([[1e-3, 0.0], [0.0, 0.5]])
            ),
            ["Rg1_x_h0 x h0 1000.0", "Rg1_y_h1 y h1 2.0"],
        ),
        (circuits.Capacitor("a", "x", "0", 1e-12), ["Ca x 0 1e-12"]),
        (circuits.VoltageSource("a", "x", "0", 0.1), ["Va x 0 0.1"]),
        (circuits.VoltageSource("a", "x", "0", 0.1, ac=1.0), ["Va x 0 0.1 ac 1.0"]),
        (circuits.CurrentSource("a", "x", "0", -2e-6), ["Ia x 0 -2e-06"]),
        (circuits.Transconductance("a", "0", "o", "t", "o", 1e-5), ["Ga 0 o t o 1e-05"]),
        (circuits.Diode("a", "x", "y", JUNCTION), ["Da x y junction"]),
        (circuits.Diode("a", "x", "y", JUNCTION, area=1.25), ["Da x y junction area=1.25"]),
        (
            clamp("a", "x", -0.1, 0.2, 1e4),
            ["Ba x 0 i=(10000.0*(max((v(x)-0.2),0.0)+min((v(x)-(-0.1)),0.0)))"],
        ),
        (circuits.Inductor("a", "x", "0", 1e-3), ["La x 0 0.001"]),
        (circuits.VoltageGain("a", "o", "0", "x", "y", 4.0), ["Ea o 0 x y 4.0"]),
        (circuits.CurrentGain("a", "o", "0", "Vin", 0.25), ["Fa o 0 Vin 0.25"]),
        (circuits.Transresistance("a", "o", "0", "Vin", 50.0), ["Ha o 0 Vin 50.0"]),
        (
            circuits.VoltageSource(
                "a", "x", "0", 0.0, 1.0, circuits.Pulse(0.0, 1.0, 0.0, 1e-9, 1e-9, 1e-6, 2e-6)
            ),
            ["Va x 0 0.0 ac 1.0 pulse(0.0 1.0 0.0 1e-09 1e-09 1e-06 2e-06)"],
        ),
        (
            circuits.CurrentSource("a", "x", "0", 0.5, waveform=circuits.Sin(0.5, 1.0, 50.0)),
            ["Ia x 0 0.5 sin(0.5 1.0 50.0 0.0 0.0)"],
        ),
        (
            circuits.CurrentSource(
                "a", "x", "0", 0.5, waveform=circuits.Pwl((0.0, 1.0), (0.5, 2.0))
            ),
            ["Ia x 0 0.5 pwl(0.0 0.5 1.0 2.0)"],
        ),
    ],
)
def test_the_text_of_every_element(element, text):
    assert element.lines() == text


def test_the_whole_deck():
    deck = circuits.Netlist(
        "A diode",
        (circuits.CurrentSource("in", "0", "a", 1e-6), circuits.Diode("one", "a", "0", JUNCTION)),
        ("What it is.",),
        (circuits.OperatingPoint(("a",)),),
    )
    assert str(deck).splitlines() == [
        "A diode",
        "* What it is.",
        "Iin 0 a 1e-06",
        "Done a 0 junction",
        ".model junction D(IS=1e-09 N=1.0)",
        ".temp 27",
        ".options gmin=1e-12 reltol=1e-11 vntol=1e-12 abstol=1e-18",
        ".save v(a)",
        ".op",
        ".print op v(a)",
        ".end",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#shell touch /tmp/x",
        "two\nlines",
        "a `touch x`",
        "",
        "a\rb",
        "*ng_script",
        ".control",
        "Résumé",
        "ends in \\",
    ],
)
def test_text_that_ngspice_would_run_is_refused(text):
    with pytest.raises(circuits.NetlistError):
        divider(title=text)
    if text not in {"*ng_script", ".control"}:  # harmless after "* "
        with pytest.raises(circuits.NetlistError):
            divider(header=(text,))


@pytest.mark.parametrize("name", ["a b", "a\n.control", "-a", "#a", "a;b", "a`b`", "ä"])
def test_names_that_are_no_names_are_refused(name):
    with pytest.raises(ValueError, match="`name` must be letters, digits and _"):
        circuits.Resistor(name, "a", "0", siemens=1.0)
    with pytest.raises(ValueError, match=r"a node of a must be lower-case"):
        circuits.Resistor("a", name if name != "-a" else "A", "0", siemens=1.0)


@pytest.mark.parametrize("siemens", [0.0, -1e-6, np.nan, np.inf])
def test_a_resistor_must_conduct(siemens):
    with pytest.raises(ValueError, match="`siemens` of a must be finite and above 0"):
        circuits.Resistor("a", "x", "0", siemens=siemens)


@pytest.mark.parametrize("siemens", [-1e-6, np.nan, np.inf])
def test_a_conductance_matrix_names_what_is_wrong(siemens):
    with pytest.raises(
        ValueError, match=f"must be finite and at least 0, but is {siemens} between y and h1"
    ):
        circuits.ConductanceMatrix(
            "g1", ("x", "y"), ("h0", "h1"), np.array([[1.0, 1.0], [1.0, siemens]])
        )
    with pytest.raises(
        ValueError, match=r"`siemens` of g1 must have shape \(2, 1\), but has \(2, 2\)"
    ):
        circuits.ConductanceMatrix("g1", ("x", "y"), ("h0",), np.ones((2, 2)))


def test_floating_nodes_are_found():
    divider().check()
    lost = divider(circuits.Resistor("lost", "p", "q", siemens=1.0))
    with pytest.raises(circuits.NetlistError, match=r"these float: \['p', 'q'\]"):
        lost.check()
    behind_a_capacitor = divider(circuits.Capacitor("c", "p", "mid", 1e-12))
    with pytest.raises(circuits.NetlistError, match=r"these float: \['p'\]"):
        behind_a_capacitor.check()


def test_names_stand_once():
    with pytest.raises(
        circuits.NetlistError, match=r"element names must differ, but these stand twice: \['rtop'\]"
    ):
        divider(circuits.Resistor("TOP", "mid", "0", siemens=1.0))
    diodes = (
        circuits.Diode("a", "mid", "0", JUNCTION),
        circuits.Diode("b", "mid", "0", circuits.DiodeModel(2e-9)),
    )
    with pytest.raises(circuits.NetlistError, match="models that differ must have different names"):
        divider(*diodes)


def test_an_unknown_node_is_named_with_the_nearest():
    with pytest.raises(
        circuits.NetlistError,
        match="`nodes` must name nodes of the netlist, but 'mdi' is none; did you mean 'mid'",
    ):
        divider().require_nodes(["mid", "mdi"])
    with pytest.raises(circuits.NetlistError, match="'nowhere' is none"):
        circuits.Netlist("Deck", divider().elements, (), (circuits.OperatingPoint(("nowhere",)),))


def test_a_replacement_must_replace():
    assert (
        divider()
        .with_elements(circuits.Resistor("top", "in", "mid", siemens=2.0))
        .elements[1]
        .siemens
        == 2.0
    )
    with pytest.raises(circuits.NetlistError, match="it has none called"):
        divider().with_elements(circuits.Resistor("tip", "in", "mid", siemens=2.0))


def test_names_differ_by_their_letter_too():
    assert (
        len(
            divider(
                clamp("top", "mid", -1.0, 1.0, 1.0), circuits.CurrentSource("top", "mid", "0", 0.0)
            ).elements
        )
        == 5
    )


def test_a_file_needs_a_folder(tmp_path):
    for path in (tmp_path / "nowhere" / "net.cir", tmp_path):
        with pytest.raises(
            ValueError, match="`path` must be a file in a folder that exists, but is"
        ):
            divider().save(path)


def rules(netlist, version=None):
    return [
        (finding.rule, finding.elements, finding.serious)
        for finding in circuits.lint(netlist, version)
    ]


def test_each_finding_of_the_lint_names_its_elements():
    assert rules(divider()) == []
    assert rules(divider(circuits.Capacitor("c", "p", "mid", 1e-12))) == [
        ("floating", ("Cc",), True),
        ("seen once", ("Cc",), False),
    ]
    loop = divider(
        circuits.VoltageSource("b", "in", "mid", 1.0),
        circuits.VoltageGain("a", "mid", "0", "in", "0", 2.0),
    )
    assert rules(loop) == [("voltage loop", ("Ea",), True)]
    assert rules(divider(circuits.Resistor("end", "mid", "open", siemens=1.0))) == [
        ("seen once", ("Rend",), False)
    ]
    matrix = circuits.ConductanceMatrix(
        "m", ("mid", "far"), ("a", "b"), np.array([[1.0, 0.0], [0.0, 1.0]])
    )
    assert rules(divider(matrix))[0] == ("floating", ("Rm",), True)
    klu = dataclasses.replace(divider(), options="klu")
    assert rules(klu, 39) == [("ignored option", (), False)]
    assert rules(klu, 42) == []


def test_a_resistor_says_which_number_it_is_given():
    """A bare number is neither siemens nor ohms: 1000.0 once was 1 mΩ without a word."""
    assert circuits.Resistor("1", "a", "0", ohms=1000.0).siemens == 1e-3
    assert circuits.Resistor("1", "a", "0", siemens=1e-3).ohms == 1000.0
    assert circuits.Resistor("1", "a", "0", ohms=1000.0) == circuits.Resistor(
        "1", "a", "0", siemens=1e-3
    )
    with pytest.raises(TypeError):
        circuits.Resistor("1", "a", "0", 1000.0)  # type: ignore[misc]
    for wrong in (
        {},
        {"siemens": 1.0, "ohms": 1.0},
        {"ohms": 0.0},
        {"ohms": -5.0},
        {"siemens": 0.0},
    ):
        with pytest.raises(ValueError, match=r"`(siemens|ohms)`"):
            circuits.Resistor("1", "a", "0", **wrong)
