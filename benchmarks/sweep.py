"""How many operating points a batch sweep simulates in a second, by one worker and by two. `python -m benchmarks.sweep`.

Timed from when every worker has answered twice: what it takes to start them does not grow with a sweep, and does not count. Beside it
the same points one by one, as a user of PySpice finds them: a circuit for each chip, and `.op` for each sample.
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
from circuits.sweeps.scheduler import Report, Tally

from .circuits import by_pyspice, chosen, timed
from .report import save, table

if TYPE_CHECKING:
    import xarray as xr

SAMPLES = 100
ONE_BY_ONE = 5
"""Samples of the first chip that PySpice is asked for."""


def problem(chips: int) -> dict[str, Any]:
    """The circuit of a 64-100-10 network with diode pairs, as a netlist, on so many chips."""
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
    """Operating points a second, and the voltages (samples, nodes) of the first chip."""
    seen: list[tuple[float, int]] = []

    @contextmanager
    def clock(plan: Plan) -> Iterator[Report]:
        del plan

        def report(tally: Tally) -> None:
            if tally.done >= 2 * workers:
                seen.append((time.perf_counter(), tally.done))

        yield report

    with tempfile.TemporaryDirectory() as folder:
        outcome = circuits.sweep(
            out=Path(folder) / "run", workers=workers, progress=clock, **declared
        )
        with outcome.dataset() as data:
            voltage = data.voltage.isel(chip=0, phase=0).load()
    (first, before), (last, after) = (
        seen[0],
        seen[-2],
    )  # the last of them tells the end, not a chunk
    return SAMPLES * (after - before) / (last - first), voltage


def one_by_one(declared: dict[str, Any], found: "xr.DataArray") -> tuple[float, float]:
    """Operating points a second of a plain loop of PySpice's `.op`, and the largest difference in V to what the sweep `found`."""
    netlist = declared["variation"].chip(declared["network"], seed=0, number=0)
    seconds, theirs = timed(
        lambda: by_pyspice(netlist, chosen(declared["data"]["drives"], ONE_BY_ONE))
    )
    ours = found.sel(node=list(circuits.Equations.of(netlist).free))[:ONE_BY_ONE]
    return ONE_BY_ONE / seconds, float(np.max(np.abs(theirs - ours.values)))


def main() -> None:
    """Runs both and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--chips",
        type=int,
        default=60,
        help="chunks of 100 operating points (default: %(default)s)",
    )
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    declared = problem(arguments.chips)
    (one, found), (two, _) = (rate(declared, workers) for workers in (1, 2))
    ways = {"1 worker": one, "2 workers": two}
    off = float("nan")
    try:
        circuits.NgspiceShared().version()
    except circuits.SimulationError as error:
        print(f"PySpice is not compared with: {error}", flush=True)
    else:
        ways["PySpice, .op repeated"], off = one_by_one(declared, found)
    slowest = min(ways.values())
    rows = [[name, f"{points:.3g}", f"{points / slowest:.3g}"] for name, points in ways.items()]
    title = f"64-100-10 with diode pairs, {arguments.chips} chips of {SAMPLES} samples, ngspice; the same points to {off:.0e} V"
    table(title, ["", "points a second", "times as fast"], rows)
    save(
        arguments.json, {"sweep": {"operating points a second": ways, "largest difference, V": off}}
    )


if __name__ == "__main__":
    main()
