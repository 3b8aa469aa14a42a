"""Several seeds of one training, on the cores of the machine."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import optax
from jaxtyping import Float, PRNGKeyArray
from rich.console import Console

from ..costs import Cost
from ..data import Data
from ..energies import Energy
from ..estimators import Estimator
from . import loop
from .loop import Fit, on_device, train
from .progress import Display, Report
from .runs import Run
from .steps import Devices, calls_lapack


@dataclass(frozen=True)
class Fits:
    """The trained networks of several `seeds`: one `Fit` each, in their order."""

    seeds: tuple[int, ...]
    fits: tuple[Fit, ...]

    def mean(self, name: str) -> Float[np.ndarray, " epochs"]:
        """Return the mean over the seeds of a history; its last item is the last epoch's.

        **Arguments:**

        - `name`: of the history, e.g. `test_accuracy`.

        **Raises** `ValueError` for a name that the histories do not have.
        """
        return np.mean(self._all(name), 0)

    def std(self, name: str) -> Float[np.ndarray, " epochs"]:
        """Return the standard deviation over the seeds, √(Σ (x − mean)² / (seeds − 1)).

        **Arguments:**

        - `name`: of the history, e.g. `test_accuracy`.

        **Returns** one number an epoch; NaN where there is only one seed.

        **Raises** `ValueError` for a name that the histories do not have.
        """
        values = self._all(name)
        return np.std(values, 0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)

    def _all(self, name: str) -> Float[np.ndarray, "seeds epochs"]:
        """Return a history of all seeds."""
        if name not in self.fits[0].history:
            raise ValueError(f"`name` must be one of {list(self.fits[0].history)}, but is {name!r}")
        return np.stack([fit.history[name] for fit in self.fits])


class _StoppedError(Exception):
    """Another seed has failed."""


def fit_seeds(
    init: Callable[[PRNGKeyArray], Energy],
    cost: Cost,
    data: Data,
    estimator: Estimator,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    rates: Mapping[str, float] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int,
    batch: int = 4,
    decay: float = 1.0,
    unsettled: Literal["raise", "skip"] = "raise",
    console: Console | None = None,
    name: str = "training",
    checkpoint: Path | str | None = None,
    every: float = 60.0,
    devices: Devices | None = None,
) -> Fits:
    """Train a network `init(key)` for each seed, as many at a time as there are cores.

    A small batch keeps one core busy. Seed s does what this does alone, number for number:

        init_key, key = jax.random.split(jax.random.key(s))
        fit(init(init_key), cost, data, estimator, key=key, ...)

    The compiled steps are shared. Seeds train one after another on `devices`, and where a step
    calls LAPACK (`Newton`, `GradientFlow` with an implicit solver, `Implicit`): jaxlib can hang
    where two threads do.

    **Arguments:**

    - `init`: makes the network of a seed from a key.
    - `seeds`: one or more, all different.
    - `name`: the label of the progress bars, before the seed.
    - `checkpoint`: a folder, with a file `seed-s.npz` for each seed.
    - `cost`, `data`, `estimator`, `rates`, `optimizer`, `epochs`, `batch`, `decay`, `unsettled`,
      `console`, `every`, `devices`: as for `fit`.

    **Returns** the trained network of each seed, in their order.

    **Raises** what `fit` raises, the message led by the seed, after the other seeds have been
    stopped; and `ValueError` for seeds that are none or not all different.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be at least one, and all different, but are {tuple(seeds)}")
    shared = {
        "cost": cost,
        "data": on_device(data),
        "estimator": estimator,
        "rates": rates,
        "optimizer": optimizer,
        "epochs": epochs,
        "batch": batch,
        "decay": decay,
        "unsettled": unsettled,
        "chunk": loop.CHUNK,
    }
    runs = {}
    for seed in seeds:
        init_key, key = jax.random.split(jax.random.key(seed))
        runs[seed] = Run(net=init(init_key), key=key, **shared)

    threads = min(_cores(), len(seeds))
    if threads > 1 and (devices is not None or calls_lapack(runs[seeds[0]])):
        threads = 1
    labels = {seed: f"{name}, seed {seed}" for seed in seeds}
    with Display(console, list(labels.values()), epochs) as display:
        reports = {seed: display.reporter(label) for seed, label in labels.items()}
        fits = _train_all(runs, reports, threads, checkpoint, every, devices)
    return Fits(tuple(seeds), fits)


def _train_all(
    runs: Mapping[int, Run],
    reports: Mapping[int, Report],
    threads: int,
    checkpoint: Path | str | None,
    every: float,
    devices: Devices | None,
) -> tuple[Fit, ...]:
    """Return the results of `runs`, at most `threads` of which train at the same time."""
    failed, turns = threading.Event(), _Turns(threads)
    # What this thread has set, perhaps by a context manager, holds in the others too.
    wide, device = jax.enable_x64.value, jax.default_device.value

    def one(seed: int) -> Fit:
        def report_or_stop(epochs: float, line: str) -> None:
            if failed.is_set():
                raise _StoppedError
            reports[seed](epochs, line)
            turns.offer(seed, epochs)

        file = None if checkpoint is None else Path(checkpoint) / f"seed-{seed}.npz"
        with jax.enable_x64(wide), jax.default_device(device), turns.taken_by(seed):
            return train(runs[seed], report_or_stop, checkpoint=file, every=every, devices=devices)

    with ThreadPoolExecutor(len(runs)) as pool:
        futures = {pool.submit(one, seed): seed for seed in runs}
        try:
            for future in as_completed(futures):
                _result(future, futures[future])
        finally:
            failed.set()  # to no effect where all have finished
            pool.shutdown(cancel_futures=True)
    return tuple(future.result() for future in futures)


class _Turns:
    """Which of several threads run: the least advanced of those that wait, so that all end at once.

    **Arguments:**

    - `most`: how many run at a time.
    """

    def __init__(self, most: int):
        self._free, self._waiting, self._changed = most, {}, threading.Condition()

    @contextlib.contextmanager
    def taken_by(self, seed: int) -> Iterator[None]:
        """Hold a turn, but while `offer` gives it away."""
        self._take(seed, 0.0)
        try:
            yield
        finally:
            self._leave()

    def offer(self, seed: int, advanced: float) -> None:
        """Give the turn to a less advanced thread that waits, if one does; wait for the next."""
        self._leave()
        self._take(seed, advanced)

    def _take(self, seed: int, advanced: float) -> None:
        """Wait until a turn is free and no thread that waits is less advanced; take it."""
        with self._changed:
            self._waiting[seed] = advanced
            self._changed.wait_for(lambda: self._free and advanced <= min(self._waiting.values()))
            del self._waiting[seed]
            self._free -= 1
            self._changed.notify_all()

    def _leave(self) -> None:
        """Give the turn back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


def _result(future: Future, seed: int) -> Fit:
    """Return the result of a thread; raise its exception with the seed before the message."""
    try:
        return future.result()
    except Exception as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (f"seed {seed}: {error.args[0]}", *error.args[1:])
        else:
            error.add_note(f"seed {seed}")
        raise


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
