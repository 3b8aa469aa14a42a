"""What is swept: a circuit, the sources that its samples drive, and what it should settle to."""

import abc
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..mna.equations import Equations, values_of
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist
from ..simulators import Simulator


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples: `values` of a netlist's sources by SPICE name, (samples,) each, or the inputs `x` (samples, inputs) of a network.

    `labels`: the class of each sample, or, for a network, its targets (samples, outputs); `None` where nothing is known of them.
    """

    values: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return max((len(column) for column in self.values.values()), default=1)

    @property
    def classes(self) -> np.ndarray | None:
        """The labels where they are classes."""
        return self.labels if self.labels is not None and self.labels.ndim == 1 else None

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all of it."""
        whole = hashlib.sha256()
        for name, array in {
            **self.values,
            **({} if self.labels is None else {"": self.labels}),
        }.items():
            plain = np.ascontiguousarray(array)
            whole.update(f"{name} {plain.dtype.str} {plain.shape};".encode() + plain.tobytes())
        return whole.hexdigest()


class Subject(abc.ABC):
    """A circuit that is swept. `nodes` are those whose voltages count, `outputs` the names of what decides."""

    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    is_model: bool = False

    @abc.abstractmethod
    def netlist(self) -> Netlist:
        """Its nominal circuit."""

    @abc.abstractmethod
    def digest(self) -> str:
        """The SHA-256 of all that the numbers of a sweep depend on."""

    @abc.abstractmethod
    def phased(
        self, netlist: Netlist, samples: Samples, betas: Sequence[float]
    ) -> tuple[Netlist, dict[str, np.ndarray]]:
        """A netlist with what nudges it, and its drives (samples · phases,), the phases of a sample one after the other."""

    @abc.abstractmethod
    def outputs_of(self, voltage: np.ndarray) -> np.ndarray:
        """Outputs (samples, outputs) of the voltages (samples, nodes)."""

    @abc.abstractmethod
    def reference(
        self, samples: Samples, simulator: Simulator, temperature: float | None
    ) -> np.ndarray:
        """The voltages (samples, nodes) in V that the circuit should have without a nudge; NaN where they are not known."""

    @abc.abstractmethod
    def gradient_cosine(
        self, samples: Samples, betas: Sequence[float], voltage: np.ndarray
    ) -> float:
        """The cosine of equilibrium propagation's gradient from voltages (phases, samples, nodes) and the exact one of the model."""

    @abc.abstractmethod
    def check(self, samples: Samples, betas: Sequence[float]) -> None:
        """Raises `ValueError` where the samples do not fit, or a nudge has no minimum."""


@dataclass(frozen=True, eq=False)
class Deck(Subject):
    """A netlist without a model: what it should settle to is the netlist itself, without variation."""

    circuit: Netlist
    outputs: tuple[str, ...] = ()

    def __post_init__(self):
        self.circuit.check()
        self.circuit.require_nodes(self.outputs, "outputs")
        object.__setattr__(self, "nodes", Equations.of(self.circuit).free)
        if fixed := set(self.outputs).difference(self.nodes):
            raise ValueError(
                f"`outputs` must be nodes that no source holds, but {sorted(fixed)} are held"
            )

    def netlist(self):
        return self.circuit

    def digest(self):
        return hashlib.sha256(f"{self.circuit.spice()}{self.outputs}".encode()).hexdigest()

    def phased(self, netlist, samples, betas):
        del betas
        return netlist, dict(samples.values)

    def outputs_of(self, voltage):
        return voltage[:, [self.nodes.index(node) for node in self.outputs]]

    def reference(self, samples, simulator, temperature):
        answer = simulator.operating_points(
            *reduce(at_temperature(self.circuit, temperature), dict(samples.values))
        )
        found = answer.voltage.sel(node=list(self.nodes)).values
        return np.where((answer.status.values == "ok")[:, None], found, np.nan)

    def gradient_cosine(self, samples, betas, voltage):
        raise ValueError(
            "the measure 'gradient_cosine' needs a network with a model, but the sweep is of a netlist"
        )

    def check(self, samples, betas):
        if len(betas) > 1:
            raise ValueError(
                "`beta` nudges the outputs of a network with a cost, but the sweep is of a netlist"
            )
        values_of(samples.values, self.circuit)
        if samples.classes is None and samples.labels is not None:
            raise ValueError(
                f"labels of a netlist's samples must be classes (samples,), but have shape {samples.labels.shape}"
            )


def at_temperature(netlist: Netlist, kelvin: float | None) -> Netlist:
    """The netlist at a temperature in K; as it is where none is given."""
    return netlist if kelvin is None else replace(netlist, temperature=kelvin)
