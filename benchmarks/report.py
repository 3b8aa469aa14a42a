"""What the benchmarks share: timing in turns, tables, and the file of figures."""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def in_turns(runs: dict[str, Callable[[], Any]], rounds: int = 7) -> dict[str, float]:
    """Return the shortest time of each run, all of which are compiled beforehand.

    They take turns, so that what slows the machine slows all of them.

    **Arguments:**

    - `runs`: what is timed, by name.
    - `rounds`: how often each is run.

    **Returns** the times in s, by name.
    """
    for run in runs.values():
        jax.block_until_ready(run())
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table.

    **Arguments:**

    - `title`: stands above it.
    - `columns`: their names.
    - `rows`: a text for each column.
    """
    widths = [max(len(row[k]) for row in [columns, *rows]) for k in range(len(columns))]
    print(f"\n{title}", flush=True)
    for first, *rest in [columns, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]), flush=True)


def save(path: str | None, figures: dict[str, Any]) -> None:
    """Write figures, and what they were measured on, as JSON.

    **Arguments:**

    - `path`: of the file; none is written if `None`.
    - `figures`: by name.
    """
    if path:
        machine = {"cores": os.cpu_count(), "processor": platform.machine(), "jax": jax.__version__}
        Path(path).write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
