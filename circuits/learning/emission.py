"""From a trained network to its netlist, and from a simulator's voltages back to its states."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep
from eqprop.estimators import require_convex

from ..netlist.netlist import Netlist
from .ports import Ports


def emit(
    net: ep.Resistive,
    x: np.ndarray | None = None,
    *,
    cost: ep.SquaredError | None = None,
    y: np.ndarray | int | None = None,
    beta: float = 0.0,
) -> Netlist:
    """Return the netlist of a layered resistive network.

    **Arguments:**

    - `net`: the network; its device must be one of `circuits`, or None.
    - `x`: the example (inputs,) at which the sources stand; all inputs are 0 V where it is not
      given.
    - `cost`, `y`: the squared error, which says what targets mean in volts, and the example's
      target (outputs,) or label; with them the nudge sources are part of the circuit.
    - `beta`: the nudge, in units of `net.unit`; 0 for a free phase.

    **Raises** `ValueError` where shapes do not fit, where `y` and `cost` are not given together, or
    a `beta` without them; and `NudgeError` for a `beta` so negative that the circuit with all its
    diodes off has no minimum.
    """
    if not isinstance(net, ep.Resistive):
        raise ValueError(
            f"`net` must be a Resistive network, which is a circuit, but is a {type(net).__name__}"
        )
    require_together(cost, y, beta, "y")
    ports = Ports.of(net)
    if cost is None:
        return ports.netlist(net, x)
    netlist = ports.netlist(net, x, nudge=ports.nudge(cost, y, beta))
    if beta < 0:
        require_linear_minimum(net, cost, beta)
    return netlist


def drives(
    net: ep.Energy,
    xs: np.ndarray,
    *,
    cost: ep.SquaredError | None = None,
    ys: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the values (samples,) of the sources of a network's circuit over examples.

    **Arguments:**

    - `net`: a `Resistive` network, or one made by `circuits.energy`.
    - `xs`: examples (samples, inputs).
    - `cost`, `ys`: the squared error, and targets (samples, outputs) or labels (samples,); with
      them the sources of the targets are driven too.

    **Raises** `ValueError` for shapes that do not fit the network.
    """
    return Ports.of(net).drives(xs, ys, cost=cost)


def states(net: ep.Energy, voltage: xr.DataArray) -> Any:
    """Return a simulator's voltages (…, node) in V as states of the network.

    They are arrays (…, layer) in the form of a state of `net`: a tuple of one array a layer, two
    for doubled outputs; one array (…, nodes) for a network made by `circuits.energy`.

    **Arguments:** `net`: the network whose circuit was simulated. `voltage`: the `voltage` of the
    simulator's Dataset, with a dimension `node`.
    """
    ports = Ports.of(net)
    return ports.states(voltage.sel(node=list(ports.nodes)).transpose(..., "node").values)


def require_together(cost: Any, y: Any, beta: float, name: str = "ys") -> None:
    """Raise `ValueError` where targets and cost are not given together, or a nudge without them."""
    if (y is None) != (cost is None) or (y is None and beta != 0):
        raise ValueError(
            f"`{name}` and `cost` must be given together, and with any `beta` other than 0"
        )


def require_linear_minimum(net: ep.Resistive, cost: ep.SquaredError, beta: float) -> None:
    """Raise `NudgeError` where a negative nudge may leave the circuit without a minimum.

    The bound is that of the network with all its diodes off, which is below that at any state.

    **Arguments:** `beta`: in units of `net.unit`; its size counts.
    """
    linear = eqx.tree_at(lambda n: n.device, net, None, is_leaf=lambda leaf: leaf is net.device)
    outputs = net.biases[-1].size // (2 if net.doubled_outputs else 1)
    x, y = jnp.zeros((1, net.conductances[0].shape[0] // 2)), jnp.zeros((1, outputs))
    rest = jax.tree.map(lambda v: v[None], net.init_state(x[0]))
    require_convex(abs(beta), linear, cost, x, y, rest, "diodes-off")
