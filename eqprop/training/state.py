"""The state of a training run: parameters, moments and history, and the file that keeps them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .checkpoints import CheckpointError, from_arrays, is_key, read, to_arrays, write
from .fingerprints import differences
from .runs import Run

_LISTED = 5
"""Differences between two runs that an error lists."""


@dataclass
class TrainingState:
    """How far a run has come.

    - `params`, `moments`: the parameters and the optimiser's state with which the next step begins.
    - `history`: one number for each finished epoch, by name.
    - `best`: the parameters of the epoch so far that is best on the validation set, or `None`.
    - `losses`, `accuracies`: the loss and the share of right decisions at each step of `epoch`.
    - `epoch`, `step`: what is finished: so many epochs, and so many steps of the one that runs.
    - `seconds`: the time spent.
    """

    params: Any
    moments: Any
    history: dict[str, list[float]]
    best: Any = None
    losses: Float[np.ndarray, " steps"] = field(default_factory=lambda: np.zeros(0))
    accuracies: Float[np.ndarray, " steps"] = field(default_factory=lambda: np.zeros(0))
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, run: Run) -> "TrainingState":
        """Return the state before the first step of `run`."""
        params = _strong(run.params)
        held_out = [f"{split}_{kind}" for split in run.held_out for kind in ("loss", "accuracy")]
        names = ("loss", "train_accuracy", *held_out, "seconds")
        moments = _strong(run.descent.init(run.learning(params)))
        return cls(params, moments, {name: [] for name in names})

    def advance(
        self,
        params: Any,
        moments: Any,
        losses: Float[np.ndarray, " steps"],
        accuracies: Float[np.ndarray, " steps"],
    ) -> None:
        """Record steps that were taken.

        **Arguments:**

        - `params`, `moments`: what the last of them ended with.
        - `losses`, `accuracies`: the loss and the share of right decisions at each.
        """
        self.params, self.moments = params, moments
        self.step += len(losses)
        self.losses = np.concatenate([self.losses, losses])
        self.accuracies = np.concatenate([self.accuracies, accuracies])

    def close_epoch(self, evaluations: Mapping[str, float], run: Run) -> None:
        """Record the end of an epoch.

        **Arguments:**

        - `evaluations`: the numbers of the history that its steps do not give, by name.
        - `run`: the run of which this is the state.
        """
        numbers = {
            "loss": float(np.mean(self.losses)),
            "train_accuracy": float(np.mean(self.accuracies)),
            **evaluations,
        }
        for name, values in self.history.items():
            values.append(numbers[name])
        if run.data.validation is not None and run.best(self.history) == self.epoch:
            self.best = self.params

        self.losses, self.accuracies = self.losses[:0], self.accuracies[:0]
        self.step, self.epoch = 0, self.epoch + 1


class CheckpointFile:
    """The file that keeps the state of a run, written at most once in so many seconds.

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
        self._written = time.perf_counter()

    def resume(self, start: TrainingState) -> TrainingState:
        """Return the state in the file; where there is none, write `start` to it and return that.

        **Arguments:**

        - `start`: the state before the first step, whose arrays those in the file must be like.

        **Raises** `CheckpointError` where the file is no whole checkpoint of this run.
        """
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # That it cannot be written is better known now than in an hour.
            self.update(start, now=True)
            return start

        arrays, facts = read(self._path)
        differing = differences(self._run, facts["run"])
        if differing:
            more = f"; and {len(differing) - _LISTED} more" if len(differing) > _LISTED else ""
            raise CheckpointError(
                f"`checkpoint` must be of this run, but {self._path} is of another one: "
                f"{'; '.join(differing[:_LISTED])}{more}"
            )

        moments, rest = eqx.partition(start.moments, eqx.is_array)
        return TrainingState(
            params=from_arrays(arrays, "params", start.params),
            moments=eqx.combine(from_arrays(arrays, "moments", moments), rest),
            history={name: arrays[f"history/{name}"].tolist() for name in start.history},
            best=from_arrays(arrays, "best", start.params) if facts["best"] else None,
            losses=arrays["losses"],
            accuracies=arrays["accuracies"],
            epoch=facts["epoch"],
            step=facts["step"],
            seconds=facts["seconds"],
        )

    def update(self, state: TrainingState, *, now: bool = False) -> None:
        """Write `state` where `every` seconds have passed since the last time, or `now` is true."""
        if not now and time.perf_counter() - self._written < self._every:
            return

        arrays = {"losses": state.losses, "accuracies": state.accuracies}
        arrays |= to_arrays(state.params, "params")
        arrays |= to_arrays(eqx.filter(state.moments, eqx.is_array), "moments")
        arrays |= to_arrays(state.best, "best")
        for name, values in state.history.items():
            arrays[f"history/{name}"] = np.array(values, float)
        facts = {
            "epoch": state.epoch,
            "step": state.step,
            "seconds": state.seconds,
            "best": state.best is not None,
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
