"""What went wrong in a training step: known by running the steps in question again."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..estimators import ContrastEstimator, Estimate, Estimator
from ..settling.equilibrium import Equilibrium, NotSettledError
from .patterns import paths
from .runs import Run
from .settled import Settling


class TrainingError(RuntimeError):
    """Training met a number that is not finite."""


class PhaseLook(eqx.Module):
    """One phase of a batch, by example.

    - `finite`: whether its state is finite.
    - `settled`: whether it has settled, in the sense of `settling`.
    - `error`, `steps`: as of its `Equilibrium`.
    """

    finite: Bool[Array, "*steps batch"]
    settled: Bool[Array, "*steps batch"]
    error: Float[Array, "*steps batch"]
    steps: Int[Array, "*steps batch"]


class StepLook(eqx.Module):
    """All that can go wrong in a training step.

    - `free`, `nudged`: its phases; the latter with a leading axis of nudges, or `None`.
    - `loss`, `gradient`, `parameters`: whether they are finite, the last two by leaf.
    """

    free: PhaseLook
    nudged: PhaseLook | None
    loss: Bool[Array, "*steps"]
    gradient: list[Bool[Array, "*steps"]]
    parameters: list[Bool[Array, "*steps"]]


def look(
    estimate: Estimate, settled: Settling, loss: Array, gradient: Any, parameters: Any
) -> StepLook:
    """Return a closer look at one step. For use under `jit`, where `scan` adds a leading axis.

    **Arguments:**

    - `estimate`: of the step's batch.
    - `settled`: which of its phases have settled.
    - `loss`, `gradient`: of the examples that count.
    - `parameters`: what the step ends with.
    """
    nudged = None
    if estimate.nudged is not None and settled.nudged is not None:
        nudged = jax.vmap(_phase)(estimate.nudged, settled.nudged)
    return StepLook(
        _phase(estimate.free, settled.free),
        nudged,
        jnp.isfinite(loss),
        all_finite(gradient),
        all_finite(parameters),
    )


def all_finite(tree: Any) -> list[Bool[Array, ""]]:
    """Return for each leaf of `tree` whether all its numbers are finite."""
    return [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]


def _phase(phase: Equilibrium, settled: Bool[Array, " batch"]) -> PhaseLook:
    finite = jax.vmap(lambda state: jnp.stack(all_finite(state)).all())(phase.state)
    return PhaseLook(finite, settled, phase.error, phase.steps)


def failure(
    looks: StepLook,
    run: Run,
    names: list[str],
    first: int,
    rows: Int[np.ndarray, "steps batch"],
    unsettled: bool,
) -> TrainingError | NotSettledError:
    """Return the error that names the first step in which something went wrong, and what did.

    Of several things in one step it names the first in the order in which they are computed.

    **Arguments:**

    - `looks`: of consecutive steps.
    - `run`: the run to which they belong.
    - `names`: of the parameters.
    - `first`: the number of the first step.
    - `rows`: the rows of `data.train` that the steps took.
    - `unsettled`: whether phases that have not settled are to be named.
    """
    looks = jax.tree.map(np.asarray, looks)
    for index in range(len(rows)):
        step = jax.tree.map(lambda leaf, i=index: leaf[i], looks)
        error = _error(
            step, run, names, f"at training step {first + index}", rows[index], unsettled
        )
        if error is not None:
            return error
    return TrainingError(
        f"a number is not finite in one of the training steps {first} to {first + len(rows) - 1}"
    )


def _error(
    step: StepLook,
    run: Run,
    names: list[str],
    when: str,
    rows: Int[np.ndarray, " batch"],
    unsettled: bool,
) -> TrainingError | NotSettledError | None:
    """Return what is wrong in one step; `None` where all is well."""
    for position, (name, phase) in enumerate(_phases(step, run.estimator)):
        if unsettled and not phase.finite.all():
            row = rows[np.argmin(phase.finite)]
            return TrainingError(f"{name} of example {row} of `data.train` is not finite {when}")
        if unsettled and not phase.settled.all():
            return _not_settled(name, phase, run, when, rows)
        if position == 0 and not step.loss:
            return TrainingError(f"the loss is not finite {when}")

    learning = paths(run.learning(run.params))
    for kind, among, leaves in (
        ("gradient", learning, step.gradient),
        ("update", names, step.parameters),
    ):
        for name, finite in zip(among, leaves, strict=True):
            if not finite:
                return TrainingError(f"the {kind} of {name} is not finite {when}")
    return None


def _phases(step: StepLook, estimator: Estimator) -> list[tuple[str, PhaseLook]]:
    """Return the phases of a step, by name, in their order."""
    phases = [("the free phase", step.free)]
    if step.nudged is not None:
        count = len(step.nudged.finite)
        for k in range(count):
            phase = jax.tree.map(lambda leaf, k=k: leaf[k], step.nudged)
            phases.append((f"nudged phase {k + 1}{_strength(estimator, k, count)}", phase))
    return phases


def _strength(estimator: Estimator, index: int, count: int) -> str:
    """Return how strong the nudge of a phase is, for an estimator that says so."""
    if not isinstance(estimator, ContrastEstimator):
        return ""
    nudges = np.asarray(estimator.stencil.nudges)
    return f" (nudge = {nudges[index]:.4g})" if nudges.shape == (count,) else ""


def _not_settled(
    name: str, phase: PhaseLook, run: Run, when: str, rows: Int[np.ndarray, " batch"]
) -> NotSettledError:
    """Return the error for the example of a batch whose phase is furthest from settled."""
    errors = np.where(phase.settled, -np.inf, np.nan_to_num(phase.error, nan=np.inf))
    worst, count = int(np.argmax(errors)), int((~phase.settled).sum())
    others = f", and of {count - 1} more of its batch," if count > 1 else ""
    method = run.estimator.method
    tried = "the default method" if method is None else str(method)
    skip = "" if run.unsettled == "skip" else ', leave such examples out by `unsettled="skip"`'
    return NotSettledError(
        f"{name} of example {rows[worst]} of `data.train`{others} did not settle {when}: after "
        f"{phase.steps[worst]} steps of {tried} its error is {phase.error[worst]:.3g}. Give the "
        "estimator another `method`, more steps or a larger `tolerance`, lower the rates that "
        f"brought the parameters there{skip}"
    )
