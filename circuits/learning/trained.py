"""The demo's networks: how they are trained, and where they are kept."""

import contextlib
import hashlib
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

import eqprop as ep

from ..devices.diodes import DiodePair
from ..devices.ideal import IdealDiodes
from .saved import load_network, save_network

SIZES = (64, 100, 10)
"""Inputs, hidden nodes and outputs."""
UNIT = 1e-5
"""The networks' unit conductance, in S."""


@dataclass(frozen=True)
class Setting:
    """One of the networks that the demo trains, and how.

    - `device`: at its hidden nodes. `input_gain`: in V.
    - `cost`: of its outputs. `beta`: of the centred nudge, in units. `method`: settles its phases.
    - `rates`: of learning, by pattern; times `decay` each epoch. `epochs`: of training.
    """

    device: IdealDiodes | DiodePair
    input_gain: float
    cost: ep.SquaredError
    beta: float
    rates: dict[str, float]
    decay: float
    epochs: int
    method: ep.FixedSweeps


IDEAL = Setting(
    IdealDiodes(),
    20.0,
    ep.SquaredError(on=1.0),
    1.0,
    {"conductances*": 0.02},
    0.95,
    50,
    ep.FixedSweeps(n=4),
)

SHOCKLEY = Setting(
    DiodePair(saturation=1e-9, bias=0.1),
    8.0,
    ep.SquaredError(on=0.2),
    0.5,
    {"conductances*": 0.2},
    0.96,
    40,
    ep.FixedSweeps(n=6),
)


def train_one(
    index: int,
    setting: Setting,
    data: ep.data.Data,
    seed: int,
    hidden: int = SIZES[1],
    **shown: Any,
) -> ep.Fit:
    """Train the network of a setting.

    **Arguments:** `index`: which of the demo's networks it is. `data`: the images. `seed`: of the
    first conductances and of the order of images. `hidden`: its number of hidden nodes. `shown`:
    where and how progress is shown, as of `ep.fit`.

    **Returns** and **raises** what `ep.fit` does.
    """
    init_key, order_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), index))
    sizes = (SIZES[0], hidden, SIZES[2])
    net = ep.Resistive.init(
        init_key, sizes, device=setting.device, unit=UNIT, input_gain=setting.input_gain
    )
    return ep.fit(
        net,
        setting.cost,
        data,
        ep.EqProp.centred(setting.beta, setting.method),
        rates=setting.rates,
        decay=setting.decay,
        epochs=setting.epochs,
        key=order_key,
        **shown,
    )


def trained(
    name: str, hidden: int | None, seed: int, cache: Path, console: Console | None = None
) -> tuple[ep.Resistive, ep.SquaredError]:
    """Return the demo's trained network of Shockley diodes, and its cost.

    All are trained on the same images, those of seed 0, so that a test image is one for all of
    them. Where several processes train the same network, all take what the first has kept.

    **Arguments:**

    - `name`: must be `digits`. `hidden`: its number of hidden nodes; the demo's if not given.
    - `seed`: from which it is trained. `cache`: the folder in which it is kept.
    - `console`: where training shows how far it is.

    **Raises** `ValueError` for another name, and what training raises.
    """
    hidden = SIZES[1] if hidden is None else hidden
    if name != "digits" or not isinstance(hidden, int) or hidden < 1 or not isinstance(seed, int):
        raise ValueError(
            "a trained network must be of 'digits', with whole numbers for the rest, "
            f"but is {name!r}, {hidden!r}, {seed!r}"
        )
    identity = f"{name} {hidden} {seed} {version('eqprop-circuits')} jax-{jax.__version__}"
    path = cache / f"{hashlib.sha256(identity.encode()).hexdigest()}.npz"
    if not path.exists():
        with jax.enable_x64(True):
            shown = {"console": console, "name": f"training {name}, {hidden} hidden nodes"}
            net = train_one(1, SHOCKLEY, ep.data.digits(), seed, hidden, **shown).net
        cache.mkdir(parents=True, exist_ok=True)
        # A link to a whole file fails where another process has kept the network already.
        with tempfile.TemporaryDirectory(dir=cache) as folder, contextlib.suppress(FileExistsError):
            path.hardlink_to(save_network(net, Path(folder) / path.name))
    with jax.enable_x64(True):
        return load_network(path), SHOCKLEY.cost


def digits(count: int | None, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs `x` (samples, pixels) and classes (samples,) of test images of the digits.

    **Arguments:** `count`: how many, drawn with `seed`; all of them if None.

    **Raises** `ValueError` for a count that there is not.
    """
    test = ep.data.digits().test
    if count is None:
        return {"x": test.x}, test.y
    if not (isinstance(count, int) and 1 <= count <= len(test)):
        raise ValueError(f"`count` must be a whole number from 1 to {len(test)}, but is {count!r}")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(test))[:count])
    return {"x": test.x[drawn]}, test.y[drawn]
