"""The plan of a run: its points with their fingerprints, and the shape of what comes of each job.

It is all that is needed to read a run's results. The key of a job follows from the fingerprint of
its point and the number of its chip, so that a plan takes as long as its points, however many
chips.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .declaration import FORMATS, MAX_JOBS, MAX_POINTS, point_at
from .measures import MEASURES, Variable, variables_of
from .points import Point, canonical_json, job_key
from .values import Scalar, SweepError, require_shallow, shortened

FORMAT = "circuits sweep 2"
MAX_PLAN = 500_000_000
"""How many bytes the file of a plan may have."""
MAX_JOB = 1_000_000_000
"""How many bytes the results of one job may have."""
DIMENSIONS = ("chip", "phase", "sample", "node", "output", "label")
"""The names in a dataset that no axis may have, besides those of the variables."""

Word = Annotated[str, Meta(min_length=1, max_length=10_000)]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


@dataclass(frozen=True)
class Layout:
    """The shape of a chip's results.

    **Arguments:**

    - `nodes`: the names along the dimension `node`.
    - `outputs`: the names along the dimension `output`.
    - `samples`: the length of the dimension `sample`.
    - `phases`: the length of the dimension `phase`: 1, or 3 with a nudge.
    - `classes`: of the samples, where they are known.
    """

    nodes: tuple[Word, ...]
    outputs: tuple[Word, ...]
    samples: Annotated[int, Meta(ge=0, le=100_000_000)]
    phases: Annotated[int, Meta(ge=1, le=3)]
    classes: tuple[Annotated[int, Meta(ge=-(2**31), lt=2**31)], ...] | None

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each dimension."""
        return {
            "phase": self.phases,
            "sample": self.samples,
            "node": len(self.nodes),
            "output": len(self.outputs),
        }

    @classmethod
    def of(cls, point: Point) -> "Layout":
        """Return the layout of the chips at a point.

        **Arguments:**

        - `point`: the point.
        """
        labels = point.samples.classes
        classes = None if labels is None else tuple(int(label) for label in labels)
        circuit = point.circuit
        return cls(circuit.nodes, circuit.outputs, len(point.samples), len(point.betas), classes)


@dataclass(frozen=True)
class Plan:
    """What a run consists of.

    **Arguments:**

    - `format`: of the file, `FORMAT`.
    - `declaration`: what was declared, as far as JSON holds it.
    - `axes`: the values of each axis, by name.
    - `chips`: how many there are at each point.
    - `measures`: names of `MEASURES`.
    - `formats`: of the results, besides NetCDF and CSV.
    - `versions`: of what the run was made with.
    - `layouts`: the shapes that results have.
    - `layout`: for each point the place of its shape in `layouts`.
    - `fingerprints`: of each point.
    """

    format: str
    declaration: dict[str, Any]
    axes: dict[Word, tuple[Scalar, ...]]
    chips: Annotated[int, Meta(ge=1, le=MAX_JOBS)]
    measures: tuple[Word, ...]
    formats: tuple[Word, ...]
    versions: dict[str, Word]
    layouts: tuple[Layout, ...]
    layout: tuple[Annotated[int, Meta(ge=0)], ...]
    fingerprints: tuple[Sha256, ...]

    @property
    def points(self) -> int:
        """The number of points."""
        return len(self.fingerprints)

    @property
    def total(self) -> int:
        """The number of jobs."""
        return self.points * self.chips

    @property
    def operating_points(self) -> int:
        """The number of operating points that all jobs have."""
        counts = [layout.samples * layout.phases for layout in self.layouts]
        return self.chips * sum(counts[place] for place in self.layout)

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables of every chip, by name."""
        return variables_of(self.measures)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return tuple(len(values) for values in self.axes.values())

    def key(self, point: int, chip: int) -> str:
        """Return the key of a job.

        **Arguments:**

        - `point`: the number of the point.
        - `chip`: the number of the chip.
        """
        return job_key(self.fingerprints[point], chip)

    def jobs(self, shard: tuple[int, int] = (1, 1)) -> Iterator[tuple[int, int, str]]:
        """Yield the point, the chip and the key of every job.

        **Arguments:**

        - `shard`: which part of them, as (3, 16) for the third of sixteen.
        """
        for index in islice(range(self.total), shard[0] - 1, None, shard[1]):
            point, chip = divmod(index, self.chips)
            yield point, chip, self.key(point, chip)

    def at(self, point: int) -> dict[str, Scalar]:
        """Return the values of the axes at a point.

        **Arguments:**

        - `point`: its number.
        """
        return dict(zip(self.axes, point_at(self.axes, point), strict=True))

    def layout_of(self, point: int) -> Layout:
        """Return the shape of the results at a point.

        **Arguments:**

        - `point`: its number.
        """
        return self.layouts[self.layout[point]]

    def encoded(self) -> bytes:
        """Return the plan as JSON."""
        return canonical_json(asdict(self), ordered=True).encode()

    @classmethod
    def decode(cls, content: bytes) -> "Plan":
        """Return the plan that `encoded` gave.

        **Arguments:**

        - `content`: the file, which need not come from here.

        **Raises** `SweepError` for anything that no sweep wrote.
        """
        try:
            kind = msgspec.json.decode(content, type=_Format).format
            if kind != FORMAT:
                raise SweepError(
                    f"a plan must be of the format {FORMAT!r}, but is of {shortened(kind)}"
                )
            plan = msgspec.json.decode(content, type=cls)
            require_shallow(plan.declaration)
            plan.check()
        except (msgspec.DecodeError, RecursionError, SweepError) as error:
            if isinstance(error, SweepError):
                raise
            raise SweepError(f"a plan must be what a sweep wrote, but is not: {error}") from error
        return plan

    def check(self) -> None:
        """Raise `SweepError` where the parts do not fit together, or are too large."""
        for name, known in (("measures", MEASURES), ("formats", FORMATS)):
            if unknown := set(getattr(self, name)).difference(known):
                raise SweepError(f"`{name}` of a plan has no {shortened(sorted(unknown))}")
        reserved = {*DIMENSIONS, *self.variables}
        for name, values in self.axes.items():
            if name in reserved or "/" in name or not name.isprintable():
                raise SweepError(f"no axis of a plan may be called {shortened(name)}")
            finite = all(not isinstance(one, float) or math.isfinite(one) for one in values)
            if not values or len(set(values)) < len(values) or not finite:
                raise SweepError(f"the axis {name!r} of a plan must hold different finite values")

        points = math.prod(self.shape)
        if not points == len(self.fingerprints) == len(self.layout):
            raise SweepError(
                f"a plan must have a fingerprint and a layout for each of its {points} points, "
                f"but has {len(self.fingerprints)} and {len(self.layout)}"
            )
        if points > MAX_POINTS or self.total > MAX_JOBS:
            raise SweepError(
                f"a plan must have at most {MAX_POINTS:,} points and {MAX_JOBS:,} jobs, "
                f"but has {points} and {self.total}"
            )
        if max(self.layout) >= len(self.layouts):
            raise SweepError(f"a plan has no layout {max(self.layout)}")
        if "simulator" not in self.versions:
            raise SweepError("a plan must say the version of its simulator")
        for layout in self.layouts:
            self._check_layout(layout)

    def _check_layout(self, layout: Layout) -> None:
        """Raise `SweepError` for a layout that cannot be, or whose results would be too large."""
        for names in (layout.nodes, layout.outputs):
            if len(set(names)) < len(names) or not all(name.isprintable() for name in names):
                raise SweepError("the nodes of a layout must have different names")
        if layout.classes is not None and len(layout.classes) != layout.samples:
            raise SweepError(
                f"a layout must have a class for each of its {layout.samples} samples, "
                f"but has {len(layout.classes)}"
            )
        size = sum(
            8 * math.prod(variable.shape(layout.sizes)) for variable in self.variables.values()
        )
        if size > MAX_JOB:
            raise SweepError(
                f"the results of a job must have at most {MAX_JOB} bytes, but have {size}: "
                "give it fewer samples, or another measure than the voltages"
            )


class _Format(msgspec.Struct):
    """The part of a plan that says how to read the rest."""

    format: str


def plain(value: Any) -> Any:
    """Return what JSON can hold of a declaration: of an array its shape, of an object its class.

    **Arguments:**

    - `value`: anything that a declaration holds.
    """
    import numpy as np

    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, Scalar | None) else type(value).__name__
