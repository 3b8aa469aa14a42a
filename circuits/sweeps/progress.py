"""The progress of a sweep, and how it is shown: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from .plan import Plan

EVERY = 10.0
"""Seconds between two lines."""


@dataclass
class Progress:
    """How far a run has come.

    **Arguments:**

    - `total`: the number of jobs.
    - `done`: how many of them are done.
    - `reused`: how many of these were done by an earlier run.
    - `redone`: how many files of an earlier run were not whole.
    - `failed`: why jobs failed, by key.
    - `kept`: the keys of those among them that failed in an earlier run and were not tried again.
    - `started`: when the run began, in seconds of `time.monotonic`.
    """

    total: int
    done: int = 0
    reused: int = 0
    redone: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Jobs a second, of those that were simulated."""
        return (self.done - self.reused) / max(time.monotonic() - self.started, 1e-9)

    @property
    def left(self) -> float:
        """Seconds that are left at this rate."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")


Report = Callable[[Progress], None]
"""Is called with the progress after every job."""
Display = Callable[[Plan], AbstractContextManager[Report]]
"""Shows the progress of a plan's run, as a context that gives what is called after every job."""


@contextmanager
def no_display(plan: Plan) -> Iterator[Report]:
    """Show nothing.

    **Arguments:**

    - `plan`: of the run.
    """
    del plan
    yield lambda progress: None


def console_display(console: Console) -> Display:
    """Return what shows progress on a console.

    It is a bar on a terminal; elsewhere a line at the start, one in `EVERY` seconds, and one at the
    end.

    **Arguments:**

    - `console`: the console.
    """
    return lambda plan: _bar(console) if console.is_terminal else _lines(console, plan)


@contextmanager
def _bar(console: Console) -> Iterator[Report]:
    """Show progress as a bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[details]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("sweep", total=None, details="")
        yield lambda progress: bar.update(
            task, total=progress.total, completed=progress.done, details=_details(progress)
        )


@contextmanager
def _lines(console: Console, plan: Plan) -> Iterator[Report]:
    """Show progress as lines."""
    printed, ended = time.monotonic(), False
    console.print(
        f"{plan.points} points, {plan.chips} chips at each, {plan.operating_points} simulations",
        soft_wrap=True,
    )

    def report(progress: Progress) -> None:
        nonlocal printed, ended
        complete = progress.done == progress.total
        if ended or not (complete or time.monotonic() - printed >= EVERY):
            return
        printed, ended = time.monotonic(), complete
        console.print(
            f"{progress.done} of {progress.total} jobs, {_details(progress)}", soft_wrap=True
        )

    yield report


def _details(progress: Progress) -> str:
    """Return what failed and was reused, the rate, and the time that is left."""
    reused = f", {progress.reused} from before" if progress.reused else ""
    redone = f", {progress.redone} were not whole" if progress.redone else ""
    left = f", {duration(progress.left)} left" if 0 < progress.left < float("inf") else ""
    return f"{len(progress.failed)} failed{reused}{redone}, {progress.rate:.3g} a second{left}"


def duration(seconds: float) -> str:
    """Return a time in two units at most, as `2 h 5 min`.

    **Arguments:**

    - `seconds`: the time in s.
    """
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes:.0f} min {seconds % 60:.0f} s"
    return f"{int(hours)} h {minutes % 60:.0f} min"
