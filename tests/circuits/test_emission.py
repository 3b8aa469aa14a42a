"""Circuit and model: three ways to one fixed point, and a comparison that can fail."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import PAIR, examples, network
from helpers.simulators import OnlyOperatingPoints
from helpers.tiers import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import circuits
import eqprop as ep
from circuits.learning.ports import Ports
from circuits.mna.certificates import certify
from eqprop.training import paths

COST = ep.SquaredError()
pytestmark = pytest.mark.usefixtures("simulator")


def test_names_are_what_a_designer_expects():
    deck = circuits.emit(network(), np.array([0.1, 0.2, -0.3]), y=np.zeros(2), cost=COST)
    assert {"in0p", "in2n", "h7", "out1", "railp", "target_out0"} <= set(deck.nodes)
    lines = deck.spice().splitlines()
    assert "Vin2p in2p 0 -1.2" in lines
    assert "Vin2n in2n 0 1.2" in lines
    assert "Dh7p h7 railp junction" in lines
    assert "Dh7n railn h7 junction" in lines
    header = [line for line in lines if line.startswith("* ")]
    for word in (
        "Unit conductance: 1e-05 S",
        "Outputs: 2",
        "Biases: 10",
        "Hidden nodes: a diode to railp (+0.1 V)",
        "Nudge: Gnudge_*",
    ):
        assert any(word in line for line in header), word
    assert ".control" not in deck.spice().lower()
    assert circuits.emit(network(sizes=(3, 4, 5, 2))).nodes[6] == "h1_0"


@given(
    st.integers(0, 10_000),
    st.sampled_from([(1, 1, 1), (3, 6, 4, 2)]),
    st.sampled_from([0.0, 0.005]),
)
@settings(max_examples=drawn(5, 12), deadline=None)
def test_energy_equations_and_ngspice_agree(seed, sizes, beta):
    """Three ways: the minimiser of the co-content, Kirchhoff's law, and ngspice."""
    net = network(PAIR, sizes, seed)
    xs, ys = examples(3, sizes[0], sizes[-1], seed)
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=beta)
    assert comparison.agrees, str(comparison)
    assert comparison.error < 1e-9
    deck, sources = circuits.emit(net), circuits.drives(net, xs)
    certificate = certify(
        circuits.Equations.of(deck), comparison.dataset.model.sel(phase="free").values, sources
    )
    assert certificate.correction.max() < 1e-9
    assert certificate.stable.all()


def doubled():
    net = ep.Resistive.init(
        jax.random.key(0),
        (3, 6, 2),
        device=PAIR,
        unit=1e-5,
        input_gain=4.0,
        doubled_outputs=True,
        conductance_bounds=(0.02, 1.0),
    )
    random = np.random.default_rng(0)
    return dataclasses.replace(
        net, biases=tuple(jnp.asarray(0.2 * random.standard_normal(b.shape)) for b in net.biases)
    )


@pytest.mark.parametrize("make", [network, lambda: network(sizes=(3, 4, 5, 2)), doubled])
def test_the_ports_are_those_of_the_netlist(make):
    """Its names are in the deck; voltages and states are one another, in the state's order."""
    net, ports = make(), Ports.of(make())
    deck = ports.netlist(net, nudge=ports.nudge(COST, np.zeros(2), 0.01))
    assert set(ports.nodes) <= set(deck.nodes)
    assert {*ports.inputs, *(f"V{node}" for node in ports.targets)} == {
        e.key for e in deck.of(circuits.VoltageSource) if e.name not in ("railp", "railn")
    }
    volts = np.random.default_rng(0).normal(size=(3, len(ports.nodes)))
    states = ports.states(volts)
    assert [s.shape[1:] for s in states] == [s.shape for s in net.init_state(np.zeros(3))]
    np.testing.assert_array_equal(ports.voltages(states), volts)
    outputs = np.asarray(jax.vmap(net.outputs)(states))
    np.testing.assert_array_equal(ports.read(volts), outputs)
    volts[1, -1] = np.nan
    expected = [np.argmax(outputs[0]), -1, np.argmax(outputs[2])]
    assert ports.decisions(volts).tolist() == expected


def test_a_comparison_asks_for_the_ports_once(monkeypatch):
    calls = []
    of = Ports.of.__func__
    monkeypatch.setattr(
        Ports, "of", classmethod(lambda cls, net: calls.append(net) or of(cls, net))
    )
    net, (xs, ys) = network(), examples()
    assert circuits.compare(net, xs, ys, cost=COST, beta=0.01).agrees
    assert len(calls) == 1


def test_the_gradient_from_ngspice_is_the_models():
    net, (xs, ys) = network(), examples()
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=0.01)
    attrs = comparison.dataset.attrs
    assert attrs["gradient_cosine_circuit_model"] > 1 - 1e-9
    assert attrs["gradient_cosine_circuit_exact"] > 1 - 1e-5
    assert comparison.dataset.phase.values.tolist() == ["free", "+beta", "-beta"]
    assert "AGREES" in str(comparison)
    assert "gradient, circuit and exact: cosine 0.99999" in str(
        comparison
    ) or "cosine 1.0000" in str(comparison)
    assert comparison.plot().get_xlabel() == "model (V)"


def test_a_diode_turned_round_is_reported():
    """The comparison can fail: one diode the wrong way in the netlist, and it names the node."""
    net, (xs, _) = network(), examples()
    hidden = np.stack([np.asarray(ep.relax(net, x).state[0]) for x in xs])
    node = f"h{int(np.argmax(hidden.max(0)))}"
    deck = circuits.emit(net)
    diode = next(e for e in deck.elements if isinstance(e, circuits.Diode) and e.name == f"{node}p")
    turned = deck.with_elements(
        dataclasses.replace(diode, anode=diode.cathode, cathode=diode.anode)
    )
    comparison = circuits.compare(net, xs, circuit=turned)
    assert not comparison.agrees
    assert comparison.error > 1e-3
    assert comparison.worst()[2] == node
    assert "DIFFERS" in str(comparison)
    assert circuits.compare(net, xs, circuit=deck).agrees


def test_a_small_mistake_is_reported_too():
    net, (xs, _) = network(), examples()
    deck = circuits.emit(net)
    matrix = next(e for e in deck.elements if e.name == "g2")
    off = deck.with_elements(dataclasses.replace(matrix, siemens=matrix.siemens * (1 + 1e-6)))
    assert not circuits.compare(net, xs, circuit=off).agrees


def test_a_circuit_must_have_the_models_nodes_and_may_have_more():
    net, (xs, _) = network(), examples(1)
    more = circuits.emit(net, xs[0])
    more = dataclasses.replace(
        more, elements=(*more.elements, circuits.Resistor("x", "extra", "0", siemens=1.0))
    )
    assert circuits.compare(net, xs, circuit=more).agrees
    other = circuits.emit(network(sizes=(3, 7, 2)), xs[0])
    with pytest.raises(
        circuits.NetlistError,
        match=r"must have the nodes of the model as free nodes, but \['h7'\] are none",
    ):
        circuits.compare(net, xs, circuit=other)


def test_a_failed_point_is_a_difference(tmp_path):
    from helpers.netlists import program, raw_body

    net, (xs, _) = network(sizes=(1, 1, 1)), examples(1, 1, 1)
    wrong = program(tmp_path, raw_body(["v(h0)", "v(out0)"], [0.0, 0.0]))
    comparison = circuits.compare(net, xs, simulator=wrong)
    assert not comparison.agrees
    assert set(comparison.dataset.status.values.ravel()) == {"uncertified"}


def test_a_nudge_beyond_the_bound_is_refused():
    net, (xs, ys) = network(), examples()
    for make in (
        lambda: circuits.emit(net, xs[0], y=ys[0], cost=COST, beta=-50.0),
        lambda: circuits.compare(net, xs, ys, cost=COST, beta=50.0),
    ):
        with pytest.raises(
            ep.NudgeError,
            match=r"`beta` must be below .* Schur complement .* diodes-off state.* but is 50",
        ):
            make()
    circuits.emit(net, xs[0], y=ys[0], cost=COST, beta=50.0)


def test_the_nudge_pulls_towards_the_target():
    net, (xs, ys) = network(), examples(1)
    data = circuits.compare(net, xs, ys, cost=COST, beta=0.1).dataset
    outputs = ["out0", "out1"]
    distance = np.abs(data.circuit.sel(node=outputs) - ys[0])
    assert bool((distance.sel(phase="+beta") < distance.sel(phase="free")).all())
    assert bool((distance.sel(phase="-beta") > distance.sel(phase="free")).all())


def test_arguments_go_together():
    net, (xs, ys) = network(), examples()
    with pytest.raises(ValueError, match="`y` and `cost` must be given together"):
        circuits.emit(net, xs[0], y=ys[0])
    with pytest.raises(ValueError, match="`ys` and `cost` must be given together"):
        circuits.compare(net, xs, beta=0.1)
    with pytest.raises(ValueError, match=r"`x` must have shape \(3,\), but has \(4,\)"):
        circuits.emit(net, np.zeros(4))


def test_the_ideal_network_is_emitted_too(simulator):
    net, (xs, _) = network(circuits.IdealDiodes()), examples(1)
    points = simulator.operating_points(circuits.emit(net, xs[0]))
    model = np.concatenate(ep.relax(net, xs[0]).state)
    nodes = [f"h{i}" for i in range(8)] + ["out0", "out1"]
    np.testing.assert_allclose(points.voltage.sel(node=nodes).values[0], model, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"conductances": (jnp.ones((6, 8)), jnp.full((8, 2), -0.1))},
            r"`conductances\[1\]` must be finite and at least 0, but is -0.1",
        ),
        (
            {"conductances": (jnp.full((6, 8), jnp.nan), jnp.ones((8, 2)))},
            r"`conductances\[0\]` must be finite and at least 0, but is nan",
        ),
        (
            {"conductances": (jnp.ones((6, 7)), jnp.ones((8, 2)))},
            r"`conductances\[0\]` must have shape \(6, n\)",
        ),
        ({"conductances": (jnp.ones((5, 8)), jnp.ones((8, 2)))}, "must have two rows"),
        ({"unit": 0.0}, "`unit` must be finite and above 0, but is 0.0"),
        ({"capacitance": np.nan}, "`capacitance` must be finite and above 0, but is nan"),
    ],
)
def test_a_network_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(network(), **change)


def test_a_circuit_without_nudge_sources_cannot_be_nudged():
    net, (xs, ys) = network(), examples()
    with pytest.raises(
        ValueError, match=r"`drives` must name sources of the netlist|must have nudge sources"
    ):
        circuits.compare(net, xs, ys, cost=COST, beta=0.1, circuit=circuits.emit(net))


@pytest.mark.parametrize(
    ("xs", "ys", "message"),
    [
        (
            np.zeros((2, 5)),
            None,
            r"`xs` must have shape \(samples, 3\) with a sample or more, but has \(2, 5\)",
        ),
        (np.zeros((0, 3)), None, r"`xs` must have shape"),
        (
            np.zeros((2, 3)),
            np.zeros((3, 2)),
            r"`ys` must hold a target for each of the 2 samples, but holds 3",
        ),
        (
            np.zeros((2, 3)),
            np.array([0, 9]),
            r"labels must be from 0 to 1, one for each output, but go from 0 to 9",
        ),
    ],
)
def test_samples_must_fit(xs, ys, message):
    with pytest.raises(ValueError, match=message):
        circuits.compare(network(), xs, ys, cost=None if ys is None else COST)


def test_a_device_of_one_value_is_emitted_and_one_of_many_refused():
    one = dataclasses.replace(network(), device=circuits.DiodePair(jnp.asarray(1e-9), 0.1))
    assert circuits.emit(one).spice() == circuits.emit(network()).spice()
    many = dataclasses.replace(network(), device=circuits.DiodePair(jnp.full(8, 1e-9), 0.1))
    with pytest.raises(
        ValueError,
        match=r"must have one `saturation` for all nodes to be emitted, but has an array of \(8,\)",
    ):
        circuits.emit(many)


SWEPT = np.linspace(-0.8, 0.7, 61)
NODES = {
    "zener": circuits.ZenerDiode(1e-9, 0.2),
    "single": circuits.SingleDiode(1e-10, bias=-0.25),
    "curve": circuits.Curve(
        [-0.9, -0.3, -0.11, 0.05, 0.2, 0.7], [-4e-5, -6e-6, -1e-6, -1e-6, 2e-6, 3e-5]
    ),
    "fine curve": circuits.Curve(SWEPT, PAIR.current(SWEPT)),
}


@pytest.mark.parametrize("name", NODES)
def test_a_network_of_each_device_settles_where_its_model_does(name):
    net, (xs, ys) = (
        network(NODES[name], (3, 7, 6, 2) if name == "single" else (3, 8, 2)),
        examples(4),
    )
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=0.005)
    assert comparison.agrees, str(comparison)
    assert comparison.error < 1e-9
    assert comparison.dataset.attrs["gradient_cosine_circuit_model"] > 1 - 1e-9
    assert ("ideal" in comparison.dataset) == (name == "single")
    hidden = circuits.states(net, comparison.dataset.model.sel(phase="free"))[:-1]
    conducts = np.concatenate(
        [np.abs(net.device.current(layer)).ravel() > 1e-7 for layer in hidden]
    )
    assert conducts.mean() > 0.1


def test_a_single_diode_in_the_wrong_half_is_reported():
    net, (xs, _) = network(NODES["single"]), examples(2)
    deck = circuits.emit(net)
    assert [e.name for e in deck.elements if isinstance(e, circuits.Diode)] == [
        *(f"h{i}n" for i in range(4)),
        *(f"h{i}p" for i in range(4, 8)),
    ]
    diode = next(e for e in deck.elements if isinstance(e, circuits.Diode) and e.name == "h4p")
    turned = deck.with_elements(dataclasses.replace(diode, anode="railn", cathode="h4"))
    assert not circuits.compare(net, xs, circuit=turned).agrees
    assert circuits.compare(net, xs, circuit=deck).agrees


def test_doubled_outputs_settle_where_their_model_does():
    net, (xs, ys) = doubled(), examples(4)
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=0.02)
    assert comparison.agrees, str(comparison)
    assert comparison.error < 1e-9
    assert comparison.dataset.attrs["gradient_cosine_circuit_model"] > 1 - 1e-9
    assert comparison.dataset.node.values.tolist()[-4:] == ["out0p", "out1p", "out0n", "out1n"]
    free = comparison.dataset.circuit.sel(phase="free")
    read = np.stack(
        [free.sel(node=f"out{k}p") - free.sel(node=f"out{k}n") for k in range(2)], axis=1
    )
    assert comparison.dataset.circuit_decision.values.tolist() == np.argmax(read, axis=1).tolist()
    nudged = comparison.dataset.circuit.sel(phase="+beta")
    pulled = np.stack(
        [nudged.sel(node=f"out{k}p") - nudged.sel(node=f"out{k}n") for k in range(2)], axis=1
    )
    assert np.all(np.abs(pulled - ys) < np.abs(read - ys))


def test_doubled_outputs_are_said_and_nudged_in_pairs():
    net = doubled()
    deck = circuits.emit(net, np.zeros(3), y=np.array([0.1, -0.2]), cost=COST, beta=0.02)
    lines = deck.spice().splitlines()
    assert f"Gnudge_out1p out1n out1p target_out1 out1p {0.02 * 1e-5}" in lines
    assert f"Gnudge_out1n out1n out1p out1n 0 {0.02 * 1e-5}" in lines
    assert "Vtarget_out1 target_out1 0 -0.2" in lines
    assert deck.title == "Resistive network 3-6-2"
    assert any("Outputs: 2, a pair of nodes for each class" in line for line in lines)


def test_half_a_nudge_of_doubled_outputs_is_reported():
    """The control: without the part that reads the − node, only the nudged phases differ."""
    net, (xs, ys) = doubled(), examples(4)
    deck = circuits.emit(net, xs[0], y=ys[0], cost=COST)
    half = dataclasses.replace(
        deck,
        elements=tuple(e for e in deck.elements if e.name not in ("nudge_out0n", "nudge_out1n")),
    )
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=0.02, circuit=half)
    assert not comparison.agrees
    assert comparison.worst()[0] != "free"
    assert (
        float(np.abs(comparison.dataset.circuit - comparison.dataset.model).sel(phase="free").max())
        < 1e-9
    )


def test_a_network_with_amplifiers_is_a_circuit_of_controlled_sources(simulator):
    """ngspice has the model's nodes and gradients, but not where amplifiers draw no current."""
    net, (xs, ys) = dataclasses.replace(network(sizes=(3, 6, 5, 2)), amplification=3.0), examples(2)
    beta = 1e-3 * 3.0**-4
    comparison = circuits.compare(net, xs, ys, cost=COST, beta=beta, simulator=simulator)
    assert comparison.agrees, str(comparison)
    assert comparison.dataset.attrs["gradient_difference_circuit_model"] < 1e-7
    whole = circuits.emit(net, xs[0], y=ys[0], cost=COST)
    backward = [e for e in whole.elements if isinstance(e, circuits.CurrentGain)]
    assert len(backward) == 11
    deaf = whole.with_elements(*(dataclasses.replace(e, gain=1e-12) for e in backward))
    assert circuits.compare(net, xs, simulator=simulator, circuit=deaf).error > 1e-3


def test_a_plain_number_does_not_learn():
    net = network(circuits.DiodePair(np.float64(1e-9), np.float64(0.1)), unit=np.float64(1e-5))
    assert paths(eqx.filter(net, eqx.is_inexact_array)) == [
        "conductances.0",
        "conductances.1",
        "biases.0",
        "biases.1",
    ]


def test_a_failed_sample_decides_nothing(simulator):
    """The first sample's answer is missing: it is no decision, and no agreement."""

    class Loses(OnlyOperatingPoints):
        def operating_points(self, netlist, drives=None):
            comparison = simulator.operating_points(netlist, drives)
            comparison["voltage"][0] = np.nan
            comparison["status"][0] = "failed"
            return comparison

    net, (xs, _) = network(), examples(4)
    comparison = circuits.compare(net, xs, simulator=Loses())
    assert comparison.dataset.circuit_decision.values[0] == -1
    assert comparison.agreement == 0.75
    assert not comparison.agrees
    assert "DIFFERS" in str(comparison)


def test_a_transient_is_the_flow_of_the_model():
    """Free and then nudged; the control has another capacitance: it ends there too, but later."""
    net, (xs, ys) = network(), examples(1)
    tau = net.capacitance / net.unit
    settings = {"y": ys[0], "cost": COST, "beta": 0.5, "stop": 2 * tau, "step": tau / 200}
    data = circuits.compare_transient(net, xs[0], **settings)
    size = float(np.abs(data.flow).max())
    assert float(np.abs(data.circuit - data.flow).max()) < 1e-4 * size
    assert data.attrs["nudged_at"] == pytest.approx(2 * tau)
    before, after = (
        data.flow.sel(time=data.attrs["nudged_at"] + late * tau, method="nearest")
        for late in (-0.1, 2.0)
    )
    assert float(np.abs(after - before).max()) > 1e-2 * size

    class Slower(OnlyOperatingPoints):
        def operating_points(self, netlist, drives=None):
            raise AssertionError("a transient begins at 0 V, not at an operating point")

        def transient(self, netlist, **settings):
            slower = [
                dataclasses.replace(c, farads=2 * c.farads) for c in netlist.of(circuits.Capacitor)
            ]
            return circuits.Ngspice().transient(netlist.with_elements(*slower), **settings)

    slow = circuits.compare_transient(net, xs[0], stop=2 * tau, step=tau / 200, simulator=Slower())
    assert float(np.abs(slow.circuit - slow.flow).max()) > 0.05 * size
    assert "nudged_at" not in slow.attrs
