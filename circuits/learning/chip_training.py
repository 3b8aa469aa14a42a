"""Training on imperfect chips by equilibrium propagation, many chips at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

import eqprop as ep

from ..variation import Preset
from .chips import Chips, Layers, look_up, with_conductances


@dataclass(frozen=True)
class Learned:
    """How a network does on chips: `dataset`, and the `chips` as they are after training.

    The dataset has `moved` and `trained` (chip), accuracies on the test set before and after the
    training on the chip, and `ideal`, that of the network on an ideal chip.
    """

    dataset: xr.Dataset
    chips: Chips

    @property
    def recovered(self) -> float:
        """The share of the accuracy lost by moving that training brings back, the chips' mean."""
        moved, trained = float(self.dataset.moved.mean()), float(self.dataset.trained.mean())
        return (trained - moved) / (float(self.dataset.ideal) - moved)

    def __str__(self) -> str:
        data = self.dataset
        name, count, ideal = data.attrs["preset"], data.chip.size, float(data.ideal)
        lines = [f"{name}, {count} chips; ideal chip {ideal:.2%}"]
        for kind, title in (("moved", "trained elsewhere"), ("trained", "trained on the chip")):
            shares = data[kind]
            low, mean, high = (float(f) for f in (shares.min(), shares.mean(), shares.max()))
            lines.append(f"{title:<20} {mean:.2%} ({low:.2%} to {high:.2%})")
        return "\n".join(lines)


def learn_on_chips(
    net: ep.Resistive,
    cost: ep.SquaredError,
    data: ep.data.Data,
    preset: Preset,
    *,
    estimator: ep.Estimator,
    rate: float,
    epochs: int,
    chips: int = 100,
    seed: int = 0,
    batch: int = 8,
    decay: float = 1.0,
) -> Learned:
    """Move a network that was trained on an ideal chip to imperfect ones, and train it on there.

    Every phase settles on a chip's own conductances as they are read in that batch, and every
    update passes through its own devices:

    g → clip(g + a Δ + σ(g) √(|a Δ|/full) z, lowest, highest),    Δ = −rate · gradient,
    z ~ N(0, 1).

    a is the device's own gain; an update's error has that share of the variance σ²(g) of a whole
    programming which its size has of the full range, as steps that err independently have. What was
    programmed beyond a bound may stay there. No chip knows its own a, σ or bounds. All chips learn
    at once (`vmap`).

    **Arguments:**

    - `net`: trained, with conductances within the device's. `cost`: of its outputs.
    - `data`: the images; those for training are drawn anew each epoch.
    - `preset`: the device. `chips`: how many. `seed`: of the chips and of all that is drawn.
    - `estimator`: of the gradients.
    - `rate`: of the conductances, in units as for `ep.fit`; times `decay` each epoch.
    - `epochs`: of training. `batch`: examples an update.

    **Raises** `ValueError` for conductances beyond the device's and a variation that a model does
    not have; `NotSettledError` where a free phase of an evaluation does not settle; `TrainingError`
    where a conductance is not finite.
    """
    state = Chips.program(net, preset, seed=seed, chips=chips)
    key = jax.random.key(seed)
    moved = _accuracy(net, cost, state, data.test, key)
    x, y, steps = jnp.asarray(data.train.x), jnp.asarray(data.train.y), len(data.train.y) // batch
    for epoch in range(epochs):
        epoch_key = jax.random.fold_in(key, epoch + 1)
        order = jax.random.permutation(epoch_key, len(y))[: steps * batch].reshape(steps, batch)
        now = jnp.asarray(rate * decay**epoch)
        conductances = _epoch(net, cost, estimator, vars(state), x[order], y[order], now, epoch_key)
        if not all(bool(jnp.isfinite(g).all()) for g in conductances):
            raise ep.TrainingError(
                f"the conductances of every chip must be finite, but are not after epoch {epoch}"
            )
        state = replace(state, conductances=conductances)
    accuracies = {
        "moved": ("chip", moved),
        "trained": ("chip", _accuracy(net, cost, state, data.test, key)),
        "ideal": ((), ep.evaluate(net, cost, data.test).accuracy),
    }
    attributes = {"preset": preset.name, "seed": seed, "epochs": epochs, "rate": rate}
    return Learned(
        xr.Dataset(accuracies, coords={"chip": np.arange(chips)}, attrs=attributes), state
    )


def accuracy_against_spread(
    net: ep.Resistive,
    cost: ep.SquaredError,
    data: ep.data.Data,
    preset: Preset,
    factors: Sequence[float],
    **options: Any,
) -> xr.Dataset:
    """Return the accuracy on chips by how much their devices spread.

    It is `learn_on_chips` with `preset.times(factor)`; the seed being the same, chip k draws the
    same numbers at every spread.

    **Arguments:** `net`, `cost`, `data`, `preset` and `options`: as of `learn_on_chips`.
    `factors`: of the device's own spread, above 0.

    **Returns** `moved` and `trained` (spread, chip), accuracies before and after training on the
    chip, over `spread`, in units of the device's own, and `ideal`.

    **Raises** as `learn_on_chips`, and `ValueError` for factors that a device cannot have.
    """
    datasets = [
        learn_on_chips(net, cost, data, preset.times(factor), **options).dataset
        for factor in factors
    ]
    spread = xr.DataArray(np.array(factors, float), dims="spread", name="spread")
    joined: Any = xr.concat(datasets, spread, data_vars=["moved", "trained"])
    return joined.assign_attrs(datasets[0].attrs, preset=preset.name)


def _normal(key: Array, like: Array) -> Array:
    """Return standard normal numbers of a shape.

    They are of single precision, which is enough of them and takes half the time.
    """
    return jax.random.normal(key, like.shape, jnp.float32).astype(like.dtype)


def _as_read(
    conductances: tuple[Array, ...], noise: Any, full: float, key: Array
) -> tuple[Array, ...]:
    """Return conductances, in units, with the noise of one reading."""
    if noise is None:
        return conductances
    keys = jax.random.split(key, len(conductances))
    return tuple(
        jnp.maximum(g + look_up(noise, g, full) * _normal(k, g), 0.0)
        for g, k in zip(conductances, keys, strict=True)
    )


@eqx.filter_jit
def _epoch(net, cost, estimator, chips, xs, ys, rate, key) -> Layers:
    """Return the conductances of all chips after updates by batches (steps, batch, …).

    **Arguments:** `chips`: the fields of `Chips`.
    """
    count, full = chips["conductances"][0].shape[0], chips["full"]

    def update(conductances, device, x, y, key):
        gain, lowest, highest = device
        read, *keys = jax.random.split(key, 1 + len(gain))
        as_read = _as_read(conductances, chips["noise"], full, read)
        estimate = estimator.estimate(with_conductances(net, as_read), cost, x, y, None)

        updated = []
        for g, a, low, high, slope, k in zip(
            conductances, gain, lowest, highest, estimate.grad.conductances, keys, strict=True
        ):
            move = -rate.astype(g.dtype) * a * slope
            if chips["error"] is not None:
                deviation = look_up(chips["error"], g, full) * jnp.sqrt(jnp.abs(move) / full)
                move += deviation * _normal(k, g)
            updated.append(jnp.clip(g + move, jnp.minimum(low, g), jnp.maximum(high, g)))
        return tuple(updated)

    def step(conductances, batch):
        x, y, number = batch
        keys = jax.random.split(jax.random.fold_in(key, number), count)
        devices = chips["gain"], chips["lowest"], chips["highest"]
        every_chip = jax.vmap(update, in_axes=(0, 0, None, None, 0))
        return every_chip(conductances, devices, x, y, keys), None

    return jax.lax.scan(step, chips["conductances"], (xs, ys, jnp.arange(len(xs))))[0]


def _accuracy(
    net: ep.Resistive, cost: ep.SquaredError, chips: Chips, test: ep.data.Split, key: Array
) -> np.ndarray:
    """Return the share of right decisions (chips,), each chip read once.

    **Raises** `NotSettledError` where a phase does not settle.
    """
    accuracies = []
    for number in range(chips.conductances[0].shape[0]):
        conductances = tuple(g[number] for g in chips.conductances)
        chip_key = jax.random.fold_in(key, number)
        as_read = _as_read(conductances, chips.noise, chips.full, chip_key)
        accuracies.append(ep.evaluate(with_conductances(net, as_read), cost, test).accuracy)
    return np.array(accuracies)
