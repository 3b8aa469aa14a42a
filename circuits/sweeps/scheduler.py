"""Runs the chunks of a plan that are not done, with any executor."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field

from .declaration import Scalar
from .jobs import Case, nothing, perform
from .plan import Cases, Plan
from .store import Journal, path_of, read

DEATHS = 3
"""A chunk with which so many workers died is given up."""


@dataclass
class Tally:
    """How far a run has come. `failed` names, by key, what failed and why, `kept` of these what failed before and was not tried again.

    `redone` counts files that were not whole.
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
        """Chunks a second, of those that were simulated."""
        return (self.done - self.reused) / max(time.monotonic() - self.started, 1e-9)

    @property
    def left(self) -> float:
        """Seconds that are left at this rate."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")


Report = Callable[[Tally], None]


@dataclass(eq=False)
class _Task:
    case: Case
    chip: int
    key: str
    deaths: int = 0


def run(
    plan: Plan,
    cases: Cases,
    journal: Journal,
    executor: Executor,
    width: int,
    report: Report,
    shard: tuple[int, int],
    *,
    retry_failed: bool,
) -> Tally:
    """Simulates every chunk of the shard that the journal does not have, `width` at a time, and keeps each when it is done.

    With `retry_failed` also those that the journal has as failed.

    A chunk whose worker died goes to another; one with which `DEATHS` died counts as failed and is not kept, so that it is tried again
    when the run goes on. Raises `StorageError` where a result cannot be kept, and `BrokenExecutor` where the executor is at its end.
    """
    chunks = [
        chunk for index, chunk in enumerate(plan.chunks()) if index % shard[1] == shard[0] - 1
    ]
    tally = Tally(len(chunks))
    waiting: dict[Future, _Task] = {}

    def submit(task: _Task) -> None:
        waiting[executor.submit(perform, task.case, task.chip)] = task

    def collect() -> None:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            task = waiting.pop(future)
            try:
                record = future.result()
            except BrokenExecutor:
                raise
            except Exception as error:  # whatever an executor says of a worker that is gone
                task.deaths += 1
                if task.deaths < DEATHS:
                    submit(task)
                    continue
                record = nothing(
                    task.case.variables, task.case.sizes, f"{DEATHS} workers were lost: {error}"
                )
            else:
                journal.write(task.key, record)
            if record.failure:
                tally.failed[task.key] = record.failure
            tally.done += 1
            report(tally)

    for task in _pending(plan, cases, journal, chunks, tally, retry_failed):
        while len(waiting) >= width:
            collect()
        submit(task)
    while waiting:
        collect()
    report(tally)
    return tally


def _pending(
    plan: Plan,
    cases: Cases,
    journal: Journal,
    chunks: list[tuple[int, int, str]],
    tally: Tally,
    retry_failed: bool,
) -> Iterator[_Task]:
    """The chunks that the journal does not have whole, or has as failed where asked; what it has is counted as it is passed."""
    points: list[tuple[Scalar, ...]] = list(cases.declaration.points())
    begun: set[str] = set()
    for point, chip, key in chunks:
        record = read(journal.folder, key)
        if key not in begun and (record is None or (record.failure and retry_failed)):
            tally.redone += record is None and path_of(journal.folder, key).exists()
            begun.add(key)
            yield _Task(cases.case(points[point]), chip, key)
            continue
        if key not in begun and record is not None and record.failure:
            tally.failed[key] = record.failure
            tally.kept.add(key)
        tally.done += 1
        tally.reused += 1
