"""The state of a training run: parameters, moments and history, and the file that keeps them."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float

from ..files import Folder
from ..locks import InUseError, hold
from .checkpoints import (
    CheckpointError,
    from_arrays,
    is_key,
    read,
    restored_array,
    to_arrays,
    write,
)
from .fingerprints import differences
from .runs import Run

RECORDS = ("loss", "train_accuracy", "unsettled", "phase_error")
"""What is seen at each step: the mean cost, the share of right decisions, how many examples were
left out, and `Settling.error`."""

_OTHER_BYTES = 2**24
"""Of a checkpoint, at most, besides its arrays: fingerprints and names."""
_LISTED = 5
"""Differences between two runs that an error lists."""


@dataclass
class TrainingState:
    """How far a run has come.

    - `params`, `moments`: the parameters and the optimiser's state with which the next step begins.
    - `history`: one number for each finished epoch, by name.
    - `best`: the parameters of the epoch so far that is best on the validation set, or `None`.
    - `records`: what was seen at each finished step of `epoch`, by name, as of `RECORDS`.
    - `epoch`, `step`: what is finished: so many epochs, and so many steps of the one that runs.
    - `seconds`: the time spent.
    """

    params: Any
    moments: Any
    history: dict[str, list[float]]
    best: Any = None
    records: dict[str, Float[np.ndarray, " steps"]] = field(
        default_factory=lambda: {name: np.zeros(0) for name in RECORDS}
    )
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, run: Run) -> "TrainingState":
        """Return the state before the first step of `run`."""
        params = _strong(run.params)
        held_out = [f"{split}_{kind}" for split in run.held_out for kind in ("loss", "accuracy")]
        names = (*RECORDS, *held_out, "seconds")
        moments = _strong(run.descent.init(run.learning(params)))
        return cls(params, moments, {name: [] for name in names})

    def advance(
        self, params: Any, moments: Any, records: Mapping[str, Float[np.ndarray, " steps"]]
    ) -> None:
        """Record steps that were taken.

        **Arguments:**

        - `params`, `moments`: what the last of them ended with.
        - `records`: what was seen at each, by name.
        """
        self.params, self.moments = params, moments
        self.step += len(records["loss"])
        self.records = {
            name: np.concatenate([values, records[name]]) for name, values in self.records.items()
        }

    def close_epoch(self, evaluations: Mapping[str, float], run: Run) -> None:
        """Record the end of an epoch.

        **Arguments:**

        - `evaluations`: the numbers of the history that its steps do not give, by name.
        - `run`: the run of which this is the state.
        """
        numbers = self._means(run.batch) | dict(evaluations)
        for name, values in self.history.items():
            values.append(numbers[name])
        if run.data.validation is not None and run.best(self.history) == self.epoch:
            self.best = self.params

        self.records = {name: values[:0] for name, values in self.records.items()}
        self.step, self.epoch = 0, self.epoch + 1

    def _means(self, batch: int) -> dict[str, float]:
        """Return the numbers of the history that the steps of an epoch give, by name."""
        unsettled = self.records["unsettled"]
        numbers = {
            "unsettled": float(np.sum(unsettled)),
            "phase_error": float(np.max(self.records["phase_error"])),
        }
        for name in ("loss", "train_accuracy"):
            values = self.records[name]
            if unsettled.any():  # a mean over the examples that counted
                kept = batch - unsettled
                mean = np.average(np.where(kept > 0, values, 0.0), weights=kept)
            else:
                mean = np.mean(values)
            numbers[name] = float(mean)
        return numbers


class _Facts(msgspec.Struct):
    """What the file says besides its arrays; `run` is the run's fingerprint."""

    epoch: Annotated[int, msgspec.Meta(ge=0)]
    step: Annotated[int, msgspec.Meta(ge=0)]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    run: dict[str, str]


class CheckpointFile:
    """The file that keeps the state of a run, written at most once in so many seconds.

    Use it as a context: until its end no other training writes the file.

    **Arguments:**

    - `path`: the file.
    - `every`: the least time between two writes, in seconds.
    - `run`: the run.

    **Raises** `ValueError` where `every` is no time, and `OSError` where the file cannot be
    written.
    """

    def __init__(self, path: Path | str, every: float, run: Run):
        if not every >= 0:
            raise ValueError(f"`every` must be at least 0 seconds, but is {every}")
        self._path, self._every, self._run = Path(path), every, run.fingerprint()
        self._epochs, self._steps = run.epochs, run.steps
        self._validates = run.data.validation is not None
        self._written = time.perf_counter()
        self._lock = ExitStack()

    def __enter__(self) -> "CheckpointFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    def resume(self, start: TrainingState) -> TrainingState:
        """Return the state in the file; where there is none, write `start` to it and return that.

        **Arguments:**

        - `start`: the state before the first step, whose arrays those in the file must be like.

        **Raises** `CheckpointError` where the file is no whole checkpoint of this run, or another
        training writes it.
        """
        if self._path.exists():
            state = self._read(start)
            if state.epoch == self._epochs:  # nothing will be written
                return state
        self._take_lock()
        if self._path.exists():
            return self._read(start)  # another training may have gone on until now
        # That it cannot be written is better known now than in an hour.
        self.update(start, now=True)
        return start

    def _take_lock(self) -> None:
        """Keep other trainings from writing the file, and remove what a killed one left."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        folder = self._lock.enter_context(Folder.open(self._path.parent))
        try:
            self._lock.enter_context(hold(folder, f".{self._path.name}.lock"))
        except InUseError as error:
            raise CheckpointError(
                f"`checkpoint` must be a file that no other training writes, but {self._path} is "
                f"in use: {error}"
            ) from error
        folder.remove_partial(self._path.name)

    def _read(self, start: TrainingState) -> TrainingState:
        """Return the state in the file; argument and errors as of `resume`."""
        arrays, facts = read(self._path, _Facts, most=self._most_bytes(start))
        differing = differences(self._run, facts.run)
        if differing:
            more = f"; and {len(differing) - _LISTED} more" if len(differing) > _LISTED else ""
            raise CheckpointError(
                f"`checkpoint` must be of this run, but {self._path} is of another one: "
                f"{'; '.join(differing[:_LISTED])}{more}"
            )

        if facts.epoch > self._epochs or facts.step > self._steps:
            raise CheckpointError(
                f"`checkpoint` must be at most {self._epochs} epochs of {self._steps} steps old, "
                f"but {self._path} says {facts.epoch} and {facts.step}"
            )
        moments, rest = eqx.partition(start.moments, eqx.is_array)
        best = None
        if self._validates and facts.epoch > 0:
            best = from_arrays(arrays, "best", start.params)
        record, curve = np.zeros(facts.step), np.zeros(facts.epoch)
        return TrainingState(
            params=from_arrays(arrays, "params", start.params),
            moments=eqx.combine(from_arrays(arrays, "moments", moments), rest),
            history={
                name: restored_array(arrays, f"history/{name}", curve).tolist()
                for name in start.history
            },
            best=best,
            records={name: restored_array(arrays, f"records/{name}", record) for name in RECORDS},
            epoch=facts.epoch,
            step=facts.step,
            seconds=facts.seconds,
        )

    def _most_bytes(self, start: TrainingState) -> int:
        """Return what the file can have at most: parameters twice, moments, history, records."""
        leaves = jax.tree.leaves(
            eqx.filter((start.params, start.params, start.moments), eqx.is_array)
        )
        numbers = self._epochs * len(start.history) + self._steps * len(RECORDS)
        return sum(leaf.nbytes for leaf in leaves) + 8 * numbers + _OTHER_BYTES

    def update(self, state: TrainingState, *, now: bool = False) -> None:
        """Write `state` where `every` seconds have passed since the last time, or `now` is true."""
        if not now and time.perf_counter() - self._written < self._every:
            return

        arrays = {f"records/{name}": values for name, values in state.records.items()}
        arrays |= to_arrays(state.params, "params")
        arrays |= to_arrays(eqx.filter(state.moments, eqx.is_array), "moments")
        arrays |= to_arrays(state.best, "best")
        for name, values in state.history.items():
            arrays[f"history/{name}"] = np.array(values, float)
        facts = {
            "epoch": state.epoch,
            "step": state.step,
            "seconds": state.seconds,
            "run": self._run,
        }
        write(self._path, arrays, facts)
        self._written = time.perf_counter()


def _strong(tree: Any) -> Any:
    """Return arrays as JAX's, each with a type of its own.

    With a weak type, as of `jnp.asarray(1.0)`, the first step would be compiled apart.
    """

    def strong(leaf: Any) -> Any:
        plain = eqx.is_array(leaf) and not is_key(leaf)
        return jnp.asarray(leaf, leaf.dtype) if plain else leaf

    return jax.tree.map(strong, tree)
