"""Where the distance of a chip from the ideal model comes from: cause by cause."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.dae import unknowns_at
from ..mna.equations import Equations
from ..netlist.netlist import Netlist
from ..simulators import Simulator
from ..simulators.nodal import Nodal
from ..variation import Variation
from ..variation.base import Composed
from .comparison import decisions, fixed_points, gradients, layer_titles, with_nudge
from .emission import drives, emit, node_names, nudge_siemens, require_linear_minimum, voltages
from .gradient_noise import certified, noise_factors

DIODES, NOISE, FINITE, SOLVER, INTERACTION = (
    "diode law",
    "noise",
    "finite beta",
    "solver",
    "interaction",
)
NOTHING = Composed(())


@dataclass(frozen=True)
class Attribution:
    """The distance of a chip from the ideal model, Δ = Σ Δ_cause + interaction, as `dataset`.

    - `part` (cause, sample, node) in V, of the free phase: what each cause does when it alone is switched on in the nominal circuit.
      The first, the diodes' own law, makes the nominal circuit of the ideal model; each variation goes by its `cause`; `noise` is one
      draw of the thermal and shot noise; the `solver` is the difference of the simulator from our own on the chip. What all together
      do beyond the sum of these is the `interaction`.
    - `removed` (cause, sample, node) in V: what vanishes when a cause is switched off in the chip and the others stay; of a variation
      without the noise. NaN for those that cannot be switched off there.
    - `whole` (sample, node) in V: Δ. The parts add up to it.
    - `displacement` (cause, sample, node) and `whole_displacement` (sample, node) in V, with a nudge: the same for what a gradient is
      made of, (v_β − v_−β)/2, against β dv/dβ of the ideal model at β = 0. A variation's part is its effect on β dv/dβ, and that of
      `finite beta`, which a free phase does not know, how far the nominal circuit's displacement is from it.
    - `noise` (sample, node) in V: the standard deviation of the chip's noise.
    - `ideal_decision`, `chip_decision` (sample).

    With a nudge its attributes have the norms, cosines and relative differences of gradients, as a `Comparison` has them: `circuit` is
    the chip, noise left out, and `model_exact` what a finite β costs.
    """

    dataset: xr.Dataset

    def rms(self, of: str = "part") -> dict[str, float]:
        """The root mean square in V over samples and nodes of each `part`, or each part of the `displacement`, and of the whole."""
        parts, whole = self._of(of)
        return {str(c): _rms(parts.sel(cause=c)) for c in parts.cause.values} | {
            "whole": _rms(whole)
        }

    def shares(self, of: str = "part") -> dict[str, float]:
        """How much of Δ lies along each part, ⟨Δ_cause, Δ⟩/⟨Δ, Δ⟩: numbers that add up to 1, below 0 for what works against it."""
        parts, whole = self._of(of)
        square = float((whole**2).sum())
        return {
            str(c): float((parts.sel(cause=c) * whole).sum()) / square for c in parts.cause.values
        }

    def _of(self, name: str) -> tuple[xr.DataArray, xr.DataArray]:
        wholes = {"part": "whole", "displacement": "whole_displacement"}
        if name not in wholes or name not in self.dataset:
            raise ValueError(
                f"`of` must be 'part', or 'displacement' where there is a nudge, but is {name!r}"
            )
        return self.dataset[name], self.dataset[wholes[name]]

    def __str__(self) -> str:
        data = self.dataset
        lines = [
            f"{data.attrs['netlist']}: {data.sample.size} samples, {data.node.size} nodes; chip against the ideal model",
            "",
        ]
        lines += self._table("part", "free phase", data.removed)
        same = float((data.chip_decision == data.ideal_decision).mean())
        lines += [
            "",
            f"noise of the chip: {_rms(data.noise):.2e} V; decisions agree with the ideal model on {same:.2%}",
        ]
        if "displacement" in data:
            lines += [
                "",
                *self._table("displacement", f"displacement, beta {data.attrs['beta']:g}", None),
                "",
            ]
        for pair, title in (
            ("model_exact", "finite beta"),
            ("circuit_model", "chip and model"),
            ("circuit_exact", "chip and exact"),
        ):
            if f"gradient_cosine_{pair}" in data.attrs:
                cosine, off = (
                    data.attrs[f"gradient_cosine_{pair}"],
                    data.attrs[f"gradient_difference_{pair}"],
                )
                lines.append(
                    f"gradient, {title}: cosine {cosine:.6f}, relative difference {off:.2e}"
                )
        if "gradient_norm_exact" in data.attrs:
            norms = (
                f"{title} {data.attrs[f'gradient_norm_{name}']:.4g}"
                for name, title in (("circuit", "chip"), ("exact", "exact"))
            )
            lines.append(f"gradient, norm in V2: {', '.join(norms)}")
        return "\n".join(lines)

    def _table(self, of: str, title: str, removed: xr.DataArray | None) -> list[str]:
        parts, whole = self._of(of)
        rms, shares = self.rms(of), self.shares(of) | {"whole": 1.0}
        lines = [
            f"{title:<26}{'alone, rms':>14}{'largest':>14}{'at':>10}{'share':>9}{'' if removed is None else '   removed, rms'}"
        ]
        for cause, share in shares.items():
            part: xr.DataArray = abs(whole if cause == "whole" else parts.sel(cause=cause))
            node = (
                ""
                if cause == "whole"
                else str(part.node.values[np.argmax(part.max("sample").values)])
            )
            lines.append(
                f"{cause:<26}{rms[cause]:>12.2e} V{float(part.max()):>12.2e} V{node:>10}{share:>9.1%}"
            )
            if (
                removed is not None
                and cause != "whole"
                and np.isfinite(gone := _rms(removed.sel(cause=cause)))
            ):
                lines[-1] += f"{gone:>13.2e} V"
        return lines

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

    **Arguments:** `model`: with a device that has an ideal counterpart. `variation`, `seed`, `number`: the chip; `seed` draws its noise
    too. `ys`, `cost`, `beta`: with a nudge, in units of `model.unit`, displacements and gradients are compared too. `simulator`: whose
    answer on the chip is compared with that of `Nodal`, which finds all others; none if not given.

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for a device without an ideal counterpart, and as `compare`;
    `SimulationError` for a point that is not certified; `NetlistError` for a node whose noise has no bound, as `covariance`.
    """
    ep.require_float64("an attribution in volts")
    if not hasattr(model.device, "ideal"):
        raise ValueError(
            f"`model` must have a device with an ideal counterpart, but has {type(model.device).__name__}"
        )
    if (ys is None) != (cost is None) or (beta != 0 and cost is None):
        raise ValueError("`ys` and `cost` must be given together, and with any `beta` other than 0")
    if beta and cost is not None:
        require_linear_minimum(model, cost, -abs(beta))
    xs, parts, nudge = np.asarray(xs, float), variation.parts(), nudge_siemens(model, beta)
    sources, nodes = (
        drives(model, xs, ys=ys, cost=cost),
        [node for layer in node_names(model) for node in layer],
    )

    def chip(of: ep.Resistive, only: Variation) -> _Chip:
        circuit = emit(of, y=None if ys is None else ys[0], cost=cost)
        return _Chip(circuit, only.drives(sources), nodes, only, seed, number)

    without = replace(model, device=model.device.ideal())
    bare, full = chip(model, NOTHING), chip(model, variation)
    alone = [chip(model, part) for part in parts]
    fewer = [
        chip(model, Composed(tuple(other for other in parts if other is not part)))
        for part in parts
    ]
    numbers = np.random.default_rng(seed).standard_normal((3, len(xs), len(nodes)))
    quiet, loud = (
        np.einsum("sij,psj->psi", one.noise, numbers) for one in (bare, full)
    )  # of the free phase and two nudged ones
    ideal = voltages(fixed_points(without, xs, None, None, 0.0))
    solver = np.zeros_like(ideal) if simulator is None else full.settle(by=simulator) - full.free
    whole = full.free + loud[0] + solver - ideal
    late = [np.zeros_like(ideal)] if beta else []  # what a finite β does to the free phase
    unknown = [np.full_like(ideal, np.nan)]
    removed = [
        *unknown,
        *(full.free - one.free for one in fewer),
        loud[0],
        *unknown * len(late),
        *unknown,
        *unknown,
    ]
    form = ("cause", "sample", "node")
    found: dict[str, Any] = {
        "part": (
            form,
            _split(ideal, bare.free, [one.free for one in alone], [quiet[0], *late, solver], whole),
            {"units": "V"},
        ),
        "removed": (form, np.stack(removed), {"units": "V"}),
        "whole": (form[1:], whole, {"units": "V"}),
        "noise": (form[1:], np.sqrt(np.sum(full.noise**2, axis=2)), {"units": "V"}),
    }
    attributes = {"netlist": full.nominal.title, "seed": seed, "number": number, "beta": beta}
    if beta:
        phases = np.stack([full.free, full.settle(nudge), full.settle(-nudge)])
        seen, start = (phases[1] - phases[2]) / 2, chip(without, NOTHING).response(nudge)
        moved, limit = (bare.settle(nudge) - bare.settle(-nudge)) / 2, bare.response(nudge)
        solver = np.zeros_like(seen)
        if simulator is not None:
            solver = (full.settle(nudge, simulator) - full.settle(-nudge, simulator)) / 2 - seen
        away = seen + (loud[1] - loud[2]) / 2 + solver - start
        late = [(quiet[1] - quiet[2]) / 2, moved - limit, solver]
        found["displacement"] = (
            form,
            _split(start, limit, [one.response(nudge) for one in alone], late, away),
            {"units": "V"},
        )
        found["whole_displacement"] = (form[1:], away, {"units": "V"})
        attributes |= _gradients(model, cost, xs, ys, beta, phases)
    causes = [
        DIODES,
        *(part.cause for part in parts),
        NOISE,
        *([FINITE] if beta else []),
        SOLVER,
        INTERACTION,
    ]
    layers = [
        title
        for layer, title in zip(node_names(model), layer_titles(model), strict=True)
        for _ in layer
    ]
    where = {
        "cause": causes,
        "node": nodes,
        "sample": np.arange(len(xs)),
        "layer": ("node", layers),
    }
    data = xr.Dataset(found, coords=where, attrs=attributes)
    data["chip_decision"] = (
        "sample",
        decisions(model, data.whole.copy(data=variation.read(whole + ideal))),
    )
    data["ideal_decision"] = ("sample", decisions(model, data.whole.copy(data=ideal)))
    return Attribution(data)


def _split(
    ideal: np.ndarray,
    bare: np.ndarray,
    alone: list[np.ndarray],
    more: list[np.ndarray],
    whole: np.ndarray,
) -> np.ndarray:
    """What each cause does alone (cause, sample, node), the first of the `ideal` to the others of the `bare`; last the interaction."""
    parts = [bare - ideal, *(one - bare for one in alone), *more]
    return np.stack([*parts, whole - np.sum(parts, axis=0)])


def _gradients(
    model: ep.Resistive, cost: Any, xs: np.ndarray, ys: Any, beta: float, phases: np.ndarray
) -> dict[str, float]:
    free = fixed_points(model, xs, None, None, 0.0)
    settled = [free, *(fixed_points(model, xs, ys, cost, b, free) for b in (beta, -beta))]
    own = tuple(np.stack(layer) for layer in zip(*settled, strict=True))
    ends = np.cumsum([layer.shape[1] for layer in free])[:-1]
    return gradients(model, cost, xs, ys, beta, tuple(np.split(phases, ends, axis=-1)), own)


def _rms(volts: xr.DataArray) -> float:
    return float(np.sqrt(np.mean(volts**2)))


@dataclass(frozen=True, eq=False)
class _Chip:
    """A chip with some of its variations, and what is asked of it: volts (samples, nodes)."""

    nominal: Netlist
    sources: dict[str, np.ndarray]
    nodes: list[str]
    variation: Variation
    seed: int
    number: int

    def _netlist(self, siemens: float) -> Netlist:
        return self.variation.chip(
            with_nudge(self.nominal, siemens), seed=self.seed, number=self.number
        )

    @cached_property
    def _points(self) -> xr.Dataset:
        return certified(Nodal(), self._netlist(0.0), self.sources)

    @property
    def free(self) -> np.ndarray:
        """The free phase."""
        return self._points.voltage.sel(node=self.nodes).values

    def settle(self, siemens: float = 0.0, by: Simulator | None = None) -> np.ndarray:
        """The phase with a nudge of so many `siemens`."""
        return (
            certified(by or Nodal(), self._netlist(siemens), self.sources)
            .voltage.sel(node=self.nodes)
            .values
        )

    @cached_property
    def noise(self) -> np.ndarray:
        """Factors (samples, nodes, nodes) of the covariance of its noise."""
        return noise_factors(self._netlist(0.0), self._points, self.sources, self.nodes)

    def response(self, siemens: float) -> np.ndarray:
        """β dv/dβ at β = 0, β being a nudge of so many `siemens`: −J⁻¹ times the currents that it adds at the free phase."""
        from scipy.sparse.linalg import splu

        free, nudged = Equations(self._netlist(0.0)), Equations(self._netlist(siemens))
        places = [free.place(node) for node in self.nodes]
        found = []
        for k, point in enumerate(self._points.voltage.values):
            own = {name: column[k : k + 1] for name, column in self.sources.items()}
            z = unknowns_at(free, point, own)
            added = nudged.residual(z, own)[0] - free.residual(z, own)[0]
            found.append(-splu(free.sparse_jacobian(z, own)[0]).solve(added[0])[places])
        return np.array(found)
