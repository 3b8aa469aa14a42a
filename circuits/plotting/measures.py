"""Figures of what a sweep measured."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import COLOURS, axes_or_new

if TYPE_CHECKING:
    import xarray as xr

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def over_chips(values: "xr.DataArray", *axes: str) -> "xr.Dataset":
    """`mean` over chips and all axes of a sweep but `axes`, and the `lowest` and `highest` chip, each averaged over the other axes."""
    import xarray as xr

    each = values.mean([dim for dim in values.dims if dim not in (*axes, "chip")])
    return xr.Dataset(
        {"mean": each.mean("chip"), "lowest": each.min("chip"), "highest": each.max("chip")}
    ).transpose(*axes)


def some(count: int) -> np.ndarray:
    """The places of as many of `count` values as have colours of their own, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, len(COLOURS))).round().astype(int))


def along(values: "xr.DataArray", axis: str, by: str | None = None, ax: Any = None) -> Any:
    """A measure of a sweep (axes, chip) along an axis: the mean over chips and all other axes, and the range over chips as a band.

    `by`: an axis of which every value, or five of them, has a line of its own.
    """
    ax = axes_or_new(ax)
    seen = over_chips(values, axis, *([by] if by else []))
    at = _set_scale(ax, values[axis].values)
    order = np.argsort(at)
    for index, place in enumerate(some(values.sizes[by]) if by else [0]):
        line = (seen.isel({by: place}) if by else seen).isel({axis: order})
        colour, label = COLOURS[index], _short(values[by].values[place]) if by else None
        if values.sizes["chip"] > 1:
            ax.fill_between(
                at[order], line.lowest, line.highest, color=colour, alpha=0.15, linewidth=0
            )
        ax.plot(
            at[order],
            line["mean"],
            color=colour,
            marker="os^Dv"[index],
            markersize=4,
            linestyle=DASHES[index],
            label=label,
        )
    if _spans_decades(seen):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(axis)
    ax.set_ylabel(named(values))
    if by:
        _legend_above(ax, by)
    ax.grid(alpha=0.3)
    return ax


def heat_map(values: "xr.DataArray", rows: str, columns: str, ax: Any = None) -> Any:
    """A measure of a sweep (axes, chip) over two axes, the mean over chips and all other axes, with numbers where there is room."""
    ax = axes_or_new(ax)
    seen = over_chips(values, rows, columns)
    mean, scale = seen["mean"], "log" if _spans_decades(seen) else "linear"
    image = ax.pcolormesh(
        mean.values,
        cmap="cividis",
        norm=scale,
        edgecolors="face",
        linewidth=0.2,
        rasterized=mean.size > 1000,
    )
    for dim, axis, name in zip(mean.dims, (ax.yaxis, ax.xaxis), (rows, columns), strict=True):
        chosen = _some_ticks(mean.sizes[dim])
        axis.set_ticks(chosen + 0.5, texts := [_short(value) for value in mean[dim].values[chosen]])
        axis.set_label_text(name)
    _lean(ax, texts, 30)
    if mean.size > 100 or max(mean.shape) > 10:
        ax.figure.colorbar(image, ax=ax, label=named(values)).solids.set_rasterized(True)
        return ax
    for (row, column), value in np.ndenumerate(mean.values):
        if np.isfinite(value):
            ink = "black" if image.norm(value) > 0.5 else "white"
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{value:.3g}",
                ha="center",
                va="center",
                color=ink,
                fontsize="small",
            )
    return ax


def quantiles(values: "xr.DataArray", by: str | None = None) -> "xr.DataArray":
    """The quantiles of values over all dimensions but `by`, in steps of 1 %."""
    return values.quantile(np.linspace(0, 1, 101), [dim for dim in values.dims if dim != by])


def cumulative(values: "xr.DataArray", by: str | None = None, ax: Any = None) -> Any:
    """What share of values is below a value, over all dimensions but `by`, of which every value, or five of them, has its line."""
    ax = axes_or_new(ax)
    seen = quantiles(values, by)
    for index, place in enumerate(some(values.sizes[by]) if by else [0]):
        line, label = (
            (seen.isel({by: place}), _short(values[by].values[place])) if by else (seen, None)
        )
        ax.plot(
            line, 100 * seen["quantile"], color=COLOURS[index], linestyle=DASHES[index], label=label
        )
    if _spans_decades(seen.sel(quantile=[0.05, 1.0], method="nearest").to_dataset("quantile")):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(named(values))
    ax.set_ylabel("share below (%)")
    if by:
        _legend_above(ax, by)
    ax.grid(alpha=0.3)
    return ax


def _legend_above(ax: Any, title: str) -> None:
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "borderaxespad": 0.2,
        "frameon": False,
    }
    ax.legend(
        title=title,
        ncols=len(COLOURS),
        alignment="left",
        columnspacing=1.0,
        handlelength=1.6,
        handletextpad=0.4,
        **place,
    )


def said(value: Any) -> str:
    """A value of an axis."""
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _short(value: Any) -> str:
    """The end of a value where there is no room for all of it: of paths the end tells more."""
    text = said(value)
    return text if len(text) <= 16 else f"…{text[-15:]}"


def named(values: "xr.DataArray") -> str:
    """The name of a measure with its unit."""
    name, unit = str(values.name).replace("_", " "), values.attrs.get("units", "1")
    return name if unit == "1" else f"{name} ({unit})"


def _spans_decades(seen: "xr.Dataset") -> bool:
    """Whether all is above 0 and a linear scale would flatten the lower part."""
    low, high = (f([f(one.values) for one in seen.values()]) for f in (np.nanmin, np.nanmax))
    return bool(low > 0 and high > 50 * low)


def _some_ticks(count: int) -> np.ndarray:
    return np.arange(0, count, -(-count // 8))


def _set_scale(ax: Any, values: np.ndarray) -> np.ndarray:
    """Where the values of an axis stand, on a linear or a logarithmic scale, whichever spreads them better, or one place apart."""
    at, scale = np.arange(len(values), dtype=float), "linear"
    if values.dtype.kind in "iuf" and len(values) > 1:

        def evenness(ordered: np.ndarray) -> float:
            return float(np.diff(ordered).min() / np.ptp(ordered) * (len(values) - 1))

        ordered = np.sort(values.astype(float))
        ways = {"linear": evenness(ordered)} | (
            {"log": evenness(np.log(ordered))} if ordered[0] > 0 else {}
        )
        best = max(ways, key=lambda way: ways[way])
        if ways[best] > 0.2:
            at, scale = values.astype(float), best
    chosen = np.argsort(at)[_some_ticks(len(values))]
    ax.set_xscale(scale)
    ax.set_xticks(at[chosen], texts := [_short(value) for value in values[chosen]])
    ax.set_xticks([], minor=True)
    _lean(ax, texts, 45)
    return at


def _lean(ax: Any, texts: list[str], room: int) -> None:
    """Turns the words below an axis where they are longer together than the room there is."""
    if sum(map(len, texts)) > room:
        ax.tick_params(axis="x", labelrotation=25)
