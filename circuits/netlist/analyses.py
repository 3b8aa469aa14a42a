"""What a simulator is asked to do with a netlist, as SPICE writes it."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..elements.base import check_name
from ..units import number


class Analysis(abc.ABC):
    """One analysis line, the nodes whose voltages it is for, and the elements whose currents."""

    nodes: tuple[str, ...]
    branches: tuple[str, ...] = ()
    saves: ClassVar[bool] = True
    """Whether it keeps what `.save` names."""

    def with_nodes(self, names: Mapping[str, str]) -> "Analysis":
        """Return it for nodes of other names; those that `names` does not hold stay."""
        analysis: Any = self
        return replace(analysis, nodes=tuple(names.get(node, node) for node in self.nodes))

    @abc.abstractmethod
    def line(self) -> str:
        """Return its SPICE line, or lines."""


def analysis_lines(analyses: tuple[Analysis, ...]) -> list[str]:
    """Return the SPICE lines of analyses: what is saved, and the line of each."""
    saving = [analysis for analysis in analyses if analysis.saves]
    nodes = dict.fromkeys(node for analysis in saving for node in analysis.nodes)
    branches = dict.fromkeys(name for analysis in saving for name in analysis.branches)
    kept = [f"v({node})" for node in nodes] + [saved_current(name) for name in branches]
    save = [f".save {' '.join(kept)}"] if kept else []
    return [*save, *(analysis.line() for analysis in analyses)]


def saved_current(name: str) -> str:
    """Return how `.save` names the current of an element, by its SPICE name.

    Sources of voltages and inductors have a branch, all others an output of their device.
    """
    key = name.lower()
    return f"@{key}[{_OUTPUTS[key[:1]]}]" if key[:1] in _OUTPUTS else f"{key}#branch"


_OUTPUTS = {"c": "i", "d": "id", "m": "id"}


def _positive(analysis: Analysis, *names: str) -> None:
    """Raise `ValueError` where one of the numbers called `names` is not finite and above 0."""
    for name in names:
        if not (np.isfinite(getattr(analysis, name)) and getattr(analysis, name) > 0):
            raise ValueError(
                f"`{name}` must be finite and above 0, but is {getattr(analysis, name)}"
            )


@dataclass(frozen=True)
class OperatingPoint(Analysis):
    """The operating point, printed besides (SPICE's `.op`).

    **Arguments:** `nodes`: whose voltages are kept. `branches`: the SPICE names of voltage sources
    whose currents are kept.
    """

    nodes: tuple[str, ...]
    branches: tuple[str, ...] = ()

    def line(self):
        return "\n".join([".op", f".print op {' '.join(f'v({node})' for node in self.nodes)}"])


TEMPERATURE = "temp"
"""What is swept by this name is the circuit's temperature, in °C."""


@dataclass(frozen=True)
class DcSweep(Analysis):
    """Operating points at many values of a source, each starting from the one before (`.dc`).

    **Arguments:**

    - `nodes`: whose voltages are kept. `branches`: the SPICE names of voltage sources whose
      currents are kept.
    - `source`: the SPICE name of the source, letter included; or of a resistor, or `TEMPERATURE`.
    - `first`, `last`, `step`: its values in V, A, Ω or °C.
    - `outer`: a sweep for each of whose values this one is done; None for none.

    **Raises** `ValueError` where `step` does not lead from `first` to `last`.
    """

    nodes: tuple[str, ...]
    source: str
    first: float
    last: float
    step: float
    branches: tuple[str, ...] = ()
    outer: "DcSweep | None" = None

    def __post_init__(self):
        check_name(self.source)
        if (
            not np.isfinite([self.first, self.last, self.step]).all()
            or self.step == 0
            or (self.last - self.first) / self.step < 0
        ):
            raise ValueError(
                "`step` must lead from `first` to `last`, "
                f"but they are {self.step}, {self.first} and {self.last}"
            )

    @property
    def values(self) -> np.ndarray:
        """The values of the source in V or A, of a resistor in Ω, of the temperature in °C."""
        steps = (self.last - self.first) / self.step
        return self.first + self.step * np.arange(int(np.floor(steps * (1 + 1e-12) + 1e-9)) + 1)

    def line(self):
        sweeps = [self, *([self.outer] if self.outer is not None else [])]
        words = (
            f"{sweep.source} {number(sweep.first)} {number(sweep.last)} {number(sweep.step)}"
            for sweep in sweeps
        )
        return f".dc {' '.join(words)}"


@dataclass(frozen=True)
class Transient(Analysis):
    """The voltages from time 0 to `stop` (SPICE's `.tran`).

    **Arguments:**

    - `nodes`: whose voltages are kept. `branches`: the SPICE names of voltage sources whose
      currents are kept.
    - `step`: the longest time step in s. `stop`: the last time in s.
    - `start`: nodes and their voltages in V at time 0; all others are at 0 V.
    - `from_start`: whether it starts there (`uic`), not at the operating point, in which the nodes
      of `start` are held.
    - `kept_from`: the time in s before which nothing is kept.

    **Raises** `ValueError` where a time is not finite and above 0, or a voltage not finite.
    """

    nodes: tuple[str, ...]
    step: float
    stop: float
    start: tuple[tuple[str, float], ...] = ()
    from_start: bool = True
    branches: tuple[str, ...] = ()
    kept_from: float = 0.0

    def __post_init__(self):
        _positive(self, "step", "stop")
        if not 0 <= self.kept_from < self.stop:
            raise ValueError(f"`kept_from` must be from 0 to below `stop`, but is {self.kept_from}")
        for node, volts in self.start:
            if not np.isfinite(volts):
                raise ValueError(f"`start` must be finite, but is {volts} at {node}")

    def with_nodes(self, names):
        start = tuple((names.get(node, node), volts) for node, volts in self.start)
        analysis: Any = super().with_nodes(names)
        return replace(analysis, start=start)

    def line(self):
        initial = [f".ic v({node})={number(volts)}" for node, volts in self.start]
        kept_from = number(self.kept_from) if self.kept_from else "0"
        times = f".tran {number(self.step)} {number(self.stop)} {kept_from} {number(self.step)}"
        return "\n".join([*initial, times + (" uic" if self.from_start else "")])


SPACINGS = {"dec": "a decade", "oct": "an octave", "lin": "in all"}
"""How the frequencies of an analysis may lie, and what its points are counted for."""


class _OverFrequency(Analysis):
    """An analysis at frequencies from `lowest` to `highest` in Hz, `points` for each `spacing`."""

    lowest: float
    highest: float
    points: int
    spacing: str

    def __post_init__(self):
        if self.spacing not in SPACINGS:
            raise ValueError(
                f"`spacing` must be one of {', '.join(SPACINGS)}, but is {self.spacing!r}"
            )
        one = self.spacing == "lin" and 0 < self.lowest == self.highest
        if not (np.isfinite(self.highest) and (one or 0 < self.lowest < self.highest)):
            raise ValueError(
                "`lowest` and `highest` must be finite and 0 < lowest < highest, "
                f"but are {self.lowest} and {self.highest}"
            )
        if self.points < 1:
            raise ValueError(f"`points` must be 1 or more, but is {self.points}")

    @property
    def _range(self) -> str:
        """The frequencies as SPICE writes them."""
        return f"{self.spacing} {self.points} {number(self.lowest)} {number(self.highest)}"


@dataclass(frozen=True)
class Noise(_OverFrequency):
    """The noise of one node's voltage, referred to a source with an `ac` value (`.noise`).

    **Arguments:**

    - `nodes`: the node. `source`: the SPICE name of the source, letter included.
    - `lowest`, `highest`: frequencies in Hz. `points`: 1 or more, for each `spacing`, a name of
      `SPACINGS`.

    **Raises** `ValueError` where not 0 < lowest < highest, or `points` is below 1.
    """

    saves = False
    nodes: tuple[str]
    source: str
    lowest: float
    highest: float
    points: int = 40
    spacing: str = "dec"

    def line(self):
        return f".noise v({self.nodes[0]}) {self.source} {self._range}"


@dataclass(frozen=True)
class SmallSignal(_OverFrequency):
    """The response to the sources' `ac` values (SPICE's `.ac`).

    **Arguments:**

    - `nodes`: whose voltages are kept. `branches`: the SPICE names of voltage sources whose
      currents are kept.
    - `lowest`, `highest`: frequencies in Hz. `points`: 1 or more, for each `spacing`, a name of
      `SPACINGS`.

    **Raises** `ValueError` where not 0 < lowest < highest, or `points` is below 1.
    """

    nodes: tuple[str, ...]
    lowest: float
    highest: float
    points: int = 10
    branches: tuple[str, ...] = ()
    spacing: str = "dec"

    def __post_init__(self):
        super().__post_init__()
        steps = self.points * np.log10(self.highest / self.lowest)
        if self.spacing == "dec" and steps < 1 - 1e-9:
            raise ValueError(
                "`points` must be so many a decade that there is a step from `lowest` to "
                f"`highest`, but are {self.points} from {self.lowest} to {self.highest} Hz"
            )

    def line(self):
        return f".ac {self._range}"
