"""A point of a sweep: one value of each axis, and all that the chips there share."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from ..mna.equations import Equations
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist
from ..simulators import Simulator
from ..variation import Variation
from .measures import MEASURES, Variable, variables_of
from .swept_circuits import Samples, SweptCircuit, at_temperature

SAFER = (
    "gmin=1e-12 reltol=1e-8 vntol=1e-10 abstol=1e-15 itl1=1000 itl2=1000 gminsteps=30 srcsteps=30"
)
"""Options of a second attempt in ngspice: a thousand iterations to looser tolerances.

The same certificate still has to be passed.
"""


@dataclass(frozen=True, eq=False)
class Point:
    """All that the chips at one point share.

    **Arguments:**

    - `circuit`: what is swept.
    - `samples`: the samples.
    - `variation`: what makes chips differ from the nominal circuit; `None` where nothing does.
    - `seed`: from which the chips are drawn.
    - `cycle`: how often the chips were programmed and read before.
    - `beta`: of the nudge, in the network's units; 0 for none.
    - `temperature`: of the circuit in K; the netlist's own where `None`.
    - `measures`: names of `MEASURES`.
    - `simulator`: a dataclass.

    **Raises** `ValueError` where a measure needs what is not there, where the samples do not fit,
    and where a nudge leaves no minimum.
    """

    circuit: SweptCircuit
    samples: Samples
    variation: Variation | None
    seed: int
    cycle: int
    beta: float
    temperature: float | None
    measures: tuple[str, ...]
    simulator: Simulator

    def __post_init__(self):
        self._require_needs()
        self.circuit.check(self.samples, self.betas)
        at_temperature(self.circuit.netlist(), self.temperature)

    def _require_needs(self) -> None:
        """Raise `ValueError` where a measure needs what is not there."""
        needs = {need for name in self.measures for need in MEASURES[name].needs}
        bare = self._outputs_without_capacitance() if "capacitances" in needs else []
        met = {
            "outputs": (bool(self.circuit.outputs), "outputs: `network.outputs`"),
            "classes": (
                self.samples.classes is not None,
                "samples with classes: `label` in the data",
            ),
            "nudge": (self.beta != 0, "a nudge: `beta` other than 0"),
            "capacitances": (
                not bare,
                f"a capacitance at every output, which {', '.join(bare[:3])} lack",
            ),
        }
        for need in sorted(needs):
            is_met, words = met[need]
            if not is_met:
                names = [name for name in self.measures if need in MEASURES[name].needs]
                raise ValueError(f"the measures {names} need {words}")

    @property
    def betas(self) -> tuple[float, ...]:
        """The nudge of each phase: 0, and with a nudge +β and −β."""
        return (0.0, self.beta, -self.beta) if self.beta else (0.0,)

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables of every chip, by name."""
        return variables_of(self.measures)

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each dimension of the variables."""
        return {
            "phase": len(self.betas),
            "sample": len(self.samples),
            "node": len(self.circuit.nodes),
            "output": len(self.circuit.outputs),
        }

    @cached_property
    def fingerprint_fields(self) -> dict[str, Any]:
        """All that the results of the chips depend on, besides their numbers."""
        parts = () if self.variation is None else self.variation.parts()
        settings = {
            field.name: getattr(self.simulator, field.name)
            for field in fields(self.simulator)  # pyright: ignore  # each is a dataclass
        }
        return {
            "package": _package_version(),
            "circuit": self.circuit.fingerprint(),
            "samples": self.samples.fingerprint,
            "variation": [repr(part) for part in parts],
            "seed": self.seed if parts else None,
            "cycle": self.cycle if any(part.anew for part in parts) else None,
            "beta": self.beta,
            "temperature": self.temperature,
            "measures": sorted(self.measures),
            "simulator": [self.simulator.version(), settings],
            "safer": SAFER,
        }

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256, as hexadecimal digits, of `fingerprint_fields`."""
        return hashlib.sha256(canonical_json(self.fingerprint_fields).encode()).hexdigest()

    @cached_property
    def reference_key(self) -> str:
        """A text that is the same for points that have the same reference."""
        shared = ("circuit", "samples", "simulator", "temperature")
        return canonical_json([self.fingerprint_fields[name] for name in shared])

    def reference(self) -> np.ndarray:
        """Return the voltages (samples, nodes) in V that there should be without a nudge."""
        return self.circuit.reference(self.samples, self.simulator, self.temperature)

    def chip(self, number: int) -> tuple[Netlist, dict[str, np.ndarray]]:
        """Return a chip as it is simulated.

        **Arguments:**

        - `number`: of the chip, from 0.

        **Returns** its netlist, reduced, and by SPICE name the values (samples · phases,) of its
        sources in V or A, the phases of a sample one after the other.
        """
        netlist = at_temperature(self.circuit.netlist(), self.temperature)
        if self.variation is not None:
            netlist = self.variation.chip(netlist, seed=self.seed, number=number, cycle=self.cycle)
        netlist, drives = self.circuit.with_phases(netlist, self.samples, self.betas)
        return reduce(netlist, drives if self.variation is None else self.variation.drives(drives))

    def as_read(self, voltage: np.ndarray) -> np.ndarray:
        """Return voltages as they are read, by a converter for instance.

        **Arguments:**

        - `voltage`: in V, of any shape.
        """
        return voltage if self.variation is None else self.variation.read(voltage)

    def _outputs_without_capacitance(self) -> list[str]:
        """Return the outputs whose noise is unbounded on chip 0; all chips have its nodes."""
        netlist = self.circuit.netlist()
        if self.variation is not None:
            netlist = self.variation.chip(netlist, seed=self.seed, number=0)
        equations = Equations.of(netlist)
        capacitances = equations.sparse_capacitances.diagonal()
        return [node for node in self.circuit.outputs if capacitances[equations.place(node)] <= 0]


@cache
def _package_version() -> str:
    return version("eqprop-circuits")


def job_key(fingerprint: str, chip: int) -> str:
    """Return the key of a job: the SHA-256, in hexadecimal, of all that its results depend on.

    **Arguments:**

    - `fingerprint`: of the point.
    - `chip`: the number of the chip, from 0.
    """
    return hashlib.sha256(f"{fingerprint} {chip}".encode()).hexdigest()


def canonical_json(value: Any, *, ordered: bool = False) -> str:
    """Return JSON with one text for each value: no spaces, and numbers that read back as they are.

    **Arguments:**

    - `value`: numbers, words, lists and tables.
    - `ordered`: whether keys stay in their order; they are sorted otherwise.

    **Raises** `ValueError` for a number that is not finite, `TypeError` for what JSON cannot hold.
    """
    return json.dumps(
        value, sort_keys=not ordered, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )
