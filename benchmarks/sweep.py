"""How many operating points a batch sweep simulates in a second, by one worker and by two. `python -m benchmarks.sweep`.

Timed from when every worker has answered twice: what it takes to start them does not grow with a sweep, and does not count.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

import circuits
import eqprop as ep
from circuits.sweeps.plan import Plan
from circuits.sweeps.running import Report, Tally

from .report import save, table

SAMPLES = 32


def problem(chips: int) -> dict[str, Any]:
    """The circuit of a 64-100-10 network with diode pairs, as a netlist, on so many chips."""
    net = ep.Resistive.init(jax.random.key(0), (64, 100, 10), device=circuits.DiodePair(1e-9, 0.1), unit=1e-5, input_gain=8.0)
    xs = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 64))
    return {
        "network": circuits.emit(net),
        "data": {"drives": circuits.drives(net, xs)},
        "variation": circuits.Programming(0.05),
        "chips": chips,
        "measure": ["voltages"],
    }


def rate(declared: dict[str, Any], workers: int) -> float:
    """Operating points a second."""
    seen: list[tuple[float, int]] = []

    @contextmanager
    def clock(plan: Plan) -> Iterator[Report]:
        del plan

        def report(tally: Tally) -> None:
            if tally.done >= 2 * workers:
                seen.append((time.perf_counter(), tally.done))

        yield report

    with tempfile.TemporaryDirectory() as folder:
        circuits.sweep(out=Path(folder) / "run", workers=workers, progress=clock, **declared)
    (first, before), (last, after) = seen[0], seen[-2]  # the last of them tells the end, not a chunk
    return SAMPLES * (after - before) / (last - first)


def main() -> None:
    """Runs both and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--chips", type=int, default=100, help="chunks of 32 operating points (default: %(default)s)")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    declared = problem(arguments.chips)
    rates = {workers: rate(declared, workers) for workers in (1, 2)}
    rows = [[f"{workers}", f"{one:.0f}", f"{one / rates[1]:.2f}"] for workers, one in rates.items()]
    table(f"64-100-10 with diode pairs, {arguments.chips} chips, ngspice", ["workers", "points a second", "times"], rows)
    save(arguments.json, {"sweep": {"operating points a second": {f"{workers}": one for workers, one in rates.items()}}})


if __name__ == "__main__":
    main()
