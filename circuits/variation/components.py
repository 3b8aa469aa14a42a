"""Variations of what is not a conductance: diodes, transistors, amplifiers, nudges, and the temperature of all."""

import fnmatch
from dataclasses import dataclass, replace

import numpy as np

from ..elements.diodes import Diode
from ..elements.sources import CurrentGain, Transconductance, VoltageGain, VoltageSource
from ..elements.transistors import Mosfet
from ..units import check_temperature
from .base import OfElements, Part, check_spread, log_normal


@dataclass(frozen=True)
class Saturation(OfElements):
    """Log-normal spread of every diode's saturation current, through its `area`; `spread` as for `Programming`."""

    cause = "diode mismatch (Is)"
    spreads = ("spread",)
    spread: float
    of: str = "D*"

    def __post_init__(self):
        check_spread(self.spread)

    def vary(self, element, random):
        if not isinstance(element, Diode):
            return element
        return replace(element, area=element.area * float(log_normal(self.spread, random)))


@dataclass(frozen=True)
class Ideality(OfElements):
    """Log-normal spread of every diode's emission coefficient N, at the same Is; each diode then has a model of its own."""

    cause = "diode mismatch (N)"
    spreads = ("spread",)
    spread: float
    of: str = "D*"

    def __post_init__(self):
        check_spread(self.spread)

    def vary(self, element, random):
        if not isinstance(element, Diode) or not self.spread:
            return element
        emission = element.model.emission * float(log_normal(self.spread, random))
        return replace(
            element,
            model=replace(
                element.model, emission=emission, name=f"{element.model.name}_{element.name}"
            ),
        )


@dataclass(frozen=True)
class ThresholdMismatch(OfElements):
    """Pelgrom's law for the thresholds of transistors: each is off by N(0, σ²/2), so that two of one size differ by σ = A_VT/√(W L).

    `volt_metres`: A_VT in V·m, as 3.36e-9 of SKY130's nfet, or 3.9e-9 and 2.2e-9 of IHP's SG13G2 (Pelgrom et al., IEEE J. Solid-State
    Circuits 24, 1433, 1989). Each transistor then has a model of its own.
    """

    cause = "threshold mismatch"
    spreads = ("volt_metres",)
    volt_metres: float
    of: str = "M*"

    def __post_init__(self):
        check_spread(self.volt_metres, "volt_metres")

    def vary(self, element, random):
        if not isinstance(element, Mosfet) or not self.volt_metres:
            return element
        off = (
            self.volt_metres
            / np.sqrt(2 * element.width * element.length)
            * random.standard_normal()
        )
        name = f"{element.model.name}_{element.name}"
        return replace(
            element,
            model=replace(element.model, threshold=element.model.threshold + float(off), name=name),
        )


@dataclass(frozen=True)
class Amplifiers(OfElements):
    """Amplifiers whose gains and offsets are off: both halves' gains log-normally by `gain`, the input by N(0, `offset`²) in V.

    The two halves of a bidirectional amplifier (`circuits.topologies.amplifier`) draw their gains apart, so that it has no energy; its
    offset stands in the source of 0 V behind it, times the gain.
    """

    cause = "amplifier mismatch"
    spreads = ("gain", "offset")
    gain: float = 0.0
    offset: float = 0.0

    def __post_init__(self):
        check_spread(self.gain, "gain")
        check_spread(self.offset, "offset")

    def apply(self, netlist, draw):
        gains = {f"sense_{element.name}": element.gain for element in netlist.of(VoltageGain)}
        made = super().apply(netlist, draw)
        senses = [source for source in made.of(VoltageSource) if source.name in gains]
        return made.with_elements(
            *(
                replace(
                    s,
                    volts=s.volts - gains[s.name] * self.offset * float(draw(s).standard_normal()),
                )
                for s in senses
            )
        )

    def vary(self, element, random):
        if not isinstance(element, VoltageGain | CurrentGain):
            return element
        return replace(element, gain=element.gain * float(log_normal(self.gain, random)))


@dataclass(frozen=True)
class NudgeMismatch(OfElements):
    """Log-normal spread of the nudge sources' transconductance (`Gnudge_*`): outputs that are nudged more, or less, than asked for."""

    cause = "nudge mismatch"
    spreads = ("spread",)
    spread: float
    of: str = "Gnudge_*"

    def __post_init__(self):
        check_spread(self.spread)

    def vary(self, element, random):
        if not isinstance(element, Transconductance):
            return element
        return replace(element, siemens=element.siemens * float(log_normal(self.spread, random)))


@dataclass(frozen=True)
class Temperature(Part):
    """A circuit at `kelvin`. Raises `ValueError` for a temperature not above 0 K."""

    cause = "temperature"
    kelvin: float

    def __post_init__(self):
        check_temperature(self.kelvin)

    def apply(self, netlist, draw):
        del draw
        return replace(netlist, temperature=self.kelvin)


@dataclass(frozen=True)
class Converter(Part):
    """Digital inputs and outputs: sources of `2**dac_bits` values, readings of `2**adc_bits`, evenly spaced from −`volts` to `volts`.

    Sources whose SPICE names match `of` take the nearest of their values, held within the range; readings likewise. Bits of 0 convert
    nothing. Raises `ValueError` for bits below 0 or beyond 32 and a range that is not above 0.
    """

    cause = "converters"
    dac_bits: int = 0
    adc_bits: int = 0
    volts: float = 1.0
    of: str = "Vin*"

    def __post_init__(self):
        for field in ("dac_bits", "adc_bits"):
            if getattr(self, field) not in range(33):
                raise ValueError(
                    f"`{field}` must be a whole number from 0 to 32, but is {getattr(self, field)}"
                )
        if not 0 < self.volts < np.inf:
            raise ValueError(f"`volts` must be finite and above 0, but is {self.volts}")

    def apply(self, netlist, draw):
        del draw
        sources = [
            source
            for source in netlist.of(VoltageSource)
            if fnmatch.fnmatchcase(source.key, self.of)
        ]
        return netlist.with_elements(
            *(
                replace(s, volts=float(self._nearest(np.array(s.volts), self.dac_bits)))
                for s in sources
            )
        )

    def convert(self, drives):
        return {
            name: self._nearest(np.asarray(values, float), self.dac_bits)
            if fnmatch.fnmatchcase(name, self.of)
            else values
            for name, values in drives.items()
        }

    def measure(self, voltages):
        return self._nearest(voltages, self.adc_bits)

    def _nearest(self, values: np.ndarray, bits: int) -> np.ndarray:
        if not bits:
            return values
        step = 2 * self.volts / (2**bits - 1)
        return -self.volts + step * np.clip(np.rint((values + self.volts) / step), 0, 2**bits - 1)
