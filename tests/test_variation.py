"""Variation: the spread that was asked for, and the same chip for the same seed."""

import numpy as np
import pytest
from test_netlist import JUNCTION

import circuits

MATRIX = circuits.ConductanceMatrix(
    "g1", tuple(f"a{i}" for i in range(400)), tuple(f"b{i}" for i in range(100)), np.full((400, 100), 2e-5)
)
DIODES = tuple(circuits.Diode(f"d{i}", f"b{i % 100}", "0", JUNCTION, area=2.0) for i in range(2000))
DECK = circuits.Netlist("Deck", (MATRIX, *DIODES))
BOTH = circuits.Programming(0.1) + circuits.Saturation(0.2)


def values(chip):
    return chip.elements[0].siemens.ravel(), np.array([diode.area for diode in chip.elements[1:]])


@pytest.mark.parametrize("spread", [0.01, 0.1, 0.5])
def test_mean_and_deviation_are_what_was_asked_for(spread):
    siemens, areas = values((circuits.Programming(spread) + circuits.Saturation(spread)).chip(DECK, seed=0, number=0))
    for seen, nominal in ((siemens, 2e-5), (areas, 2.0)):
        error = 1 / np.sqrt(seen.size)
        np.testing.assert_allclose(seen.mean() / nominal, 1, atol=4 * spread * error)
        np.testing.assert_allclose(seen.std() / nominal, spread, rtol=6 * error)
        assert seen.min() > 0
        log = np.log(seen)
        assert abs(np.mean((log - log.mean()) ** 3)) / log.std() ** 3 < 5 * np.sqrt(6) * error  # log-normal: no skew in the logarithm


def test_the_same_seed_is_the_same_chip_in_any_order():
    first = BOTH.chip(DECK, seed=3, number=7)
    backwards = circuits.Netlist("Deck", DECK.elements[::-1])
    again = BOTH.chip(backwards, seed=3, number=7)
    assert set(first.elements[1:]) == set(again.elements[:-1])
    assert first.elements[0] == again.elements[-1]
    assert first.header[-1] == "Chip 7 of seed 3: Programming(spread=0.1) + Saturation(spread=0.2)."


@pytest.mark.parametrize(("seed", "number"), [(4, 7), (3, 8)])
def test_another_seed_or_number_is_another_chip(seed, number):
    first, other = values(BOTH.chip(DECK, seed=3, number=7)), values(BOTH.chip(DECK, seed=seed, number=number))
    for a, b in zip(first, other, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)


def test_no_spread_is_the_nominal_circuit():
    chip = (circuits.Programming(0.0) + circuits.Saturation(0.0)).chip(DECK, seed=0, number=0)
    assert chip.elements == DECK.elements


def test_each_varies_its_own():
    chip = circuits.Programming(0.1).chip(DECK, seed=0, number=0)
    assert chip.elements[1:] == DECK.elements[1:]
    assert chip.elements[0] != DECK.elements[0]


def test_single_resistors_vary_too():
    chip = circuits.Programming(0.1).chip(circuits.Netlist("R", (circuits.Resistor("r", "a", "0", 1.0),)), seed=0, number=0)
    assert 0.5 < chip.elements[0].siemens < 1.5
    assert chip.elements[0].siemens != 1.0


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"`spread` must be finite and at least 0, but is -0\.1"):
        circuits.Programming(-0.1)
    with pytest.raises(ValueError, match="variations that are added must differ in kind"):
        circuits.Programming(0.1) + circuits.Programming(0.2)
