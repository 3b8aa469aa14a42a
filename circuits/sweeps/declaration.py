"""What a sweep is declared to be: known keys, axes, and the document of each point."""

import itertools
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from eqprop.files import read_bytes

from ..elements.base import concrete_subclasses
from ..variation import Part, Variation
from .measures import MEASURES
from .values import (
    Scalar,
    SweepError,
    require_known,
    require_shallow,
    require_value,
    shortened,
)

SECTIONS: dict[str, tuple[str, ...] | None] = {
    "network": ("deck", "factory", "arguments", "checkpoint", "trained", "hidden", "seed"),
    "cost": ("on", "off"),
    "data": ("drives", "x", "y", "file", "name", "count", "seed"),
    "simulator": ("name", "timeout", "tolerance", "iterations"),
    "device": None,
    "elements": None,
    "models": None,
    "variation": None,
    "axes": None,
}
"""The tables of a declaration, and their keys where these are known before there is a network."""
SINGLE_NUMBERS = ("chips", "seed", "cycle", "beta", "temperature")
LISTS = ("outputs", "measure", "formats")
FORMATS = ("zarr", "parquet")
NETWORKS = ("deck", "factory", "checkpoint", "trained")

MAX_BYTES = 1_000_000
"""How many bytes a declaration may have."""
MAX_POINTS = 1_000_000
"""How many points a sweep may have: combinations of the values of its axes."""
MAX_JOBS = 10_000_000
"""How many jobs a sweep may have: chips at all points. Each is a file."""
_MANY_DOTS = re.compile(rb"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){20}""")
"""A key that lies in twenty tables, for which `tomllib` takes time that grows with their square."""


def variation_kinds() -> dict[str, type[Part]]:
    """Return the kinds of variation by their names in a declaration.

    The name is that of the class in lower case, words joined by `_`.
    """
    return {_snake_case(name): kind for name, kind in concrete_subclasses(Part).items()}


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True)
class Declaration:
    """A declaration that was checked. `read` and `of` make one.

    **Arguments:**

    - `document`: its keys and values, without axes.
    - `axes`: the values of each axis, by name.
    - `folder`: where the paths of files start.
    - `from_file`: whether it comes from a file, whose paths are followed within `folder` alone
      unless the sweep is trusted.
    - `kinds`: the kinds of variation by name.
    """

    document: Mapping[str, Any]
    axes: Mapping[str, tuple[Scalar, ...]]
    folder: Path
    from_file: bool = False
    kinds: Mapping[str, type[Part]] = field(default_factory=variation_kinds)

    @classmethod
    def read(cls, path: str | Path, given: Mapping[str, Any]) -> "Declaration":
        """Return the declaration in a TOML file.

        **Arguments:**

        - `path`: the file; paths in it start in its folder.
        - `given`: what takes the place of what the file says, by key.

        **Raises** `SweepError` for what is no sweep, and `OSError` where the file cannot be read.
        """
        path = Path(path)
        content = read_bytes(path, most=MAX_BYTES)
        try:
            if _MANY_DOTS.search(content):
                raise SweepError("a key lies in twenty tables")
            document = tomllib.loads(content.decode())
            require_shallow(document)
        except (ValueError, RecursionError) as error:
            raise SweepError(f"{path.name} must be a TOML file, but is not: {error}") from error
        return cls.of({**document, **given}, path.parent, from_file=True)

    @classmethod
    def of(
        cls, document: Mapping[str, Any], folder: Path, *, from_file: bool = False
    ) -> "Declaration":
        """Return the declaration in a document.

        **Arguments:**

        - `document`: keys and values as TOML gives them; `network`, `cost`, `variation` and
          `simulator` may be objects.
        - `folder`: where the paths of files start.
        - `from_file`: whether any of it comes from a file.

        **Raises** `SweepError` for what is no sweep.
        """
        document, kinds = dict(document), variation_kinds()
        for key in document:
            require_known(key, (*SECTIONS, *SINGLE_NUMBERS, *LISTS), "a sweep")
        if isinstance(document.get("variation"), Variation):
            parts = document["variation"].parts()
            kinds |= {_snake_case(type(part).__name__): type(part) for part in parts}
            document["variation"] = _described(parts)

        axes = dict(_flat(document.pop("axes", {}), ""))
        for name, values in axes.items():
            _check_axis(name, values, kinds)
        document = {
            "chips": 1,
            "seed": 0,
            "cycle": 0,
            "outputs": [],
            "measure": ["voltages"],
            "formats": [],
        } | document

        axes = {name: tuple(values) for name, values in axes.items()}
        declaration = cls(document, axes, folder, from_file, kinds)
        _check(declaration.point([values[0] for values in axes.values()]), kinds)
        _check_size(declaration.size, document["chips"])
        return declaration

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(map(len, self.axes.values()))

    def points(self) -> Iterator[tuple[Scalar, ...]]:
        """Yield every combination of the axes' values, the last axis the fastest."""
        return itertools.product(*self.axes.values())

    def point(self, values: Iterable[Scalar]) -> dict[str, Any]:
        """Return the document of a point.

        **Arguments:**

        - `values`: a value of each axis.

        **Raises** `SweepError` for an axis within something that is no table.
        """
        document = dict(self.document)
        for axis, value in zip(self.axes, values, strict=True):
            *tables, last = _place(axis, self.kinds)
            inner = document
            for table in tables:
                outer, inner = inner, inner.get(table, {})
                if not isinstance(inner, Mapping):
                    raise SweepError(
                        f"the axis {axis!r} changes {table!r}, which must be a table for that, "
                        f"but is {shortened(inner)}"
                    )
                inner = outer[table] = dict(inner)
            inner[last] = value
        return document


def point_at(axes: Mapping[str, Sequence[Scalar]], index: int) -> tuple[Scalar, ...]:
    """Return the values of the axes at a point.

    **Arguments:**

    - `axes`: the values of each axis, by name.
    - `index`: the number of the point, the last axis the fastest.
    """
    values = []
    for column in reversed(list(axes.values())):
        index, place = divmod(index, len(column))
        values.append(column[place])
    return tuple(reversed(values))


def _described(parts: Iterable[Part]) -> dict[str, dict[str, Any]]:
    """Return the table that declares these variations."""
    return {
        _snake_case(type(part).__name__): {
            one.name: getattr(part, one.name)
            for one in fields(part)  # pyright: ignore  # each is a dataclass
        }
        for part in parts
    }


def _flat(table: Any, prefix: str) -> Iterator[tuple[str, list[Scalar]]]:
    """Yield the keys of nested tables, joined by dots, with their values."""
    if not isinstance(table, Mapping):
        raise SweepError(
            f"`axes` must be a table of lists, but {prefix or 'it'} is {shortened(table)}"
        )
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_axis(name: str, values: Any, kinds: Mapping[str, type[Part]]) -> None:
    """Raise `SweepError` for an axis that is none, or has a value that its key cannot have."""
    if not isinstance(values, list | tuple) or not values:
        raise SweepError(f"the axis {name!r} must be a list of values, but is {shortened(values)}")
    if len(values) > MAX_POINTS:
        raise SweepError(
            f"the axis {name!r} must have at most {MAX_POINTS} values, but has {len(values)}"
        )
    if not all(isinstance(value, Scalar) for value in values):
        raise SweepError(
            f"the axis {name!r} must hold numbers, words or booleans, but holds {shortened(values)}"
        )
    types = {
        str if isinstance(value, str) else bool if isinstance(value, bool) else float
        for value in values
    }
    if len(types) > 1:
        raise SweepError(
            f"the axis {name!r} must hold values of one kind, but holds {shortened(values)}"
        )
    if len(set(values)) < len(values):
        raise SweepError(
            f"the axis {name!r} must hold each value once, but holds {shortened(values)}"
        )
    key = ".".join(_place(name, kinds))
    for value in values:
        require_value(key, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise SweepError(f"the axis {name!r} must hold finite numbers, but holds {value}")


def _place(axis: str, kinds: Mapping[str, type[Part]]) -> tuple[str, ...]:
    """Return the key of an axis and the tables in which it lies. Raises `SweepError`."""
    first, _, rest = axis.partition(".")
    numbers = [name for name in SINGLE_NUMBERS if name != "chips"]
    if not rest:
        sections = [f"{name}." for name in SECTIONS if name not in ("axes", "variation")]
        known = [*numbers, *sections, *(f"{kind}." for kind in kinds)]
        require_known(axis, known, "the table `axes`")
        return (axis,)
    if first in ("elements", "models"):
        name, _, last = rest.rpartition(".")
        return first, name, last
    if first in ("network", "cost", "data", "simulator", "device"):
        return first, *rest.split(".")
    require_known(first, [*SECTIONS, *kinds, *numbers], "the table `axes`")
    return ("variation", first, rest)


def _check(document: Mapping[str, Any], kinds: Mapping[str, type[Part]]) -> None:
    """Raise `SweepError` for a document that cannot be, as far as its network need not be known."""
    for name in LISTS:
        if not isinstance(document[name], list | tuple):
            raise SweepError(f"`{name}` must be a list, but is {shortened(document[name])}")
    for name, known in (("measure", MEASURES), ("formats", FORMATS)):
        for entry in document[name]:
            require_known(entry, known, f"`{name}`")
    for name in SINGLE_NUMBERS:
        if name in document:
            require_value(name, document[name])
    _check_sections(document)
    _check_tables(document, kinds)
    network = document.get("network", {})
    if isinstance(network, Mapping):
        named = [key for key in NETWORKS if key in network]
        if len(named) != 1:
            raise SweepError(
                f"`network` must name one of {', '.join(NETWORKS)}, "
                f"but names {', '.join(named) or 'none'}"
            )


def _check_sections(document: Mapping[str, Any]) -> None:
    """Raise `SweepError` for a table that is none, or has keys or values that it cannot have."""
    for section, known in SECTIONS.items():
        table = document.get(section, {})
        is_data = isinstance(table, Mapping | Scalar | list | tuple)
        if section in ("network", "cost", "simulator") and not is_data:
            continue  # an object
        if not isinstance(table, Mapping):
            raise SweepError(f"`{section}` must be a table, but is {shortened(table)}")
        for key, value in table.items():
            if known:
                require_known(key, known, f"the table `{section}`")
                require_value(f"{section}.{key}", value)


def _check_tables(document: Mapping[str, Any], kinds: Mapping[str, type[Part]]) -> None:
    """Raise `SweepError` for tables of fields that cannot be: those of devices and of chips."""
    for name, value in document.get("device", {}).items():
        require_value(f"device.{name}", value)
    for section in ("elements", "models", "variation"):
        for name, table in document.get(section, {}).items():
            if section == "variation":
                require_known(name, kinds, "the table `variation`")
            if not isinstance(table, Mapping):
                raise SweepError(
                    f"`{section}.{name}` must be a table of numbers, but is {shortened(table)}"
                )
            for key, value in table.items():
                if section == "variation":
                    known = [one.name for one in fields(kinds[name])]  # pyright: ignore
                    require_known(key, known, f"the variation {name!r}")
                require_value(f"{section}.{name}.{key}", value)


def _check_size(points: int, chips: int) -> None:
    """Raise `SweepError` for more points or jobs than a sweep may have."""
    for what, count, most in (
        ("points (combinations of the axes' values)", points, MAX_POINTS),
        ("jobs (chips at all points)", points * chips, MAX_JOBS),
    ):
        if count > most:
            raise SweepError(
                f"a sweep must have at most {most:,} {what}, but has {shortened(count)}"
            )
