"""What a simulator is asked to do with a netlist, as SPICE writes it."""

import abc
from dataclasses import dataclass

import numpy as np

from .units import number


class Analysis(abc.ABC):
    """One analysis line, and the nodes whose voltages it is for."""

    nodes: tuple[str, ...]

    @abc.abstractmethod
    def lines(self) -> list[str]:
        """Its SPICE lines."""


@dataclass(frozen=True)
class OperatingPoint(Analysis):
    """The operating point, with the voltages of `nodes` printed."""

    nodes: tuple[str, ...]

    def lines(self):
        voltages = " ".join(f"v({node})" for node in self.nodes)
        return [f".save {voltages}", ".op", f".print op {voltages}"]


@dataclass(frozen=True)
class Sweep(Analysis):
    """Operating points 0 to `points` − 1 in one run, each starting from the one before; `source`, in volts, counts them."""

    nodes: tuple[str, ...]
    source: str
    points: int

    def lines(self):
        return [f".save {' '.join(f'v({node})' for node in self.nodes)}", f".dc V{self.source} 0 {self.points - 1} 1"]


@dataclass(frozen=True)
class Transient(Analysis):
    """The voltages of `nodes` from time 0, when the nodes of `start` have the voltages given there and all others 0 V, to `stop` (s).

    `step` (s) is the longest time step.
    """

    nodes: tuple[str, ...]
    step: float
    stop: float
    start: tuple[tuple[str, float], ...] = ()

    def __post_init__(self):
        for field in ("step", "stop"):
            if not (np.isfinite(getattr(self, field)) and getattr(self, field) > 0):
                raise ValueError(f"`{field}` must be finite and above 0, but is {getattr(self, field)}")
        for node, volts in self.start:
            if not np.isfinite(volts):
                raise ValueError(f"`start` must be finite, but is {volts} at {node}")

    def lines(self):
        initial = [f".ic v({node})={number(volts)}" for node, volts in self.start]
        times = f".tran {number(self.step)} {number(self.stop)} 0 {number(self.step)} uic"
        return [f".save {' '.join(f'v({node})' for node in self.nodes)}", *initial, times]


@dataclass(frozen=True)
class Noise(Analysis):
    """The noise of one node's voltage from `lowest` to `highest` (Hz), `points` a decade, referred to a source with an `ac` value.

    `source` is its SPICE name, letter included.
    """

    nodes: tuple[str]
    source: str
    lowest: float
    highest: float
    points: int = 40

    def __post_init__(self):
        if not (np.isfinite(self.highest) and 0 < self.lowest < self.highest):
            raise ValueError(
                f"`lowest` and `highest` must be finite and 0 < lowest < highest, but are {self.lowest} and {self.highest}"
            )

    def lines(self):
        return [f".noise v({self.nodes[0]}) {self.source} dec {self.points} {number(self.lowest)} {number(self.highest)}"]
