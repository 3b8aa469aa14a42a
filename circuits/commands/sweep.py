"""The commands `circuits sweep` and `circuits report`."""

import argparse
import os
import re
import sys
from pathlib import Path

from rich.console import Console

from ..sweeps.execution import Outcome, estimate, merge, sweep
from ..sweeps.progress import console_display
from ..sweeps.reports.page import write_report
from ..sweeps.summary import summarize
from ..sweeps.values import SweepError

FAILED = 3
"""The exit status of a sweep that came to its end with points that failed."""
INTERRUPTED = 130
"""The exit status of a command that was interrupted, as shells have it."""


def run_command(options: argparse.Namespace) -> int:
    """Carry out `circuits sweep` or `circuits report`.

    **Arguments:**

    - `options`: of the command line; `command` says which of the two.

    **Returns** the exit status: 0, `FAILED` or `INTERRUPTED`.

    **Raises** what `sweep` and `report` raise.
    """
    try:
        return _report(options.run) if options.command == "report" else _sweep(options)
    except KeyboardInterrupt:
        goes_on = options.command == "sweep" and options.file != "merge" and not options.dry_run
        sys.stderr.write(f"circuits: interrupted{'; --resume goes on' if goes_on else ''}\n")
        return INTERRUPTED


def _report(folder: str) -> int:
    """Write the report of a run, and say where it is and what is missing."""
    summary = summarize(folder)
    path = write_report(summary)
    if summary.missing:
        sys.stdout.write(
            f"{summary.missing} of {summary.total} jobs are missing, go on with them (--resume)\n"
        )
    sys.stdout.write(f"the report is in {path}\n")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    """Run a sweep, estimate it, or merge its shards."""
    if (options.file == "merge") != (options.run is not None):
        raise SweepError(
            "a sweep is of one file; `merge` is followed by the folder that holds the shards"
        )
    if options.file == "merge":
        return _conclude(merge(options.run))

    # a network trains and compares in double precision
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    shared = {"workers": options.workers, "trusted": options.trusted}
    if options.dry_run:
        sys.stdout.write("\n".join([*estimate(options.file, **shared).lines(), ""]))
        return 0
    console = Console()
    return _conclude(
        sweep(
            options.file,
            out=options.out or Path(options.file).stem,
            resume=options.resume or options.retry_failed,
            retry_failed=options.retry_failed,
            shard=_shard(options.shard),
            dask=options.dask,
            console=console,
            progress=console_display(console),
            **shared,
        )
    )


def _shard(text: str | None) -> tuple[int, int]:
    """Return the part of a sweep that `i/n` names. Raises `SweepError`."""
    numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text or "1/1")
    if not numbers:
        raise SweepError(f"`--shard` must be as 3/16, but is {text!r}")
    return int(numbers[1]), int(numbers[2])


def _conclude(outcome: Outcome) -> int:
    """Say what came of a sweep, and return the exit status."""
    sys.stdout.write("\n".join([*outcome.lines(), ""]))
    return FAILED if outcome.failed else 0
