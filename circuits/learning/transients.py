"""Whether a circuit moves as its model does: the simulator's transient beside the energy's flow."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.reduction import reduce
from ..simulators import Ngspice, Simulator
from .emission import require_linear_minimum, require_together
from .ports import Ports


def compare_transient(
    net: ep.Resistive,
    x: np.ndarray,
    *,
    stop: float,
    step: float,
    cost: ep.SquaredError | None = None,
    y: Any = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
) -> xr.Dataset:
    """Return the transient of a network's circuit for one example, and the flow of its energy.

    C dv/dt = −∂E/∂v

    is integrated at the simulator's own times. The free phase begins at 0 V; with a nudge, a nudged
    phase of the same length goes on from where the flow was.

    **Arguments:**

    - `net`: the network. `x`: the example (inputs,).
    - `stop`: how long each phase lasts, in s. `step`: the simulator's longest, in s.
    - `cost`, `y`, `beta`: the squared error, the example's target (outputs,) or label, and the
      nudge in units of `net.unit`.
    - `simulator`: `Ngspice()` if not given.

    **Returns** `circuit` and `flow` (time, node) in V; with a nudge, the attribute `nudged_at` is
    the time in s at which it is switched on.

    **Raises** as `emit` and `Simulator.transient` do, and `RuntimeError` where JAX's x64 mode is
    off.
    """
    ep.require_float64("a comparison in volts")
    require_together(cost, y, beta, "y")
    if cost is not None and beta < 0:
        require_linear_minimum(net, cost, beta)
    simulator = Ngspice() if simulator is None else simulator
    ports = Ports.of(net)
    parts, state, begin = [], net.init_state(jnp.asarray(x)), 0.0
    for strength in (0.0, beta) if beta else (0.0,):
        nudge = None if cost is None else ports.nudge(cost, y, strength)
        netlist, _ = reduce(ports.netlist(net, np.asarray(x), nudge=nudge))
        start = dict(zip(ports.nodes, ports.voltages(state).tolist(), strict=True))
        answer = simulator.transient(netlist, stop=stop, step=step, start=start)

        energy = net if cost is None else ep.Nudged(net, cost, y, strength)
        flow = _flow(energy, x, answer.time.values, step, state)
        both = {
            "circuit": answer.voltage.sel(node=list(ports.nodes)),
            "flow": (("time", "node"), ports.voltages(flow), {"units": "V"}),
        }
        parts.append(xr.Dataset(both, attrs=answer.attrs).assign_coords(time=begin + answer.time))
        state = tuple(layer[-1] for layer in flow)
        begin = float(parts[-1].time[-1])
    data: Any = xr.concat(parts, "time", combine_attrs="override")
    return data.assign_attrs(nudged_at=float(parts[0].time[-1])) if beta else data


def _flow(energy: ep.Energy, x: Any, times: np.ndarray, step: float, state: Any) -> Any:
    """Return the states (time, layer) of the flow of an energy from `state` at `times` in s.

    More times are integrated than asked for, a power of two of them, so that both phases share one
    compiled program.
    """
    beyond = (1 << (len(times) - 1).bit_length()) - len(times)
    longer = jnp.concatenate([times, times[-1] + step * np.arange(1, beyond + 1)])
    states = ep.trajectory(energy, jnp.asarray(x), longer, start=state).states
    return tuple(layer[: len(times)] for layer in states)
