"""Shockley diodes at the hidden nodes of a network: in pairs, or one at each node."""

from dataclasses import dataclass

import numpy as np

from ..elements.base import GROUND
from ..elements.diodes import Diode, DiodeModel, Junction
from ..elements.sources import VoltageSource
from ..units import GMIN, ROOM, Array, check_temperature
from .base import Device, first_half
from .ideal import IdealDiodes, IdealPair


class JunctionDevice(Device):
    """Diodes of one law between the nodes and rails at ±`bias`, at a `temperature` in K. Is is that at 300.15 K.

    Raises `ValueError` as `DiodeModel`, or for a bias not finite, or a temperature not above 0.
    """

    saturation: float
    bias: float
    emission: float
    gmin: float

    def __post_init__(self):
        check_temperature(self.temperature)
        for field in ("saturation", "bias", "emission", "gmin"):
            if isinstance(getattr(self, field), np.number):
                object.__setattr__(
                    self, field, float(getattr(self, field))
                )  # a plain number, which does not learn
        _ = self.junction
        if isinstance(self.bias, float | int) and not np.isfinite(self.bias):
            raise ValueError(f"`bias` must be finite, but is {self.bias}")

    @property
    def junction(self) -> Junction:
        """The law of each diode at the temperature."""
        return self._model.at(self.temperature)

    @property
    def _model(self) -> DiodeModel:
        return DiodeModel(self.saturation, self.emission, self.gmin)

    def rails(self):
        return [
            VoltageSource("railp", "railp", GROUND, self.bias),
            VoltageSource("railn", "railn", GROUND, 0.0 - self.bias),
        ]


@dataclass(frozen=True)
class DiodePair(JunctionDevice):
    """Two antiparallel diodes at a node, each to a rail of `bias` volts against it (Kendall et al. 2020, arXiv:2006.01981).

    i(v) = j(v − bias) − j(−v − bias), j being the law of a `Junction`: little current until |v| passes `bias` and a diode's own
    voltage.
    """

    saturation: float
    bias: float = 0.0
    emission: float = 1.0
    gmin: float = GMIN
    temperature: float = ROOM

    def current(self, v):
        return self.junction.current(v - self.bias) - self.junction.current(-v - self.bias)

    def cocontent(self, v):
        return self.junction.cocontent(v - self.bias) + self.junction.cocontent(-v - self.bias)

    def ideal(self) -> IdealPair:
        """The same pair with diodes that drop no voltage."""
        return IdealPair(self.bias)

    def describe(self):
        return f"a diode to railp (+{self.bias} V) and one from railn (-{self.bias} V); Is = {self.saturation} A, N = {self.emission}"

    def elements(self, nodes, loads):
        del loads
        law = self._model
        pairs = (
            (Diode(f"{node}p", node, "railp", law), Diode(f"{node}n", "railn", node, law))
            for node in nodes
        )
        return [diode for pair in pairs for diode in pair]


@dataclass(frozen=True)
class SingleDiode(JunctionDevice):
    """One diode at every node: the soft form of `IdealDiodes`.

    i(v) = −j(−v − bias) in the first half of a layer, whose diodes come from the rail at −bias, and i(v) = j(v − bias) in the second,
    whose diodes go to the rail at +bias, j being the law of a `Junction`. Within a diode's own voltage the first half is so held at or
    above −bias and the second at or below bias. `bias` has either sign; a negative one makes up for the diodes' voltage.
    """

    saturation: float
    bias: float = 0.0
    emission: float = 1.0
    gmin: float = GMIN
    temperature: float = ROOM

    def current(self, v):
        sign = _polarity(v)
        return sign * self.junction.current(sign * v - self.bias)

    def cocontent(self, v):
        return self.junction.cocontent(_polarity(v) * v - self.bias)

    def ideal(self) -> IdealDiodes:
        """The same diodes without a voltage of their own."""
        return IdealDiodes(self.bias)

    def describe(self):
        return (
            f"a diode, in the first half of a layer from railn ({0.0 - self.bias} V), in the second to railp ({self.bias} V); "
            f"Is = {self.saturation} A, N = {self.emission}"
        )

    def elements(self, nodes, loads):
        del loads
        law = self._model
        return [
            Diode(f"{node}n", "railn", node, law)
            if first
            else Diode(f"{node}p", node, "railp", law)
            for node, first in zip(nodes, first_half(len(nodes)), strict=True)
        ]


@dataclass(frozen=True)
class ZenerDiode(JunctionDevice):
    """A diode from every node to ground that conducts forward, and in reverse beyond its breakdown voltage `bias`.

    i(v) = j(v) − j(−v − bias), j being the law of a `Junction`: the breakdown is a second junction, behind a rail at −`bias`, and as
    steep as the first. Raises `ValueError` for a `bias` that is not above 0.
    """

    saturation: float
    bias: float
    emission: float = 1.0
    gmin: float = GMIN
    temperature: float = ROOM

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.bias, float | int) and self.bias <= 0:
            raise ValueError(f"`bias` must be above 0, but is {self.bias}")

    def current(self, v):
        return self.junction.current(v) - self.junction.current(-v - self.bias)

    def cocontent(self, v):
        return self.junction.cocontent(v) + self.junction.cocontent(-v - self.bias)

    def rails(self):
        return [VoltageSource("railn", "railn", GROUND, 0.0 - self.bias)]

    def describe(self):
        return (
            f"a Zener diode to ground, which breaks down at {self.bias} V (a second one from railn); Is = {self.saturation} A, "
            f"N = {self.emission}"
        )

    def elements(self, nodes, loads):
        del loads
        law = self._model
        pairs = (
            (Diode(f"{node}p", node, GROUND, law), Diode(f"{node}n", "railn", node, law))
            for node in nodes
        )
        return [diode for pair in pairs for diode in pair]


def _polarity(v: Array) -> Array:
    """−1 in the first half of the nodes and +1 in the second, in the precision of `v`."""
    return np.where(first_half(v.shape[-1]), -1, 1).astype(v.dtype)
