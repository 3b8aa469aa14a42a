"""Published devices as variations, by name and version. What a version draws never changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..elements.base import did_you_mean
from .base import Variation
from .components import ThresholdMismatch
from .conductances import Bounds, DeviceToDevice, Levels, StuckAt, Within
from .drift import Drift, Logarithmic, ReadNoise
from .programming import Programming, ProgrammingNoise, StepNoise


@dataclass(frozen=True)
class Preset(Variation):
    """A published device; a variation itself, whose chips are made of such devices.

    **Arguments:**

    - `name`: with its version, as "rram-wan2022@1".
    - `lowest`, `highest`: the bounds of its conductance, in S.
    - `variation`: what happens to the conductances.
    - `source`: the publication of its figures.
    """

    name: str
    lowest: float
    highest: float
    variation: Variation
    source: str

    def parts(self):
        return self.variation.parts()

    def times(self, factor: float) -> "Preset":
        """Return a device like this one with `factor` times its spreads (`Variation.times`)."""
        return replace(
            self,
            name=f"{self.name}, {factor:g} times its spread",
            variation=self.variation.times(factor),
        )


def pcm_nandakumar2019(seconds: float = 20.0) -> Preset:
    """Return phase-change memory, mushroom cells of 90 nm (Nandakumar et al. 2018, 2019).

    J. Appl. Phys. 124, 152135 (2018); ICECS (2019). With g = G/25 µS,

    - programming: σ = 0.263 + 1.965 g − 1.173 g² µS;
    - drift from 20 s on: ν = −0.0155 ln g + 0.0244 within 0.049 and 0.1, of a spread
      −0.0125 ln g − 0.0059 within 0.008 and 0.045;
    - reading: q = min(0.0088 g^−0.65, 0.2) √ln((t + τ)/2τ), τ = 250 ns.

    **Arguments:**

    - `seconds`: t, the time since programming, in s, 20 or more.

    **Raises** `ValueError` for less.
    """
    highest, pulse = 25e-6, 250e-9
    growth = float(np.sqrt(np.log((seconds + pulse) / (2 * pulse))))
    variation = (
        Within(highest)
        + ProgrammingNoise(highest, tuple(c / 25 for c in (0.263, 1.965, -1.173)))
        + Drift(
            seconds,
            Logarithmic(-0.0155, 0.0244, 0.049, 0.1),
            Logarithmic(-0.0125, -0.0059, 0.008, 0.045),
            20.0,
            highest,
        )
        + ReadNoise(0.0088 * growth, 0.65, highest, 0.2 * growth)
    )
    return Preset("pcm-nandakumar2019@1", 0.0, highest, variation, "Nandakumar et al. 2018, 2019")


def rram_wan2022(days: int = 0) -> Preset:
    """Return resistive memory of the NeuRRAM chip (Wan et al., Nature 608, 504, 2022).

    Relaxation after write-and-verify, by a polynomial of degree 4 in G/40 µS fitted to the points
    of extended data figure 3: its highest value is 5.5 % of 40 µS after 1 s, and 10 % after 1 and 2
    days; read noise 1 % of 40 µS, whatever the conductance.

    **Arguments:**

    - `days`: since programming: 0 (after 1 s), 1 or 2.

    **Raises** `ValueError` for other days.
    """
    highest = 40e-6
    micro = {
        0: (0.348, 16.030, -43.853, 45.393, -16.815),
        1: (0.701, 22.086, -50.773, 47.095, -16.458),
        2: (0.782, 20.274, -43.507, 37.062, -11.934),
    }
    if days not in micro:
        raise ValueError(f"`days` must be 0, 1 or 2, as published, but is {days}")
    variation = (
        Within(highest)
        + ProgrammingNoise(highest, tuple(c / 40 for c in micro[days]))
        + ReadNoise(0.01, 1.0, highest)
    )
    return Preset("rram-wan2022@1", 0.0, highest, variation, "Wan et al. 2022")


def rram_milo2021() -> Preset:
    """Return resistive memory with optimised multi-level programming (Milo et al., IRPS 2021).

    From 50 to 225 µS, programmed with σ = 4.78 − 0.0091 G/µS in µS (figure 4).
    """
    highest = 225e-6
    return Preset(
        "rram-milo2021@1",
        50e-6,
        highest,
        Within(highest, 50e-6) + ProgrammingNoise(highest, (4.78 / 225, -0.0091)),
        "Milo et al. 2021",
    )


def ecram_tang2018() -> Preset:
    """Return electro-chemical memory with lithium (Tang et al., IEDM 2018).

    1000 states; steps spread by 10 % from device to device and by 30 % from cycle to cycle.
    Programmed by counting steps, so that a device's own step shows in all of its conductances. The
    range is no figure of the paper: it is 20 µS here.
    """
    highest = 20e-6
    variation = (
        Within(highest)
        + Levels(1000, highest)
        + StepNoise(0.3, 1000, highest)
        + DeviceToDevice(0.1)
    )
    return Preset("ecram-tang2018@1", 0.0, highest, variation, "Tang et al. 2018")


def rpu_gokmen2016() -> Preset:
    """Return the specification of the resistive processing unit (Gokmen & Vlasov 2016).

    Front. Neurosci. 10, 333 (2016), table 1: 1200 states; steps spread by 30 % from device to
    device and from cycle to cycle, bounds by 30 % from device to device; programmed by counting
    steps. The range is no figure of the paper: it is 20 µS here.
    """
    highest = 20e-6
    variation = (
        Within(highest)
        + Levels(1200, highest)
        + StepNoise(0.3, 1200, highest)
        + DeviceToDevice(0.3)
        + Bounds(highest, 0.3)
    )
    return Preset("rpu-gokmen2016@1", 0.0, highest, variation, "Gokmen & Vlasov 2016")


def stuck_chen2015(highest: float = 40e-6) -> Preset:
    """Return stuck devices of a 4 Mb HfO2 array (Chen et al. 2015).

    IEEE Trans. Comput. 64, 180 (2015): 9.04 % stuck on, 1.75 % stuck off.

    **Arguments:**

    - `highest`: the conductance of a device that is stuck on, in S.
    """
    return Preset(
        "stuck-chen2015@1",
        0.0,
        highest,
        Within(highest) + StuckAt(0.0904, 0.0175, highest),
        "Chen et al. 2015",
    )


def lognormal(spread: float = 0.1, highest: float = 40e-6) -> Preset:
    """Return an assumption of design studies, no published device: log-normal programming.

    **Arguments:**

    - `spread`: standard deviation over mean.
    - `highest`: the highest conductance, in S.
    """
    return Preset(
        "lognormal@1", 0.0, highest, Within(highest) + Programming(spread), "none; an assumption"
    )


class PresetsByName(dict[str, Callable[..., Preset]]):
    """Functions that return presets, by name and version."""

    def __missing__(self, name: str) -> Any:
        hint = did_you_mean(name, self) or f"; there are {', '.join(self)}"
        raise KeyError(f"no preset is called {name!r}{hint}")


PRESETS = PresetsByName(
    (make().name, make)
    for make in (
        pcm_nandakumar2019,
        rram_wan2022,
        rram_milo2021,
        ecram_tang2018,
        rpu_gokmen2016,
        stuck_chen2015,
        lognormal,
    )
)
"""Published devices by name and version: functions that return a `Preset`."""

MATCHING: dict[str, ThresholdMismatch] = {
    "mos-sky130@1": ThresholdMismatch(3.36e-9),
    "mos-sg13g2-3.9@1": ThresholdMismatch(3.9e-9),
    "mos-sg13g2-2.2@1": ThresholdMismatch(2.2e-9),
}
"""Matching of a process's transistors, by name and version: Pelgrom's A_VT.

IEEE J. Solid-State Circuits 24, 1433 (1989). 3.36 mV·µm for SkyWater's SKY130; 3.9 and 2.2 mV·µm,
the two that are given for IHP's SG13G2.
"""
