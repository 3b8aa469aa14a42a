"""Networks on imperfect chips: moved there, and trained there by equilibrium propagation, many chips at once."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

import eqprop as ep

from ..elements.passive import ConductanceMatrix
from ..variation import (
    Bounds,
    Levels,
    OfConductances,
    Preset,
    Programming,
    ProgrammingNoise,
    ReadNoise,
    StepNoise,
    Temperature,
    Variation,
)
from ..variation.base import Composed, Part, check_pattern

Layers = tuple[Float[Array, "chips before layer"], ...]
TABLE = 257
"""Points at which laws of the conductance are tabulated, from 0 to the device's highest."""


def on_chip(
    net: ep.Resistive, variation: Variation, *, seed: int, number: int, cycle: int = 0
) -> ep.Resistive:
    """The model of chip `number`: its conductances, and its temperature, are those of `variation.chip(emit(net), …)`.

    **Raises** `ValueError` for variations of what the model does not have, as wires, which are in the chip's netlist alone, and for a
    pattern that matches no layer.
    """
    for part in variation.parts():
        if isinstance(part, Temperature):
            if net.device is not None and hasattr(net.device, "junction"):
                net = eqx.tree_at(
                    lambda n: n.device, net, replace(net.device, temperature=part.kelvin)
                )
        elif isinstance(part, OfConductances):
            names = [f"g{k + 1}" for k in range(len(net.conductances))]
            check_pattern(
                part,
                any(fnmatch.fnmatchcase(f"R{name}", part.of) for name in names),
                [f"R{name}" for name in names],
            )
            layers = zip(names, net.conductances, strict=True)
            varied = [
                _vary(part, name, np.asarray(g) * net.unit, seed, number, cycle)
                for name, g in layers
            ]
            net = eqx.tree_at(
                lambda n: n.conductances, net, tuple(jnp.asarray(g / net.unit) for g in varied)
            )
        else:
            raise ValueError(
                f"`variation` must be of conductances or of the temperature for a model, but has {part}: vary its netlist"
            )
    return net


def _vary(
    part: OfConductances, name: str, siemens: np.ndarray, seed: int, number: int, cycle: int
) -> Any:
    rows, columns = ((letter,) * n for letter, n in zip("ab", siemens.shape, strict=True))
    element: Any = ConductanceMatrix(name, rows, columns, siemens)
    made: Any = (
        part.vary(element, part.random(element, seed, number, cycle))
        if part.concerns(element)
        else element
    )
    return made.siemens


@dataclass(frozen=True)
class Chips:
    """Many chips of one network: `conductances` as programmed, and how each device answers to an update, all (chips, before, layer).

    In units of the network's unit. `gain`: what a device makes of an update, 0 for one that is stuck. `lowest`, `highest`: its bounds.
    `error`, `noise`: deviations of a whole programming and of a reading, tabulated from 0 to the full range, `full`, in units of it;
    None where there are none.
    """

    conductances: Layers
    gain: Layers
    lowest: Layers
    highest: Layers
    full: float
    error: Float[np.ndarray, " table"] | None
    noise: Float[np.ndarray, " table"] | None

    @classmethod
    def program(cls, net: ep.Resistive, preset: Preset, *, seed: int, chips: int) -> "Chips":
        """`net` programmed into `chips` chips of a device, as `on_chip` has each.

        The answer of a device is taken from the variations that it keeps: its bounds are what it makes of the lowest and the highest
        conductance, its gain the slope between a quarter and three quarters of the range, without bounds of its own and levels.
        """
        kept = tuple(part for part in preset.variation.parts() if not part.anew)
        sloping = tuple(part for part in kept if not isinstance(part, Bounds | Levels))
        full, low = preset.highest / net.unit, preset.lowest / net.unit

        def answers(level: float | None, parts: tuple[Part, ...]) -> Layers:
            asked = net if level is None else _at(net, level)
            found = [
                on_chip(asked, Composed(parts), seed=seed, number=number).conductances
                for number in range(chips)
            ]
            return tuple(jnp.stack(layer) for layer in zip(*found, strict=True))

        quarter, rest = (
            answers(low + (full - low) / 4, sloping),
            answers(full - (full - low) / 4, sloping),
        )
        gain = tuple((b - a) / ((full - low) / 2) for a, b in zip(quarter, rest, strict=True))
        error, noise = _tables(preset)
        programmed = answers(None, preset.variation.parts())
        return cls(programmed, gain, answers(low, kept), answers(full, kept), full, error, noise)


def _at(net: ep.Resistive, level: float) -> ep.Resistive:
    return eqx.tree_at(
        lambda n: n.conductances, net, tuple(jnp.full_like(g, level) for g in net.conductances)
    )


def _tables(preset: Preset) -> tuple[np.ndarray | None, np.ndarray | None]:
    g = np.linspace(0.0, preset.highest, TABLE)
    error, noise = np.zeros(TABLE), np.zeros(TABLE)
    for part in preset.variation.parts():
        if isinstance(part, Programming | ProgrammingNoise | StepNoise):
            error = np.hypot(error, part.deviation(g) / preset.highest)
        elif isinstance(part, ReadNoise):
            noise = np.hypot(noise, part.deviation(g) / preset.highest)
    return error if error.any() else None, noise if noise.any() else None


@dataclass(frozen=True)
class Learned:
    """How networks do on chips: `dataset`, and the `chips` as they are after training.

    The dataset has `moved` and `trained` (chip), accuracies on the test set before and after the training on the chip, and `ideal`,
    that of the network on an ideal chip.
    """

    dataset: xr.Dataset
    chips: Chips

    @property
    def recovered(self) -> float:
        """The share of the accuracy lost by moving that training on the chip brings back, in the mean over chips."""
        moved, trained = float(self.dataset.moved.mean()), float(self.dataset.trained.mean())
        return (trained - moved) / (float(self.dataset.ideal) - moved)

    def __str__(self) -> str:
        data = self.dataset
        rows = [
            f"{data.attrs['preset']}, {data.chip.size} chips; ideal chip {float(data.ideal):.2%}"
        ]
        for name, says in (("moved", "trained elsewhere"), ("trained", "trained on the chip")):
            low, mean, high = (
                float(f) for f in (data[name].min(), data[name].mean(), data[name].max())
            )
            rows.append(f"{says:<20} {mean:.2%} ({low:.2%} to {high:.2%})")
        return "\n".join(rows)


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
    """A network that was trained on an ideal chip, moved to imperfect ones, and there trained on by equilibrium propagation.

    Every phase settles on a chip's own conductances as they are read in that batch, and every update passes through its own devices:

    g → clip(g + a Δ + σ(g) √(|a Δ|/full) z, lowest, highest),    Δ = −rate · gradient,    z ~ N(0, 1).

    a is the device's own gain; an update's error has that share of the variance σ²(g) of a whole programming which its size has of the
    full range, as steps that err independently have. What was programmed beyond a bound may stay there. No chip knows its own a, σ or
    bounds. All chips learn at once (`vmap`).

    **Arguments:** `net`: trained, with conductances within the device's. `rate`: of the conductances, in units as for `ep.fit`; times
    `decay` each epoch. `estimator`: of the gradients. `batch`: examples an update.

    **Raises** `ValueError` for conductances beyond the device's and a variation that a model does not have; `NotSettledError` where a
    free phase of an evaluation does not settle; `TrainingError` where a conductance is not finite.
    """
    made = Chips.program(net, preset, seed=seed, chips=chips)
    key = jax.random.key(seed)
    moved = _accuracy(net, cost, made, data.test, key)
    x, y, steps = jnp.asarray(data.train.x), jnp.asarray(data.train.y), len(data.train.y) // batch
    for epoch in range(epochs):
        now = jax.random.fold_in(key, epoch + 1)
        order = jax.random.permutation(now, len(y))[: steps * batch].reshape(steps, batch)
        found = _epoch(
            net,
            cost,
            estimator,
            _arrays(made),
            x[order],
            y[order],
            jnp.asarray(rate * decay**epoch),
            now,
        )
        if not all(bool(jnp.isfinite(g).all()) for g in found):
            raise ep.TrainingError(
                f"the conductances of every chip must be finite, but are not after epoch {epoch}"
            )
        made = replace(made, conductances=found)
    trained = _accuracy(net, cost, made, data.test, key)
    ideal = ep.evaluate(net, cost, data.test).accuracy
    accuracies = {"moved": ("chip", moved), "trained": ("chip", trained), "ideal": ((), ideal)}
    attributes = {"preset": preset.name, "seed": seed, "epochs": epochs, "rate": rate}
    return Learned(
        xr.Dataset(accuracies, coords={"chip": np.arange(chips)}, attrs=attributes), made
    )


def accuracy_against_spread(
    net: ep.Resistive,
    cost: ep.SquaredError,
    data: ep.data.Data,
    preset: Preset,
    factors: Sequence[float],
    **options: Any,
) -> xr.Dataset:
    """Accuracy on chips against spread: `learn_on_chips` with `preset.times(factor)` for each of `factors`, with its `options`.

    **Returns** `moved` and `trained` (spread, chip), accuracies before and after training on the chip, over `spread`, in units of the
    device's own, and `ideal`. The seed being the same, chip k draws the same numbers at every spread. Raises as `learn_on_chips`, and
    `ValueError` for factors that a device cannot have.
    """
    found = [
        learn_on_chips(net, cost, data, preset.times(factor), **options).dataset
        for factor in factors
    ]
    joined = xr.concat(
        found,
        xr.DataArray(np.array(factors, float), dims="spread", name="spread"),
        data_vars=["moved", "trained"],
    )
    return joined.assign_attrs(found[0].attrs, preset=preset.name)


def _arrays(made: Chips) -> dict[str, Any]:
    return {
        name: getattr(made, name)
        for name in ("conductances", "gain", "lowest", "highest", "full", "error", "noise")
    }


def _with(net: ep.Resistive, conductances: tuple[Array, ...]) -> ep.Resistive:
    return eqx.tree_at(lambda n: n.conductances, net, conductances)


def _look_up(table: Array, g: Array, full: float) -> Array:
    """The table between its evenly spaced points, and beyond them its ends."""
    place, values = jnp.clip(g / full, 0.0, 1.0) * (TABLE - 1), full * jnp.asarray(table, g.dtype)
    left = jnp.minimum(place.astype(jnp.int32), TABLE - 2)
    return values[left] + (place - left) * (values[left + 1] - values[left])


def _normal(key: Array, like: Array) -> Array:
    """Standard normal numbers of that shape; of single precision, which is enough of them and takes half the time."""
    return jax.random.normal(key, like.shape, jnp.float32).astype(like.dtype)


def _as_read(
    conductances: tuple[Array, ...], noise: Any, full: float, key: Array
) -> tuple[Array, ...]:
    """Conductances with the noise of one reading."""
    if noise is None:
        return conductances
    keys = jax.random.split(key, len(conductances))
    return tuple(
        jnp.maximum(g + _look_up(noise, g, full) * _normal(k, g), 0.0)
        for g, k in zip(conductances, keys, strict=True)
    )


@eqx.filter_jit
def _epoch(net, cost, estimator, made, xs, ys, rate, key) -> Layers:
    """Updates by batches (steps, batch, …) of all chips at once; their conductances after the last."""
    chips, full = made["conductances"][0].shape[0], made["full"]

    def update(conductances, own, x, y, key):
        gain, lowest, highest = own
        read, *keys = jax.random.split(key, 1 + len(gain))
        seen = _as_read(conductances, made["noise"], full, read)
        grad = estimator.estimate(_with(net, seen), cost, x, y, None).grad.conductances
        following = []
        for g, a, low, high, slope, k in zip(
            conductances, gain, lowest, highest, grad, keys, strict=True
        ):
            move = -rate.astype(g.dtype) * a * slope
            if made["error"] is not None:
                wrong = _look_up(made["error"], g, full) * jnp.sqrt(jnp.abs(move) / full)
                move += wrong * _normal(k, g)
            following.append(jnp.clip(g + move, jnp.minimum(low, g), jnp.maximum(high, g)))
        return tuple(following)

    def step(conductances, given):
        x, y, number = given
        keys = jax.random.split(jax.random.fold_in(key, number), chips)
        own = made["gain"], made["lowest"], made["highest"]
        return jax.vmap(update, in_axes=(0, 0, None, None, 0))(conductances, own, x, y, keys), None

    return jax.lax.scan(step, made["conductances"], (xs, ys, jnp.arange(len(xs))))[0]


def _accuracy(
    net: ep.Resistive, cost: ep.SquaredError, made: Chips, test: ep.data.Split, key: Array
) -> np.ndarray:
    """The share of right decisions (chips,), each chip read once. Raises `NotSettledError`."""
    found = []
    for number in range(made.conductances[0].shape[0]):
        own = tuple(g[number] for g in made.conductances)
        seen = _as_read(own, made.noise, made.full, jax.random.fold_in(key, number))
        found.append(ep.evaluate(_with(net, seen), cost, test).accuracy)
    return np.array(found)
