"""`sweep` and `merge`: a run from its declaration to its results."""

import itertools
import os
import shutil
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
from .declaration import Declaration, Scalar, SweepError
from .export import export, load, require_formats
from .jobs import perform
from .plan import Cases, Plan
from .progress import Progress, duration, quiet
from .scheduler import run
from .store import Journal, StorageError, path_of, put, read, read_plan
from .workers import Processes

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep: its `folder`, its `plan`, why chunks failed by their keys, and whether the results are complete.

    `kept`: those of the failures that an earlier run recorded, and that this one did not try again.
    """

    folder: Path
    plan: Plan
    failed: Mapping[str, str]
    complete: bool = True
    kept: Set[str] = frozenset()

    def dataset(self) -> "xr.Dataset":
        """The results, as `load` gives them."""
        return load(self.folder)

    def told(self) -> list[str]:
        """In a few lines: what failed, and where the results are."""
        points = list(itertools.product(*self.plan.axes.values()))
        lines = []
        for point, chip, key in self.plan.chunks():
            if key in self.failed:
                at = ", ".join(
                    f"{axis} = {value}"
                    for axis, value in zip(self.plan.axes, points[point], strict=True)
                )
                lines.append(
                    f"failed: {at + ', ' if at else ''}chip {chip}: {self.failed[key]}; see {self.folder}/failed/{key}.*"
                )
        if self.kept:
            lines.append(
                f"{len(self.kept)} of these failed in an earlier run and stay on record; --retry-failed tries them again"
            )
        if not self.complete:
            return [
                *lines,
                f"this shard is done; when all are: circuits sweep merge {self.folder.parent}",
            ]
        return [*lines, f"results are in {self.folder}"]


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
    progress: Progress = quiet,
    **declared: Any,
) -> Outcome:
    """Runs a sweep into the folder `out`, or goes on with one that was interrupted.

    `circuits.sweeps` describes what is declared, in `file`, by keyword arguments of the same names, or in both, where the arguments
    count. As arguments `network` may be a `Netlist` or a network of `eqprop`, `variation` and `simulator` objects.

    **Arguments:** `resume`: whether `out` may hold a run already, of which all is kept that this one needs; `retry_failed`: whether
    what is on record there as failed is tried again, as after a night in which the machine was too busy for the time limit. `shard`:
    which part of the chunks to do, as (3, 16), in a folder of its own within `out`; `merge` puts the parts together. `workers`:
    processes, as many as there are cores if not given. `dask`: the address of a scheduler, or `local:4` for four processes of its own.
    `executor`: anything with the interface of `concurrent.futures`, instead of these. `trusted`: whether a factory may run, and a deck
    include files. `console`: where the training of a network shows how far it is; `progress`: what shows how far the sweep is.

    **Raises** `SweepError` for a declaration that cannot be, before anything runs; `StorageError` where `out` is in use, holds another
    run without `resume`, or cannot be written; and what the network, its training and its data raise. What a circuit does raises
    nothing: points that failed twice are in the outcome and in the results.
    """
    declaration = _declared(file, declared)
    require_formats(declaration.document["formats"])
    if not 1 <= shard[0] <= shard[1]:
        raise SweepError(f"`shard` must be i/n with 1 <= i <= n, but is {shard[0]}/{shard[1]}")
    folder = Path(out) if shard[1] == 1 else Path(out) / f"shard-{shard[0]}-of-{shard[1]}"
    if not resume and (folder / "plan.json").exists():
        raise StorageError(
            f"{str(folder)!r} holds a run already; go on with it (`resume=True`, or --resume), or choose another folder"
        )
    if retry_failed and not resume:
        raise SweepError("`retry_failed` is of a run that goes on: `resume` must be True with it")
    cases = Cases(declaration, trusted, Path(out) / "networks", console)
    plan = cases.plan()
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(folder))
        journal.keep_plan(plan)
        used, width = stack.enter_context(_executor(executor, dask, workers or os.cpu_count() or 1))
        report = stack.enter_context(progress(plan))
        tally = run(plan, cases, journal, used, 2 * width, report, shard, retry_failed=retry_failed)
        if shard[1] == 1:
            export(plan, folder)
    return Outcome(folder, plan, tally.failed, shard[1] == 1, tally.kept)


def merge(folder: str | Path) -> Outcome:
    """Puts the shards in `folder` together to the run that they are parts of; the results are those of an undivided run.

    Raises `StorageError` where there are no shards, where they are of different runs or not all done, naming those that are not.
    """
    folder = Path(folder)
    shards = sorted(folder.glob("shard-*-of-*"), key=lambda path: int(path.name.split("-")[1]))
    if not shards:
        raise StorageError(
            f"{str(folder)!r} must hold the folders of shards, as shard-1-of-4, but holds none"
        )
    plans = {path: read_plan(path) for path in shards}
    plan = plans[shards[0]]
    for path, other in plans.items():
        if other.keys != plan.keys:
            raise StorageError(
                f"shards must be of one run, but {path.name} is of another than {shards[0].name}"
            )
    count = int(shards[0].name.split("-")[-1])
    failed, missing = {}, set()
    with Journal(folder) as journal:
        journal.keep_plan(plan)
        for index, (_, _, key) in enumerate(plan.chunks()):
            own = folder / f"shard-{index % count + 1}-of-{count}"
            record = read(own, key)
            if record is None:
                missing.add(own.name)
                continue
            if record.failure:
                failed[key] = record.failure
                for kept in (own / "failed").glob(f"{key}.*"):
                    put(
                        folder / "failed" / kept.name,
                        lambda fresh, kept=kept: shutil.copyfile(kept, fresh),
                    )
            put(
                path_of(folder, key),
                lambda fresh, own=own, key=key: shutil.copyfile(path_of(own, key), fresh),
            )
        if missing:
            raise StorageError(
                f"these shards are not done: {', '.join(sorted(missing))}; go on with them (--resume)"
            )
        export(plan, folder)
    return Outcome(folder, plan, failed)


@dataclass(frozen=True)
class Estimate:
    """What a sweep would be: its plan, and from two chunks that were simulated and not kept, seconds and bytes."""

    plan: Plan
    first: float
    later: float
    size: int
    workers: int

    def told(self) -> list[str]:
        """In a few lines."""
        chunks = sum(len(keys) for keys in self.plan.keys)
        seconds = self.first + self.later * chunks / self.workers
        return [
            f"{len(self.plan.keys)} points, {self.plan.chips} chips at each: {chunks} chunks, {self.plan.simulations} simulations",
            f"time: about {duration(seconds)} on {self.workers} workers (first chunk {self.first:.2g} s, last {self.later:.2g} s)",
            f"disk: about {2 * chunks * self.size / 1e6:.3g} MB",
        ]


def estimate(
    file: str | Path | None = None,
    *,
    workers: int | None = None,
    trusted: bool = False,
    **declared: Any,
) -> Estimate:
    """Simulates the first and the last chunk of a sweep, keeps nothing, and says what the whole would take. Raises as `sweep`."""
    declaration = _declared(file, declared)
    require_formats(declaration.document["formats"])
    width = workers or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, Processes(1) as executor:
        cases = Cases(declaration, trusted, Path(folder))
        plan, points = cases.plan(), list(declaration.points())

        def timed(values: tuple[Scalar, ...], chip: int) -> tuple[float, int]:
            start = time.perf_counter()
            record = executor.submit(perform, cases.case(values), chip).result()
            return time.perf_counter() - start, 500 + sum(
                array.nbytes for array in record.arrays.values()
            )

        first, _ = timed(points[0], 0)
        later, size = timed(points[-1], plan.chips - 1)
    return Estimate(plan, first, later, size, width)


def _declared(file: str | Path | None, given: Mapping[str, Any]) -> Declaration:
    given = {key: value for key, value in given.items() if value is not None}
    return Declaration.of(given, Path()) if file is None else Declaration.read(file, given)


@contextmanager
def _executor(
    executor: Executor | None, dask: str | None, workers: int
) -> Iterator[tuple[Executor, int]]:
    """What runs the chunks, and how many at a time. Processes of its own are ended at once where something is raised."""
    if executor is not None:
        yield executor, workers
    elif dask is not None:
        with cluster(dask) as found:
            yield found
    else:
        own = Processes(workers)
        try:
            yield own, workers
        except BaseException:
            own.shutdown(cancel_futures=True)
            raise
        own.shutdown()
