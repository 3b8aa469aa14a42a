"""What made a number that is not finite, or a phase that does not settle: found by running the steps in question again."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..estimators import ContrastEstimator, Estimate, Estimator
from ..settling.equilibrium import Equilibrium, NotSettledError


class TrainingError(RuntimeError):
    """Training met a number that is not finite."""


class Phase(eqx.Module):
    """Of one phase of a batch: whether its states are finite, whether they settled, and the largest `Equilibrium.error`."""

    finite: Bool[Array, "*steps"]
    settled: Bool[Array, "*steps"]
    error: Float[Array, "*steps"]


class Look(eqx.Module):
    """All that can go wrong in a training step: its phases, and whether loss, gradient and new parameters are finite, by leaf."""

    free: Phase
    nudged: Phase | None
    loss: Bool[Array, "*steps"]
    gradient: list[Bool[Array, "*steps"]]
    parameters: list[Bool[Array, "*steps"]]


def look(estimate: Estimate, parameters: Any) -> Look:
    """A closer look at one step. For use under `jit`; under `scan` every leaf gets a leading axis."""
    return Look(
        _phase(estimate.free),
        None if estimate.nudged is None else jax.vmap(_phase)(estimate.nudged),
        jnp.isfinite(estimate.loss),
        all_finite(estimate.grad),
        all_finite(parameters),
    )


def all_finite(tree: Any) -> list[Bool[Array, ""]]:
    """Whether all numbers of each leaf are finite."""
    return [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]


def _phase(phase: Equilibrium) -> Phase:
    return Phase(
        jnp.stack(all_finite(phase.state)).all(), jnp.all(phase.settled), jnp.max(phase.error)
    )


def failure(
    seen: Look, estimator: Estimator, names: list[str], first: int
) -> TrainingError | NotSettledError:
    """The error that names the first step and the first thing in it that went wrong, in the order in which they are computed.

    **Arguments:** `seen`: of consecutive steps, from number `first` on. `names`: of the parameters.
    """
    seen = jax.tree.map(np.asarray, seen)
    steps = len(seen.loss)
    for index in range(steps):
        problem = _problem(jax.tree.map(lambda leaf, i=index: leaf[i], seen), estimator, names)
        if problem is not None:
            what, worst = problem
            if worst is None:
                return TrainingError(f"{what} is not finite at training step {first + index}")
            moved = f"one more step at a node would still move it by {worst:.3g}"
            return NotSettledError(
                f"{what} did not settle at training step {first + index}: {moved}"
            )
    return TrainingError(
        f"a number is not finite in one of the training steps {first} to {first + steps - 1}"
    )


def _problem(seen: Look, estimator: Estimator, names: list[str]) -> tuple[str, float | None] | None:
    """What is wrong in one step, and for an unsettled phase its error; `None` where all is well."""
    phases = [("the free phase", seen.free)]
    if seen.nudged is not None:
        count = len(seen.nudged.finite)
        phases += [
            (
                f"nudged phase {k + 1}{_strength(estimator, k, count)}",
                jax.tree.map(lambda leaf, k=k: leaf[k], seen.nudged),
            )
            for k in range(count)
        ]
    for position, (name, phase) in enumerate(phases):
        if not phase.finite:
            return name, None
        if not phase.settled:
            return name, float(phase.error)
        if position == 0 and not seen.loss:
            return "the loss", None
    for kind, leaves in (("gradient", seen.gradient), ("update", seen.parameters)):
        for name, finite in zip(names, leaves, strict=True):
            if not finite:
                return f"the {kind} of {name}", None
    return None


def _strength(estimator: Estimator, index: int, count: int) -> str:
    """How strong the nudge of a phase is, for an estimator that says so."""
    if not isinstance(estimator, ContrastEstimator):
        return ""
    nudges = np.asarray(estimator.stencil.nudges)
    return f" (nudge = {nudges[index]:.4g})" if nudges.shape == (count,) else ""
