"""Where the distance of a chip from the ideal model comes from: cause by cause."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

import eqprop as ep

from ..netlist import Netlist
from ..noise import covariance
from ..reduction import reduce
from ..simulators import SimulationError, Simulator
from ..simulators.nodal import Nodal
from ..variation import Variation
from ..variation.base import Composed, Part
from .comparison import decisions, fixed_points, gradients, layer_titles, with_nudge
from .emission import drives, emit, node_names, nudge_siemens, states, voltages

DIODES, INTERACTION, SOLVER = "diode law", "interaction", "solver"


@dataclass(frozen=True)
class Attribution:
    """The distance of a chip from the ideal model, Δ = Σ Δ_cause + interaction, as `dataset`.

    - `part` (cause, sample, node) in V: what each cause does when it alone is switched on in the nominal circuit. The first, the
      diodes' own law, makes the nominal circuit of the ideal model. What all together do beyond the sum of these is the `interaction`;
      the `solver` is the difference of the simulator from our own on the chip.
    - `removed` (cause, sample, node) in V: what vanishes when a cause is switched off in the chip and the others stay; NaN for those
      that are no variation.
    - `whole` (sample, node) in V: Δ. The parts add up to it.
    - `noise` (node) in V: the standard deviation of thermal and shot noise at the first sample, which comes on top; NaN with
      amplifiers, behind which nodes have no capacitance.
    - `ideal_decision`, `chip_decision` (sample).

    With a nudge its attributes have the cosines and relative differences of gradients, as a `Comparison` has them: `circuit` is the
    chip, and `model_exact` what a finite β costs.
    """

    dataset: xr.Dataset

    def rms(self) -> dict[str, float]:
        """The root mean square in V over samples and nodes of each part, and of the `whole`."""
        data = self.dataset
        found = {str(c): float(np.sqrt(np.mean(data.part.sel(cause=c) ** 2))) for c in data.cause.values}
        return found | {"whole": float(np.sqrt(np.mean(data.whole**2)))}

    def shares(self) -> dict[str, float]:
        """How much of Δ lies along each part, ⟨Δ_cause, Δ⟩/⟨Δ, Δ⟩: numbers that add up to 1, below 0 for what works against it."""
        data = self.dataset
        square = float((data.whole**2).sum())
        return {str(c): float((data.part.sel(cause=c) * data.whole).sum()) / square for c in data.cause.values}

    def __str__(self) -> str:
        data, rms, shares = self.dataset, self.rms(), self.shares()
        lines = [f"{data.attrs['netlist']}: {data.sample.size} samples, {data.node.size} nodes; chip against the ideal model", ""]
        lines.append(f"{'cause':<22}{'alone, rms':>14}{'largest':>14}{'at':>10}{'removed, rms':>15}{'share':>9}")
        for cause in map(str, data.cause.values):
            part = np.abs(data.part.sel(cause=cause))
            node = str(data.node.values[np.argmax(part.max("sample").values)])
            away = float(np.sqrt(np.mean(data.removed.sel(cause=cause) ** 2)))
            gone = f"{away:>13.2e} V" if np.isfinite(away) else f"{'':>15}"
            lines.append(f"{cause:<22}{rms[cause]:>12.2e} V{float(part.max()):>12.2e} V{node:>10}{gone}{shares[cause]:>9.1%}")
        lines.append(f"{'whole':<22}{rms['whole']:>12.2e} V{float(np.abs(data.whole).max()):>12.2e} V{'':>10}{'':>15}{1:>9.1%}")
        noise = float(np.sqrt(np.mean(data.noise**2)))
        same = float((data.chip_decision == data.ideal_decision).mean())
        lines += ["", f"noise, on top: {noise:.2e} V rms; decisions agree with the ideal model on {same:.2%}"]
        for pair, title in (("model_exact", "finite beta"), ("circuit_model", "chip and model"), ("circuit_exact", "chip and exact")):
            if f"gradient_cosine_{pair}" in data.attrs:
                cosine, off = data.attrs[f"gradient_cosine_{pair}"], data.attrs[f"gradient_difference_{pair}"]
                lines.append(f"gradient, {title}: cosine {cosine:.6f}, relative difference {off:.2e}")
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """The parts as bars, as `circuits.plotting.attribution` draws them."""
        from ..plotting import attribution

        return attribution(self.rms(), ax)


def attribute(
    model: ep.Resistive,
    xs: np.ndarray,
    variation: Variation,
    *,
    seed: int = 0,
    number: int = 0,
    ys: np.ndarray | None = None,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
) -> Attribution:
    """Switches the causes of a chip's distance from its ideal model on and off, one by one.

    **Arguments:** `model`: with a device that has an ideal counterpart. `variation`, `seed`, `number`: the chip. `ys`, `cost`, `beta`:
    with a nudge, in units of `model.unit`, gradients are compared too. `simulator`: whose answer on the chip is compared with that of
    `Nodal`, which finds all others; none if not given.

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for a device without an ideal counterpart, and as `compare`;
    `SimulationError` for a point that is not certified.
    """
    ep.require_float64("an attribution in volts")
    if not hasattr(model.device, "ideal"):
        raise ValueError(f"`model` must have a device with an ideal counterpart, but has {type(model.device).__name__}")
    if (ys is None) != (cost is None) or (beta != 0 and cost is None):
        raise ValueError("`ys` and `cost` must be given together, and with any `beta` other than 0")
    xs = np.asarray(xs, float)
    nominal, sources = emit(model, y=None if ys is None else ys[0], cost=cost), drives(model, xs, ys=ys, cost=cost)
    nodes = voltages(tuple(np.array(layer) for layer in node_names(model))).tolist()

    def chip(parts: Sequence[Part], strength: float = 0.0, by: Simulator | None = None) -> np.ndarray:
        """Voltages (samples, nodes) of the chip with some of its variations."""
        only = Composed(tuple(parts))
        netlist = with_nudge(nominal, nudge_siemens(model, strength))
        made = only.chip(netlist, seed=seed, number=number) if parts else netlist
        return _solved(made, only.drives(sources), nodes, by)

    parts = variation.parts()
    ideal = voltages(fixed_points(replace(model, device=model.device.ideal()), xs, None, None, 0.0))
    bare, full = chip(()), chip(parts)
    names = [type(part).__name__ for part in parts]
    alone = [chip((part,)) - bare for part in parts]
    without = [full - chip([other for other in parts if other is not part]) for part in parts]
    solver = np.zeros_like(full) if simulator is None else chip(parts, by=simulator) - full
    together = full - bare - np.sum(alone, axis=0)
    unknown = np.full_like(full, np.nan)
    noise = _noise(nominal, sources, bare[0], nodes) if model.amplification == 1 else np.full(len(nodes), np.nan)
    coordinates = {"cause": [DIODES, *names, INTERACTION, SOLVER], "node": nodes, "sample": np.arange(len(xs))}
    data = xr.Dataset(
        {
            "part": (("cause", "sample", "node"), np.stack([bare - ideal, *alone, together, solver]), {"units": "V"}),
            "removed": (("cause", "sample", "node"), np.stack([unknown, *without, unknown, unknown]), {"units": "V"}),
            "whole": (("sample", "node"), full + solver - ideal, {"units": "V"}),
            "noise": ("node", noise, {"units": "V"}),
        },
        coords=coordinates,
        attrs={"netlist": nominal.title, "seed": seed, "number": number, "beta": beta},
    ).assign_coords(layer=("node", [t for layer, t in zip(node_names(model), layer_titles(model), strict=True) for _ in layer]))
    seen = xr.DataArray(variation.read(full + solver), dims=("sample", "node"), coords={"node": nodes})
    data["chip_decision"] = ("sample", decisions(model, seen))
    data["ideal_decision"] = ("sample", decisions(model, xr.DataArray(ideal, dims=("sample", "node"), coords={"node": nodes})))
    if beta and ys is not None and cost is not None:
        phases = np.stack([full, chip(parts, beta), chip(parts, -beta)])
        of_chip = states(model, xr.DataArray(phases, dims=("phase", "sample", "node"), coords={"node": nodes}))
        free = fixed_points(model, xs, None, None, 0.0)
        settled = [free, *(fixed_points(model, xs, ys, cost, b, free) for b in (beta, -beta))]
        own = tuple(np.stack(layer) for layer in zip(*settled, strict=True))
        data.attrs.update(gradients(model, cost, xs, ys, beta, of_chip, own))
    return Attribution(data)


def _solved(netlist: Netlist, sources: dict[str, np.ndarray], nodes: list[str], by: Simulator | None) -> np.ndarray:
    smaller, values = reduce(netlist, sources)
    found = (Nodal() if by is None else by).operating_points(smaller, values)
    wrong = [status for status in found.status.values.tolist() if status != "ok"]
    if wrong:
        raise SimulationError(f"every point of {netlist.title!r} must be certified, but {len(wrong)} are not: {sorted(set(wrong))}")
    return found.voltage.sel(node=nodes).values


def _noise(netlist: Netlist, sources: dict[str, np.ndarray], free: np.ndarray, nodes: list[str]) -> np.ndarray:
    """The standard deviation in V at each node, at the voltages of the first sample."""
    smaller, values = reduce(netlist, {name: column[:1] for name, column in sources.items()})
    order = [node for node in smaller.nodes if node in set(nodes)]
    at = dict(zip(nodes, free.tolist(), strict=True))
    deviation = np.sqrt(np.diag(covariance(smaller, np.array([at[node] for node in order]), values)))
    found = dict(zip(order, deviation.tolist(), strict=True))
    return np.array([found[node] for node in nodes])
