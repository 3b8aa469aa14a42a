"""What is measured of a chip: numbers from its voltages, each with its dimensions and its unit."""

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
from .swept_circuits import Samples, SweptCircuit

STATUSES = ("ok", "uncertified", "saddle", "failed", "absent")
"""What an operating point may be, by its number in a file.

`absent` is one that the values of the axes at its place do not have.
"""


@dataclass(frozen=True)
class Variable:
    """A variable of a sweep's dataset.

    **Arguments:**

    - `dims`: its dimensions within a chip, among `phase`, `sample`, `node` and `output`.
    - `units`: its unit; `1` for a number without one.
    - `description`: what it is.
    - `missing`: what stands where there is no value.
    - `dtype`: NumPy's name of its type.
    - `summary`: makes one number of a chip's values, for tables; `None` where there is no such
      number.
    """

    dims: tuple[str, ...]
    units: str
    description: str
    missing: float = np.nan
    dtype: str = "f8"
    summary: Callable[[np.ndarray], Any] | None = None

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return its shape for a chip.

        **Arguments:**

        - `sizes`: the length of each dimension.
        """
        return tuple(sizes[dim] for dim in self.dims)


@dataclass(frozen=True, eq=False)
class SimulatedChip:
    """A chip that was simulated, and what it was made from.

    **Arguments:**

    - `circuit`: what is swept.
    - `samples`: the samples, and what is known of them.
    - `betas`: the nudge of each phase, the first of which is 0.
    - `netlist`: of the chip, reduced.
    - `drives`: by SPICE name, the values of its sources (samples · phases,) in V or A.
    - `simulated`: voltages (phases, samples, nodes) in V as the simulator gave them.
    - `voltage`: the same as they are read, by a converter for instance; NaN where not certified.
    - `free_points`: voltages (samples, all free nodes of `netlist`) in V of the free phase; NaN
      where not certified.
    - `reference`: returns the voltages (samples, nodes) in V that the free phase should have.
    """

    circuit: SweptCircuit
    samples: Samples
    betas: Sequence[float]
    netlist: Netlist
    drives: Mapping[str, np.ndarray]
    simulated: np.ndarray
    voltage: np.ndarray
    free_points: np.ndarray
    reference: Callable[[], np.ndarray] = field(repr=False)

    @cached_property
    def errors(self) -> np.ndarray:
        """The voltages of the free phase less the reference (samples, nodes) in V."""
        return self.voltage[0] - self.reference()

    @cached_property
    def decisions(self) -> np.ndarray:
        """The class of the largest output (samples,); −1 where there is no certified answer."""
        return decisions(self.circuit.output_voltages(self.voltage[0]))


@dataclass(frozen=True)
class Measure:
    """A measure that a declaration may ask for by name.

    **Arguments:**

    - `variables`: what it adds to the dataset.
    - `evaluate`: returns the values of these for a chip.
    - `needs`: what a sweep must have for it, among `outputs`, `classes`, `nudge`, `capacitances`.
    """

    variables: Mapping[str, Variable]
    evaluate: Callable[[SimulatedChip], Mapping[str, Any]]
    needs: frozenset[str] = frozenset()


def _voltages(chip: SimulatedChip) -> dict[str, Any]:
    return {"voltage": chip.simulated}


def _node_errors(chip: SimulatedChip) -> dict[str, Any]:
    return {
        "node_error": _root_mean_square(chip.errors),
        "largest_error": np.max(np.abs(chip.errors), axis=1, initial=0.0),
    }


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    """Return √⟨x²⟩ over the first dimension, of the values that are known; NaN where none is."""
    known = np.isfinite(values)
    total, count = np.sum(np.where(known, values, 0.0) ** 2, axis=0), known.sum(0)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan)


def _root_mean_square_of_all(values: np.ndarray) -> float:
    return float(_root_mean_square(values.ravel()))


def _decisions(chip: SimulatedChip) -> dict[str, Any]:
    return {"decision": chip.decisions}


def _accuracy(chip: SimulatedChip) -> dict[str, Any]:
    return {"accuracy": float(np.mean(chip.decisions == chip.samples.classes))}


def _gradient_cosine(chip: SimulatedChip) -> dict[str, Any]:
    if not np.isfinite(chip.voltage).all():
        return {"gradient_cosine": np.nan}
    cosine = chip.circuit.gradient_cosine(chip.samples, chip.betas, chip.voltage)
    return {"gradient_cosine": cosine}


def _noise(chip: SimulatedChip) -> dict[str, Any]:
    """Return the noise of the outputs at the operating point of each sample without a nudge."""
    outputs, phases = chip.circuit.outputs, len(chip.betas)
    deviations = np.full((len(chip.samples), len(outputs)), np.nan)
    for sample, point in enumerate(chip.free_points):
        if np.isfinite(point).all():
            free = slice(sample * phases, sample * phases + 1)
            drives = {name: column[free] for name, column in chip.drives.items()}
            at = certified_point(Equations.of(chip.netlist).free, point)
            variances = np.diag(covariance(chip.netlist, drives, at, nodes=outputs))
            deviations[sample] = np.sqrt(variances)
    return {"noise": deviations}


COMMON_VARIABLES = {
    "status": Variable(
        ("phase", "sample"), "1", "whether the point is certified", STATUSES.index("absent"), "i1"
    ),
    "correction": Variable(
        ("phase", "sample"), "V", "largest component of the certificate's Newton step"
    ),
    "attempts": Variable((), "1", "how many times the chip was simulated", 0, "i1"),
}
"""What every chip has, whatever is measured."""

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
                summary=_root_mean_square_of_all,
            ),
            "largest_error": Variable(
                ("sample",), "V", "largest distance of a node to the reference", summary=np.max
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
                ("sample", "output"),
                "V",
                "standard deviation of the output's noise",
                summary=_root_mean_square_of_all,
            )
        },
        _noise,
        frozenset({"outputs", "capacitances"}),
    ),
}
"""The measures by the names that a declaration has for them."""


def variables_of(measures: Sequence[str]) -> dict[str, Variable]:
    """Return the variables of every chip, by name.

    **Arguments:**

    - `measures`: names of `MEASURES`.
    """
    measured = {
        name: variable
        for measure in measures
        for name, variable in MEASURES[measure].variables.items()
    }
    return COMMON_VARIABLES | measured
