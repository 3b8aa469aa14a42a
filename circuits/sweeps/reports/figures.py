"""Which figures a report has, and the sentence above each, whose numbers are those of the run."""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...plotting.measures import along, cumulative, heat_map, over_chips, quantiles, value_text
from ..summary import Summary

if TYPE_CHECKING:
    import xarray as xr

INK = "#1c2024"
"""The colour of all that is neither data nor ground, which a page replaces by its own."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "circuits",
    "text.parse_math": False,
    "font.size": 10.0,
    "grid.linewidth": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 9.0,
    "legend.title_fontsize": 9.0,
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
        ),
        INK,
    ),
}
SAME = 1e-6
"""What differs by no more than this share of its size is called the same."""
UNEVEN = 1.5
"""Times are drawn where the longest is more than so many times the shortest."""


@dataclass(frozen=True)
class Figure:
    """A figure of a report.

    **Arguments:**

    - `title`: a few words.
    - `caption`: a sentence that says what it shows.
    - `svg`: the drawing.
    - `rows`: the table of what is drawn, names first.
    """

    title: str
    caption: str
    svg: str
    rows: list[list[Any]]


@dataclass(frozen=True)
class Section:
    """The figures of a measure.

    **Arguments:**

    - `title`: the name of the measure.
    - `text`: a few sentences that sum it up.
    - `figures`: the figures.
    """

    title: str
    text: str
    figures: list[Figure]


def sections(summary: Summary) -> Iterator[Section]:
    """Yield a section for each measure.

    With the errors over the samples goes their distribution over the nodes.

    **Arguments:**

    - `summary`: of a run.
    """
    for name in summary.measures:
        if name == "largest_error":  # a table has it
            continue
        section = _section(summary.data[name])
        nodes = summary.nodes
        if name == "node_error" and nodes is not None and np.isfinite(nodes).any():
            section.figures.append(_figure_of_nodes(nodes))
        yield section


def figure_of_times(summary: Summary) -> Figure | None:
    """Return what a job took along the axis that changes it most.

    Of several chips it is the median, as the first jobs wait for their workers to start.

    **Arguments:**

    - `summary`: of a run.

    **Returns** the figure; `None` where no axis makes it `UNEVEN` times as long.
    """
    values, chips = summary.data["time"], summary.plan.chips
    if chips > 1:
        median = values.median("chip").expand_dims("chip", -1)
        values = median.rename("median time").assign_attrs(values.attrs)
    axes = _changing_axes(values)
    if not axes:
        return None
    mean = over_chips(values, axes[0])["mean"]
    uneven = float(mean.max()) > UNEVEN * float(mean.min())
    return _figure_along(values, axes[0], None) if uneven else None


def _section(values: "xr.DataArray") -> Section:
    """Return the section of a measure (axes, chip)."""
    title, text = _name(values).capitalize(), _sentence(values.attrs["long_name"])
    known = values.values[np.isfinite(values.values)]
    if not known.size:
        return Section(title, f"{text} No chip gave it.", [])
    changing = _changing_axes(values)
    constant = [
        str(dim) for dim in values.dims if dim not in (*changing, "chip") and values.sizes[dim] > 1
    ]
    if not changing:
        ends = _range(known.min(), known.max(), values)
        text += f" It is {_value(float(known.mean()), values)}{ends}."
    if constant:
        text += f" It is the same at every {_list(constant)}."
    return Section(title, text, list(_figures(values, changing)))


def _figures(values: "xr.DataArray", changing: list[str]) -> Iterator[Figure]:
    """Yield a figure for each axis that changes a measure, and a map over the first two."""
    for axis in changing:
        others = [other for other in changing if other != axis]
        yield _figure_along(values, axis, others[0] if len(others) == 1 else None)
    if len(changing) > 1:
        rows, columns = (str(dim) for dim in values.dims if dim in changing[:2])
        yield Figure(
            f"{_name(values).capitalize()} over {rows} and {columns}",
            _extremes(values, rows, columns),
            svg(lambda ax: heat_map(values, rows, columns, ax)),
            _rows(over_chips(values, rows, columns), [rows, columns]),
        )
    if not changing and values.sizes["chip"] > 1 and np.nanmax(values) > np.nanmin(values):
        yield _figure_of_distribution(values, None, "chips")


def _figure_along(values: "xr.DataArray", axis: str, by: str | None) -> Figure:
    """Return a measure along an axis, with a line for each value of another, if any."""
    dims = [axis, *([by] if by else [])]
    return Figure(
        f"{_name(values).capitalize()} along {axis}",
        _change(values, axis, by),
        svg(lambda ax: along(values, axis, by, ax)),
        _rows(over_chips(values, *dims), dims),
    )


def _figure_of_nodes(nodes: "xr.DataArray") -> Figure:
    """Return the distribution over nodes and chips, by the axis that changes it most."""
    changing = _changing_axes(nodes)
    means = nodes.mean([dim for dim in nodes.dims if dim != "node"])
    worst = int(np.nanargmax(means.values))
    figure = _figure_of_distribution(nodes, changing[0] if changing else None, "nodes")
    sentence = (
        f" Furthest off in the mean over all points is {means.node.values[worst]}, "
        f"by {_value(means.values[worst], nodes)}."
    )
    return replace(figure, caption=figure.caption + sentence)


def _figure_of_distribution(values: "xr.DataArray", by: str | None, what: str) -> Figure:
    """Return the distribution of values, with a line for each value of an axis, if any."""
    values = values.dropna(by, how="all") if by else values
    half, most, last = (_value(float(values.quantile(share)), values) for share in (0.5, 0.95, 1.0))
    caption = f"Half of the {what} are below {half}, 95 % below {most}, and the largest is {last}"
    if by:
        medians = [float(values.isel({by: place}).median()) for place in (0, -1)]
        first, last = (f"{by} = {value_text(values[by].values[place])}" for place in (0, -1))
        caption += (
            f"; the median is {_value(medians[0], values)} at {first} "
            f"and {_value(medians[1], values)} at {last}"
        )
    table = quantiles(values, by).to_dataset(name="value")
    return Figure(
        f"Distribution of the {_name(values)}",
        f"{caption}.",
        svg(lambda ax: cumulative(values, by, ax)),
        _rows(table, [by, "quantile"] if by else ["quantile"]),
    )


def _changing_axes(values: "xr.DataArray") -> list[str]:
    """Return the axes along which there is a difference, those that change the mean most first."""
    size = float(np.nanmax(np.abs(values)))
    axes = [str(dim) for dim in values.dims if dim not in ("chip", "node")]
    changing = [
        axis for axis in axes if float((values.max(axis) - values.min(axis)).max()) > SAME * size
    ]
    return sorted(changing, key=lambda axis: -_span(values, axis))


def _span(values: "xr.DataArray", axis: str) -> float:
    """Return by how much the mean over all else changes along an axis."""
    mean = over_chips(values, axis)["mean"]
    return float(mean.max() - mean.min())


def _change(values: "xr.DataArray", axis: str, by: str | None) -> str:
    """Return how a measure changes along an axis, and where chips differ most."""
    values = values.dropna(axis, how="all")
    mean, at = over_chips(values, axis)["mean"], values[axis].values
    name, steps = _name(values).capitalize(), np.diff(mean.values)
    increasing = at.dtype.kind in "iuf" and np.all(np.diff(at.astype(float)) > 0)
    if increasing and (np.all(steps >= 0) or np.all(steps <= 0)):
        first, last = (
            f"{_value(mean.values[k], values)} at {axis} = {value_text(at[k])}" for k in (0, -1)
        )
        text = f"{name} {'rises' if steps.sum() > 0 else 'falls'} from {first} to {last}"
    else:
        low, high = int(np.nanargmin(mean.values)), int(np.nanargmax(mean.values))
        text = (
            f"{name} is lowest, {_value(mean.values[low], values)}, "
            f"at {axis} = {value_text(at[low])} "
            f"and highest, {_value(mean.values[high], values)}, at {value_text(at[high])}"
        )
    chips = [f"{values.sizes['chip']} chips"] if values.sizes["chip"] > 1 else []
    others = _list([*chips, *_other_axes(values, axis)])
    text += f", in the mean over {others}." if others else "."
    return text + _widest_band(values, [axis, *([by] if by else [])])


def _widest_band(values: "xr.DataArray", axes: list[str]) -> str:
    """Return where chips differ most; nothing where they do not."""
    bands = over_chips(values, *axes)
    widths = (bands.highest - bands.lowest).values
    place = np.unravel_index(int(np.nanargmax(widths)), widths.shape)
    ends = _range(bands.lowest.values[place], bands.highest.values[place], values)
    return f" The band of chips is widest at {_place(bands, axes, place)}{ends}." if ends else ""


def _extremes(values: "xr.DataArray", rows: str, columns: str) -> str:
    """Return where a measure is lowest and highest, and by how much either axis changes it."""
    mean = over_chips(values, rows, columns)["mean"]
    ends = []
    for word, pick in (("lowest", np.nanargmin), ("highest", np.nanargmax)):
        place = np.unravel_index(int(pick(mean.values)), mean.shape)
        where = _place(mean, [rows, columns], place)
        ends.append(f"{word}, {_value(mean.values[place], values)}, at {where}")
    moves = []
    for axis, other in ((rows, columns), (columns, rows)):
        span = (mean.max(axis) - mean.min(axis)).values
        most = int(np.nanargmax(span))
        moves.append(
            f"{axis} moves it by up to {_difference(span[most], values)} "
            f"(at {other} = {value_text(mean[other].values[most])})"
        )
    unit = "" if values.attrs["units"] == "1" else f" in {values.attrs['units']}"
    return f"The mean{unit} is {' and '.join(ends)}; {', '.join(moves)}."


def _other_axes(values: "xr.DataArray", axis: str) -> list[str]:
    return [
        f"all values of {dim}"
        for dim in values.dims
        if dim not in (axis, "chip", "node") and values.sizes[dim] > 1
    ]


def _place(values: Any, axes: Sequence[str], place: Sequence[Any]) -> str:
    return ", ".join(
        f"{axis} = {value_text(values[axis].values[int(k)])}"
        for axis, k in zip(axes, place, strict=True)
    )


def _name(values: "xr.DataArray") -> str:
    return str(values.name).replace("_", " ")


def _value(value: float, values: "xr.DataArray") -> str:
    unit = values.attrs["units"]
    return f"{value:.4g}" if unit == "1" else f"{value:.3g} {unit}"


def _range(low: float, high: float, values: "xr.DataArray") -> str:
    """Return the ends of a range in brackets, where it is more than a point."""
    ends = [_value(float(end), values) for end in (low, high)]
    return f" ({ends[0]} to {ends[1]})" if ends[0] != ends[1] else ""


def _difference(value: float, values: "xr.DataArray") -> str:
    """Return a difference of two values, which of percentages is not one."""
    return f"{value:.3g} points" if values.attrs["units"] == "%" else _value(value, values)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _rows(table: "xr.Dataset", dims: list[str]) -> list[list[Any]]:
    """Return a dataset as rows: the coordinates of each place, and all values there."""
    places = itertools.product(*(table[dim].values.tolist() for dim in dims))
    columns = [table[name].transpose(*dims).values.ravel().tolist() for name in table.data_vars]
    return [
        [*dims, *map(str, table.data_vars)],
        *([*place, *row] for place, row in zip(places, zip(*columns, strict=True), strict=True)),
    ]


def svg(draw: Callable[[Any], Any]) -> str:
    """Return the SVG of a drawing, in one colour of ink on no ground.

    It has no date, so that the same data give the same text.

    **Arguments:**

    - `draw`: draws on the axes that it is given.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Drawing

    content = io.StringIO()
    with rc_context(STYLE):
        drawing = Drawing(figsize=(4.6, 3.2), layout="constrained")
        draw(drawing.add_subplot())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.savefig(content, format="svg", transparent=True, metadata=nothing)
    text = content.getvalue()
    return text[text.index("<svg") :].strip()
