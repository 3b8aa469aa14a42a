"""What a simulator is asked to do with a netlist, as SPICE writes it."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..elements.base import check_name
from ..units import number


class Analysis(abc.ABC):
    """One analysis line, the nodes whose voltages it is for, and the elements whose currents."""

    nodes: tuple[str, ...]
    branches: tuple[str, ...] = ()
    saves: ClassVar[bool] = True
    """Whether it keeps what `.save` names."""

    @abc.abstractmethod
    def line(self) -> str:
        """Its SPICE line, or lines."""


def analysis_lines(analyses: tuple[Analysis, ...]) -> list[str]:
    """The SPICE lines of analyses: what is saved, and each line."""
    kept = [
        f"v({node})"
        for node in dict.fromkeys(node for a in analyses if a.saves for node in a.nodes)
    ]
    kept += [
        f"{name.lower()}#branch"
        for name in dict.fromkeys(name for a in analyses if a.saves for name in a.branches)
    ]
    return [*([f".save {' '.join(kept)}"] if kept else []), *(a.line() for a in analyses)]


def _positive(analysis: Analysis, *names: str) -> None:
    for name in names:
        if not (np.isfinite(getattr(analysis, name)) and getattr(analysis, name) > 0):
            raise ValueError(
                f"`{name}` must be finite and above 0, but is {getattr(analysis, name)}"
            )


@dataclass(frozen=True)
class OperatingPoint(Analysis):
    """The operating point, printed besides."""

    nodes: tuple[str, ...]
    branches: tuple[str, ...] = ()

    def line(self):
        return "\n".join([".op", f".print op {' '.join(f'v({node})' for node in self.nodes)}"])


@dataclass(frozen=True)
class DcSweep(Analysis):
    """Operating points with the source of SPICE name `source` at `first` to `last` by `step`, each starting from the one before."""

    nodes: tuple[str, ...]
    source: str
    first: float
    last: float
    step: float
    branches: tuple[str, ...] = ()

    def __post_init__(self):
        check_name(self.source)
        if (
            not np.isfinite([self.first, self.last, self.step]).all()
            or self.step == 0
            or (self.last - self.first) / self.step < 0
        ):
            raise ValueError(
                f"`step` must lead from `first` to `last`, but they are {self.step}, {self.first} and {self.last}"
            )

    @property
    def values(self) -> np.ndarray:
        """The values of the source."""
        return self.first + self.step * np.arange(
            int(np.floor((self.last - self.first) / self.step * (1 + 1e-12) + 1e-9)) + 1
        )

    def line(self):
        return f".dc {self.source} {number(self.first)} {number(self.last)} {number(self.step)}"


@dataclass(frozen=True)
class Transient(Analysis):
    """The voltages from time 0, when the nodes of `start` have the voltages given there and all others 0 V, to `stop` (s).

    `step` (s) is the longest time step. Without `from_start` it starts from the operating point instead.
    """

    nodes: tuple[str, ...]
    step: float
    stop: float
    start: tuple[tuple[str, float], ...] = ()
    from_start: bool = True
    branches: tuple[str, ...] = ()

    def __post_init__(self):
        _positive(self, "step", "stop")
        for node, volts in self.start:
            if not np.isfinite(volts):
                raise ValueError(f"`start` must be finite, but is {volts} at {node}")

    def line(self):
        initial = [f".ic v({node})={number(volts)}" for node, volts in self.start]
        times = f".tran {number(self.step)} {number(self.stop)} 0 {number(self.step)}" + (
            " uic" if self.from_start else ""
        )
        return "\n".join([*initial, times])


class _Decades(Analysis):
    lowest: float
    highest: float
    points: int

    def __post_init__(self):
        if not (np.isfinite(self.highest) and 0 < self.lowest < self.highest):
            raise ValueError(
                f"`lowest` and `highest` must be finite and 0 < lowest < highest, but are {self.lowest} and {self.highest}"
            )
        if self.points < 1:
            raise ValueError(f"`points` must be 1 or more, but is {self.points}")

    @property
    def _range(self) -> str:
        return f"dec {self.points} {number(self.lowest)} {number(self.highest)}"


@dataclass(frozen=True)
class Noise(_Decades):
    """The noise of one node's voltage from `lowest` to `highest` (Hz), `points` a decade, referred to a source with an `ac` value.

    `source` is its SPICE name, letter included.
    """

    saves = False
    nodes: tuple[str]
    source: str
    lowest: float
    highest: float
    points: int = 40

    def line(self):
        return f".noise v({self.nodes[0]}) {self.source} {self._range}"


@dataclass(frozen=True)
class SmallSignal(_Decades):
    """The response to the sources' `ac` values from `lowest` to `highest` (Hz), `points` a decade (SPICE's `.ac`)."""

    nodes: tuple[str, ...]
    lowest: float
    highest: float
    points: int = 10
    branches: tuple[str, ...] = ()

    def line(self):
        return f".ac {self._range}"
