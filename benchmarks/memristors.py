"""Hysteresis of every memristor model, ngspice's `.tran` over the ODE of `Nodal`.

The drives are those of the papers; printed is how far the two loops are apart, in units of their
peaks. Run by `python -m benchmarks.memristors`.
"""

import argparse
import time
from typing import Any

from matplotlib.figure import Figure

import circuits
from circuits.memristors import (
    VTEAM,
    Biolek,
    IonDrift,
    Joglekar,
    StanfordRRAM,
    Yakopcic,
    hysteresis,
    separation,
)
from circuits.plotting import hysteresis as draw

from .report import save, table

LOOPS = {
    "linear ion drift, Strukov 2008": (IonDrift(), circuits.Sin(0, 1, 0.5), 0.1, 2.0, 4e-3),
    "window of Joglekar 2009": (
        IonDrift(window=Joglekar(1)),
        circuits.Sin(0, 1, 0.5),
        0.2,
        2.0,
        4e-3,
    ),
    "window of Biolek 2009": (
        IonDrift(window=Biolek(10)),
        circuits.Sin(0, 1.2, 1.0),
        5000 / 15900,
        2.0,
        4e-3,
    ),
    "VTEAM, Kvatinsky 2015": (VTEAM(), circuits.Sin(0, 1, 50e6), 0.5, 40e-9, 1e-10),
    "Yakopcic 2011": (Yakopcic(), circuits.Sin(0, 0.5, 100), 0.11, 20e-3, 4e-5),
    "Stanford RRAM, Guan 2012": (
        StanfordRRAM(),
        circuits.Pwl((0.0, 0.25e-3, 0.75e-3, 1e-3), (0.0, 2.1, -2.1, 0.0)),
        0.0,
        1e-3,
        2e-6,
    ),
}
"""Model, drive, state at time 0, end in s and step in s, by name."""


def main() -> None:
    """Simulate every loop twice and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memristors", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--figure", metavar="FILE", help="draw the loops into FILE, a PNG or SVG")
    arguments = parser.parse_args()
    page = Figure(figsize=(12, 7), layout="constrained")
    rows, figures = [], {}
    for (name, (model, drive, state, stop, step)), ax in zip(
        LOOPS.items(), page.subplots(2, 3).flat, strict=True
    ):
        loops: list[Any] = []
        seconds = []
        for simulator in (circuits.Nodal(), circuits.Ngspice()):
            start = time.perf_counter()
            loops.append(hysteresis(simulator, model, drive, state=state, stop=stop, step=step / 5))
            seconds.append(time.perf_counter() - start)
        line, dots = loops
        apart = separation(line, dots)  # ngspice's steps are fine where a state switches
        draw(line, dots, ax).set_title(f"{name}: {apart:.0e} apart", fontsize="medium")
        figures[name] = {
            "apart": apart,
            "seconds": dict(zip(("ODE", "ngspice"), seconds, strict=True)),
        }
        rows.append(
            [
                name,
                f"{100 * apart:.3f}",
                f"{float(abs(line.current).max()):.3g}",
                *(f"{s:.1f}" for s in seconds),
            ]
        )
    table(
        "Loops of ngspice over those of the ODE",
        ["model", "apart, % of the peaks", "peak, A", "ODE, s", "ngspice, s"],
        rows,
    )
    save(arguments.json, figures)
    if arguments.figure:
        page.savefig(arguments.figure, dpi=120)


if __name__ == "__main__":
    main()
