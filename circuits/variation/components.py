"""Variations of diodes, transistors, amplifiers, nudges and converters, and the temperature."""

import fnmatch
from dataclasses import dataclass, replace

import numpy as np

from ..elements.controlled import CurrentGain, Transconductance, VoltageGain
from ..elements.diodes import Diode
from ..elements.sources import VoltageSource
from ..elements.transistors import Mosfet
from ..units import check_temperature
from .base import OfElements, Part, check_positive, check_spread, log_normal


@dataclass(frozen=True)
class LogNormal(OfElements):
    """Log-normal spread of one number of the elements whose names match the pattern `of`.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the elements' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

    spreads = ("spread",)
    spread: float
    of: str = "*"

    def __post_init__(self):
        check_spread(self.spread)


@dataclass(frozen=True)
class Saturation(LogNormal):
    """Log-normal spread of the diodes' saturation currents, through their areas.

    Is → Is exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + spread²)

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the diodes' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

    cause = "diode mismatch (Is)"
    of: str = "D*"

    def vary(self, element, random):
        if not isinstance(element, Diode):
            return element
        return replace(element, area=element.area * float(log_normal(self.spread, random)))


@dataclass(frozen=True)
class Ideality(LogNormal):
    """Log-normal spread of the diodes' emission coefficients N, at the same Is.

    N → N exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + spread²)

    Each diode then has a model of its own.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the diodes' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

    cause = "diode mismatch (N)"
    of: str = "D*"

    def vary(self, element, random):
        if not isinstance(element, Diode) or not self.spread:
            return element
        model = element.model
        emission = model.emission * float(log_normal(self.spread, random))
        name = f"{model.name}_{element.name}"
        return replace(element, model=replace(model, emission=emission, name=name))


@dataclass(frozen=True)
class ThresholdMismatch(OfElements):
    """Mismatch of transistors' threshold voltages by Pelgrom's law.

    V_T → V_T + N(0, σ²/2),    σ = A_VT/√(W L)

    so that two transistors of one size differ by σ. Each transistor then has a model of its own.
    Pelgrom et al., IEEE J. Solid-State Circuits 24, 1433 (1989).

    **Arguments:**

    - `volt_metres`: A_VT in V·m, as 3.36e-9 of SKY130's nfet, or 3.9e-9 and 2.2e-9 of IHP's SG13G2.
    - `of`: pattern of the transistors' names.

    **Raises** `ValueError` for an A_VT that is negative or not finite.
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
        deviation = self.volt_metres / np.sqrt(2 * element.width * element.length)
        model = element.model
        threshold = model.threshold + float(deviation * random.standard_normal())
        name = f"{model.name}_{element.name}"
        return replace(element, model=replace(model, threshold=threshold, name=name))


@dataclass(frozen=True)
class Amplifiers(OfElements):
    """Errors of amplifiers' gains and offsets.

    A → A exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + gain²),    input offset ~ N(0, offset²)

    The two halves of a bidirectional amplifier (`circuits.topologies.amplifier`) draw their gains
    apart, so that it has no energy; its offset stands in the source of 0 V behind it, times the
    gain.

    **Arguments:**

    - `gain`: standard deviation over mean of the gains.
    - `offset`: standard deviation of the offsets at the input, in V.

    **Raises** `ValueError` for numbers that are negative or not finite.
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
        varied = super().apply(netlist, draw)
        sensing = [source for source in varied.of(VoltageSource) if source.name in gains]
        offsets = (
            gains[source.name] * self.offset * float(draw(source).standard_normal())
            for source in sensing
        )
        return varied.with_elements(
            *(replace(s, volts=s.volts - v) for s, v in zip(sensing, offsets, strict=True))
        )

    def vary(self, element, random):
        if not isinstance(element, VoltageGain | CurrentGain):
            return element
        return replace(element, gain=element.gain * float(log_normal(self.gain, random)))


@dataclass(frozen=True)
class NudgeMismatch(LogNormal):
    """Mismatch of nudges: outputs are nudged more, or less, than asked for.

    β → β exp(σ z − σ²/2),    z ~ N(0, 1),    σ² = ln(1 + spread²)

    where β is the transconductance of a nudge source.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `of`: pattern of the sources' names.

    **Raises** `ValueError` for a spread that is negative or not finite.
    """

    cause = "nudge mismatch"
    of: str = "Gnudge_*"

    def vary(self, element, random):
        if not isinstance(element, Transconductance):
            return element
        return replace(element, siemens=element.siemens * float(log_normal(self.spread, random)))


@dataclass(frozen=True)
class Temperature(Part):
    """A temperature of the whole circuit.

    **Arguments:**

    - `kelvin`: in K.

    **Raises** `ValueError` for a temperature that is not finite and above 0 K.
    """

    cause = "temperature"
    kelvin: float

    def __post_init__(self):
        check_temperature(self.kelvin)

    def apply(self, netlist, draw):
        del draw
        return replace(netlist, temperature=self.kelvin)


@dataclass(frozen=True)
class Converter(Part):
    """Digital inputs and outputs, with values evenly spaced from −`volts` to `volts`.

    Sources take the nearest of their 2^dac_bits values, within the range; readings likewise.

    **Arguments:**

    - `dac_bits`, `adc_bits`: of the sources and of the readings, from 0 to 32; 0 converts nothing.
    - `volts`: the end of the range, in V.
    - `of`: pattern of the sources' names.

    **Raises** `ValueError` for bits that are not whole numbers from 0 to 32, and for a
    range that is not finite and above 0.
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
        check_positive(self.volts, "volts")

    def apply(self, netlist, draw):
        del draw
        sources = [
            source
            for source in netlist.of(VoltageSource)
            if fnmatch.fnmatchcase(source.key, self.of)
        ]
        converted = (
            replace(source, volts=float(self._nearest(np.array(source.volts), self.dac_bits)))
            for source in sources
        )
        return netlist.with_elements(*converted)

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
        """Return the nearest of the converter's 2^bits values to each of `values`, in V."""
        if not bits:
            return values
        step = 2 * self.volts / (2**bits - 1)
        return -self.volts + step * np.clip(np.rint((values + self.volts) / step), 0, 2**bits - 1)
