"""Whether a circuit settles where its model does, node by node, and what that does to gradients."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.reduction import reduce
from ..netlist.netlist import Netlist, NetlistError
from ..simulators import Ngspice, Simulator
from .emission import require_linear_minimum, require_together
from .phases import compare_gradients, fixed_points, gradient_lines, phases
from .ports import Ports

PAIRS = {
    "circuit_model": "circuit and model",
    "circuit_exact": "circuit and exact",
    "model_exact": "model and exact, which is what the finite nudge costs",
}
NAMES = {name: name for name in ("circuit", "model", "exact")}
"""What gradients and, in `PAIRS`, two of them are called in the summary."""


@dataclass(frozen=True)
class Comparison:
    """Voltages of a circuit beside those of its model, as `dataset`.

    - `circuit`, `model` (phase, sample, node) in V; the phases are `free` and, with a nudge,
      `+beta` and `-beta`;
    - `status`, `correction` (phase, sample): the simulator's certificate;
    - `circuit_decision` (−1 where it failed), `model_decision` (sample), read from the free phase,
      and with labels given `label`;
    - for a device with an ideal counterpart, `ideal` (sample, node) and `ideal_decision` (sample)
      of the model with ideal diodes.

    With a nudge the attributes have the norms (V², by conductances in units), cosines and relative
    differences of the equilibrium-propagation gradients from the circuit's and from the model's
    voltages, and those with the exact gradient.
    """

    dataset: xr.Dataset

    @property
    def distances(self) -> xr.DataArray:
        """|circuit − model| (phase, sample, node) in V; NaN where a point failed."""
        return np.abs(self.dataset.circuit - self.dataset.model)

    @property
    def error(self) -> float:
        """The largest |circuit − model| in V; NaN where a point failed."""
        return float(np.max(self.distances.values))

    @property
    def agrees(self) -> bool:
        """Whether every point is certified and within the tolerance of the model."""
        certified = bool((self.dataset.status == "ok").all())
        return certified and self.error <= self.dataset.attrs["tolerance_volts"]

    @property
    def agreement(self) -> float:
        """The share of samples on which circuit and model decide the same."""
        return float((self.dataset.circuit_decision == self.dataset.model_decision).mean())

    def worst(self) -> tuple[str, int, str]:
        """Return phase, sample and node of the largest difference, a failed point before others."""
        gap = self.distances
        values = np.where(np.isnan(gap.values), np.inf, gap.values)
        phase, sample, node = np.unravel_index(np.argmax(values), values.shape)
        return str(gap.phase.values[phase]), int(sample), str(gap.node.values[node])

    def numbers(self) -> dict[str, Any]:
        """Return what `print` shows, as plain numbers: a row a phase and layer, and the whole."""
        data = self.dataset
        phase, sample, node = self.worst()
        numbers: dict[str, Any] = {
            "samples": data.sample.size,
            "beta": data.attrs["beta"],
            "rows": self._rows(),
            "agrees": self.agrees,
            "error_volts": self.error,
            "at": {"phase": phase, "sample": sample, "node": node},
            "agreement": self.agreement,
        }
        if "ideal" in data:
            gap = data.circuit.sel(phase="free").values - data.ideal.values
            numbers["ideal_distance_volts"] = float(np.max(np.abs(gap)))
            same = data.circuit_decision == data.ideal_decision
            numbers["ideal_agreement"] = float(same.mean())
        gradients = {k: float(v) for k, v in data.attrs.items() if k.startswith("gradient_")}
        return numbers | gradients

    def _rows(self) -> list[dict[str, Any]]:
        """Return a row for each phase and layer: its errors in V, and the points certified."""
        data, gap, rows = self.dataset, self.distances, []
        for phase in data.phase.values:
            certified = int((data.status.sel(phase=phase) == "ok").sum())
            for layer in dict.fromkeys(data.layer.values):
                part = gap.sel(phase=phase)[:, data.layer.values == layer].values
                rows.append(
                    {
                        "phase": str(phase),
                        "layer": str(layer),
                        "error_volts": float(np.max(part)),
                        "rms_volts": float(np.sqrt(np.mean(part**2))),
                        "points_ok": certified,
                    }
                )
        return rows

    def __str__(self) -> str:
        numbers, attrs = self.numbers(), self.dataset.attrs
        samples, at = numbers["samples"], numbers["at"]
        lines = [
            f"{attrs['netlist']}: {attrs['simulator']} against the model, {samples} samples, "
            f"{self.dataset.node.size} nodes",
            "",
            f"{'phase':<8}{'layer':<8}{'largest error':>16}{'rms error':>14}{'points ok':>12}",
        ]
        lines += [
            f"{row['phase']:<8}{row['layer']:<8}{row['error_volts']:>14.2e} V"
            f"{row['rms_volts']:>12.2e} V{row['points_ok']:>8}/{samples}"
            for row in numbers["rows"]
        ]
        lines += [
            "",
            f"{'AGREES' if numbers['agrees'] else 'DIFFERS'}: largest difference "
            f"{numbers['error_volts']:.2e} V (tolerance {attrs['tolerance_volts']:.0e} V), at "
            f"{at['node']} in the {at['phase']} phase of sample {at['sample']}; "
            f"decisions agree on {numbers['agreement']:.2%} of the samples",
        ]
        if "ideal_agreement" in numbers:
            lines.append(
                "ideal diodes in the place of these would move nodes by up to "
                f"{numbers['ideal_distance_volts']:.3g} V; "
                f"decisions agree on {numbers['ideal_agreement']:.2%}"
            )
        return "\n".join([*lines, *gradient_lines(numbers, PAIRS, NAMES, (".9f", ".6g"))])

    def plot(self, ax=None):
        """Draw the circuit's voltages over the model's, as `circuits.plotting.agreement` does."""
        from ..plotting import agreement

        return agreement(self.dataset, ax)


def compare(
    net: ep.Resistive,
    xs: np.ndarray,
    ys: np.ndarray | None = None,
    *,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
    circuit: Netlist | None = None,
    tolerance: float = 1e-9,
) -> Comparison:
    """Simulate the circuit of a network on examples, and set it beside the network's fixed points.

    **Arguments:**

    - `net`: the network, which is the model.
    - `xs`: examples (samples, inputs). `ys`: targets (samples, outputs) or labels (samples,).
    - `cost`, `beta`: the squared error, and a nudge in units of `net.unit`; with them the phases at
      ±beta are compared too, and the gradients.
    - `simulator`: `Ngspice()` if not given; it sees the exactly reduced netlist.
    - `circuit`: another netlist than `emit(net, …)`, of the same node names.
    - `tolerance`: the largest difference in V of a circuit that agrees.

    **Raises** `RuntimeError` where JAX's x64 mode is off, as volts are compared to 1e-9;
    `ValueError` for nodes that the model does not have and shapes that do not fit; `NudgeError` for
    a beta without a minimum at −beta; and what the simulator raises.
    """
    ep.require_float64("a comparison in volts")
    ports, xs = Ports.of(net), np.asarray(xs, float)
    drives = ports.drives(xs, ys, cost=cost)
    require_together(cost, ys, beta)
    nudges = {"+beta": beta, "-beta": -beta} if beta else {}
    if cost is not None and beta:
        require_linear_minimum(net, cost, -abs(beta))

    # The circuit
    if circuit is None:
        nudge = None if cost is None or ys is None else ports.nudge(cost, ys[0])
        circuit = ports.netlist(net, xs[0], nudge=nudge)
    simulator = Ngspice() if simulator is None else simulator
    betas = {"free": 0.0, **nudges}
    points = _operating_points(ports, circuit, drives, betas, simulator)

    # The model
    if cost is None or ys is None:
        model = fixed_points(net, xs)[None]
    else:
        model = phases(net, cost, xs, ys, tuple(nudges.values()))

    data = _dataset(ports, points, model).assign_attrs(
        points.attrs, tolerance_volts=tolerance, beta=beta, unit_siemens=net.unit
    )
    if ys is not None and np.ndim(ys) == 1:
        data["label"] = ("sample", np.asarray(ys))
    if hasattr(net.device, "ideal"):
        ideal = fixed_points(replace(net, device=net.device.ideal()), xs)
        data["ideal"] = (("sample", "node"), ideal, {"units": "V"})
        data["ideal_decision"] = ("sample", ports.decisions(ideal))
    if nudges and cost is not None and ys is not None:
        data.attrs |= compare_gradients(ports, net, cost, xs, ys, beta, data.circuit.values, model)
    return Comparison(data)


def _operating_points(
    ports: Ports,
    circuit: Netlist,
    drives: dict[str, np.ndarray],
    betas: dict[str, float],
    simulator: Simulator,
) -> xr.Dataset:
    """Return the operating points (phase, sample, node) of a circuit, the nodes as in `ports`.

    **Arguments:** `betas`: the nudge of each phase by its name.

    **Raises** `NetlistError` where the circuit lacks a node of the model.
    """
    answers = []
    for beta in betas.values():
        netlist, values = reduce(ports.at_nudge(circuit, beta), drives)
        points = simulator.operating_points(netlist, values)
        missing = sorted(set(ports.nodes).difference(points.node.values.tolist()))
        if missing:
            raise NetlistError(
                "`circuit` must have the nodes of the model as free nodes, "
                f"but {missing[:10]} are none"
            )
        answers.append(points.sel(node=list(ports.nodes)))
    phase = xr.DataArray(list(betas), dims="phase", name="phase")
    phases: Any = xr.concat(answers, phase, combine_attrs="override")
    return phases


def _dataset(ports: Ports, points: xr.Dataset, model: np.ndarray) -> xr.Dataset:
    """Return the dataset of a circuit's points and its model's voltages (phase, sample, node)."""
    data = xr.Dataset(
        {
            "circuit": points.voltage,
            "model": (("phase", "sample", "node"), model, {"units": "V"}),
            "status": points.status,
            "correction": points.correction,
        }
    ).assign_coords(layer=("node", list(ports.node_titles)))
    for name in ("circuit", "model"):
        volts = data[name].sel(phase="free").values
        data[f"{name}_decision"] = ("sample", ports.decisions(volts))
    return data
