"""Equilibrium propagation on a circuit: the phases are a simulator's operating points."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import eqprop as ep
from eqprop.estimators.contrast import ContrastEstimator, Stencil
from eqprop.settling.equilibrium import force

from ..mna.reduction import reduce
from ..simulators import Ngspice, Simulator
from .ports import Ports

UNSOLVED = np.inf
"""The error in V of a point that the simulator has not solved."""


class SpiceEqProp(ContrastEstimator):
    """Equilibrium propagation with a circuit simulator in the loop; an estimator like any other.

    Every phase of every example is an operating point of the network's circuit with its parameters
    as they are, all of them in one deck; the gradient is the contrast of ½ v² across each
    conductance between nudged phases, made from the simulator's node voltages alone (Kendall et al.
    2020, arXiv:2006.01981). The network is `Resistive` or made by `circuits.energy`, the targets
    are those of a `SquaredError`, and β is in the units of the network's energy.

    The simulator's certificate stands in the equilibria: `error` is its Newton correction in V,
    `settled` whether the point is `ok`; `residual` is what the network's own energy says of the
    simulator's voltages. It runs under `jit` through a callback, so that `fit` takes it.

    Made by `one_sided`, whose error is O(β), or `centred`, O(β²).
    """

    stencil: Stencil
    simulator: Simulator = eqx.field(static=True)
    method: None = None

    @classmethod
    def one_sided(cls, beta: float, simulator: Simulator | None = None) -> "SpiceEqProp":
        """Return the estimator [∂E/∂θ(s_β) − ∂E/∂θ(s_0)] / β.

        **Arguments:** `beta`: the nudge, in units of the network's. `simulator`: `Ngspice()` if it
        is not given.

        **Raises** `ValueError` for a β of 0 or not finite.
        """
        return cls(stencil=Stencil.one_sided("beta", beta), simulator=simulator or Ngspice())

    @classmethod
    def centred(cls, beta: float, simulator: Simulator | None = None) -> "SpiceEqProp":
        """Return the estimator [∂E/∂θ(s_β) − ∂E/∂θ(s_−β)] / 2β.

        **Arguments:** `beta`: the nudge, in units of the network's. `simulator`: `Ngspice()` if it
        is not given.

        **Raises** `ValueError` for a β of 0 or not finite.
        """
        return cls(stencil=Stencil.centred("beta", beta), simulator=simulator or Ngspice())

    def strongest_negative_nudge(self):
        return float(np.max(-np.asarray(self.stencil.nudges), initial=0.0))

    def estimate(self, net, cost, xs, ys, key=None):
        if not isinstance(cost, ep.SquaredError):
            raise ValueError(
                "`cost` must be a SquaredError, which sources can nudge towards, "
                f"but is {type(cost).__name__}"
            )
        states, errors = self._states(net, cost, xs, ys)
        free = jax.tree.map(lambda s: s[0], states)
        displacements = jax.tree.map(lambda s: s[1:] - s[0], states)

        def equilibrium(phase: int, beta: Any) -> ep.Equilibrium:
            phase_states = jax.tree.map(lambda s: s[phase], states)
            return _equilibrium(net, cost, beta, xs, ys, phase_states, errors[phase])

        nudged = [equilibrium(k, beta) for k, beta in enumerate(self.stencil.nudges, 1)]
        return ep.Estimate(
            jnp.mean(jax.vmap(lambda s, y: cost(net.outputs(s), y))(free, ys)),
            self.contrast(net, xs, free, displacements),
            equilibrium(0, None),
            jax.tree.map(lambda *parts: jnp.stack(parts), *nudged),
            displacements,
        )

    def _states(
        self, net: ep.Energy, cost: ep.SquaredError, xs: jax.Array, ys: jax.Array
    ) -> tuple[Any, jax.Array]:
        """Return the states (phases, examples, …) that the simulator settles to, and their errors.

        The errors (phases, examples) are in V, `UNSOLVED` where a point is not `ok`.
        """
        ports = Ports.of(net)
        inputs = jax.vmap(ports.encode)(xs)
        targets = jax.vmap(lambda y: cost.targets(y, len(ports.outputs)))(ys)
        arrays, rest = eqx.partition(net, eqx.is_array)
        dtype = jax.tree.leaves(net.init_state(xs[0]))[0].dtype
        phases = (len(self.stencil.nudges) + 1, len(xs))
        shapes = [
            jax.ShapeDtypeStruct((*phases, len(ports.nodes)), dtype),
            jax.ShapeDtypeStruct(phases, dtype),
        ]

        def settle(arrays, *values):
            # The callback runs without JAX: its arrays are NumPy's.
            numbers = eqx.combine(jax.tree.map(np.asarray, arrays), rest)
            answer = self._settle(ports, numbers, *map(np.asarray, values))
            return tuple(part.astype(dtype) for part in answer)

        voltages, errors = jax.pure_callback(
            settle, shapes, arrays, inputs, targets, self.stencil.nudges
        )
        return ports.states(voltages), errors

    def _settle(
        self,
        ports: Ports,
        net: ep.Energy,
        inputs: np.ndarray,
        targets: np.ndarray,
        nudges: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return node voltages (phases, examples, nodes) in V, and their errors as `_states` does.

        **Arguments:** `inputs`, `targets`: values of their sources (examples, sources).
        """
        betas = np.concatenate([[0.0], nudges])
        drives = dict(zip(ports.inputs, inputs.T, strict=True))
        netlist, drives = reduce(
            ports.swept(ports.netlist(net)), ports.swept_drives(drives, targets, betas)
        )
        points = self.simulator.operating_points(netlist, drives)
        shape = (len(inputs), len(betas))
        voltages = points.voltage.sel(node=list(ports.nodes)).values.reshape(*shape, -1)
        errors = np.where(points.status.values == "ok", points.correction.values, UNSOLVED)
        return voltages.swapaxes(0, 1), errors.reshape(shape).T


def _equilibrium(net, cost, beta, xs, ys, states, errors) -> ep.Equilibrium:
    """Return the equilibria of a phase, their residuals being those of the network's own energy.

    **Arguments:** `beta`: the nudge; None for the free phase. `states`, `errors`: (examples, …).
    """

    def residual(state, x, y):
        return force(net if beta is None else ep.Nudged(net, cost, y, beta), x, state)

    return ep.Equilibrium(
        states,
        jax.vmap(residual)(states, xs, ys),
        errors,
        jnp.isfinite(errors),
        jnp.ones(errors.shape, int),
    )
