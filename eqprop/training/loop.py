"""Training: `fit`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, PRNGKeyArray
from rich.console import Console

from ..costs import Cost
from ..data import Data, Split
from ..energies import Energy
from ..estimators import Estimator
from ..settling.equilibrium import NotSettledError
from .evaluation import evaluate, evaluation_method
from .progress import Display, Report
from .runs import Run
from .state import CheckpointFile, TrainingState
from .steps import Devices, Steps

CHUNK = 500
"""Training steps that run as one compiled scan between two looks of the host."""


@dataclass(frozen=True)
class Fit:
    """A trained network.

    - `net`: the network.
    - `epoch`: the epoch after which it was taken, counted from 0.
    - `history`: one number an epoch, by name: `loss` and `train_accuracy`, seen in passing before
      each update; `unsettled`, how many examples were left out; `phase_error`, the largest error
      of a settled phase over what the nudge moves, NaN where phases take a fixed number of steps;
      `test_loss` and `test_accuracy` after the epoch; `validation_loss` and `validation_accuracy`
      where there is a validation set; `seconds` since the start.
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
    rates: Mapping[str, float] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int,
    key: PRNGKeyArray,
    batch: int = 4,
    decay: float = 1.0,
    unsettled: Literal["raise", "skip"] = "raise",
    console: Console | None = None,
    name: str = "training",
    checkpoint: Path | str | None = None,
    every: float = 60.0,
    devices: Devices | None = None,
) -> Fit:
    """Train a copy of `net` on `data.train`.

    Every step draws `batch` examples without replacement and sets

        θ ← P(θ + rate · decay^epoch · u),

    u being the update of `optimizer`, −∂C/∂θ where none is given, and P the projection on
    `net.parameter_bounds()`. Examples that do not fill a batch wait for another epoch's order.

    **Arguments:**

    - `net`: the network; its inexact arrays are the parameters.
    - `cost`: the cost C(outputs, y) of one example, whose batch mean falls.
    - `data`: the training, test and validation sets. The epoch that is best on `data.validation`
      is returned, the last where there is none: the first of the highest accuracy where targets
      are labels, and of the lowest loss elsewhere. The test set is evaluated and decides nothing.
    - `estimator`: what estimates the gradient. Held-out phases settle by its method, where that
      has a tolerance.
    - `rates`: by glob pattern of a parameter's path, e.g. `{"conductances*": 0.2}`: alone, the
      learning rates of plain gradient descent; with `optimizer`, factors of its updates. A
      parameter that no pattern matches does not learn, and the optimiser does not see it.
    - `optimizer`: an optimiser of optax, e.g. `optax.adam(1e-3)`; a schedule in it counts steps,
      not epochs. All parameters learn, by a rate of 1, where no `rates` are given. Fits that
      share one object share their compiled steps.
    - `epochs`: how often the training set is gone through.
    - `key`: draws the order of the examples and what the estimator draws.
    - `batch`: the number of examples in a step.
    - `decay`: the factor by which an epoch's updates are smaller than those of the one before.
    - `unsettled`: what becomes of an example of which a phase does not settle: it ends training
      (`"raise"`), or is left out of the batch's mean and counted in the history (`"skip"`), which
      ends training too where more than a tenth of an epoch's examples do so. A phase has settled
      where its method says so; where the estimator names no method, also where its error is below
      a thousandth of what the nudge moves, or a free phase's below 10⁻⁶ of `Energy.scale`.
    - `console`: where the progress bar goes; if not given, to the terminal, where there is one.
    - `name`: the label of the progress bar.
    - `checkpoint`: a file for the state of training, written at the start, at the end, and every
      `every` seconds when a chunk of steps ends. Where it exists, training goes on from it: on
      the same device and number of threads, bit for bit as if it had never stopped. A finished
      run returns at once.
    - `every`: the least time between two checkpoints, in seconds.
    - `devices`: which share the examples of each batch equally; JAX's default device if not given.

    **Returns** the trained network with its history.

    **Raises**

    - `ValueError` where neither `rates` nor `optimizer` is given; for a pattern that matches
      nothing, an optimiser that climbs, targets that are not finite, labels beyond the outputs,
      and a batch that the devices cannot share.
    - `TrainingError` with the step, and the phase or parameter, where a number is not finite.
    - `NotSettledError` with the step, the phase and the example that did not settle.
    - `NudgeError` where the negative nudge reaches `nudge_bound` at a free state of the first
      batch of an epoch, where it is looked at.
    - `CheckpointError` for a file that is damaged, of another run, saying what differs, or in use
      by another training.
    """
    run = Run(
        net=net,
        cost=cost,
        data=on_device(data),
        estimator=estimator,
        rates=rates,
        optimizer=optimizer,
        epochs=epochs,
        key=key,
        batch=batch,
        decay=decay,
        unsettled=unsettled,
        chunk=CHUNK,
    )
    with Display(console, [name], epochs) as display:
        return train(
            run, display.reporter(name), checkpoint=checkpoint, every=every, devices=devices
        )


def on_device(data: Data) -> Data:
    """Return the same data as JAX arrays, so that all epochs and seeds use one copy."""

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
    """Train as `fit` does.

    **Arguments:**

    - `run`: all that determines the result.
    - `report`: called between two chunks of steps with the epochs done and a line about the last;
      an exception from there ends training.
    - `checkpoint`, `every`, `devices`: as of `fit`.
    """
    if checkpoint is None:
        return _train(run, report, None, devices)
    with CheckpointFile(checkpoint, every, run) as file:
        return _train(run, report, file, devices)


def _train(run: Run, report: Report, file: CheckpointFile | None, devices: Devices | None) -> Fit:
    """Train as `train` does, with the file that keeps the state, if any."""
    steps, state = Steps(run, devices), TrainingState.begin(run)
    if file is not None:
        state = file.resume(state)
    state.params, state.moments = steps.everywhere((state.params, state.moments))
    before, start = state.seconds, time.perf_counter()

    def pause() -> None:
        state.seconds = before + time.perf_counter() - start
        if file is not None:
            file.update(state, now=state.epoch == run.epochs)
        report(state.epoch + state.step / run.steps, progress_line(state.history))

    while state.epoch < run.epochs:
        for _ in steps.rest_of_epoch(state):
            pause()
        evaluations = _evaluations(run, eqx.combine(state.params, steps.fixed), state.epoch)
        seconds = before + time.perf_counter() - start
        state.close_epoch(evaluations | {"seconds": seconds}, run)
        pause()

    params = state.params if state.best is None else state.best
    fixed = eqx.filter(run.net, eqx.is_inexact_array, inverse=True)
    history = {kind: np.array(values) for kind, values in state.history.items()}
    return Fit(eqx.combine(steps.home(params), fixed), history, run.best(history))


def _evaluations(run: Run, net: Energy, epoch: int) -> dict[str, float]:
    """Return the loss and accuracy on each split that is held out."""
    method, numbers = evaluation_method(run.estimator), {}
    for name, split in run.held_out.items():
        try:
            evaluation = evaluate(net, run.cost, split, method=method)
        except NotSettledError as error:
            raise NotSettledError(f"`data.{name}` after epoch {epoch}: {error}") from None
        numbers |= {f"{name}_loss": evaluation.loss, f"{name}_accuracy": evaluation.accuracy}
    return numbers


def progress_line(history: Mapping[str, Sequence[float]]) -> str:
    """Return the last epoch of a history in a line."""
    last = {kind: values[-1] for kind, values in history.items() if values}
    if not last:
        return ""
    line = f"loss {last['loss']:.5f}  train {last['train_accuracy']:.2%}"
    line += f"  test {last['test_accuracy']:.2%}"
    if np.isfinite(last["phase_error"]):
        line += f"  phases settled to {last['phase_error']:.0e} of the nudge"
    if last["unsettled"]:
        line += f"  {last['unsettled']:.0f} examples left out"
    return line
