"""Networks on imperfect chips: the model of a chip, and how the devices of many chips answer."""

import fnmatch
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
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
    """Return the network of a chip, whose circuit is `variation.chip(emit(net), …)`.

    **Arguments:**

    - `net`: the network on an ideal chip.
    - `variation`: of conductances and of the temperature.
    - `seed`, `number`: the chip. `cycle`: which programming and reading of it.

    **Raises** `ValueError` for variations of what the network does not have, as wires, which are in
    the chip's netlist alone, and for a pattern that matches no layer.
    """
    for part in variation.parts():
        if isinstance(part, Temperature):
            if net.device is not None and hasattr(net.device, "junction"):
                device = replace(net.device, temperature=part.kelvin)
                net = eqx.tree_at(lambda n: n.device, net, device)
        elif isinstance(part, OfConductances):
            net = with_conductances(net, _varied(net, part, seed, number, cycle))
        else:
            raise ValueError(
                "`variation` must be of conductances or of the temperature for a model, "
                f"but has {part}: vary its netlist"
            )
    return net


def with_conductances(net: ep.Resistive, conductances: tuple[Array, ...]) -> ep.Resistive:
    """Return the network with other conductances (before, layer), one array a layer, in units."""
    return eqx.tree_at(lambda n: n.conductances, net, conductances)


def _varied(
    net: ep.Resistive, part: OfConductances, seed: int, number: int, cycle: int
) -> tuple[Array, ...]:
    """Return a network's conductances, in units, as a variation makes them on a chip."""
    names = [f"Rg{k + 1}" for k in range(len(net.conductances))]
    matches = any(fnmatch.fnmatchcase(name, part.of) for name in names)
    check_pattern(part, matches, names)
    layers = []
    for name, conductances in zip(names, net.conductances, strict=True):
        siemens = np.asarray(conductances) * net.unit
        # The names of nodes do not count, but an element has some.
        rows, columns = ((letter,) * n for letter, n in zip("ab", siemens.shape, strict=True))
        matrix: Any = ConductanceMatrix(name.removeprefix("R"), rows, columns, siemens)
        if part.concerns(matrix):
            matrix = part.vary(matrix, part.random(matrix, seed, number, cycle))
        layers.append(jnp.asarray(matrix.siemens / net.unit))
    return tuple(layers)


@dataclass(frozen=True)
class Chips:
    """Many chips of one network, and how each of their devices answers to an update.

    All in units of the network's unit, and arrays (chips, before, layer), one a layer:

    - `conductances`: as programmed.
    - `gain`: what a device makes of an update, 0 for one that is stuck.
    - `lowest`, `highest`: its bounds.

    And of the kind of device:

    - `full`: its highest conductance, without deviations.
    - `error`, `noise`: standard deviations of a whole programming and of a reading (table,),
      tabulated from 0 to `full`, in units of it; None where there are none.
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
        """Return chips of a device into which a network is programmed, as `on_chip` has each.

        The answer of a device is taken from the variations that it keeps: its bounds are what it
        makes of the lowest and the highest conductance, its gain the slope between a quarter and
        three quarters of the range, without bounds of its own and levels.

        **Arguments:** `preset`: the device. `seed`: of all chips. `chips`: how many.

        **Raises** `ValueError` as `on_chip` does, and for conductances beyond the device's.
        """
        kept = tuple(part for part in preset.variation.parts() if not part.anew)
        sloping = tuple(part for part in kept if not isinstance(part, Bounds | Levels))
        full, low = preset.highest / net.unit, preset.lowest / net.unit

        def answers(level: float | None, parts: tuple[Part, ...]) -> Layers:
            """Return what all chips make of one conductance everywhere, or of the network's."""
            target = net
            if level is not None:
                even = tuple(jnp.full_like(g, level) for g in net.conductances)
                target = with_conductances(net, even)
            layers = [
                on_chip(target, Composed(parts), seed=seed, number=number).conductances
                for number in range(chips)
            ]
            return tuple(jnp.stack(layer) for layer in zip(*layers, strict=True))

        quarter = answers(low + (full - low) / 4, sloping)
        three_quarters = answers(full - (full - low) / 4, sloping)
        error, noise = _tables(preset)
        return cls(
            conductances=answers(None, preset.variation.parts()),
            gain=tuple(
                (upper - lower) / ((full - low) / 2)
                for lower, upper in zip(quarter, three_quarters, strict=True)
            ),
            lowest=answers(low, kept),
            highest=answers(full, kept),
            full=full,
            error=error,
            noise=noise,
        )


def _tables(preset: Preset) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return deviations of a programming and of a reading, as the fields of `Chips` have them."""
    g = np.linspace(0.0, preset.highest, TABLE)
    error, noise = np.zeros(TABLE), np.zeros(TABLE)
    for part in preset.variation.parts():
        if isinstance(part, Programming | ProgrammingNoise | StepNoise):
            error = np.hypot(error, part.deviation(g) / preset.highest)
        elif isinstance(part, ReadNoise):
            noise = np.hypot(noise, part.deviation(g) / preset.highest)
    return error if error.any() else None, noise if noise.any() else None


def look_up(table: Array, g: Array, full: float) -> Array:
    """Return deviations at conductances, in units: linear between the points of a table.

    **Arguments:** `table`: (table,), evenly spaced from 0 to `full`, in units of `full`; beyond it
    hold its ends. `g`: conductances (…) in units.
    """
    place, values = jnp.clip(g / full, 0.0, 1.0) * (TABLE - 1), full * jnp.asarray(table, g.dtype)
    left = jnp.minimum(place.astype(jnp.int32), TABLE - 2)
    return values[left] + (place - left) * (values[left + 1] - values[left])
