"""Training: `fit`, and what a network gets right."""

import fnmatch
import math
import time
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .costs import Cost, require_labels
from .data import Data, Split
from .energy import Energy
from .equilibrium import Method, NotSettledError
from .estimators import Estimator, require_convex
from .relaxation import settle

CHUNK = 500  # training steps that run as one compiled scan between two looks of the host
_PLAIN = optax.identity()  # one object, so that two fits share their compiled steps


class TrainingError(RuntimeError):
    """Training met a number that is not finite."""


@dataclass(frozen=True)
class Fit:
    """A trained network `net` and, one number an epoch, its `history`.

    `history` holds `loss` and `train_accuracy` (seen in passing, before each update), `test_loss` and `test_accuracy` (after the
    epoch) and `seconds` since the start.
    """

    net: Any
    history: dict[str, Float[np.ndarray, " epochs"]]


@dataclass(frozen=True)
class Evaluation:
    """Mean cost and share of right decisions over a data split, and each decision; no share (NaN) where targets are no labels."""

    loss: float
    accuracy: float
    decisions: np.ndarray


def paths(params: Any) -> list[str]:
    """The paths by which parameters are named in `rates`, e.g. `conductances.0`, in the order of the leaves."""
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def _by_pattern(params: Any, values: dict[str, Any], default: Any, argument: str) -> Any:
    """A pytree like `params` with, at each leaf, the value of the pattern that its path matches, else `default`."""
    names = paths(params)
    for pattern in values:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"`{argument}` must name parameters, but {pattern!r} matches none of {names}")
    found = []
    for name in names:
        matching = [pattern for pattern in values if fnmatch.fnmatchcase(name, pattern)]
        if len(matching) > 1:
            raise ValueError(f"`{argument}` must match each parameter once, but {matching} all match {name!r}")
        found.append(values[matching[0]] if matching else default)
    return jax.tree.unflatten(jax.tree.structure(params), found)


def evaluate(net: Energy, cost: Cost, split: Split, *, method: Method | None = None) -> Evaluation:
    """Settles the free phase of every example. Raises `NotSettledError` where one does not settle."""
    loss, decisions, settled, worst = jax.tree.map(np.asarray, _evaluate(net, cost, jnp.asarray(split.x), jnp.asarray(split.y), method))
    if not settled.all():
        raise NotSettledError(f"the free phase did not settle in {(~settled).sum()} of {len(split)} examples: error up to {worst:.3g}")
    return Evaluation(float(loss), float(np.mean(decisions == split.y)) if _labels(split) else math.nan, decisions)


def _labels(split: Split) -> bool:
    return np.issubdtype(split.y.dtype, np.integer) and split.y.ndim == 1


@eqx.filter_jit
def _evaluate(net, cost, xs, ys, method):
    free = jax.vmap(lambda x: settle(net, x, method))(xs)
    outputs = jax.vmap(net.outputs)(free.state)
    return jnp.mean(jax.vmap(cost)(outputs, ys)), jax.vmap(cost.decide)(outputs), free.settled, jnp.max(free.error)


@eqx.filter_jit
def _train(params, rest, moments, rates, bounds, estimator, cost, transform, xs, ys, order):
    """Training steps over `order` (steps, batch); the last parameters, and per step loss, right decisions, finite, settled."""

    def step(carry, chosen):
        params, moments = carry
        x, y = xs[chosen], ys[chosen]
        energy = eqx.combine(params, rest)
        estimate = estimator.estimate(energy, cost, x, y)
        updates, moments = transform.update(estimate.grad, moments, params)
        params = jax.tree.map(lambda p, u, rate, box: jnp.clip(p - rate.astype(p.dtype) * u, *box), params, updates, rates, bounds)
        decisions = jax.vmap(lambda s: cost.decide(energy.outputs(s)))(estimate.free.state)
        right = jnp.mean(decisions == y) if y.ndim == 1 and jnp.issubdtype(y.dtype, jnp.integer) else jnp.nan
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(estimate.grad)]).all()
        settled = estimate.free.settled.all() & (True if estimate.nudged is None else estimate.nudged.settled.all())
        return (params, moments), (estimate.loss, right, finite & jnp.isfinite(estimate.loss), settled)

    return jax.lax.scan(step, (params, moments), order)


def fit(
    net: Energy,
    cost: Cost,
    data: Data,
    estimator: Estimator,
    *,
    rates: dict[str, float],
    epochs: int,
    key: PRNGKeyArray,
    batch: int = 4,
    decay: float = 1.0,
    transform: optax.GradientTransformation = _PLAIN,
    console: Console | None = None,
    name: str = "training",
) -> Fit:
    """Trains a copy of `net` on `data.train`; the last epoch is what is returned.

    Every step draws `batch` examples without replacement, θ ← P(θ − rate · decay^epoch · transform(gradient)), and P projects on
    `net.parameter_bounds()`. Examples that do not fill a batch wait for another epoch's order.

    **Arguments:** `rates`: learning rates by glob pattern of the parameter's path, e.g. `{"conductances*": 0.2}`; a parameter that no
    pattern matches stays as it is. `transform`: optax's, e.g. `optax.scale_by_adam()`; the plain gradient if not given. `console`:
    where the progress bar goes; none if not given. `name`: its label.

    **Raises** `ValueError` for a pattern that matches nothing, `TrainingError` with the step at which a number was not finite,
    `NotSettledError` with the step at which a phase did not settle, and `NudgeError` where the negative nudge reaches `nudge_bound` at
    a free state of the first batch of an epoch, where it is looked at.
    """
    for argument, value in (("epochs", epochs), ("batch", batch)):
        if value < 1:
            raise ValueError(f"`{argument}` must be at least 1, but is {value}")
    steps = len(data.train) // batch
    if steps == 0:
        raise ValueError(f"`batch` must be at most the {len(data.train)} training examples, but is {batch}")
    outputs = jax.eval_shape(lambda x: net.outputs(net.init_state(x)), jnp.asarray(data.train.x[0])).shape[0]
    for split in (data.train, data.test):
        require_labels(split.y, outputs)
    params, rest = eqx.partition(net, eqx.is_inexact_array)
    boxes = _by_pattern(params, net.parameter_bounds(), (-np.inf, np.inf), "parameter_bounds")
    base = _by_pattern(params, rates, 0.0, "rates")
    moments = transform.init(params)
    xs, ys = jnp.asarray(data.train.x), jnp.asarray(data.train.y)
    history: dict[str, list[float]] = {name: [] for name in ("loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")}
    columns = (
        TextColumn(name),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} epochs  {task.fields[seen]}"),
        TimeElapsedColumn(),
    )
    start = time.perf_counter()
    with Progress(*columns, console=console, disable=console is None) as progress:
        bar = progress.add_task(name, total=epochs, seen="")
        for epoch in range(epochs):
            now = jax.tree.map(lambda rate, e=epoch: jnp.asarray(rate * decay**e), base)
            order = jax.random.permutation(jax.random.fold_in(key, epoch), len(data.train))[: steps * batch].reshape(steps, batch)
            _check_nudge(estimator, eqx.combine(params, rest), cost, xs[order[0]], ys[order[0]])
            losses, rights = [], []
            for at in range(0, steps, CHUNK):
                (params, moments), seen = _train(
                    params, rest, moments, now, boxes, estimator, cost, transform, xs, ys, order[at : at + CHUNK]
                )
                loss, right, finite, settled = map(np.asarray, seen)
                _check_steps(finite, settled, epoch * steps + at)
                losses.append(loss)
                rights.append(right)
            test = evaluate(eqx.combine(params, rest), cost, data.test)
            values = (np.mean(np.concatenate(losses)), np.mean(np.concatenate(rights)), test.loss, test.accuracy)
            for kind, value in zip(history, (*values, time.perf_counter() - start), strict=True):
                history[kind].append(float(value))
            progress.update(bar, advance=1, seen=f"loss {values[0]:.5f}  train {values[1]:.2%}  test {values[3]:.2%}")
    return Fit(eqx.combine(params, rest), {kind: np.array(values) for kind, values in history.items()})


def _check_nudge(estimator: Estimator, net: Energy, cost: Cost, xs: Array, ys: Array) -> None:
    strength = estimator.strongest_negative_nudge()
    if strength > 0:
        require_convex(strength, net, cost, xs, ys, _free_states(net, xs), "free")


_free_states = eqx.filter_jit(lambda net, xs: jax.vmap(lambda x: settle(net, x).state)(xs))


def _check_steps(finite: np.ndarray, settled: np.ndarray, first: int) -> None:
    if not finite.all():
        raise TrainingError(f"the gradient or the loss is not finite at training step {first + int(np.argmin(finite))}")
    if not settled.all():
        raise NotSettledError(f"a phase did not settle at training step {first + int(np.argmin(settled))}")
