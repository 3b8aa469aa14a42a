"""Networks in files."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

import eqprop as ep
from eqprop.training.checkpoints import CheckpointError, decode, read, write

from ..devices.base import Device
from ..elements.base import concrete_subclasses

KIND = "resistive network"


class _Numbers(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a network that are plain numbers, and whether its outputs are doubled."""

    unit: float
    input_gain: float
    capacitance: float
    amplification: float
    doubled_outputs: bool


class _Record(msgspec.Struct):
    """What a file says besides its arrays; a bound that is infinite is `None`."""

    kind: str
    network: _Numbers
    bounds: tuple[float | None, float | None]
    device: str | None
    numbers: dict[str, float | tuple[float, ...]]


def save_network(net: ep.Resistive, path: str | Path) -> Path:
    """Write a network to a file, whole or not at all; nothing in it is code.

    `load_network` makes it again.

    **Arguments:** `net`: its device must be one of `circuits`, or None. `path`: of the file.

    **Returns** the path.

    **Raises** `ValueError` for another kind of network, and for a device that is none of
    `circuits`, or has a field that holds no numbers.
    """
    if not isinstance(net, ep.Resistive):
        raise ValueError(f"`net` must be a Resistive network, but is a {type(net).__name__}")
    device = net.device
    kind = None if device is None else type(device).__name__
    if kind is not None and concrete_subclasses(Device).get(kind) is not type(device):
        raise ValueError(f"`net.device` must be a device of circuits or None, but is {kind}")
    numbers, device_arrays = _device_fields(device)
    arrays = {f"conductances/{k}": np.asarray(g) for k, g in enumerate(net.conductances)}
    arrays |= {f"biases/{k}": np.asarray(b) for k, b in enumerate(net.biases)}
    arrays |= {f"device/{name}": array for name, array in device_arrays.items()}
    record = {
        "kind": KIND,
        "network": {name: getattr(net, name) for name in _Numbers.__struct_fields__},
        "bounds": [bound if np.isfinite(bound) else None for bound in net.conductance_bounds],
        "device": kind,
        "numbers": numbers,
    }
    write(Path(path), arrays, record)
    return Path(path)


def _device_fields(device: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a device's fields by name: those of numbers, and those of arrays.

    **Raises** `ValueError` for a field of anything else.
    """
    numbers, arrays = {}, {}
    for field in fields(device) if device is not None else ():
        value = getattr(device, field.name)
        parts = value if isinstance(value, tuple) else (value,)
        if all(isinstance(part, float | int) for part in parts):
            numbers[field.name] = value
        elif isinstance(value, np.ndarray | jax.Array):
            arrays[field.name] = np.asarray(value)
        else:
            raise ValueError(
                f"`net.device.{field.name}` must be a number, numbers or an array, but is {value!r}"
            )
    return numbers, arrays


def load_network(path: str | Path) -> ep.Resistive:
    """Return the network in a file that `save_network` wrote.

    **Arguments:** `path`: of the file.

    **Raises** `CheckpointError` for any other file, and for one that is damaged.
    """
    path = Path(path)
    return _network(path, *read(path, dict))


def _network(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> ep.Resistive:
    """Return the network of which a file holds arrays and facts. Raises as `load_network`."""
    kind = facts.get("kind", "a training run")
    if kind != KIND:
        raise CheckpointError(f"`path` must be a file of a network, but {path} holds {kind}")
    try:
        record = msgspec.convert(facts, _Record)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} must say what a network does, but: {error}") from error
    parts = [name.rpartition("/") for name in arrays]
    count = sum(folder == "biases" for folder, _, _ in parts)
    expected = {f"{name}/{k}" for name in ("conductances", "biases") for k in range(count)}
    if {name for name in arrays if not name.startswith("device/")} != expected:
        raise CheckpointError(
            f"`path` must hold conductances and biases of each layer, but {path} holds "
            f"{sorted(arrays)}"
        )
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.all(np.isfinite(array)):
            raise CheckpointError(f"{name!r} of {path} must hold finite numbers, but does not")
    devices: dict[str, Any] = concrete_subclasses(Device)  # pyright: ignore[reportAssignmentType]
    if record.device is not None and record.device not in devices:
        raise CheckpointError(
            f"`path` must name a device of circuits, but {path} names {record.device!r}"
        )

    conductances, biases = (
        tuple(jnp.asarray(arrays[f"{name}/{k}"]) for k in range(count))
        for name in ("conductances", "biases")
    )
    learned = {name: arrays[f"device/{name}"] for folder, _, name in parts if folder == "device"}
    bounds = tuple(np.inf if bound is None else bound for bound in record.bounds)
    try:
        device: Any = None
        if record.device is not None:
            device = devices[record.device](**record.numbers, **learned)
            given, had = {*record.numbers, *learned}, {field.name for field in fields(device)}
            if given != had:
                raise ValueError(f"its device must have {sorted(had)}, but has {sorted(given)}")
            for bias in biases[:-1]:
                jnp.broadcast_to(device.current(bias), bias.shape)
        return ep.Resistive(
            conductances,
            biases,
            device,
            conductance_bounds=bounds,
            **msgspec.structs.asdict(record.network),
        )
    except (TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} must hold a network, but: {error}") from error


def stored(content: bytes, path: Path) -> ep.Resistive:
    """Return what `load_network` does in double precision, whatever JAX's setting is.

    **Arguments:** `content`: of the file. `path`: what errors call it.
    """
    with jax.enable_x64(True):
        return _network(path, *decode(content, path, dict))
