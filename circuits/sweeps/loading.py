"""From what a declaration says of its network and data to a subject and its samples."""

import csv
import importlib
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..elements.base import Element
from ..elements.diodes import Diode
from ..elements.transistors import Mosfet
from ..netlist.netlist import Netlist
from ..simulators import Ngspice, Simulator
from ..spice.parser import read
from .declaration import SweepError, require_known
from .subjects import Deck, Samples, Subject

MORE = {"deck": (), "factory": ("arguments",), "checkpoint": (), "trained": ("hidden", "seed")}
"""What else a table `network` may hold, by what it names."""


def subject(
    document: Mapping[str, Any],
    folder: Path,
    *,
    trusted: bool,
    cache: Path,
    console: Console | None,
) -> Subject:
    """The circuit of a point. `cache`: the folder in which trained networks are kept. `console`: where training shows how far it is.

    Raises `SweepError` for what cannot be and for a factory that is not trusted, and what reading, training and the factory raise.
    """
    network = document["network"]
    if not isinstance(network, Mapping):
        return _subject(network, document)
    kind = next(key for key in MORE if key in network)
    for key in network:
        require_known(key, (kind, *MORE[kind]), f"a network by `{kind}`")
    if kind == "deck":
        made: Any = read(folder / str(network["deck"]), trusted=trusted)
    elif kind == "factory":
        made = _factory(str(network["factory"]), network.get("arguments", {}), folder, trusted)
    elif kind == "checkpoint":
        from ..learning.saved import stored

        made = stored(folder / str(network["checkpoint"]))
    else:
        from ..learning.trained import trained

        made, cost = trained(
            network["trained"], network.get("hidden"), network.get("seed", 0), cache, console
        )
        document = {"cost": cost, **document}
    return _subject(made, document)


def _subject(made: Any, document: Mapping[str, Any]) -> Subject:
    """The subject of a netlist or a network, with its parts as a document has them."""
    if isinstance(made, Netlist):
        for key in ("device", "cost"):
            if document.get(key):
                raise SweepError(
                    f"`{key}` is of a network with a model, but the sweep is of a netlist"
                )
        return Deck(_changed(made, document), tuple(document["outputs"]))
    for key in ("elements", "models", "outputs"):
        if document.get(key):
            raise SweepError(f"`{key}` is of a netlist, but the sweep is of a network with a model")
    from .models import Model

    return Model.of(made, document.get("device", {}), document.get("cost", {}))


def _factory(name: str, arguments: Mapping[str, Any], folder: Path, trusted: bool) -> Any:
    if not trusted:
        raise SweepError(
            f"the network is made by {name!r}, whose code would run: say that the sweep is trusted (--trusted)"
        )
    module, colon, function = name.partition(":")
    if not colon or not function:
        raise SweepError(f"`network.factory` must be module:function, but is {name!r}")
    sys.path.insert(0, str(folder.resolve()))
    try:
        made = getattr(importlib.import_module(module), function)(**arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise SweepError(f"the factory {name!r} cannot be called: {error}") from error
    finally:
        sys.path.remove(str(folder.resolve()))
    return made


def _changed(netlist: Netlist, document: Mapping[str, Any]) -> Netlist:
    """The netlist with the fields of `elements` and `models` as a document has them."""
    by_name = {
        element.letter.lower() + element.name.lower(): element for element in netlist.elements
    }
    fresh: list[Element] = []
    for name, changes in document.get("elements", {}).items():
        require_known(name.lower(), by_name, "the netlist")
        fresh.append(_with_fields(by_name[name.lower()], changes, name))
    if fresh:
        netlist = netlist.with_elements(*fresh)
    models = {model.name.lower(): model for model in netlist.models}
    laws: dict[Any, Any] = {}
    for name, changes in document.get("models", {}).items():
        require_known(name.lower(), models, "the netlist")
        laws[models[name.lower()]] = _with_fields(models[name.lower()], changes, name)
    if laws:
        diodes, transistors = netlist.of(Diode), netlist.of(Mosfet)
        netlist = netlist.with_elements(
            *(replace(e, model=laws.get(e.model, e.model)) for e in (*diodes, *transistors))
        )
    return netlist


def _with_fields(thing: Any, changes: Mapping[str, Any], name: str) -> Any:
    if not isinstance(changes, Mapping):
        raise SweepError(
            f"what changes in {name!r} must be a table of its fields, but is {changes!r}"
        )
    known = [
        field.name for field in fields(thing) if isinstance(getattr(thing, field.name), float | int)
    ]
    for field in changes:
        require_known(field, known, repr(name))
    return replace(thing, **{field: float(value) for field, value in changes.items()})


def samples(document: Mapping[str, Any], folder: Path, made: Subject) -> Samples:
    """The samples of a point. Raises `SweepError` for data that cannot be, `OSError` where a file cannot be read."""
    data = document.get("data", {})
    named = [key for key in ("drives", "x", "file", "name") if key in data]
    if len(named) > 1:
        raise SweepError(
            f"`data` must say where the samples are from in one way, but names {', '.join(named)}"
        )
    for key in {"count", "seed"} & set(data) if named != ["name"] else ():
        raise SweepError(
            f"`data.{key}` draws from a data set that has a name, but `data` names none"
        )
    if named == ["name"]:
        require_known(data["name"], ("digits",), "`data.name`")
        from ..learning.trained import digits

        return Samples(*digits(data.get("count"), data.get("seed", 0)))
    if not named and not made.is_model:
        return Samples({})
    if named not in ([["x"], ["file"]] if made.is_model else [["drives"], ["file"]]):
        raise SweepError(
            f"`data` of a {'network must have name, file or x' if made.is_model else 'netlist must have drives or file'}"
        )
    columns = (
        _columns(folder / str(data["file"]))
        if named == ["file"]
        else dict(data["drives"] if named == ["drives"] else data)
    )
    labels = columns.pop("y" if made.is_model else "label", None)
    values = {name: np.atleast_1d(np.asarray(column, float)) for name, column in columns.items()}
    if (
        len(
            {len(column) for column in values.values()}
            | ({len(labels)} if labels is not None else set())
        )
        > 1
    ):
        raise SweepError(
            f"the columns of `data` must be equally long, but are { {n: len(c) for n, c in columns.items()} }"
        )
    whole = (
        labels is not None
        and np.all(np.asarray(labels) == np.round(labels))
        and np.ndim(labels) == 1
    )
    return Samples(values, None if labels is None else np.asarray(labels, int if whole else float))


def _columns(path: Path) -> dict[str, Any]:
    """The columns of a CSV file with names in its first row, or the arrays of an NPZ file."""
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except ValueError as error:
            raise SweepError(
                f"{path.name} must be an NPZ file of plain arrays, but is not: {error}"
            ) from error
    if path.suffix != ".csv":
        raise SweepError(f"`data.file` must be a CSV or an NPZ file, but is {path.name!r}")
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    try:
        table = np.array(rows, float).reshape(len(rows), len(names))
    except ValueError as error:
        raise SweepError(
            f"{path.name} must hold a number in every cell below its names, but: {error}"
        ) from error
    return {name.strip(): column for name, column in zip(names, table.T, strict=True)}


def simulator(document: Mapping[str, Any]) -> Simulator:
    """The simulator of a point. Raises `SweepError` for settings that it does not have."""
    asked = document.get("simulator", {})
    if isinstance(asked, Simulator):
        if not is_dataclass(asked):
            raise SweepError(
                f"`simulator` must be a dataclass, whose settings can be told, but is {asked!r}"
            )
        return asked
    settings = dict(asked)
    name = settings.pop("name", "ngspice")
    require_known(name, ("ngspice", "nodal"), "`simulator.name`")
    kind: type[Simulator] = Ngspice
    if name == "nodal":
        from ..simulators.nodal import Nodal

        kind = Nodal
    known = {field.name for field in fields(kind)} - {"command"}  # pyright: ignore  # a dataclass
    for key in settings:
        require_known(key, known, f"the simulator {name!r}")
    return kind(**settings)
