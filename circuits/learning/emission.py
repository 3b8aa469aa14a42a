"""From a trained model to its netlist, and from a simulator's voltages back to states of the model."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep
from eqprop.costs import require_labels
from eqprop.estimators import require_convex

from ..devices.base import Device
from ..netlist.netlist import Netlist
from ..topologies import Nudge, input_names, layer_names, layered, target_names


def emit(
    net: ep.Resistive,
    x: np.ndarray | None = None,
    *,
    y: np.ndarray | int | None = None,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
) -> Netlist:
    """The netlist of a layered resistive network, for the example `x` (all inputs 0 V if not given).

    **Arguments:** `y`, `cost`: the example's target, and the squared error that says what it means in volts; with them the nudge
    sources are part of the circuit. `beta`: of the nudge, in units of `net.unit`; 0 for a free phase.

    **Raises** `ValueError` where the shapes do not fit, where `y` and `cost` are not given together, or a `beta` without them; and
    `NudgeError` for a `beta` so negative that the circuit with all its diodes off has no minimum.
    """
    if not isinstance(net, ep.Resistive):
        raise ValueError(
            f"`net` must be a Resistive network, which is a circuit, but is a {type(net).__name__}"
        )
    if (y is None) != (cost is None) or (y is None and beta != 0):
        raise ValueError("`y` and `cost` must be given together, and with any `beta` other than 0")
    if net.device is not None and not isinstance(net.device, Device):
        raise ValueError(
            f"`net.device` must be a device of circuits or None, but is {type(net.device).__name__}"
        )
    conductances = [net.unit * np.asarray(g, float) for g in net.conductances]
    biases = [net.unit * np.asarray(b, float) for b in net.biases]
    inputs = conductances[0].shape[0] // 2
    x = np.zeros(inputs) if x is None else np.asarray(x, float)
    if x.shape != (inputs,):
        raise ValueError(f"`x` must have shape {(inputs,)}, but has {x.shape}")
    nudge = None
    if cost is not None:
        nudge = Nudge(
            nudge_siemens(net, beta), targets(cost, np.asarray(y)[None], outputs_of(net))[0]
        )
        if beta < 0:
            require_linear_minimum(net, cost, beta)
    return layered(
        conductances,
        biases,
        net.input_gain * np.concatenate([x, -x]),
        device=_plain(net.device),
        capacitance=net.capacitance,
        amplification=net.amplification,
        nudge=nudge,
        doubled_outputs=net.doubled_outputs,
        title=f"Resistive network {'-'.join(str(n) for n in (inputs, *(b.size for b in biases[:-1]), outputs_of(net)))}",
        header=(
            f"Unit conductance: {net.unit} S; beta and conductances of the model are in units of it. Input gain: {net.input_gain} V.",
        ),
    )


def _plain(device: Any) -> Any:
    """The device with plain numbers for arrays of one value. Raises `ValueError` for a field that differs from node to node."""
    if device is None:
        return None
    fresh = {}
    for field in fields(device):
        value = getattr(device, field.name)
        if isinstance(
            value, np.ndarray | jax.Array
        ):  # anything else is data, the same for all nodes
            if value.ndim:
                raise ValueError(
                    f"`net.device` must have one `{field.name}` for all nodes to be emitted, but has an array of {value.shape}"
                )
            fresh[field.name] = float(value)
    return replace(device, **fresh)


def nudge_siemens(net: ep.Resistive, beta: float) -> float:
    """The conductance in S that nudges an output by `beta`: unit · β · A^{2l} behind l amplifiers of gain A."""
    return net.unit * beta * net.amplification ** (2 * (len(net.conductances) - 1))


def outputs_of(net: ep.Resistive) -> int:
    """The number of outputs, each one node or, where they are doubled, two."""
    return net.biases[-1].size // (2 if net.doubled_outputs else 1)


def require_linear_minimum(net: ep.Resistive, cost: ep.SquaredError, beta: float) -> None:
    """Raises `NudgeError` where |beta| reaches the bound of the network with all its diodes off, below that at any state."""
    linear = eqx.tree_at(lambda n: n.device, net, None, is_leaf=lambda leaf: leaf is net.device)
    x, y = jnp.zeros((1, net.conductances[0].shape[0] // 2)), jnp.zeros((1, outputs_of(net)))
    rest = jax.tree.map(lambda v: v[None], net.init_state(x[0]))
    require_convex(abs(beta), linear, cost, x, y, rest, "diodes-off")


def targets(cost: ep.SquaredError, ys: np.ndarray, outputs: int) -> np.ndarray:
    """The target voltages (samples, outputs) of targets or labels `ys`. Raises `ValueError` for a label beyond the outputs."""
    require_labels(ys, outputs)
    return np.stack([np.asarray(cost.targets(jnp.asarray(y), outputs), float) for y in ys])


def drives(
    net: ep.Resistive,
    xs: np.ndarray,
    *,
    ys: np.ndarray | None = None,
    cost: ep.SquaredError | None = None,
) -> dict[str, np.ndarray]:
    """The values of the input sources, and of the target sources where `ys` and `cost` are given, over examples.

    Raises `ValueError` for shapes that do not fit the network.
    """
    xs = np.asarray(xs, float)
    inputs = net.conductances[0].shape[0] // 2
    if xs.ndim != 2 or len(xs) == 0 or xs.shape[1] != inputs:
        raise ValueError(
            f"`xs` must have shape (samples, {inputs}) with a sample or more, but has {xs.shape}"
        )
    if ys is not None and len(ys) != len(xs):
        raise ValueError(
            f"`ys` must hold a target for each of the {len(xs)} samples, but holds {len(ys)}"
        )
    rails = net.input_gain * np.concatenate([xs, -xs], 1)
    values = {
        f"V{node}": column
        for node, column in zip(input_names(rails.shape[1] // 2), rails.T, strict=True)
    }
    if cost is not None and ys is not None:
        outputs = outputs_of(net)
        values |= {
            f"V{node}": column
            for node, column in zip(
                target_names(outputs), targets(cost, ys, outputs).T, strict=True
            )
        }
    return values


def node_names(net: ep.Resistive) -> list[tuple[str, ...]]:
    """The netlist's names of the model's nodes, in the form of its state: layer by layer, doubled outputs in two parts."""
    *hidden, outputs = layer_names(
        [b.size for b in net.biases], doubled_outputs=net.doubled_outputs
    )
    half = outputs_of(net)
    return [*hidden, outputs[:half], outputs[half:]] if net.doubled_outputs else [*hidden, outputs]


def states(net: ep.Resistive, voltage: xr.DataArray) -> tuple[np.ndarray, ...]:
    """Voltages (…, node) as states of the model: one array (…, layer) a layer, two for doubled outputs."""
    return tuple(voltage.sel(node=list(layer)).values for layer in node_names(net))


def voltages(state: Sequence[Any]) -> np.ndarray:
    """States of the model as voltages (…, nodes), in the order of `node_names`."""
    return np.concatenate([np.asarray(layer) for layer in state], axis=-1)
