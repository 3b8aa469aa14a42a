"""Training runs: what determines one, how far it has come, and the file from which it goes on."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, PRNGKeyArray

from ..costs import Cost, require_labels
from ..data import Data, Split
from ..energies import Energy
from ..estimators import Estimator
from .checkpoints import CheckpointError, from_arrays, is_key, read, to_arrays, write
from .evaluation import has_labels
from .fingerprints import differences, fingerprint

_DRAWS = (
    2**31 - 1
)  # folded into an epoch's key for what the estimator draws; the epoch's key itself draws the order
_TOLD = 5  # differences between two runs that an error lists


@dataclass(frozen=True)
class Run:
    """All that determines a training run: two runs of equal fields give the same network. Arguments and errors as for `fit`.

    `chunk` is the number of steps in one compiled scan. Compilers may round differently where it differs.
    """

    net: Energy
    cost: Cost
    data: Data
    estimator: Estimator
    rates: Mapping[str, float]
    epochs: int
    key: PRNGKeyArray
    batch: int
    decay: float
    transform: optax.GradientTransformation
    chunk: int

    def __post_init__(self):
        for argument in ("epochs", "batch"):
            if getattr(self, argument) < 1:
                raise ValueError(
                    f"`{argument}` must be at least 1, but is {getattr(self, argument)}"
                )
        if self.steps == 0:
            raise ValueError(
                f"`batch` must be at most the {len(self.data.train)} training examples, but is {self.batch}"
            )
        x = jnp.asarray(self.data.train.x[0])
        outputs = jax.eval_shape(lambda x: self.net.outputs(self.net.init_state(x)), x).shape[0]
        for split in (self.data.train, *self.held_out.values()):
            require_labels(np.asarray(split.y), outputs)

    @property
    def steps(self) -> int:
        """Training steps in an epoch."""
        return len(self.data.train) // self.batch

    @property
    def held_out(self) -> dict[str, Split]:
        """The splits that are evaluated after each epoch, by name."""
        validation = self.data.validation
        return {"test": self.data.test} | ({} if validation is None else {"validation": validation})

    def order(self, epoch: int) -> Int[np.ndarray, "steps batch"]:
        """The examples of each step of an epoch."""
        drawn = jax.random.permutation(jax.random.fold_in(self.key, epoch), len(self.data.train))
        return np.asarray(drawn)[: self.steps * self.batch].reshape(self.steps, self.batch)

    def draws(self, epoch: int) -> PRNGKeyArray:
        """The key from which each step of an epoch folds the estimator's own."""
        return jax.random.fold_in(jax.random.fold_in(self.key, epoch), _DRAWS)

    def best(self, history: Mapping[str, Sequence[float] | np.ndarray]) -> int:
        """The epoch whose network is returned: the first that is best on the validation set, or without one the last."""
        if self.data.validation is None:
            return len(history["loss"]) - 1
        labels = has_labels(self.data.validation)
        score = (
            np.array(history["validation_accuracy"])
            if labels
            else -np.array(history["validation_loss"])
        )
        return int(np.argmax(np.where(np.isnan(score), -np.inf, score)))

    def fingerprint(self) -> dict[str, str]:
        """What another run must have in common with this one to be the same."""
        whole: dict[str, str] = {}
        for one in dataclasses.fields(self):
            whole |= fingerprint(getattr(self, one.name), one.name)
        return whole


@dataclass
class State:
    """How far a run has come: `step` steps into `epoch`, with the loss and the share of right decisions at each of them.

    `params` and the optimiser's `moments` are those of the next step; `best` are the parameters of the best epoch so far on the
    validation set; `seconds` were spent.
    """

    params: Any
    moments: Any
    history: dict[str, list[float]]
    best: Any = None
    losses: Float[np.ndarray, " steps"] = field(default_factory=lambda: np.zeros(0))
    rights: Float[np.ndarray, " steps"] = field(default_factory=lambda: np.zeros(0))
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, run: Run) -> "State":
        """The state before the first step."""
        params = _strong(eqx.filter(run.net, eqx.is_inexact_array))
        seen = [f"{split}_{kind}" for split in run.held_out for kind in ("loss", "accuracy")]
        kinds = ("loss", "train_accuracy", *seen, "seconds")
        return cls(params, _strong(run.transform.init(params)), {kind: [] for kind in kinds})

    def advance(
        self,
        params: Any,
        moments: Any,
        losses: Float[np.ndarray, " steps"],
        rights: Float[np.ndarray, " steps"],
    ) -> None:
        """Steps taken: what they ended with, and what was seen at each."""
        self.params, self.moments, self.step = params, moments, self.step + len(losses)
        self.losses, self.rights = (
            np.concatenate([self.losses, losses]),
            np.concatenate([self.rights, rights]),
        )

    def close_epoch(self, seen: Mapping[str, float], run: Run) -> None:
        """The end of an epoch, with what was `seen` after its last step."""
        seen = {
            "loss": float(np.mean(self.losses)),
            "train_accuracy": float(np.mean(self.rights)),
            **seen,
        }
        for kind, values in self.history.items():
            values.append(seen[kind])
        if run.data.validation is not None and run.best(self.history) == self.epoch:
            self.best = self.params
        self.losses, self.rights, self.step, self.epoch = (
            self.losses[:0],
            self.rights[:0],
            0,
            self.epoch + 1,
        )


class Keeper:
    """Keeps the state of a run in the file `path`, written at most once in `every` seconds.

    **Raises** `ValueError` where `every` is not a time, and `OSError` where the file cannot be written.
    """

    def __init__(self, path: Path | str, every: float, run: Run):
        if not every >= 0:
            raise ValueError(f"`every` must be at least 0 seconds, but is {every}")
        self._path, self._every, self._run = Path(path), every, run.fingerprint()
        self._written = time.perf_counter()

    def resume(self, start: State) -> State:
        """The state in the file, whose arrays are like those of `start`; `start` itself, and a new file, where there is none.

        Raises `CheckpointError` where the file is not a whole checkpoint of this run.
        """
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.offer(
                start, now=True
            )  # that it cannot be written is better known now than in an hour
            return start
        arrays, facts = read(self._path)
        differs = differences(self._run, facts["run"])
        if differs:
            more = f"; and {len(differs) - _TOLD} more" if len(differs) > _TOLD else ""
            raise CheckpointError(
                f"`checkpoint` must be of this run, but {self._path} is of another one: {'; '.join(differs[:_TOLD])}{more}"
            )
        moments, rest = eqx.partition(start.moments, eqx.is_array)
        return State(
            from_arrays(arrays, "params", start.params),
            eqx.combine(from_arrays(arrays, "moments", moments), rest),
            {kind: arrays[f"history/{kind}"].tolist() for kind in start.history},
            from_arrays(arrays, "best", start.params) if facts["best"] else None,
            arrays["losses"],
            arrays["rights"],
            facts["epoch"],
            facts["step"],
            facts["seconds"],
        )

    def offer(self, state: State, *, now: bool = False) -> None:
        """Writes `state` where it is time to, or where `now` says so."""
        if not now and time.perf_counter() - self._written < self._every:
            return
        arrays = {"losses": state.losses, "rights": state.rights}
        for name, tree in (
            ("params", state.params),
            ("moments", eqx.filter(state.moments, eqx.is_array)),
            ("best", state.best),
        ):
            arrays |= to_arrays(tree, name)
        arrays |= {
            f"history/{kind}": np.array(values, float) for kind, values in state.history.items()
        }
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
    """Arrays as JAX's, with a type of their own: with a weak one, as of `jnp.asarray(1.0)`, the first step would compile apart."""
    return jax.tree.map(
        lambda leaf: (
            jnp.asarray(leaf, leaf.dtype) if eqx.is_array(leaf) and not is_key(leaf) else leaf
        ),
        tree,
    )
