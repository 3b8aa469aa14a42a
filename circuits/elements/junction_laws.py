"""Laws of junctions with breakdown, recombination and high injection, and of their charges."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..units import BOLTZMANN, CHARGE, GMIN, ROOM, THERMAL_VOLTAGE, Array
from .laws import Law, TwoTerminalLaw, namespace


def gap(kelvin: float) -> float:
    """Return the band gap of silicon in eV at a temperature in K, as ngspice has it."""
    return 1.16 - 7.02e-4 * kelvin**2 / (kelvin + 1108)


def potential_at(volts: float, kelvin: float) -> float:
    """Return a junction's built-in potential in V at a temperature in K, `volts` at 300.15 K.

    With r = T/T₀ it is r (φ − ψ(T₀)) + ψ(T), ψ(T) = −2 Vt (1.5 ln r + q/2k (1.1150877/T₀ − E/T)), E
    being the band gap (diotemp.c, mos1temp.c).
    """
    return kelvin / ROOM * (volts - _bending(ROOM)) + _bending(kelvin)


def _bending(kelvin: float) -> float:
    """Return ψ(T) of `potential_at` in V."""
    arg = CHARGE / (2 * BOLTZMANN) * (1.1150877 / ROOM - gap(kelvin) / kelvin)
    return -2 * BOLTZMANN * kelvin / CHARGE * (1.5 * math.log(kelvin / ROOM) + arg)


@dataclass(frozen=True)
class ExtendedJunction(TwoTerminalLaw):
    """The law of a junction at one temperature with all that ngspice's diode has (dioload.c).

    Above −3 N Vt, with j = Is (exp(v/(N Vt)) − 1) + Isr (exp(v/(Nr Vt)) − 1) ((1 − v/φ)² +
    0.005)^(m/2),

        i(v) = j / (1 + √(j⁺/Ikf)) + gmin v;

    below, −Is (1 + (3 N Vt/(e v))³) + gmin v as of a `Junction`; and below −`breakdown`,
    −Is exp(−(`breakdown` + v)/(Nb Vt)) + gmin v.

    **Arguments:** numbers, or arrays of one for each junction; currents with the area in them.

    - `saturation`: Is in A. `emission`: N. `gmin`: in S.
    - `breakdown`: in V, above 0; infinite for none. `breakdown_emission`: Nb.
    - `knee`: Ikf in A; infinite for none.
    - `recombination`: Isr in A. `recombination_emission`: Nr. `potential`: φ in V. `grading`: m.
    """

    limited: ClassVar[bool] = True
    rising: ClassVar[bool] = True
    saturation: Array
    emission: Array = 1.0
    gmin: Array = GMIN
    breakdown: Array = math.inf
    breakdown_emission: Array = 1.0
    knee: Array = math.inf
    recombination: Array = 0.0
    recombination_emission: Array = 1.0
    potential: Array = 1.0
    grading: Array = 0.5

    def current(self, v):
        return self._evaluated(v)[0]

    def conductance(self, v):
        return self._evaluated(v)[1]

    def cocontent(self, v):
        """Integrate by Gauss and Legendre's rule with 64 points, the breakdown in closed form."""
        xp = namespace(v)
        points, weights = np.polynomial.legendre.leggauss(64)
        places, weights = (xp.asarray(part) for part in ((1 + points) / 2, weights))
        wide = [xp.asarray(p)[..., None] if np.ndim(p) else p for p in self.parameters()]
        spread = self.with_parameters(wide)
        inside = v / 2 * (spread.current_without_breakdown(v[..., None] * places) @ weights)

        past = xp.minimum(v + self.breakdown, 0.0)
        at = self.breakdown_emission * THERMAL_VOLTAGE
        a = 3 * self.emission * THERMAL_VOLTAGE / math.e
        held = xp.minimum(v, -xp.where(xp.isfinite(past), self.breakdown, 1.0))
        cube = a**3 / 2 * (1 / self.breakdown**2 - 1 / held**2)
        added = at * (xp.exp(-past / at) - 1) + past + cube
        return inside + xp.where(past < 0, self.saturation * added, 0.0)

    def current_without_breakdown(self, v: Array) -> Array:
        """Return i(v) in A of a junction that does not break down."""
        return self._above(v)[0] + self.gmin * v

    def limit(self, wanted, last):
        """Limit a step by Nagel's pnjlim, on either side."""
        forward = limited_step(wanted, last, self.scale, self.critical())
        at = self.breakdown_emission * THERMAL_VOLTAGE
        xp = namespace(wanted)
        far = xp.where(xp.isfinite(self.breakdown + wanted), self.breakdown, 1e300)
        backward = -far - limited_step(-wanted - far, -last - far, at, self._critical(at))
        return xp.where(wanted < -far + 10 * at, xp.minimum(backward, forward), forward)

    def critical(self):
        return self._critical(self.scale)

    def _critical(self, scale: Array) -> Array:
        """Return where an exponential of Is and a scale in V is most bent, in V."""
        xp = namespace(scale, self.saturation)
        return scale * xp.log(scale / (math.sqrt(2.0) * self.saturation))

    @property
    def scale(self) -> Array:
        """N Vt in V."""
        return self.emission * THERMAL_VOLTAGE

    def _evaluated(self, v: Array) -> tuple[Array, Array]:
        """Return i(v) in A and di/dv in S."""
        xp = namespace(v)
        current, slope = self._above(v)
        broken = v < -self.breakdown
        at = self.breakdown_emission * THERMAL_VOLTAGE
        past = xp.where(broken, -(self.breakdown + v), 0.0)
        avalanche = self.saturation * xp.exp(past / at)
        current = xp.where(broken, -avalanche, current)
        slope = xp.where(broken, avalanche / at, slope)
        return current + self.gmin * v, slope + self.gmin

    def _above(self, v: Array) -> tuple[Array, Array]:
        """Return the current and its slope without breakdown and gmin."""
        xp = namespace(v)
        knee = -3 * self.scale
        below = v < knee
        ratio = (-knee / math.e) / xp.where(below, v, knee)
        reverse = -self.saturation * (1 + ratio**3)
        reverse_slope = 3 * self.saturation * ratio**3 / xp.where(below, v, knee)

        u = xp.where(below, knee, v)
        growth, other = xp.exp(u / self.scale), self.recombination_emission * THERMAL_VOLTAGE
        recombining = xp.exp(u / other)
        bent = 1 - u / self.potential
        generation = (bent**2 + 0.005) ** (self.grading / 2)
        by_bent = self.grading * bent * (bent**2 + 0.005) ** (self.grading / 2 - 1)
        j = self.saturation * (growth - 1) + self.recombination * (recombining - 1) * generation
        slope = self.saturation * growth / self.scale + self.recombination * (
            recombining / other * generation - (recombining - 1) * by_bent / self.potential
        )
        # the slope of a root at 0 is infinite, and is never asked for
        injected = xp.where(j > 0, xp.sqrt(xp.where(j > 0, j, 1.0) / self.knee), 0.0)
        forward_slope = slope * (1 + injected / 2) / (1 + injected) ** 2
        forward = j / (1 + injected)
        return xp.where(below, reverse, forward), xp.where(below, reverse_slope, forward_slope)


def limited_step(wanted: Array, last: Array, scale: Array, critical: Array) -> Array:
    """Limit a step by Nagel's pnjlim: one far into conduction becomes one of its current."""
    xp = namespace(wanted)
    ratio = 1 + (wanted - last) / scale
    rising = last + scale * xp.log(xp.where(ratio > 0, ratio, 1.0))
    rising = xp.where(ratio > 0, rising, critical)
    fresh = scale * xp.log(xp.maximum(wanted, scale) / scale)
    slowed = xp.where(last > 0, rising, fresh)
    far = (wanted > critical) & (xp.abs(wanted - last) > 2 * scale)
    return xp.where(far, slowed, wanted)


def breakdown_at(
    volts: float, amperes: float, saturation: float, emission: float, kelvin: float
) -> float:
    """Return the voltage in V below which a junction breaks down so that it draws `amperes` there.

    With Vt = kT/q it solves x = `volts` − N Vt ln(`amperes`/Is + 1 − x/Vt) (diotemp.c).

    **Arguments:** `volts`: at which it draws `amperes`. `saturation`: Is in A. `emission`: N of the
    breakdown. `kelvin`: the temperature.
    """
    thermal = BOLTZMANN * kelvin / CHARGE
    if amperes < saturation * volts / thermal:
        return volts
    x = volts - emission * thermal * math.log(1 + amperes / saturation)
    for _ in range(100):
        x = volts - emission * thermal * math.log(amperes / saturation + 1 - x / thermal)
    return x


@dataclass(frozen=True)
class JunctionCharge(Law):
    """The charge of a junction in C: of its depletion layer, and of what is in transit.

    Below `forward` · φ, with a = 1 − v/φ, it is Cj φ (1 − a^(1−m))/(1 − m), whose slope goes on in
    a straight line above; to which τ j is added, j being the current of an
    `ExtendedJunction` that does not break down.

    **Arguments:** numbers, or arrays of one for each junction.

    - `capacitance`: Cj at 0 V in F, with the area in it. `potential`: φ in V. `grading`: m.
    - `forward`: from which part of φ on the capacitance is a straight line.
    - `transit`: τ in s.
    - The others are those of an `ExtendedJunction`.
    """

    capacitance: Array
    potential: Array
    grading: Array
    forward: Array
    transit: Array
    saturation: Array
    emission: Array
    recombination: Array = 0.0
    recombination_emission: Array = 1.0
    knee: Array = math.inf

    def evaluate(self, *values):
        plus, minus = values
        v = plus - minus
        charge, slope = self._charge(v)
        return charge, (slope, -slope)

    def _charge(self, v: Array) -> tuple[Array, Array]:
        """Return the charge in C and the capacitance in F."""
        xp = namespace(v)
        corner = self.forward * self.potential
        inside = xp.minimum(v, corner)
        a = 1 - inside / self.potential
        capacitance = self.capacitance * a**-self.grading
        charge = (
            self.capacitance * self.potential * (1 - a ** (1 - self.grading)) / (1 - self.grading)
        )
        past = xp.maximum(v - corner, 0.0)
        slope = capacitance * self.grading / (self.potential * a)
        junction = ExtendedJunction(
            self.saturation,
            self.emission,
            0.0,
            knee=self.knee,
            recombination=self.recombination,
            recombination_emission=self.recombination_emission,
            potential=self.potential,
            grading=self.grading,
        )
        current, conductance = junction.current(v), junction.conductance(v)
        charge = charge + past * (capacitance + slope * past / 2) + self.transit * current
        return charge, capacitance + slope * past + self.transit * conductance
