"""Schematics and what a notebook shows of a netlist."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from helpers.networks import network

import circuits
from circuits.netlist.schematics import schematic
from circuits.units import quantity

TEXT = """A bit of all
V1 in 0 dc 1
R1 in a 4.7k
R2 a b 10k
C1 b 0 1n
D1 a 0 d
L1 b c 1u
E1 c 0 a b 3
G1 b 0 a 0 2m
F1 a 0 V1 2
H1 e 0 V1 50
R3 e a 1k
I1 0 b 1m
B1 b 0 i=v(a)^2*1m
B2 f 0 v=sin(v(a))*exp(v(b))*2
R4 f 0 1meg
M1 f a b 0 nm
.model nm nmos
.model d d(is=1n)
.end
"""


def texts(svg: bytes) -> str:
    return " ".join(
        "".join(one.itertext()) for one in ET.fromstring(svg).iter() if one.tag.endswith("text")
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4700, "4.7 kΩ"),
        (999.9, "1 kΩ"),
        (0.35, "350 mΩ"),
        (-2.5e6, "-2.5 MΩ"),
        (0, "0 Ω"),
        (1e-21, "1e-21 Ω"),
        (123456, "123 kΩ"),
    ],
)
def test_quantities_are_written_as_engineers_do(value, text):
    assert quantity(value, "Ω") == text


def test_every_element_and_node_is_in_the_schematic():
    netlist = circuits.parse(TEXT)
    drawing = texts(schematic(netlist).get_imagedata("svg"))
    for element in netlist.elements:
        assert f"{element.letter}{element.name}" in drawing
    for node in (*netlist.nodes, "0"):
        assert re.search(rf"(^| ){node}( |$)", drawing)
    for label in (
        "4.7 kΩ",
        "3·v(a, b)",
        "2 mS·v(a)",
        "2·i(V1)",
        "50 Ω·i(V1)",
        "1 µH",
        "1 nF",
        "1 mA",
        "gate a",
    ):
        assert label in drawing
    less = circuits.parse(TEXT.replace("C1 b 0 1n\n", ""))
    assert "1 nF" not in texts(schematic(less).get_imagedata("svg"))  # the control


def test_a_source_is_drawn_with_its_plus_where_it_is():
    """schemdraw's sources have their plus at the end, as a picture of one shows.

    That is the upper end for `V1 a 0`.
    """
    for card, upper in (("V1 a 0 1", "end"), ("V1 0 a 1", "start")):
        drawing = schematic(circuits.parse(f"S\n{card}\nR1 a 0 1k\n.end\n"))
        ends = next(one.absanchors for one in drawing.elements if type(one).__name__ == "SourceV")
        lower = "start" if upper == "end" else "end"
        assert ends[upper].y > ends[lower].y


def test_a_schematic_in_axes_is_all_within_them():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    schematic(circuits.parse(TEXT), canvas=ax)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    points = np.concatenate([line.get_xydata() for line in ax.lines])
    x, y = points[np.isfinite(points).all(1)].T
    assert len(x) > 100
    assert left < x.min() < x.max() < right
    assert low < y.min() < y.max() < high


def test_a_notebook_shows_small_circuits_drawn_and_large_ones_summed_up():
    small = circuits.parse(TEXT.replace("A bit of all", "Less <than> a lot"))._repr_html_()
    assert "<svg" in small
    assert "Less &lt;than&gt; a lot" in small
    assert (
        "1 voltage source, 4 resistors, 1 capacitor, 1 diode, 1 inductor, 4 controlled sources"
        in small
    )
    assert "2 behavioural sources" in small
    assert "Note: " not in small
    lonely = circuits.parse(TEXT.replace("R4 f 0 1meg", "R4 f 0 1meg\nR5 f g 1meg"))._repr_html_()
    assert "Note: " in lonely  # a node that one element touches
    large = circuits.emit(network(sizes=(10, 20, 5)))._repr_html_()
    assert "<svg" not in large
    assert "resistors" in large
    assert "Rg1_in0p_h0 in0p h0" in large
