"""Sweeps of netlists: what is declared, kept, found again, put together, and refused."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.sweep_problems import (
    DECK,
    DECLARED,
    DIVIDER,
    SWEEP,
    Hasty,
    Linear,
    jobs,
    problem,
    record,
    results,
    run,
)
from threadpoolctl import threadpool_info

import circuits
import circuits.commands.cli
import circuits.sweeps.export as results_module
from circuits.sweeps import StorageError, SweepError, estimate, load, merge, sweep
from circuits.sweeps.declaration import Declaration
from circuits.sweeps.jobs import failed_record
from circuits.sweeps.store import RunStore
from circuits.sweeps.summary import summarize
from circuits.sweeps.workers import ONE_THREAD, Processes


@pytest.fixture
def file(tmp_path):
    return problem(tmp_path)


def test_a_changed_declaration_finds_what_it_leaves_alone(tmp_path):
    run(tmp_path)
    before = jobs(tmp_path)
    assert len(before) == 6
    run(tmp_path, resume=True, axes={"elements.Rtop.siemens": [2e-3, 4e-3, 8e-3]}, chips=3)
    after = jobs(tmp_path)
    assert len(after) == 6 + 3 + 2
    assert {name: after[name] for name in before} == before
    run(tmp_path / "apart", axes={"elements.Rtop.siemens": [2e-3, 4e-3, 8e-3]}, chips=3)
    assert results(tmp_path) == results(tmp_path / "apart")
    changes = (
        {"seed": 1},
        {"data": {"drives": {"Vin": [0.5, 1.5]}}},
        {"simulator": Linear(tolerance=1e-8)},
        {"measure": ["node_errors"]},
    )
    for k, change in enumerate(changes):
        run(tmp_path / f"{k}", **change)
        assert jobs(tmp_path / f"{k}").keys().isdisjoint(before)


def test_shards_are_merged_to_the_whole(tmp_path):
    run(tmp_path / "whole")
    for part in (1, 3):
        assert not run(tmp_path / "parts", shard=(part, 3)).complete
    with pytest.raises(StorageError, match=r"these shards are not done: shard-2-of-3"):
        merge(tmp_path / "parts")
    run(tmp_path / "parts", shard=(2, 3))
    assert not (tmp_path / "parts/results.nc").exists()
    merge(tmp_path / "parts")
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    with pytest.raises(SweepError, match=r"`shard` must be i/n with 1 <= i <= n, but is 0/3"):
        run(tmp_path / "parts", shard=(0, 3))


def test_the_second_of_two_runs_is_refused(tmp_path):
    with (
        RunStore.own(tmp_path),
        pytest.raises(StorageError, match=rf"is in use by another run: process {os.getpid()} on "),
    ):
        run(tmp_path)
    run(tmp_path)
    with pytest.raises(StorageError, match="holds a run already"):
        run(tmp_path)


def test_a_corrupt_job_is_noticed_and_redone(tmp_path):
    run(tmp_path)
    whole, one = results(tmp_path), sorted((tmp_path / "jobs").iterdir())[0]
    content = one.read_bytes()
    value = np.float64(record(tmp_path, one.stem).arrays["voltage"].ravel()[0]).tobytes()
    at = content.index(value)
    for wrong in (
        content[: len(content) // 2],
        b"",
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        content.replace(b":", b";", 1),
    ):
        one.write_bytes(wrong)
        assert record(tmp_path, one.stem) is None
        (tmp_path / "results.nc").unlink()
        run(tmp_path, resume=True)
        assert results(tmp_path) == whole
        assert record(tmp_path, one.stem) is not None


def test_points_that_fail_are_recorded_and_the_others_are_done(file, tmp_path, simulator, capsys):
    file.write_text(
        SWEEP.replace("chips = 10", "chips = 1").partition("[axes]")[0]
        + "[axes]\nsimulator.timeout = [60.0, 1e-6]\n"
    )
    assert (
        circuits.commands.cli.main(
            ["sweep", str(file), "--out", str(tmp_path / "run"), "--workers", "1"]
        )
        == 3
    )
    output = capsys.readouterr().out
    assert "2 of 2 jobs, 1 failed" in output
    assert (
        "failed: simulator.timeout = 1e-06, chip 0: SimulationError: ngspice did not end "
        "within the time limit of 1e-06 s" in output
    )
    with load(tmp_path / "run") as data:
        assert data.status.values[:, 0, 0].tolist() == [["ok"] * 3, ["failed"] * 3]
        assert data.attempts.values.ravel().tolist() == [1, 2]
        assert np.isnan(data.voltage.values[1]).all()
    deck, log = sorted((tmp_path / "run/failed").iterdir())
    assert (
        subprocess.run(
            [simulator.command, "-b", str(deck)], capture_output=True, check=False
        ).returncode
        == 0
    )
    assert "time limit of 1e-06 s" in log.read_text()
    assert (
        circuits.commands.cli.main(["sweep", str(file), "--out", str(tmp_path / "run"), "--resume"])
        == 3
    )  # it stays on record


def test_what_failed_stays_on_record_until_it_is_to_be_tried_again(tmp_path):
    outcome = run(tmp_path)
    before, key = results(tmp_path), outcome.plan.key(1, 0)
    with RunStore.own(tmp_path) as kept:
        kept.write(
            key,
            failed_record(
                outcome.plan.variables, outcome.plan.layouts[0].sizes, "the machine was busy"
            ),
        )
    outcome = run(tmp_path, resume=True)
    assert outcome.failed == {key: "the machine was busy"}
    assert (
        outcome.lines()[1]
        == "1 of these failed in an earlier run and stay on record; --retry-failed tries them again"
    )
    assert results(tmp_path) != before
    assert len(list((tmp_path / "failed").iterdir())) == 2
    outcome = run(tmp_path, resume=True, retry_failed=True)
    assert not outcome.failed
    assert outcome.lines() == [f"results are in {tmp_path}"]
    assert results(tmp_path) == before
    assert list((tmp_path / "failed").iterdir()) == []


def test_cycles_draw_anew_what_is_read_anew(tmp_path):
    noise, apart = circuits.ReadNoise(0.1), circuits.DeviceToDevice(0.1)
    outcome = run(tmp_path / "read", variation=apart + noise, axes={"cycle": [0, 1, 2]})
    with outcome.dataset() as data:
        chip = (apart + noise).chip(DIVIDER, seed=0, number=1, cycle=2)
        expected = (
            Linear().operating_points(chip, {"Vin": np.array([0.5, 1.0])}).voltage.sel(node="out")
        )
        np.testing.assert_array_equal(
            data.voltage.sel(cycle=2, chip=1, node="out").values[0], expected
        )
        assert len(set(data.voltage.values[:, 1, 0, 1, 0])) == 3
    run(tmp_path / "kept", variation=apart, axes={"cycle": [0, 1, 2]})
    assert len(jobs(tmp_path / "kept")) == 2  # a chip is the same in every cycle


def test_points_without_a_certificate_have_failed(tmp_path):
    declared = {"axes": {}, "chips": 1, "outputs": ["out"], "measure": ["voltages", "decisions"]}
    outcome = run(tmp_path / "run", simulator=Linear(error=1e-6), **declared)
    assert list(outcome.failed.values()) == ["2 of 2 points uncertified"]
    with outcome.dataset() as data:
        assert set(data.status.values.ravel()) == {"uncertified"}
        assert np.isfinite(data.voltage.values).all()  # what was found is there,
        assert set(data.decision.values.ravel()) == {-1}  # and decides nothing
    outcome = run(tmp_path / "again", simulator=Linear(error=1e-6, mended=True), **declared)
    assert not outcome.failed
    with outcome.dataset() as data:
        assert data.attempts.values.tolist() == [2]
        assert set(data.status.values.ravel()) == {"ok"}
        assert set(data.decision.values.ravel()) == {0}


@pytest.mark.parametrize(("enough", "attempts"), [((1.0, 7), 1), ((2.0, 70), 2), ((2.0, 7), 0)])
def test_a_second_attempt_has_twice_the_time_and_ten_times_the_iterations(
    tmp_path, enough, attempts
):
    """What the first has is enough, what the second has, and what neither has."""
    declared = {"axes": {}, "chips": 1, "simulator": Hasty(enough=enough)}
    outcome = run(tmp_path, **declared)
    assert bool(outcome.failed) == (attempts == 0)
    with outcome.dataset() as data:
        assert data.attempts.values.tolist() == [attempts or 2]
        assert set(data.status.values.ravel()) == {"ok" if attempts else "uncertified"}


def test_a_summary_says_the_units_of_its_numbers(tmp_path):
    run(tmp_path, outputs=["out"])
    data = summarize(tmp_path).data
    assert data["voltage of out"].units.endswith("V")
    assert "mean over the samples" in data["voltage of out"].long_name
    assert data["time"].units.endswith("s")
    assert data["points"].units == "1"


LOWEST = {
    "chips": 1,
    "seed": 0,
    "cycle": 0,
    "network": {"trained": "digits", "hidden": 1, "seed": 0},
    "data": {"name": "digits", "count": 1, "seed": 0},
    "simulator": {"name": "nodal", "iterations": 1},
}


def test_the_lowest_numbers_are_declared_and_none_below_them(tmp_path):
    assert Declaration.of(LOWEST, tmp_path).document["data"] == LOWEST["data"]
    for key, value in LOWEST.items():
        parts = value if isinstance(value, dict) else {"": value}
        for name in (name for name, number in parts.items() if isinstance(number, int)):
            below = parts[name] - 1
            wrong = {**LOWEST, key: {**parts, name: below} if name else below}
            with pytest.raises(SweepError, match=f"of at least {below + 1}|from 1 to"):
                Declaration.of(wrong, tmp_path)


SET = (*ONE_THREAD, "XLA_FLAGS")


def test_a_worker_computes_with_one_thread():
    """Whatever is set elsewhere: a sweep has a worker for each core."""
    with Processes(1) as executor:
        environment = {name: executor.submit(os.getenv, name).result() for name in SET}
        executor.submit(np.linalg.inv, np.eye(2)).result()
        pools = executor.submit(threadpool_info).result()
    assert {environment[name] for name in ONE_THREAD} == {"1"}
    assert "--xla_cpu_multi_thread_eigen=false" in environment["XLA_FLAGS"].split()
    assert pools
    assert {pool["num_threads"] for pool in pools} == {1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("chips", r"a sweep has no 'chpis'; did you mean 'chips'\?"),
        ("programming", r"has no 'programing'; did you mean 'programming'\?"),
        (
            "saturation.spread",
            r"the variation 'saturation' has no 'spraed'; did you mean 'spread'\?",
        ),
        ("node_errors", r"`measure` has no 'node_error'; did you mean 'node_errors'\?"),
        ("models.d.saturation", r"'d' has no 'satturation'; did you mean 'saturation'\?"),
        ("drives", r"the table `data` has no 'drive'; did you mean 'drives'\?"),
        ("deck =", r"the table `network` has no 'dekc'; did you mean 'deck'\?"),
    ],
)
def test_what_is_misspelt_is_named_with_the_nearest(file, tmp_path, capsys, wrong, message):
    spelt = {
        "chips": "chpis",
        "programming": "programing",
        "saturation.spread": "saturation.spraed",
        "node_errors": "node_error",
        "models.d.saturation": "models.d.satturation",
        "drives": "drive",
        "deck =": "dekc =",
    }
    file.write_text(SWEEP.replace(wrong, spelt[wrong]))
    with pytest.raises(SweepError, match=message):
        sweep(file, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chips": 0}, "`chips` must be a whole number of at least 1, but is 0"),
        ({"variation": None}, "`chips` must be 1 where no `variation` makes them differ, but is 2"),
        ({"axes": {"seed": []}}, "the axis 'seed' must be a list of values"),
        ({"axes": {"seed": [1, 1]}}, "the axis 'seed' must hold each value once"),
        ({"axes": {"seed": [1, "a"]}}, "the axis 'seed' must hold values of one kind"),
        ({"measure": ["accuracy"]}, r"the measures \['accuracy'\] need samples with classes"),
        ({"measure": ["noise"]}, r"the measures \['noise'\] need outputs"),
        (
            {
                "measure": ["noise"],
                "outputs": ["out"],
                "network": circuits.parse(DECK),
                "axes": {},
                "data": {},
            },
            r"the measures \['noise'\] need a capacitance at every output, which out lack",
        ),
        ({"cycle": -1}, "`cycle` must be a whole number of at least 0, but is -1"),
        ({"retry_failed": True}, "`retry_failed` is of a run that goes on"),
        ({"beta": 1.0}, "`beta` nudges the outputs of a network"),
        ({"data": {"drives": {"V9": [1.0]}}}, "V9"),
        (
            {"outputs": ["oout"]},
            "`outputs` must name nodes of the netlist, but 'oout' is none; did you mean 'out'",
        ),
        (
            {"network": {"deck": "a", "factory": "b:c"}},
            "`network` must name one of deck, factory, checkpoint, trained, "
            "but names deck, factory",
        ),
        ({"axes": {"programming.spread": [-1.0]}}, "`spread` must be finite and at least 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_factory_runs_only_where_it_is_trusted(tmp_path, capsys):
    (tmp_path / "makes_a_divider.py").write_text(
        "from pathlib import Path\nimport circuits\nPath(__file__).with_name('ran').touch()\n"
        "def make(ohms):\n    return circuits.parse("
        "f'Divider\\nV1 in 0 1\\nR1 in out {ohms}\\nR2 out 0 1k')\n"
    )
    file = tmp_path / "sweep.toml"
    file.write_text(
        '[network]\nfactory = "makes_a_divider:make"\n'
        "[axes]\nnetwork.arguments.ohms = [1000, 3000]\n"
    )
    arguments = ["sweep", str(file), "--out", str(tmp_path / "run"), "--workers", "1"]
    assert circuits.commands.cli.main(arguments) == 1
    assert "say that the sweep is trusted (--trusted)" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert "makes_a_divider" not in sys.modules
    assert circuits.commands.cli.main([*arguments, "--trusted"]) == 0
    assert (tmp_path / "ran").exists()
    with load(tmp_path / "run") as data:
        np.testing.assert_allclose(data.voltage.values.ravel(), [0.5, 0.25], atol=1e-12)


def test_an_estimate_keeps_nothing(file, tmp_path, simulator, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert circuits.commands.cli.main(["sweep", str(file), "--dry-run", "--workers", "3"]) == 0
    counted, seconds, size = capsys.readouterr().out.splitlines()
    assert counted == "4 points, 10 chips at each: 40 jobs, 120 simulations"
    assert seconds.startswith("time: about ")
    assert "on 3 workers" in seconds
    assert size.endswith(" MB")
    assert {path.name for path in tmp_path.iterdir()} == {"deck.cir", "sweep.toml"}
    assert estimate(**{**DECLARED, "simulator": Linear()}).size > 16


def test_points_of_different_shapes_share_a_dataset(tmp_path):
    (tmp_path / "a.cir").write_text("One node\nV1 in 0 1\nR1 in a 1k\nR2 a 0 1k\n")
    (tmp_path / "b.cir").write_text("Two nodes\nV1 in 0 1\nR1 in a 1k\nR2 a b 1k\nR3 b 0 2k\n")
    (tmp_path / "sweep.toml").write_text(
        '[network]\ndeck = ""\n[axes]\nnetwork.deck = ["a.cir", "b.cir"]\n'
    )
    with sweep(
        tmp_path / "sweep.toml", out=tmp_path / "run", simulator=Linear(), workers=1
    ).dataset() as data:
        np.testing.assert_allclose(
            data.voltage.sel({"network.deck": "b.cir"}).values.ravel(), [0.75, 0.5], atol=1e-12
        )
        np.testing.assert_allclose(
            data.voltage.sel({"network.deck": "a.cir"}).values.ravel(), [0.5, np.nan], atol=1e-12
        )


def test_noise_and_decisions_of_a_netlist(tmp_path):
    deck = circuits.parse(
        "Two\nV1 in 0 1\nR1 in a 1k\nR2 a 0 1k\nC1 a 0 1p\n"
        "R3 in b 1k\nR4 b 0 2k\nC2 b 0 2p\nR5 in 0 1\n"
    )
    data = {"drives": {"V1": [1.0, -1.0], "label": [1, 1]}}
    outcome = run(
        tmp_path / "run",
        network=deck,
        outputs=["a", "b"],
        data=data,
        axes={},
        variation=None,
        chips=1,
        measure=["decisions", "accuracy", "noise"],
    )
    with outcome.dataset() as dataset:
        assert dataset.decision.values.ravel().tolist() == [1, 0]
        assert dataset.accuracy.item() == 0.5
        kt = circuits.units.BOLTZMANN * circuits.units.ROOM
        np.testing.assert_allclose(
            dataset.noise.values[0], [[np.sqrt(kt / 1e-12), np.sqrt(kt / 2e-12)]] * 2, rtol=1e-9
        )
        assert dataset.label.values.tolist() == [1, 1]


def test_temperature_and_converters(tmp_path, simulator):
    """Inputs become the nearest of the converter's values, and what is read too.

    The voltages themselves are left as they are.
    """
    declared = {
        "network": circuits.parse(DECK),
        "data": {"drives": {"V1": [0.3, 0.9]}},
        "variation": circuits.Converter(dac_bits=2, adc_bits=1, volts=0.9, of="V*"),
        "axes": {"temperature": [300.15, 350.0]},
        "chips": 1,
        "measure": ["voltages", "node_errors"],
        "simulator": simulator,
    }
    with run(tmp_path / "run", **declared).dataset() as data:
        for kelvin in (300.15, 350.0):
            netlist = replace(circuits.parse(DECK), temperature=kelvin)
            expected = simulator.operating_points(
                netlist, {"V1": np.array([0.3, 0.9])}
            ).voltage.values
            point = data.sel(temperature=kelvin, chip=0)
            np.testing.assert_allclose(point.voltage.values[0], expected, rtol=0, atol=1e-12)
            np.testing.assert_allclose(
                point.largest_error.values, np.abs(0.9 - expected)[:, 0], rtol=0, atol=1e-12
            )
    declared["data"] = {"drives": {"V1": [0.2, 0.99]}}  # the same after conversion
    declared["measure"] = ["voltages"]
    with run(tmp_path / "other", **declared).dataset() as data:
        np.testing.assert_allclose(data.voltage.values[1, 0, 0], expected, rtol=0, atol=1e-12)


def test_a_format_whose_package_is_missing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results_module.importlib.util, "find_spec", lambda name: None)
    for name, package in (("zarr", "zarr"), ("parquet", "pyarrow")):
        with pytest.raises(
            SweepError, match=f"the format '{name}' needs {package}: pip install {package}"
        ):
            run(tmp_path / "run", formats=[name])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "package"), [("zarr", "zarr"), ("parquet", "pyarrow")])
def test_other_formats_hold_the_same(tmp_path, name, package):
    pytest.importorskip(package)
    for resume in (False, True):  # what stands there already is replaced
        outcome = run(tmp_path / "run", formats=[name], resume=resume)
    with outcome.dataset() as data:
        if name == "zarr":
            with xr.open_zarr(tmp_path / "run/results.zarr") as other:
                assert other.load().equals(data.load())
        else:
            table = pd.read_parquet(tmp_path / "run/chips.parquet")
            assert table.equals(pd.read_csv(tmp_path / "run/chips.csv").astype(table.dtypes))
