"""Whether a circuit moves as its model does: the simulator's transient beside the flow of the energy."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.reduction import reduce
from ..simulators import Ngspice, Simulator
from .emission import emit, node_names, voltages


def compare_transient(
    model: ep.Resistive,
    x: np.ndarray,
    *,
    stop: float,
    step: float,
    y: Any = None,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
) -> xr.Dataset:
    """The transient of the circuit of `model` for one example, and C dv/dt = −∂E/∂v of the model at the same times.

    The free phase begins at 0 V and lasts `stop` s; with a nudge, a nudged phase of the same length goes on from where the flow was.
    `step`: the simulator's longest, in s. `y`, `cost`, `beta`: as of `emit`. `simulator`: `Ngspice()` if not given.

    **Returns** `circuit` and `flow` (time, node) in V; with a nudge, the attribute `nudged_at` is the time at which it is switched on.

    **Raises** as `emit` and `Simulator.transient` do, and `RuntimeError` where JAX's x64 mode is off.
    """
    ep.require_float64("a comparison in volts")
    simulator = Ngspice() if simulator is None else simulator
    nodes = [node for layer in node_names(model) for node in layer]
    parts, start, zero = [], model.init_state(jnp.asarray(x)), 0.0
    for strength in (0.0, beta) if beta else (0.0,):
        netlist = reduce(emit(model, np.asarray(x), y=y, cost=cost, beta=strength))[0]
        seen = simulator.transient(
            netlist,
            stop=stop,
            step=step,
            start=dict(zip(nodes, voltages(start).tolist(), strict=True)),
        )
        energy = model if cost is None else ep.Nudged(model, cost, y, strength)
        times = seen.time.values
        beyond = _next_power_of_two(len(times)) - len(
            times
        )  # so that both phases share one compiled program
        longer = jnp.concatenate([times, times[-1] + step * np.arange(1, beyond + 1)])
        flow = ep.trajectory(energy, jnp.asarray(x), longer, start=start).states
        flow = tuple(layer[: len(times)] for layer in flow)
        both = {
            "circuit": seen.voltage.sel(node=nodes),
            "flow": (("time", "node"), voltages(flow), {"units": "V"}),
        }
        parts.append(xr.Dataset(both, attrs=seen.attrs).assign_coords(time=zero + seen.time))
        start = tuple(layer[-1] for layer in flow)
        zero = float(parts[-1].time[-1])
    data: Any = xr.concat(parts, "time", combine_attrs="override")
    return data.assign_attrs(nudged_at=float(parts[0].time[-1])) if beta else data


def _next_power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
