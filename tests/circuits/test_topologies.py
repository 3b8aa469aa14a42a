"""Crossbars with wires, lattices, random graphs and twins, against what is known of them."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.energies import NEWTON

import circuits
import eqprop as ep
from circuits.simulators import crossbars
from circuits.topologies import crossbar, graph, lattice, random_graph, twins


def solved(netlist, simulator=None):
    points = (simulator or circuits.Nodal()).operating_points(netlist)
    assert set(points.status.values) == {"ok"}
    return {
        node: float(v)
        for node, v in zip(points.node.values.tolist(), points.voltage.values[0], strict=True)
    }


@pytest.mark.parametrize(("n", "ohms"), [(2, 1.0), (3, 3 / 2), (4, 13 / 7), (5, 47 / 22)])
def test_the_resistance_between_the_corners_of_a_lattice(n, ohms):
    """Of unit resistors, n × n nodes: 1, 3/2, 13/7 and 47/22 Ω, as puzzle books have them."""
    corner = f"n{n - 1}_{n - 1}"
    v = solved(lattice(n, n, 1.0, {"n0_0": 1.0, corner: 0.0}))
    assert 1 / (2 - v["n0_1"] - v["n1_0"]) == pytest.approx(ohms, rel=1e-12)


def test_a_random_graph_is_connected_and_its_seeds():
    one, again, other = (
        random_graph(30, 4.0, 1e-5, {"n0": 1.0, "n29": 0.0}, seed=seed) for seed in (3, 3, 4)
    )
    assert one == again
    assert one != other
    resistors = [e for e in one.elements if isinstance(e, circuits.Resistor)]
    assert len(resistors) == 60
    assert len({frozenset(e.nodes) for e in resistors}) == 60
    v = solved(one)  # which would float if it were in parts
    assert all(0 < volts < 1 for volts in v.values())
    assert len(random_graph(30, 0.0, 1e-5, {}, seed=0).elements) == 29
    complete = random_graph(6, 5.0, 1e-5, {}, seed=0)
    every = [(f"n{i}", f"n{j}") for i in range(6) for j in range(i + 1, 6)]
    assert [e.nodes for e in complete.elements] == every
    large = random_graph(20_000, 3.0, 1e-5, {}, seed=0)  # a list of all pairs would take 20 GB
    assert len({e.nodes for e in large.elements}) == 30_000


def test_a_crossbar_is_its_equations_in_numpy(simulator):
    """Kirchhoff's laws of every crossing; with thin wires the currents are those of the matrix."""
    random = np.random.default_rng(0)
    g, u = random.uniform(1e-6, 40e-6, (4, 3)), random.uniform(0, 0.3, 4)
    g[1, 2] = 0.0
    wire, driver, sense = 1 / 0.35, 1 / 50.0, 1 / 20.0
    words, bits = g.shape
    size = words + 2 * words * bits + bits
    a, b = np.zeros((size, size)), np.zeros(size)

    def join(p, q, siemens):
        a[p, p] += siemens
        a[q, q] += siemens
        a[p, q] -= siemens
        a[q, p] -= siemens

    def word(i, j):
        return words + i * bits + j

    def bit(i, j):
        return words + words * bits + i * bits + j

    def end(j):
        return size - bits + j

    for i in range(words):
        a[i, i] += driver
        b[i] += driver * u[i]
        for j in range(bits):
            join(word(i, j - 1) if j else i, word(i, j), wire)
            join(word(i, j), bit(i, j), g[i, j])
            join(bit(i, j), bit(i + 1, j) if i + 1 < words else end(j), wire)
    for j in range(bits):
        a[end(j), end(j)] += sense
    expected = np.linalg.solve(a, b)
    netlist = crossbar(g, u, wire_ohms=0.35, driver_ohms=50.0, sense_ohms=20.0)
    for volts in (solved(netlist), solved(netlist, simulator)):
        for i in range(words):
            for j in range(bits):
                assert volts[f"w{i}_{j}"] == pytest.approx(expected[word(i, j)], abs=1e-12)
                assert volts[f"b{i}_{j}"] == pytest.approx(expected[bit(i, j)], abs=1e-12)
        for j in range(bits):
            assert volts[f"sense{j}"] == pytest.approx(expected[end(j)], abs=1e-12)
    thin = solved(crossbar(g, u, wire_ohms=1e-6))
    np.testing.assert_allclose(
        [thin[f"b{words - 1}_{j}"] / 1e-6 for j in range(bits)], u @ g, rtol=1e-6
    )
    thick = solved(crossbar(g, u, wire_ohms=100.0))
    assert (
        np.max(
            np.abs(
                np.array([thick[f"b{words - 1}_{j}"] / 100.0 for j in range(bits)]) / (u @ g) - 1
            )
        )
        > 0.01
    )  # the control
    assert circuits.parse(netlist.spice()) == netlist


@pytest.mark.parametrize(
    "ohms",
    [(0.35, 0.0, 0.0), (0.35, 200.0, 1000.0), (3e4, 0.0, 0.0)],
    ids=["thin", "sensed", "resistive"],
)
def test_chips_solved_line_by_line_are_their_netlists(ohms):
    """Voltages and currents of two chips against `Nodal`; also with wires beyond the devices."""
    random = np.random.default_rng(1)
    chips, volts = random.uniform(1e-6, 40e-6, (2, 6, 5)), random.uniform(-0.3, 0.3, (3, 6))
    named = dict(zip(("wire_ohms", "driver_ohms", "sense_ohms"), ohms, strict=True))
    solution = circuits.solve_crossbars(chips, volts, **named)
    assert np.all((solution.turns > 0) == (ohms[0] < 1))
    assert float(solution.kcl.max()) < 1e-10
    for chip, siemens in enumerate(chips):
        for sample, u in enumerate(volts):
            expected = solved(crossbar(siemens, u, **named))
            for i in range(6):
                for j in range(5):
                    assert float(solution.word[chip, sample, i, j]) == pytest.approx(
                        expected[f"w{i}_{j}"], abs=1e-11
                    )
                    assert float(solution.bit[chip, sample, i, j]) == pytest.approx(
                        expected[f"b{i}_{j}"], abs=1e-11
                    )
            out = [expected[f"b5_{j}"] / (ohms[0] + ohms[2]) for j in range(5)]
            np.testing.assert_allclose(solution.output[chip, sample], out, rtol=1e-9, atol=1e-15)
            np.testing.assert_allclose(
                solution.device[chip, sample].sum("wordline"), out, rtol=1e-8, atol=1e-14
            )
            np.testing.assert_allclose(
                solution.along_word[chip, sample, :, 0],
                solution.device[chip, sample].sum("bitline"),
                rtol=1e-8,
                atol=1e-14,
            )
    other = circuits.solve_crossbars(chips, volts, **(named | {"wire_ohms": 1.1 * ohms[0]}))
    assert float(abs(other.bit - solution.bit).max()) > 1e-8  # the control


def test_a_crossbar_that_is_not_certified_is_refused(monkeypatch):
    """Its wires resist more than its devices, so that `Nodal` solves it: to no tolerance at all."""
    chips, volts = np.full((2, 6, 5), 20e-6), np.full((3, 6), 0.2)
    solution = circuits.solve_crossbars(chips, volts, wire_ohms=3e4)
    assert solution.turns.values.tolist() == [0, 0]  # the control
    strict = partial(circuits.Nodal, tolerance=1e-30)
    monkeypatch.setattr(crossbars, "Nodal", strict)
    with pytest.raises(circuits.SimulationError, match="must be certified, but 3 are not"):
        circuits.solve_crossbars(chips, volts, wire_ohms=3e4)


def test_twins_learn_what_coupled_learning_learns():
    """The difference of squared voltages in the twins is the estimator's gradient, by edge."""
    network = random_graph(
        8, 3.0, np.linspace(1e-5, 3e-5, 12), {"n0": 1.0, "n1": -0.5, "n2": 0.0}, seed=1
    )
    target, eta = 0.3, 0.1
    net = circuits.energy(network, inputs=("Vn0",), outputs=("n5",), unit=1e-5)
    xs, ys = jnp.ones((1, 1)), jnp.full((1, 1), target)
    expected = ep.CoupledLearning.one_sided(eta, NEWTON)(
        net, ep.SquaredError(), xs, ys
    ).grad.siemens["resistors"]
    both = twins(network, ("n5",), (target,), eta)
    v = {"n0": 1.0, "n1": -0.5, "n2": 0.0} | solved(both)
    free = [
        (v[e.plus] - v[e.minus]) ** 2 for e in network.elements if isinstance(e, circuits.Resistor)
    ]
    clamped = [
        (v.get(f"c_{e.plus}", v[e.plus]) - v.get(f"c_{e.minus}", v[e.minus])) ** 2
        for e in network.elements
        if isinstance(e, circuits.Resistor)
    ]
    learned = (np.array(clamped) - np.array(free)) / (2 * eta)
    np.testing.assert_allclose(learned, expected, atol=1e-9 * np.max(np.abs(expected)) + 1e-12)
    assert np.max(np.abs(expected)) > 1e-3
    assert v["c_n5"] == pytest.approx(v["n5"] + eta * (target - v["n5"]), abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: crossbar(np.ones((2, 3)), np.ones(3), wire_ohms=1.0),
            r"`siemens` must be \(words, bits\) and `volts` \(words,\)",
        ),
        (
            lambda: crossbar(-np.ones((2, 3)), np.ones(2), wire_ohms=1.0),
            "`siemens` must be finite and at least 0, but is -1.0",
        ),
        (
            lambda: crossbar(np.ones((2, 3)), np.ones(2), wire_ohms=0.0),
            "`wire_ohms` must be finite and above 0, but is 0.0",
        ),
        (
            lambda: crossbar(np.ones((2, 3)), np.ones(2), wire_ohms=1.0, sense_ohms=-1.0),
            "`sense_ohms` must be finite and at least 0",
        ),
        (
            lambda: circuits.solve_crossbars(np.ones((2, 3)), np.ones(2), wire_ohms=1.0),
            r"`volts` \(samples, words\), but have shapes",
        ),
        (
            lambda: circuits.solve_crossbars(np.ones((2, 3)), np.ones((4, 2)), wire_ohms=-1.0),
            "`wire_ohms` must be finite and above 0",
        ),
        (
            lambda: lattice(1, 1, 1.0, {}),
            "`rows` and `columns` must make 2 nodes or more, but are 1 and 1",
        ),
        (
            lambda: lattice(2, 2, np.ones(3), {}),
            r"`siemens` must be one number or one for each of the 4 edges, but has shape \(3,\)",
        ),
        (
            lambda: graph([("a", "b")], 1.0, {"c": 1.0}),
            "`sources` must be at nodes of the graph, but 'c' is none",
        ),
        (
            lambda: random_graph(3, 2.5, 1.0, {}, seed=0),
            "`degree` must be from 0 to 2, but is 2.5",
        ),
        (
            lambda: random_graph(2.5, 1.0, 1.0, {}, seed=0),
            "`nodes` must be a whole number of at least 2, but is 2.5",
        ),
        (
            lambda: twins(lattice(2, 2, 1.0, {"n0_0": 1.0}), ("n0_0",), (1.0,), 0.1),
            r"nodes without a source, but \['n0_0'\] have one",
        ),
        (
            lambda: twins(lattice(2, 2, 1.0, {"n0_0": 1.0}), ("n1_1",), (), 0.1),
            "`targets` must be one for each of the 1 outputs",
        ),
        (
            lambda: twins(lattice(2, 2, 1.0, {"n0_0": 1.0}), ("n1_1",), (1.0,), 0.0),
            "`eta` must be above 0 and at most 1, but is 0.0",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
