"""Networks in files, and the demo's network and images by name: what a sweep takes from `eqprop`."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import eqprop as ep
from eqprop.training.checkpoints import CheckpointError, read, write

from ..devices import Device
from .demo import SHOCKLEY, SIZES, train_one

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
        if isinstance(value, float | int) or (isinstance(value, tuple) and all(isinstance(one, float | int) for one in value)):
            own[field.name] = value
        elif isinstance(value, np.ndarray | jax.Array):
            arrays[f"device/{field.name}"] = np.asarray(value)
        else:
            raise ValueError(f"`net.device.{field.name}` must be a number, numbers or an array, but is {value!r}")
    write(path, arrays, {"kind": KIND, "network": told, "bounds": bounds, "device": kind, "numbers": own})
    return path


def load_network(path: str | Path) -> ep.Resistive:
    """The network in a file that `save_network` wrote. Raises `CheckpointError` for any other, or one that is damaged."""
    arrays, facts = read(Path(path))
    if facts.get("kind") != KIND:
        raise CheckpointError(f"`path` must be a file of a network, but {path} holds {facts.get('kind', 'a training run')}")
    layers = sum(name.startswith("biases/") for name in arrays)
    conductances, biases = (tuple(jnp.asarray(arrays[f"{kind}/{k}"]) for k in range(layers)) for kind in ("conductances", "biases"))
    device = None
    if facts["device"] is not None:
        if facts["device"] not in _devices():
            raise CheckpointError(f"`path` must name a device of circuits, but {path} names {facts['device']!r}")
        learned = {name.removeprefix("device/"): array for name, array in arrays.items() if name.startswith("device/")}
        device = _devices()[facts["device"]](**facts["numbers"], **learned)
    bounds = tuple(np.inf if bound is None else bound for bound in facts["bounds"])
    return ep.Resistive(conductances, biases, device, conductance_bounds=bounds, **facts["network"])


def _devices() -> dict[str, type[Device]]:
    """The devices of this package by the names of their classes."""

    def below(kind: type) -> Iterator[type]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return {kind.__name__: kind for kind in below(Device) if kind.__module__.startswith("circuits.")}


def stored(path: Path) -> ep.Resistive:
    """`load_network` in double precision, whatever JAX's setting is."""
    with jax.enable_x64(True):
        return load_network(path)


def trained(
    name: str, hidden: int | None, seed: int, cache: Path, console: Console | None = None
) -> tuple[ep.Resistive, ep.SquaredError]:
    """The demo's Shockley network for `digits`, with `hidden` nodes, trained from `seed`, and its cost; kept in the folder `cache`.

    All are trained on the same images, those of seed 0, so that a test image is one for all of them. Where several processes train the
    same network, all take what the first has kept. `console`: where training shows how far it is. Raises `ValueError` for another name,
    and what training raises.
    """
    hidden = SIZES[1] if hidden is None else hidden
    if name != "digits" or not isinstance(hidden, int) or hidden < 1 or not isinstance(seed, int):
        raise ValueError(
            f"a trained network must be of 'digits', with whole numbers for the rest, but is {name!r}, {hidden!r}, {seed!r}"
        )
    told = f"{name} {hidden} {seed} {version('eqprop-circuits')} jax-{jax.__version__}"
    path = cache / f"{hashlib.sha256(told.encode()).hexdigest()}.npz"
    if not path.exists():
        with jax.enable_x64(True):
            shown = {"console": console, "name": f"training {name}, {hidden} hidden nodes"}
            net = train_one(1, SHOCKLEY, ep.data.digits(), seed, hidden, **shown).net
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as own, contextlib.suppress(FileExistsError):
            path.hardlink_to(save_network(net, Path(own) / path.name))
    return stored(path), SHOCKLEY.cost


def digits(count: int | None, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs `x` and classes of test images of the digits, all of them, or `count` that are drawn with `seed`.

    Raises `ValueError` for a count that there is not.
    """
    test = ep.data.digits().test
    if count is None:
        return {"x": test.x}, test.y
    if not (isinstance(count, int) and 1 <= count <= len(test)):
        raise ValueError(f"`count` must be a whole number from 1 to {len(test)}, but is {count!r}")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(test))[:count])
    return {"x": test.x[drawn]}, test.y[drawn]
