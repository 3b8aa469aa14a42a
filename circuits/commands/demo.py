"""The main job, end to end: train, integrate, emit, simulate, compare, vary; it leaves a folder."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

import eqprop as ep
from eqprop.files import output_folder, write_text

from ..simulators import Ngspice
from ..simulators.datasets import save
from .demo_chips import noise, transient, vary
from .demo_report import Demo, require
from .demo_steps import against_ngspice, check_reduction, emit_decks, settle_three_ways, train


def run(
    out: str | Path = "demo",
    *,
    seed: int = 0,
    console: Console | None = None,
    simulator: Ngspice | None = None,
) -> dict[str, Any]:
    """Run the main job into a folder, and return the numbers of its `summary.json`.

    **Arguments:**

    - `out`: the folder, which is made where there is none.
    - `seed`: of the data's split, of training, and of the chips.
    - `console`: where it prints. `simulator`: `Ngspice()` if not given.

    **Raises** `ValueError` where `out` cannot be written, `RuntimeError` where JAX's x64 mode is
    off, `DemoError` where a number is not what it must be, and what training and ngspice raise.
    """
    start = time.perf_counter()
    ep.require_float64("the demo")
    demo = Demo(
        output_folder(out), ep.data.digits(seed), seed, console or Console(), simulator or Ngspice()
    )
    (demo.out / "summary.json").unlink(missing_ok=True)  # what is there must be of this run
    demo.numbers["ngspice"] = demo.simulator.version()

    net = train(demo)
    settle_three_ways(demo, net)
    emit_decks(demo, net)
    check_reduction(demo, net)
    comparison = against_ngspice(demo, net)
    chips = vary(demo, net)
    noise(demo, net)
    transient(demo, net)

    save(comparison, demo.out / "comparison.nc")
    save(chips, demo.out / "chips.nc")
    demo.numbers["demo_seconds"] = time.perf_counter() - start
    summary = json.dumps(demo.numbers, indent=2, allow_nan=False)
    write_text(demo.out / "summary.json", summary + "\n")
    require(demo.numbers)
    demo.conclude()
    return demo.numbers
