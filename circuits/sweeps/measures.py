"""What is measured of a chip: numbers of its voltages, each with its dimensions and unit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..mna.equations import Equations
from ..mna.noise import covariance
from ..netlist.netlist import Netlist
from ..simulators.datasets import certified_point
from ..topologies.layered import decisions
from .subjects import Samples, Subject

STATUSES = ("ok", "uncertified", "saddle", "failed", "absent")
"""What a point may be, by its number in a file; `absent` is one that the axes' values at its place do not have."""


@dataclass(frozen=True)
class Variable:
    """A quantity of a dataset: its dimensions within a chip, its unit, and what it is.

    `missing` stands where there is no value. `tidy` makes one number of a chip's, where a table has room for no more.
    """

    dims: tuple[str, ...]
    units: str
    what: str
    missing: float = np.nan
    dtype: str = "f8"
    tidy: Callable[[np.ndarray], Any] | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One simulated chip: `voltage` (phases, samples, nodes) in V as it is read, NaN where a point is not certified, and what made it.

    `answer` are the same voltages as the simulator gave them, `point` (samples, all free nodes) the free phase's of the whole circuit.
    """

    subject: Subject
    samples: Samples
    betas: Sequence[float]
    netlist: Netlist
    drives: Mapping[str, np.ndarray]
    answer: np.ndarray
    voltage: np.ndarray
    point: np.ndarray
    expected: Callable[[], np.ndarray] = field(repr=False)

    @cached_property
    def errors(self) -> np.ndarray:
        """The free phase's voltages less the reference (samples, nodes) in V."""
        return self.voltage[0] - self.expected()

    @cached_property
    def decisions(self) -> np.ndarray:
        """The class of the largest output (samples,); −1 where there is no certified answer."""
        return decisions(self.subject.outputs_of(self.voltage[0]))


@dataclass(frozen=True)
class Measure:
    """What a measure gives, how, and what it needs of a sweep: `outputs`, `classes`, `nudge`, `capacitances`."""

    gives: Mapping[str, Variable]
    of: Callable[[Trial], Mapping[str, Any]]
    needs: frozenset[str] = frozenset()


def _voltages(trial: Trial) -> dict[str, Any]:
    return {"voltage": trial.answer}


def _node_errors(trial: Trial) -> dict[str, Any]:
    found = trial.errors
    return {
        "node_error": _root_mean_square(found),
        "largest_error": np.max(np.abs(found), axis=1, initial=0.0),
    }


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    """Over the first dimension, of the values that are known; NaN where none is."""
    known = np.isfinite(values)
    total, count = np.sum(np.where(known, values, 0.0) ** 2, axis=0), known.sum(0)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan)


def _whole(values: np.ndarray) -> float:
    return float(_root_mean_square(values.ravel()))


def _decisions(trial: Trial) -> dict[str, Any]:
    return {"decision": trial.decisions}


def _accuracy(trial: Trial) -> dict[str, Any]:
    return {"accuracy": float(np.mean(trial.decisions == trial.samples.classes))}


def _gradient_cosine(trial: Trial) -> dict[str, Any]:
    if not np.isfinite(trial.voltage).all():
        return {"gradient_cosine": np.nan}
    return {
        "gradient_cosine": trial.subject.gradient_cosine(trial.samples, trial.betas, trial.voltage)
    }


def _noise(trial: Trial) -> dict[str, Any]:
    """Of the outputs, at the operating point of each sample without a nudge."""
    outputs, phases = trial.subject.outputs, len(trial.betas)
    found = np.full((len(trial.samples), len(outputs)), np.nan)
    for sample, point in enumerate(trial.point):
        if np.isfinite(point).all():
            own = {
                name: column[sample * phases : sample * phases + 1]
                for name, column in trial.drives.items()
            }
            free = Equations.of(trial.netlist).free
            at = certified_point(free, point)
            found[sample] = np.sqrt(np.diag(covariance(trial.netlist, own, at, nodes=outputs)))
    return {"noise": found}


ALWAYS = {
    "status": Variable(
        ("phase", "sample"), "1", "whether the point is certified", STATUSES.index("absent"), "i1"
    ),
    "correction": Variable(
        ("phase", "sample"), "V", "largest component of the certificate's Newton step"
    ),
    "attempts": Variable((), "1", "how many times the chip was simulated", 0, "i1"),
}
MEASURES = {
    "voltages": Measure(
        {"voltage": Variable(("phase", "sample", "node"), "V", "voltage of the node")}, _voltages
    ),
    "node_errors": Measure(
        {
            "node_error": Variable(
                ("node",),
                "V",
                "root mean square over the samples of the distance to the reference",
                tidy=_whole,
            ),
            "largest_error": Variable(
                ("sample",), "V", "largest distance of a node to the reference", tidy=np.max
            ),
        },
        _node_errors,
    ),
    "decisions": Measure(
        {
            "decision": Variable(
                ("sample",), "1", "class of the largest output, -1 where none", -1, "i4"
            )
        },
        _decisions,
        frozenset({"outputs"}),
    ),
    "accuracy": Measure(
        {
            "accuracy": Variable(
                (), "1", "share of the samples decided right; one without an answer is not"
            )
        },
        _accuracy,
        frozenset({"outputs", "classes"}),
    ),
    "gradient_cosine": Measure(
        {
            "gradient_cosine": Variable(
                (), "1", "cosine of the circuit's gradient and the model's exact one"
            )
        },
        _gradient_cosine,
        frozenset({"nudge"}),
    ),
    "noise": Measure(
        {
            "noise": Variable(
                ("sample", "output"), "V", "standard deviation of the output's noise", tidy=_whole
            )
        },
        _noise,
        frozenset({"outputs", "capacitances"}),
    ),
}
