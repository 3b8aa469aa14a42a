"""The summary of a run, ended or not: a number of each chip, what failed, and what is missing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..units import quantity
from .export import chip_row
from .jobs import Record
from .measures import COMMON_VARIABLES, STATUSES, Variable
from .plan import Plan
from .store import RunStore
from .values import Scalar

if TYPE_CHECKING:
    import xarray as xr

SHOWN_NODES = 3
"""How many voltages are shown where nothing but voltages was measured."""
MAX_NODE_ERRORS = 250_000_000
"""How many errors of nodes a summary holds at most; of more it has none, but those of chips."""

OTHER_QUANTITIES = {
    "voltage": ("V", "mean over the samples of the node's voltage without a nudge"),
    "points": ("1", ""),
    "time": ("s", ""),
}
"""The unit of what is no measure, and what it is."""


@dataclass(frozen=True)
class DoneJob:
    """A job that was done.

    **Arguments:**

    - `at`: the values of the axes, by name.
    - `chip`: the number of the chip.
    - `key`: of the job.
    - `seconds`: the time that it took.
    - `attempts`: how often it was simulated.
    - `failure`: why points have no certified answer; empty where all have one.
    """

    at: Mapping[str, Scalar]
    chip: int
    key: str
    seconds: float
    attempts: int
    failure: str


@dataclass(frozen=True, eq=False)
class Summary:
    """What is there of a run.

    **Arguments:**

    - `folder`: of the run.
    - `plan`: of the run.
    - `data`: each measure as one number of a chip, (axes, chip), in a unit that suits its size, the
      `time` of each job in s, and its number of certified `points`; NaN where a job is missing.
    - `nodes`: the node errors (axes, chip, node) where they are measured.
    - `jobs`: those that are done.
    """

    folder: Path
    plan: Plan
    data: "xr.Dataset"
    nodes: "xr.DataArray | None"
    jobs: tuple[DoneJob, ...]

    @property
    def total(self) -> int:
        """The number of jobs that the run has."""
        return self.plan.total

    @property
    def missing(self) -> int:
        """The number of jobs that are not done."""
        return self.total - len(self.jobs)

    @property
    def failed(self) -> list[DoneJob]:
        """The jobs with points that have no certified answer."""
        return [job for job in self.jobs if job.failure]

    @property
    def measures(self) -> list[str]:
        """The names of what was measured in `data`."""
        return [str(name) for name in self.data.data_vars if name not in ("time", "points")]


def summarize(folder: str | Path) -> Summary:
    """Read the records of a run, one at a time, and return its summary.

    **Arguments:**

    - `folder`: of the run.

    **Raises** `StorageError` where it is no run's, `SweepError` where its plan is none that a sweep
    wrote.
    """
    with RunStore.open(folder) as store:
        plan = store.read_plan()
        builder = _SummaryBuilder(plan)
        for point, chip, key in plan.jobs():
            record = store.read(key, plan.variables, plan.layout_of(point).sizes)
            if record is not None:
                builder.add(point, chip, key, record)
    data, nodes = builder.datasets()
    return Summary(Path(folder), plan, data, nodes, tuple(builder.jobs))


class _SummaryBuilder:
    """Takes the numbers of a summary from records.

    **Arguments:**

    - `plan`: of the run.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.jobs: list[DoneJob] = []
        self.variables: dict[str, Variable] = {
            name: variable
            for name, variable in plan.variables.items()
            if name not in COMMON_VARIABLES and (variable.summary or not variable.dims)
        }
        self.shown = _shown_nodes(plan)
        self.shape = (*plan.shape, plan.chips)
        voltages = [f"voltage of {node}" for node in self.shown]
        self.arrays = {
            name: np.full(self.shape, np.nan)
            for name in (*self.variables, *voltages, "points", "time")
        }

        self.node_names = list(dict.fromkeys(node for one in plan.layouts for node in one.nodes))
        place = {name: k for k, name in enumerate(self.node_names)}
        self.node_places = [
            np.array([place[node] for node in one.nodes], int) for one in plan.layouts
        ]
        self.nodes: np.ndarray | None = None
        if "node_error" in self.variables and plan.total * len(place) <= MAX_NODE_ERRORS:
            self.nodes = np.full((*self.shape, len(place)), np.nan)

    def add(self, point: int, chip: int, key: str, record: Record) -> None:
        """Take the numbers of a job."""
        plan, layout = self.plan, self.plan.layout_of(point)
        place = (*(np.unravel_index(point, plan.shape) if plan.shape else ()), chip)
        row = chip_row(plan, record)
        for name in self.variables:
            self.arrays[name][place] = row[name]
        self.arrays["points"][place], self.arrays["time"][place] = row["ok"], record.seconds
        if self.nodes is not None:
            self.nodes[(*place, self.node_places[plan.layout[point]])] = record.arrays["node_error"]
        for node in self.shown:
            self.arrays[f"voltage of {node}"][place] = _mean_voltage(record, layout.nodes, node)
        self.jobs.append(
            DoneJob(plan.at(point), chip, key, record.seconds, row["attempts"], record.failure)
        )

    def datasets(self) -> tuple["xr.Dataset", "xr.DataArray | None"]:
        """Return the numbers of chips, and the errors of nodes where there are any."""
        import xarray as xr

        dims = (*self.plan.axes, "chip")
        coordinates = {
            **{axis: list(values) for axis, values in self.plan.axes.items()},
            "chip": list(range(self.plan.chips)),
        }
        data = xr.Dataset(coords=coordinates)
        for name, array in self.arrays.items():
            variable = self.variables.get(name)
            units, description = OTHER_QUANTITIES.get(name.partition(" of ")[0], ("1", ""))
            if variable is not None:
                units, description = variable.units, variable.description
            attributes = {"units": units, "long_name": description}
            data[name] = _in_suitable_unit(xr.DataArray(array, coordinates, dims, name, attributes))
        if self.nodes is None:
            return data, None
        coordinates["node"] = self.node_names
        errors = xr.DataArray(
            self.nodes, coordinates, (*dims, "node"), "node_error", {"units": "V"}
        )
        return data, _in_suitable_unit(errors)


def _shown_nodes(plan: Plan) -> list[str]:
    """Return the nodes whose voltages are shown where nothing but voltages was measured.

    They are outputs, or the first nodes where there are none.
    """
    if plan.measures != ("voltages",):
        return []
    return list((plan.layouts[0].outputs or plan.layouts[0].nodes)[:SHOWN_NODES])


def _mean_voltage(record: Record, nodes: tuple[str, ...], node: str) -> float:
    """Return the mean voltage in V of a node over the samples whose free phase is certified."""
    if node not in nodes:
        return np.nan
    certified = record.arrays["status"][0] == STATUSES.index("ok")
    voltages = record.arrays["voltage"][0, certified, nodes.index(node)]
    return float(voltages.mean()) if voltages.size else np.nan


def _in_suitable_unit(values: "xr.DataArray") -> "xr.DataArray":
    """Return values in percent, or in volts with a prefix by which the largest is at least 1."""
    attributes: dict[str, Any] = dict(values.attrs)
    if values.name == "accuracy":
        factor, attributes["units"] = 0.01, "%"
    elif attributes["units"] == "V":
        largest = np.nanmax(np.abs(values.values), initial=0.0)
        factor, attributes["units"] = _scale(largest)
    else:
        return values
    return (values / factor).assign_attrs(attributes)


def _scale(largest: float) -> tuple[float, str]:
    """Return the factor in V, and the name, of the unit in which a voltage is written."""
    number, unit = quantity(largest, "V").split(" ")
    if unit == "V" or largest == 0:
        return 1.0, "V"
    return 10.0 ** (3 * round(math.log10(largest / float(number)) / 3)), unit
