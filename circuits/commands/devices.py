"""The command `circuits devices`: devices of nodes, models of elements and published devices."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from eqprop.files import write

from ..devices import Device
from ..elements.base import concrete_subclasses
from ..elements.diodes import DiodeModel
from ..elements.passive import ConductanceMatrix
from ..elements.transistors import MosfetModel
from ..memristors import MemristorModel
from ..netlist.netlist import Netlist
from ..variation import MATCHING, PRESETS

KINDS: dict[str, tuple[type, ...]] = {
    "devices of hidden nodes": tuple(concrete_subclasses(Device).values()),
    "models of elements": (DiodeModel, MosfetModel),
    "memristors (circuits.memristors)": tuple(concrete_subclasses(MemristorModel).values()),
}
"""The classes that are listed, by heading."""
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
    "lowest_gap": "m",
    "highest_gap": "m",
    "speed": "m/s",
    "generation": "eV",
    "recombination": "eV",
    "spacing": "m",
    "ambient": "K",
    "thermal_resistance": "K/W",
}
"""The units of parameters that have one."""


def devices(say: Callable[[str], None], plot: str | Path | None = None) -> None:
    """List the devices, their parameters with units and defaults, and published ones with sources.

    **Arguments:**

    - `say`: prints a line.
    - `plot`: a file for a figure of the published devices' errors, PNG or SVG; none by default.

    **Raises** `ValueError` for a file that cannot be written.
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

        figure = draw({name: spread(name) for name in PRESETS}).figure
        write(plot, lambda fresh: figure.savefig(fresh, dpi=150))


def spread(name: str, levels: int = 25, chips: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and the standard deviation of what is programmed, drawn at random.

    **Arguments:**

    - `name`: of the published device.
    - `levels`: the number of targets, from the lowest to the highest conductance.
    - `chips`: the number of devices for each target.

    **Returns** two arrays (levels,) in units of the highest conductance.
    """
    preset = PRESETS[name]()
    targets = np.linspace(max(preset.lowest, preset.highest / levels), preset.highest, levels)
    rows, columns = tuple(f"a{i}" for i in range(chips)), tuple(f"b{j}" for j in range(levels))
    matrix: Any = ConductanceMatrix("g1", rows, columns, np.tile(targets, (chips, 1)))
    chip = preset.variation.chip(Netlist("Devices", (matrix,)), seed=0, number=0)
    (programmed,) = chip.of(ConductanceMatrix)
    return targets / preset.highest, programmed.siemens.std(0) / preset.highest


def _parameter(field: Any) -> str:
    """Return the name of a parameter with its unit and default."""
    unit = f" in {UNITS[field.name]}" if field.name in UNITS else ""
    default = "" if field.default is MISSING else f" = {field.default}"
    return f"{field.name}{unit}{default}"


def _first_line(thing: Any) -> str:
    """Return the first line of a docstring, without the verb of a function's."""
    line = (inspect.getdoc(thing) or "").splitlines()[0].removeprefix("Return ")
    return line[:1].upper() + line[1:]
