"""How far a sweep is: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from .plan import Plan
from .scheduler import Report, Tally

Progress = Callable[[Plan], AbstractContextManager[Report]]
EVERY = 10.0
"""Seconds between two lines."""


@contextmanager
def quiet(plan: Plan) -> Iterator[Report]:
    """Says nothing."""
    del plan
    yield lambda tally: None


def spoken(console: Console) -> Progress:
    """Says it to a console: by a bar on a terminal, elsewhere by a line at the start, one in `EVERY` seconds, and one at the end."""
    return lambda plan: _bar(console) if console.is_terminal else _lines(console, plan)


@contextmanager
def _bar(console: Console) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[seen]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("sweep", total=None, seen="")
        yield lambda tally: bar.update(
            task, total=tally.total, completed=tally.done, seen=_seen(tally)
        )


@contextmanager
def _lines(console: Console, plan: Plan) -> Iterator[Report]:
    said, ended = time.monotonic(), False
    console.print(
        f"{len(plan.keys)} points, {plan.chips} chips at each, {plan.simulations} simulations",
        soft_wrap=True,
    )

    def report(tally: Tally) -> None:
        nonlocal said, ended
        if ended or (tally.done < tally.total and time.monotonic() - said < EVERY):
            return
        said, ended = time.monotonic(), tally.done == tally.total
        console.print(f"{tally.done} of {tally.total} chunks, {_seen(tally)}", soft_wrap=True)

    yield report


def _seen(tally: Tally) -> str:
    kept = f", {tally.reused} from before" if tally.reused else ""
    torn = f", {tally.redone} were not whole" if tally.redone else ""
    left = f", {duration(tally.left)} left" if 0 < tally.left < float("inf") else ""
    return f"{len(tally.failed)} failed{kept}{torn}, {tally.rate:.3g} a second{left}"


def duration(seconds: float) -> str:
    """A time in two units at most."""
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 1:
        return f"{seconds:.0f} s"
    return (
        f"{minutes:.0f} min {seconds % 60:.0f} s"
        if hours < 1
        else f"{int(hours)} h {minutes % 60:.0f} min"
    )
