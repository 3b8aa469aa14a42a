"""The training steps of a run: what is compiled, and on which devices."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from ..energies import Energy
from ..estimators import require_convex
from ..settling.compilation import jit_by_size
from ..settling.default import first_briefly
from ..settling.equilibrium import Method, NotSettledError
from ..settling.relaxation import settle
from .diagnosis import all_finite, failure, look
from .evaluation import evaluation_method, lower_evaluation
from .optimizers import updated
from .patterns import paths
from .runs import Run
from .settled import LIMIT, gradient_of_kept, settling
from .state import RECORDS, TrainingState

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
            rows = run.order(state.epoch)[0]
            _check_nudge(run, eqx.combine(state.params, self.fixed), self._xs, self._ys, rows)

        for arguments in self.chunks(state):
            (params, moments), (records, finite) = first_briefly(
                run.estimator.method,
                run.net,
                lambda method, chunk=arguments: self._take(chunk, method),
                lambda taken: not taken[1][0]["unsettled"].any(),
            )
            records = {name: np.asarray(values, float) for name, values in records.items()}
            unsettled = self._too_many(state, records["unsettled"])
            counted = records["unsettled"] < run.batch
            if unsettled or not (finite and np.isfinite(records["loss"][counted]).all()):
                raise self._failure(state, arguments, unsettled)
            state.advance(params, moments, records)
            yield

    def _take(self, arguments: dict[str, Any], method: Method | None) -> tuple[Any, Any]:
        """Take a chunk of steps whose phases settle by `method`."""
        chosen: dict[str, Any] = arguments | {"estimator": self._run.estimator.by(method)}
        return train_steps(**chosen)

    def _too_many(self, state: TrainingState, unsettled: np.ndarray) -> bool:
        """Return whether more examples have not settled than `unsettled` of the run allows."""
        if self._run.unsettled == "raise":
            return bool(unsettled.any())
        count = np.sum(state.records["unsettled"]) + np.sum(unsettled)
        return bool(count > LIMIT * self._run.steps * self._run.batch)

    def _failure(
        self, state: TrainingState, arguments: dict[str, Any], unsettled: bool
    ) -> Exception:
        """Return what went wrong in a chunk of steps, by taking them again."""
        run, begun = self._run, state.epoch * self._run.steps + state.step
        _, looks = train_steps(**arguments, closely=True)
        rows = run.order(state.epoch)[state.step : state.step + run.chunk]
        error = failure(looks, run, paths(state.params), begun, rows, unsettled)
        if unsettled and run.unsettled == "skip":
            return NotSettledError(
                f"more than {LIMIT:.0%} of the examples of epoch {state.epoch} did not settle: "
                f"{error}"
            )
        return error

    def chunks(self, state: TrainingState) -> Iterator[dict[str, Any]]:
        """Yield the arguments of `train_steps` for each chunk of steps, built when asked for."""
        run = self._run
        decayed = jax.tree.map(
            lambda scale: np.asarray(float(scale * run.decay**state.epoch)), self._scales
        )
        order, draws = run.order(state.epoch), run.draws(state.epoch)
        settings = {
            "fixed": self.fixed,
            "scales": decayed,
            "bounds": self._bounds,
            "estimator": run.estimator,
            "cost": run.cost,
            "optimizer": run.descent,
            "skip": run.unsettled == "skip",
            "xs": self._xs,
            "ys": self._ys,
            "draws": draws,
            "shares": self._shares,
        }
        for at in range(state.step, run.steps, run.chunk):
            rows = order[at : at + run.chunk]
            numbers = np.arange(at, at + len(rows), dtype=np.int32)
            begun = {"params": state.params, "moments": state.moments}
            yield settings | begun | {"order": rows, "numbers": numbers}

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
@functools.partial(jit_by_size, often=True)
def train_steps(
    params,
    moments,
    fixed,
    scales,
    bounds,
    estimator,
    cost,
    optimizer,
    skip,
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
    - `skip`: whether examples whose phases have not settled are left out.
    - `xs`, `ys`: the training set.
    - `order`: the rows of each step, (steps, batch); `numbers`: of the steps, from the start of
      the epoch; `draws`: the key from which each step's is folded.
    - `shares`: how a batch lies on the devices.
    - `closely`: whether to return a `StepLook` at each step.

    **Returns** the last parameters and moments; and, of each step, what `RECORDS` names, and
    whether the last parameters are finite.
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
        settled = settling(net, estimator, estimate)
        loss, gradient = _over_kept(net, estimator, cost, x, y, estimate, settled, skip)

        learning, resting = eqx.partition(params, learns)
        gradient = eqx.filter(gradient, learns)
        updates, moments = optimizer.update(gradient, moments, learning)
        learning = jax.tree.map(updated, learning, updates, scales, bounds)
        params = eqx.combine(learning, resting)
        if closely:
            return (params, moments), look(estimate, settled, loss, gradient, params)

        kept = settled.examples
        decisions = jax.vmap(lambda s: cost.decide(net.outputs(s)))(estimate.free.state)
        right = jnp.mean(decisions == y, where=kept if skip else None) if labels else jnp.nan
        record = (loss, right, jnp.sum(~kept), settled.error)
        return (params, moments), dict(zip(RECORDS, record, strict=True))

    keys = jax.vmap(lambda number: jax.random.fold_in(draws, number))(numbers)
    following, record = jax.lax.scan(step, (params, moments), (order, keys))
    if closely:
        return following, record
    return following, (record, jnp.stack(all_finite(following[0])).all())


def _over_kept(net, estimator, cost, x, y, estimate, settled, skip) -> tuple[Array, Any]:
    """Return the mean cost and gradient of a batch, with `skip` of the examples that settled."""
    if not skip:
        return estimate.loss, estimate.grad
    losses = jax.vmap(lambda s, y: cost(net.outputs(s), y))(estimate.free.state, y)
    loss = jnp.mean(losses, where=settled.examples)
    return loss, gradient_of_kept(net, estimator, x, estimate, settled.examples)


def calls_lapack(run: Run) -> bool:
    """Return whether the steps of a run, or its evaluation, call LAPACK or an FFT on the CPU.

    They are traced, and not run. Inside such a call a thread of XLA's pool waits for others of the
    same pool (jaxlib 0.10), so that two programs that do so at the same time can wait for each
    other for ever.
    """
    chunk = next(Steps(run, None).chunks(TrainingState.begin(run)))
    method = evaluation_method(run.estimator)
    programs = (
        train_steps.lower(**chunk),
        lower_evaluation(run.net, run.cost, run.data.test, method),
    )
    return any(
        "lapack_" in text or "stablehlo.fft" in text
        for text in (program.as_text() for program in programs)
    )


def _check_nudge(
    run: Run, net: Energy, xs: Array, ys: Array, rows: Int[np.ndarray, " batch"]
) -> None:
    """Raise `NudgeError` where the negative nudge is too strong at a free state of a batch.

    The batch is that of the `rows` of `xs` and `ys`.
    """
    strength = run.estimator.strongest_negative_nudge()
    if strength > 0:
        x, y, states, settled, finite = _free_phases(net, xs, ys, rows)
        if run.unsettled == "skip":
            keep = np.flatnonzero(np.asarray(settled & finite))
            if len(keep):
                x, y, states = jax.tree.map(lambda leaf: leaf[keep], (x, y, states))
                require_convex(strength, net, run.cost, x, y, states, "free")
        # Where states are not finite, the step that follows says what is not.
        elif finite.all():
            require_convex(strength, net, run.cost, x, y, states, "free")


@jit_by_size
def _free_phases(net, xs, ys, rows):
    """Return examples, their free states, and whether each has settled and is finite."""
    x, y = xs[rows], ys[rows]
    free = jax.vmap(lambda x: settle(net, x))(x)
    finite = jax.vmap(lambda state: jnp.stack(all_finite(state)).all())(free.state)
    return x, y, free.state, free.settled, finite
