"""The training steps of a run: what is compiled, and on which devices."""

from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from ..costs import Cost
from ..energies import Energy
from ..estimators import Estimator, require_convex
from ..settling.relaxation import settle
from .diagnosis import all_finite, failure, look
from .evaluation import evaluation_method, lower_evaluation
from .optimizers import updated
from .patterns import paths
from .runs import Run
from .state import TrainingState

Devices = Sequence[jax.Device]  # pyright: ignore[reportInvalidTypeForm]


class Steps:
    """The training steps of a run, on its devices.

    **Arguments:**

    - `run`: the run.
    - `devices`: the devices that share each batch; JAX's default device for `None`.

    **Raises** `ValueError` as `fit` does for its patterns and devices.
    """

    def __init__(self, run: Run, devices: Devices | None):
        self._run, self._scales, self._bounds = run, run.scales, run.bounds
        self._shares = None if devices is None else _shares(devices, run.batch)
        fixed = eqx.filter(run.net, eqx.is_inexact_array, inverse=True)
        train = run.data.train
        self.fixed, self._xs, self._ys = self.everywhere((fixed, train.x, train.y))

    def rest_of_epoch(self, state: TrainingState) -> Iterator[None]:
        """Take the steps that `state` has still to take in its epoch; pause after each chunk.

        **Raises** `TrainingError`, `NotSettledError` and `NudgeError` as `fit` does.
        """
        run = self._run
        if state.step == 0:
            first = run.order(state.epoch)[0]
            net = eqx.combine(state.params, self.fixed)
            _check_nudge(run.estimator, net, run.cost, self._xs[first], self._ys[first])

        for arguments in self.chunks(state):
            (params, moments), record = train_steps(*arguments)
            losses, accuracies, settled, finite = map(np.asarray, record)
            if not (finite and settled.all() and np.isfinite(losses).all()):
                # The same steps again, with all that can have gone wrong in each of them.
                _, closer = train_steps(*arguments, closely=True)
                raise failure(
                    closer, run.estimator, paths(state.params), state.epoch * run.steps + state.step
                )
            state.advance(params, moments, losses, accuracies)
            yield

    def chunks(self, state: TrainingState) -> Iterator[tuple]:
        """Yield the arguments of `train_steps` for each chunk of steps, built when asked for."""
        run = self._run
        decayed = jax.tree.map(
            lambda scale: jnp.asarray(float(scale * run.decay**state.epoch)), self._scales
        )
        order, draws = run.order(state.epoch), run.draws(state.epoch)
        settings = (
            self.fixed,
            decayed,
            self._bounds,
            run.estimator,
            run.cost,
            run.descent,
            self._xs,
            self._ys,
        )
        for at in range(state.step, run.steps, run.chunk):
            rows = order[at : at + run.chunk]
            numbers = np.arange(at, at + len(rows), dtype=np.int32)
            yield (state.params, state.moments, *settings, rows, numbers, draws, self._shares)

    def everywhere(self, tree: Any) -> Any:
        """Return `tree` with its arrays on all the devices, where devices were given."""
        if self._shares is None:
            return tree
        whole = NamedSharding(self._shares.mesh, PartitionSpec())
        return jax.tree.map(
            lambda leaf: jax.device_put(leaf, whole) if eqx.is_array(leaf) else leaf, tree
        )

    def home(self, tree: Any) -> Any:
        """Return `tree` with its arrays on the default device, where devices were given."""
        if self._shares is None:
            return tree
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), tree)


def _shares(devices: Devices, batch: int) -> NamedSharding:
    """Return how the leading axis of an array, the batch, lies in equal parts on the devices."""
    if not devices or batch % len(devices):
        raise ValueError(
            "`batch` must be divisible by the number of devices, but they are "
            f"{batch} and {len(devices)}"
        )
    return NamedSharding(Mesh(np.array(devices), ("batch",)), PartitionSpec("batch"))


# The old parameters are not donated: from them the steps that went wrong are run again.
@eqx.filter_jit
def train_steps(
    params,
    moments,
    fixed,
    scales,
    bounds,
    estimator,
    cost,
    optimizer,
    xs,
    ys,
    order,
    numbers,
    draws,
    shares=None,
    closely=False,
) -> tuple[Any, Any]:
    """Take the training steps of `order`.

    **Arguments:**

    - `params`, `moments`: parameters and optimiser's state before the first step.
    - `fixed`: what else the network holds.
    - `scales`, `bounds`: of each parameter that learns; `None` in `scales` for what does not.
    - `estimator`, `cost`, `optimizer`: as of `fit`.
    - `xs`, `ys`: the training set.
    - `order`: the rows of each step, (steps, batch); `numbers`: of the steps, from the start of
      the epoch; `draws`: the key from which each step's is folded.
    - `shares`: how a batch lies on the devices.
    - `closely`: whether to return a `Look` at each step.

    **Returns** the last parameters and moments; and, of each step, the loss, the share of right
    decisions and whether all phases settled, and whether the last parameters are finite.
    """
    labels = ys.ndim == 1 and jnp.issubdtype(ys.dtype, jnp.integer)
    learns = jax.tree.map(lambda scale: scale is not None, scales, is_leaf=lambda s: s is None)

    def step(carry, drawn):
        params, moments = carry
        rows, key = drawn
        x, y = xs[rows], ys[rows]
        if shares is not None:
            x, y = jax.lax.with_sharding_constraint((x, y), shares)
        net = eqx.combine(params, fixed)
        estimate = estimator.estimate(net, cost, x, y, key)

        learning, resting = eqx.partition(params, learns)
        gradient = eqx.filter(estimate.grad, learns)
        updates, moments = optimizer.update(gradient, moments, learning)
        learning = jax.tree.map(updated, learning, updates, scales, bounds)
        params = eqx.combine(learning, resting)
        if closely:
            return (params, moments), look(estimate, params)

        decisions = jax.vmap(lambda s: cost.decide(net.outputs(s)))(estimate.free.state)
        accuracy = jnp.mean(decisions == y) if labels else jnp.nan
        settled = estimate.free.settled.all() & (
            True if estimate.nudged is None else estimate.nudged.settled.all()
        )
        return (params, moments), (estimate.loss, accuracy, settled)

    keys = jax.vmap(lambda number: jax.random.fold_in(draws, number))(numbers)
    following, record = jax.lax.scan(step, (params, moments), (order, keys))
    if closely:
        return following, record
    return following, (*record, jnp.stack(all_finite(following[0])).all())  # pyright: ignore[reportGeneralTypeIssues]


def calls_lapack(run: Run) -> bool:
    """Return whether the steps of a run, or its evaluation, call LAPACK or an FFT on the CPU.

    They are traced, and not run. Inside such a call a thread of XLA's pool waits for others of the
    same pool (jaxlib 0.10), so that two programs that do so at the same time can wait for each
    other for ever.
    """
    chunk = next(Steps(run, None).chunks(TrainingState.begin(run)))
    method = evaluation_method(run.estimator)
    programs = (
        train_steps.lower(*chunk),
        lower_evaluation(run.net, run.cost, run.data.test, method),
    )
    return any(
        "lapack_" in text or "stablehlo.fft" in text
        for text in (program.as_text() for program in programs)
    )


def _check_nudge(estimator: Estimator, net: Energy, cost: Cost, xs: Array, ys: Array) -> None:
    """Raise `NudgeError` where the negative nudge is too strong at a free state of a batch."""
    strength = estimator.strongest_negative_nudge()
    if strength > 0:
        states = _free_states(net, xs)
        # Where states are not finite, the step that follows says what is not.
        if all(map(bool, all_finite(states))):
            require_convex(strength, net, cost, xs, ys, states, "free")


_free_states = eqx.filter_jit(lambda net, xs: jax.vmap(lambda x: settle(net, x).state)(xs))
