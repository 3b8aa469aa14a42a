"""From the records of a run to one dataset, one table of chips at points, and one of times."""

import csv
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqprop.files import Folder

from .jobs import Record, failed_record
from .measures import STATUSES, Variable
from .plan import Plan
from .points import canonical_json
from .store import RunStore
from .values import SweepError

if TYPE_CHECKING:
    import xarray as xr

RESULTS = "results.nc"
CHIPS = "chips.csv"
TIMINGS = "timings.csv"
NEEDS = {"zarr": "zarr", "parquet": "pyarrow"}
"""The packages that formats need besides."""
MAX_RESULTS = 10**12
"""How many bytes a dataset may have that is loaded."""
MAX_STATUSES = 1_000_000_000
"""How many operating points a dataset may have that is loaded."""


def require_formats(formats: Sequence[str]) -> None:
    """Raise `SweepError` for a format whose package is not installed.

    **Arguments:**

    - `formats`: names of formats.
    """
    for name in formats:
        if importlib.util.find_spec(NEEDS[name]) is None:
            raise SweepError(f"the format {name!r} needs {NEEDS[name]}: pip install {NEEDS[name]}")


def export(plan: Plan, store: RunStore) -> None:
    """Write the results of a run, one job at a time, and again in the formats that it asks for.

    **Arguments:**

    - `plan`: of the run.
    - `store`: its folder.

    **Raises** `StorageError` where they cannot be written.
    """
    store.fill(RESULTS, lambda path: _write_netcdf(path, plan, store))
    store.fill(CHIPS, lambda path: _write_rows(path, _chip_rows(plan, store)))
    store.fill(TIMINGS, lambda path: _write_rows(path, _timing_rows(plan, store)))
    if "parquet" in plan.formats:
        import pandas as pd

        table = pd.DataFrame(list(_chip_rows(plan, store)))
        store.fill("chips.parquet", table.to_parquet)
    if "zarr" in plan.formats:
        with load(store.folder.path) as data:
            store.fill("results.zarr", lambda path: data.to_zarr(path, mode="w", zarr_format=2))


def load(folder: str | Path) -> "xr.Dataset":
    """Return the dataset of a run that has ended, with `status` in words.

    Its dimensions are the axes, `chip`, and those of what was measured among `phase`, `sample`,
    `node`, `output`; NaN stands where a point has fewer nodes or samples than another.

    **Arguments:**

    - `folder`: of the run.

    **Raises** `OSError` where there is no such dataset, `SweepError` where a file is there that no
    sweep wrote.
    """
    import xarray as xr
    from netCDF4 import Dataset
    from xarray.backends import NetCDF4DataStore

    with Folder.open(folder) as opened, opened.reading(RESULTS, most=MAX_RESULTS) as path:
        data = xr.open_dataset(NetCDF4DataStore(Dataset(path)))
    try:
        words = _with_words(data)
        words.set_close(data.close)
        return words
    except BaseException:
        data.close()
        raise


def _with_words(data: "xr.Dataset") -> "xr.Dataset":
    """Return a dataset with its statuses in words. Raises `SweepError` where there are none."""
    status = data.get("status")
    if status is None or status.dtype.kind not in "iu" or status.size > MAX_STATUSES:
        raise SweepError(f"{RESULTS} must be what a sweep wrote, but has no statuses")
    numbers = status.values
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(STATUSES):
        raise SweepError(f"{RESULTS} must be what a sweep wrote, but has a status {numbers.max()}")
    description = {"long_name": status.attrs.get("long_name", "")}
    return data.assign(status=(status.dims, np.array(STATUSES)[numbers], description))


class _Dimensions:
    """The names along the dimensions of the dataset, and the places of a chip's results there.

    **Arguments:**

    - `plan`: of the run.
    """

    def __init__(self, plan: Plan):
        nodes = list(dict.fromkeys(node for one in plan.layouts for node in one.nodes))
        outputs = list(dict.fromkeys(node for one in plan.layouts for node in one.outputs))
        self.names: dict[str, Sequence[Any]] = {
            "phase": ["free", "+beta", "-beta"][: max(one.phases for one in plan.layouts)],
            "sample": range(max(one.samples for one in plan.layouts)),
            "node": nodes,
            "output": outputs,
        }
        node = {name: place for place, name in enumerate(nodes)}
        output = {name: place for place, name in enumerate(outputs)}
        self.places = [
            {
                "phase": np.arange(one.phases),
                "sample": np.arange(one.samples),
                "node": np.array([node[name] for name in one.nodes], int),
                "output": np.array([output[name] for name in one.outputs], int),
            }
            for one in plan.layouts
        ]

    def block(self, variable: Variable, values: np.ndarray, layout: int) -> np.ndarray:
        """Return a chip's values of a variable among those that the dataset has room for."""
        sizes = [len(self.names[dim]) for dim in variable.dims]
        block = np.full(sizes, variable.missing, variable.dtype)
        block[np.ix_(*(self.places[layout][dim] for dim in variable.dims))] = values
        return block


def _records(plan: Plan, store: RunStore) -> Iterator[tuple[int, int, str, Record]]:
    """Yield the point, the chip, the key and the record of every job."""
    for point, chip, key in plan.jobs():
        sizes = plan.layout_of(point).sizes
        record = store.read(key, plan.variables, sizes)
        if record is None:
            record = failed_record(plan.variables, sizes, "its workers were lost")
        yield point, chip, key, record


def _write_netcdf(path: Path, plan: Plan, store: RunStore) -> None:
    """Write the dataset."""
    from netCDF4 import Dataset

    dimensions = _Dimensions(plan)
    with Dataset(path, "w", format="NETCDF4") as file:
        _declare(file, plan, dimensions)
        for point, chip, _, record in _records(plan, store):
            place = (*np.unravel_index(point, plan.shape), chip) if plan.shape else (chip,)
            for name, variable in plan.variables.items():
                layout = plan.layout[point]
                file[name][place] = dimensions.block(variable, record.arrays[name], layout)


def _declare(file: Any, plan: Plan, dimensions: _Dimensions) -> None:
    """Declare the dimensions, variables and attributes of the dataset."""
    used = {dim for variable in plan.variables.values() for dim in variable.dims}
    inner = {dim: names for dim, names in dimensions.names.items() if dim in used}
    for name, values in {**plan.axes, "chip": range(plan.chips), **inner}.items():
        _coordinate(file, name, list(values))
    for name, variable in plan.variables.items():
        fill = variable.missing if variable.dtype == "f8" else None
        dims = (*plan.axes, "chip", *variable.dims)
        declared = file.createVariable(name, variable.dtype, dims, fill_value=fill)
        declared.setncatts({"units": variable.units, "long_name": variable.description})
    file["status"].setncatts(
        {
            "flag_values": np.arange(len(STATUSES), dtype="i1"),
            "flag_meanings": " ".join(STATUSES),
        }
    )
    classes = {one.classes for one in plan.layouts}
    if len(classes) == 1 and (labels := classes.pop()) is not None:
        file.createVariable("label", "i4", ("sample",))[:] = np.array(labels)
    declaration = canonical_json(plan.declaration, ordered=True)
    file.setncatts({**plan.versions, "declaration": declaration})


def _coordinate(file: Any, name: str, values: list[Any]) -> None:
    """Declare a dimension, and write the names or numbers along it."""
    array = np.array(values)
    kind: Any = array.dtype.str[1:]
    if array.dtype.kind in "US":
        kind, array = str, array.astype(object)
    elif array.dtype.kind == "b":
        kind = "i1"
    file.createDimension(name, len(values))
    file.createVariable(name, kind, (name,))[:] = array


def chip_row(plan: Plan, record: Record) -> dict[str, Any]:
    """Return what was measured of a chip, each in one number.

    **Arguments:**

    - `plan`: of the run.
    - `record`: of the chip's job.

    **Returns** the number of its operating points, of those that are certified (`ok`), and the
    variables that have one number or are summed up by one.
    """
    status = record.arrays["status"]
    row: dict[str, Any] = {"points": status.size, "ok": int((status == STATUSES.index("ok")).sum())}
    for name, variable in plan.variables.items():
        values = record.arrays[name]
        if not variable.dims:
            row[name] = values.item()
        elif variable.summary is not None:
            row[name] = float(variable.summary(values)) if values.size else np.nan
    return row


def _chip_rows(plan: Plan, store: RunStore) -> Iterator[dict[str, Any]]:
    """Yield a row for each chip at each point."""
    for point, chip, _, record in _records(plan, store):
        yield {**plan.at(point), "chip": chip, **chip_row(plan, record)}


def _timing_rows(plan: Plan, store: RunStore) -> Iterator[dict[str, Any]]:
    """Yield what each job took, and why it failed, if it did."""
    for point, chip, key, record in _records(plan, store):
        times = {"seconds": record.seconds, "failure": record.failure, "key": key}
        yield {**plan.at(point), "chip": chip, **times}


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table with names in its first row."""
    table: csv.DictWriter | None = None
    with path.open("w", newline="", encoding="utf-8") as file:
        for row in rows:
            if table is None:
                table = csv.DictWriter(file, list(row))
                table.writeheader()
            table.writerow(row)
