"""Diodes: the law of a junction, the model that a `.model` card states, and the element."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ..units import CHARGE, GMIN, ROOM, THERMAL_VOLTAGE, Array, number
from .base import Element, NoiseCurrents, Symbol, check_name, check_names, check_value
from .junction_laws import (
    ExtendedJunction,
    JunctionCharge,
    breakdown_at,
    limited_step,
    potential_at,
)
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
        return limited_step(wanted, last, self.scale, self.critical())

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
    - `breakdown`: BV in V, at which it draws `breakdown_current`, IBV in A, whatever its area;
      `breakdown_emission`: NBV, N where it is 0. Infinite for none.
    - `knee`: IKF in A; infinite for none.
    - `recombination`, `recombination_emission`: ISR in A and NR.
    - `capacitance`: CJ0 in F, `potential`: VJ in V, `grading`: M, and `forward`: FC, of its
      depletion layer; `transit`: TT in s.

    **Raises** `ValueError` where a number is not finite that must be, Is or N not above 0, or
    another below 0 that must not be.
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
    breakdown: float = math.inf
    breakdown_current: float = 1e-3
    breakdown_emission: float = 0.0
    knee: float = math.inf
    recombination: float = 0.0
    recombination_emission: float = 1.0
    capacitance: float = 0.0
    potential: float = 1.0
    grading: float = 0.5
    forward: float = 0.5
    transit: float = 0.0

    def __post_init__(self):
        check_name(self.name)
        for field, (least, most) in _LIMITS.items():
            value = getattr(self, field)
            if not least <= value <= most:
                raise ValueError(
                    f"`{field}` of {self.name} must be from {least:g} to {most:g}, but is {value}"
                )
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
        saturation, emission = self._grown(self.saturation, self.emission, kelvin)
        return Junction(saturation, emission, self.gmin, self.reverse, area)

    def _grown(self, saturation: Any, emission: Any, kelvin: float) -> tuple[Any, Any]:
        """Return a saturation current and an emission coefficient as they are at a temperature."""
        if kelvin == ROOM:
            return saturation, emission
        ratio = kelvin / ROOM
        growth = (ratio - 1) * self.bandgap / (emission * THERMAL_VOLTAGE * ratio)
        growth += self.exponent / emission * math.log(ratio)
        return saturation * math.e**growth, emission * ratio

    @property
    def is_extended(self) -> bool:
        """Whether it needs the law of an `ExtendedJunction`."""
        return math.isfinite(min(self.breakdown, self.knee)) or self.recombination > 0

    def law(self, kelvin: float = ROOM, area: float = 1.0, count: float = 1.0) -> TwoTerminalLaw:
        """Return the law of `count` junctions of an area in parallel at a temperature in K."""
        if not self.is_extended:
            return self.at(kelvin, area * count)
        whole = area * count
        saturation, emission = self._grown(self.saturation, self.emission, kelvin)
        recombination, other = self._grown(self.recombination, self.recombination_emission, kelvin)
        beyond, broken = self.breakdown_emission or self.emission, math.inf
        if math.isfinite(self.breakdown):
            drawn = (self.breakdown_current * count, saturation * whole)
            broken = breakdown_at(self.breakdown, *drawn, beyond, kelvin)
        return ExtendedJunction(
            saturation * whole,
            emission,
            self.gmin,
            broken,
            beyond * kelvin / ROOM,
            self.knee * whole,
            recombination * whole,
            other,
            potential_at(self.potential, kelvin),
            self.grading,
        )

    def charge(self, kelvin: float = ROOM, area: float = 1.0) -> JunctionCharge | None:
        """Return the charge of a junction of an area at a temperature in K, None where it has none.

        Cj is multiplied by 1 + m (4e-4 (T − T0) − (φ(T) − φ0)/φ0), φ0 being that at T0.
        """
        if not (self.capacitance or self.transit):
            return None
        saturation, emission = self._grown(self.saturation, self.emission, kelvin)
        recombination, other = self._grown(self.recombination, self.recombination_emission, kelvin)
        potential = potential_at(self.potential, kelvin)
        change = (potential - self.potential) / self.potential
        growth = 1 + self.grading * (4e-4 * (kelvin - ROOM) - change)
        return JunctionCharge(
            self.capacitance * area * growth,
            potential,
            self.grading,
            self.forward,
            self.transit,
            saturation * area,
            emission,
            recombination * area,
            other,
            self.knee * area,
        )

    def card(self) -> str:
        """Return its `.model` line."""
        usual = {field.name: field.default for field in fields(self)}
        more = "".join(
            f" {name}={number(getattr(self, field))}"
            for name, field in CARD.items()
            if field in usual and getattr(self, field) != usual[field]
        )
        numbers = f"IS={number(self.saturation)} N={number(self.emission)}"
        return f".model {self.name} D({numbers}{more})"


CARD = {
    "EG": "bandgap",
    "XTI": "exponent",
    "KF": "flicker",
    "AF": "flicker_exponent",
    "BV": "breakdown",
    "IBV": "breakdown_current",
    "NBV": "breakdown_emission",
    "IKF": "knee",
    "ISR": "recombination",
    "NR": "recombination_emission",
    "CJO": "capacitance",
    "VJ": "potential",
    "M": "grading",
    "FC": "forward",
    "TT": "transit",
}
"""What the parameters of a `.model` card are called here, besides IS and N."""
_LARGEST = math.inf
_LIMITS = {
    "breakdown": (1e-3, _LARGEST),
    "breakdown_current": (1e-300, 1e300),
    "breakdown_emission": (0.0, 1e3),
    "knee": (1e-300, _LARGEST),
    "recombination": (0.0, 1e300),
    "recombination_emission": (1e-3, 1e3),
    "capacitance": (0.0, 1e300),
    "potential": (1e-3, 1e3),
    "grading": (0.0, 0.9),
    "forward": (0.0, 0.95),
    "transit": (0.0, 1e300),
}
"""From what to what a parameter may be, as ngspice limits them."""


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
    - `parallel`: how many there are in parallel, above 0.

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
    parallel: float = 1.0

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "area", positive=True)
        check_value(self, "parallel", positive=True)

    @property
    def nodes(self):
        return (self.anode, self.cathode)

    @property
    def models(self):
        return (self.model,)

    def lines(self):
        area = "" if self.area == 1 else f" area={number(self.area)}"
        count = "" if self.parallel == 1 else f" m={number(self.parallel)}"
        return [f"D{self.name} {self.anode} {self.cathode} {self.model.name}{area}{count}"]

    def law(self, kelvin: float) -> TwoTerminalLaw:
        """Return the law of its current at a temperature in K."""
        return self.model.law(kelvin, self.area, self.parallel)

    def terms(self, kelvin):
        return (Term.between(self.law(kelvin), self.anode, self.cathode),)

    def charges(self, kelvin):
        law = self.model.charge(kelvin, self.area * self.parallel)
        return () if law is None else (Term.between(law, self.anode, self.cathode),)

    def noise(self, volts, kelvin):
        """Yield shot noise q|i|, and flicker KF |i|^AF / 2f, two-sided."""
        across = volts(self.anode) - volts(self.cathode)
        current = np.array([abs(self.law(kelvin).current(across))])
        flicker = self.model.flicker * current**self.model.flicker_exponent / 2
        yield NoiseCurrents((self.anode,), (self.cathode,), CHARGE * current, flicker)

    def conducts(self, *, transient=False):
        del transient
        yield self.nodes

    def label(self):
        return self.model.name
