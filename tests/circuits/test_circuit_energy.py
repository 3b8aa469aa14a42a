"""Energies of circuits: against three simulators, gradients, training, circuits that have none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.energies import NEWTON, UNIT, amplified, energy_of, random_circuit
from helpers.tiers import drawn
from hypothesis import example, given, settings
from hypothesis import strategies as st

import circuits
import eqprop as ep
from circuits import (
    GROUND,
    Netlist,
    Resistor,
    Transconductance,
    VoltageSource,
)
from circuits.memristors import VTEAM, Memristor, StanfordRRAM, Yakopcic
from eqprop.settling.blocks import leaves_are_blocks

COST = ep.SquaredError()


def with_memristors() -> Netlist:
    """Return a random circuit with a memristor of each kind, and one by an expression, turned."""
    circuit = random_circuit(2)
    turned = circuits.parse(
        "B\nB1 n1 n3 i=1u*sinh(3*v(n1,n3))+2u*v(n3,n1)^3*sgn(v(n1,n3))*-1\nR1 n1 0 1\nR2 n3 0 1\n"
    ).elements[0]
    memristors = [
        Memristor("s", "n0", "n2", StanfordRRAM(), 0.3),
        Memristor("y", "n4", GROUND, Yakopcic(), 0.01),
    ]
    memristors.append(Memristor("v", "n3", "n0", VTEAM(on_ohms=1e4, off_ohms=1e6), 0.5))
    return dataclasses.replace(
        circuit, elements=(*circuit.elements, turned, *(one.frozen() for one in memristors))
    )


def test_memristors_have_an_energy(simulator):
    """Their co-content is that of their papers' currents: three answers are one."""
    circuit = with_memristors()
    net = energy_of(circuit, outputs=("n0",))
    assert not net.is_convex()  # as far as an expression can be known
    x = jnp.array([0.8, -0.3])
    settled = ep.relax(net, x, method=NEWTON)
    named = dict(zip(net.all_nodes, net.voltages(settled.state, x).tolist(), strict=True))
    for one in (circuits.Nodal(), simulator):
        points = one.operating_points(net.circuit(x))
        assert points.status.values == ["ok"]
        for node in points.node.values.tolist():
            assert abs(float(points.voltage.sel(node=node)[0]) - named[node]) <= 1e-9, (node, one)
    without = energy_of(circuit.without(circuits.Behavioural), outputs=("n0",))
    assert (
        jnp.max(jnp.abs(jax.grad(without)(settled.state, x))) > 1e-3
    )  # the control: volts, in units of the unit conductance
    for model in (StanfordRRAM(), Yakopcic()):
        (term,) = Memristor("m", "a", GROUND, model, 0.3).frozen().terms(300.15)
        volts = np.linspace(-1, 1, 9)
        np.testing.assert_allclose(
            term.law.cocontent(volts), model.cocontent(volts, 0.3), rtol=1e-9, atol=1e-30
        )


@settings(max_examples=drawn(2, 5), deadline=None)
@given(st.integers(0, 10**6))
@example(19856)  # rounding gave the rates of its floating source the sign of a saddle
def test_three_answers_are_one(seed):
    """The energy's minimum, `Nodal`'s point and ngspice's are within 1e-9 V.

    For the circuit as it stands, and with its inputs driven.
    """
    net = energy_of(random_circuit(seed), outputs=("n0",))
    x = jnp.asarray(np.random.default_rng(seed).normal(size=2))
    settled = ep.relax(net, x, method=NEWTON)
    named = dict(zip(net.all_nodes, net.voltages(settled.state, x).tolist(), strict=True))
    for simulator in (circuits.Nodal(), circuits.Ngspice()):
        points = simulator.operating_points(net.circuit(x))
        assert points.status.values == ["ok"]
        for node in points.node.values.tolist():
            assert abs(float(points.voltage.sel(node=node)[0]) - named[node]) <= 1e-9, (
                node,
                simulator,
            )
    wrong = dataclasses.replace(net, siemens={name: 1.01 * g for name, g in net.siemens.items()})
    assert (
        abs(float(ep.relax(wrong, x, method=NEWTON).state[0] - settled.state[0])) > 1e-9
    )  # the control


def test_the_slope_is_kirchhoffs_law_behind_amplifiers():
    """unit · D ∂E/∂z is what `Equations` says flows out of a node, at any state.

    Once branch currents are those of their nodes.
    """
    circuit = amplified(3.0, 3.0, 2.0, 2.0)
    net = energy_of(circuit, outputs=("o0", ("o1", "o0")))
    assert net.nodes == ("h0", "h1", "k0", "k1", "o0", "o1")
    np.testing.assert_allclose(net.plan.balance_weights, [1, 1, 9, 9, 36, 36])
    x, state = jnp.array([0.7, -0.2]), jnp.asarray(np.random.default_rng(0).normal(size=6))
    equations = circuits.Equations.of(net.circuit(x))
    named = dict(zip(net.all_nodes, net.voltages(state, x), strict=True))
    unknowns = np.zeros((1, equations.unknowns))
    unknowns[0, : len(equations.free)] = [named[node] for node in equations.free]
    into = equations.linear[
        : len(equations.free), len(equations.free) : equations.unknowns
    ].toarray()
    residual = equations.residual(unknowns, {})[0][0, : len(equations.free)]
    kept = [equations.free.index(node) for node in net.nodes]
    tied = [i for i in range(len(residual)) if i not in kept]
    currents = np.linalg.solve(into[tied], -residual[tied])
    expected = (residual + into @ currents)[kept]
    np.testing.assert_allclose(
        net.unit * net.plan.balance_weights * jax.grad(net)(state, x), expected, rtol=1e-11
    )
    np.testing.assert_allclose(net.outputs(state), [state[4], state[5] - state[4]])


@pytest.mark.parametrize(
    "circuit", [random_circuit(3), amplified(3.0, 3.0, 2.0, 2.0)], ids=["random", "amplified"]
)
def test_the_gradient_is_that_of_the_circuits_own_cost(circuit):
    """EP and the exact gradient against finite differences of a cost read from `Nodal`."""
    net = energy_of(circuit, outputs=("n0",) if "n0" in circuit.nodes else ("o1",))
    random = np.random.default_rng(0)
    xs, ys = jnp.asarray(random.normal(size=(3, 2))), jnp.asarray(random.normal(size=(3, 1)) * 0.3)

    def cost(net):
        points = [
            circuits.Nodal()
            .operating_points(net.circuit(x))
            .voltage.sel(node=list(net.nodes))
            .values[0]
            for x in xs
        ]
        return np.mean(
            [float(COST(net.outputs(jnp.asarray(z)), y)) for z, y in zip(points, ys, strict=True)]
        )

    exact = ep.Implicit(NEWTON)(net, COST, xs, ys).grad
    assert ep.relative_error(ep.EqProp.centred(1e-4, NEWTON)(net, COST, xs, ys).grad, exact) < 1e-4
    largest = max(float(jnp.max(jnp.abs(g))) for g in exact.siemens.values())
    for name, g in net.siemens.items():
        for at in [
            np.unravel_index(i, g.shape)
            for i in random.choice(g.size, min(3, g.size), replace=False)
        ]:
            step = 1e-5 * max(float(g[at]), 0.1)
            ends = [g.at[at].add(sign * step) for sign in ((1, -1) if g[at] else (1, 0))]
            up, down = (
                cost(dataclasses.replace(net, siemens=net.siemens | {name: end})) for end in ends
            )
            expected = (up - down) / (step * (2 if g[at] else 1))
            assert abs(float(exact.siemens[name][at]) - expected) <= 1e-4 * largest, (name, at)


def test_circuits_without_an_energy_are_told_by_how_much():
    """Equal gains in each stage have an energy, as have any in a last stage.

    In an earlier one a spread has none, nor has a gyrator.
    """
    assert circuits.nonreciprocity(amplified(3.0, 3.0, 2.0, 2.0)) < 1e-15
    assert circuits.nonreciprocity(amplified(3.0, 3.0, 2.0, 2.5)) > 1e-3
    spread = [
        circuits.nonreciprocity(amplified(3.0, 3.0 * (1 + s), 2.0, 2.0 * (1 + s)))
        for s in (0.01, 0.1)
    ]
    assert 5 < spread[1] / spread[0] < 15
    with pytest.raises(
        circuits.NetlistError,
        match=r"must have an energy, but .*break.* asymmetry of its .* is 0\.0",
    ):
        energy_of(amplified(3.0, 3.0, 2.0, 2.5))
    points = circuits.Nodal().operating_points(amplified(3.0, 3.0, 2.0, 2.5))
    assert points.status.values == ["ok"]  # it is solved as Kirchhoff's laws all the same
    gyrator = Netlist(
        "Gyrator",
        (
            VoltageSource("a", "a", GROUND, 1.0),
            Resistor("a", "a", "p", siemens=1e-9),
            Resistor("q", "q", GROUND, siemens=1e-9),
            Transconductance("pq", "p", GROUND, "q", GROUND, 1e-3),
            Transconductance("qp", "q", GROUND, "p", GROUND, -1e-3),
        ),
    )
    assert circuits.nonreciprocity(gyrator) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(circuits.NetlistError, match=r"\['Gpq', 'Gqp'\] break its reciprocity"):
        energy_of(gyrator, inputs=("Va",), outputs=("q",))


def test_what_learns_and_what_goes_back_into_the_netlist():
    circuit = random_circuit(0)
    net = energy_of(
        circuit, trainable=("Rm*", "Rx"), outputs=("n0",), conductance_bounds=(0.0, 50.0)
    )
    assert sorted(net.siemens) == ["resistors", "x"]
    assert net.siemens["resistors"].shape == (3,)
    back = net.circuit()
    for was, one in zip(circuit.elements, back.elements, strict=True):
        assert was == one or np.allclose(was.siemens, one.siemens, rtol=1e-15)
    other = {"resistors": jnp.array([1.0, 0.0, 2.0]), "x": jnp.ones((2, 2))}
    grown = dataclasses.replace(net, siemens=other).circuit(jnp.array([0.25, -0.5]))
    by_name = {e.letter + e.name: e for e in grown.elements}
    assert by_name["Rm0"].siemens == pytest.approx(UNIT)
    assert "Rm1" not in by_name
    assert np.all(by_name["Rx"].siemens == UNIT)
    assert by_name["Va"].volts == 0.25
    assert by_name["Vb"].volts == -0.5
    assert net.parameter_bounds() == {"siemens*": (0.0, 50.0)}
    capacitors = (
        circuits.Capacitor("c", "n1", GROUND, 1e-12),
        circuits.Capacitor("d", GROUND, "n1", 2e-12),
    )
    timed = energy_of(
        dataclasses.replace(circuit, elements=circuit.elements + capacitors),
        outputs=("n0",),
        capacitance=2e-12,
    )
    tau = dict(zip(timed.nodes, timed.time_constants(jnp.zeros(2)).tolist(), strict=True))
    assert tau["n1"] == pytest.approx(3e-12 / UNIT)
    assert tau["n2"] == pytest.approx(2e-12 / UNIT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inputs": ("Vz",)},
            r"`inputs` must name sources of the circuit, but \['Vz'\] are none of "
            r"\['Ii', 'Va', 'Vb', 'Vf'\]",
        ),
        (
            {"outputs": ("a",)},
            "`outputs` must be nodes of the circuit without a source, but 'a' is none",
        ),
        (
            {"outputs": ("zz",)},
            "`outputs` must be nodes of the circuit without a source, but 'zz' is none",
        ),
        (
            {"outputs": ("0",)},
            "`outputs` must be nodes of the circuit without a source, but ground is one of them",
        ),
        ({"outputs": ()}, "`outputs` must be one node or more, but are none"),
        (
            {"trainable": "Rq*"},
            r"`trainable` must match resistors of the circuit, but 'Rq\*' matches none",
        ),
        ({"trainable": ()}, "`trainable` must be one pattern or more, but is empty"),
        ({"inputs": ("Va", "Va")}, r"`inputs` must name every source once, but are \['Va', 'Va'\]"),
        ({"unit": 0.0}, "`unit` must be finite and above 0, but is 0.0"),
        ({"capacitance": 0.0}, "`capacitance` must be finite and above 0, but is 0.0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        energy_of(random_circuit(0), **({"outputs": ("n0",)} | changes))


@pytest.mark.parametrize("outputs", [("out",), (("mid", "out"),), (("out", "mid"),)])
@pytest.mark.parametrize("draws", [0.0, -0.5])
def test_outputs_whose_nudge_nothing_passes_on_are_refused(outputs, draws):
    """Behind an amplifier that draws no current, or a current of the wrong sign."""

    def buffered(draws):
        text = "V1 in 0 1\nR1 in mid 1k\nR2 mid 0 1k\nE1 high 0 mid 0 2\nV2 high out 0\n"
        return circuits.parse(f"Buffer\n{text}F1 mid 0 V2 {draws}\n.end\n")

    chosen = {"inputs": ("V1",), "trainable": "R1"}
    with pytest.raises(ValueError, match="`outputs` must be nodes from which amplifiers pass"):
        energy_of(buffered(draws), outputs=outputs, **chosen)
    assert energy_of(buffered(0.5), outputs=("out",), **chosen).plan.output_nudges == (4 * UNIT,)


def test_a_matrix_that_goes_by_the_name_of_the_single_resistors_is_refused():
    circuit = random_circuit(0)
    (matrix,) = circuit.of(circuits.ConductanceMatrix)
    clash = dataclasses.replace(matrix, name="resistors", rows=("n0", "n1"))
    circuit = dataclasses.replace(circuit, elements=(*circuit.elements, clash))
    with pytest.raises(ValueError, match="must not match a matrix called 'resistors'"):
        energy_of(circuit, outputs=("n0",))
    assert set(energy_of(circuit, outputs=("n0",), trainable="Rresistors").siemens) == {"resistors"}


def test_elements_without_a_co_content_are_named():
    clamped = random_circuit(0)
    for text in ("Bc n0 0 i=v(n1)*1u", "Bc n0 0 i=v(n0)*v(a)*1u", "Bc n2 0 v=v(n1)"):
        (element,) = (
            e
            for e in circuits.parse(
                f"B\n{text}\nR1 n0 0 1\nR2 n1 0 1\nR3 a 0 1\nR4 n2 0 1\n"
            ).elements
            if e.name == "c"
        )
        extended = dataclasses.replace(clamped, elements=(*clamped.elements, element))
        with pytest.raises(
            circuits.NetlistError,
            match=r"have a co-content, but the expressions of \['Bc'\] hold more than",
        ):
            energy_of(extended, outputs=("n0",))
    net = energy_of(random_circuit(0), outputs=("n0",))
    with pytest.raises(
        ValueError, match=r"`x` must give 2 values, one for each of `inputs`, but gave \(3,\)"
    ):
        net.drives(jnp.zeros(3))


def test_an_exponential_does_not_hide_what_there_is_between_nodes():
    """At volts a diode's conductance is 10¹⁰ times a resistor's.

    Nodes of one leaf that interact were once taken for a block.
    """
    net = energy_of(random_circuit(0), outputs=("n0",))
    x = jnp.zeros(2)
    assert not leaves_are_blocks(net, x, net.init_state(x))
    assert net.is_convex()
    settled = ep.relax(net, x)
    for method in (ep.BlockNewton(blocks=ep.colour(net, x)), ep.GradientFlow(tolerance=1e-7)):
        np.testing.assert_allclose(ep.relax(net, x, method=method).state, settled.state, atol=1e-5)
    pushed = dataclasses.replace(
        random_circuit(0), elements=(*random_circuit(0).elements, NEGATIVE)
    )
    assert not energy_of(pushed, outputs=("n0",)).is_convex()


NEGATIVE = Transconductance("push", GROUND, "n0", "n0", GROUND, 1e-2)
