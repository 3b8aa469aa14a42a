"""Which figures a report has, and the sentence above each, whose numbers are those of the run."""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...plotting.measures import along, cumulative, heat_map, over_chips, quantiles, said
from ..summary import Findings

if TYPE_CHECKING:
    import xarray as xr

INK = "#1c2024"
"""The colour of all that is neither data nor ground, so that a page can put its own in its place."""
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


@dataclass(frozen=True)
class Figure:
    """A figure: its `title`, a sentence that says what it shows, the SVG, and the table of what is drawn, names first."""

    title: str
    caption: str
    svg: str
    rows: list[list[Any]]


@dataclass(frozen=True)
class Section:
    """Figures of one measure under a sentence that sums them up."""

    title: str
    text: str
    figures: list[Figure]


def sections(found: Findings) -> Iterator[Section]:
    """A section for each measure; with the errors over the samples goes how they are distributed over the nodes."""
    for name in found.measures:
        if name != "largest_error":  # a table has it
            section = _section(found.data[name])
            if name == "node_error" and found.nodes is not None and np.isfinite(found.nodes).any():
                section.figures.append(_of_nodes(found.nodes))
            yield section


def of_time(found: Findings) -> Figure | None:
    """What a chunk took along the axis that moves it most; `None` where none makes it half as long again.

    Of several chips the median, as the first chunks wait for their workers to start.
    """
    values, chips = found.data["time"], found.plan.chips
    if chips > 1:
        values = (
            values.median("chip")
            .expand_dims("chip", -1)
            .rename("median time")
            .assign_attrs(values.attrs)
        )
    axes = _moving(values)
    if not axes:
        return None
    mean = over_chips(values, axes[0])["mean"]
    return _along(values, axes[0], None) if float(mean.max()) > 1.5 * float(mean.min()) else None


def _section(values: "xr.DataArray") -> Section:
    title, what = _name(values).capitalize(), values.attrs["long_name"]
    known = values.values[np.isfinite(values.values)]
    if not known.size:
        return Section(title, f"{_sentence(what)} No chip gave it.", [])
    moving = _moving(values)
    still = [
        str(dim) for dim in values.dims if dim not in (*moving, "chip") and values.sizes[dim] > 1
    ]
    text = _sentence(what)
    if not moving:
        text += f" It is {_value(float(known.mean()), values)}{_range(known.min(), known.max(), values)}."
    if still:
        text += f" It is the same at every {_listed(still)}."
    return Section(title, text, list(_figures(values, moving)))


def _figures(values: "xr.DataArray", moving: list[str]) -> Iterator[Figure]:
    for axis in moving:
        others = [other for other in moving if other != axis]
        yield _along(values, axis, others[0] if len(others) == 1 else None)
    if len(moving) > 1:
        rows, columns = (str(dim) for dim in values.dims if dim in moving[:2])
        yield Figure(
            f"{_name(values).capitalize()} over {rows} and {columns}",
            _reaches(values, rows, columns),
            svg(lambda ax: heat_map(values, rows, columns, ax)),
            _rows(over_chips(values, rows, columns), [rows, columns]),
        )
    if not moving and values.sizes["chip"] > 1 and np.nanmax(values) > np.nanmin(values):
        yield _distribution(values, None, "chips")


def _along(values: "xr.DataArray", axis: str, by: str | None) -> Figure:
    dims = [axis, *([by] if by else [])]
    return Figure(
        f"{_name(values).capitalize()} along {axis}",
        _change(values, axis, by),
        svg(lambda ax: along(values, axis, by, ax)),
        _rows(over_chips(values, *dims), dims),
    )


def _of_nodes(nodes: "xr.DataArray") -> Figure:
    """The distribution over nodes and chips, by the axis that moves it most."""
    moving = _moving(nodes)
    worst = nodes.mean([dim for dim in nodes.dims if dim != "node"])
    place = int(np.nanargmax(worst.values))
    figure = _distribution(nodes, moving[0] if moving else None, "nodes")
    far = f" Furthest off in the mean over all points is {worst.node.values[place]}, by {_value(worst.values[place], nodes)}."
    return replace(figure, caption=figure.caption + far)


def _distribution(values: "xr.DataArray", by: str | None, what: str) -> Figure:
    values = values.dropna(by, how="all") if by else values
    half, most, last = (_value(float(values.quantile(share)), values) for share in (0.5, 0.95, 1.0))
    caption = f"Half of the {what} are below {half}, 95 % below {most}, and the largest is {last}"
    if by:
        medians = [float(values.isel({by: place}).median()) for place in (0, -1)]
        first, last = (f"{by} = {said(values[by].values[place])}" for place in (0, -1))
        caption += f"; the median is {_value(medians[0], values)} at {first} and {_value(medians[1], values)} at {last}"
    seen = quantiles(values, by)
    dims = [by, "quantile"] if by else ["quantile"]
    return Figure(
        f"Distribution of the {_name(values)}",
        f"{caption}.",
        svg(lambda ax: cumulative(values, by, ax)),
        _rows(seen.to_dataset(name="value"), dims),
    )


def _moving(values: "xr.DataArray") -> list[str]:
    """The axes along which there is a difference, those along which the mean over all else goes furthest first."""
    size = float(np.nanmax(np.abs(values)))
    axes = [str(dim) for dim in values.dims if dim not in ("chip", "node")]
    moving = [
        axis for axis in axes if float((values.max(axis) - values.min(axis)).max()) > SAME * size
    ]
    return sorted(moving, key=lambda axis: -_reach(values, axis))


def _reach(values: "xr.DataArray", axis: str) -> float:
    """How far the mean over all else goes along an axis."""
    mean = over_chips(values, axis)["mean"]
    return float(mean.max() - mean.min())


def _change(values: "xr.DataArray", axis: str, by: str | None) -> str:
    """How a measure goes along an axis, and where chips differ the most."""
    values = values.dropna(axis, how="all")
    mean, at = over_chips(values, axis)["mean"], values[axis].values
    over = _listed(
        [
            *([f"{values.sizes['chip']} chips"] if values.sizes["chip"] > 1 else []),
            *_others(values, axis),
        ]
    )
    name, steps = _name(values).capitalize(), np.diff(mean.values)
    first, last = (f"{_value(mean.values[k], values)} at {axis} = {said(at[k])}" for k in (0, -1))
    if (
        at.dtype.kind in "iuf"
        and np.all(np.diff(at.astype(float)) > 0)
        and (np.all(steps >= 0) or np.all(steps <= 0))
    ):
        text = f"{name} {'rises' if steps.sum() > 0 else 'falls'} from {first} to {last}"
    else:
        low, high = int(np.nanargmin(mean.values)), int(np.nanargmax(mean.values))
        text = f"{name} is lowest, {_value(mean.values[low], values)}, at {axis} = {said(at[low])}"
        text += f" and highest, {_value(mean.values[high], values)}, at {said(at[high])}"
    text += f", in the mean over {over}." if over else "."
    seen = over_chips(values, axis, *([by] if by else []))
    widths = (seen.highest - seen.lowest).values
    place = np.unravel_index(int(np.nanargmax(widths)), widths.shape)
    ends = _range(seen.lowest.values[place], seen.highest.values[place], values)
    if ends:
        text += f" The band of chips is widest at {_at(seen, [axis, *([by] if by else [])], place)}{ends}."
    return text


def _reaches(values: "xr.DataArray", rows: str, columns: str) -> str:
    """Where a measure is lowest and highest, and how far either axis moves it."""
    mean = over_chips(values, rows, columns)["mean"]
    ends = []
    for word, pick in (("lowest", np.nanargmin), ("highest", np.nanargmax)):
        place = np.unravel_index(int(pick(mean.values)), mean.shape)
        ends.append(
            f"{word}, {_value(mean.values[place], values)}, at {_at(mean, [rows, columns], place)}"
        )
    moves = []
    for axis, other in ((rows, columns), (columns, rows)):
        reach = (mean.max(axis) - mean.min(axis)).values
        most = int(np.nanargmax(reach))
        moves.append(
            f"{axis} moves it by up to {_step(reach[most], values)} (at {other} = {said(mean[other].values[most])})"
        )
    unit = values.attrs["units"]
    return f"The mean{'' if unit == '1' else f' in {unit}'} is {' and '.join(ends)}; {', '.join(moves)}."


def _others(values: "xr.DataArray", axis: str) -> list[str]:
    return [
        f"all values of {dim}"
        for dim in values.dims
        if dim not in (axis, "chip", "node") and values.sizes[dim] > 1
    ]


def _at(values: Any, axes: Sequence[str], place: Sequence[Any]) -> str:
    return ", ".join(
        f"{axis} = {said(values[axis].values[int(k)])}" for axis, k in zip(axes, place, strict=True)
    )


def _name(values: "xr.DataArray") -> str:
    return str(values.name).replace("_", " ")


def _value(value: float, values: "xr.DataArray") -> str:
    unit = values.attrs["units"]
    return f"{value:.4g}" if unit == "1" else f"{value:.3g} {unit}"


def _range(low: float, high: float, values: "xr.DataArray") -> str:
    """In brackets, where it is more than a point."""
    ends = [_value(float(end), values) for end in (low, high)]
    return f" ({ends[0]} to {ends[1]})" if ends[0] != ends[1] else ""


def _step(value: float, values: "xr.DataArray") -> str:
    """A difference of two values: of percentages it is not one."""
    return f"{value:.3g} points" if values.attrs["units"] == "%" else _value(value, values)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _rows(seen: "xr.Dataset", dims: list[str]) -> list[list[Any]]:
    """A table of a dataset: the coordinates of each place and all values there."""
    places = itertools.product(*(seen[dim].values.tolist() for dim in dims))
    columns = [seen[name].transpose(*dims).values.ravel().tolist() for name in seen.data_vars]
    return [
        [*dims, *map(str, seen.data_vars)],
        *([*place, *row] for place, row in zip(places, zip(*columns, strict=True), strict=True)),
    ]


def svg(draw: Callable[[Any], Any]) -> str:
    """The SVG of what is drawn, in one colour of ink on no ground, without a date, so that the same data give the same text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Drawing

    content = io.StringIO()
    with rc_context(STYLE):
        drawing = Drawing(figsize=(4.6, 3.2), layout="constrained")
        draw(drawing.add_subplot())
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.savefig(content, format="svg", transparent=True, metadata=nobody)
    text = content.getvalue()
    return text[text.index("<svg") :].strip()
