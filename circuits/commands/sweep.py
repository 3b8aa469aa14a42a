"""The commands `circuits sweep` and `circuits report`."""

import argparse
import os
import re
import sys
from pathlib import Path

from rich.console import Console

from ..sweeps.declaration import SweepError
from ..sweeps.execution import Outcome, estimate, merge, sweep
from ..sweeps.progress import spoken
from ..sweeps.reports.page import write_report
from ..sweeps.summary import gather

FAILED = 3
"""The exit status of a sweep that came to its end with points that failed."""


def run_command(options: argparse.Namespace) -> int:
    """Does what the arguments say. Returns 0, or `FAILED`. Raises as `sweep` and `report`."""
    return _report(options.run) if options.command == "report" else _sweep(options)


def _report(folder: str) -> int:
    found = gather(folder)
    path = write_report(found)
    missing = (
        f"{found.missing} of {found.total} chunks are missing, go on with them (--resume)\n"
        if found.missing
        else ""
    )
    sys.stdout.write(f"{missing}the report is in {path}\n")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    if (options.file == "merge") != (options.run is not None):
        raise SweepError(
            "a sweep is of one file; `merge` is followed by the folder that holds the shards"
        )
    if options.file == "merge":
        return _conclude(merge(options.run))
    os.environ.setdefault(
        "JAX_ENABLE_X64", "1"
    )  # a network trains and compares in double precision
    shared = {"workers": options.workers, "trusted": options.trusted}
    if options.dry_run:
        sys.stdout.write("\n".join([*estimate(options.file, **shared).told(), ""]))
        return 0
    console = Console()
    try:
        return _conclude(
            sweep(
                options.file,
                out=options.out or Path(options.file).stem,
                resume=options.resume or options.retry_failed,
                retry_failed=options.retry_failed,
                shard=_shard(options.shard),
                dask=options.dask,
                console=console,
                progress=spoken(console),
                **shared,
            )
        )
    except KeyboardInterrupt:
        sys.stderr.write("circuits: interrupted; --resume goes on\n")
        return 130


def _shard(text: str | None) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text or "1/1")
    if not found:
        raise SweepError(f"`--shard` must be as 3/16, but is {text!r}")
    return int(found[1]), int(found[2])


def _conclude(outcome: Outcome) -> int:
    sys.stdout.write("\n".join([*outcome.told(), ""]))
    return FAILED if outcome.failed else 0
