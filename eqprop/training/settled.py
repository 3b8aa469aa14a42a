"""What counts as settled in training and evaluation, and the gradient without what does not."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..energies import Energy, State, largest
from ..estimators import ContrastEstimator, Estimate, Estimator
from ..settling.equilibrium import Equilibrium

SHARE = 1e-3
"""A phase has settled whose error is below this share of what its nudge moves."""

NEAR = 1e-6
"""A free phase has settled whose error is below this share of `Energy.scale`."""

LIMIT = 0.1
"""The share of an epoch's examples that may be left out before training stops."""


class Settling(eqx.Module):
    """How well the phases of a batch have settled.

    - `free`, `nudged`: whether each phase has; `nudged` is `None` where there is no nudge.
    - `error`: the largest error of a phase of an example whose phases all have, in units of what
      the nudge moves; NaN where there is no nudge, or phases take a fixed number of steps.
    """

    free: Bool[Array, " batch"]
    nudged: Bool[Array, "nudges batch"] | None
    error: Float[Array, ""]

    @property
    def examples(self) -> Bool[Array, " batch"]:
        """Whether all phases of each example have settled."""
        return self.free if self.nudged is None else self.free & self.nudged.all(0)


def settling(net: Energy, estimator: Estimator, estimate: Estimate) -> Settling:
    """Return how well the phases of a batch have settled, as a pure function.

    A phase has settled where its method says so. Where the estimator names no method it also has
    where its error is below `SHARE` of the displacement that the nudge makes in the batch, in the
    leaf of the state that moves least; and a free phase where it is within `NEAR` of its scale.

    **Arguments:**

    - `net`: the network.
    - `estimator`: what has made the estimate.
    - `estimate`: of a batch.
    """
    free, nudged, method = estimate.free, estimate.nudged, estimator.method
    unknown = jnp.full((), jnp.nan, free.error.dtype)
    if nudged is None:
        return Settling(free.settled, None, unknown)
    if method is not None and method.tolerance is None:
        return Settling(free.settled, nudged.settled, unknown)

    moved = jax.vmap(_displacement)(estimate.displacements)
    reach = jnp.min(moved)
    settled = Settling(free.settled, nudged.settled, unknown)
    if method is None:
        settled = Settling(
            free.settled | (free.error <= SHARE * reach) | jax.vmap(partial(near, net))(free),
            nudged.settled | (nudged.error <= SHARE * moved[:, None]),
            unknown,
        )

    errors = jnp.maximum(free.error, jnp.max(nudged.error, axis=0))
    shares = jnp.where(settled.examples & (reach > 0), errors / jnp.where(reach > 0, reach, 1), 0)
    return Settling(settled.free, settled.nudged, jnp.max(shares))


def _displacement(displacements: State) -> Float[Array, ""]:
    """Return how far the nudge moves the leaf that it moves least; 0 where it moves none."""
    sizes = jnp.stack([largest(leaf) for leaf in jax.tree.leaves(displacements)])
    least = jnp.min(jnp.where(sizes > 0, sizes, jnp.inf))
    return jnp.where(jnp.isfinite(least), least, 0.0)


def near(net: Energy, free: Equilibrium) -> Bool[Array, ""]:
    """Return whether the error of a free phase is within `NEAR` of `Energy.scale`.

    **Arguments:**

    - `net`: the network.
    - `free`: the phase of one example.
    """
    sizes = [jnp.min(leaf) for leaf in jax.tree.leaves(net.scale(free.state))]
    return free.error <= NEAR * jnp.min(jnp.stack(sizes))


def decides(outputs: Float[Array, " outputs"], free: Equilibrium) -> Bool[Array, ""]:
    """Return whether the error of a free phase leaves no doubt which of its outputs is largest.

    It must be below `SHARE` of the gap between the largest output and the next.

    **Arguments:**

    - `outputs`: what the network gives for one example.
    - `free`: the phase.
    """
    if outputs.size < 2:
        return jnp.asarray(False)
    first, second = jax.lax.top_k(outputs, 2)[0]
    return free.error <= SHARE * (first - second)


def require_skipping(estimator: Estimator) -> None:
    """Raise `ValueError` for an estimator from whose batches no example can be left out."""
    subtracts = getattr(estimator, "subtract", False)
    if not isinstance(estimator, ContrastEstimator) or subtracts:
        kind = type(estimator).__name__ + ("(subtract=True)" if subtracts else "")
        raise ValueError(
            "`unsettled` must be 'raise' for an estimator that does not contrast displacements, "
            f"but is 'skip' with {kind}"
        )


def gradient_of_kept(
    net: Energy,
    estimator: ContrastEstimator,
    xs: Float[Array, "batch ..."],
    estimate: Estimate,
    kept: Bool[Array, " batch"],
) -> Any:
    """Return the gradient of the mean over the examples that are `kept`; 0 where none is.

    The contrast is linear in the displacements, so that of an example left out becomes 0, at the
    free state of one that is kept: its own may be no numbers.

    **Arguments:**

    - `net`, `estimator`: as of the estimate.
    - `xs`: the inputs (batch, …).
    - `estimate`: of the batch.
    - `kept`: which examples count.

    **Returns** an energy like `net`, with `None` in place of what does not learn.
    """
    count = jnp.sum(kept)
    rows = jnp.where(kept, jnp.arange(kept.size), jnp.argmax(kept))
    free = jax.tree.map(lambda leaf: leaf[rows], estimate.free.state)

    def left_out(leaf):
        keep = kept.reshape(1, -1, *(1,) * (leaf.ndim - 2))
        return jnp.where(keep, leaf, 0)

    displacements = jax.tree.map(left_out, estimate.displacements)
    gradient = estimator.contrast(net, xs[rows], free, displacements)

    def mean_of_kept(leaf):
        factor = (kept.size / jnp.maximum(count, 1)).astype(leaf.dtype)
        return jnp.where(count > 0, factor * leaf, 0)

    return jax.tree.map(mean_of_kept, gradient)
