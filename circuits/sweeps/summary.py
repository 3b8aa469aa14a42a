"""What is there of a run, whether it has ended or not: numbers of every chip at every point, what failed, and what is missing."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .declaration import Scalar
from .export import trial_row
from .measures import ALWAYS, STATUSES
from .plan import Plan
from .store import read, read_plan

if TYPE_CHECKING:
    import xarray as xr

PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))

OWN = {
    "voltage": ("V", "mean over the samples of the node's voltage without a nudge"),
    "points": ("1", ""),
    "time": ("s", ""),
}
"""Unit of what is no measure, and what it is."""


@dataclass(frozen=True)
class Chunk:
    """A chunk that was done: values of the axes, chip, key, seconds, how often it was simulated, and why it failed, if it did."""

    at: Mapping[str, Scalar]
    chip: int
    key: str
    seconds: float
    attempts: int
    failure: str


@dataclass(frozen=True, eq=False)
class Findings:
    """What is there of the run in `folder`.

    `data`: each measure as one number of a chip, (axes, chip), in a unit that suits its size, the `time` of each chunk, and its number
    of certified `points`; NaN where a chunk is missing. `nodes`: the node errors (axes, chip, node) where they are measured.
    """

    folder: Path
    plan: Plan
    data: "xr.Dataset"
    nodes: "xr.DataArray | None"
    chunks: tuple[Chunk, ...]

    @property
    def total(self) -> int:
        """How many chunks the run has."""
        return sum(len(keys) for keys in self.plan.keys)

    @property
    def missing(self) -> int:
        """How many chunks are not done."""
        return self.total - len(self.chunks)

    @property
    def failed(self) -> list[Chunk]:
        """The chunks with points that have no certified answer."""
        return [chunk for chunk in self.chunks if chunk.failure]

    @property
    def measures(self) -> list[str]:
        """The names of what was measured in `data`."""
        return [str(name) for name in self.data.data_vars if name not in ("time", "points")]


def gather(folder: str | Path) -> Findings:
    """Reads the chunks of a run, one at a time. Raises `StorageError` where `folder` is no run's."""
    import xarray as xr

    folder = Path(folder)
    plan = read_plan(folder)
    dims = (*plan.axes, "chip")
    coordinates = {
        **{axis: list(values) for axis, values in plan.axes.items()},
        "chip": list(range(plan.chips)),
    }
    shape = (*plan.shape, plan.chips)
    kinds = {
        name: kind
        for name, kind in plan.variables.items()
        if name not in ALWAYS and (kind.tidy or not kind.dims)
    }
    shown = _shown(plan)
    arrays = {
        name: np.full(shape, np.nan)
        for name in (*kinds, *(f"voltage of {node}" for node in shown), "points", "time")
    }
    names = list(dict.fromkeys(node for layout in plan.layouts for node in layout.nodes))
    nodes = np.full((*shape, len(names)), np.nan) if "node_error" in kinds else None
    places = [
        np.array([names.index(node) for node in layout.nodes], int) for layout in plan.layouts
    ]
    points, values = list(np.ndindex(*plan.shape)), list(itertools.product(*plan.axes.values()))
    chunks = []
    for point, chip, key in plan.chunks():
        record = read(folder, key)
        if record is None:
            continue
        place, row = (*points[point], chip), trial_row(plan, record)
        for name in kinds:
            arrays[name][place] = row[name]
        arrays["points"][place], arrays["time"][place] = row["ok"], record.seconds
        if nodes is not None:
            nodes[(*place, places[plan.layout[point]])] = record.arrays["node_error"]
        for node in shown:
            arrays[f"voltage of {node}"][place] = _mean_voltage(
                record.arrays, plan.layouts[plan.layout[point]].nodes, node
            )
        at = dict(zip(plan.axes, values[point], strict=True))
        chunks.append(Chunk(at, chip, key, record.seconds, row["attempts"], record.failure))
    data = xr.Dataset(coords=coordinates)
    for name, array in arrays.items():
        kind = kinds.get(name)
        unit, what = (kind.units, kind.what) if kind else OWN[name.partition(" of ")[0]]
        data[name] = _scaled(
            xr.DataArray(array, coordinates, dims, name, {"units": unit, "long_name": what})
        )
    errors = None
    if nodes is not None:
        errors = _scaled(
            xr.DataArray(
                nodes, {**coordinates, "node": names}, (*dims, "node"), "node_error", {"units": "V"}
            )
        )
    return Findings(folder, plan, data, errors, tuple(chunks))


def _shown(plan: Plan) -> list[str]:
    """The nodes whose voltages are shown where nothing but voltages was measured: outputs, and the first nodes where there are none."""
    if plan.measures != ("voltages",):
        return []
    return list((plan.layouts[0].outputs or plan.layouts[0].nodes)[:3])


def _mean_voltage(arrays: Mapping[str, np.ndarray], nodes: tuple[str, ...], node: str) -> float:
    """Over the samples whose free phase is certified."""
    if node not in nodes:
        return np.nan
    free = arrays["voltage"][0, arrays["status"][0] == STATUSES.index("ok"), nodes.index(node)]
    return float(free.mean()) if free.size else np.nan


def _scaled(values: "xr.DataArray") -> "xr.DataArray":
    """In a unit in which the largest is at least 1: a share of samples in percent, a voltage with a prefix."""
    attributes: dict[str, Any] = dict(values.attrs)
    if values.name == "accuracy":
        factor, attributes["units"] = 0.01, "%"
    elif attributes["units"] == "V":
        largest = np.nanmax(np.abs(values.values), initial=0.0)
        factor, prefix = next(
            (one for one in PREFIXES if largest >= one[0]), PREFIXES[-1] if largest else PREFIXES[0]
        )
        attributes["units"] = f"{prefix}V"
    else:
        return values
    return (values / factor).assign_attrs(attributes)
