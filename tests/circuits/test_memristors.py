"""Memristors: SPICE against the ODE, closed forms and published numbers; pulses."""

import dataclasses

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import circuits
import circuits.plotting
from circuits import GROUND, Memristor, Netlist, Pwl, Resistor, Sin, VoltageSource
from circuits.memristors import (
    VTEAM,
    Biolek,
    IonDrift,
    Joglekar,
    Rectangular,
    Staircase,
    StanfordRRAM,
    Window,
    Yakopcic,
    hysteresis,
    program,
    pulse,
    separation,
    write_verify,
)

NODAL = circuits.Nodal()
SWEEP = 1e-3

DRIVES = {
    # Strukov et al. 2008, figure 2b: 1 V, R_off/R_on = 160, D²/(μ v₀) = 10 ms; w/D keeps off its
    # bounds
    "strukov": (IonDrift(), Sin(0, 1, 0.5), 0.1, 2.0, 4e-3),
    "joglekar": (IonDrift(window=Joglekar(1)), Sin(0, 1, 0.5), 0.2, 2.0, 4e-3),
    # Biolek et al. 2009: 100 Ω, 16 kΩ and 11 kΩ at first, p = 10, 1.2 V
    "biolek": (IonDrift(window=Biolek(10)), Sin(0, 1.2, 1.0), 5000 / 15900, 2.0, 4e-3),
    # Kvatinsky et al. 2015: 1 V at 50 MHz
    "vteam": (VTEAM(), Sin(0, 1, 50e6), 0.5, 40e-9, 1e-10),
    # Yakopcic et al. 2011: 0.5 V at 100 Hz
    "yakopcic": (Yakopcic(), Sin(0, 0.5, 100), 0.11, 20e-3, 4e-5),
    "stanford": (
        StanfordRRAM(),
        Pwl((0.0, SWEEP / 4, 3 * SWEEP / 4, SWEEP), (0.0, 2.1, -2.1, 0.0)),
        0.0,
        SWEEP,
        2e-6,
    ),
}
MODELS = [model for model, *_ in DRIVES.values()]
IDS = list(DRIVES)
SPEEDS = ("mobility", "on_speed", "off_speed", "set_speed", "reset_speed", "speed")
SLOW = 2.0  # s, for the ODEs


def slowed(model, factor):
    """The same loop at another pace: that of the drive, and of the state."""
    return dataclasses.replace(
        model,
        **{
            f.name: getattr(model, f.name) * factor
            for f in dataclasses.fields(model)
            if f.name in SPEEDS
        },
    )


@pytest.fixture(scope="module")
def odes():
    """The loops by diffrax: all at one pace, in one circuit."""
    elements, devices = [], {}
    for name, (model, waveform, state, stop, _) in DRIVES.items():
        devices[name] = Memristor(name, name, GROUND, slowed(model, stop / SLOW), state)
        elements += [
            VoltageSource(name, name, GROUND, 0.0, waveform=stretched(waveform, SLOW / stop)),
            *devices[name].elements(),
        ]
    start = {device.node: device.state for device in devices.values()}
    path = NODAL.transient(
        Netlist("ODEs", tuple(elements)), stop=SLOW, step=SLOW / 500, start=start
    ).voltage
    loops = {}
    for name, device in devices.items():
        volts, state = (
            stretched(DRIVES[name][1], SLOW / DRIVES[name][3]).at(path.time.values),
            path.sel(node=device.node).values,
        )
        data = {"voltage": volts, "current": device.model.current(volts, state), "state": state}
        time = path.time.values * DRIVES[name][3] / SLOW
        loops[name] = xr.Dataset(
            {key: ("time", values) for key, values in data.items()}, coords={"time": time}
        )
    return loops


def stretched(waveform, factor):
    if isinstance(waveform, Sin):
        return dataclasses.replace(waveform, frequency=waveform.frequency / factor)
    return Pwl(tuple(factor * t for t in waveform.times), waveform.values)


def spice(simulator, name, finer=5.0, **changed):
    model, waveform, state, stop, step = DRIVES[name]
    given = {"waveform": waveform, "state": state, "stop": stop, "step": step / finer} | changed
    return hysteresis(simulator, given.pop("model", model), given.pop("waveform"), **given)


@pytest.mark.parametrize("name", DRIVES)
def test_loops_of_spice_and_of_the_ode_agree_within_a_thousandth_of_the_peak(name, odes, simulator):
    loop, theirs = odes[name], spice(simulator, name)
    assert separation(loop, theirs) < 1e-3
    for end in ("min", "max"):
        np.testing.assert_allclose(
            getattr(loop.current, end)(), getattr(theirs.current, end)(), rtol=1e-3
        )
    if name not in ("vteam", "stanford"):  # which switch at once
        at = np.interp(loop.time, theirs.time, theirs.current)
        np.testing.assert_allclose(
            loop.current[1:], at[1:], rtol=0, atol=1e-3 * float(loop.current.max())
        )
    other = spice(
        simulator,
        name,
        finer=1,
        stop=1.5 * DRIVES[name][3],
        waveform=stretched(DRIVES[name][1], 1.5),
    )
    assert separation(other, theirs) > 1e-3  # the control: driven more slowly, the loop is another


@pytest.mark.parametrize(
    "name", [name for name in DRIVES if name != "stanford"]
)  # whose state switches within a step at any frequency
def test_loops_are_pinched_and_close_with_the_frequency(name, simulator):
    """The fingerprints of a memristor (Adhikari et al. 2013, IEEE TCAS-I 60, 3008)."""
    model, waveform, *_ = DRIVES[name]
    np.testing.assert_array_equal(model.current(0.0, np.linspace(0, 1, 11)), 0.0)
    areas, peaks = [], []
    critical = 1e4 if name == "vteam" else 1.0  # it switches on in 5 ps
    for factor in (critical, 10 * critical, 100 * critical):
        faster = dataclasses.replace(waveform, frequency=waveform.frequency * factor)
        loop = spice(
            simulator,
            name,
            waveform=faster,
            stop=1 / faster.frequency,
            step=1e-3 / faster.frequency,
        )
        v, i = loop.voltage.values, loop.current.values
        areas.append(sum(abs(np.trapezoid(i[lobe], v[lobe])) for lobe in (v > 0, v < 0)))
        peaks.append(np.ptp(i) * np.ptp(v))
    assert areas[0] > areas[1] > areas[2] > 0
    assert areas[0] / peaks[0] > 3 * areas[2] / peaks[2]


def test_linear_drift_is_the_root_of_the_flux(simulator):
    """Strukov et al. 2008, figure 2b: R(x) = R_off − Δx, R² = R(x₀)² − 2Δ (μ R_on/D²) ∫v dt."""
    model, waveform, state, *_ = DRIVES["strukov"]
    assert model.off_ohms / model.on_ohms == 160
    assert 1.0 / model.on_ohms == 10e-3  # i₀ = v₀/R_on = 10 mA
    assert model.thickness**2 / model.mobility == pytest.approx(10e-3)  # t₀ = D²/(μ v₀) = 10 ms
    loop = spice(simulator, "strukov", finer=20)
    omega, difference = 2 * np.pi * waveform.frequency, model.off_ohms - model.on_ohms
    flux = (1 - np.cos(omega * loop.time.values)) / omega
    ohms = np.sqrt((model.off_ohms - difference * state) ** 2 - 2 * difference * 1e4 * flux)
    expected = np.sin(omega * loop.time.values) / ohms
    np.testing.assert_allclose(loop.current, expected, rtol=0, atol=2e-5 * expected.max())
    assert 0.05 < float(loop.state.min()) < float(loop.state.max()) < 0.95


def test_joglekars_window_makes_the_state_a_logistic_function_of_the_charge(simulator):
    """Joglekar and Wolf 2009, p = 1: dx/dt = 4k i x (1 − x): x/(1 − x) grows by exp(4kq)."""
    loop = spice(simulator, "joglekar", finer=20)
    charge = np.concatenate(
        [
            [0.0],
            np.cumsum(
                np.diff(loop.time) * (loop.current.values[1:] + loop.current.values[:-1]) / 2
            ),
        ]
    )
    odds = loop.state / (1 - loop.state)
    np.testing.assert_allclose(np.log(odds / odds[0]), 4e4 * charge, rtol=0, atol=1e-4)
    assert float(np.log(odds.max() / odds[0])) > 0.5


def test_windows_are_those_of_their_papers():
    k = 1e4
    x = np.array([0.0, 0.25, 0.5, 1.0])
    for volts in (1.0, -1.0):
        for p in (1, 5):
            model = IonDrift(window=Joglekar(p))
            np.testing.assert_allclose(
                model.rate(volts, x) / (k * model.current(volts, x)),
                [0, 1 - 0.25**p, 1, 0],
                atol=1e-15,
            )
    model = IonDrift(window=Biolek(2))
    np.testing.assert_allclose(
        model.rate(1.0, x) / (k * model.current(1.0, x)), 1 - x**4, atol=1e-15
    )
    np.testing.assert_allclose(
        model.rate(-1.0, x) / (k * model.current(-1.0, x)), 1 - (x - 1) ** 4, atol=1e-15
    )
    at_bound = {name: IonDrift(window=window).rate(-1.0, 1.0) for name, window in WINDOWS.items()}
    assert (
        at_bound["joglekar"] == 0 > at_bound["biolek"] == at_bound["rectangular"]
    )  # Joglekar's keeps a state at its bound


WINDOWS = {"rectangular": Rectangular(), "joglekar": Joglekar(2), "biolek": Biolek(2)}


class Mistaken(Window):
    """Biolek's window with the sign of the current mistaken."""

    def factor(self, v, x):
        return Biolek(1).factor(-v, x)


def test_the_sign_of_a_window_matters(simulator):
    right, wrong = (
        spice(simulator, "biolek", model=IonDrift(window=one), waveform=Sin(0, 0.8, 1))
        for one in (Biolek(1), Mistaken())
    )
    assert separation(wrong, right) > 0.02


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_states_stay_within_their_bounds(model):
    assert model.rate(np.array([-2.0, 2.0]), np.array([0.0, 0.0])).min() >= 0
    assert model.rate(np.array([-2.0, 2.0]), np.array([1.0, 1.0])).max() <= 0
    for volts in (-2.0, 2.0):
        states = pulse(model, np.linspace(0, 1, 5), volts, 1e-5)
        assert np.all((states >= 0) & (states <= 1))


def test_vteam_has_thresholds_and_the_papers_speeds():
    model = VTEAM()
    below = np.linspace(-0.2, 0.02, 23)
    np.testing.assert_array_equal(model.rate(below, 0.5), 0.0)
    np.testing.assert_allclose(model.rate(1.0, 0.5) * 3e-9, -5e-4 * 49)  # k_off (1/0.02 − 1)
    np.testing.assert_allclose(model.rate(-1.0, 0.5) * 3e-9, 10 * 4**3)  # −k_on (1/0.2 − 1)³
    np.testing.assert_allclose(1 / model.siemens(np.array([0.0, 0.5, 1.0])), [1000, 525, 50])
    np.testing.assert_array_equal(pulse(model, np.full(23, 0.5), below, 1.0), 0.5)


def test_yakopcics_device_has_thresholds_and_slows_at_its_points():
    model = Yakopcic()
    np.testing.assert_array_equal(model.rate(np.linspace(-0.15, 0.16, 32), 0.5), 0.0)
    np.testing.assert_allclose(
        model.rate(0.5, np.array([0.1, 0.3])), 4000 * (np.exp(0.5) - np.exp(0.16))
    )
    np.testing.assert_allclose(model.rate(0.5, 0.65) / model.rate(0.5, 0.3), np.exp(-0.35) * 0.5)
    np.testing.assert_allclose(
        model.rate(-0.5, np.array([0.5, 0.9])), -4000 * (np.exp(0.5) - np.exp(0.15))
    )
    np.testing.assert_allclose(model.rate(-0.5, 0.25) / model.rate(-0.5, 0.5), np.exp(-1.25) * 0.5)
    np.testing.assert_allclose(
        model.current(np.array([0.5, -0.5]), 0.4), np.array([1, -1]) * 0.17 * 0.4 * np.sinh(0.025)
    )


def test_the_gap_model_is_that_of_guan_and_has_the_resistances_of_its_gaps():
    model = StanfordRRAM()
    ohms = 1 / model.siemens(np.array([0.0, 1.0]))
    np.testing.assert_allclose(
        ohms, 0.1 / (6.14e-5 * np.exp(-np.array([1.7, 0.1]) / 0.27505) * np.sinh(0.1 / 0.43))
    )
    assert 3e6 < ohms[0] < 4e6
    assert 9e3 < ohms[1] < 11e3
    guan = StanfordRRAM(generation=1.5)
    v, gap = np.array([1.5, -1.0, 2.0]), 1.7 - 1.6 * 0.3
    current = 6.14e-5 * np.exp(-gap / 0.27505) * np.sinh(v / 0.43)
    thermal = 8.617330e-5 * (298 + 2.3e-10 / 3.1825e-16 * v * current)
    field = (16.5 - 1.25 * gap**3) * 0.25 / 5 * v
    np.testing.assert_allclose(
        guan.rate(v, 0.3) * 1.6e-9,
        2 * 150 * np.exp(-1.5 / thermal) * np.sinh(field / thermal),
        rtol=1e-5,
    )
    cool = dataclasses.replace(guan, thermal_resistance=0.0)
    assert np.all(np.abs(guan.rate(v, 0.3)) > 1.2 * np.abs(cool.rate(v, 0.3)))


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_the_cocontent_is_the_integral_of_the_current_and_jax_agrees(model):
    v, x = np.linspace(-1.5, 1.5, 3001), np.full(3001, 0.37)
    current = model.current(v, x)
    whole = np.concatenate([[0.0], np.cumsum(np.diff(v) * (current[1:] + current[:-1]) / 2)])
    np.testing.assert_allclose(
        model.cocontent(v, x), whole - whole[1500], rtol=0, atol=2e-6 * np.ptp(whole)
    )
    few, there = v[::300], np.linspace(0.05, 0.95, 11)
    both = jax.jit(
        lambda v, x: (
            model.current(v, x),
            *model.rate_and_slope(v, x),
            jax.vmap(jax.grad(model.rate, 1))(v, x),
        )
    )
    rate, slope = model.rate_and_slope(few, there)
    for ours, expected in zip(
        both(few, there), (model.current(few, there), rate, slope, slope), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12 * np.ptp(expected))


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_memristor_is_an_instance_of_its_subcircuit(model):
    device = Memristor("M1", "a", "b", model, 0.3)
    elements = (
        VoltageSource("1", "a", GROUND, 1.0),
        *device.elements(),
        Resistor("2", "b", GROUND, siemens=1e-3),
    )
    netlist = Netlist("Deck", elements)
    driven = dataclasses.replace(
        netlist, analyses=(circuits.Transient(("a", "b"), 1e-3, 1.0, tuple(device.start.items())),)
    )
    for one in (netlist, driven):
        assert circuits.parse(one.spice()) == one
    subcircuit, instance = model.subcircuit("device"), f"XM1 a b {device.node} device"
    deck = f"Deck\n{subcircuit}V1 a 0 1\n{instance}\nR2 b 0 1k\n.end\n"
    assert {*circuits.parse(deck).spice().splitlines()} == {*netlist.spice().splitlines()}


@pytest.mark.parametrize(
    "model", [IonDrift(), Yakopcic(), StanfordRRAM()], ids=["linear", "yakopcic", "stanford"]
)
def test_at_an_operating_point_a_memristor_is_frozen(model, simulator):
    """Two in series, so that the node between them is theirs alone; the state does not move."""
    devices = [Memristor("a", "in", "mid", model, 0.7), Memristor("b", "mid", GROUND, model, 0.2)]
    source = VoltageSource("in", "in", GROUND, 0.4)
    netlist = Netlist("Divider", (source, *(device.frozen() for device in devices)))
    for used in (simulator, NODAL):
        points = used.operating_points(netlist)
        assert points.status.values.tolist() == ["ok"]
        mid = points.voltage.sel(node="mid").item()
        np.testing.assert_allclose(
            model.current(0.4 - mid, 0.7), model.current(mid, 0.2), rtol=1e-6
        )
        assert 0.2 < mid < 0.4
    moving = Netlist(
        "Divider", (source, *(element for device in devices for element in device.elements()))
    )
    with pytest.raises(
        circuits.NetlistError, match=r"these float: \['mid', 'xa.state', 'xb.state'\]"
    ):
        NODAL.operating_points(moving)


@pytest.mark.parametrize(
    ("model", "volts", "seconds"),
    [
        (IonDrift(), 1.0, 0.1),
        (IonDrift(window=Joglekar(2)), -1.0, 0.1),
        (IonDrift(window=Biolek(3)), -1.0, 0.1),
        (VTEAM(), -1.0, 1e-12),
        (VTEAM(), 1.0, 2e-8),
        (Yakopcic(), 0.5, 1e-4),
        (Yakopcic(), -0.5, 1e-4),
        (StanfordRRAM(), 1.8, 1e-5),
        (StanfordRRAM(), -1.5, 1e-6),
    ],
)
def test_a_pulse_is_what_an_integrator_of_stiff_equations_finds(model, volts, seconds):
    states = np.array([0.05, 0.6])
    expected = [
        solve_ivp(
            lambda t, x: model.rate(volts, x),
            (0, seconds),
            [x],
            "Radau",
            rtol=1e-10,
            atol=1e-12,
            first_step=seconds / 1e6,
        ).y[0, -1]
        for x in states
    ]
    result = pulse(model, states, volts, seconds)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    assert np.abs(result - states).max() > 0.01
    halves = pulse(model, pulse(model, states, volts, seconds / 2), volts, seconds / 2)
    np.testing.assert_allclose(halves, result, rtol=0, atol=1e-5)


def test_a_train_of_pulses_is_that_of_ngspice(simulator):
    model, width, edge = StanfordRRAM(), 1e-7, 1e-12
    volts = [-1.3] * 4 + [1.3] * 4
    corners = [
        (k * 2 + s) * width + e
        for k in range(8)
        for s, e in ((0.5, 0), (0.5, edge), (1.5, 0), (1.5, edge))
    ]
    waveform = Pwl((0.0, *corners), (0.0, *(level for v in volts for level in (0.0, v, v, 0.0))))
    loop = hysteresis(simulator, model, waveform, state=0.95, stop=16 * width, step=width / 100)
    after = np.interp(2 * width * np.arange(1, 9), loop.time, loop.state)
    result = program(model, 0.95, volts, width)
    np.testing.assert_allclose(result, after, rtol=0, atol=2e-4)
    assert result[3] < result[0] - 0.05 < 0.85
    assert result[7] > result[3] + 0.005


@pytest.mark.parametrize(
    ("model", "low", "up", "down"),
    [
        (IonDrift(window=Biolek(2)), 0.05, (1.0, 5e-2), (-1.0, 5e-2)),
        (VTEAM(), 0.05, (-0.25, 1e-10), (0.4, 1e-8)),
        (Yakopcic(), 0.05, (0.4, 2e-5), (-0.4, 2e-5)),
        (StanfordRRAM(), 0.3, (1.5, 2e-7), (-1.3, 2e-7)),
    ],
    ids=["biolek", "vteam", "yakopcic", "stanford"],
)
def test_trains_are_monotone_saturating_and_asymmetric(model, low, up, down):
    rising, falling = (
        program(model, x, np.full(200, volts), seconds)
        for x, (volts, seconds) in ((low, up), (0.95, down))
    )
    assert np.all(np.diff(rising) >= 0)
    assert np.all(np.diff(falling) <= 0)
    assert rising[-1] - rising[0] > 0.1
    assert falling[0] - falling[-1] > 0.1
    for states in (rising, falling):
        steps = np.abs(np.diff(model.siemens(states)))
        assert steps[-1] < 0.05 * steps.max()  # the last pulses do little
    up_at_half, down_at_half = (abs(float(pulse(model, 0.5, *one)) - 0.5) for one in (up, down))
    assert max(up_at_half, down_at_half) > 1.02 * min(up_at_half, down_at_half)


def test_cycles_differ_by_the_spread_and_are_those_of_their_seed():
    model, n = IonDrift(), 20_000
    once = program(model, np.full(n, 0.4), [0.01], 1e-2, spread=0.3, seed=1)
    step = once[0] - 0.4
    nominal = float(pulse(model, 0.4, 0.01, 1e-2)) - 0.4
    assert abs(step.mean() / nominal - 1) < 0.01
    assert abs(step.std() / nominal - 0.3) < 0.01
    np.testing.assert_array_equal(
        program(model, np.full(n, 0.4), [0.01], 1e-2, spread=0.3, seed=1), once
    )
    twice = program(model, np.full(n, 0.4), [0.01, 0.01], 1e-2, spread=0.3, seed=1)
    assert (
        abs(np.corrcoef(twice[0] - 0.4, twice[1] - twice[0])[0, 1]) < 0.03
    )  # a cycle knows nothing of the one before


def test_devices_may_have_parameters_of_their_own():
    speeds = np.array([1e-15, 1e-14, 3e-14])
    together = program(IonDrift(mobility=speeds), np.full(3, 0.2), [1.0, -0.5], 0.05)
    alone = [program(IonDrift(mobility=float(speed)), 0.2, [1.0, -0.5], 0.05) for speed in speeds]
    np.testing.assert_allclose(together.T, alone, rtol=0, atol=1e-12)
    assert np.ptp(together[0]) > 0.1


STAIRS = {
    "stanford": (
        StanfordRRAM(),
        Staircase(1.1, 2.4, 0.02, 1e-7),
        Staircase(-0.8, -2.0, -0.02, 1e-7),
        (2e-6, 2e-5),
    ),
    "vteam": (
        VTEAM(),
        Staircase(-0.21, -0.6, -0.01, 1e-10),
        Staircase(0.03, 1.0, 0.02, 1e-10),
        (2e-3, 1.5e-2),
    ),
}


@pytest.mark.parametrize("name", STAIRS)
def test_write_and_verify_reaches_its_targets_or_says_so(name):
    model, up, down, ends = STAIRS[name]
    random = np.random.default_rng(0)
    target, state = random.uniform(*ends, 50), random.uniform(0.5, 1, 50)
    written = write_verify(
        model, target, state, up=up, down=down, tolerance=0.05, pulses=400, spread=0.2, seed=3
    )
    good = written.status == "ok"
    np.testing.assert_array_equal(good, np.abs(written.siemens - target) <= 0.05 * target)
    assert good.mean() > 0.95
    np.testing.assert_allclose(model.siemens(written.state), written.siemens)
    few = write_verify(model, target, state, up=up, down=down, tolerance=0.02, pulses=3)
    assert "out of pulses" in few.status
    assert few.pulses.max() == 3
    assert np.all(
        np.abs(few.siemens - target)[few.status != "ok"] > 0.02 * target[few.status != "ok"]
    )


def test_bad_input_is_refused():
    up, down = Staircase(1.2, 2.0, 0.1, 1e-7), Staircase(-1.0, -1.5, -0.1, 1e-7)
    with pytest.raises(
        ValueError, match=r"`off_ohms` must be above `on_ohms`, 100\.0, but is 50.0"
    ):
        IonDrift(off_ohms=50)
    with pytest.raises(ValueError, match=r"`on_ohms` must be finite and above 0, but is 'few'"):
        IonDrift(on_ohms="few")
    with pytest.raises(ValueError, match=r"`first` must be finite, but is None"):
        Staircase(None, 2.0, 0.1, 1e-7)
    with pytest.raises(ValueError, match=r"`on_volts` must be finite and below 0, but is 0.2"):
        VTEAM(on_volts=0.2)
    with pytest.raises(ValueError, match=r"`p` must be a whole number of at least 1, but is 0"):
        Biolek(0)
    with pytest.raises(ValueError, match=r"`state` of m must be from 0 to 1, but is 1.5"):
        Memristor("m", "a", "b", VTEAM(), 1.5)
    with pytest.raises(ValueError, match=r"`state` must be from 0 to 1, but is -0.1"):
        pulse(VTEAM(), -0.1, 1.0, 1e-9)
    with pytest.raises(ValueError, match=r"`seed` must be given with a `spread`, which is 0.1"):
        program(VTEAM(), 0.5, [1.0], 1e-9, spread=0.1)
    with pytest.raises(
        ValueError, match="`volts` must be finite, as must be the rate there, but is 3000"
    ):
        pulse(StanfordRRAM(), 0.5, 3000.0, 1e-9)
    with pytest.raises(ValueError, match=r"`step` must lead from `first` to `last`"):
        Staircase(1.0, 2.0, -0.1, 1e-7)
    with pytest.raises(
        ValueError,
        match=r"`target` must be from 2\.98\d*e-07 to 0\.0001\d* S at 0.1 V, but is 0.01",
    ):
        write_verify(StanfordRRAM(), [1e-5, 1e-2], 0.5, up=up, down=down)
    with pytest.raises(ValueError, match=r"`up` must move a state up, but Staircase"):
        write_verify(StanfordRRAM(), 1e-5, 0.5, up=down, down=up)


def test_the_figure_shows_both_loops(simulator):
    loop = spice(simulator, "strukov")
    ax = circuits.plotting.hysteresis(loop, loop.isel(time=slice(None, None, 7)))
    line, dots = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), 1e6 * loop.current)
    assert set(dots.get_xdata()) <= set(loop.voltage.values)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("voltage (V)", "current (µA)")
    assert ax.get_title() == "IonDrift: at most 0.0e+00 of the peaks apart"
