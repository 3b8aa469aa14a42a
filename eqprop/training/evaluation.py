"""Evaluation: what a network gets right on a set of examples."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..costs import Cost, require_labels
from ..data import Split
from ..energies import Energy
from ..estimators import Estimator
from ..settling.compilation import jit_by_size
from ..settling.default import first_briefly
from ..settling.equilibrium import Method, NotSettledError
from ..settling.relaxation import settle
from .settled import decides, near

BLOCK = 256
"""Examples that settle at once: more takes more memory and no less time."""


@dataclass(frozen=True)
class Evaluation:
    """What a network gets right on a data split.

    - `loss`: the mean cost.
    - `accuracy`: the share of right decisions; NaN where targets are no labels.
    - `decisions`: what `cost.decide` reads from the outputs, (examples, …).
    """

    loss: float
    accuracy: float
    decisions: np.ndarray


def has_labels(split: Split) -> bool:
    """Return whether the targets are class labels: integers, one for each example."""
    return np.issubdtype(split.y.dtype, np.integer) and split.y.ndim == 1


def require_targets(net: Energy, split: Split, name: str) -> None:
    """Raise `ValueError` for targets that are not finite, or labels beyond the outputs of `net`.

    **Arguments:**

    - `net`: the network whose outputs the targets are for.
    - `split`: the examples.
    - `name`: what errors call the split.
    """
    targets = np.asarray(split.y)
    if np.issubdtype(targets.dtype, np.inexact) and not np.isfinite(targets).all():
        rows = np.flatnonzero(~np.isfinite(targets).reshape(len(targets), -1).all(1))
        raise ValueError(
            f"`{name}.y` must hold finite targets, but {len(rows)} of {len(targets)} examples have "
            f"others, the first of them example {rows[0]}: {targets[rows[0]]}"
        )
    x = jax.ShapeDtypeStruct(split.x.shape[1:], jax.dtypes.canonicalize_dtype(split.x.dtype))
    outputs = jax.eval_shape(lambda x: net.outputs(net.init_state(x)), x).shape[0]
    try:
        require_labels(targets, outputs)
    except ValueError as error:
        raise ValueError(f"`{name}.y`: {error}") from None


def evaluate(net: Energy, cost: Cost, split: Split, *, method: Method | None = None) -> Evaluation:
    """Settle the free phase of every example, and compare what it says with the targets.

    **Arguments:**

    - `net`: the network.
    - `cost`: the cost C(outputs, y), and the decision read from the outputs.
    - `split`: the examples.
    - `method`: how phases settle; `default_method` if not given.

    **Returns** the mean cost, the share of right decisions, and each decision.

    A phase has settled where its method says so; without a `method`, also where its error is below
    10⁻⁶ of `Energy.scale` or, where targets are labels, below a thousandth of the gap between the
    largest output and the next.

    **Raises** `NotSettledError` where an example does not settle, and `ValueError` for targets that
    are not finite and labels beyond the outputs.
    """
    require_targets(net, split, "split")
    evaluation = first_briefly(
        method,
        net,
        lambda method: _evaluate(*_arguments(net, cost, split, method)),
        lambda evaluation: evaluation[2],
    )
    loss, decisions, settled, worst = map(np.asarray, evaluation)
    if not settled.all():
        tried = "the default method" if method is None else str(method)
        raise NotSettledError(
            f"the free phase did not settle in {(~settled).sum()} of {len(split)} examples, the "
            f"first of them example {np.argmin(settled)}, by {tried}: error up to {worst:.3g}; "
            "give another `method`, more steps or a larger `tolerance`"
        )
    right = np.mean(decisions == np.asarray(split.y)) if has_labels(split) else math.nan
    return Evaluation(float(loss), float(right), decisions)


def evaluation_method(estimator: Estimator) -> Method | None:
    """Return how phases that are evaluated settle: as the estimator's, where it has a tolerance."""
    method = estimator.method
    return None if method is None or method.tolerance is None else method


def lower_evaluation(net: Energy, cost: Cost, split: Split, method: Method | None) -> Any:
    """Return the program of `evaluate`, neither compiled nor run. Arguments as of `evaluate`."""
    return _evaluate.lower(*_arguments(net, cost, split, method))


def _arguments(net: Energy, cost: Cost, split: Split, method: Method | None) -> tuple:
    """Return the arguments of `_evaluate`, in blocks of equal size as far as they can be."""
    blocks = math.ceil(len(split) / BLOCK)
    size = math.ceil(len(split) / blocks)
    return net, cost, jnp.asarray(split.x), jnp.asarray(split.y), method, size


@jit_by_size
def _evaluate(net, cost, xs, ys, method, block):
    """Return the mean cost, the decisions, which phases settled, and their largest error."""
    labels = ys.ndim == 1 and jnp.issubdtype(ys.dtype, jnp.integer)

    def one(example):
        free = settle(net, example[0], method)
        outputs = net.outputs(free.state)
        settled = free.settled
        if method is None:
            settled |= near(net, free)
            settled |= decides(outputs, free) if labels else False
        return cost(outputs, example[1]), cost.decide(outputs), settled, free.error

    losses, decisions, settled, errors = jax.lax.map(one, (xs, ys), batch_size=block)
    return jnp.mean(losses), decisions, settled, jnp.max(errors)
