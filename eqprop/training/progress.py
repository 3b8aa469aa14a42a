"""Progress bars that take no time from the training they show."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[float, str], None]
"""Called with the epochs done and a line about the last of them."""

_PERIOD = 0.2
"""The least time between two drawings of the bars, in seconds."""


class Display:
    """A progress bar for each name; a context manager.

    The bars are drawn by whoever reports, at most five times a second: there is no thread for them.

    **Arguments:**

    - `console`: where the bars go; to standard error if `None`, where that is a terminal.
    - `names`: the labels of the bars.
    - `epochs`: the length of each.
    """

    def __init__(self, console: Console | None, names: Sequence[str], epochs: int):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[epoch]}/{task.total} epochs  {task.fields[line]}"),
            TimeElapsedColumn(),
        )
        silent = console is None and not sys.stderr.isatty()
        self._progress = Progress(
            *columns, console=console or Console(stderr=True), disable=silent, auto_refresh=False
        )
        self._bars = {
            name: self._progress.add_task(name, total=epochs, epoch=0, line="") for name in names
        }
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *unused) -> None:
        self._progress.stop()

    def reporter(self, name: str) -> Report:
        """Return what moves the bar `name`; threads may call theirs at any time.

        **Arguments:**

        - `name`: one of the labels.
        """

        def report(epochs: float, line: str) -> None:
            self._progress.update(self._bars[name], completed=epochs, epoch=int(epochs), line=line)
            if time.perf_counter() - self._drawn > _PERIOD:
                self._drawn = time.perf_counter()
                self._progress.refresh()

        return report
