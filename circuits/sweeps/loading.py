"""From what a declaration says of its network, data and simulator to these."""

import csv
import importlib
import io
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from eqprop.archives import read_arrays
from eqprop.files import OutsideError, read_below, read_bytes

from ..elements.base import Element
from ..elements.diodes import Diode
from ..elements.transistors import Mosfet
from ..netlist.netlist import Netlist
from ..simulators import Ngspice, Simulator
from ..spice.parser import parse
from .declaration import Declaration
from .swept_circuits import Samples, SweptCircuit, SweptNetlist
from .values import Number, SweepError, require_known, shortened

OTHER_KEYS = {
    "deck": (),
    "factory": ("arguments",),
    "checkpoint": (),
    "trained": ("hidden", "seed"),
}
"""What else a table `network` may hold, by what it names."""

MAX_DECK = 64_000_000
"""How many bytes a deck may have."""
MAX_DATA = 1_000_000_000
"""How many bytes a file of data or of a network may have, and may unpack to."""
MAX_TABLE = 250_000_000
"""How many bytes a table in text may have: its numbers take up to four times as many."""
MAX_LABEL = 2**31 - 1
"""The largest number that a class may have."""
MAX_NAMES = 1_000_000
"""How many characters the names of its columns may have."""


def swept_circuit(
    document: Mapping[str, Any],
    declaration: Declaration,
    *,
    trusted: bool,
    cache: Path,
    console: Console | None,
) -> SweptCircuit:
    """Return the circuit of a point.

    **Arguments:**

    - `document`: of the point.
    - `declaration`: of the sweep, which says where paths start and may lead.
    - `trusted`: whether a factory may run, a deck include files, and a path leave the folder.
    - `cache`: the folder in which trained networks are kept.
    - `console`: where training shows its progress; nowhere if `None`.

    **Raises** `SweepError` for what cannot be and for a factory that is not trusted, and what
    reading, training and the factory raise.
    """
    table = document["network"]
    if not isinstance(table, Mapping):
        return _swept(table, document)
    kind = next(key for key in OTHER_KEYS if key in table)
    for key in table:
        require_known(key, (kind, *OTHER_KEYS[kind]), f"a network by `{kind}`")

    network: Any
    if kind == "deck":
        path = declaration.folder / table["deck"]
        content = _content(
            table["deck"], "network.deck", declaration, trusted=trusted, most=MAX_DECK
        )
        text = content.decode("utf-8", errors="replace")
        network = parse(text, trusted=trusted, folder=path.parent, file=path.name)
    elif kind == "factory":
        arguments = table.get("arguments", {})
        network = _call_factory(str(table["factory"]), arguments, declaration.folder, trusted)
    elif kind == "checkpoint":
        from ..learning.saved import stored

        name = table["checkpoint"]
        content = _content(name, "network.checkpoint", declaration, trusted=trusted, most=MAX_DATA)
        network = stored(content, declaration.folder / name)
    else:
        from ..learning.trained import trained

        network, cost = trained(
            table["trained"], table.get("hidden"), table.get("seed", 0), cache, console
        )
        document = {"cost": cost, **document}
    return _swept(network, document)


def _content(name: str, key: str, declaration: Declaration, *, trusted: bool, most: int) -> bytes:
    """Return the content of a file that a declaration names. Raises `SweepError` if it may not."""
    if trusted or not declaration.from_file:
        return read_bytes(declaration.folder / name, most=most)
    try:
        return read_below(declaration.folder, name, most=most)
    except OutsideError as error:
        raise SweepError(
            f"`{key}` must be a file in the folder of the declaration or below it, "
            f"but is {name!r}: say that the sweep is trusted (--trusted)"
        ) from error


def _swept(network: Any, document: Mapping[str, Any]) -> SweptCircuit:
    """Return a netlist or a network as what is swept, with the parts that a document has."""
    if isinstance(network, Netlist):
        for key in ("device", "cost"):
            if document.get(key):
                raise SweepError(
                    f"`{key}` is of a network with a model, but the sweep is of a netlist"
                )
        return SweptNetlist.of(_changed(network, document), tuple(document["outputs"]))
    for key in ("elements", "models", "outputs"):
        if document.get(key):
            raise SweepError(f"`{key}` is of a netlist, but the sweep is of a network with a model")
    from .swept_networks import SweptNetwork

    return SweptNetwork.of(network, document.get("cost", {}), document.get("device", {}))


def _call_factory(name: str, arguments: Any, folder: Path, trusted: bool) -> Any:
    """Return what a factory, as module:function, returns. Its folder is searched first."""
    if not trusted:
        raise SweepError(
            f"the network is made by {name!r}, whose code would run: "
            "say that the sweep is trusted (--trusted)"
        )
    module, colon, function = name.partition(":")
    if not colon or not function:
        raise SweepError(f"`network.factory` must be module:function, but is {name!r}")
    sys.path.insert(0, str(folder.resolve()))
    try:
        return getattr(importlib.import_module(module), function)(**arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise SweepError(f"the factory {name!r} cannot be called: {error}") from error
    finally:
        sys.path.remove(str(folder.resolve()))


def _changed(netlist: Netlist, document: Mapping[str, Any]) -> Netlist:
    """Return a netlist with the fields of elements and models that a document has."""
    by_name = {
        element.letter.lower() + element.name.lower(): element for element in netlist.elements
    }
    elements: list[Element] = []
    for name, changes in document.get("elements", {}).items():
        require_known(name.lower(), by_name, "the netlist")
        elements.append(_with_fields(by_name[name.lower()], changes, name))
    if elements:
        netlist = netlist.with_elements(*elements)

    models = {model.name.lower(): model for model in netlist.models}
    changed: dict[Any, Any] = {}
    for name, changes in document.get("models", {}).items():
        require_known(name.lower(), models, "the netlist")
        model = models[name.lower()]
        changed[model] = _with_fields(model, changes, name)
    if changed:
        devices = (*netlist.of(Diode), *netlist.of(Mosfet))
        netlist = netlist.with_elements(
            *(replace(device, model=changed.get(device.model, device.model)) for device in devices)
        )
    return netlist


def _with_fields(thing: Any, changes: Any, name: str) -> Any:
    """Return an element or a model with some of its numbers changed."""
    if not isinstance(changes, Mapping):
        raise SweepError(
            f"what changes in {name!r} must be a table of its fields, but is {shortened(changes)}"
        )
    known = [
        field.name for field in fields(thing) if isinstance(getattr(thing, field.name), float | int)
    ]
    for field, value in changes.items():
        require_known(field, known, repr(name))
        Number().require(f"{name}.{field}", value)
    return replace(thing, **{field: float(value) for field, value in changes.items()})


def samples(
    document: Mapping[str, Any], declaration: Declaration, circuit: SweptCircuit, *, trusted: bool
) -> Samples:
    """Return the samples of a point.

    **Arguments:**

    - `document`: of the point.
    - `declaration`: of the sweep, which says where paths start and may lead.
    - `circuit`: of the point.
    - `trusted`: whether a path may leave the declaration's folder.

    **Raises** `SweepError` for data that cannot be, `OSError` where a file cannot be read.
    """
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
    if not named and not circuit.has_net:
        return Samples({})
    if named not in ([["x"], ["file"]] if circuit.has_net else [["drives"], ["file"]]):
        kind = "network must have name, file or x"
        raise SweepError(
            f"`data` of a {kind if circuit.has_net else 'netlist must have drives or file'}"
        )

    columns: Any = dict(data)
    if named == ["file"]:
        name = data["file"]
        content = _content(name, "data.file", declaration, trusted=trusted, most=MAX_DATA)
        columns = _columns(Path(name).name, content)
    elif named == ["drives"]:
        columns = data["drives"]
    return _labelled(columns, "y" if circuit.has_net else "label")


def _labelled(columns: Any, label: str) -> Samples:
    """Return samples whose labels are one of the columns. Raises `SweepError`."""
    if not isinstance(columns, Mapping):
        raise SweepError(f"`data` must hold tables of numbers, but holds {shortened(columns)}")
    values = {name: _numbers(name, column) for name, column in columns.items()}
    labels = values.pop(label, None)
    lengths = {name: len(column) for name, column in values.items()}
    if labels is not None:
        lengths[label] = len(labels)
    if len(set(lengths.values())) > 1:
        raise SweepError(f"the columns of `data` must be equally long, but are {lengths}")
    if labels is not None and labels.ndim == 1:
        whole = (labels == np.round(labels)) & (np.abs(labels) <= MAX_LABEL)
        if not np.all(whole):
            raise SweepError(
                f"`data.{label}` must hold classes, whole numbers of at most {MAX_LABEL}, "
                f"but holds {labels[~whole][0]:g}"
            )
        labels = labels.astype(int)
    return Samples(values, labels)


def _numbers(name: str, column: Any) -> np.ndarray:
    """Return a column of data as an array of floats. Raises `SweepError` for anything else."""
    try:
        array = np.atleast_1d(np.asarray(column))
        if array.dtype.kind in "iuf":
            return array.astype(float)
    except ValueError:  # rows that are not equally long
        pass
    raise SweepError(f"`data` must hold numbers, but {name!r} holds {shortened(column)}")


def _columns(name: str, content: bytes) -> Mapping[str, Any]:
    """Return the columns of a CSV file, whose first row has names, or the arrays of an NPZ file."""
    if name.endswith(".npz"):
        try:
            return read_arrays(content, most=MAX_DATA)
        except ValueError as error:
            raise SweepError(f"{name} is no data for a sweep: {error}") from error
    if not name.endswith(".csv"):
        raise SweepError(f"`data.file` must be a CSV or an NPZ file, but is {name!r}")
    if len(content) > MAX_TABLE:
        raise SweepError(f"{name} must have at most {MAX_TABLE} bytes, but has {len(content)}")
    try:
        return _table(content)
    except (ValueError, csv.Error) as error:
        raise SweepError(
            f"{name} must hold a number in every cell below its names, but: {error}"
        ) from error


def _table(content: bytes) -> dict[str, np.ndarray]:
    """Return the columns of a CSV file. Raises `ValueError` or `csv.Error` for anything else."""
    head, _, body = content.partition(b"\n")
    if len(head) > MAX_NAMES or not body.strip():
        raise ValueError(f"it must be a row of at most {MAX_NAMES} bytes and rows of numbers")
    names = [name.strip() for name in next(csv.reader([head.decode()]), [])]
    if not names or not all(names) or len(set(names)) < len(names):
        raise ValueError(f"its first row must be different names, but is {shortened(names)}")
    table = np.loadtxt(io.BytesIO(body), delimiter=",", comments=None, quotechar='"', ndmin=2)
    if table.shape[1] != len(names):
        raise ValueError(f"it has {len(names)} names and {table.shape[1]} columns")
    return dict(zip(names, table.T, strict=True))


def simulator(document: Mapping[str, Any]) -> Simulator:
    """Return the simulator of a point.

    **Arguments:**

    - `document`: of the point.

    **Raises** `SweepError` for a simulator that there is not, and for settings that it does not
    have.
    """
    declared = document.get("simulator", {})
    if isinstance(declared, Simulator):
        if not is_dataclass(declared):
            raise SweepError(
                "`simulator` must be a dataclass, whose settings are in its fields, "
                f"but is {declared!r}"
            )
        return declared
    if not isinstance(declared, Mapping):
        raise SweepError(f"`simulator` must be a Simulator or a table, but is {declared!r}")
    settings = dict(declared)
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
