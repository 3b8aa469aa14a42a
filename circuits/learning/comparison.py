"""Whether a circuit settles where its model does, node by node, and what that does to decisions and gradients."""

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree

import eqprop as ep

from ..elements.sources import Transconductance
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist, NetlistError
from ..simulators import Ngspice, Simulator
from .emission import (
    drives,
    emit,
    node_names,
    nudge_siemens,
    require_linear_minimum,
    states,
    voltages,
)

METHOD = ep.BlockNewton(tolerance=1e-13)


@dataclass(frozen=True)
class Comparison:
    """Voltages of a circuit beside those of its model, as `dataset`.

    - `circuit`, `model` (phase, sample, node) in V; the phases are `free` and, with a nudge, `+beta` and `-beta`;
    - `status`, `correction` (phase, sample): the simulator's certificate;
    - `circuit_decision` (-1 where it failed), `model_decision` (sample), read from the free phase, and with labels given `label`;
    - for a device with an ideal counterpart, `ideal` (sample, node) and `ideal_decision` (sample) of the ideal-diode model.

    With a nudge the attributes have the norms (V², by conductances in units), cosines and relative differences of the
    equilibrium-propagation gradients from the circuit's and from the model's voltages, and those with the exact gradient.
    """

    dataset: xr.Dataset

    @property
    def error(self) -> float:
        """The largest |circuit − model| in V; NaN where a point failed."""
        return float(np.max(np.abs(self.dataset.circuit.values - self.dataset.model.values)))

    @property
    def agrees(self) -> bool:
        """Whether every point is certified and within the tolerance of the model."""
        return (
            bool((self.dataset.status == "ok").all())
            and self.error <= self.dataset.attrs["tolerance_volts"]
        )

    @property
    def agreement(self) -> float:
        """The share of samples on which circuit and model decide the same."""
        return float((self.dataset.circuit_decision == self.dataset.model_decision).mean())

    def worst(self) -> tuple[str, int, str]:
        """Phase, sample and node of the largest difference, a failed point before all others."""
        gap = np.abs(self.dataset.circuit.values - self.dataset.model.values)
        at = np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), gap.shape)
        return (
            str(self.dataset.phase.values[at[0]]),
            int(at[1]),
            str(self.dataset.node.values[at[2]]),
        )

    def numbers(self) -> dict[str, Any]:
        """What `print` shows, as plain numbers: a row for each phase and layer, and the whole."""
        data, attrs = self.dataset, self.dataset.attrs
        gap, rows = np.abs(data.circuit - data.model), []
        for name in data.phase.values:
            ok = int((data.status.sel(phase=name) == "ok").sum())
            for layer in dict.fromkeys(data.layer.values):
                part = gap.sel(phase=name)[:, data.layer.values == layer].values
                largest, rms = float(np.max(part)), float(np.sqrt(np.mean(part**2)))
                rows.append(
                    {
                        "phase": str(name),
                        "layer": str(layer),
                        "error_volts": largest,
                        "rms_volts": rms,
                        "points_ok": ok,
                    }
                )
        phase, sample, node = self.worst()
        found: dict[str, Any] = {
            "samples": data.sample.size,
            "beta": attrs["beta"],
            "rows": rows,
            "agrees": self.agrees,
        }
        found |= {
            "error_volts": self.error,
            "at": {"phase": phase, "sample": sample, "node": node},
            "agreement": self.agreement,
        }
        if "ideal" in data:
            found["ideal_distance_volts"] = float(
                np.max(np.abs(data.circuit.sel(phase="free").values - data.ideal.values))
            )
            found["ideal_agreement"] = float((data.circuit_decision == data.ideal_decision).mean())
        return found | {
            name: float(value) for name, value in attrs.items() if name.startswith("gradient_")
        }

    def __str__(self) -> str:
        found, attrs = self.numbers(), self.dataset.attrs
        nodes = self.dataset.node.size
        lines = [
            f"{attrs['netlist']}: {attrs['simulator']} against the model, {found['samples']} samples, {nodes} nodes",
            "",
        ]
        lines.append(
            f"{'phase':<8}{'layer':<8}{'largest error':>16}{'rms error':>14}{'points ok':>12}"
        )
        for row in found["rows"]:
            sizes = f"{row['error_volts']:>14.2e} V{row['rms_volts']:>12.2e} V{row['points_ok']:>8}/{found['samples']}"
            lines.append(f"{row['phase']:<8}{row['layer']:<8}{sizes}")
        at = found["at"]
        lines += [
            "",
            f"{'AGREES' if found['agrees'] else 'DIFFERS'}: largest difference {found['error_volts']:.2e} V "
            f"(tolerance {attrs['tolerance_volts']:.0e} V), at {at['node']} in the {at['phase']} phase of sample {at['sample']}; "
            f"decisions agree on {found['agreement']:.2%} of the samples",
        ]
        if "ideal_agreement" in found:
            same = found["ideal_agreement"]
            far = found["ideal_distance_volts"]
            lines.append(
                f"ideal diodes in the place of these would move nodes by up to {far:.3g} V; decisions agree on {same:.2%}"
            )
        for pair, title in (
            ("circuit_model", "circuit and model"),
            ("circuit_exact", "circuit and exact"),
            ("model_exact", "model and exact, which is what the finite nudge costs"),
        ):
            if f"gradient_cosine_{pair}" in found:
                cosine, off = found[f"gradient_cosine_{pair}"], found[f"gradient_difference_{pair}"]
                lines.append(
                    f"gradient, {title}: cosine {cosine:.9f}, relative difference {off:.2e}"
                )
        if "gradient_norm_exact" in found:
            norms = ", ".join(
                f"{name} {found[f'gradient_norm_{name}']:.6g}"
                for name in ("circuit", "model", "exact")
            )
            lines.append(f"gradient, norm in V2: {norms}")
        return "\n".join(lines)

    def plot(self, ax=None):
        """The circuit's voltages over the model's, as `circuits.plotting.agreement` draws them."""
        from ..plotting import agreement

        return agreement(self.dataset, ax)


def compare(
    model: ep.Resistive,
    xs: np.ndarray,
    ys: np.ndarray | None = None,
    *,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
    circuit: Netlist | None = None,
    tolerance: float = 1e-9,
) -> Comparison:
    """Simulates the circuit of `model` on examples `xs` and sets it beside the model's own fixed points.

    **Arguments:** `ys`, `cost`, `beta`: targets, cost and a nudge in units of `model.unit`; with them the phases at ±beta are compared
    too, and the gradients. `circuit`: another netlist than `emit(model, …)`, of the same node names. `simulator`: `Ngspice()` if not
    given; it sees the exactly reduced netlist. `tolerance`: in V.

    **Raises** `RuntimeError` where JAX's x64 mode is off, as volts are compared to 1e-9; `ValueError` for nodes that the model does not
    have and shapes that do not fit; `NudgeError` for a beta without a minimum at −beta; and what the simulator
    raises.
    """
    ep.require_float64("a comparison in volts")
    xs = np.asarray(xs, float)
    sources = drives(model, xs, ys=ys, cost=cost)
    nudged = beta != 0
    if (ys is None) != (cost is None) or (nudged and cost is None):
        raise ValueError("`ys` and `cost` must be given together, and with any `beta` other than 0")
    if nudged and cost is not None:
        require_linear_minimum(model, cost, -abs(beta))
    simulator = Ngspice() if simulator is None else simulator
    netlist = (
        emit(model, xs[0], y=None if ys is None else ys[0], cost=cost)
        if circuit is None
        else circuit
    )
    nodes = voltages(tuple(np.array(layer) for layer in node_names(model))).tolist()
    betas = {"free": 0.0, "+beta": beta, "-beta": -beta} if nudged else {"free": 0.0}

    seen = []
    for strength in betas.values():
        phase, values = reduce(with_nudge(netlist, nudge_siemens(model, strength)), sources)
        answer = simulator.operating_points(phase, values)
        missing = sorted(set(nodes) - set(answer.node.values.tolist()))
        if missing:
            raise NetlistError(
                f"`circuit` must have the nodes of the model as free nodes, but {missing[:10]} are none"
            )
        seen.append(answer)
    answers = xr.concat(
        seen, xr.DataArray(list(betas), dims="phase", name="phase"), combine_attrs="override"
    ).sel(node=nodes)
    settled = [fixed_points(model, xs, None, None, 0.0)]
    settled += [fixed_points(model, xs, ys, cost, b, settled[0]) for b in list(betas.values())[1:]]

    layers = [
        name
        for layer, name in zip(node_names(model), layer_titles(model), strict=True)
        for _ in layer
    ]
    data = xr.Dataset(
        {
            "circuit": answers.voltage,
            "model": (
                ("phase", "sample", "node"),
                np.stack([voltages(state) for state in settled]),
                {"units": "V"},
            ),
            "status": answers.status,
            "correction": answers.correction,
        },
        attrs={
            **answers.attrs,
            "tolerance_volts": tolerance,
            "beta": beta,
            "unit_siemens": model.unit,
        },
    ).assign_coords(layer=("node", layers))
    data["circuit_decision"] = ("sample", decisions(model, data.circuit.sel(phase="free")))
    data["model_decision"] = ("sample", decisions(model, data.model.sel(phase="free")))
    if ys is not None and np.ndim(ys) == 1:
        data["label"] = ("sample", np.asarray(ys))
    if hasattr(model.device, "ideal"):
        ideal = replace(model, device=model.device.ideal())
        data["ideal"] = (
            ("sample", "node"),
            voltages(fixed_points(ideal, xs, None, None, 0.0)),
            {"units": "V"},
        )
        data["ideal_decision"] = ("sample", decisions(ideal, data.ideal))
    if nudged and ys is not None and cost is not None:
        data.attrs.update(
            gradients(
                model, cost, xs, ys, beta, states(model, data.circuit), states(model, data.model)
            )
        )
    return Comparison(data)


def with_nudge(netlist: Netlist, siemens: float) -> Netlist:
    """The netlist with its nudge sources, which only a nudged phase needs, at `siemens`."""
    sources = [
        e
        for e in netlist.elements
        if isinstance(e, Transconductance) and e.name.startswith("nudge_")
    ]
    if siemens and not sources:
        raise NetlistError(
            "`circuit` must have nudge sources (Gnudge_*) for phases with a nudge, but has none"
        )
    return netlist.with_elements(*(replace(source, siemens=siemens) for source in sources))


def layer_titles(model: ep.Resistive) -> list[str]:
    """What each array of a state is called: `hidden` (`hidden2` where there are several) and `output`."""
    hidden = len(model.biases) - 1
    outputs = ["output", "output"] if model.doubled_outputs else ["output"]
    return [
        *("hidden" if hidden == 1 else f"hidden{layer + 1}" for layer in range(hidden)),
        *outputs,
    ]


def decisions(model: ep.Resistive, voltage: xr.DataArray) -> np.ndarray:
    """The class of the largest output (sample,); -1 where an output is missing."""
    outputs = np.asarray(model.outputs(states(model, voltage)))
    known = np.all(np.isfinite(outputs), axis=1)
    return np.where(known, np.argmax(np.where(known[:, None], outputs, 0.0), axis=1), -1)


def fixed_points(model, xs, ys, cost, beta: float, start=None) -> tuple[np.ndarray, ...]:
    """The model's fixed points (samples, layer), free or nudged, each certified. Raises `NotSettledError`."""
    if cost is None or ys is None or beta == 0:
        settled = _settle(model, jnp.asarray(xs))
    else:
        settled = _settle_nudged(
            model, cost, jnp.asarray(xs), jnp.asarray(ys), jnp.asarray(beta), start
        )
    if not np.all(settled.settled):
        raise ep.NotSettledError(
            f"the model's fixed point was not reached: off by up to {float(np.max(settled.error)):.3g} V"
        )
    return tuple(np.asarray(layer) for layer in settled.state)


_settle = eqx.filter_jit(lambda model, xs: jax.vmap(lambda x: ep.settle(model, x, METHOD))(xs))


@eqx.filter_jit
def _settle_nudged(model, cost, xs, ys, beta, start):
    return jax.vmap(lambda x, y, s: ep.settle(ep.Nudged(model, cost, y, beta), x, METHOD, s))(
        xs, ys, start
    )


@eqx.filter_jit
def contrast(estimator: ep.EqProp, model: ep.Resistive, xs: jax.Array, phases: Any) -> Any:
    """The gradient that an estimator makes of states (phase, sample, layer), those of the free phase first."""
    free = jax.tree.map(lambda s: jnp.asarray(s)[0], phases)
    return estimator.contrast(
        model, xs, free, jax.tree.map(lambda s, f: jnp.asarray(s)[1:] - f, phases, free)
    )


def gradients(model, cost, xs, ys, beta: float, circuit, own) -> dict[str, float]:
    """Norms, cosines and relative differences of the gradients from two sets of phases (phase, sample, layer), and of the exact one."""
    estimator = ep.EqProp.centred(beta)
    found = {
        name: contrast(estimator, model, jnp.asarray(xs), phases)
        for name, phases in (("circuit", circuit), ("model", own))
    }
    found["exact"] = ep.Implicit(METHOD)(model, cost, jnp.asarray(xs), jnp.asarray(ys)).grad
    report = {
        f"gradient_norm_{name}": float(jnp.linalg.norm(ravel_pytree(gradient)[0]))
        for name, gradient in found.items()
    }
    for a, b in (("circuit", "model"), ("circuit", "exact"), ("model", "exact")):
        report[f"gradient_cosine_{a}_{b}"] = ep.cosine(found[a], found[b])
        report[f"gradient_difference_{a}_{b}"] = ep.relative_error(found[a], found[b])
    return report
