"""Figures of a circuit against its model, and of one simulator against another."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..memristors import separation
from ..units import prefixed
from .style import COLOURS, axes_or_new

if TYPE_CHECKING:
    import xarray as xr


def agreement(data: "xr.Dataset", ax: Any = None) -> Any:
    """Draw voltages of the circuit over those of the model, by layer.

    **Arguments:**

    - `data`: the dataset of a comparison, of which all phases, samples and nodes are drawn.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    for index, (layer, model, circuit) in enumerate(_layers(data)):
        marker, size = (".", 8) if index == 0 else ("x", 14)
        ax.scatter(
            model,
            circuit,
            s=size,
            marker=marker,
            color=COLOURS[index],
            linewidths=0.8,
            label=f"{layer} nodes",
            rasterized=True,
        )
    ends = [float(data.model.min()), float(data.model.max())]
    ax.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="equal")
    ax.set_title("Fixed points")
    ax.set_xlabel("model (V)")
    ax.set_ylabel(f"{data.attrs['simulator']} (V)")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def differences(data: "xr.Dataset", ax: Any = None) -> Any:
    """Draw the distribution of |circuit − model|, by layer, with its tolerance.

    **Arguments:**

    - `data`: the dataset of a comparison.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    smallest = 1e-17  # V, at which differences of 0 are drawn
    largest = max(data.attrs["tolerance_volts"], float(np.abs(data.circuit - data.model).max()))
    bins = np.logspace(np.log10(smallest), np.log10(2 * largest), 60)
    for index, (layer, model, circuit) in enumerate(_layers(data)):
        gap = np.maximum(np.abs(circuit - model), smallest)
        style = (
            {"histtype": "stepfilled", "alpha": 0.5}
            if index == 0
            else {"histtype": "step", "linewidth": 1.5}
        )
        ax.hist(
            gap,
            bins=bins,
            color=COLOURS[index],
            label=f"{layer} nodes, at most {gap.max():.1e} V",
            **style,
        )
    ax.axvline(
        data.attrs["tolerance_volts"],
        color="black",
        linestyle="--",
        linewidth=0.8,
        label="tolerance",
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title("Differences")
    ax.set_xlabel(f"|{data.attrs['simulator']} − model| (V)")
    ax.set_ylabel("nodes, over samples and phases")
    ax.legend(loc="upper right")
    ax.grid(alpha=0.3)
    return ax


def _layers(data: "xr.Dataset") -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return name, model's voltages and circuit's voltages of each layer, in V, flattened."""
    layers = []
    for layer in dict.fromkeys(data.layer.values):
        chosen = data.layer.values == layer
        both = (data.model.values, data.circuit.values)
        model, circuit = (values[:, :, chosen].ravel() for values in both)
        layers.append((str(layer), model, circuit))
    return layers


def beside(data: "xr.Dataset") -> Any:
    """Draw `agreement` and `differences` side by side, on a new figure.

    **Arguments:**

    - `data`: the dataset of a comparison.

    **Returns** the axes of the second.
    """
    from matplotlib import pyplot

    left, right = pyplot.subplots(1, 2, figsize=(11, 4.4), layout="constrained")[1]
    agreement(data, left)
    return differences(data, right)


def transient(data: "xr.Dataset", nodes: list[str], ax: Any = None) -> Any:
    """Draw the transient of the RC flow with the circuit's on top.

    **Arguments:**

    - `data`: as `circuits.compare_transient` returns it.
    - `nodes`: which of its nodes to draw.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax, width=8.0)
    nanoseconds, simulator = 1e9 * data.time.values, data.attrs["simulator"]
    for index, node in enumerate(nodes):
        colour = COLOURS[index % len(COLOURS)]
        ax.plot(
            nanoseconds,
            data.flow.sel(node=node),
            color=colour,
            linewidth=4,
            alpha=0.35,
            label=f"{node}, RC flow",
        )
        ax.plot(
            nanoseconds,
            data.circuit.sel(node=node),
            color=colour,
            linewidth=1,
            linestyle="--",
            label=f"{node}, {simulator}",
        )
    if "nudged_at" in data.attrs:
        ax.axvline(
            1e9 * data.attrs["nudged_at"],
            color="black",
            linewidth=0.8,
            linestyle=":",
            label="nudge switched on",
        )
    gap = float(np.max(np.abs(data.flow - data.circuit)) / np.max(np.abs(data.flow)))
    ax.set_title(f"Transient: largest difference {gap:.1e} of full scale")
    ax.set_xlabel("time (ns)")
    ax.set_ylabel("node voltage (V)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def hysteresis(line: "xr.Dataset", dots: "xr.Dataset", ax: Any = None) -> Any:
    """Draw a memristor's loop twice: of one simulator as a line, of the other as dots.

    **Arguments:**

    - `line`, `dots`: as `circuits.memristors.hysteresis` returns them.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    scale, unit = prefixed(float(np.abs(line.current).max()), "A")
    ax.plot(
        line.voltage,
        scale * line.current,
        color=COLOURS[0],
        linewidth=1.5,
        label=line.attrs["simulator"],
    )
    chosen = np.linspace(0, dots.time.size - 1, min(dots.time.size, 80)).astype(int)
    ax.plot(
        dots.voltage[chosen],
        scale * dots.current[chosen],
        ".",
        color=COLOURS[1],
        markersize=4,
        label=dots.attrs["simulator"],
    )
    ax.set_title(f"{line.attrs['model']}: at most {separation(dots, line):.1e} of the peaks apart")
    ax.set_xlabel("voltage (V)")
    ax.set_ylabel(f"current ({unit})")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax
