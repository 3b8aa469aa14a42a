"""Figures of what a sweep measured."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import COLOURS, axes_or_new

if TYPE_CHECKING:
    import xarray as xr

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def over_chips(values: "xr.DataArray", *axes: str) -> "xr.Dataset":
    """Return the mean over chips, and the lowest and the highest chip.

    **Arguments:**

    - `values`: of a sweep (axes, chip).
    - `axes`: those that stay; over all others there is a mean.

    **Returns** `mean`, `lowest` and `highest` (axes).
    """
    import xarray as xr

    each = values.mean([dim for dim in values.dims if dim not in (*axes, "chip")])
    return xr.Dataset(
        {"mean": each.mean("chip"), "lowest": each.min("chip"), "highest": each.max("chip")}
    ).transpose(*axes)


def spread_out(count: int) -> np.ndarray:
    """Return places from the first to the last, as many as there are colours.

    **Arguments:**

    - `count`: the number of places that there are.
    """
    return np.unique(np.linspace(0, count - 1, min(count, len(COLOURS))).round().astype(int))


def along(values: "xr.DataArray", axis: str, by: str | None = None, ax: Any = None) -> Any:
    """Draw a measure along an axis: its mean over chips and all other axes, and a band of chips.

    **Arguments:**

    - `values`: a measure of a sweep (axes, chip).
    - `axis`: the axis.
    - `by`: an axis of which every value, or five of them, has a line of its own.
    - `ax`: matplotlib's axes; new ones if `None`.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    statistics = over_chips(values, axis, *([by] if by else []))
    at = _set_scale(ax, values[axis].values)
    order = np.argsort(at)
    for index, place in enumerate(spread_out(values.sizes[by]) if by else [0]):
        line = (statistics.isel({by: place}) if by else statistics).isel({axis: order})
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
    if _spans_decades(statistics):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(axis)
    ax.set_ylabel(name_with_unit(values))
    if by:
        _legend_above(ax, by)
    ax.grid(alpha=0.3)
    return ax


def heat_map(values: "xr.DataArray", rows: str, columns: str, ax: Any = None) -> Any:
    """Draw a measure over two axes: its mean over chips and all other axes.

    Numbers are written where there is room.

    **Arguments:**

    - `values`: a measure of a sweep (axes, chip).
    - `rows`: the axis that goes upwards.
    - `columns`: the axis that goes to the right.
    - `ax`: matplotlib's axes; new ones if `None`.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    statistics = over_chips(values, rows, columns)
    mean, scale = statistics["mean"], "log" if _spans_decades(statistics) else "linear"
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
        ax.figure.colorbar(image, ax=ax, label=name_with_unit(values)).solids.set_rasterized(True)
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
    """Return the quantiles of values over all dimensions but one, in steps of 1 %.

    **Arguments:**

    - `values`: of any dimensions.
    - `by`: the dimension that stays, if any.

    **Returns** the values of (quantile,), or of (quantile, by).
    """
    return values.quantile(np.linspace(0, 1, 101), [dim for dim in values.dims if dim != by])


def cumulative(values: "xr.DataArray", by: str | None = None, ax: Any = None) -> Any:
    """Draw which share of values is below a value, over all dimensions but one.

    **Arguments:**

    - `values`: of a sweep, of any dimensions.
    - `by`: the dimension of which every value, or five of them, has a line of its own, if any.
    - `ax`: matplotlib's axes; new ones if `None`.

    **Returns** the axes.
    """
    ax = axes_or_new(ax)
    shares = quantiles(values, by)
    for index, place in enumerate(spread_out(values.sizes[by]) if by else [0]):
        line, label = (
            (shares.isel({by: place}), _short(values[by].values[place])) if by else (shares, None)
        )
        ax.plot(
            line,
            100 * shares["quantile"],
            color=COLOURS[index],
            linestyle=DASHES[index],
            label=label,
        )
    if _spans_decades(shares.sel(quantile=[0.05, 1.0], method="nearest").to_dataset("quantile")):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(name_with_unit(values))
    ax.set_ylabel("share below (%)")
    if by:
        _legend_above(ax, by)
    ax.grid(alpha=0.3)
    return ax


def _legend_above(ax: Any, title: str) -> None:
    """Put a legend above the axes."""
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


def value_text(value: Any) -> str:
    """Return a value of an axis as text.

    **Arguments:**

    - `value`: a number, a word or a boolean.
    """
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _short(value: Any) -> str:
    """Return a value, or its end where it is long: of paths the end tells more."""
    text = value_text(value)
    return text if len(text) <= 16 else f"…{text[-15:]}"


def name_with_unit(values: "xr.DataArray") -> str:
    """Return the name of a measure with its unit.

    **Arguments:**

    - `values`: of the measure.
    """
    name, unit = str(values.name).replace("_", " "), values.attrs.get("units", "1")
    return name if unit == "1" else f"{name} ({unit})"


def _spans_decades(statistics: "xr.Dataset") -> bool:
    """Return whether all is above 0 and a linear scale would flatten the lower part."""
    low, high = (f([f(one.values) for one in statistics.values()]) for f in (np.nanmin, np.nanmax))
    return bool(low > 0 and high > 50 * low)


def _some_ticks(count: int) -> np.ndarray:
    return np.arange(0, count, -(-count // 8))


def _set_scale(ax: Any, values: np.ndarray) -> np.ndarray:
    """Set the scale of an axis that spreads its values best, and return where they stand.

    It is linear or logarithmic; where neither spreads them, or they are words, they stand one place
    apart.
    """
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
    """Turn the words below an axis where they are longer together than there is room."""
    if sum(map(len, texts)) > room:
        ax.tick_params(axis="x", labelrotation=25)
