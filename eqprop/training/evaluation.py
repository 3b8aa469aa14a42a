"""What a network gets right."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..costs import Cost
from ..data import Split
from ..energies import Energy
from ..settling.equilibrium import Method, NotSettledError
from ..settling.relaxation import settle

BLOCK = 256  # examples that settle at once: more takes more memory and no less time


@dataclass(frozen=True)
class Evaluation:
    """Mean cost and share of right decisions over a data split, and each decision; no share (NaN) where targets are no labels."""

    loss: float
    accuracy: float
    decisions: np.ndarray


def has_labels(split: Split) -> bool:
    """Whether the targets are class labels: integers, one for each example."""
    return np.issubdtype(split.y.dtype, np.integer) and split.y.ndim == 1


def evaluate(net: Energy, cost: Cost, split: Split, *, method: Method | None = None) -> Evaluation:
    """Settles the free phase of every example. Raises `NotSettledError` where one does not settle."""
    loss, decisions, settled, worst = map(
        np.asarray, _evaluate(*_arguments(net, cost, split, method))
    )
    if not settled.all():
        raise NotSettledError(
            f"the free phase did not settle in {(~settled).sum()} of {len(split)} examples: error up to {worst:.3g}"
        )
    return Evaluation(
        float(loss),
        float(np.mean(decisions == np.asarray(split.y))) if has_labels(split) else math.nan,
        decisions,
    )


def lower_evaluation(net: Energy, cost: Cost, split: Split, method: Method | None) -> Any:
    """The program of `evaluate`, neither compiled nor run."""
    return _evaluate.lower(*_arguments(net, cost, split, method))


def _arguments(net: Energy, cost: Cost, split: Split, method: Method | None) -> tuple:
    blocks = math.ceil(len(split) / BLOCK)
    return (
        net,
        cost,
        jnp.asarray(split.x),
        jnp.asarray(split.y),
        method,
        math.ceil(len(split) / blocks),
    )


@eqx.filter_jit
def _evaluate(net, cost, xs, ys, method, block):
    def one(example):
        free = settle(net, example[0], method)
        outputs = net.outputs(free.state)
        return cost(outputs, example[1]), cost.decide(outputs), free.settled, free.error

    losses, decisions, settled, errors = jax.lax.map(one, (xs, ys), batch_size=block)
    return jnp.mean(losses), decisions, settled, jnp.max(errors)
