"""Diodes: the law of a junction, the model that a `.model` card states, and the element."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ..units import CHARGE, GMIN, ROOM, THERMAL_VOLTAGE, Array, number
from .base import Element, NoiseCurrents, Symbol, check_name, check_names, check_value
from .laws import Term, TwoTerminalLaw, namespace


@dataclass(frozen=True)
class Junction(TwoTerminalLaw):
    """The law of a junction at one temperature, as ngspice has it, without series resistance.

    i(v) = area · Is (exp(v/(N Vt)) − 1) + gmin v                 for v ≥ −3 N Vt,
    i(v) = −area · Is (1 + (3 N Vt/(e v))³) + gmin v              below (e = 2.718…),

    with Vt = kT/q at 300.15 K; at another temperature Is and N are others (`DiodeModel.at`). The
    second line is ngspice's own (dioload.c), for `reverse` = 1; it differs from Shockley's law by
    at most 0.05 Is. The junctions of its transistors have 0 for the cube.

    **Arguments:** numbers, or arrays of one for each junction.

    - `saturation`: Is in A. `emission`: N. `gmin`: in S; not scaled by the area.
    - `reverse`: the weight of the cube. `area`: what multiplies Is.
    """

    limited: ClassVar[bool] = True
    rising: ClassVar[bool] = True
    saturation: Array
    emission: Array = 1.0
    gmin: Array = GMIN
    reverse: Array = 1.0
    area: Array = 1.0

    def current(self, v):
        xp, below, forward, ratio = self._regions(v)
        exponential = xp.exp(forward / self.scale) - 1
        law = xp.where(below, -1 - self.reverse * ratio**3, exponential)
        return self.area * self.saturation * law + self.gmin * v

    def conductance(self, v):
        xp, below, forward, ratio = self._regions(v)
        reverse = self.reverse * math.e * ratio**4  # of Is / (N Vt)
        slope = xp.where(below, reverse, xp.exp(forward / self.scale))
        return self.area * self.saturation / self.scale * slope + self.gmin

    def cocontent(self, v):
        xp, below, forward, ratio = self._regions(v)
        a = 3 * self.scale / math.e
        at_knee = self.scale * (math.exp(-3) - 1) + 3 * self.scale  # of Is, as are the next two
        cube = self.reverse * a * (ratio**2 - math.exp(-2)) / 2
        reverse = at_knee - (v + 3 * self.scale) + cube
        whole = xp.where(below, reverse, self.scale * (xp.exp(forward / self.scale) - 1) - v)
        return self.area * self.saturation * whole + self.gmin * v**2 / 2

    def limit(self, wanted, last):
        """Limit a step by Nagel's pnjlim: one far into conduction becomes one of its current."""
        xp, scale, critical = namespace(wanted), self.scale, self.critical()
        ratio = 1 + (wanted - last) / scale
        rising = last + scale * xp.log(xp.where(ratio > 0, ratio, 1.0))
        rising = xp.where(ratio > 0, rising, critical)
        fresh = scale * xp.log(xp.maximum(wanted, scale) / scale)
        slowed = xp.where(last > 0, rising, fresh)
        far = (wanted > critical) & (xp.abs(wanted - last) > 2 * scale)
        return xp.where(far, slowed, wanted)

    def critical(self):
        """Return where the curve is most bent: N Vt ln(N Vt / (√2 Is)), in V."""
        xp = namespace(self.scale, self.saturation)
        return self.scale * xp.log(self.scale / (math.sqrt(2.0) * self.saturation * self.area))

    @property
    def scale(self) -> Array:
        """N Vt in V."""
        return self.emission * THERMAL_VOLTAGE

    def _regions(self, v: Array) -> tuple[Any, Array, Array, Array]:
        """Return what the formulas need: where v is below −3 N Vt, and v kept on either side.

        The namespace of `v`; whether v is below; v held at or above −3 N Vt; and 3 N Vt/(e v) with
        v held at or below it.
        """
        xp = namespace(v)
        knee = -3 * self.scale
        below = v < knee
        ratio = (-knee / math.e) / xp.where(below, v, knee)
        return xp, below, xp.where(below, knee, v), ratio


@dataclass(frozen=True)
class DiodeModel:
    """A diode's `.model` card; its law at a temperature is a `Junction`.

    **Arguments:**

    - `saturation`: Is in A, at 300.15 K. `emission`: N. `gmin`: in S, across the junction.
    - `name`: of the card.
    - `bandgap`: EG in eV and `exponent`: XTI, which say what temperature does to Is.
    - `reverse`: the weight of the cube in the `Junction`.
    - `flicker`, `flicker_exponent`: KF and AF of its noise KF |i|^AF/f in A²/Hz, one-sided.

    **Raises** `ValueError` where a number is not finite, Is or N not above 0, or gmin or KF below
    0.
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
                least = " and at least 0" if field == "flicker" else ""
                raise ValueError(f"`{field}` must be finite{least}, but is {value}")
        for field in ("saturation", "emission", "gmin"):
            check_parameter(field, getattr(self, field), strictly=field != "gmin")

    def at(self, kelvin: float = ROOM, area: float = 1.0) -> Junction:
        """Return the law of a junction of an area at a temperature in K.

        Is is multiplied by exp((T/T0 − 1) EG/(N Vt) + (XTI/N) ln(T/T0)), Vt being that at T, and N
        by T/T0, T0 = 300.15 K (ngspice's diotemp.c).
        """
        saturation, emission = self.saturation, self.emission
        if kelvin != ROOM:
            ratio = kelvin / ROOM
            scale = emission * THERMAL_VOLTAGE
            growth = (ratio - 1) * self.bandgap / (scale * ratio)
            growth += self.exponent / emission * math.log(ratio)
            saturation, emission = saturation * math.e**growth, emission * ratio
        return Junction(saturation, emission, self.gmin, self.reverse, area)

    def card(self) -> str:
        """Return its `.model` line."""
        rest = (
            ("EG", "bandgap"),
            ("XTI", "exponent"),
            ("KF", "flicker"),
            ("AF", "flicker_exponent"),
        )
        usual = {field.name: field.default for field in fields(self)}
        more = "".join(
            f" {name}={number(getattr(self, field))}"
            for name, field in rest
            if getattr(self, field) != usual[field]
        )
        numbers = f"IS={number(self.saturation)} N={number(self.emission)}"
        return f".model {self.name} D({numbers}{more})"


def check_parameter(name: str, value: Any, *, strictly: bool) -> None:
    """Raise `ValueError` where a number, or one of an array, is not finite and above 0.

    Where not `strictly`, 0 passes. A tracer of JAX has no value and passes.
    """
    try:
        values = np.asarray(value, float)
    except TypeError:
        return
    if not (np.all(np.isfinite(values)) and np.all(values > 0 if strictly else values >= 0)):
        least = "above" if strictly else "at least"
        raise ValueError(f"`{name}` must be finite and {least} 0, but is {value}")


@dataclass(frozen=True)
class Diode(Element):
    """A diode from `anode` to `cathode`.

    **Arguments:**

    - `name`: the SPICE name without its letter. `anode`, `cathode`: nodes.
    - `model`: its card. `area`: above 0, a number without a unit that multiplies Is.

    **Raises** `ValueError` for an area that is not finite and above 0, and a name that SPICE could
    read as something else.
    """

    letter = "D"
    word = "diode"
    symbol = Symbol("Diode")
    passive = True
    node_fields = ("anode", "cathode")
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

    @property
    def models(self):
        return (self.model,)

    def lines(self):
        area = "" if self.area == 1 else f" area={number(self.area)}"
        return [f"D{self.name} {self.anode} {self.cathode} {self.model.name}{area}"]

    def terms(self, kelvin):
        return (Term.between(self.model.at(kelvin, self.area), self.anode, self.cathode),)

    def noise(self, volts, kelvin):
        """Yield shot noise q|i|, and flicker KF |i|^AF / 2f, two-sided."""
        across = volts(self.anode) - volts(self.cathode)
        current = np.array([abs(self.model.at(kelvin, self.area).current(across))])
        flicker = self.model.flicker * current**self.model.flicker_exponent / 2
        yield NoiseCurrents((self.anode,), (self.cathode,), CHARGE * current, flicker)

    def conducts(self, *, transient=False):
        del transient
        yield self.nodes

    def label(self):
        return self.model.name
