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
    """The samples of a sweep.

    **Arguments:**

    - `values`: for a netlist the values (samples,) of its sources, by SPICE name, in V or A; for a
      network its inputs `x` (samples, inputs).
    - `labels`: the class (samples,) of each sample, or for a network its targets (samples, outputs)
      in V; `None` where nothing is known of them.
    """

    values: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return max((len(column) for column in self.values.values()), default=1)

    @property
    def classes(self) -> np.ndarray | None:
        """The labels (samples,) where they are classes."""
        return self.labels if self.labels is not None and self.labels.ndim == 1 else None

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of names, types, shapes and bytes of all arrays."""
        labels = {} if self.labels is None else {"": self.labels}
        sha256 = hashlib.sha256()
        for name, array in {**self.values, **labels}.items():
            plain = np.ascontiguousarray(array)
            sha256.update(f"{name} {plain.dtype.str} {plain.shape};".encode() + plain.tobytes())
        return sha256.hexdigest()


class SweptCircuit(abc.ABC):
    """A circuit that is swept.

    `nodes` are those whose voltages are kept, `outputs` the nodes of which the highest decides, and
    `has_net` says whether a network of `eqprop` stands behind it.
    """

    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    has_net: bool = False

    @abc.abstractmethod
    def netlist(self) -> Netlist:
        """Return its nominal netlist."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 of all of it that the numbers of a sweep depend on."""

    @abc.abstractmethod
    def with_phases(
        self, netlist: Netlist, samples: Samples, betas: Sequence[float]
    ) -> tuple[Netlist, dict[str, np.ndarray]]:
        """Add to a netlist what nudges it, and return it with its drives.

        **Arguments:**

        - `netlist`: of a chip.
        - `samples`: the samples.
        - `betas`: the nudge of each phase, in the network's units.

        **Returns** the netlist, and by SPICE name the values (samples · phases,) of its sources in
        V or A, the phases of a sample one after the other.
        """

    @abc.abstractmethod
    def output_voltages(self, voltage: np.ndarray) -> np.ndarray:
        """Return the outputs (samples, outputs) in V.

        **Arguments:**

        - `voltage`: of all nodes, (samples, nodes), in V.
        """

    @abc.abstractmethod
    def reference(
        self, samples: Samples, simulator: Simulator, temperature: float | None
    ) -> np.ndarray:
        """Return the voltages that the circuit should have without a nudge.

        **Arguments:**

        - `samples`: the samples.
        - `simulator`: the simulator of the sweep.
        - `temperature`: of the circuit in K; the netlist's own where `None`.

        **Returns** voltages (samples, nodes) in V; NaN where they are not known.
        """

    @abc.abstractmethod
    def gradient_cosine(
        self, samples: Samples, betas: Sequence[float], voltage: np.ndarray
    ) -> float:
        """Return the cosine of equilibrium propagation's gradient and the model's exact one.

        **Arguments:**

        - `samples`: the samples.
        - `betas`: the nudge of each phase, in the network's units.
        - `voltage`: (phases, samples, nodes) in V.
        """

    @abc.abstractmethod
    def check(self, samples: Samples, betas: Sequence[float]) -> None:
        """Raise `ValueError` where the samples do not fit, or a nudge leaves no minimum.

        **Arguments:**

        - `samples`: the samples.
        - `betas`: the nudge of each phase, in the network's units.
        """


@dataclass(frozen=True, eq=False)
class SweptNetlist(SweptCircuit):
    """A netlist without a model: what it should settle to is itself, without variation.

    `SweptNetlist.of` makes one.
    """

    nominal: Netlist
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, netlist: Netlist, outputs: tuple[str, ...] = ()) -> "SweptNetlist":
        """Return a netlist as what is swept.

        **Arguments:**

        - `netlist`: the nominal circuit.
        - `outputs`: free nodes of it, of which the highest decides.

        **Raises** `ValueError` for a netlist that cannot be simulated, and for outputs that are no
        free nodes of it.
        """
        netlist.check()
        netlist.require_nodes(outputs, "outputs")
        nodes = Equations.of(netlist).free
        if fixed := set(outputs).difference(nodes):
            raise ValueError(
                f"`outputs` must be nodes that no source holds, but {sorted(fixed)} are held"
            )
        return cls(netlist, nodes, outputs)

    def netlist(self):
        return self.nominal

    def fingerprint(self):
        return hashlib.sha256(f"{self.nominal.spice()}{self.outputs}".encode()).hexdigest()

    def with_phases(self, netlist, samples, betas):
        del betas
        return netlist, dict(samples.values)

    def output_voltages(self, voltage):
        return voltage[:, [self.nodes.index(node) for node in self.outputs]]

    def reference(self, samples, simulator, temperature):
        netlist = at_temperature(self.nominal, temperature)
        points = simulator.operating_points(*reduce(netlist, dict(samples.values)))
        voltages = points.voltage.sel(node=list(self.nodes)).values
        return np.where((points.status.values == "ok")[:, None], voltages, np.nan)

    def gradient_cosine(self, samples, betas, voltage):
        raise ValueError(
            "the measure 'gradient_cosine' needs a network with a model, "
            "but the sweep is of a netlist"
        )

    def check(self, samples, betas):
        if len(betas) > 1:
            raise ValueError(
                "`beta` nudges the outputs of a network with a cost, but the sweep is of a netlist"
            )
        values_of(samples.values, self.nominal)
        if samples.classes is None and samples.labels is not None:
            raise ValueError(
                "labels of a netlist's samples must be classes (samples,), "
                f"but have shape {samples.labels.shape}"
            )


def at_temperature(netlist: Netlist, kelvin: float | None) -> Netlist:
    """Return a netlist at a temperature.

    **Arguments:**

    - `netlist`: the circuit.
    - `kelvin`: the temperature in K; `None` leaves the netlist as it is.
    """
    return netlist if kelvin is None else replace(netlist, temperature=kelvin)
