"""The plan of a run: every chunk with its key, and the shape of what comes of it; all that is needed to read a run's results."""

import json
import math
import platform
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console

from ..simulators import Simulator
from ..variation import Part, Variation
from .declaration import Declaration, Scalar, SweepError, kinds
from .jobs import Case, canonical, variables
from .loading import samples, simulator, subject
from .measures import Variable
from .subjects import Samples, Subject

FORMAT = "circuits sweep 1"
KEPT = 8
"""Cases, networks and sets of samples that are at hand while points are gone through."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Layout:
    """The shape of a chip's results: the names along each dimension, and the classes of the samples where they are known."""

    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    samples: int
    phases: int
    classes: tuple[int, ...] | None

    @property
    def sizes(self) -> dict[str, int]:
        """How long each dimension is."""
        return {
            "phase": self.phases,
            "sample": self.samples,
            "node": len(self.nodes),
            "output": len(self.outputs),
        }

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> "Layout":
        """That of what JSON made of one."""
        return cls(
            **{  # pyright: ignore
                name: tuple(value) if isinstance(value, list) else value
                for name, value in found.items()
            }
        )

    @classmethod
    def of(cls, case: Case) -> "Layout":
        """That of a case."""
        known = case.samples.classes
        classes = None if known is None else tuple(int(label) for label in known)
        return cls(
            case.subject.nodes, case.subject.outputs, len(case.samples), len(case.betas), classes
        )


@dataclass(frozen=True)
class Plan:
    """What a run consists of. `keys` and `layout` go point by point, `layout` by its place in `layouts`."""

    declaration: Mapping[str, Any]
    axes: Mapping[str, tuple[Scalar, ...]]
    chips: int
    measures: tuple[str, ...]
    formats: tuple[str, ...]
    versions: Mapping[str, str]
    layouts: tuple[Layout, ...]
    layout: tuple[int, ...]
    keys: tuple[tuple[str, ...], ...]

    def chunks(self) -> Iterator[tuple[int, int, str]]:
        """The point, the chip and the key of every chunk."""
        for point, keys in enumerate(self.keys):
            for chip, key in enumerate(keys):
                yield point, chip, key

    @property
    def variables(self) -> dict[str, Variable]:
        """What every chip gives."""
        return variables(self.measures)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def simulations(self) -> int:
        """The number of operating points."""
        return sum(
            self.chips * self.layouts[kind].samples * self.layouts[kind].phases
            for kind in self.layout
        )

    def text(self) -> str:
        """It as JSON."""
        return canonical({"format": FORMAT, **asdict(self)}, ordered=True)

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """The plan that `text` gave. Raises `SweepError` where it is none."""
        try:
            found = json.loads(text)
            if (told := found.pop("format")) != FORMAT:
                raise SweepError(f"a plan must be of the format {FORMAT!r}, but is of {told!r}")
            for name in ("measures", "formats", "layout"):
                found[name] = tuple(found[name])
            found["axes"] = {name: tuple(values) for name, values in found["axes"].items()}
            found["keys"] = tuple(tuple(keys) for keys in found["keys"])
            found["layouts"] = tuple(Layout.parse(one) for one in found["layouts"])
            return cls(**found)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise SweepError(f"a plan must be what a sweep wrote, but is not: {error}") from error


@dataclass(eq=False)
class Cases:
    """The cases of a declaration's points; networks and samples that points share are made once."""

    declaration: Declaration
    trusted: bool
    cache: Path
    console: Console | None = None
    _subjects: OrderedDict[str, Subject] = field(default_factory=OrderedDict)
    _samples: OrderedDict[str, Samples] = field(default_factory=OrderedDict)
    _cases: OrderedDict[str, Case] = field(default_factory=OrderedDict)

    def case(self, values: tuple[Scalar, ...]) -> Case:
        """The case of the point with these values of the axes. Raises `SweepError` and what making its network raises."""
        return _kept(self._cases, _told(values), lambda: self._case(values))

    def _case(self, values: tuple[Scalar, ...]) -> Case:
        document, folder = self.declaration.point(values), self.declaration.folder
        shared = _told(
            {
                key: document.get(key)
                for key in ("network", "device", "elements", "models", "cost", "outputs")
            }
        )
        made = _kept(
            self._subjects,
            shared,
            lambda: subject(
                document, folder, trusted=self.trusted, cache=self.cache, console=self.console
            ),
        )
        told = _told([document.get("data"), made.is_model])
        drawn = _kept(self._samples, told, lambda: samples(document, folder, made))
        used: Simulator = simulator(document)
        try:
            return Case(
                made,
                drawn,
                _variation(document.get("variation", {})),
                document["seed"],
                document["cycle"],
                float(document.get("beta", 0.0)),
                document.get("temperature"),
                tuple(document["measure"]),
                used,
            )
        except ValueError as error:
            at = ", ".join(
                f"{axis} = {value}"
                for axis, value in zip(self.declaration.axes, values, strict=True)
            )
            raise SweepError(f"{at + ': ' if at else ''}{error}") from error

    def plan(self) -> Plan:
        """The plan of all points."""
        document = self.declaration.document
        places: dict[Layout, int] = {}
        layout, keys = [], []
        versions = {
            "circuits": version("eqprop-circuits"),
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        versions["machine"] = f"{platform.system()} {platform.machine()}"
        chips = document["chips"]
        for values in self.declaration.points():
            case = self.case(values)
            if case.variation is None and chips > 1:
                raise SweepError(
                    f"`chips` must be 1 where no `variation` makes them differ, but is {chips}"
                )
            layout.append(places.setdefault(Layout.of(case), len(places)))
            keys.append(tuple(case.key(chip) for chip in range(chips)))
            versions["simulator"] = case.simulator.version()
        return Plan(
            {key: _plain(value) for key, value in document.items()},
            dict(self.declaration.axes),
            chips,
            tuple(document["measure"]),
            tuple(document["formats"]),
            versions,
            tuple(places),
            tuple(layout),
            tuple(keys),
        )


def _variation(table: Mapping[str, Mapping[str, Any]]) -> Variation | None:
    parts: list[Part] = []
    for kind, parameters in table.items():
        try:
            lists = {
                name: tuple(value) for name, value in parameters.items() if isinstance(value, list)
            }
            parts.append(kinds()[kind](**{**parameters, **lists}))
        except TypeError as error:
            raise SweepError(f"the variation {kind!r} cannot be made: {error}") from error
    made: Variation | None = None
    for part in parts:
        made = part if made is None else made + part
    return made


def _kept(kept: "OrderedDict[str, Made]", key: str, make: Callable[[], Made]) -> Made:
    if key not in kept:
        kept[key] = make()
        while len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


def _told(value: Any) -> str:
    """A text that is the same for equal declarations; an object stands for itself."""
    return json.dumps(value, sort_keys=True, default=lambda one: f"{type(one).__name__} {id(one)}")


def _plain(value: Any) -> Any:
    """What JSON can hold of a declaration: of an object its kind."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    plain = isinstance(value, Scalar | None) and value not in (math.inf, -math.inf)
    return value if plain else str(value) if isinstance(value, float) else type(value).__name__
