"""How many operating points a batch sweep simulates in a second, by one worker and by two.

`python -m benchmarks.sweep`. Timed from when every worker has answered twice: what it takes to
start them does not grow with a sweep, and does not count. Beside it the same points one by one, as
a user of PySpice has them: a circuit for each chip, and `.op` for each sample.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import circuits
import eqprop as ep
from circuits.sweeps.plan import Plan
from circuits.sweeps.progress import Progress, Report

from .circuits import by_pyspice, chosen, timed
from .report import save, table

if TYPE_CHECKING:
    import xarray as xr

SAMPLES = 100
ONE_BY_ONE = 5
"""How many samples of the first chip PySpice is asked for."""


def problem(chips: int) -> dict[str, Any]:
    """Return the declaration of a 64-100-10 network with diode pairs, as a netlist.

    **Arguments:**

    - `chips`: how many chips it has.
    """
    net = ep.Resistive.init(
        jax.random.key(0),
        (64, 100, 10),
        device=circuits.DiodePair(1e-9, 0.1),
        unit=1e-5,
        input_gain=8.0,
    )
    xs = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 64))
    return {
        "network": circuits.emit(net),
        "data": {"drives": circuits.drives(net, xs)},
        "variation": circuits.Programming(0.05),
        "chips": chips,
        "measure": ["voltages"],
    }


def rate(declared: dict[str, Any], workers: int) -> tuple[float, "xr.DataArray"]:
    """Run a sweep.

    **Arguments:**

    - `declared`: its declaration.
    - `workers`: the number of processes.

    **Returns** operating points a second, and the voltages (samples, nodes) in V of the first chip.
    """
    moments: list[tuple[float, int]] = []

    @contextmanager
    def clock(plan: Plan) -> Iterator[Report]:
        del plan

        def report(progress: Progress) -> None:
            if progress.done >= 2 * workers:
                moments.append((time.perf_counter(), progress.done))

        yield report

    with tempfile.TemporaryDirectory() as folder:
        outcome = circuits.sweep(
            out=Path(folder) / "run", workers=workers, progress=clock, **declared
        )
        with outcome.dataset() as data:
            voltage = data.voltage.isel(chip=0, phase=0).load()
    # the last report is of the end, not of a job
    (first, before), (last, after) = moments[0], moments[-2]
    return SAMPLES * (after - before) / (last - first), voltage


def one_by_one(declared: dict[str, Any], voltage: "xr.DataArray") -> tuple[float, float]:
    """Simulate the first chip in a plain loop of PySpice's `.op`.

    **Arguments:**

    - `declared`: the declaration of the sweep.
    - `voltage`: of the first chip (samples, nodes) in V, as the sweep has it.

    **Returns** operating points a second, and the largest difference in V to `voltage`.
    """
    netlist = declared["variation"].chip(declared["network"], seed=0, number=0)
    drives = chosen(declared["data"]["drives"], ONE_BY_ONE)
    seconds, theirs = timed(lambda: by_pyspice(netlist, drives))
    ours = voltage.sel(node=list(circuits.Equations.of(netlist).free))[:ONE_BY_ONE]
    return ONE_BY_ONE / seconds, float(np.max(np.abs(theirs - ours.values)))


def main() -> None:
    """Run both, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--chips",
        type=int,
        default=60,
        help="jobs of 100 operating points (default: %(default)s)",
    )
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    declared = problem(arguments.chips)
    (one, voltage), (two, _) = (rate(declared, workers) for workers in (1, 2))
    rates = {"1 worker": one, "2 workers": two}
    difference = float("nan")
    try:
        circuits.NgspiceShared().version()
    except circuits.SimulationError as error:
        print(f"PySpice is not compared with: {error}", flush=True)
    else:
        rates["PySpice, .op repeated"], difference = one_by_one(declared, voltage)
    slowest = min(rates.values())
    rows = [[name, f"{points:.3g}", f"{points / slowest:.3g}"] for name, points in rates.items()]
    title = (
        f"64-100-10 with diode pairs, {arguments.chips} chips of {SAMPLES} samples, ngspice; "
        f"the same points to {difference:.0e} V"
    )
    table(title, ["", "points a second", "times as fast"], rows)
    figures = {"operating points a second": rates, "largest difference, V": difference}
    save(arguments.json, {"sweep": figures})


if __name__ == "__main__":
    main()
