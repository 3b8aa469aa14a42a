"""What every gradient estimator shares: its call with its checks, the free and nudged phases."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..costs import Cost, require_labels
from ..energies import Energy, State
from ..settling.compilation import jit_by_size
from ..settling.default import first_briefly
from ..settling.equilibrium import Equilibrium, Method, check, has_values, require_minimum
from ..settling.langevin import Langevin
from ..settling.phases import Displaced, Phase, displaced
from ..settling.relaxation import settle_batch
from .bounds import require_convex


class Estimate(eqx.Module):
    """A gradient with the phases it was computed from.

    - `loss`: the batch mean of the cost at the free states.
    - `grad`: the estimated gradient of that mean; an energy like the one given, with `None` in
      place of what does not learn.
    - `free`, `nudged`: the equilibria; leaves (batch, …) and (nudges, batch, …), `nudged` being
      `None` where there is no nudge.
    - `displacements`: nudged minus free states, (nudges, batch, …), to more digits than the states
      have; `None` where `nudged` is.
    """

    loss: Float[Array, ""]
    grad: Any
    free: Equilibrium
    nudged: Equilibrium | None = None
    displacements: State | None = None

    def __repr__(self) -> str:
        if not has_values(self):
            return super().__repr__()
        norm = np.sqrt(
            sum(float(jnp.sum(jnp.abs(leaf) ** 2)) for leaf in jax.tree.leaves(self.grad))
        )
        nudged = "" if self.nudged is None else f"; nudged phases: {self.nudged.certificate()}"
        return (
            f"Estimate: loss {float(self.loss):.6g}, norm of the gradient {norm:.4g}; "
            f"free phases: {self.free.certificate()}{nudged}"
        )


class Estimator(eqx.Module):
    """A way to estimate the gradient of a mean cost with respect to a network's parameters.

    Calling it checks the phases behind the estimate; `estimate` returns the same as a pure function
    that `jit` can compile. A subclass states `method`, which settles the phases (`None`:
    `default_method`), and `estimate`.
    """

    method: eqx.AbstractVar[Method | None]

    @abc.abstractmethod
    def estimate(
        self,
        net: Energy,
        cost: Cost,
        xs: Float[Array, "batch ..."],
        ys: Array,
        key: PRNGKeyArray | None = None,
    ) -> Estimate:
        """Return the estimate of one batch, unchecked; arguments as for calling the estimator."""

    def strongest_negative_nudge(self) -> float:
        """Return the largest |β| of a phase with β < 0; 0 where there is none."""
        return 0.0

    def __call__(
        self,
        net: Energy,
        cost: Cost,
        xs: Float[Array, "batch ..."],
        ys: Array,
        key: PRNGKeyArray | None = None,
    ) -> Estimate:
        """Return the estimate of one batch after checking its phases. Not for use under `jit`.

        **Arguments:**

        - `net`: the network; its inexact arrays are the parameters.
        - `cost`: the cost of one example.
        - `xs`: the inputs (batch, …), as the network takes them.
        - `ys`: the targets (batch, …), as the cost takes them.
        - `key`: the source of random numbers, for an estimator or a method that draws some.

        **Returns** an `Estimate`.

        **Raises** `NotSettledError` where a phase has not settled or is at no minimum, `NudgeError`
        where a negative nudge reaches `nudge_bound` at the free or at the nudged state of an
        example, `ValueError` where `xs` and `ys` differ in length or a label has no output, and
        `FloatingPointError` where the gradient is not finite.
        """
        xs, ys = jnp.asarray(xs), jnp.asarray(ys)
        if xs.ndim == 0 or ys.ndim == 0 or xs.shape[0] != ys.shape[0]:
            raise ValueError(
                "`xs` and `ys` must hold the same number of examples, but have shapes "
                f"{xs.shape} and {ys.shape}"
            )
        state = jax.eval_shape(lambda xs: net.init_state(xs[0]), xs)
        outputs = jax.eval_shape(net.outputs, state)
        require_labels(np.asarray(ys), outputs.shape[0])

        nodes = sum(leaf.size for leaf in jax.tree.leaves(state))
        estimate = first_briefly(
            self.method,
            net,
            lambda method: _estimate(self.by(method), net, cost, xs, ys, key, nodes=nodes),
            _settled,
        )
        check(estimate.free, "the free phase", self.method)
        minima = not isinstance(self.method, Langevin)  # whose mean state is no minimum
        if minima:
            require_minimum(estimate.free, "the free phase")
        strength = self.strongest_negative_nudge()
        if strength > 0:
            require_convex(strength, net, cost, xs, ys, estimate.free.state, "free")
        if estimate.nudged is not None:
            check(estimate.nudged, "the nudged phase", self.method)
            if minima:
                require_minimum(estimate.nudged, "the nudged phase")
            if strength > 0:
                nudged = jax.tree.map(np.asarray, estimate.nudged.state)
                for index in range(jax.tree.leaves(nudged)[0].shape[0]):
                    states = jax.tree.map(lambda s, i=index: jnp.asarray(s[i]), nudged)
                    require_convex(strength, net, cost, xs, ys, states, "nudged")
        paths, _ = jax.tree.flatten_with_path(estimate.grad)
        for path, leaf in paths:
            if not np.isfinite(np.asarray(leaf)).all():
                raise FloatingPointError(
                    f"the gradient of {jax.tree_util.keystr(path).lstrip('.')} is not finite, "
                    "though the phases have settled: E or the cost has no finite derivative there"
                )
        return estimate

    def by(self, method: Method | None) -> "Estimator":
        """Return this estimator with another method."""
        if method is self.method:
            return self
        return eqx.tree_at(lambda e: e.method, self, method, is_leaf=lambda leaf: leaf is None)


def _settled(estimate: Estimate) -> bool:
    """Return whether all phases of an estimate have settled."""
    phases = [phase for phase in (estimate.free, estimate.nudged) if phase is not None]
    return all(np.asarray(phase.settled).all() for phase in phases)


_estimate = jit_by_size(lambda estimator, *args: estimator.estimate(*args))


def free_phase(
    net: Energy,
    cost: Cost,
    xs: Float[Array, "batch ..."],
    ys: Array,
    method: Method | None,
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, ""], Equilibrium]:
    """Settle the free phases of a batch, as a pure function.

    **Arguments:** `net`, `cost`, `xs` (batch, …), `ys` (batch, …) and `key` as for an estimator;
    `method`: how phases are settled, `default_method` if `None`.

    **Returns** the batch mean of the cost at the free states, and the equilibria (batch, …).
    """
    free = settle_batch(_free, net, xs, method, key)
    return jnp.mean(jax.vmap(lambda s, y: cost(net.outputs(s), y))(free.state, ys)), free


def _free(net: Energy, x: Array) -> tuple[Energy, Array, None]:
    return net, x, None


def displaced_phases(
    phase: Callable[[Any, Any], Phase],
    shared: Any,
    targets: Any,
    xs: Float[Array, "batch ..."],
    free: State,
    method: Method | None,
    key: PRNGKeyArray | None,
) -> tuple[Equilibrium, State]:
    """Settle one phase of each example as a displacement from its free state, as a pure function.

    **Arguments:**

    - `phase`: gives the phase of one example from `shared` and the example's target.
    - `shared`: what all examples have in common, any pytree.
    - `targets`: what each has of its own; leaves (batch, …).
    - `xs`: the inputs (batch, …).
    - `free`: the free states; leaves (batch, …).
    - `method`, `key`: as for `free_phase`.

    **Returns** the equilibria in the units of the network's own state, and the displacements from
    the free states; leaves (batch, …).
    """
    examples = (targets, xs, free)
    return settle_batch(_Displacing(phase), shared, examples, method, key, _in_units_of_the_state)


def _in_units_of_the_state(
    energy: Displaced, equilibrium: Equilibrium
) -> tuple[Equilibrium, State]:
    """Return a displaced phase in the units of the network's own state, and its displacement."""
    displacement = energy.displacement(equilibrium.state)
    converted = (
        energy.here(equilibrium.state),
        energy.displacement(equilibrium.residual),
        energy.unit * equilibrium.error,
    )
    return (
        eqx.tree_at(lambda e: (e.state, e.residual, e.error), equilibrium, converted),
        displacement,
    )


class _Displacing:
    """Build `phase(shared, target)` in the displacement from a free state.

    Two with the same phase are equal, so that `jit` finds what it has compiled.
    """

    def __init__(self, phase: Callable[[Any, Any], Phase]):
        self.phase = phase

    def __call__(self, shared: Any, example: tuple) -> tuple[Displaced, Array, None]:
        target, x, free = example
        return displaced(self.phase(shared, target), x, free), x, None

    def __eq__(self, other):
        return isinstance(other, _Displacing) and self.phase == other.phase

    def __hash__(self):
        return hash(self.phase)


def directional_gradient(
    net: Energy, xs: Float[Array, "batch ..."], states: State, directions: State
) -> Energy:
    """Return d/dθ of the batch mean of ∂E/∂s(θ, s_b, x_b) · d_b, differentiated once for the batch.

    **Arguments:** `xs`: the inputs (batch, …); `states`: s, and `directions`: d, pytrees like the
    state with leaves (batch, …).

    **Returns** an energy like `net`, with `None` in place of what does not learn.
    """

    def along(net, state, direction, x):
        return jax.jvp(lambda s: net(s, x), (state,), (direction,))[1]

    return parameter_gradient(
        net,
        lambda net: jnp.mean(
            jax.vmap(lambda *example: along(net, *example))(states, directions, xs)
        ),
    )


def parameter_gradient(net: Energy, function: Callable[[Energy], Array]) -> Energy:
    """Return the gradient of `function(net)`, a real scalar, with respect to the parameters.

    **Returns** an energy like `net`, with `None` in place of what does not learn.
    """
    params, rest = eqx.partition(net, eqx.is_inexact_array)
    return jax.grad(lambda params: function(eqx.combine(params, rest)))(params)
