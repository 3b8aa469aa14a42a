"""Figures of imperfect chips: their errors, their accuracy, and the noise of gradients."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import COLOURS, axes_or_new

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr


def spreads(data: "xr.Dataset", ax: Any = None) -> Any:
    """Draw accuracy over programming spread: each chip, the mean and the range over chips.

    **Arguments:**

    - `data`: a dataset with `accuracy` (spread, chip), from 0 to 1, and the attributes
      `nominal_accuracy` and `saturation_spread`.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    percent = 100 * data.accuracy.transpose("spread", "chip").values
    position = np.arange(data.spread.size)
    ax.fill_between(
        position,
        percent.min(1),
        percent.max(1),
        color=COLOURS[0],
        alpha=0.2,
        label="range over chips",
    )
    offsets = np.linspace(-0.08, 0.08, data.chip.size)
    for row, values in zip(position, percent, strict=True):
        label = f"{data.chip.size} chips" if row == 0 else None
        ax.plot(row + offsets, values, ".", color=COLOURS[0], markersize=4, alpha=0.7, label=label)
    ax.plot(position, percent.mean(1), "o-", color=COLOURS[1], label="mean")
    nominal = 100 * float(data.attrs["nominal_accuracy"])
    ax.axhline(
        nominal,
        color="black",
        linewidth=0.8,
        linestyle="--",
        label=f"nominal circuit, {nominal:.2f} %",
    )
    ax.set_xticks(position, [f"{100 * spread:g}" for spread in data.spread.values])
    ax.set_xlabel("programming spread of the conductances, standard deviation over mean (%)")
    ax.set_ylabel("test accuracy (%)")
    saturation = 100 * data.attrs["saturation_spread"]
    ax.set_title(f"Accuracy on imperfect chips (saturation currents spread by {saturation:g} %)")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def accuracies(by_kind: "Mapping[str, np.ndarray]", ideal: float, ax: Any = None) -> Any:
    """Draw accuracies of chips by kind: each chip as a point, and the mean as a bar.

    **Arguments:**

    - `by_kind`: accuracies from 0 to 1, (chips,), by name, such as that of a device.
    - `ideal`: the accuracy of the ideal chip, from 0 to 1.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax, height=1.4 + 0.6 * max(len(by_kind), 2))
    for row, values in enumerate(by_kind.values()):
        percent = 100 * np.asarray(values)
        label = f"{percent.size} chips" if row == 0 else None
        ax.plot(
            percent,
            row + np.linspace(-0.2, 0.2, percent.size),
            ".",
            color=COLOURS[0],
            markersize=4,
            alpha=0.5,
            label=label,
        )
        ax.plot(
            percent.mean(),
            row,
            "|",
            color=COLOURS[1],
            markersize=24,
            markeredgewidth=2.5,
            label=None if row else "mean",
        )
    ax.axvline(
        100 * ideal,
        color="black",
        linewidth=0.8,
        linestyle="--",
        label=f"ideal chip, {100 * ideal:.1f} %",
    )
    ax.set_yticks(range(len(by_kind)), list(by_kind))
    ax.set_ylim(max(len(by_kind), 2) - 0.5, -0.5)  # from top to bottom, with room for the legend
    ax.set_xlabel("test accuracy (%)")
    ax.set_title("Chips of imperfect devices")
    ax.legend(fontsize="small")
    ax.grid(axis="x", alpha=0.3)
    return ax


def attribution(volts: "Mapping[str, float]", ax: Any = None) -> Any:
    """Draw the part of each cause in a chip's error as bars, the largest on top.

    **Arguments:**

    - `volts`: the root mean square in V, by cause.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    shown = sorted(
        ((cause, value) for cause, value in volts.items() if value > 0), key=lambda item: item[1]
    )
    for row, (cause, value) in enumerate(shown):
        whole = cause == "whole"
        ax.barh(
            row,
            value,
            color="0.4" if whole else COLOURS[0],
            hatch="//" if whole else None,
            edgecolor="white",
        )
        ax.annotate(
            f"{value:.1e}",
            (value, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    ax.set_yticks(range(len(shown)), [cause for cause, _ in shown])
    ax.set_xscale("log")
    ax.margins(x=0.15)
    ax.set_xlabel("root mean square over samples and nodes (V)")
    ax.set_title("Distance of the chip from the ideal model")
    ax.grid(axis="x", alpha=0.3)
    return ax


def devices(spreads: "Mapping[str, tuple[np.ndarray, np.ndarray]]", ax: Any = None) -> Any:
    """Draw the error of published devices over the conductance asked for.

    **Arguments:**

    - `spreads`: by name, targets and standard deviations in units of the highest conductance,
      two arrays (levels,).
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax, width=8.0)
    for index, (name, (target, deviation)) in enumerate(spreads.items()):
        style = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": "-" if index < len(COLOURS) else "--",
        }
        ax.plot(100 * target, 100 * deviation, marker=".", label=name, **style)
    ax.set_xlabel("conductance asked for (% of the highest)")
    ax.set_ylabel("standard deviation of what is there (% of the highest)")
    ax.set_title("Published devices")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def gradient_noise(data: "xr.Dataset", ax: Any = None) -> Any:
    """Draw the errors of a gradient by noise and by the finite nudge, over the nudge's strength.

    **Arguments:**

    - `data`: as `circuits.gradient_noise` returns it.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    ax.axhline(
        float(data.signal[0]),
        color="black",
        linewidth=0.8,
        linestyle="--",
        label="the gradient itself",
    )
    ax.loglog(
        data.beta,
        np.hypot(data.bias, data.noise),
        color=COLOURS[2],
        linewidth=6,
        alpha=0.35,
        label="both",
    )
    for error, style, colour, label in (
        (data.noise, "o-", COLOURS[0], "error by noise, one reading"),
        (data.bias, "s-", COLOURS[1], "error by the finite nudge"),
    ):
        ax.loglog(data.beta, error, style, color=colour, markersize=4, label=label)
    ax.axvline(
        data.attrs["best_beta"],
        color="0.5",
        linewidth=1,
        label=f"best β = {data.attrs['best_beta']:.2g}",
    )
    ax.set_xlabel("strength of the nudge β")
    ax.set_ylabel("norm over all conductances")
    ax.set_title("Error of the gradient")
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def learning(data: "Sequence[xr.Dataset]", ax: Any = None) -> Any:
    """Draw accuracy on chips by device, for networks moved there and trained there.

    Each chip is a point, the mean a bar.

    **Arguments:**

    - `data`: datasets as `circuits.learn_on_chips` returns them, one a device.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax, width=8.0)
    kinds = (
        ("moved", "trained elsewhere", COLOURS[1], "x", -0.15),
        ("trained", "trained on the chip", COLOURS[0], ".", 0.15),
    )
    for row, one in enumerate(data):
        for name, label, colour, marker, off in kinds:
            values = 100 * one[name].values
            jitter = off + np.linspace(-0.1, 0.1, values.size)
            ax.plot(
                row + jitter,
                values,
                marker,
                color=colour,
                markersize=4,
                alpha=0.4,
                label=label if row == 0 else None,
            )
            ax.plot(row + off, values.mean(), "_", color=colour, markersize=22, markeredgewidth=2.5)
        ideal = 100 * float(one.ideal)
        ax.plot(
            [row - 0.35, row + 0.35],
            [ideal, ideal],
            "k--",
            linewidth=0.8,
            label="ideal chip" if row == 0 else None,
        )
    ax.set_xticks(
        range(len(data)),
        [str(one.attrs["preset"]).replace("@1", "").replace("-", "\n") for one in data],
        fontsize="small",
    )
    ax.set_ylabel("test accuracy (%)")
    ax.set_title(f"{data[0].chip.size} chips of each device; the mean as a bar")
    ax.legend(loc="lower right")
    ax.grid(axis="y", alpha=0.3)
    return ax


def against_spread(data: "xr.Dataset", ax: Any = None) -> Any:
    """Draw accuracy on chips of one device against its spread.

    Lines are the means of networks moved there and of those trained there, bands the ranges over
    chips.

    **Arguments:**

    - `data`: as `circuits.accuracy_against_spread` returns it.
    - `ax`: axes of matplotlib, or `None` for new ones.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    at = data.spread.values
    for name, label, colour, style in (
        ("moved", "trained elsewhere", COLOURS[1], "--x"),
        ("trained", "trained on the chip", COLOURS[0], "-o"),
    ):
        values = 100 * data[name]
        ax.fill_between(
            at, values.min("chip"), values.max("chip"), color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(at, values.mean("chip"), style, color=colour, label=label, markersize=4)
    ax.axhline(
        100 * float(data.ideal), color="black", linestyle=":", linewidth=0.9, label="ideal chip"
    )
    ax.set_xscale("log", base=2)
    ax.set_xticks(at, [f"{factor:g}" for factor in at])
    ax.set_xlabel("spread (in units of the device's own)")
    ax.set_ylabel("test accuracy (%)")
    ax.set_title(str(data.attrs["preset"]))
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax
