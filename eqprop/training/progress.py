"""Progress bars that take no time from the training they show."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[float, str], None]  # epochs done, and what was seen in the last of them


class Display:
    """A bar for each name, drawn by whoever reports and at most five times a second: it has no thread of its own.

    **Arguments:** `console`: where the bars go; to standard error if `None`, where that is a terminal. `names`: their labels. `epochs`:
    the length of each.
    """

    def __init__(self, console: Console | None, names: Sequence[str], epochs: int):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[epoch]}/{task.total} epochs  {task.fields[seen]}"),
            TimeElapsedColumn(),
        )
        silent = console is None and not sys.stderr.isatty()
        self._progress = Progress(
            *columns, console=console or Console(stderr=True), disable=silent, auto_refresh=False
        )
        self._bars = {
            name: self._progress.add_task(name, total=epochs, epoch=0, seen="") for name in names
        }
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *unused) -> None:
        self._progress.stop()

    def reporter(self, name: str) -> Report:
        """What moves the bar `name`; threads may call theirs at any time."""

        def report(epochs: float, seen: str) -> None:
            self._progress.update(self._bars[name], completed=epochs, epoch=int(epochs), seen=seen)
            if time.perf_counter() - self._drawn > 0.2:
                self._drawn = time.perf_counter()
                self._progress.refresh()

        return report
