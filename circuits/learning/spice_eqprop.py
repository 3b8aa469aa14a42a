"""Equilibrium propagation with a circuit simulator in the loop: the phases are operating points, not the model's own minima."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import eqprop as ep
from eqprop.estimators.contrast import ContrastEstimator, Stencil
from eqprop.settling.equilibrium import force

from ..mna.reduction import reduce
from ..simulators import Ngspice, Simulator
from .ports import NUDGE, Wiring

UNSOLVED = np.inf
"""The error of a point that the simulator has not solved."""


class SpiceEqProp(ContrastEstimator):
    """Equilibrium propagation on a circuit that a simulator settles, from scratch if need be; an estimator like any other.

    Every phase of every example is an operating point of the circuit of the model (`Resistive`, or made by `circuits.energy`) as it
    stands, all of them in one deck; the gradient is the contrast of ½ v² across each conductance between nudged phases, made from the
    simulator's node voltages alone. The targets are those of a `SquaredError`. β is in the units of the model's energy.

    The simulator's certificate stands in the equilibria: `error` is its Newton correction in V, `settled` whether the point is `ok`;
    `residual` is what the model's own energy says of the simulator's voltages. Runs under `jit` through a callback, so `fit` takes it.

    Made by `one_sided`, whose error is O(β), or `centred`, O(β²).
    """

    stencil: Stencil
    simulator: Simulator = eqx.field(static=True)
    method: None = None

    @classmethod
    def one_sided(cls, beta: float, simulator: Simulator | None = None) -> "SpiceEqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_0)] / β; `Ngspice()` if no simulator is given. Raises `ValueError` for a β of 0 or not finite."""
        return cls(stencil=Stencil.one_sided("beta", beta), simulator=simulator or Ngspice())

    @classmethod
    def centred(cls, beta: float, simulator: Simulator | None = None) -> "SpiceEqProp":
        """[∂E/∂θ(s_β) − ∂E/∂θ(s_−β)] / 2β; `Ngspice()` if no simulator is given. Raises `ValueError` for a β of 0 or not finite."""
        return cls(stencil=Stencil.centred("beta", beta), simulator=simulator or Ngspice())

    def strongest_negative_nudge(self):
        return float(np.max(-np.asarray(self.stencil.nudges), initial=0.0))

    def estimate(self, energy, cost, xs, ys, key=None):
        if not isinstance(cost, ep.SquaredError):
            raise ValueError(
                f"`cost` must be a SquaredError, which sources can nudge towards, but is {type(cost).__name__}"
            )
        wiring = Wiring.of(energy)
        drives = jax.vmap(wiring.drives)(xs)
        targets = jax.vmap(lambda y: cost.targets(y, len(wiring.outputs)))(ys)
        template = energy.init_state(xs[0])
        flat, restore = ravel_pytree(template)
        phases = len(self.stencil.nudges) + 1
        shapes = [
            jax.ShapeDtypeStruct((phases, len(xs), *rest), flat.dtype)
            for rest in ((flat.size,), ())
        ]
        arrays, rest = eqx.partition(energy, eqx.is_array)

        def settle(arrays, drives, targets, nudges):
            model = eqx.combine(jax.tree.map(np.asarray, arrays), rest)
            found = self._settle(
                wiring, model, np.asarray(drives), np.asarray(targets), np.asarray(nudges)
            )
            return tuple(one.astype(flat.dtype) for one in found)

        voltages, errors = jax.pure_callback(
            settle, shapes, arrays, drives, targets, self.stencil.nudges
        )
        states = jax.vmap(jax.vmap(restore))(voltages)
        free = jax.tree.map(lambda s: s[0], states)
        displacements = jax.tree.map(lambda s: s[1:] - s[0], states)
        equilibria = [
            self._equilibrium(
                energy, cost, beta, xs, ys, jax.tree.map(lambda s, k=k: s[k], states), errors[k]
            )
            for k, beta in enumerate([None, *self.stencil.nudges])
        ]
        nudged = jax.tree.map(lambda *parts: jnp.stack(parts), *equilibria[1:])
        loss = jnp.mean(jax.vmap(lambda s, y: cost(energy.outputs(s), y))(free, ys))
        return ep.Estimate(
            loss,
            self.contrast(energy, xs, free, displacements),
            equilibria[0],
            nudged,
            displacements,
        )

    def _equilibrium(self, energy, cost, beta, xs, ys, states, errors) -> ep.Equilibrium:
        def residual(state, x, y):
            return force(energy if beta is None else ep.Nudged(energy, cost, y, beta), x, state)

        return ep.Equilibrium(
            states,
            jax.vmap(residual)(states, xs, ys),
            errors,
            jnp.isfinite(errors),
            jnp.ones(errors.shape, int),
        )

    def _settle(
        self,
        wiring: Wiring,
        model: ep.Energy,
        drives: np.ndarray,
        targets: np.ndarray,
        nudges: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Node voltages (phases, examples, nodes), and their errors in V, `UNSOLVED` where a point is not `ok`."""
        strengths = wiring.nudges[0] * np.concatenate([[0.0], nudges])
        columns = {
            name: np.repeat(values, len(strengths))
            for name, values in zip(wiring.inputs, drives.T, strict=True)
        }
        columns |= {
            name: np.repeat(values, len(strengths))
            for name, values in zip(wiring.targets(), targets.T, strict=True)
        }
        columns[f"V{NUDGE}"] = np.tile(
            strengths, len(drives)
        )  # an example's phases one after the other, each a warm start
        netlist, values = reduce(wiring.nudged(wiring.netlist(model)), columns)
        answer = self.simulator.operating_points(netlist, values)
        shape = (len(drives), len(strengths))
        voltages = answer.voltage.sel(node=list(wiring.nodes)).values.reshape(*shape, -1)
        errors = np.where(answer.status.values == "ok", answer.correction.values, UNSOLVED).reshape(
            shape
        )
        return voltages.swapaxes(0, 1), errors.T
