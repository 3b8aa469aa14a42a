"""Several seeds of one training, on the cores of the machine."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

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
from .loop import PLAIN, Devices, Fit, calls_lapack, on_device, train
from .progress import Display, Report
from .runs import Run


@dataclass(frozen=True)
class Fits:
    """The trained networks of several `seeds`: one `Fit` each, in their order."""

    seeds: tuple[int, ...]
    fits: tuple[Fit, ...]

    def mean(self, name: str) -> Float[np.ndarray, " epochs"]:
        """The mean over the seeds of `name` in their histories, e.g. `test_accuracy`; its last item is the last epoch's."""
        return np.mean(self._all(name), 0)

    def std(self, name: str) -> Float[np.ndarray, " epochs"]:
        """The standard deviation over the seeds, √(Σ (x − mean)² / (seeds − 1)); NaN where there is only one."""
        values = self._all(name)
        return np.std(values, 0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)

    def _all(self, name: str) -> Float[np.ndarray, "seeds epochs"]:
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
    rates: Mapping[str, float],
    epochs: int,
    batch: int = 4,
    decay: float = 1.0,
    transform: optax.GradientTransformation = PLAIN,
    console: Console | None = None,
    name: str = "training",
    checkpoint: Path | str | None = None,
    every: float = 60.0,
    devices: Devices | None = None,
) -> Fits:
    """Trains a network `init(key)` for each seed, as many at a time as there are cores: a small batch keeps one core busy.

    Seed s does what this does alone, number for number:

        init_key, key = jax.random.split(jax.random.key(s))
        fit(init(init_key), cost, data, estimator, key=key, ...)

    The compiled steps are shared. Arguments as for `fit`, but for `checkpoint`: a folder, with a file `seed-s.npz` for each. Seeds
    train one after another on `devices`, and where a step calls LAPACK (`Newton`, `GradientFlow` with an implicit solver, `Implicit`):
    jaxlib can hang where two threads do.

    **Raises** what `fit` raises, the message led by the seed, after the other seeds have been stopped; and `ValueError` for seeds that
    are none or not all different.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be at least one, and all different, but are {tuple(seeds)}")
    data = on_device(data)
    runs, files = {}, {}
    for seed in seeds:
        init_key, key = jax.random.split(jax.random.key(seed))
        runs[seed] = Run(
            init(init_key),
            cost,
            data,
            estimator,
            rates,
            epochs,
            key,
            batch,
            decay,
            transform,
            loop.CHUNK,
        )
        files[seed] = None if checkpoint is None else Path(checkpoint) / f"seed-{seed}.npz"
    failed = threading.Event()
    wide, device = (
        jax.enable_x64.value,
        jax.default_device.value,
    )  # of this thread, where a context manager may have set them

    def one(seed: int, report: Report) -> Fit:
        def report_or_stop(epochs: float, seen: str) -> None:
            if failed.is_set():
                raise _StoppedError
            report(epochs, seen)
            turns.offer(seed, epochs)

        with jax.enable_x64(wide), jax.default_device(device), turns.taken_by(seed):
            return train(
                runs[seed], report_or_stop, checkpoint=files[seed], every=every, devices=devices
            )

    labels = {seed: f"{name}, seed {seed}" for seed in seeds}
    threads = min(_cores(), len(seeds))
    if threads > 1 and (devices is not None or calls_lapack(runs[seeds[0]])):
        threads = 1
    turns = _Turns(threads)
    with (
        Display(console, list(labels.values()), epochs) as display,
        ThreadPoolExecutor(len(seeds)) as pool,
    ):
        futures = {
            pool.submit(one, seed, display.reporter(label)): seed for seed, label in labels.items()
        }
        try:
            for future in as_completed(futures):
                _result(future, futures[future])
        finally:
            failed.set()  # to no effect where all have finished
            pool.shutdown(cancel_futures=True)
    return Fits(tuple(seeds), tuple(future.result() for future in futures))


class _Turns:
    """Which of several threads run, at most `most` at a time: of those that wait the least advanced first, so that all end together."""

    def __init__(self, most: int):
        self._free, self._waiting, self._changed = most, {}, threading.Condition()

    @contextlib.contextmanager
    def taken_by(self, seed: int) -> Iterator[None]:
        """A turn from here on, but for `offer`."""
        self._take(seed, 0.0)
        try:
            yield
        finally:
            self._leave()

    def offer(self, seed: int, advanced: float) -> None:
        """Gives the turn to a thread that waits and is less advanced, if there is one, and waits for the next."""
        self._leave()
        self._take(seed, advanced)

    def _take(self, seed: int, advanced: float) -> None:
        with self._changed:
            self._waiting[seed] = advanced
            self._changed.wait_for(lambda: self._free and advanced <= min(self._waiting.values()))
            del self._waiting[seed]
            self._free -= 1
            self._changed.notify_all()

    def _leave(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()


def _result(future, seed: int) -> Fit:
    try:
        return future.result()
    except Exception as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (f"seed {seed}: {error.args[0]}", *error.args[1:])
        else:
            error.add_note(f"seed {seed}")
        raise


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
