"""`sweep`, `estimate` and `merge`: a run from its declaration to its results."""

import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Set
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .cluster import cluster
from .declaration import Declaration, point_at
from .export import export, load, require_formats
from .jobs import simulate
from .plan import Plan
from .planning import Planner
from .progress import Display, duration, no_display
from .scheduler import Scheduler
from .store import PLAN, RunStore, StorageError
from .values import SweepError, printable
from .workers import Processes

if TYPE_CHECKING:
    import xarray as xr

_SHARD = re.compile(r"shard-([1-9]\d{0,8})-of-([1-9]\d{0,8})")


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep.

    **Arguments:**

    - `folder`: of the run.
    - `plan`: of the run.
    - `failed`: why jobs failed, by key.
    - `complete`: whether the results are there; they are not where a shard was done.
    - `kept`: the keys of the failures of an earlier run that this one did not try again.
    """

    folder: Path
    plan: Plan
    failed: Mapping[str, str]
    complete: bool = True
    kept: Set[str] = frozenset()

    def dataset(self) -> "xr.Dataset":
        """Return the results, as `load` does."""
        return load(self.folder)

    def lines(self) -> list[str]:
        """Return a few lines that say what failed, and where the results are."""
        lines = []
        for point, chip, key in self.plan.jobs() if self.failed else ():
            if key in self.failed:
                at = ", ".join(f"{axis} = {value}" for axis, value in self.plan.at(point).items())
                lines.append(
                    f"failed: {at + ', ' if at else ''}chip {chip}: {self.failed[key]}; "
                    f"see {self.folder}/failed/{key}.*"
                )
        if self.kept:
            lines.append(
                f"{len(self.kept)} of these failed in an earlier run and stay on record; "
                "--retry-failed tries them again"
            )
        if self.complete:
            lines.append(f"results are in {self.folder}")
        else:
            lines.append(
                f"this shard is done; when all are: circuits sweep merge {self.folder.parent}"
            )
        return [printable(line) for line in lines]


def sweep(
    file: str | Path | None = None,
    *,
    out: str | Path = "sweep",
    resume: bool = False,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    workers: int | None = None,
    dask: str | None = None,
    executor: Executor | None = None,
    trusted: bool = False,
    console: Console | None = None,
    progress: Display = no_display,
    **declared: Any,
) -> Outcome:
    """Run a sweep into a folder, or go on with one that was interrupted.

    What a circuit does raises nothing: jobs with points that failed twice are in the outcome and in
    the results.

    **Arguments:**

    - `file`: the declaration, a TOML file; `circuits.sweeps` describes its keys.
    - `out`: the folder of the run.
    - `resume`: whether `out` may hold a run already, of which all is kept that this one needs.
    - `retry_failed`: whether jobs that are on record there as failed are tried again, as after a
      night in which the machine was too busy for the time limit.
    - `shard`: which part of the jobs to do, as (3, 16), in a folder of its own within `out`;
      `merge` puts the parts together.
    - `workers`: the number of processes; as many as there are cores if not given.
    - `dask`: the address of a scheduler, or `local:4` for four processes of its own.
    - `executor`: anything with the interface of `concurrent.futures`, instead of these.
    - `trusted`: whether a factory may run, a deck include files, and the file name others outside
      its folder.
    - `console`: where the training of a network shows its progress; nowhere if not given.
    - `progress`: what shows the progress of the sweep.
    - `declared`: keys of a declaration, which count before those in the file. `network` may be a
      `Netlist` or a network of `eqprop`, `variation` and `simulator` objects.

    **Returns** what came of it.

    **Raises** `SweepError` for a declaration that cannot be, before anything runs; `StorageError`
    where `out` is in use, holds another run without `resume`, or cannot be written; and what the
    network, its training and its data raise.
    """
    declaration = _declaration(file, declared)
    _require_possible(out, declaration, shard, resume=resume, retry_failed=retry_failed)
    folder = _shard_folder(Path(out), shard)
    planner = Planner(declaration, trusted, Path(out) / "networks", console)
    plan = planner.plan()
    with ExitStack() as stack:
        store = stack.enter_context(RunStore.own(folder))
        store.write_plan(plan)
        used, width = stack.enter_context(_executor(executor, dask, workers or os.cpu_count() or 1))
        report = stack.enter_context(progress(plan))
        done = Scheduler(plan, planner, store, used, 2 * width, report, shard, retry_failed).run()
        if shard[1] == 1:
            export(plan, store)
    return Outcome(folder, plan, done.failed, shard[1] == 1, done.kept)


def _shard_folder(out: Path, shard: tuple[int, int]) -> Path:
    """Return the folder of a shard, which is `out` where there is but one."""
    return out if shard[1] == 1 else out / f"shard-{shard[0]}-of-{shard[1]}"


def _require_possible(
    out: str | Path,
    declaration: Declaration,
    shard: tuple[int, int],
    *,
    resume: bool,
    retry_failed: bool,
) -> None:
    """Raise `SweepError` or `StorageError` for what `sweep` cannot be asked."""
    require_formats(declaration.document["formats"])
    if not 1 <= shard[0] <= shard[1]:
        raise SweepError(f"`shard` must be i/n with 1 <= i <= n, but is {shard[0]}/{shard[1]}")
    folder = _shard_folder(Path(out), shard)
    if not resume and (folder / PLAN).exists():
        raise StorageError(
            f"{str(folder)!r} holds a run already; go on with it (`resume=True`, or --resume), "
            "or choose another folder"
        )
    if retry_failed and not resume:
        raise SweepError("`retry_failed` is of a run that goes on: `resume` must be True with it")


def merge(folder: str | Path) -> Outcome:
    """Put the shards of a run together; the results are those of an undivided run.

    **Arguments:**

    - `folder`: holds the folders of the shards, as `shard-1-of-4`.

    **Returns** what came of the run.

    **Raises** `StorageError` where there are no shards, where they are of different runs or not all
    done, naming those that are not; `SweepError` where a plan is none that a sweep wrote.
    """
    folder = Path(folder)
    with ExitStack() as stack:
        shards, plan = _open_shards(folder, stack)
        store = stack.enter_context(RunStore.own(folder))
        store.write_plan(plan)
        failed, missing = {}, set()
        for index, (point, _, key) in enumerate(plan.jobs()):
            number = index % len(shards)
            source = shards[number]
            record = source and source.read(key, plan.variables, plan.layout_of(point).sizes)
            if source is None or record is None:
                missing.add(_shard_folder(folder, (number + 1, len(shards))).name)
                continue
            if record.failure:
                failed[key] = record.failure
                store.copy_failure(key, source)
            store.copy(key, source)
        if missing:
            raise StorageError(
                f"these shards are not done: {', '.join(sorted(missing))}; "
                "go on with them (--resume)"
            )
        export(plan, store)
    return Outcome(folder, plan, failed)


def _open_shards(folder: Path, stack: ExitStack) -> tuple[list[RunStore | None], Plan]:
    """Return the store of each shard, `None` where it is missing, and the plan of their run."""
    try:
        parent = RunStore.open(folder)
    except StorageError:
        names = []
    else:
        stack.enter_context(parent)
        names = sorted(filter(_SHARD.fullmatch, parent.folder.names()))
    if not names:
        raise StorageError(
            f"{str(folder)!r} must hold the folders of shards, as shard-1-of-4, but holds none"
        )
    numbers = {name: tuple(map(int, name.split("-")[1::2])) for name in names}
    count = numbers[names[0]][1]
    plan: Plan | None = None
    shards: list[RunStore | None] = [None] * min(count, 1_000_000)
    for name, (number, of) in numbers.items():
        if of != count or number > len(shards):
            raise StorageError(
                f"shards must be of one run, but {name} is of another than {names[0]}"
            )
        try:
            store = RunStore(parent.folder.folder(name))
        except OSError as error:
            raise StorageError(
                f"{name} must be the folder of a shard, and no link: {error.strerror}"
            ) from error
        shards[number - 1] = stack.enter_context(store)
        other = store.read_plan()
        if plan is not None and other.fingerprints != plan.fingerprints:
            raise StorageError(
                f"shards must be of one run, but {name} is of another than {names[0]}"
            )
        plan = plan or other
    assert plan is not None  # noqa: S101 - there are names, for type checkers
    return shards, plan


@dataclass(frozen=True)
class Estimate:
    """What a sweep would take, from two jobs that were simulated and not kept.

    **Arguments:**

    - `plan`: of the sweep.
    - `first`: the seconds that the first job took, with what a worker takes to start.
    - `later`: the seconds that the last job took.
    - `size`: the bytes of a job's results.
    - `workers`: the number of processes.
    """

    plan: Plan
    first: float
    later: float
    size: int
    workers: int

    def lines(self) -> list[str]:
        """Return a few lines that say it."""
        plan, seconds = self.plan, self.first + self.later * self.plan.total / self.workers
        return [
            f"{plan.points} points, {plan.chips} chips at each: {plan.total} jobs, "
            f"{plan.operating_points} simulations",
            f"time: about {duration(seconds)} on {self.workers} workers "
            f"(first job {self.first:.2g} s, last {self.later:.2g} s)",
            f"disk: about {2 * plan.total * self.size / 1e6:.3g} MB",
        ]


def estimate(
    file: str | Path | None = None,
    *,
    workers: int | None = None,
    trusted: bool = False,
    **declared: Any,
) -> Estimate:
    """Simulate the first and the last job of a sweep, keep nothing, and say what all would take.

    **Arguments:**

    - `file`: the declaration, a TOML file.
    - `workers`: the number of processes; as many as there are cores if not given.
    - `trusted`: as of `sweep`.
    - `declared`: keys of a declaration, which count before those in the file.

    **Returns** the estimate.

    **Raises** `SweepError` for a declaration that cannot be, and what the network, its training and
    its data raise.
    """
    declaration = _declaration(file, declared)
    require_formats(declaration.document["formats"])
    width = workers or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, Processes(1) as executor:
        planner = Planner(declaration, trusted, Path(folder))
        plan = planner.plan()

        def timed(point: int, chip: int) -> tuple[float, int]:
            start = time.perf_counter()
            job = planner.point(point_at(plan.axes, point)), chip
            record = executor.submit(simulate, *job).result()
            size = 500 + sum(array.nbytes for array in record.arrays.values())
            return max(time.perf_counter() - start, 0.0), size

        first, _ = timed(0, 0)
        later, size = timed(plan.points - 1, plan.chips - 1)
    return Estimate(plan, first, later, size, width)


def _declaration(file: str | Path | None, given: Mapping[str, Any]) -> Declaration:
    """Return the declaration in a file, in arguments, or in both."""
    given = {key: value for key, value in given.items() if value is not None}
    return Declaration.of(given, Path()) if file is None else Declaration.read(file, given)


@contextmanager
def _executor(
    executor: Executor | None, dask: str | None, workers: int
) -> Iterator[tuple[Executor, int]]:
    """Yield what does the jobs, and how many at a time.

    Processes of its own are ended at once where something is raised.
    """
    if executor is not None:
        yield executor, workers
    elif dask is not None:
        with cluster(dask) as workers_of_dask:
            yield workers_of_dask
    else:
        processes = Processes(workers)
        try:
            yield processes, workers
        except BaseException:
            processes.shutdown(cancel_futures=True)
            raise
        processes.shutdown()
