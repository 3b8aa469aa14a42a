"""Devices: current, co-content and SPICE text are one thing, and ngspice agrees."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import circuits
from circuits.devices import clamp, curve_source
from circuits.units import THERMAL_VOLTAGE

MODELS = [
    circuits.DiodeModel(1e-9),
    circuits.DiodeModel(3e-12, emission=1.7),
    circuits.DiodeModel(1e-6, gmin=0.0),
]
JUNCTIONS = [model.at() for model in MODELS]
PAIRS = [circuits.DiodePair(1e-9, 0.1), circuits.DiodePair(1e-12, 0.0, emission=1.5)]
POINTS = np.array([-0.9, -0.3, -0.11, 0.05, 0.2, 0.7])
CURVES = [
    circuits.Curve(
        POINTS, [-4e-5, -6e-6, -1e-6, -1e-6, 2e-6, 3e-5]
    ),  # flat in one part, and not 0 at 0 V
    circuits.Curve([0.1, 0.4], [1e-6, 5e-6]),
    circuits.Curve(
        np.linspace(-1, 0.4, 301), circuits.DiodeModel(1e-9).at().current(np.linspace(-1, 0.4, 301))
    ),
]
SINGLES = [circuits.SingleDiode(1e-9), circuits.SingleDiode(1e-12, bias=-0.3, emission=1.5)]
ZENERS = [circuits.ZenerDiode(1e-9, 0.4, emission=1.2), circuits.ZenerDiode(1e-9, 3.0)]
V = np.concatenate([np.linspace(-2, 0.8, 301), -3 * THERMAL_VOLTAGE + np.array([-1e-9, 0, 1e-9])])


@pytest.mark.parametrize("law", [*JUNCTIONS, *PAIRS])
def test_current_is_the_slope_of_the_cocontent(law):
    slope = jax.vmap(jax.grad(law.cocontent))(jnp.asarray(V))
    scale = np.abs(law.current(V)) + 1e-9 * getattr(law, "saturation", 1.0)
    np.testing.assert_allclose(slope / scale, law.current(V) / scale, atol=1e-9)


@pytest.mark.parametrize("device", [*SINGLES, *CURVES, *ZENERS])
def test_current_of_a_layer_is_the_slope_of_its_cocontent(device):
    """By the formulas' own derivative, and by finite differences, which do not look inside."""
    layer = np.linspace(-1.3, 0.9, 88)
    current = device.current(layer)
    scale = np.abs(current) + 1e-9 * np.max(np.abs(current))
    slope = jax.grad(lambda v: jnp.sum(device.cocontent(v)))(jnp.asarray(layer))
    np.testing.assert_allclose(slope / scale, current / scale, atol=1e-9)
    step = 1e-6
    differences = (device.cocontent(layer + step) - device.cocontent(layer - step)) / (2 * step)
    np.testing.assert_allclose(differences, current, rtol=1e-4, atol=1e-6 * np.max(np.abs(current)))
    assert np.max(np.abs(differences + current)) > 1e-6  # the control: the sign shows
    for method in (device.current, device.cocontent):
        np.testing.assert_allclose(
            method(layer), method(jnp.asarray(layer)), rtol=1e-11, atol=1e-30
        )
        assert (
            method(jnp.asarray(layer, jnp.float32)).dtype
            == method(layer.astype(np.float32)).dtype
            == np.float32
        )
        batch = np.stack([layer, -layer])
        np.testing.assert_array_equal(method(batch), [method(layer), method(-layer)])


def test_one_diode_holds_each_half_of_a_layer_from_its_side():
    for device in SINGLES:
        law, v = device.junction, np.array([-0.5, 0.4, 0.3, -0.6, 0.7])
        expected = [*-law.current(-v[:3] - device.bias), *law.current(v[3:] - device.bias)]
        np.testing.assert_allclose(device.current(v), expected, rtol=1e-12)
        low, high = device.ideal().bounds(5)
        assert low.tolist() == [-device.bias] * 3 + [-np.inf] * 2
        assert high.tolist() == [np.inf] * 3 + [device.bias] * 2
        np.testing.assert_array_less(
            np.abs(device.current(np.array([1.0, 1, 1, -1, -1]))), 2e-9 + 2e-12
        )  # held from one side only
        np.testing.assert_array_less(1e-9, np.abs(device.current(np.array([-1.0, -1, -1, 1, 1]))))


def test_a_curve_is_a_line_between_its_points_and_its_end_lines_beyond():
    curve = CURVES[0]
    inside, volts, amperes = (
        np.linspace(-0.9, 0.7, 77),
        np.array(curve.volts),
        np.array(curve.amperes),
    )
    np.testing.assert_allclose(
        curve.current(inside), np.interp(inside, volts, amperes), rtol=1e-12, atol=1e-20
    )
    for beyond, at, segment in ((-1.7, 0, 0), (3.1, -1, -1)):
        slope = np.diff(amperes)[segment] / np.diff(volts)[segment]
        np.testing.assert_allclose(
            curve.current(beyond), amperes[at] + slope * (beyond - volts[at]), rtol=1e-12
        )
        assert (
            abs(curve.current(beyond) - np.interp(beyond, volts, amperes)) > 1e-5
        )  # the control: not held at the last value
    np.testing.assert_allclose(
        curve.conductance(inside),
        jax.vmap(jax.grad(curve.current))(jnp.asarray(inside)),
        rtol=1e-12,
    )
    for one in CURVES:
        assert abs(one.cocontent(0.0)) < 1e-20
        for v in (-1.2, -0.2, 0.3, 1.1):
            whole = np.linspace(0, v, 200_001)
            np.testing.assert_allclose(
                one.cocontent(v), np.trapezoid(one.current(whole), whole), rtol=1e-7
            )


@pytest.mark.parametrize("law", JUNCTIONS)
def test_conductance_is_the_slope_of_the_current(law):
    np.testing.assert_allclose(
        law.conductance(V), jax.vmap(jax.grad(law.current))(jnp.asarray(V)), rtol=1e-10
    )


@pytest.mark.parametrize("law", [*JUNCTIONS, *PAIRS])
def test_numpy_and_jax_say_the_same_in_their_own_precision(law):
    np.testing.assert_allclose(law.current(V), law.current(jnp.asarray(V)), rtol=1e-12, atol=1e-30)
    for method in (law.current, law.cocontent):
        assert method(jnp.asarray(V, jnp.float32)).dtype == jnp.float32


def test_forward_law_is_shockleys():
    law = circuits.DiodeModel(2e-9, emission=1.2, gmin=0.0).at()
    for v in (0.0, 0.05, 0.4):
        np.testing.assert_allclose(
            law.current(v), 2e-9 * (np.exp(v / (1.2 * THERMAL_VOLTAGE)) - 1), rtol=1e-12
        )


@pytest.mark.parametrize("model", MODELS)
def test_ngspice_has_the_same_law(model, simulator):
    """A resistor divides a swept source onto the diode: the node's balance is its current."""
    model = dataclasses.replace(model, gmin=1e-12)
    siemens, source = 1e-4, np.linspace(-2.0, 2.0, 41)
    deck = circuits.Netlist(
        "Diode",
        (
            circuits.VoltageSource("in", "in", "0", 0.0),
            circuits.Resistor("one", "in", "a", siemens=siemens),
            circuits.Diode("one", "a", "0", model, area=1.3),
        ),
    )
    volts = simulator.operating_points(deck, {"Vin": source}).voltage.sel(node="a").values
    resistor = siemens * (source - volts)
    np.testing.assert_allclose(model.at(area=1.3).current(volts), resistor, rtol=1e-7, atol=1e-15)


def test_another_law_is_seen(simulator):
    """The negative control: Shockley's law in reverse, and today's constants, are not ngspice's."""
    deck = circuits.Netlist(
        "Diode",
        (
            circuits.CurrentSource("in", "a", "0", 0.97e-9),
            circuits.Resistor("leak", "a", "0", siemens=1e-12),
            circuits.Diode("one", "a", "0", circuits.DiodeModel(1e-9)),
        ),
    )
    v = simulator.operating_points(deck).voltage.values[0, 0]
    assert v < -3 * THERMAL_VOLTAGE
    shockley = 1e-9 * (np.exp(v / THERMAL_VOLTAGE) - 1) + 2e-12 * v + 0.97e-9
    assert (
        abs(circuits.DiodeModel(1e-9).at().current(v) + 1e-12 * v + 0.97e-9) < 1e-16 < abs(shockley)
    )


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_an_ideal_diode_clamps_in_ngspice(bias, simulator):
    device = circuits.IdealDiodes(bias)
    low, high = device.bounds(3)
    assert low.tolist() == [-bias, -bias, -np.inf]
    assert high.tolist() == [np.inf, np.inf, bias]
    nodes, source = ("a", "b", "c"), np.array([-1.0, 2.0])
    elements = [circuits.VoltageSource("in", "in", "0", 0.0)]
    elements += [circuits.Resistor(node, "in", node, siemens=1e-5) for node in nodes]
    elements += [circuits.Resistor(f"{node}g", node, "0", siemens=1e-5) for node in nodes]
    elements += device.elements(nodes, np.full(3, 2e-5))
    points = simulator.operating_points(
        circuits.Netlist("Ideal diodes", tuple(elements)), {"Vin": source}
    )
    assert set(points.status.values) == {"ok"}
    np.testing.assert_allclose(
        points.voltage.sel(node=list(nodes)), np.clip(source[:, None] / 2, low, high), atol=1e-8
    )


def divider(device, nodes, siemens):
    """Nodes with a device each, on one swept source through a resistor each."""
    elements = [circuits.VoltageSource("in", "in", "0", 0.0), *device.rails()]
    elements += [circuits.Resistor(node, "in", node, siemens=siemens) for node in nodes]
    return circuits.Netlist(
        "Divider", (*elements, *device.elements(nodes, np.full(len(nodes), siemens)))
    )


@pytest.mark.parametrize("device", [*SINGLES, *CURVES, *ZENERS])
def test_ngspice_has_the_same_device(device, simulator):
    """The node's balance is the device's current to 1 nV, also beyond the points of a curve."""
    nodes, source, siemens = ("a", "b", "c"), np.linspace(-5.0, 5.0, 61), 1e-2
    points = simulator.operating_points(divider(device, nodes, siemens), {"Vin": source})
    assert set(points.status.values) == {"ok"}
    v = points.voltage.sel(node=list(nodes)).values
    current = device.current(v)
    assert np.ptp(v) > (1.0 if device == ZENERS[0] else 2.5)
    np.testing.assert_allclose(
        current, siemens * (source[:, None] - v), rtol=0, atol=1e-9 * siemens
    )
    if device in CURVES:
        assert v.min() < min(device.volts) < max(device.volts) < v.max()


def test_another_curve_is_seen(simulator):
    """The negative control: one point moved by a millionth is beyond the tolerance above."""
    curve = CURVES[0]
    other = dataclasses.replace(
        curve, amperes=(*curve.amperes[:-1], curve.amperes[-1] * (1 + 1e-6))
    )
    v = (
        simulator.operating_points(divider(other, ("a",), 1e-5), {"Vin": np.array([3.0])})
        .voltage.sel(node="a")
        .values
    )
    assert np.abs(curve.current(v) - 1e-5 * (3.0 - v)) > 1e-9 * 1e-5
    np.testing.assert_allclose(other.current(v), 1e-5 * (3.0 - v), rtol=0, atol=1e-9 * 1e-5)


def test_the_spice_lines_of_a_curve_say_what_is_beyond_its_points():
    source = curve_source("hd", "h", circuits.Curve([-0.5, 0.0, 1.0], [-1e-6, 0.0, 4e-6]))
    table = "pwl(min(max(v(h),(-0.5)),1.0),(-0.5),(-1e-06),0.0,0.0,1.0,4e-06)"
    assert source.lines() == [
        f"Bhd h 0 i=(({table}+(2e-06*min((v(h)-(-0.5)),0.0)))+(4e-06*max((v(h)-1.0),0.0)))"
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: circuits.Curve([0.0], [0.0]),
            "`volts` must be two or more finite numbers in a row, but is",
        ),
        (
            lambda: circuits.Curve([0.0, np.nan], [0.0, 1.0]),
            "`volts` must be two or more finite numbers in a row",
        ),
        (
            lambda: circuits.Curve(np.zeros((2, 2)), [0.0, 1.0]),
            "`volts` must be two or more finite numbers in a row",
        ),
        (
            lambda: circuits.Curve([0.0, 1.0], [0.0, 1.0, 2.0]),
            "`volts` and `amperes` must have as many points, but have 2 and 3",
        ),
        (
            lambda: circuits.Curve([0.0, 1.0, 1.0], [0.0, 1.0, 2.0]),
            "`volts` must be strictly increasing, but is 1.0 and then 1.0 at points 1 and 2",
        ),
        (
            lambda: circuits.Curve([0.0, 1.0, 2.0], [0.0, 1.0, 0.5]),
            "`amperes` must be nowhere decreasing, but is 1.0 and then 0.5 at points 1 and 2",
        ),
        (
            lambda: circuits.SingleDiode(-1e-9),
            "`saturation` must be finite and above 0, but is -1e-09",
        ),
        (lambda: circuits.SingleDiode(1e-9, bias=np.nan), "`bias` must be finite, but is nan"),
        (lambda: circuits.IdealDiodes(np.inf), "`bias` must be finite, but is inf"),
        (lambda: circuits.IdealPair("0.1"), "`bias` must be finite and at least 0, but is '0.1'"),
        (lambda: circuits.SingleDiode(1e-9, bias=None), "`bias` must be finite, but is None"),
        (
            lambda: circuits.Curve(["a", "b"], [0.0, 1.0]),
            "`volts` must be two or more finite numbers in a row",
        ),
        (
            lambda: clamp("a", "n", 1.0, -1.0, 1.0),
            "`lowest` of a must be at most `highest`, and one of them finite",
        ),
    ],
)
def test_a_device_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: circuits.DiodeModel(-1e-9),
            "`saturation` must be finite and above 0, but is -1e-09",
        ),
        (lambda: circuits.DiodePair(np.nan), "`saturation` must be finite and above 0, but is nan"),
        (lambda: circuits.DiodePair(1e-9, bias=np.inf), "`bias` must be finite, but is inf"),
        (
            lambda: circuits.DiodePair(1e-9, emission=0.0),
            "`emission` must be finite and above 0, but is 0.0",
        ),
        (
            lambda: circuits.Diode("d", "a", "0", circuits.DiodeModel(1e-9), area=0.0),
            "`area` of d must be finite and above 0, but is 0.0",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
