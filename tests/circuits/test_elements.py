"""An element states all of its own in one class: what a test's own one says reaches everything."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import circuits
import eqprop as ep
from circuits.elements.laws import namespace
from circuits.mna.noise import densities

BASE = (
    circuits.VoltageSource("in", "in", "0", 0.5),
    circuits.Resistor("1", "in", "a", ohms=1e3),
    circuits.Capacitor("1", "a", "0", 1e-12),
)


@dataclass(frozen=True)
class Cubic(circuits.TwoTerminalLaw):
    """i = g v + k v³, as formulas of arrays."""

    siemens: float
    cube: float

    def current(self, v):
        return self.siemens * v + self.cube * v**3

    def conductance(self, v):
        return self.siemens + 3 * self.cube * v**2

    def cocontent(self, v):
        return self.siemens * v**2 / 2 + self.cube * v**4 / 4


@dataclass(frozen=True)
class Lamp(circuits.TwoTerminal):
    """A cubic conductor, a capacitance, noise and a symbol, in one class."""

    letter, word, symbol, passive = "B", "lamp", circuits.Symbol("Lamp"), True
    name: str
    plus: str
    minus: str
    siemens: float
    cube: float
    farads: float = 0.0

    def lines(self):
        v = f"v({self.plus},{self.minus})"
        return [f"{self.key} {self.plus} {self.minus} i={self.siemens}*{v}+{self.cube}*{v}*{v}*{v}"]

    def terms(self, kelvin):
        return (circuits.Term.between(Cubic(self.siemens, self.cube), self.plus, self.minus),)

    def charge(self, stamps):
        if self.farads:
            stamps.between((self.plus,), (self.minus,), self.farads)

    def noise(self, volts, kelvin):
        white = np.array([1e-24 * kelvin])
        yield circuits.NoiseCurrents((self.plus,), (self.minus,), white, 2 * white)

    def conducts(self, *, transient=False):
        yield self.nodes

    def label(self):
        return "warm"


def lamps(*lamps):
    return circuits.Netlist("Lamps", (*BASE, *lamps))


NETLIST = lamps(Lamp("1", "a", "b", 1e-3, 2e-3), Lamp("2", "b", "0", 2e-3, 5e-3))


def test_it_is_simulated_alike_by_all(simulator):
    drives = {"Vin": np.array([-1.0, 0.0, 0.3, 2.0])}
    ours, theirs = (one.operating_points(NETLIST, drives) for one in (circuits.Nodal(), simulator))
    assert set(ours.status.values) == set(theirs.status.values) == {"ok"}
    np.testing.assert_allclose(ours.voltage, theirs.voltage.sel(node=ours.node), atol=1e-9)
    linear = circuits.Nodal().operating_points(
        lamps(Lamp("1", "a", "b", 1e-3, 0.0), Lamp("2", "b", "0", 2e-3, 0.0)), drives
    )
    assert float(abs(linear.voltage - ours.voltage).max()) > 1e-2  # the control: the cubes count


def test_laws_of_one_kind_are_evaluated_at_once():
    groups = circuits.Equations.of(NETLIST).groups
    assert [len(group.rows[0]) for group in groups] == [2]
    assert groups[0].law.parameters()[1].tolist() == [2e-3, 5e-3]


def test_it_sits_in_an_energy():
    net = circuits.energy(NETLIST, inputs=["Vin"], outputs=["b"], unit=1e-3)
    x = jnp.array([0.8])
    settled = ep.relax(net, x, method=ep.Newton(tolerance=1e-12))
    points = circuits.Nodal().operating_points(net.circuit(x))
    expected = points.voltage.sel(node=list(net.nodes)).values[0]
    np.testing.assert_allclose(settled.state, expected, atol=1e-9)


def test_it_is_checked_drawn_and_counted():
    assert circuits.lint(NETLIST) == []
    alone = circuits.Netlist("Open", (BASE[0], Lamp("1", "b", "c", 1e-3, 0.0)))
    assert [finding.rule for finding in circuits.lint(alone)][:1] == ["floating"]
    shown = NETLIST._repr_html_()
    assert "2 lamps" in shown
    assert "warm" in shown


def test_its_noise_and_its_charge_are_in_the_equations():
    netlist = lamps(Lamp("1", "a", "0", 1e-3, 0.0, farads=3e-12))
    equations = circuits.Equations.of(netlist)
    assert equations.capacitances().tolist() == [[4e-12]]
    at = np.zeros((1, 1))
    thermal = 2 * 1.38064852e-23 * 300.15 * 1e-3
    white, flicker = (densities(equations, {}, at, flicker=f).toarray() for f in (False, True))
    np.testing.assert_allclose(white, [[thermal + 1e-24 * 300.15]], rtol=1e-12)
    np.testing.assert_allclose(flicker, [[2e-24 * 300.15]], rtol=1e-12)


def test_a_law_without_an_energy_is_refused_by_name():
    class Gate(Lamp):
        def terms(self, kelvin):
            return (circuits.Term.between(Sum(), self.plus, self.minus, ("in", "a")),)

    @dataclass(frozen=True)
    class Sum(circuits.Law):
        def evaluate(self, *values):
            return 1e-3 * (values[0] + values[1]), (1e-3, 1e-3)

    with pytest.raises(circuits.NetlistError, match=r"co-content, but the expressions of \['B1'\]"):
        circuits.energy(lamps(Gate("1", "a", "0", 1.0, 0.0)), inputs=["Vin"], outputs=["a"])


def test_arrays_of_jax_take_the_namespace_of_jax():
    assert namespace(1.0, np.ones(2)) is np
    assert namespace(np.ones(2), jnp.ones(2)).__name__.startswith("jax")


DECK = """Lamps
Vin in 0 0.5
R1 in a 1k
C1 a 0 1p
X1 a b LAMP siemens={g} cube=2m
Xin b 0 pair
.param g=1m
.subckt pair p q
X2 p q lamp siemens=2m cube=5m
.ends
.end
"""


def test_a_deck_names_it_in_an_x_line():
    class Known(Lamp):
        subcircuit = "lamp"

    netlist = circuits.parse(DECK, elements=[Known])
    assert netlist.of(Known) == [
        Known("1", "a", "b", 1e-3, 2e-3),
        Known("in.2", "b", "0", 2e-3, 5e-3),
    ]
    again = circuits.parse(netlist.spice())  # as the sources by which ngspice knows it
    assert [element.key for element in again.elements] == [e.key for e in netlist.elements]
    assert len(again.of(circuits.Behavioural)) == 2
    with pytest.raises(
        circuits.DeckError, match="'LAMP' must be a subcircuit that the deck defines"
    ):
        circuits.parse(DECK)
    for wrong, message in (
        (
            "X1 a b lamp siemens=1m",
            "lamp must be given as name, plus, minus, siemens, cube, farads",
        ),
        ("X1 a b lamp siemens=1m cube=1 watts=2", "'watts' is not supported here"),
        ("X1 a lamp siemens=1m cube=1", "must be given as name"),
    ):
        with pytest.raises(circuits.DeckError, match=message):
            circuits.parse(f"Wrong\n{wrong}\n.end\n", elements=[Known])


def test_an_expression_that_is_turned_round_has_the_other_sign():
    v = np.array([-0.4, 0.3, 1.2])
    for text, sign in (("2m*v(a,b)", 1.0), ("2m*v(b,a)", -1.0), ("3m*v(a,b)+1m*v(b,a)", 1.0)):
        (element,) = circuits.parse(f"Deck\nB1 a b i={text}\n").elements
        law = element.terms(300.15)[0].law
        np.testing.assert_allclose(law.current(v), sign * 2e-3 * v, rtol=1e-12)
        np.testing.assert_allclose(law.conductance(v), sign * 2e-3, rtol=1e-12)
