"""Shockley diodes at the hidden nodes of a network: in pairs, or one at each node."""

from dataclasses import dataclass

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.diodes import Diode, DiodeModel, Junction
from ..elements.sources import VoltageSource
from ..units import GMIN, ROOM, Array, check_number, check_temperature
from .base import Device, first_half
from .ideal import IdealDiodes, IdealPair


class JunctionDevice(Device):
    """Diodes of one law between the nodes and rails at ±`bias`.

    **Arguments:**

    - `saturation`: Is at 300.15 K, in A.
    - `bias`: of the rails, in V.
    - `emission`: N, a pure number.
    - `gmin`: the conductance that SPICE puts across a junction, in S.
    - `temperature`: of the circuit, in K.

    Numbers may be arrays, which learn.

    **Raises** `ValueError` as `Junction` does, for a bias that is not finite, and for a
    temperature that is not above 0.
    """

    saturation: float
    bias: float
    emission: float
    gmin: float

    def __post_init__(self):
        check_temperature(self.temperature)
        for field in ("saturation", "bias", "emission", "gmin"):
            if isinstance(value := getattr(self, field), np.number):
                # A scalar of NumPy is meant as a plain number, which does not learn.
                object.__setattr__(self, field, float(value))
        _ = self.junction  # which checks the parameters
        if not hasattr(self.bias, "shape"):
            check_number(self.bias, "bias", "finite")

    @property
    def junction(self) -> Junction:
        """Return the law of each diode at the temperature."""
        return self._model.at(self.temperature)

    @property
    def _model(self) -> DiodeModel:
        """Return the law of each diode at 300.15 K, as a netlist states it."""
        return DiodeModel(self.saturation, self.emission, self.gmin)

    def rails(self):
        return [
            VoltageSource("railp", "railp", GROUND, self.bias),
            VoltageSource("railn", "railn", GROUND, 0.0 - self.bias),
        ]


@dataclass(frozen=True)
class DiodePair(JunctionDevice):
    """Two antiparallel diodes at every node (Kendall et al. 2020, arXiv:2006.01981).

    i(v) = j(v − bias) − j(−v − bias)

    with the law j of a `Junction`, each diode going to a rail: little current flows until |v|
    passes `bias` and a diode's own voltage. Arguments and errors are those of `JunctionDevice`,
    besides `bias`, the voltage of the rails in V.
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
        """Return the same pair with diodes that drop no voltage."""
        return IdealPair(self.bias)

    def describe(self):
        return (
            f"a diode to railp (+{self.bias} V) and one from railn (-{self.bias} V); "
            f"Is = {self.saturation} A, N = {self.emission}"
        )

    def elements(self, nodes, loads):
        del loads
        return _pairs(nodes, "railp", self._model)


@dataclass(frozen=True)
class SingleDiode(JunctionDevice):
    """One diode at every node: the soft form of `IdealDiodes`.

    i(v) = −j(−v − bias) in the first half of a layer, whose diodes come from the rail at −bias,

    i(v) = j(v − bias) in the second half, whose diodes go to the rail at +bias,

    with the law j of a `Junction`. Within a diode's own voltage the first half is so held at or
    above −bias and the second at or below bias. Arguments and errors are those of `JunctionDevice`,
    besides `bias`, in V and of either sign; a negative one makes up for the diodes' voltage.
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
        """Return the same diodes without a voltage of their own."""
        return IdealDiodes(self.bias)

    def describe(self):
        return (
            f"a diode, in the first half of a layer from railn ({0.0 - self.bias} V), "
            f"in the second to railp ({self.bias} V); "
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
    """A diode from every node to ground that conducts forward, and in reverse beyond breakdown.

    i(v) = j(v) − j(−v − bias)

    with the law j of a `Junction`: the breakdown is a second junction, behind a rail at −`bias`,
    and as steep as the first. Arguments and errors are those of `JunctionDevice`, besides `bias`,
    the breakdown voltage in V, above 0.
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
            f"a Zener diode to ground, which breaks down at {self.bias} V (a second one from "
            f"railn); Is = {self.saturation} A, N = {self.emission}"
        )

    def elements(self, nodes, loads):
        del loads
        return _pairs(nodes, GROUND, self._model)


def _pairs(nodes: tuple[str, ...], end: str, law: DiodeModel) -> list[Element]:
    """Return at each node a diode to the node `end`, and one from railn."""
    pairs = (
        (Diode(f"{node}p", node, end, law), Diode(f"{node}n", "railn", node, law)) for node in nodes
    )
    return [diode for pair in pairs for diode in pair]


def _polarity(v: Array) -> Array:
    """Return −1 in the first half of the nodes and +1 in the second, in the precision of `v`."""
    return np.where(first_half(v.shape[-1]), -1, 1).astype(v.dtype)
