"""The nodal equations, the reduction and the noise, against formulas and against each other."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from helpers.netlists import divider, point
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import circuits
from circuits.mna import certificates
from circuits.mna.certificates import certify
from circuits.mna.noise import corners
from circuits.units import BOLTZMANN, CHARGE, ROOM, THERMAL_VOLTAGE

KT = BOLTZMANN * ROOM


@st.composite
def layered(draw):
    """Draw a layered circuit: sizes, conductances (some absent), a device, biases and a nudge."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    inputs, hidden, outputs = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 5)),
        draw(st.integers(1, 3)),
    )
    sizes = [2 * inputs, hidden, outputs]
    matrices = [
        1e-5 * random.uniform(0, 1, (a, b)) * (random.uniform(size=(a, b)) < 0.8)
        for a, b in itertools.pairwise(sizes)
    ]
    for matrix in matrices:
        matrix[0] += 1e-6
        matrix[:, 0] += 1e-6
    device = draw(
        st.sampled_from([None, circuits.DiodePair(1e-9, 0.1), circuits.DiodePair(1e-12, 0.0, 1.5)])
    )
    return circuits.topologies.layered(
        matrices,
        [1e-6 * random.standard_normal(n) for n in sizes[1:]],
        random.uniform(-3, 3, 2 * inputs),
        device=device,
        capacitance=1e-12,
        nudge=circuits.topologies.Nudge(
            draw(st.sampled_from([0.0, 1e-6, -1e-8])), random.uniform(-1, 1, outputs)
        ),
    )


@given(layered(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_reduction_changes_no_equation(netlist, seed):
    """The currents and the Jacobian of every free node stay what they were.

    At any voltages, not just at the fixed point.
    """
    random = np.random.default_rng(seed)
    drives = {
        f"V{e.name}": random.uniform(-3, 3, 4)
        for e in netlist.elements
        if isinstance(e, circuits.VoltageSource)
    }
    small, fewer = circuits.reduce(netlist, drives)
    whole, part = circuits.Equations.of(netlist), circuits.Equations.of(small)
    assert len(small.nodes) < len(netlist.nodes)
    v = dict(zip(whole.free, random.uniform(-0.5, 0.5, (len(whole.free), 4)), strict=True))
    assert set(part.free) == set(whole.free)
    order = [part.free.index(node) for node in whole.free]
    before, sizes = whole.residual(np.stack([v[n] for n in whole.free], 1), drives)
    after, _ = part.residual(np.stack([v[n] for n in part.free], 1), fewer)
    assert np.all(np.abs(after[:, order] - before) <= 1e-13 * sizes + 1e-25)
    j = part.jacobian(np.stack([v[n] for n in part.free], 1), fewer)[:, order][:, :, order]
    np.testing.assert_allclose(
        j, whole.jacobian(np.stack([v[n] for n in whole.free], 1), drives), rtol=1e-12, atol=1e-18
    )


def test_a_reduction_keeps_the_analyses_of_what_is_left():
    asked = (
        circuits.OperatingPoint(("in", "mid")),
        circuits.DcSweep(("mid",), "Vin", 0.0, 1.0, 0.5),
        circuits.Noise(("in",), "Vin", 1.0, 2.0),
    )
    small, _ = circuits.reduce(dataclasses.replace(divider(), analyses=asked))
    assert small.analyses == (circuits.OperatingPoint(("mid",)),)


def test_a_reduction_that_lost_a_conductance_is_seen():
    netlist = divider()
    small, _ = circuits.reduce(netlist)
    norton = next(
        e for e in small.elements if e.name == "norton_mid" and isinstance(e, circuits.Resistor)
    )
    v = np.array([[0.25]])
    f, _ = circuits.Equations.of(small).residual(v, {})
    assert abs(f[0, 0]) < 1e-18
    wrong = small.with_elements(dataclasses.replace(norton, siemens=0.99 * norton.siemens))
    assert abs(circuits.Equations.of(wrong).residual(v, {})[0][0, 0]) > 1e-6


@given(layered())
@settings(max_examples=30, deadline=None)
def test_jacobian_is_the_slope_of_the_residual(netlist):
    equations = circuits.Equations.of(netlist)
    v = np.random.default_rng(0).uniform(-0.4, 0.4, (1, len(equations.free)))
    j = equations.jacobian(v, {})[0]
    for k in range(v.shape[1]):
        step = 1e-6 * np.eye(v.shape[1])[k]
        up, down = (equations.residual(v + s * step, {})[0][0] for s in (1, -1))
        np.testing.assert_allclose(j[:, k], (up - down) / 2e-6, rtol=1e-4, atol=1e-10)


def test_the_divider():
    equations = circuits.Equations.of(divider())
    assert equations.free == ("mid",)
    good = certify(equations, np.array([[0.25]]), {})
    assert good.correction[0] < 1e-15
    assert good.kcl[0] < 1e-15
    assert good.stable[0]
    off = certify(equations, np.array([[0.25 + 1e-7], [np.nan]]), {})
    np.testing.assert_allclose(off.correction[0], 1e-7, rtol=1e-6)
    np.testing.assert_allclose(
        off.kcl[0], 4e-3 * 1e-7 / (4e-3 * 0.25 + 1e-3 * 1.0), rtol=1e-6
    )  # relative to the currents there
    assert np.isnan(off.correction[1])
    assert not off.stable[1]


@pytest.mark.parametrize("dense", [400, 0])
def test_a_singular_point_leaves_the_others_their_certificate(dense, monkeypatch):
    """The slope of i = v|v| is 0 at 0 V, and the equations of another sample have nothing of it."""
    monkeypatch.setattr(circuits.mna.certificates, "DENSE", dense)
    square = circuits.parse("Square\nI1 0 a 1\nB1 a 0 i=v(a)*abs(v(a))\n.end\n")
    certificate = certify(circuits.Equations.of(square), np.array([[1.0], [0.0]]), {})
    assert certificate.correction[0] < 1e-15
    assert np.isnan(certificate.correction[1])
    assert certificate.stable.tolist() == [True, False]
    assert certificate.balanced.tolist() == [True, False]


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_two_nodes_tied_by_gains_are_not_known_beyond_rounding(sign):
    """Their voltages are ±1 / (1 - g²) for 1 A, of which rounding takes 10 of 16 digits."""
    near, far = 1 - 2.0**-10, 1 - 2.0**-20

    def points(gain):
        tied = (
            circuits.CurrentSource("in", "0", "a", 1.0),
            *(circuits.Resistor(name, name, "0", siemens=1.0) for name in "ab"),
            circuits.Transconductance("x", "a", "0", "b", "0", sign * gain),
            circuits.Transconductance("y", "b", "0", "a", "0", sign * gain),
        )
        return circuits.Nodal().operating_points(circuits.Netlist("Tied", tied))

    assert points(near).status.values.tolist() == ["ok"]  # the control
    assert points(far).status.values.tolist() == ["uncertified"]
    for gain in (near, far):
        exact = 1 / (1 - Fraction(gain) ** 2)
        off = abs(points(gain).voltage.values[0, 0] - float(exact))
        assert off <= 10 * float(points(gain).rounding[0])


def test_a_saddle_is_not_stable():
    push = circuits.Transconductance("nudge", "0", "mid", "0", "mid", -5e-3)
    certificate = certify(circuits.Equations.of(divider(push)), np.array([[-1.0]]), {})
    assert certificate.correction[0] < 1e-12
    assert not certificate.stable[0]


def test_a_saddle_behind_positive_conductances_is_not_stable(simulator):
    """Every node's own conductance is positive, but a nudge is beyond the Schur complement.

    That is 0.5 mS here, the node's own being 1 mS.
    """

    def chain(nudge):
        push = circuits.Transconductance("nudge", "0", "b", "0", "b", nudge)
        ladder = (
            circuits.Resistor("low", "a", "0", siemens=1e-3),
            circuits.Resistor("across", "a", "b", siemens=1e-3),
        )
        return circuits.Netlist(
            "Chain", (circuits.CurrentSource("in", "0", "a", 1e-3), *ladder, push)
        )

    for nudge, status in ((-0.49e-3, "ok"), (-0.51e-3, "saddle"), (-0.6e-3, "saddle")):
        assert simulator.operating_points(chain(nudge)).status.values.tolist() == [status]


def test_positive_definite_is_what_the_eigenvalues_say():
    random, definite = np.random.default_rng(0), []
    for _ in range(300):
        root = random.standard_normal((4, 4)) * 10 ** random.uniform(-1, 1)
        j = (root + root.T) / 2 + np.diag(random.uniform(0, 6, 4))
        definite.append(bool(np.linalg.eigvalsh(j)[0] > 0))
        assert circuits.mna.certificates._positive_definite(j) == definite[-1]
    assert 0.1 < np.mean(definite) < 0.9


def test_what_shows_stability_soon_is_what_the_eigenvalues_say():
    """Dominant diagonals and M-matrices, dense and sparse alike, of 300 matrices of each kind."""
    random, shown = np.random.default_rng(0), []
    for size in random.integers(1, 6, 300):
        j = random.normal(size=(size, size))
        sums = (np.abs(j).sum(0) + np.abs(j).sum(1)) / 2 - np.abs(np.diag(j))
        j[np.diag_indices(size)] = random.choice([-1, 0.5, 1.1]) * sums + 1e-9
        for matrix in (j, np.where(np.eye(size), j, -abs(j))):
            answers = [
                [bool(one(matrix)), bool(one(csr_array(matrix))), bool(several(matrix[None])[0])]
                for one, several in (
                    (certificates._dominates, certificates._dominate),
                    (certificates._is_m_matrix, certificates._are_m_matrices),
                )
            ]
            assert all(len(set(alike)) == 1 for alike in answers)
            stable = np.linalg.eigvals(matrix).real.min() > 0
            assert stable or not np.any(answers)
            shown.append((stable, answers[0][0], answers[1][0]))
    stable, dominant, tied = np.sum(shown, axis=0)
    assert stable > dominant > 100  # they show a part, and no small one
    assert tied > 100


def test_tellegens_theorem():
    """The power of all elements adds up to nothing at a fixed point, and to something elsewhere."""
    equations = circuits.Equations.of(divider(circuits.CurrentSource("extra", "0", "mid", 2e-3)))
    v_mid = (1e-3 * 1.0 + 2e-3) / 4e-3

    def power(v):
        f, _ = equations.residual(np.array([[v]]), {})
        resistors = 1e-3 * (1 - v) ** 2 + 3e-3 * v**2
        source = 1e-3 * (1 - v) * 1.0 + 2e-3 * v
        return f[0, 0] * v, resistors - source

    assert np.allclose(power(v_mid), 0, atol=1e-18)
    np.testing.assert_allclose(*power(0.6), rtol=1e-9)
    assert abs(power(0.6)[0]) > 1e-5


def test_a_node_has_one_source_to_ground():
    with pytest.raises(circuits.NetlistError, match="node 'in' must have one voltage source"):
        circuits.Equations.of(divider(circuits.VoltageSource("x", "in", "0", 1.0)))


def rc(*more, farads=2e-12):
    return divider(circuits.Capacitor("c", "mid", "0", farads), *more)


def test_linear_noise_is_kt_over_c():
    np.testing.assert_allclose(
        circuits.covariance(rc(), None, point(rc(), 0.25)), [[KT / 2e-12]], rtol=1e-12
    )


@given(layered())
@settings(max_examples=20, deadline=None)
def test_a_linear_network_has_kt_over_c_and_no_correlation(netlist):
    """Equipartition: Σ = kT C⁻¹, whatever conductances join the nodes; reduced or not."""
    linear = netlist.without(circuits.Diode, circuits.Transconductance)
    for deck in (linear, circuits.reduce(linear)[0]):
        nodes = len(circuits.Equations.of(deck).free)
        np.testing.assert_allclose(
            circuits.covariance(deck, None, point(deck, np.zeros(nodes))),
            KT / 1e-12 * np.eye(nodes),
            atol=1e-9 * KT / 1e-12,
        )


@pytest.mark.parametrize("emission", [1.0, 1.5])
def test_a_forward_diode_has_half_of_kt_over_c(emission):
    """Shot noise q|I| against the slope I/(N Vt): N kT/2C for a diode driven far forward."""
    law = circuits.DiodeModel(1e-12, emission, gmin=0.0)
    netlist = circuits.Netlist(
        "Diode",
        (
            circuits.CurrentSource("in", "0", "a", 1e-4),
            circuits.Diode("one", "a", "0", law),
            circuits.Capacitor("c", "a", "0", 1e-12),
        ),
    )
    v = emission * THERMAL_VOLTAGE * np.log1p(1e-4 / 1e-12)
    np.testing.assert_allclose(
        circuits.covariance(netlist, None, point(netlist, v)), [[emission * KT / 2e-12]], rtol=1e-6
    )


def test_shot_noise_of_a_bias():
    netlist = rc(circuits.Diode("d", "mid", "0", circuits.DiodeModel(1e-9)))
    v = 0.2
    law = circuits.DiodeModel(1e-9).at()
    density = 2 * KT * 4e-3 + CHARGE * law.current(v)
    expected = density / (2 * 2e-12 * (4e-3 + law.conductance(v)))
    np.testing.assert_allclose(
        circuits.covariance(netlist, None, point(netlist, v)), [[expected]], rtol=1e-10
    )


def test_noise_needs_capacitances():
    with pytest.raises(
        circuits.NetlistError,
        match=r"noise must have a bound at every node, but .* none at \['mid'\]",
    ):
        circuits.covariance(divider(), None, point(divider(), 0.25))


def test_corner_frequency():
    np.testing.assert_allclose(corners(rc(), None, point(rc(), 0.25)), 4e-3 / 2e-12 / (2 * np.pi))


def test_ngspice_noise_agrees(simulator):
    netlist = rc(circuits.Diode("d", "mid", "0", circuits.DiodeModel(1e-6)), farads=1e-12)
    points = simulator.operating_points(netlist)
    lowest, highest = corners(netlist, None, points)
    simulated = simulator.noise(
        netlist, ["mid"], lowest=1e-4 * lowest, highest=1e4 * highest
    ).deviation.values
    computed = np.sqrt(np.diag(circuits.covariance(netlist, None, points)))
    np.testing.assert_allclose(simulated, computed, rtol=2e-3)
    assert abs(computed[0] / np.sqrt(KT / 1e-12) - 1) > 1e-4  # not kT/C: the diode is in it


def test_an_amplifier_filters_the_noise_before_it():
    """Behind E of gain A an RC of its own: kT/C2 + A² kT/C1 τ1/(τ1 + τ2).

    What E ties to a capacitance has A² kT/C1.
    """
    netlist = circuits.parse(
        "Filter\nV1 in 0 0\nR1 in a 10k\nC1 a 0 1p\nE1 b 0 a 0 3\nR2 b c 20k\nC2 c 0 2p\n"
    )
    tau1, tau2, gain = 1e-8, 4e-8, 9.0
    expected = [
        KT / 1e-12,
        gain * KT / 1e-12,
        KT / 2e-12 + gain * KT / 1e-12 * tau1 / (tau1 + tau2),
    ]
    computed = circuits.covariance(
        netlist, None, point(netlist, np.zeros(3)), nodes=["a", "b", "c"]
    )
    np.testing.assert_allclose(np.diag(computed), expected, rtol=1e-9)
    np.testing.assert_allclose(computed[0, 1], 3 * KT / 1e-12, rtol=1e-9)
    assert computed[2, 2] > 2 * KT / 2e-12  # the control: equipartition is not for amplifiers


AMPLIFIERS = """All kinds
V1 in 0 0.4
R1 in a 10k
C1 a 0 1p
D1 a 0 d
E1 b 0 a 0 3
R2 b c 20k
C2 c 0 2p
G1 0 d c 0 50u
R3 d 0 15k
C3 d a 0.5p
C4 d 0 1p
Vs d s 0
R4 s 0 30k
R10 s c 25k
F1 0 e Vs 0.5
R5 e 0 12k
C5 e 0 1p
H1 h 0 Vs 4k
R6 h f 10k
C6 f 0 1p
B1 0 g i=1e-5*v(f)^2+2*i(Vs)
R7 g 0 10k
C7 g 0 1p
.model d d(is=1n)
"""


def test_the_noise_of_controlled_sources_is_ngspices(simulator):
    netlist = circuits.parse(AMPLIFIERS)
    points = simulator.operating_points(netlist)
    nodes = ["a", "b", "c", "d", "e", "f", "g"]
    free = points.voltage.sel(node=list(circuits.Equations.of(netlist).free)).values[0]
    lowest, highest = corners(netlist, None, points)
    simulated = simulator.noise(netlist, nodes, lowest=1e-4 * lowest, highest=1e4 * highest)
    density = circuits.noise_density(netlist, None, points, simulated.frequency.values, nodes=nodes)
    np.testing.assert_allclose(density, simulated.density, rtol=1e-9)
    computed = circuits.covariance(netlist, None, points, nodes=nodes)
    np.testing.assert_allclose(np.sqrt(np.diag(computed)), simulated.deviation, rtol=3e-4)
    warm = circuits.covariance(
        dataclasses.replace(netlist, temperature=310.0), None, points, nodes=nodes
    )
    assert not np.allclose(np.sqrt(np.diag(warm)), simulated.deviation, rtol=3e-4)  # the control
    more = circuits.parse(AMPLIFIERS + "R8 a x 1k\nR9 x 0 1k\n")
    with pytest.raises(
        circuits.NetlistError,
        match=r"noise must have a bound at every node, but .* none at \['x'\]",
    ):
        circuits.covariance(more, None, point(more, np.append(free, 0.0)), nodes=["a", "x"])


def test_noise_that_grows_is_refused():
    netlist = circuits.parse("Latch\nV1 in 0 0\nR1 in a 10k\nC1 a 0 1p\nG1 0 a a 0 2m\n")
    with pytest.raises(
        circuits.NetlistError,
        match=r"'Latch' must be stable around its operating point, but noise grows",
    ):
        circuits.covariance(netlist, None, point(netlist, 0.0))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            point(rc(), 0.25, status="saddle"),
            "must be a certified point of 'Divider', but is saddle",
        ),
        (point(rc(), 0.25).isel(sample=[0, 0]), "must hold one sample of 'Divider'"),
        (point(rc(), 0.25).assign_coords(node=["other"]), r"but lacks \['mid'\]"),
    ],
)
def test_noise_is_asked_around_one_certified_point_alone(points, message):
    for ask in (
        lambda: circuits.covariance(rc(), None, points),
        lambda: circuits.noise_density(rc(), None, points, np.array([1.0])),
        lambda: circuits.with_noise(rc(), None, points, step=1e-9, stop=1e-8, seed=0),
        lambda: circuits.nonreciprocity(rc(), points),
    ):
        with pytest.raises(ValueError, match=message):
            ask()
