"""Nodes whose names ngspice would read as something else."""

import dataclasses

import numpy as np
import pytest

import circuits
from circuits.elements.base import Element, concrete_subclasses
from circuits.elements.expressions import Constant, Operation, Voltage
from circuits.elements.passive import Coupling
from circuits.simulators import ngspice_decks
from circuits.simulators.ngspice_names import names_for_ngspice, with_old_names
from circuits.simulators.raw import Plot

WORDS = [
    *("time", "frequency", "temper", "all", "allv", "alli", "ac", "table", "value", "value.x"),
    *("agauss", "aunif", "gauss", "unif", "limit", "speedcheck", "onoise_x", "inoise_total"),
    *("p[", "p%q", "v-sweep", "i-sweep", "res-sweep", "temp-sweep", "node_time", "node_p_q"),
]
"""Some that ngspice cannot take, and two that others could be renamed to."""


def netlist(names):
    """A driven node of each name, with elements of most kinds, all a little different."""
    elements = [circuits.VoltageSource("in", "in", "0", 1.0, ac=1.0)]
    junction = circuits.DiodeModel(1e-12)
    for k, node in enumerate(names):
        square = Operation("*", (Constant(1e-4 * (k + 1)), Operation("*", (Voltage(node),) * 2)))
        elements += [
            circuits.Resistor(f"a{k}", "in", node, ohms=1e3),
            circuits.Resistor(f"b{k}", node, "0", ohms=1e3),
            circuits.Capacitor(f"c{k}", node, "0", 1e-9),
            circuits.Diode(f"d{k}", node, "0", junction),
            circuits.Behavioural(f"q{k}", node, "0", "i", square),
            circuits.Transconductance(f"t{k}", "0", f"o{k}", node, "0", 1e-3),
            circuits.Resistor(f"o{k}", f"o{k}", "0", ohms=1e3),
        ]
    return circuits.Netlist("Names", tuple(elements))


HARD, PLAIN = netlist(WORDS), netlist([f"n{k}" for k in range(len(WORDS))])


@pytest.mark.parametrize(
    "ask",
    [
        lambda s, n: s.operating_points(n).voltage,
        lambda s, n: s.operating_points(n, {"Vin": np.array([0.2, 1.0])}).voltage,
        lambda s, n: s.transient(n, stop=1e-7, step=1e-8, start={n.elements[2].plus: 0.3}).voltage,
        lambda s, n: s.small_signal(n, lowest=1e3, highest=1e5).voltage,
        lambda s, n: s.noise(n, [n.elements[2].plus], lowest=1e3, highest=1e5).density,
    ],
    ids=["point", "sweep", "transient", "response", "noise"],
)
def test_any_name_of_a_node_is_simulated(ask, simulator):
    hard, plain = ask(simulator, HARD), ask(simulator, PLAIN)
    places = dict(zip(HARD.nodes, PLAIN.nodes, strict=True))
    assert [places[node] for node in hard.node.values] == list(plain.node.values)
    np.testing.assert_allclose(hard.values, plain.values, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("word", ["temper", "all", "p["])
def test_the_names_themselves_would_fail(word, simulator, monkeypatch):
    """The negative control: ngspice crashes, answers something else, or reports an error."""
    monkeypatch.setattr(ngspice_decks, "names_for_ngspice", lambda nodes: {})
    with pytest.raises(circuits.SimulationError):
        simulator.operating_points(netlist([word]))


def test_new_names_are_of_no_other_node():
    names = names_for_ngspice(HARD.nodes)
    assert set(WORDS) - set(names) == {"node_time", "node_p_q"}
    assert len({*names.values(), *HARD.nodes}) == len(names) + len(HARD.nodes)
    assert names_for_ngspice(PLAIN.nodes) == {}
    values = np.zeros(1)
    plots, log = with_old_names(
        [Plot("op", {f"v({names['p%q']})": values, "v(x)": values})],
        f"singular matrix: check node {names['time']}; node_time",
        names,
    )
    assert list(plots[0].values) == ["v(p%q)", "v(x)"]
    assert log == "singular matrix: check node time; node_time"


ELEMENTS = [
    circuits.Resistor("r", "a", "b", siemens=1.0),
    circuits.ConductanceMatrix("g", ("a", "b"), ("c",), np.ones((2, 1))),
    circuits.Capacitor("c", "a", "b", 1.0),
    circuits.Inductor("l", "a", "b", 1.0),
    circuits.VoltageSource("v", "a", "b", 1.0),
    circuits.CurrentSource("i", "a", "b", 1.0),
    circuits.VoltageGain("e", "a", "b", "c", "d", 1.0),
    circuits.Transconductance("g", "a", "b", "c", "d", 1.0),
    circuits.CurrentGain("f", "a", "b", "Va", 1.0),
    circuits.Transresistance("h", "a", "b", "Va", 1.0),
    circuits.Behavioural("b", "a", "b", "i", Operation("*", (Voltage("c", "a"), Voltage("d")))),
    circuits.Diode("d", "a", "b", circuits.DiodeModel(1e-9)),
    circuits.Mosfet("m", "a", "b", "c", "d", circuits.MosfetModel()),
    Coupling(
        "k", circuits.Inductor("l", "a", "b", 1.0), circuits.Inductor("m", "c", "d", 1.0), 0.5
    ),
]


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: type(element).__name__)
def test_nodes_of_an_element_are_renamed_and_nothing_else(element):
    names = {"a": "w", "b": "x", "c": "y", "d": "z", "Va": "no", "g": "no"}
    back = {new: old for old, new in names.items()}
    other = element.with_nodes(names)
    assert list(other.nodes) == [names.get(node, node) for node in element.nodes]
    assert set(other.nodes) <= set("wxyz0")
    assert (other.key, other.sensed) == (element.key, element.sensed)
    assert other.with_nodes(back) == element


def test_every_element_can_be_renamed():
    kinds = concrete_subclasses(Element).values()
    assert {type(element) for element in ELEMENTS} == {
        kind for kind in kinds if kind.__module__.startswith("circuits.elements.")
    }


def test_an_element_that_hides_a_node_is_refused():
    class Hiding(Element):
        letter, word, name = "R", "resistor", "r"

        @property
        def nodes(self):
            return ("a", "b")

        def lines(self):
            return ["Rr a b 1"]

    hiding = dataclasses.dataclass(frozen=True)(Hiding)()
    with pytest.raises(
        ValueError, match="`node_fields` of Hiding must hold all of its nodes, a, b"
    ):
        hiding.with_nodes({"a": "x"})


def test_analyses_follow_their_nodes():
    netlist = circuits.Netlist(
        "A", HARD.elements, analyses=(circuits.Transient(("time",), 1e-9, 1e-8, (("all", 0.1),)),)
    )
    (analysis,) = netlist.with_nodes({"time": "x", "all": "y"}).analyses
    assert (analysis.nodes, analysis.start) == (("x",), (("y", 0.1),))
