"""Networks in files."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import eqprop as ep
from eqprop.training.checkpoints import CheckpointError, read, write

from ..devices.base import Device

KIND = "resistive network"
_NUMBERS = ("unit", "input_gain", "capacitance", "amplification")


def save_network(net: ep.Resistive, path: str | Path) -> Path:
    """Writes a network to a file, whole or not at all, from which `load_network` makes it again; nothing in it is code.

    Raises `ValueError` for another kind of network, and for a device that is none of `circuits`, or has a field that holds no numbers.
    """
    if not isinstance(net, ep.Resistive):
        raise ValueError(f"`net` must be a Resistive network, but is a {type(net).__name__}")
    path, device = Path(path), net.device
    arrays = {f"conductances/{k}": np.asarray(g) for k, g in enumerate(net.conductances)}
    arrays |= {f"biases/{k}": np.asarray(b) for k, b in enumerate(net.biases)}
    kind = None if device is None else type(device).__name__
    if kind is not None and _devices().get(kind) is not type(device):
        raise ValueError(f"`net.device` must be a device of circuits or None, but is {kind}")
    told: dict[str, Any] = {name: getattr(net, name) for name in (*_NUMBERS, "doubled_outputs")}
    bounds = [bound if np.isfinite(bound) else None for bound in net.conductance_bounds]
    own = {}
    for field in fields(device) if device is not None else ():
        value = getattr(device, field.name)
        if isinstance(value, float | int) or (
            isinstance(value, tuple) and all(isinstance(one, float | int) for one in value)
        ):
            own[field.name] = value
        elif isinstance(value, np.ndarray | jax.Array):
            arrays[f"device/{field.name}"] = np.asarray(value)
        else:
            raise ValueError(
                f"`net.device.{field.name}` must be a number, numbers or an array, but is {value!r}"
            )
    write(
        path,
        arrays,
        {"kind": KIND, "network": told, "bounds": bounds, "device": kind, "numbers": own},
    )
    return path


def load_network(path: str | Path) -> ep.Resistive:
    """The network in a file that `save_network` wrote. Raises `CheckpointError` for any other, or one that is damaged."""
    arrays, facts = read(Path(path))
    if facts.get("kind") != KIND:
        raise CheckpointError(
            f"`path` must be a file of a network, but {path} holds {facts.get('kind', 'a training run')}"
        )
    layers = sum(name.startswith("biases/") for name in arrays)
    conductances, biases = (
        tuple(jnp.asarray(arrays[f"{kind}/{k}"]) for k in range(layers))
        for kind in ("conductances", "biases")
    )
    device = None
    if facts["device"] is not None:
        if facts["device"] not in _devices():
            raise CheckpointError(
                f"`path` must name a device of circuits, but {path} names {facts['device']!r}"
            )
        learned = {
            name.removeprefix("device/"): array
            for name, array in arrays.items()
            if name.startswith("device/")
        }
        device = _devices()[facts["device"]](**facts["numbers"], **learned)
    bounds = tuple(np.inf if bound is None else bound for bound in facts["bounds"])
    return ep.Resistive(conductances, biases, device, conductance_bounds=bounds, **facts["network"])


def _devices() -> dict[str, type[Device]]:
    """The devices of this package by the names of their classes."""

    def below(kind: type) -> Iterator[type]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return {
        kind.__name__: kind for kind in below(Device) if kind.__module__.startswith("circuits.")
    }


def stored(path: Path) -> ep.Resistive:
    """`load_network` in double precision, whatever JAX's setting is."""
    with jax.enable_x64(True):
        return load_network(path)
