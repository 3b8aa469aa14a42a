"""Figures of circuits. Every function draws on the axes it is given, or on new ones, and returns them.

New axes are pyplot's, so that a notebook shows them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from .memristors import separation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash or marker besides."""


def axes_or_new(ax: Any, width: float = 6.4, height: float = 4.4) -> Any:
    """`ax`, or, where it is `None`, axes of that many inches on a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def agreement(data: "xr.Dataset", ax: Any = None) -> Any:
    """Voltages of the circuit over those of the model, all phases, samples and nodes of a comparison's dataset, by layer."""
    ax = axes_or_new(ax)
    for index, (layer, model, circuit) in enumerate(_layers(data)):
        marker, size = (".", 8) if index == 0 else ("x", 14)
        ax.scatter(model, circuit, s=size, marker=marker, color=COLOURS[index], linewidths=0.8, label=f"{layer} nodes", rasterized=True)
    ends = [float(data.model.min()), float(data.model.max())]
    ax.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="equal")
    ax.set_title("Fixed points")
    ax.set_xlabel("model (V)")
    ax.set_ylabel(f"{data.attrs['simulator']} (V)")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def differences(data: "xr.Dataset", ax: Any = None) -> Any:
    """The distribution of |circuit − model| of a comparison's dataset, by layer, with its tolerance."""
    ax = axes_or_new(ax)
    smallest = 1e-17  # V, where what is equal to the last bit is shown
    bins = np.logspace(
        np.log10(smallest), np.log10(max(2 * data.attrs["tolerance_volts"], 2 * float(np.abs(data.circuit - data.model).max()))), 60
    )
    for index, (layer, model, circuit) in enumerate(_layers(data)):
        gap = np.maximum(np.abs(circuit - model), smallest)
        style = {"histtype": "stepfilled", "alpha": 0.5} if index == 0 else {"histtype": "step", "linewidth": 1.5}
        ax.hist(gap, bins=bins, color=COLOURS[index], label=f"{layer} nodes, at most {gap.max():.1e} V", **style)
    ax.axvline(data.attrs["tolerance_volts"], color="black", linestyle="--", linewidth=0.8, label="tolerance")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title("Differences")
    ax.set_xlabel(f"|{data.attrs['simulator']} − model| (V)")
    ax.set_ylabel("nodes, over samples and phases")
    ax.legend(loc="upper right")
    ax.grid(alpha=0.3)
    return ax


def _layers(data: "xr.Dataset") -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, model's and circuit's voltages of each layer of a comparison."""
    found = []
    for layer in dict.fromkeys(data.layer.values):
        chosen = data.layer.values == layer
        found.append((str(layer), data.model.values[:, :, chosen].ravel(), data.circuit.values[:, :, chosen].ravel()))
    return found


def beside(data: "xr.Dataset") -> Any:
    """`agreement` and `differences` side by side, on a new figure; returns the second's axes."""
    from matplotlib import pyplot

    left, right = pyplot.subplots(1, 2, figsize=(11, 4.4), layout="constrained")[1]
    agreement(data, left)
    return differences(data, right)


def spreads(data: "xr.Dataset", ax: Any = None) -> Any:
    """Accuracy over programming spread: each chip, the mean and the range over chips. `data` has `accuracy` (spread, chip)."""
    ax = axes_or_new(ax)
    percent = 100 * data.accuracy.transpose("spread", "chip").values
    position = np.arange(data.spread.size)
    ax.fill_between(position, percent.min(1), percent.max(1), color=COLOURS[0], alpha=0.2, label="range over chips")
    offsets = np.linspace(-0.08, 0.08, data.chip.size)
    for row, values in zip(position, percent, strict=True):
        label = f"{data.chip.size} chips" if row == 0 else None
        ax.plot(row + offsets, values, ".", color=COLOURS[0], markersize=4, alpha=0.7, label=label)
    ax.plot(position, percent.mean(1), "o-", color=COLOURS[1], label="mean")
    nominal = 100 * float(data.attrs["nominal_accuracy"])
    ax.axhline(nominal, color="black", linewidth=0.8, linestyle="--", label=f"nominal circuit, {nominal:.2f} %")
    ax.set_xticks(position, [f"{100 * spread:g}" for spread in data.spread.values])
    ax.set_xlabel("programming spread of the conductances, standard deviation over mean (%)")
    ax.set_ylabel("test accuracy (%)")
    ax.set_title(f"Accuracy on imperfect chips (saturation currents spread by {100 * data.attrs['saturation_spread']:g} %)")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def accuracies(found: "Mapping[str, np.ndarray]", ideal: float, ax: Any = None) -> Any:
    """Accuracies of chips by kind, such as the device they are made of: each chip, and the mean as a bar; `ideal` of the ideal chip."""
    ax = axes_or_new(ax)
    for row, values in enumerate(found.values()):
        percent = 100 * np.asarray(values)
        label = f"{percent.size} chips" if row == 0 else None
        ax.plot(percent, row + np.linspace(-0.2, 0.2, percent.size), ".", color=COLOURS[0], markersize=4, alpha=0.5, label=label)
        ax.plot(percent.mean(), row, "|", color=COLOURS[1], markersize=24, markeredgewidth=2.5, label=None if row else "mean")
    ax.axvline(100 * ideal, color="black", linewidth=0.8, linestyle="--", label=f"ideal chip, {100 * ideal:.1f} %")
    ax.set_yticks(range(len(found)), list(found))
    ax.invert_yaxis()
    ax.set_xlabel("test accuracy (%)")
    ax.set_title("Chips of imperfect devices")
    ax.legend(fontsize="small")
    ax.grid(axis="x", alpha=0.3)
    return ax


def attribution(volts: "Mapping[str, float]", ax: Any = None) -> Any:
    """The root mean square of each cause's part in V, as bars, the largest on top; `volts` by cause."""
    ax = axes_or_new(ax)
    shown = sorted(((cause, value) for cause, value in volts.items() if value > 0), key=lambda item: item[1])
    for row, (cause, value) in enumerate(shown):
        whole = cause == "whole"
        ax.barh(row, value, color="0.4" if whole else COLOURS[0], hatch="//" if whole else None, edgecolor="white")
        ax.annotate(f"{value:.1e}", (value, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small")
    ax.set_yticks(range(len(shown)), [cause for cause, _ in shown])
    ax.set_xscale("log")
    ax.margins(x=0.15)
    ax.set_xlabel("root mean square over samples and nodes (V)")
    ax.set_title("Distance of the chip from the ideal model")
    ax.grid(axis="x", alpha=0.3)
    return ax


def devices(spreads: "Mapping[str, tuple[np.ndarray, np.ndarray]]", ax: Any = None) -> Any:
    """How far devices are from what they should be: by name, targets and standard deviations in units of the highest conductance."""
    ax = axes_or_new(ax, width=8.0)
    for index, (name, (target, deviation)) in enumerate(spreads.items()):
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": "-" if index < len(COLOURS) else "--"}
        ax.plot(100 * target, 100 * deviation, marker=".", label=name, **style)
    ax.set_xlabel("conductance asked for (% of the highest)")
    ax.set_ylabel("standard deviation of what is there (% of the highest)")
    ax.set_title("Published devices")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def gradient_noise(data: "xr.Dataset", ax: Any = None) -> Any:
    """What noise and a finite nudge leave of a gradient, over the strength of the nudge: what `circuits.gradient_noise` returns."""
    ax = axes_or_new(ax)
    ax.axhline(float(data.signal[0]), color="black", linewidth=0.8, linestyle="--", label="the gradient itself")
    ax.loglog(data.beta, np.hypot(data.bias, data.noise), color=COLOURS[2], linewidth=6, alpha=0.35, label="both")
    ax.loglog(data.beta, data.noise, "o-", color=COLOURS[0], markersize=4, label="error by noise, one reading")
    ax.loglog(data.beta, data.bias, "s-", color=COLOURS[1], markersize=4, label="error by the finite nudge")
    ax.axvline(data.attrs["best_beta"], color="0.5", linewidth=1, label=f"best β = {data.attrs['best_beta']:.2g}")
    ax.set_xlabel("strength of the nudge β")
    ax.set_ylabel("norm over all conductances")
    ax.set_title("Error of the gradient")
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def learning(data: "Sequence[xr.Dataset]", ax: Any = None) -> Any:
    """Accuracy on chips by device, moved there and trained there: each chip, and the mean. Datasets as of `circuits.learn_on_chips`."""
    ax = axes_or_new(ax, width=8.0)
    kinds = (("moved", "trained elsewhere", COLOURS[1], "x", -0.15), ("trained", "trained on the chip", COLOURS[0], ".", 0.15))
    for row, one in enumerate(data):
        for name, label, colour, marker, off in kinds:
            values = 100 * one[name].values
            jitter = off + np.linspace(-0.1, 0.1, values.size)
            ax.plot(row + jitter, values, marker, color=colour, markersize=4, alpha=0.4, label=label if row == 0 else None)
            ax.plot(row + off, values.mean(), "_", color=colour, markersize=22, markeredgewidth=2.5)
        ideal = 100 * float(one.ideal)
        ax.plot([row - 0.35, row + 0.35], [ideal, ideal], "k--", linewidth=0.8, label="ideal chip" if row == 0 else None)
    ax.set_xticks(range(len(data)), [str(one.attrs["preset"]).replace("@1", "").replace("-", "\n") for one in data], fontsize="small")
    ax.set_ylabel("test accuracy (%)")
    ax.set_title(f"{data[0].chip.size} chips of each device; the mean as a bar")
    ax.legend(loc="lower right")
    ax.grid(axis="y", alpha=0.3)
    return ax


def against_spread(data: "xr.Dataset", ax: Any = None) -> Any:
    """Accuracy on chips of one device against its spread, moved there and trained there: means, and ranges over chips as bands.

    `data` as of `circuits.accuracy_against_spread`.
    """
    ax = axes_or_new(ax)
    at = data.spread.values
    for name, label, colour, style in (
        ("moved", "trained elsewhere", COLOURS[1], "--x"),
        ("trained", "trained on the chip", COLOURS[0], "-o"),
    ):
        values = 100 * data[name]
        ax.fill_between(at, values.min("chip"), values.max("chip"), color=colour, alpha=0.2, linewidth=0)
        ax.plot(at, values.mean("chip"), style, color=colour, label=label, markersize=4)
    ax.axhline(100 * float(data.ideal), color="black", linestyle=":", linewidth=0.9, label="ideal chip")
    ax.set_xscale("log", base=2)
    ax.set_xticks(at, [f"{factor:g}" for factor in at])
    ax.set_xlabel("spread (in units of the device's own)")
    ax.set_ylabel("test accuracy (%)")
    ax.set_title(str(data.attrs["preset"]))
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def transient(data: "xr.Dataset", nodes: list[str], ax: Any = None) -> Any:
    """The flow's transient with the circuit's on top: what `circuits.compare_transient` returns."""
    ax = axes_or_new(ax, width=8.0)
    nanoseconds, simulator = 1e9 * data.time.values, data.attrs["simulator"]
    for index, node in enumerate(nodes):
        colour = COLOURS[index % len(COLOURS)]
        ax.plot(nanoseconds, data.flow.sel(node=node), color=colour, linewidth=4, alpha=0.35, label=f"{node}, RC flow")
        ax.plot(nanoseconds, data.circuit.sel(node=node), color=colour, linewidth=1, linestyle="--", label=f"{node}, {simulator}")
    if "nudged_at" in data.attrs:
        ax.axvline(1e9 * data.attrs["nudged_at"], color="black", linewidth=0.8, linestyle=":", label="nudge switched on")
    gap = float(np.max(np.abs(data.flow - data.circuit)) / np.max(np.abs(data.flow)))
    ax.set_title(f"Transient: largest difference {gap:.1e} of full scale")
    ax.set_xlabel("time (ns)")
    ax.set_ylabel("node voltage (V)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def hysteresis(line: "xr.Dataset", dots: "xr.Dataset", ax: Any = None) -> Any:
    """The loop of a memristor twice, as `memristors.hysteresis` has it: of one simulator as a line, of the other as dots."""
    ax = axes_or_new(ax)
    peak = float(np.abs(line.current).max())
    scale, unit = next(((s, u) for s, u in ((1.0, "A"), (1e3, "mA"), (1e6, "µA"), (1e9, "nA")) if s * peak >= 1), (1e12, "pA"))
    ax.plot(line.voltage, scale * line.current, color=COLOURS[0], linewidth=1.5, label=line.attrs["simulator"])
    chosen = np.linspace(0, dots.time.size - 1, min(dots.time.size, 80)).astype(int)
    ax.plot(dots.voltage[chosen], scale * dots.current[chosen], ".", color=COLOURS[1], markersize=4, label=dots.attrs["simulator"])
    ax.set_title(f"{line.attrs['model']}: at most {separation(dots, line):.1e} of the peaks apart")
    ax.set_xlabel("voltage (V)")
    ax.set_ylabel(f"current ({unit})")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax
