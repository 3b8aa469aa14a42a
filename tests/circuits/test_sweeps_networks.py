"""Batch sweeps of networks of `eqprop`: their measures are those that are made by hand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import network
from helpers.tiers import IN_FULL

import circuits
import eqprop as ep
from circuits.sweeps import SweepError, load, sweep
from circuits.sweeps.declaration import Declaration
from circuits.sweeps.jobs import simulate
from circuits.sweeps.planning import Planner
from circuits.sweeps.swept_networks import SweptNetwork

ROOT = Path(__file__).parents[2]
COST = ep.SquaredError(on=0.2)
BETA = 0.05
XS = np.random.default_rng(3).uniform(-1, 1, (4, 3))
YS = np.array([0, 1, 1, 0])
VARIATION = circuits.Programming(0.1) + circuits.Saturation(0.2)


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture
def file(net, tmp_path):
    """A sweep of a network in a file, with its data in another."""
    circuits.save_network(net, tmp_path / "net.npz")
    np.savez(tmp_path / "data.npz", x=XS, y=YS)
    text = """chips = 2
measure = ["voltages", "node_errors", "decisions", "accuracy", "gradient_cosine", "noise"]
network.checkpoint = "net.npz"
cost.on = 0.2
data.file = "data.npz"
[variation]
programming.spread = 0.0
saturation.spread = 0.2
[axes]
beta = [0.05, 0.1]
programming.spread = [0.05, 0.1]
"""
    (tmp_path / "sweep.toml").write_text(text)
    return tmp_path / "sweep.toml"


def run(file, out, **changes):
    with ThreadPoolExecutor(1) as executor:
        return sweep(file, out=out, executor=executor, **changes)


def test_a_network_in_a_file_is_the_network(net, tmp_path):
    pair = circuits.DiodePair(saturation=jnp.array([1e-9, 2e-9]), bias=0.1)
    odd = ep.Resistive(
        (jnp.ones((4, 2)), jnp.ones((2, 4))),
        (jnp.ones(2), jnp.zeros(4)),
        pair,
        doubled_outputs=True,
        unit=2.0,
    )
    curve = circuits.Curve((-1.0, 0.0, 1.0), (-1e-5, 0.0, 1e-6))
    others = (None, curve, circuits.IdealDiodes())
    for one in (
        net,
        odd,
        replace(net, conductance_bounds=(0.0, 3.0)),
        *(replace(net, device=device) for device in others),
    ):
        restored = circuits.load_network(circuits.save_network(one, tmp_path / "net.npz"))
        assert jax.tree.structure(restored) == jax.tree.structure(one)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(one), strict=True)
        )
        assert restored.conductance_bounds == one.conductance_bounds
    content = (tmp_path / "net.npz").read_bytes()
    (tmp_path / "net.npz").write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    with pytest.raises(ep.CheckpointError, match="truncated, corrupt"):
        circuits.load_network(tmp_path / "net.npz")


def test_what_is_no_resistive_network_is_neither_a_file_nor_a_netlist(tmp_path):
    other = ep.models.Hopfield.init(jax.random.key(0), (2, 3, 2))
    for asked in (
        lambda: circuits.save_network(other, tmp_path / "net.npz"),
        lambda: circuits.emit(other),
    ):
        with pytest.raises(
            ValueError, match=r"`net` must be a Resistive network, .*but is a Hopfield"
        ):
            asked()
    assert not any(tmp_path.iterdir())


def test_measures_of_a_chip_are_those_of_a_comparison(net, file, tmp_path, simulator):
    """Each chip's phases, made one deck each by another way, and the measures of those."""
    outcome = run(file, tmp_path / "run")
    assert not outcome.failed
    with outcome.dataset() as data:
        assert data.sizes["phase"] == 3
        whole = circuits.emit(net, XS[0], y=YS[0], cost=COST, beta=BETA)
        for chip in (0, 1):
            measures = data.sel({"beta": BETA, "programming.spread": 0.1, "chip": chip})
            varied = VARIATION.chip(whole, seed=0, number=chip)
            by_hand = circuits.compare(
                net, XS, YS, cost=COST, beta=BETA, simulator=simulator, circuit=varied
            )
            comparison = by_hand.dataset
            np.testing.assert_allclose(
                measures.voltage.values, comparison.circuit.values, rtol=0, atol=1e-10
            )
            errors = (
                comparison.circuit.sel(phase="free").values
                - comparison.model.sel(phase="free").values
            )
            np.testing.assert_allclose(
                measures.node_error.values, np.sqrt(np.mean(errors**2, 0)), atol=1e-10
            )
            np.testing.assert_allclose(
                measures.largest_error.values, np.abs(errors).max(1), atol=1e-10
            )
            assert np.array_equal(measures.decision.values, comparison.circuit_decision.values)
            assert measures.accuracy.item() == np.mean(comparison.circuit_decision.values == YS)
            np.testing.assert_allclose(
                measures.gradient_cosine.item(),
                comparison.attrs["gradient_cosine_circuit_exact"],
                atol=1e-6,
            )
            assert measures.gradient_cosine.item() < 0.9999
            small, _ = circuits.reduce(
                VARIATION.chip(circuits.emit(net, XS[2]), seed=0, number=chip)
            )
            point = simulator.operating_points(small)
            at = [point.node.values.tolist().index(node) for node in measures.output.values]
            noise = np.sqrt(np.diag(circuits.covariance(small, None, point))[at])
            np.testing.assert_allclose(measures.noise.values[2], noise, rtol=1e-6)


def test_without_variation_the_circuit_is_the_model(net, tmp_path, simulator):
    outcome = run(
        None,
        tmp_path / "run",
        network=net,
        cost=COST,
        data={"x": XS, "y": YS},
        beta=BETA,
        axes={"device.saturation": [1e-9, 1e-8], "beta": [0.01]},
        measure=["node_errors", "gradient_cosine"],
        simulator=simulator,
    )
    with outcome.dataset() as data:
        assert float(data.largest_error.max()) < 1e-10
        np.testing.assert_allclose(data.gradient_cosine.values, 1.0, atol=1e-5)


def test_temperature_is_that_of_every_phase(net, tmp_path, simulator):
    declared = {
        "network": net,
        "cost": COST,
        "data": {"x": XS, "y": YS},
        "measure": ["voltages"],
        "simulator": simulator,
    }
    with run(
        None, tmp_path / "run", beta=BETA, axes={"temperature": [300.15, 350.0]}, **declared
    ).dataset() as data:
        for kelvin in (300.15, 350.0):
            warm = replace(circuits.emit(net, XS[0], y=YS[0], cost=COST), temperature=kelvin)
            by_hand = circuits.compare(
                net, XS, YS, cost=COST, beta=BETA, simulator=simulator, circuit=warm
            ).dataset
            np.testing.assert_allclose(
                data.voltage.sel(temperature=kelvin, chip=0).values,
                by_hand.circuit.values,
                rtol=0,
                atol=1e-10,
            )
        assert float(abs(data.voltage.diff("temperature")).max()) > 1e-3


def test_doubled_outputs_decide_by_their_difference(net, tmp_path, simulator):
    doubled = ep.Resistive.init(
        jax.random.key(5),
        (3, 6, 2),
        device=net.device,
        unit=1e-5,
        input_gain=4.0,
        doubled_outputs=True,
    )
    doubled = replace(doubled, conductances=tuple(g + 0.02 for g in doubled.conductances))
    declared = {
        "network": doubled,
        "data": {"x": XS},
        "measure": ["decisions", "voltages"],
        "simulator": simulator,
    }
    with run(None, tmp_path / "run", **declared).dataset() as data:
        plus, minus = data.voltage.values[0, 0, :, 6:8], data.voltage.values[0, 0, :, 8:]
        assert np.array_equal(data.decision.values[0], np.argmax(plus - minus, 1))
        assert not np.array_equal(np.argmax(plus - minus, 1), np.argmax(plus, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 1e6}, "beta = 1000000.0.*: `beta` must be below"),
        ({"data": {"x": XS}}, "`beta` nudges towards targets"),
        ({"data": {"x": XS[:, :2], "y": YS}}, r"`xs` must have shape \(samples, 3\)"),
        ({"data": {}}, "`data` of a network must have name, file or x"),
        (
            {"axes": {"device.saturaton": [1e-9]}},
            "the network's device has no 'saturaton'; did you mean 'saturation'",
        ),
        ({"elements": {"R1": {"siemens": 1.0}}}, "`elements` is of a netlist"),
    ],
)
def test_what_a_network_cannot_be_asked_is_refused(net, tmp_path, changes, message):
    declared = {
        "network": net,
        "cost": COST,
        "data": {"x": XS, "y": YS},
        "beta": BETA,
        "measure": ["gradient_cosine"],
    }
    if "beta" in changes:
        declared["axes"], changes = {"beta": [changes["beta"]]}, {}
    with pytest.raises(ValueError, match=message):
        run(None, tmp_path / "run", **{**declared, **changes})
    with pytest.raises(
        ValueError, match="must be a Netlist or a Resistive network, but is Hopfield"
    ):
        SweptNetwork.of(ep.models.Hopfield.init(jax.random.key(0), (2, 2)), {}, {})


def test_a_trained_network_is_the_demos(tmp_path, monkeypatch, simulator):
    """It is trained once, kept, and the same for every axis that it does not depend on.

    Training itself is the demo's test.
    """
    from circuits.learning.trained import SHOCKLEY, trained

    asked = []

    def fit(index, setting, data, seed, hidden, **shown):
        asked.append((index, setting, seed, hidden))
        return ep.Fit(network(sizes=(64, hidden, 10), seed=seed), {}, 0)

    monkeypatch.setattr("circuits.learning.trained.train_one", fit)
    declared = {
        "network": {"trained": "digits", "seed": 3},
        "data": {"name": "digits", "count": 5},
        "measure": ["voltages"],
        "axes": {"network.hidden": [4, 6], "device.saturation": [1e-9, 2e-9]},
        "simulator": simulator,
    }
    run(None, tmp_path / "run", **declared)
    outcome = run(
        None, tmp_path / "run", resume=True, **{**declared, "measure": ["voltages", "accuracy"]}
    )
    assert asked == [(1, SHOCKLEY, 3, 4), (1, SHOCKLEY, 3, 6)]
    with outcome.dataset() as data:
        assert data.sizes["node"] == 6 + 10
        few, many = (data.voltage.sel({"network.hidden": hidden}) for hidden in (4, 6))
        assert np.array_equal(
            few.isnull().any(("device.saturation", "chip", "phase", "sample")),
            [*[False] * 4, *[False] * 10, True, True],
        )
        assert not many.isnull().any()
        test = ep.data.digits().test
        assert data.label.values.tolist() == [
            int(test.y[k]) for k in np.sort(np.random.default_rng(0).permutation(360)[:5])
        ]
    with pytest.raises(ValueError, match="must be of 'digits'"):
        trained("letters", None, 0, tmp_path)
    with pytest.raises(SweepError, match=r"`data\.count` draws from a data set"):
        run(None, tmp_path / "other", **{**declared, "data": {"count": 5, "x": XS}})


@pytest.mark.parametrize(
    ("name", "points"), [("programming", 16), ("wires", 12), ("temperature", 15)]
)
def test_ready_sweeps_are_declared_right(name, points, tmp_path, monkeypatch, simulator):
    """Each is planned, and its first job simulated, with a network that has learned nothing."""
    monkeypatch.setattr(
        "circuits.learning.trained.train_one",
        lambda index, setting, data, seed, hidden, **shown: ep.Fit(untrained(hidden), {}, 0),
    )
    declaration = Declaration.read(
        ROOT / "sweeps" / f"{name}.toml",
        {"data": {"name": "digits", "count": 2}, "measure": ["voltages"]},
    )
    planner = Planner(declaration, False, tmp_path)
    assert planner.plan().points == points
    assert simulate(planner.point(next(declaration.points())), 0).failure == ""


def untrained(hidden):
    return network(
        device=circuits.DiodePair(saturation=1e-9, bias=0.1),
        sizes=(64, hidden, 10),
        gain=8.0,
        biases=0.0,
    )


@pytest.mark.skipif(not IN_FULL, reason="two workers that load JAX")
def test_workers_change_no_bit(file, tmp_path, simulator):
    """And they compute in double precision, though nobody tells them to."""
    for workers in (1, 2):
        sweep(file, out=tmp_path / str(workers), workers=workers)
    one, two = ((tmp_path / str(workers) / "results.nc").read_bytes() for workers in (1, 2))
    assert one == two
    with run(file, tmp_path / "here").dataset() as here, load(tmp_path / "1") as there:
        for name in ("voltage", "node_error", "gradient_cosine"):
            np.testing.assert_allclose(there[name].values, here[name].values, rtol=0, atol=1e-10)
