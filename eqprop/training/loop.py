"""Training: `fit`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray
from rich.console import Console

from ..costs import Cost
from ..data import Data, Split
from ..energies import Energy
from ..estimators import Estimator, require_convex
from ..settling.equilibrium import Method, NotSettledError
from ..settling.relaxation import settle
from .diagnosis import all_finite, failure, look
from .evaluation import evaluate, lower_evaluation
from .patterns import by_pattern, paths
from .progress import Display, Report
from .runs import Keeper, Run, State

CHUNK = 500  # training steps that run as one compiled scan between two looks of the host
Devices = Sequence[jax.Device]  # pyright: ignore[reportInvalidTypeForm]
PLAIN = optax.identity()  # one object, so that two fits share their compiled steps


@dataclass(frozen=True)
class Fit:
    """A trained network `net`, the `epoch` after which it was taken (counted from 0), and one number an epoch, its `history`.

    `history` holds `loss` and `train_accuracy` (seen in passing, before each update), `test_loss` and `test_accuracy` (after the
    epoch), `validation_loss` and `validation_accuracy` where there is a validation set, and `seconds` since the start.
    """

    net: Any
    history: dict[str, Float[np.ndarray, " epochs"]]
    epoch: int


def fit(
    net: Energy,
    cost: Cost,
    data: Data,
    estimator: Estimator,
    *,
    rates: Mapping[str, float],
    epochs: int,
    key: PRNGKeyArray,
    batch: int = 4,
    decay: float = 1.0,
    transform: optax.GradientTransformation = PLAIN,
    console: Console | None = None,
    name: str = "training",
    checkpoint: Path | str | None = None,
    every: float = 60.0,
    devices: Devices | None = None,
) -> Fit:
    """Trains a copy of `net` on `data.train`; the epoch that is best on `data.validation` is returned, the last where there is none.

    Every step draws `batch` examples without replacement, θ ← P(θ − rate · decay^epoch · transform(gradient)), and P projects on
    `net.parameter_bounds()`. Examples that do not fill a batch wait for another epoch's order. The best epoch is the first of the
    highest accuracy where targets are labels, and of the lowest loss elsewhere. The test set is evaluated and decides nothing; its
    phases settle by the estimator's method where that has a tolerance.

    **Arguments:**

    - `rates`: learning rates by glob pattern of the parameter's path, e.g. `{"conductances*": 0.2}`; a parameter that no pattern
      matches stays as it is.
    - `transform`: optax's, e.g. `optax.scale_by_adam()`; the plain gradient if not given. Fits that share one object share their
      compiled steps.
    - `console`: where the progress bar goes; to the terminal, where there is one, if not given. `name`: its label.
    - `checkpoint`: a file for the state of training, written at the start, at the end, and every `every` seconds when a chunk of
      steps ends. Where it exists, training goes on from it: on the same device and number of threads, bit for bit as if it had
      never stopped. A finished run returns at once.
    - `devices`: which share the examples of each batch equally; JAX's default device if not given.

    **Raises** `ValueError` for a pattern that matches nothing, labels beyond the outputs, and a batch that the devices cannot share;
    `TrainingError` with the step, and the phase or parameter, where a number is not finite; `NotSettledError` with the step and the
    phase that did not settle; `NudgeError` where the negative nudge reaches `nudge_bound` at a free state of the first batch of an
    epoch, where it is looked at; and `CheckpointError` for a file that is damaged or of another run, saying what differs.
    """
    run = Run(
        net, cost, on_device(data), estimator, rates, epochs, key, batch, decay, transform, CHUNK
    )
    with Display(console, [name], epochs) as display:
        return train(
            run, display.reporter(name), checkpoint=checkpoint, every=every, devices=devices
        )


def on_device(data: Data) -> Data:
    """The same data as JAX arrays, so that all epochs and seeds use one copy."""

    def put(split: Split) -> Split:
        return Split(jnp.asarray(split.x), jnp.asarray(split.y))  # pyright: ignore[reportArgumentType]

    return Data(
        put(data.train), put(data.test), None if data.validation is None else put(data.validation)
    )


def train(
    run: Run,
    report: Report,
    *,
    checkpoint: Path | str | None,
    every: float,
    devices: Devices | None,
) -> Fit:
    """`fit` for one run. It calls `report` between two chunks of steps, and an exception from there ends it."""
    steps, state = _Steps(run, devices), State.begin(run)
    keeper = None if checkpoint is None else Keeper(checkpoint, every, run)
    if keeper is not None:
        state = keeper.resume(state)
    state.params, state.moments = steps.everywhere((state.params, state.moments))
    before, start = state.seconds, time.perf_counter()

    def look_up() -> None:
        state.seconds = before + time.perf_counter() - start
        if keeper is not None:
            keeper.offer(state, now=state.epoch == run.epochs)
        report(state.epoch + state.step / run.steps, _said(state.history))

    while state.epoch < run.epochs:
        for _ in steps.rest_of_epoch(state):
            look_up()
        seen = _evaluations(run, eqx.combine(state.params, steps.fixed), state.epoch)
        state.close_epoch(seen | {"seconds": before + time.perf_counter() - start}, run)
        look_up()
    params = state.params if state.best is None else state.best
    history = {kind: np.array(values) for kind, values in state.history.items()}
    return Fit(
        eqx.combine(steps.home(params), eqx.filter(run.net, eqx.is_inexact_array, inverse=True)),
        history,
        run.best(history),
    )


class _Steps:
    """The training steps of a run, on its devices. Raises `ValueError` as `fit` does for its patterns and devices."""

    def __init__(self, run: Run, devices: Devices | None):
        params, fixed = eqx.partition(run.net, eqx.is_inexact_array)
        self._rates = by_pattern(params, run.rates, 0.0, "rates")
        self._bounds = by_pattern(
            params, run.net.parameter_bounds(), (-np.inf, np.inf), "parameter_bounds"
        )
        self._run, self._shares = run, None if devices is None else _shares(devices, run.batch)
        self.fixed, self._xs, self._ys = self.everywhere(
            (fixed, run.data.train.x, run.data.train.y)
        )

    def rest_of_epoch(self, state: State) -> Iterator[None]:
        """Takes the steps that `state` has still to take in its epoch, and pauses after each chunk of them."""
        run = self._run
        if state.step == 0:
            first = run.order(state.epoch)[0]
            _check_nudge(
                run.estimator,
                eqx.combine(state.params, self.fixed),
                run.cost,
                self._xs[first],
                self._ys[first],
            )
        for arguments in self.chunks(state):
            (params, moments), seen = _train(*arguments)
            loss, right, settled, finite = map(np.asarray, seen)
            if not (finite and settled.all() and np.isfinite(loss).all()):
                _, closer = _train(*arguments, closely=True)
                raise failure(
                    closer, run.estimator, paths(state.params), state.epoch * run.steps + state.step
                )
            state.advance(params, moments, loss, right)
            yield

    def chunks(self, state: State) -> Iterator[tuple]:
        """The arguments of `_train` for each chunk of steps, made when it is asked for."""
        run = self._run
        rates = jax.tree.map(
            lambda rate: jnp.asarray(float(rate * run.decay**state.epoch)), self._rates
        )
        order, draws = run.order(state.epoch), run.draws(state.epoch)
        settings = (
            self.fixed,
            rates,
            self._bounds,
            run.estimator,
            run.cost,
            run.transform,
            self._xs,
            self._ys,
        )
        for at in range(state.step, run.steps, run.chunk):
            chosen = order[at : at + run.chunk]
            numbers = np.arange(at, at + len(chosen), dtype=np.int32)
            yield (state.params, state.moments, *settings, chosen, numbers, draws, self._shares)

    def everywhere(self, tree: Any) -> Any:
        """The arrays of `tree` on all the devices, where devices were given."""
        if self._shares is None:
            return tree
        whole = NamedSharding(self._shares.mesh, PartitionSpec())
        return jax.tree.map(
            lambda leaf: jax.device_put(leaf, whole) if eqx.is_array(leaf) else leaf, tree
        )

    def home(self, tree: Any) -> Any:
        """The arrays of `tree` on the default device, where they were everywhere."""
        return (
            tree
            if self._shares is None
            else jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), tree)
        )


def _shares(devices: Devices, batch: int) -> NamedSharding:
    """The leading axis of an array, the examples of a batch, in equal shares on the devices."""
    if not devices or batch % len(devices):
        raise ValueError(
            f"`batch` must be divisible by the number of devices, but they are {batch} and {len(devices)}"
        )
    return NamedSharding(Mesh(np.array(devices), ("batch",)), PartitionSpec("batch"))


# The old parameters are not donated: from them the steps that went wrong are run again.
@eqx.filter_jit
def _train(
    params,
    moments,
    fixed,
    rates,
    bounds,
    estimator,
    cost,
    transform,
    xs,
    ys,
    order,
    numbers,
    draws,
    shares=None,
    closely=False,
) -> tuple[Any, Any]:
    """Training steps over `order` (steps, batch), counted from the start of the epoch by `numbers`.

    The last parameters and moments; and of each step the loss, the share of right decisions and whether all phases settled, and whether
    the last parameters are finite. With `closely`, instead of the latter, a `Look` at each step.
    """
    labels = ys.ndim == 1 and jnp.issubdtype(ys.dtype, jnp.integer)

    def project(old, update, rate, box):
        new = old - rate.astype(old.dtype) * update
        return jnp.where(
            jnp.isfinite(new), jnp.clip(new, *box), jnp.nan
        )  # a bound must not hide an infinity

    def step(carry, drawn):
        params, moments = carry
        chosen, key = drawn
        x, y = xs[chosen], ys[chosen]
        if shares is not None:
            x, y = jax.lax.with_sharding_constraint((x, y), shares)
        energy = eqx.combine(params, fixed)
        estimate = estimator.estimate(energy, cost, x, y, key)
        updates, moments = transform.update(estimate.grad, moments, params)
        params = jax.tree.map(project, params, updates, rates, bounds)
        if closely:
            return (params, moments), look(estimate, params)
        decisions = jax.vmap(lambda s: cost.decide(energy.outputs(s)))(estimate.free.state)
        right = jnp.mean(decisions == y) if labels else jnp.nan
        settled = estimate.free.settled.all() & (
            True if estimate.nudged is None else estimate.nudged.settled.all()
        )
        return (params, moments), (estimate.loss, right, settled)

    keys = jax.vmap(lambda number: jax.random.fold_in(draws, number))(numbers)
    following, seen = jax.lax.scan(step, (params, moments), (order, keys))
    return following, (seen if closely else (*seen, jnp.stack(all_finite(following[0])).all()))  # pyright: ignore[reportGeneralTypeIssues]


def calls_lapack(run: Run) -> bool:
    """Whether the compiled steps of a run, or its evaluation, call LAPACK or an FFT on the CPU; they are traced, and not run.

    Inside such a call a thread of XLA's pool waits for others of the same pool (jaxlib 0.10). Two programs that do so at the same time
    can wait for each other for ever.
    """
    chunk = next(_Steps(run, None).chunks(State.begin(run)))
    programs = (
        _train.lower(*chunk),
        lower_evaluation(run.net, run.cost, run.data.test, _evaluating(run)),
    )
    return any(
        "lapack_" in text or "stablehlo.fft" in text
        for text in (program.as_text() for program in programs)
    )


def _check_nudge(estimator: Estimator, net: Energy, cost: Cost, xs: Array, ys: Array) -> None:
    strength = estimator.strongest_negative_nudge()
    if strength > 0:
        states = _free_states(net, xs)
        if all(
            map(bool, all_finite(states))
        ):  # where they are not, the step that follows says what is not
            require_convex(strength, net, cost, xs, ys, states, "free")


_free_states = eqx.filter_jit(lambda net, xs: jax.vmap(lambda x: settle(net, x).state)(xs))


def _evaluations(run: Run, net: Energy, epoch: int) -> dict[str, float]:
    """Loss and accuracy on each split that is held out."""
    seen = {}
    for name, split in run.held_out.items():
        try:
            found = evaluate(net, run.cost, split, method=_evaluating(run))
        except NotSettledError as error:
            raise NotSettledError(f"`data.{name}` after epoch {epoch}: {error}") from None
        seen |= {f"{name}_loss": found.loss, f"{name}_accuracy": found.accuracy}
    return seen


def _evaluating(run: Run) -> Method | None:
    """How free phases that are evaluated settle: as the estimator's do, where these settle to a tolerance."""
    method = run.estimator.method
    return None if method is None or method.tolerance is None else method


def _said(history: Mapping[str, Sequence[float]]) -> str:
    """The last epoch in a line."""
    last = {kind: values[-1] for kind, values in history.items() if values}
    return (
        f"loss {last['loss']:.5f}  train {last['train_accuracy']:.2%}  test {last['test_accuracy']:.2%}"
        if last
        else ""
    )
