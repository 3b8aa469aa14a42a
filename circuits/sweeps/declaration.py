"""What a sweep is declared to be: known keys, axes, and the document of each point."""

import copy
import difflib
import inspect
import itertools
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..variation import Part, Variation
from .measures import MEASURES

Scalar = bool | int | float | str
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
"""The tables of a declaration and their keys, where these are known before there is a network."""
NUMBERS = ("chips", "seed", "cycle", "beta", "temperature")
LISTS = ("outputs", "measure", "formats")
FORMATS = ("zarr", "parquet")
NETWORKS = ("deck", "factory", "checkpoint", "trained")


class SweepError(ValueError):
    """A declaration that is no sweep."""


def kinds() -> dict[str, type[Part]]:
    """The kinds of variation by the name they have in a declaration: that of the class in lower case, words joined by `_`."""

    def below(kind: type[Part]) -> Iterator[type[Part]]:
        for one in kind.__subclasses__():
            yield from below(one)
            if not inspect.isabstract(one):
                yield one

    return {re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in below(Part)}


def require_known(name: str, known: Iterable[str], where: str) -> None:
    """Raises `SweepError` for a name that is not among the known ones, naming the nearest."""
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1, 0.5)
        raise SweepError(
            f"{where} has no {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}")
        )


@dataclass(frozen=True)
class Declaration:
    """A checked declaration: its `document` without axes, and the `axes` with the place of each in the document."""

    document: Mapping[str, Any]
    axes: Mapping[str, tuple[Scalar, ...]]
    folder: Path

    @classmethod
    def read(cls, path: str | Path, given: Mapping[str, Any]) -> "Declaration":
        """That of a TOML file, whose paths start in its folder, with what is `given` in place of what it says.

        Raises `SweepError`, and `OSError` where it cannot be read.
        """
        path = Path(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SweepError(f"{path.name} must be a TOML file, but is not: {error}") from error
        return cls.of({**document, **given}, path.parent)

    @classmethod
    def of(cls, document: Mapping[str, Any], folder: Path) -> "Declaration":
        """That of a document as TOML gives it. Raises `SweepError`."""
        document = copy.copy(dict(document))
        for key in document:
            require_known(key, (*SECTIONS, *NUMBERS, *LISTS), "a sweep")
        if isinstance(document.get("variation"), Variation):
            document["variation"] = _described(document["variation"])
        axes = dict(_flat(document.pop("axes", {}), ""))
        for name, values in axes.items():
            _check_axis(name, values)
            _place(name)
        document = {
            "chips": 1,
            "seed": 0,
            "cycle": 0,
            "outputs": [],
            "measure": ["voltages"],
            "formats": [],
        } | document
        made = cls(document, {name: tuple(values) for name, values in axes.items()}, folder)
        _check(made.point([values[0] for values in axes.values()]))
        return made

    def points(self) -> Iterator[tuple[Scalar, ...]]:
        """Every combination of the axes' values, the last axis the fastest."""
        return itertools.product(*self.axes.values())

    def point(self, values: Iterable[Scalar]) -> dict[str, Any]:
        """The document of the point with these values of the axes."""
        document = dict(self.document)
        for axis, value in zip(self.axes, values, strict=True):
            *tables, last = _place(axis)
            inner = document
            for table in tables:
                own = inner.get(table, {})
                if not isinstance(own, Mapping):
                    raise SweepError(
                        f"the axis {axis!r} changes {table!r}, which must be a table for that, but is {own!r}"
                    )
                inner[table] = dict(own)
                inner = inner[table]
            inner[last] = value
        return document


def _described(variation: Variation) -> dict[str, dict[str, Any]]:
    names = {kind: name for name, kind in kinds().items()}
    return {
        names[type(part)]: {one.name: getattr(part, one.name) for one in fields(part)}  # pyright: ignore
        for part in variation.parts()
    }


def _flat(table: Any, prefix: str) -> Iterator[tuple[str, list[Scalar]]]:
    if not isinstance(table, Mapping):
        raise SweepError(f"`axes` must be a table of lists, but {prefix or 'it'} is {table!r}")
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_axis(name: str, values: Any) -> None:
    if not isinstance(values, list | tuple) or not values:
        raise SweepError(f"the axis {name!r} must be a list of values, but is {values!r}")
    if not all(isinstance(value, Scalar) for value in values):
        raise SweepError(
            f"the axis {name!r} must hold numbers, words or booleans, but holds {values!r}"
        )
    if (
        len(
            {
                str if isinstance(value, str) else bool if isinstance(value, bool) else float
                for value in values
            }
        )
        > 1
    ):
        raise SweepError(f"the axis {name!r} must hold values of one kind, but holds {values!r}")
    if len(set(values)) < len(values):
        raise SweepError(f"the axis {name!r} must hold each value once, but holds {values!r}")


def _place(axis: str) -> tuple[str, ...]:
    """Where an axis is in the document. Raises `SweepError`."""
    first, _, rest = axis.partition(".")
    known = [name for name in NUMBERS if name != "chips"]
    if not rest:
        sections = [name for name in SECTIONS if name not in ("axes", "variation")]
        require_known(
            axis,
            [*known, *(f"{name}." for name in sections), *(f"{kind}." for kind in kinds())],
            "the table `axes`",
        )
        return (axis,)
    if first in ("elements", "models"):
        name, _, field = rest.rpartition(".")
        return first, name, field
    if first in ("network", "cost", "data", "simulator", "device"):
        return first, *rest.split(".")
    require_known(first, [*SECTIONS, *kinds(), *known], "the table `axes`")
    return ("variation", first, rest)


def _check(document: Mapping[str, Any]) -> None:
    """Raises `SweepError` for a document that cannot be, as far as that can be known without its network."""
    for section, known in SECTIONS.items():
        table = document.get(section, {})
        if section in ("network", "cost", "simulator") and not isinstance(table, Mapping):
            continue  # an object
        if not isinstance(table, Mapping):
            raise SweepError(f"`{section}` must be a table, but is {table!r}")
        for key in table if known else ():
            require_known(key, known or (), f"the table `{section}`")
    for name in LISTS:
        if not isinstance(document[name], list | tuple):
            raise SweepError(f"`{name}` must be a list, but is {document[name]!r}")
    for name, names in (("measure", MEASURES), ("formats", FORMATS)):
        for entry in document[name]:
            require_known(entry, names, f"`{name}`")
    _check_variation(document.get("variation", {}))
    _check_numbers(document)
    network = document.get("network", {})
    if (
        isinstance(network, Mapping)
        and len(named := [key for key in NETWORKS if key in network]) != 1
    ):
        raise SweepError(
            f"`network` must name one of {', '.join(NETWORKS)}, but names {', '.join(named) or 'none'}"
        )


def _check_variation(table: Mapping[str, Any]) -> None:
    known = kinds()
    for kind, parameters in table.items():
        require_known(kind, known, "the table `variation`")
        if not isinstance(parameters, Mapping):
            raise SweepError(
                f"`variation.{kind}` must be a table of parameters, but is {parameters!r}"
            )
        for parameter in parameters:
            require_known(
                parameter,
                [field.name for field in fields(known[kind])],  # pyright: ignore
                f"the variation {kind!r}",
            )


def _check_numbers(document: Mapping[str, Any]) -> None:
    for name, least in (("chips", 1), ("seed", 0), ("cycle", 0)):
        value = document[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SweepError(
                f"`{name}` must be a whole number of at least {least}, but is {value!r}"
            )
    for name in ("beta", "temperature"):
        value = document.get(name, 1.0)
        if (
            not isinstance(value, int | float)
            or not math.isfinite(value)
            or (name == "temperature" and value <= 0)
        ):
            raise SweepError(
                f"`{name}` must be a finite number{' above 0 K' if name == 'temperature' else ''}, but is {value!r}"
            )
