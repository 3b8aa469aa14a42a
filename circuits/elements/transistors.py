"""Transistors: channels between drain and source that a gate controls without drawing current."""

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from ..units import BOLTZMANN, CHARGE, GMIN, ROOM, Array, number
from .base import Element, NoiseCurrents, check_name, check_names, check_value
from .diodes import Junction
from .junction_laws import JunctionCharge, gap, potential_at
from .laws import Law, Term, namespace


@dataclass(frozen=True)
class Channel(Law):
    """The law of channels at one temperature: what a `MosfetModel` of some size comes to.

    Drain and source change roles where the voltage between them changes sign. With all voltages
    against that of the lower end (of the higher one for p), v_T = `threshold` + γ √(φ − v_b), made
    linear for v_b > 0, and u = max(v_g − v_T, 0),

        i = `gain` (1 + λ v_d) x (u − x/2),    x = min(v_d, u).

    **Arguments:** numbers, or arrays of one for each channel.

    - `sign`: 1 for n, −1 for p. `gain`: KP W/L in A/V². `threshold`: in V.
    - `body_effect`: γ in √V. `potential`: φ in V. `modulation`: λ in 1/V.
    """

    one_way: ClassVar[bool] = True
    sign: Array
    gain: Array
    threshold: Array
    body_effect: Array
    potential: Array
    modulation: Array

    def evaluate(self, *values):
        """Return the current in A into the drain and out of the source, and its slopes in S.

        By the voltages of drain, gate, source and bulk, elementwise.
        """
        xp = namespace(*values)
        d, g, s, b = (self.sign * v for v in values)
        mode = xp.where(d >= s, 1.0, -1.0)
        low = xp.minimum(d, s)
        across, bulk_above = xp.abs(d - s), b - low
        root = xp.sqrt(self.potential)
        below = xp.sqrt(self.potential - xp.minimum(bulk_above, 0.0))
        forward = xp.maximum(root - bulk_above / (2 * root), 0.0)
        depletion = xp.where(bulk_above <= 0, below, forward)
        slope = xp.where(
            bulk_above <= 0, 1 / (2 * below), xp.where(forward > 0, 1 / (2 * root), 0.0)
        )
        over = xp.maximum(g - low - self.threshold - self.body_effect * depletion, 0.0)
        x = xp.minimum(across, over)
        rising = self.gain * (1 + self.modulation * across)
        shape = x * (over - x / 2)
        by_gate = rising * x
        by_bulk = by_gate * self.body_effect * slope
        by_upper = self.gain * self.modulation * shape + rising * (over - x)
        by_lower = -(by_gate + by_bulk + by_upper)
        slopes = (
            mode * xp.where(mode > 0, by_upper, by_lower),
            mode * by_gate,
            mode * xp.where(mode > 0, by_lower, by_upper),
            mode * by_bulk,
        )
        return self.sign * mode * rising * shape, slopes


@dataclass(frozen=True)
class MosfetModel:
    """ngspice's MOS transistor of level 1 (Shichman & Hodges 1968), without a channel's charge.

    IEEE J. Solid-State Circuits 3, 285; mos1load.c. Its channel is a `Channel` of gain KP W/L, to
    which junctions from bulk to drain and source (for p the other way)
    are added, i = Is (exp(v/Vt) − 1) + gmin v, and −Is + gmin v below −3 Vt.

    **Arguments:** all at 300.15 K.

    - `kind`: "n" or "p".
    - `threshold`: VTO in V, of the sign that `kind` has it.
    - `transconductance`: KP in A/V².
    - `body_effect`: GAMMA in √V. `potential`: PHI in V.
    - `modulation`: LAMBDA in 1/V.
    - `saturation`: Is of each junction in A. `gmin`: in S, across each junction.
    - `name`: of its `.model` card.
    - `drain_capacitance`, `source_capacitance`: CBD and CBS, of the junctions at 0 V, in F;
      `built_in`: PB in V, `grading`: MJ, and `forward`: FC, of both.
    - `source_overlap`, `drain_overlap`: CGSO and CGDO, of the gate in F/m of width;
      `bulk_overlap`: CGBO in F/m of length.

    **Raises** `ValueError` where a number is not finite, KP, PHI, PB or Is not above 0, or another
    but VTO below 0.
    """

    kind: str = "n"
    threshold: float = 0.0
    transconductance: float = 2e-5
    body_effect: float = 0.0
    potential: float = 0.6
    modulation: float = 0.0
    saturation: float = 1e-14
    gmin: float = GMIN
    name: str = "mosfet"
    drain_capacitance: float = 0.0
    source_capacitance: float = 0.0
    built_in: float = 0.8
    grading: float = 0.5
    forward: float = 0.5
    source_overlap: float = 0.0
    drain_overlap: float = 0.0
    bulk_overlap: float = 0.0

    def __post_init__(self):
        check_name(self.name)
        if not (self.grading < 1 and self.forward < 1):
            raise ValueError(
                f"`grading` and `forward` of {self.name} must be below 1, "
                f"but are {self.grading} and {self.forward}"
            )
        if self.kind not in ("n", "p"):
            raise ValueError(f"`kind` must be 'n' or 'p', but is {self.kind!r}")
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if not (
                math.isfinite(value)
                and (value > 0 if least == "above" else value >= 0 if least == "at least" else True)
            ):
                raise ValueError(
                    f"`{field}` must be finite{f' and {least} 0' if least else ''}, but is {value}"
                )

    @property
    def sign(self) -> float:
        """1 for n, −1 for p."""
        return 1.0 if self.kind == "n" else -1.0

    def channel(self, width: float, length: float, kelvin: float = ROOM) -> Channel:
        """Return the law of a channel of `width` by `length` in m at a temperature in K.

        With r = T/T0 and the band gap E(T) = 1.16 − 7.02e-4 T²/(T + 1108) eV, KP falls as r^−1.5,
        PHI becomes what `potential_at` says, and VTO moves by half the change of PHI and of the gap
        (mos1temp.c).

        **Raises** `ValueError` for a temperature at which PHI is not above 0.
        """
        ratio = kelvin / ROOM
        potential = potential_at(self.potential, kelvin)
        if potential <= 0:
            raise ValueError(
                f"`potential` of {self.name} must be above 0 at every temperature, "
                f"but is {potential:.3g} V at {kelvin} K"
            )
        flat = self.sign * self.threshold - self.body_effect * math.sqrt(self.potential)
        flat += (self.sign * (gap(ROOM) - gap(kelvin)) + potential - self.potential) / 2
        gain = self.transconductance / ratio**1.5 * width / length
        return Channel(self.sign, gain, flat, self.body_effect, potential, self.modulation)

    def junction(self, kelvin: float = ROOM) -> Junction:
        """Return the law of its junctions at a temperature in K.

        Is grows as exp(E(T0)/Vt(T0) − E(T)/Vt(T)).
        """
        growth = CHARGE / BOLTZMANN * (gap(ROOM) / ROOM - gap(kelvin) / kelvin)
        saturation = self.saturation * math.exp(growth)
        return Junction(saturation, kelvin / ROOM, self.gmin, reverse=0.0)

    def junction_charges(self, kelvin: float = ROOM) -> tuple[JunctionCharge, JunctionCharge]:
        """Return the charges of the junctions of drain and source at a temperature in K.

        As of a diode (`DiodeModel.charge`), without a transit time.
        """
        potential = potential_at(self.built_in, kelvin)
        change = (potential - self.built_in) / self.built_in
        growth = 1 + self.grading * (4e-4 * (kelvin - ROOM) - change)
        law = (potential, self.grading, self.forward, 0.0, self.saturation, 1.0)
        at_drain, at_source = (
            JunctionCharge(farads * growth, *law)
            for farads in (self.drain_capacitance, self.source_capacitance)
        )
        return at_drain, at_source

    def card(self) -> str:
        """Return its `.model` line."""
        usual = {field.name: field.default for field in fields(self)}
        given = {
            name: getattr(self, field)
            for name, field in (CARD | CHARGES).items()
            if name in CARD or getattr(self, field) != usual[field]
        }
        values = " ".join(f"{name}={number(value)}" for name, value in given.items())
        return f".model {self.name} {self.kind.upper()}MOS(LEVEL=1 {values})"


CARD = {
    "VTO": "threshold",
    "KP": "transconductance",
    "GAMMA": "body_effect",
    "PHI": "potential",
    "LAMBDA": "modulation",
    "IS": "saturation",
}
"""What the parameters of a `.model` card are called here."""
CHARGES = {
    "CBD": "drain_capacitance",
    "CBS": "source_capacitance",
    "PB": "built_in",
    "MJ": "grading",
    "FC": "forward",
    "CGSO": "source_overlap",
    "CGDO": "drain_overlap",
    "CGBO": "bulk_overlap",
}
"""What those of them are called that state its charges."""
_LEAST = {
    **dict.fromkeys(CHARGES.values(), "at least"),
    "built_in": "above",
    "threshold": "",
    "transconductance": "above",
    "body_effect": "at least",
    "potential": "above",
    "modulation": "at least",
    "saturation": "above",
    "gmin": "at least",
}


@dataclass(frozen=True)
class Mosfet(Element):
    """A transistor. Its gate draws no current; its bulk draws that of its junctions.

    **Arguments:**

    - `name`: the SPICE name without its letter. `drain`, `gate`, `source`, `bulk`: nodes.
    - `model`: its card. `width`, `length`: of the channel in m, finite and above 0.

    **Raises** `ValueError` where they are not, or a name is none.
    """

    letter = "M"
    word = "transistor"
    node_fields = ("drain", "gate", "source", "bulk")
    name: str
    drain: str
    gate: str
    source: str
    bulk: str
    model: MosfetModel
    width: float = 1e-4
    length: float = 1e-4

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "width", positive=True)
        check_value(self, "length", positive=True)

    @property
    def nodes(self):
        return (self.drain, self.gate, self.source, self.bulk)

    @property
    def models(self):
        return (self.model,)

    @property
    def junctions(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Anode and cathode of its two junctions, the drain's first."""
        if self.model.kind == "n":
            return (self.bulk, self.drain), (self.bulk, self.source)
        return (self.drain, self.bulk), (self.source, self.bulk)

    def lines(self):
        size = f"W={number(self.width)} L={number(self.length)}"
        return [f"M{self.name} {' '.join(self.nodes)} {self.model.name} {size}"]

    def channel(self, kelvin: float) -> Channel:
        """Return the law of its channel at a temperature in K."""
        return self.model.channel(self.width, self.length, kelvin)

    def terms(self, kelvin):
        junction = self.model.junction(kelvin)
        return (
            *(Term.between(junction, anode, cathode) for anode, cathode in self.junctions),
            Term.between(self.channel(kelvin), self.drain, self.source, self.nodes),
        )

    def charge(self, stamps):
        model, sides = self.model, (self.source, self.drain, self.bulk)
        overlaps = (
            model.source_overlap * self.width,
            model.drain_overlap * self.width,
            model.bulk_overlap * self.length,
        )
        for node, farads in zip(sides, overlaps, strict=True):
            if farads:
                stamps.between((self.gate,), (node,), farads)

    def charges(self, kelvin):
        laws = self.model.junction_charges(kelvin)
        return tuple(
            Term.between(law, anode, cathode)
            for law, (anode, cathode) in zip(laws, self.junctions, strict=True)
            if law.capacitance
        )

    def noise(self, volts, kelvin):
        """Yield the thermal noise of the channel, (4/3) kT gm, two-sided."""
        _, slopes = self.channel(kelvin).evaluate(*(np.array([volts(n)]) for n in self.nodes))
        white = 4 / 3 * BOLTZMANN * kelvin * np.abs(slopes[1])
        yield NoiseCurrents((self.drain,), (self.source,), white, np.zeros(1))

    def conducts(self, *, transient=False):
        del transient
        yield self.drain, self.source
        yield self.bulk, self.source  # by its junction

    @property
    def ends(self):
        return self.drain, self.source

    def label(self):
        return f"{self.model.name}\ngate {self.gate}"
