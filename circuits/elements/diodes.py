"""Diodes: the law of a junction, and the element."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..units import GMIN, ROOM, THERMAL_VOLTAGE, Array, number
from .base import Element, check_name, check_names, check_value


@dataclass(frozen=True)
class DiodeModel:
    """ngspice's law of a diode without series resistance.

    i(v) = area · Is (exp(v/(N Vt)) − 1) + gmin v                 for v ≥ −3 N Vt,
    i(v) = −area · Is (1 + (3 N Vt/(e v))³) + gmin v              below (e = 2.718…).

    with Vt = kT/q at 300.15 K; `at` another temperature both Is and Vt change. The second line is ngspice's own (dioload.c), for
    `reverse` = 1; it differs from Shockley's law by at most 0.05 Is. The junctions of its transistors have 0 for the cube.

    **Arguments:** `saturation`: Is in A. `emission`: N. `gmin`: in S; not scaled by the area. `name`: of its `.model` card. `bandgap`:
    EG in eV and `exponent`: XTI, which say what temperature does to Is. `reverse`: the weight of the cube. `flicker`,
    `flicker_exponent`: KF and AF of its noise KF |i|^AF/f in A²/Hz, one-sided. Raises `ValueError` where a number is not finite, or Is
    or N not above 0, or gmin or KF below 0.
    """

    saturation: float
    emission: float = 1.0
    gmin: float = GMIN
    name: str = "junction"
    bandgap: float = 1.11
    exponent: float = 3.0
    reverse: float = 1.0
    flicker: float = 0.0
    flicker_exponent: float = 1.0

    def __post_init__(self):
        check_name(self.name)
        for field in ("bandgap", "exponent", "flicker", "flicker_exponent"):
            value = getattr(self, field)
            if not (math.isfinite(value) and (field != "flicker" or value >= 0)):
                raise ValueError(
                    f"`{field}` must be finite{' and at least 0' if field == 'flicker' else ''}, but is {value}"
                )
        for field in ("saturation", "emission", "gmin"):
            value = getattr(self, field)
            try:
                value = np.asarray(value, float)
            except TypeError:  # a JAX tracer has no value
                continue
            if not (
                np.all(np.isfinite(value)) and np.all(value >= 0 if field == "gmin" else value > 0)
            ):
                raise ValueError(
                    f"`{field}` must be finite and {'at least' if field == 'gmin' else 'above'} 0, but is {value}"
                )

    def at(self, kelvin: float) -> "DiodeModel":
        """The junction that at 300.15 K has the law that this one has at a temperature in K.

        Is is multiplied by exp((T/T0 − 1) EG/(N Vt) + (XTI/N) ln(T/T0)), Vt being that at T, and N by T/T0 (ngspice's diotemp.c).
        """
        if kelvin == ROOM:
            return self
        ratio = kelvin / ROOM
        growth = (ratio - 1) * self.bandgap / (
            self.scale * ratio
        ) + self.exponent / self.emission * math.log(ratio)
        return replace(
            self, saturation=self.saturation * math.e**growth, emission=self.emission * ratio
        )

    def current(self, v: Array, area: Array = 1.0) -> Array:
        """i(v) in A, elementwise."""
        xp, below, forward, ratio = self._regions(v)
        return (
            area
            * self.saturation
            * xp.where(below, -1 - self.reverse * ratio**3, xp.exp(forward / self.scale) - 1)
            + self.gmin * v
        )

    def conductance(self, v: Array, area: Array = 1.0) -> Array:
        """di/dv in S, elementwise."""
        xp, below, forward, ratio = self._regions(v)
        reverse = self.reverse * math.e * ratio**4  # of Is / (N Vt)
        return (
            area
            * self.saturation
            / self.scale
            * xp.where(below, reverse, xp.exp(forward / self.scale))
            + self.gmin
        )

    def cocontent(self, v: Array, area: Array = 1.0) -> Array:
        """∫₀ᵛ i(u) du in W, elementwise."""
        xp, below, forward, ratio = self._regions(v)
        a = 3 * self.scale / math.e
        at_knee = self.scale * (math.exp(-3) - 1) + 3 * self.scale  # of Is, as are the next two
        reverse = at_knee - (v + 3 * self.scale) + self.reverse * a * (ratio**2 - math.exp(-2)) / 2
        whole = xp.where(below, reverse, self.scale * (xp.exp(forward / self.scale) - 1) - v)
        return area * self.saturation * whole + self.gmin * v**2 / 2

    @property
    def scale(self) -> float:
        """N Vt in V."""
        return self.emission * THERMAL_VOLTAGE

    def _regions(self, v: Array) -> tuple[Any, Array, Array, Array]:
        """The namespace of `v`, whether it is below −3 N Vt, `v` held at or above that, and 3 N Vt/(e v) with v held at or below."""
        xp: Any = np if isinstance(v, float | int) else v.__array_namespace__()
        knee = -3 * self.scale
        below = v < knee
        return xp, below, xp.where(below, knee, v), (-knee / math.e) / xp.where(below, v, knee)

    def card(self) -> str:
        """Its `.model` line."""
        rest = (
            ("EG", "bandgap"),
            ("XTI", "exponent"),
            ("KF", "flicker"),
            ("AF", "flicker_exponent"),
        )
        usual = {field.name: field.default for field in fields(self)}
        more = "".join(
            f" {name}={number(getattr(self, own))}"
            for name, own in rest
            if getattr(self, own) != usual[own]
        )
        return f".model {self.name} D(IS={number(self.saturation)} N={number(self.emission)}{more})"


@dataclass(frozen=True)
class Diode(Element):
    """A diode of `model` from `anode` to `cathode`; `area` multiplies its saturation current."""

    letter = "D"
    name: str
    anode: str
    cathode: str
    model: DiodeModel
    area: float = 1.0

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "area", positive=True)

    @property
    def nodes(self):
        return (self.anode, self.cathode)

    def lines(self):
        area = "" if self.area == 1 else f" area={number(self.area)}"
        return [f"D{self.name} {self.anode} {self.cathode} {self.model.name}{area}"]
