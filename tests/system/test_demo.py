"""The main job as the command line runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers.tiers import optimised

import circuits.commands.cli
import eqprop.cli
from circuits.commands.demo_report import LEAST, MOST, DemoError, require
from eqprop.accuracy import problems

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, simulator):
    out = tmp_path_factory.mktemp("demo") / "made" / "here"
    command = [sys.executable, "-m", "circuits", "demo", "--out", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=optimised(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_demo_finds_what_it_promises(demo, simulator):
    out, output = demo
    summary = json.loads((out / "summary.json").read_text())
    assert summary["digits_test_accuracy_ideal"] >= 0.97
    assert summary["digits_test_accuracy_shockley"] >= 0.97
    assert summary["fixed_point_error_volts"] <= 1e-9
    assert summary["reduction_error_volts"] <= 1e-9
    assert summary["transient_error_relative"] <= 1e-4
    assert summary["noise_error_relative"] <= 0.01
    assert summary["noise_error_relative_to_ktc"] <= 0.01
    assert summary["prediction_agreement"] == 1.0
    assert summary["gradient_cosine_spice_vs_model"] >= 0.999999
    assert summary["solver_disagreement_volts"] <= 1e-8
    assert [row["spread"] for row in summary["chips"]] == [0.0, 0.01, 0.03, 0.1]
    errors = [row["error_volts_mean_min_max"][0] for row in summary["chips"]]
    assert errors == sorted(errors)
    last = output.strip().splitlines()[-3:]
    assert last[0].startswith("Trained by equilibrium propagation")
    assert str(out) in last[2]


def test_the_demo_leaves_its_work_behind(demo, simulator):
    out, _ = demo
    names = {path.name for path in out.iterdir()}
    figures = {"training.png", "agreement.png", "spread.png", "transient.png"}
    assert names == figures | {
        "free.cir",
        "nudged_plus.cir",
        "nudged_minus.cir",
        "summary.json",
        "comparison.nc",
        "chips.nc",
        "transient.nc",
    }
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in figures)
    with xr.open_dataset(out / "comparison.nc") as data:
        assert dict(data.sizes) == {"phase": 3, "sample": 360, "node": 110}
        assert int(np.isfinite(data.circuit.sel(phase="free")).all("node").sum()) == 360
        assert int(np.isfinite(data.circuit.sel(phase="-beta")).all("node").sum()) == 32
    with xr.open_dataset(out / "chips.nc") as data:
        assert data.voltage.sizes["chip"] == 16
        assert set(data.status.values.ravel()) == {"ok"}
    run = subprocess.run(
        [simulator.command, "-b", "free.cir"], cwd=out, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert "v(out8)" in run.stdout


def test_a_number_beyond_its_bound_ends_the_demo(demo):
    """The control of the demo's own checks: each of its numbers, made wrong, is named."""
    numbers = json.loads((demo[0] / "summary.json").read_text())
    require(numbers)
    for name in (*LEAST, *MOST):
        for wrong in (np.nan, LEAST[name] * 0.99 if name in LEAST else MOST[name] * 1.01):
            with pytest.raises(DemoError, match=f"^{name} = "):
                require({**numbers, name: wrong})


def test_bad_input_is_one_line_and_no_file(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("mine")
    assert circuits.commands.cli.main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert "circuits: `out` must be a folder that can be written" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    monkeypatch.setenv("PATH", "")
    assert circuits.commands.cli.main(["demo", "--out", str(tmp_path / "new")]) == 1
    assert "install ngspice" in capsys.readouterr().err
    assert not list(tmp_path.glob("new/*"))


def test_eqprop_verify_prints_its_table_and_fails_where_a_row_does(capsys, monkeypatch):
    one = {"Hopfield, tanh": problems.problems()["Hopfield, tanh"]}
    monkeypatch.setattr(problems, "problems", lambda: one)
    make, order, suits = problems.ORDERS["one-sided"]
    for stated, status, verdict in (
        (order, 0, "pass"),
        (order + 1, 1, "FAIL"),
    ):  # the control: another order than it has
        monkeypatch.setattr(problems, "ORDERS", {"one-sided": (make, stated, suits)})
        assert eqprop.cli.main(["verify"]) == status
        heading, row = capsys.readouterr().out.splitlines()
        assert heading.split() == ["energy", "estimator", "order", "measured", "verdict"]
        assert row.startswith("Hopfield, tanh            one-sided")
        assert row.endswith(verdict)
