"""Runs the jobs of a plan that are not done, with any executor."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field

from .declaration import point_at
from .jobs import failed_record, simulate
from .plan import Plan
from .planning import Planner
from .points import Point
from .progress import Progress, Report
from .store import RunStore

LOST_WORKERS = 3
"""A job with which so many workers were lost is given up."""


@dataclass(eq=False)
class _Job:
    """A job that is to be done, and how many workers were lost with it."""

    point: Point
    chip: int
    key: str
    lost: int = 0


@dataclass(eq=False)
class Scheduler:
    """Runs the jobs of a plan, or a part of them.

    **Arguments:**

    - `plan`: of the run.
    - `planner`: makes the points.
    - `store`: keeps the records.
    - `executor`: does the jobs.
    - `width`: how many jobs are with the executor at a time.
    - `report`: is called after every job.
    - `shard`: which part of the jobs to do, as (3, 16).
    - `retry_failed`: whether jobs that are on record as failed are done again.
    """

    plan: Plan
    planner: Planner
    store: RunStore
    executor: Executor
    width: int
    report: Report
    shard: tuple[int, int]
    retry_failed: bool
    _waiting: dict[Future, _Job] = field(default_factory=dict, repr=False)

    def run(self) -> Progress:
        """Do every job of the shard that the store does not have, and keep each when it is done.

        A job whose worker was lost goes to another; one with which `LOST_WORKERS` were lost counts
        as failed and is not kept, so that it is tried again when the run is resumed.

        **Returns** the progress at the end.

        **Raises** `StorageError` where a record cannot be kept, and `BrokenExecutor` where the
        executor is at its end.
        """
        total = len(range(self.shard[0] - 1, self.plan.total, self.shard[1]))
        progress = Progress(total)
        for job in self._pending(progress):
            while len(self._waiting) >= self.width:
                self._collect(progress)
            self._submit(job)
        while self._waiting:
            self._collect(progress)
        self.report(progress)
        return progress

    def _submit(self, job: _Job) -> None:
        self._waiting[self.executor.submit(simulate, job.point, job.chip)] = job

    def _collect(self, progress: Progress) -> None:
        """Wait until a job is done, and keep the records of all that are."""
        done, _ = wait(self._waiting, return_when=FIRST_COMPLETED)
        for future in done:
            job = self._waiting.pop(future)
            try:
                record = future.result()
            except BrokenExecutor:
                raise
            except Exception as error:  # whatever an executor says of a worker that is gone
                job.lost += 1
                if job.lost < LOST_WORKERS:
                    self._submit(job)
                    continue
                reason = f"{LOST_WORKERS} workers were lost: {error}"
                record = failed_record(job.point.variables, job.point.sizes, reason)
            else:
                self.store.write(job.key, record)
            if record.failure:
                progress.failed[job.key] = record.failure
            progress.done += 1
            self.report(progress)

    def _pending(self, progress: Progress) -> Iterator[_Job]:
        """Yield the jobs that are to be done; what the store has is counted as it is passed."""
        counts = Counter(self.plan.fingerprints)
        begun: set[str] = set()  # the jobs of points that do not differ have the same keys
        for point, chip, key in self.plan.jobs(self.shard):
            if key in begun:
                progress.done += 1
                progress.reused += 1
                continue
            layout = self.plan.layout_of(point)
            record = self.store.read(key, self.plan.variables, layout.sizes)
            if counts[self.plan.fingerprints[point]] > 1:
                begun.add(key)
            if record is None or (record.failure and self.retry_failed):
                progress.redone += record is None and self.store.has(key)
                yield _Job(self.planner.point(point_at(self.plan.axes, point)), chip, key)
                continue
            if record.failure:
                progress.failed[key] = record.failure
                progress.kept.add(key)
            progress.done += 1
            progress.reused += 1
