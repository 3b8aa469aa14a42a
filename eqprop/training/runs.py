"""Training runs: all that determines one."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array, Int, PRNGKeyArray

from ..costs import Cost
from ..data import Data, Split
from ..energies import Energy
from ..estimators import Estimator
from .evaluation import has_labels, require_targets
from .fingerprints import fingerprint
from .optimizers import DESCENT, require_descent
from .patterns import by_pattern
from .settled import require_skipping

_DRAWS = 2**31 - 1
"""Folded into an epoch's key for what the estimator draws; the epoch's key draws the order."""


@dataclass(frozen=True)
class Run:
    """All that determines a training run: two runs of equal fields give the same network.

    Its arguments, and what it raises, are those of `fit`. `chunk` is the number of steps in one
    compiled scan; a compiler may round differently where it differs.
    """

    net: Energy
    cost: Cost
    data: Data
    estimator: Estimator
    rates: Mapping[str, float] | None
    optimizer: optax.GradientTransformation | None
    epochs: int
    key: PRNGKeyArray
    batch: int
    decay: float
    unsettled: Literal["raise", "skip"]
    chunk: int

    def __post_init__(self):
        for argument in ("epochs", "batch"):
            if getattr(self, argument) < 1:
                raise ValueError(
                    f"`{argument}` must be at least 1, but is {getattr(self, argument)}"
                )
        if self.steps == 0:
            raise ValueError(
                f"`batch` must be at most the {len(self.data.train)} training examples, "
                f"but is {self.batch}"
            )
        if self.rates is None and self.optimizer is None:
            raise ValueError("`rates` or `optimizer` must be given, but both are None")
        if self.unsettled not in ("raise", "skip"):
            raise ValueError(f"`unsettled` must be 'raise' or 'skip', but is {self.unsettled!r}")
        if self.unsettled == "skip":
            require_skipping(self.estimator)
        if self.optimizer is not None:
            require_descent(self.optimizer, self.learning(self.params))
        for name, split in ({"train": self.data.train} | self.held_out).items():
            require_targets(self.net, split, f"data.{name}")

    @property
    def params(self) -> Energy:
        """The parameters of the network, with `None` for all else."""
        return eqx.filter(self.net, eqx.is_inexact_array)

    @property
    def scales(self) -> Any:
        """The scale of each parameter's updates, like `params`; `None` for what does not learn."""
        return by_pattern(self.params, self._rates, None, "rates")

    @property
    def bounds(self) -> Any:
        """The least and the greatest value of each parameter; `None` for what does not learn."""
        limits = self.net.parameter_bounds()
        bounds = by_pattern(self.params, limits, (-np.inf, np.inf), "parameter_bounds")
        return jax.tree.map(lambda learns, both: both if learns else None, self._learns, bounds)

    def learning(self, params: Any) -> Any:
        """Return the part of a pytree like `params` that learns, with `None` elsewhere."""
        return eqx.filter(params, self._learns)

    @property
    def _rates(self) -> Mapping[str, float]:
        """The rates by pattern, those that `fit` documents where none are given."""
        return {"*": 1.0} if self.rates is None else self.rates

    @property
    def _learns(self) -> Any:
        """Whether each parameter learns, like `params`."""
        return by_pattern(self.params, dict.fromkeys(self._rates, True), False, "rates")

    @property
    def descent(self) -> optax.GradientTransformation:
        """The optimiser, which is plain gradient descent where none is given."""
        return DESCENT if self.optimizer is None else self.optimizer

    @property
    def steps(self) -> int:
        """The number of training steps in an epoch."""
        return len(self.data.train) // self.batch

    @property
    def held_out(self) -> dict[str, Split]:
        """The splits that are evaluated after each epoch, by name."""
        validation = self.data.validation
        return {"test": self.data.test} | ({} if validation is None else {"validation": validation})

    def order(self, epoch: int) -> Int[np.ndarray, "steps batch"]:
        """Return the rows of `data.train` that each step of an epoch takes."""
        rows = _drawn_order(self.key, epoch, len(self.data.train))
        return np.asarray(rows)[: self.steps * self.batch].reshape(self.steps, self.batch)

    def draws(self, epoch: int) -> PRNGKeyArray:
        """Return the key from which each step of an epoch folds the estimator's key."""
        return _drawn_key(self.key, epoch)

    def best(self, history: Mapping[str, Sequence[float] | np.ndarray]) -> int:
        """Return the epoch whose network `fit` returns.

        It is the first that is best on the validation set, and the last where there is none.

        **Arguments:**

        - `history`: one number an epoch, by name, as of `Fit`.
        """
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
        """Return what another run must have in common with this one to be the same, by path."""
        paths: dict[str, str] = {}
        for field in dataclasses.fields(self):
            paths |= fingerprint(getattr(self, field.name), field.name)
        return paths


# Each a program of its own, instead of one for each operation.
@partial(jax.jit, static_argnums=2)
def _drawn_order(key: PRNGKeyArray, epoch: int, count: int) -> Int[Array, " examples"]:
    """Return the numbers below `count` in the order of an epoch."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


@jax.jit
def _drawn_key(key: PRNGKeyArray, epoch: int) -> PRNGKeyArray:
    """Return the key of an epoch's draws."""
    return jax.random.fold_in(jax.random.fold_in(key, epoch), _DRAWS)
