"""What `circuits devices` lists: the devices of a node, the models of elements, and published devices by name."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..devices.curves import Curve
from ..devices.diodes import DiodePair, SingleDiode, ZenerDiode
from ..devices.ideal import IdealDiodes, IdealPair
from ..elements.diodes import DiodeModel
from ..elements.passive import ConductanceMatrix
from ..elements.transistors import MosfetModel
from ..files import write
from ..memristors import VTEAM, IonDrift, StanfordRRAM, Yakopcic
from ..netlist.netlist import Netlist
from ..variation import MATCHING, PRESETS

KINDS: dict[str, tuple[type, ...]] = {
    "devices of hidden nodes": (IdealPair, IdealDiodes, DiodePair, SingleDiode, ZenerDiode, Curve),
    "models of elements": (DiodeModel, MosfetModel),
    "memristors (circuits.memristors)": (IonDrift, VTEAM, Yakopcic, StanfordRRAM),
}
UNITS = {
    "saturation": "A",
    "bias": "V",
    "gmin": "S",
    "temperature": "K",
    "volts": "V",
    "amperes": "A",
    "bandgap": "eV",
    "threshold": "V",
    "transconductance": "A/V^2",
    "body_effect": "V^0.5",
    "potential": "V",
    "modulation": "1/V",
    "on_ohms": "ohm",
    "off_ohms": "ohm",
    "mobility": "m^2/(V s)",
    "thickness": "m",
    "on_volts": "V",
    "off_volts": "V",
    "on_speed": "m/s",
    "off_speed": "m/s",
    "set_amperes": "A",
    "reset_amperes": "A",
    "steepness": "1/V",
    "set_volts": "V",
    "reset_volts": "V",
    "set_speed": "1/s",
    "reset_speed": "1/s",
    "gap_scale": "m",
    "least_gap": "m",
    "largest_gap": "m",
    "speed": "m/s",
    "generation": "eV",
    "recombination": "eV",
    "spacing": "m",
    "ambient": "K",
    "thermal_resistance": "K/W",
}
"""The units of parameters that have one."""


def devices(say: Callable[[str], None], plot: str | Path | None = None) -> None:
    """Says which devices there are, their parameters with units and defaults, and the sources of published ones.

    **Arguments:** `plot`: a file for a figure of the published ones' spread, PNG or SVG.
    """
    for heading, kinds in KINDS.items():
        say(f"{heading}:")
        for kind in kinds:
            say(f"  {kind.__name__}({', '.join(map(_parameter, fields(kind)))})")
            say(f"      {_first_line(kind)}")
        say("")
    say("published devices (circuits.PRESETS):")
    for name, make in PRESETS.items():
        preset = make()
        say(f"  {name:<22} {1e6 * preset.lowest:g} to {1e6 * preset.highest:g} uS; {preset.source}")
        say(f"      {_first_line(make)}")
    say("")
    say("matching of transistors (circuits.MATCHING), Pelgrom 1989:")
    for name, matching in MATCHING.items():
        say(f"  {name:<22} {1e9 * matching.volt_metres:g} mV um")
    if plot is not None:
        from ..plotting import devices as draw

        write(
            plot,
            lambda fresh: draw({name: spread(name) for name in PRESETS}).figure.savefig(
                fresh, dpi=150
            ),
        )


def spread(name: str, levels: int = 25, chips: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Targets (levels,) and the standard deviation of what they become, both in units of the highest conductance, drawn."""
    preset = PRESETS[name]()
    targets = np.linspace(max(preset.lowest, preset.highest / levels), preset.highest, levels)
    rows, columns = tuple(f"a{i}" for i in range(chips)), tuple(f"b{j}" for j in range(levels))
    matrix: Any = ConductanceMatrix("g1", rows, columns, np.tile(targets, (chips, 1)))
    (made,) = preset.variation.chip(Netlist("Devices", (matrix,)), seed=0, number=0).of(
        ConductanceMatrix
    )
    return targets / preset.highest, made.siemens.std(0) / preset.highest


def _parameter(field: Any) -> str:
    unit = f" in {UNITS[field.name]}" if field.name in UNITS else ""
    return (
        f"{field.name}{unit}"
        if field.default is MISSING
        else f"{field.name}{unit} = {field.default}"
    )


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]
