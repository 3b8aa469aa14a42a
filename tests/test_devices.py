"""Devices: current, co-content and SPICE text are one thing, and ngspice agrees."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import circuits
from circuits.units import THERMAL_VOLTAGE

JUNCTIONS = [circuits.Junction(1e-9), circuits.Junction(3e-12, emission=1.7), circuits.Junction(1e-6, gmin=0.0)]
PAIRS = [circuits.DiodePair(1e-9, 0.1), circuits.DiodePair(1e-12, 0.0, emission=1.5)]
V = np.concatenate([np.linspace(-2, 0.8, 301), -3 * THERMAL_VOLTAGE + np.array([-1e-9, 0, 1e-9])])


@pytest.mark.parametrize("law", [*JUNCTIONS, *PAIRS])
def test_current_is_the_slope_of_the_cocontent(law):
    slope = jax.vmap(jax.grad(law.cocontent))(jnp.asarray(V))
    scale = np.abs(law.current(V)) + 1e-9 * getattr(law, "saturation", 1.0)
    np.testing.assert_allclose(slope / scale, law.current(V) / scale, atol=1e-9)


@pytest.mark.parametrize("law", JUNCTIONS)
def test_conductance_is_the_slope_of_the_current(law):
    np.testing.assert_allclose(law.conductance(V), jax.vmap(jax.grad(law.current))(jnp.asarray(V)), rtol=1e-10)


@pytest.mark.parametrize("law", [*JUNCTIONS, *PAIRS])
def test_numpy_and_jax_say_the_same_in_their_own_precision(law):
    np.testing.assert_allclose(law.current(V), law.current(jnp.asarray(V)), rtol=1e-12, atol=1e-30)
    for method in (law.current, law.cocontent):
        assert method(jnp.asarray(V, jnp.float32)).dtype == jnp.float32


def test_forward_law_is_shockleys():
    law = circuits.Junction(2e-9, emission=1.2, gmin=0.0)
    for v in (0.0, 0.05, 0.4):
        np.testing.assert_allclose(law.current(v), 2e-9 * (np.exp(v / (1.2 * THERMAL_VOLTAGE)) - 1), rtol=1e-12)


@pytest.mark.parametrize("law", JUNCTIONS)
def test_ngspice_has_the_same_law(law, simulator):
    """A resistor divides a swept source onto the diode: the node's balance is the diode's current, in both directions."""
    law = dataclasses.replace(law, gmin=1e-12)
    siemens, source = 1e-4, np.linspace(-2.0, 2.0, 41)
    deck = circuits.Netlist(
        "Diode",
        (
            circuits.VoltageSource("in", "in", "0", 0.0),
            circuits.Resistor("one", "in", "a", siemens),
            circuits.Diode("one", "a", "0", law, area=1.3),
        ),
    )
    seen = simulator.operating_points(deck, {"Vin": source}).voltage.sel(node="a").values
    resistor = siemens * (source - seen)
    np.testing.assert_allclose(law.current(seen, 1.3), resistor, rtol=1e-7, atol=1e-15)


def test_another_law_is_seen(simulator):
    """The negative control: Shockley's own law in reverse, and today's constants, are not ngspice's."""
    deck = circuits.Netlist(
        "Diode",
        (
            circuits.CurrentSource("in", "a", "0", 0.97e-9),
            circuits.Resistor("leak", "a", "0", 1e-12),
            circuits.Diode("one", "a", "0", circuits.Junction(1e-9)),
        ),
    )
    v = simulator.operating_points(deck).voltage.values[0, 0]
    assert v < -3 * THERMAL_VOLTAGE
    shockley = 1e-9 * (np.exp(v / THERMAL_VOLTAGE) - 1) + 2e-12 * v + 0.97e-9
    assert abs(circuits.Junction(1e-9).current(v) + 1e-12 * v + 0.97e-9) < 1e-16 < abs(shockley)


def test_an_ideal_diode_clamps_in_ngspice(simulator):
    device = circuits.IdealDiodes()
    low, high = device.bounds(3)
    assert low.tolist() == [0.0, 0.0, -np.inf]
    assert high.tolist() == [np.inf, np.inf, 0.0]
    nodes, source = ("a", "b", "c"), np.array([-1.0, 2.0])
    elements = [circuits.VoltageSource("in", "in", "0", 0.0)]
    elements += [circuits.Resistor(node, "in", node, 1e-5) for node in nodes]
    elements += [circuits.Resistor(f"{node}g", node, "0", 1e-5) for node in nodes]
    elements += device.elements(nodes, np.full(3, 2e-5))
    seen = simulator.operating_points(circuits.Netlist("Ideal diodes", tuple(elements)), {"Vin": source})
    assert set(seen.status.values) == {"ok"}
    np.testing.assert_allclose(seen.voltage.sel(node=list(nodes)), np.clip(source[:, None] / 2, low, high), atol=1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: circuits.Junction(-1e-9), "`saturation` must be finite and above 0, but is -1e-09"),
        (lambda: circuits.DiodePair(np.nan), "`saturation` must be finite and above 0, but is nan"),
        (lambda: circuits.DiodePair(1e-9, bias=np.inf), "`bias` must be finite, but is inf"),
        (lambda: circuits.DiodePair(1e-9, emission=0.0), "`emission` must be finite and above 0, but is 0.0"),
        (
            lambda: circuits.Diode("d", "a", "0", circuits.Junction(1e-9), area=0.0),
            "`area` of d must be finite and above 0, but is 0.0",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
