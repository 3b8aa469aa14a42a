"""Small-signal responses against closed forms and ngspice."""

import numpy as np
import pytest

import circuits

NODAL = circuits.Nodal()


def test_a_low_pass_is_its_formula(simulator):
    netlist = circuits.parse("Low pass\nV1 in 0 dc 0.2 ac 2\nR1 in out 1k\nC1 out 0 1n\n.end\n")
    for used in (NODAL, simulator):
        response = used.small_signal(netlist, lowest=1e3, highest=1e7, points=5)
        np.testing.assert_allclose(response.frequency, 10 ** np.linspace(3, 7, 21), rtol=1e-12)
        expected = 2 / (1 + 2j * np.pi * response.frequency.values * 1e-6)
        np.testing.assert_allclose(response.voltage.sel(node="out"), expected, rtol=1e-9)
    assert abs(complex(expected[0])) > 1.99 > abs(complex(expected[-1]))


DECKS = {
    "resonator with a diode": "V1 a 0 dc 0.7 ac 1|R1 a b 50|L1 b c 1u|C1 c 0 1n|D1 c 0 d|"
    "Rl c 0 10k|.model d d(is=1n)",
    "diode on the driven node": "V1 a 0 dc 0.6 ac 1|D1 a b d|R1 b 0 1k|C1 a b 1p|C2 b 0 3p|"
    ".model d d(is=1n)",
    "controlled sources": "V1 a 0 dc 0.3 ac 1|R1 a b 1k|C1 b 0 1n|E1 e 0 b 0 3|R2 e f 2k|"
    "V2 f g 0|Rg g 0 1k|F1 b 0 V2 0.3|Cg g 0 2n",
    "expressions": "V1 a 0 dc 0.4 ac 1|I1 0 b dc 1m ac 1m|R1 a b 1k|"
    "B1 b 0 i=1m*v(b)^2*sgn(v(b))|R2 b 0 5k|C1 b 0 1n",
}


@pytest.mark.parametrize("name", DECKS)
def test_it_is_that_of_ngspice(simulator, name):
    netlist = circuits.parse("\n".join([name, *DECKS[name].split("|"), ".end", ""]))
    ours, theirs = (
        used.small_signal(netlist, lowest=1e4, highest=1e9, points=3) for used in (NODAL, simulator)
    )
    assert ours.node.values.tolist() == theirs.node.values.tolist()
    np.testing.assert_allclose(ours.voltage, theirs.voltage, rtol=1e-7, atol=1e-12)
    deaf = netlist.with_elements(
        *(
            circuits.Capacitor(c.name, c.plus, c.minus, 1.1 * c.farads)
            for c in netlist.of(circuits.Capacitor)
        )
    )
    other = NODAL.small_signal(deaf, lowest=1e4, highest=1e9, points=3)
    assert np.max(np.abs(other.voltage.values - theirs.voltage.values)) > 1e-5  # the control


def test_bad_arguments_are_named(simulator):
    netlist = circuits.parse("Low pass\nV1 in 0 dc 0.2 ac 2\nR1 in out 1k\nC1 out 0 1n\n.end\n")
    for used in (NODAL, simulator):
        with pytest.raises(
            ValueError, match="`lowest` and `highest` must be finite and 0 < lowest < highest"
        ):
            used.small_signal(netlist, lowest=1e7, highest=1e3)
        with pytest.raises(ValueError, match="`points` must be 1 or more, but is 0"):
            used.small_signal(netlist, lowest=1e3, highest=1e7, points=0)
