"""From the chunks of a run to one dataset, one table with a row for each chip at each point, and one of times."""

import csv
import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .declaration import SweepError
from .jobs import Record, canonical, nothing
from .measures import STATUSES, Variable
from .plan import Plan
from .store import put, read

if TYPE_CHECKING:
    import xarray as xr

NEEDS = {"zarr": "zarr", "parquet": "pyarrow"}
"""Packages that formats need besides."""


def require_formats(formats: Sequence[str]) -> None:
    """Raises `SweepError` for a format whose package is not installed."""
    for name in formats:
        if importlib.util.find_spec(NEEDS[name]) is None:
            raise SweepError(f"the format {name!r} needs {NEEDS[name]}: pip install {NEEDS[name]}")


def export(plan: Plan, folder: Path) -> None:
    """Writes the results of a run, chunk by chunk, and again in the formats that its declaration asks for. Raises `StorageError`."""
    trials: list[dict[str, Any]] = []
    timings: list[dict[str, Any]] = []
    put(folder / "results.nc", lambda fresh: _write_netcdf(fresh, plan, folder, trials, timings))
    put(folder / "trials.csv", lambda fresh: _write_rows(fresh, trials))
    put(folder / "timings.csv", lambda fresh: _write_rows(fresh, timings))
    if "parquet" in plan.formats:
        import pandas as pd

        put(folder / "trials.parquet", lambda fresh: pd.DataFrame(trials).to_parquet(fresh))
    if "zarr" in plan.formats:
        with load(folder) as data:
            put(folder / "results.zarr", lambda fresh: data.to_zarr(fresh, mode="w", zarr_format=2))


def load(folder: str | Path) -> "xr.Dataset":
    """The dataset of a run that has ended, with `status` in words.

    Its dimensions are the axes, `chip`, and those of what was measured among `phase`, `sample`, `node`, `output`; NaN stands where a
    point has fewer nodes or samples than another. Raises `OSError` where there is none.
    """
    import xarray as xr

    data = xr.open_dataset(Path(folder) / "results.nc", engine="netcdf4")
    words = np.array(STATUSES)[data.status.values]
    return data.assign(
        status=(data.status.dims, words, {"long_name": data.status.attrs["long_name"]})
    )


class _Shape:
    """Where the results of a chip are in the dataset: names along each dimension, and their places by layout."""

    def __init__(self, plan: Plan):
        self.nodes = list(dict.fromkeys(node for one in plan.layouts for node in one.nodes))
        self.outputs = list(dict.fromkeys(node for one in plan.layouts for node in one.outputs))
        self.phases = ["free", "+beta", "-beta"][: max(one.phases for one in plan.layouts)]
        self.samples = max(one.samples for one in plan.layouts)
        self.sizes = {
            "phase": len(self.phases),
            "sample": self.samples,
            "node": len(self.nodes),
            "output": len(self.outputs),
        }
        node, output = (
            {name: place for place, name in enumerate(names)}
            for names in (self.nodes, self.outputs)
        )
        self.places = [
            {
                "phase": np.arange(one.phases),
                "sample": np.arange(one.samples),
                "node": np.array([node[name] for name in one.nodes], int),
                "output": np.array([output[name] for name in one.outputs], int),
            }
            for one in plan.layouts
        ]

    def block(self, kind: Variable, values: np.ndarray, layout: int) -> np.ndarray:
        """The values of a chip among those that the dataset has room for."""
        whole = np.full([self.sizes[dim] for dim in kind.dims], kind.missing, kind.dtype)
        whole[np.ix_(*(self.places[layout][dim] for dim in kind.dims))] = values
        return whole


def _write_netcdf(
    path: Path,
    plan: Plan,
    folder: Path,
    trials: list[dict[str, Any]],
    timings: list[dict[str, Any]],
) -> None:
    """Writes the dataset, and gathers the rows of both tables on the way."""
    from netCDF4 import Dataset

    shape = _Shape(plan)
    points = list(np.ndindex(*plan.shape))
    used = {dim for kind in plan.variables.values() for dim in kind.dims}
    inner = {
        "phase": shape.phases,
        "sample": list(range(shape.sizes["sample"])),
        "node": shape.nodes,
        "output": shape.outputs,
    }
    with Dataset(path, "w", format="NETCDF4") as file:
        for name, values in {
            **plan.axes,
            "chip": list(range(plan.chips)),
            **{dim: inner[dim] for dim in inner if dim in used},
        }.items():
            _coordinate(file, name, list(values))
        for name, kind in plan.variables.items():
            fill = kind.missing if kind.dtype == "f8" else None
            variable = file.createVariable(
                name, kind.dtype, (*plan.axes, "chip", *kind.dims), fill_value=fill
            )
            variable.setncatts({"units": kind.units, "long_name": kind.what})
        file["status"].setncatts(
            {
                "flag_values": np.arange(len(STATUSES), dtype="i1"),
                "flag_meanings": " ".join(STATUSES),
            }
        )
        classes = {one.classes for one in plan.layouts}
        if len(classes) == 1 and (labels := classes.pop()) is not None:
            file.createVariable("label", "i4", ("sample",))[:] = np.array(labels)
        file.setncatts({**plan.versions, "declaration": canonical(plan.declaration, ordered=True)})
        values = list(itertools.product(*plan.axes.values()))
        for point, chip, key in plan.chunks():
            layout = plan.layouts[plan.layout[point]]
            record = read(folder, key) or nothing(
                plan.variables, layout.sizes, "its workers were lost"
            )
            for name, kind in plan.variables.items():
                file[name][(*points[point], chip)] = shape.block(
                    kind, record.arrays[name], plan.layout[point]
                )
            at = {**dict(zip(plan.axes, values[point], strict=True)), "chip": chip}
            trials.append(at | trial_row(plan, record))
            timings.append({**at, "seconds": record.seconds, "failure": record.failure, "key": key})


def _coordinate(file: Any, name: str, values: list[Any]) -> None:
    array = np.array(values)
    kind = (
        str
        if array.dtype.kind in "US"
        else "i1"
        if array.dtype.kind == "b"
        else array.dtype.str[1:]
    )
    file.createDimension(name, len(values))
    file.createVariable(name, kind, (name,))[:] = array.astype(object) if kind is str else array


def trial_row(plan: Plan, record: Record) -> dict[str, Any]:
    """How many points of a chip are certified, and what was measured of it, each in one number."""
    status = record.arrays["status"]
    row: dict[str, Any] = {"points": status.size, "ok": int((status == STATUSES.index("ok")).sum())}
    for name, kind in plan.variables.items():
        values = record.arrays[name]
        if not kind.dims:
            row[name] = values.item()
        elif kind.tidy is not None:
            row[name] = float(kind.tidy(values)) if values.size else np.nan
    return row


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
