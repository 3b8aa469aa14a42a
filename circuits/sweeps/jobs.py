"""A chunk: one chip at one point, its key, and how it is simulated."""

import hashlib
import json
import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from ..elements.sources import IndependentSource
from ..mna.equations import Equations
from ..mna.reduction import reduce
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import Netlist, NetlistError
from ..simulators import Simulator
from ..simulators.ngspice_decks import DeckSimulator
from ..variation import Variation
from .measures import ALWAYS, MEASURES, STATUSES, Trial, Variable
from .subjects import Samples, Subject, at_temperature

SAFER = (
    "gmin=1e-12 reltol=1e-8 vntol=1e-10 abstol=1e-15 itl1=1000 itl2=1000 gminsteps=30 srcsteps=30"
)
"""Options for a second attempt in ngspice: a thousand iterations to looser tolerances, which the same certificate still has to pass."""


@dataclass(frozen=True, eq=False)
class Case:
    """All that the chips at one point share."""

    subject: Subject
    samples: Samples
    variation: Variation | None
    seed: int
    cycle: int
    beta: float
    temperature: float | None
    measures: tuple[str, ...]
    simulator: Simulator

    def __post_init__(self):
        needed = {need for name in self.measures for need in MEASURES[name].needs}
        bare = self._without_capacitance() if "capacitances" in needed else []
        asks = {
            "outputs": (bool(self.subject.outputs), "outputs: `network.outputs`"),
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
        for need in sorted(needed):
            if not asks[need][0]:
                names = [name for name in self.measures if need in MEASURES[name].needs]
                raise ValueError(f"the measures {names} need {asks[need][1]}")
        self.subject.check(self.samples, self.betas)
        at_temperature(self.subject.netlist(), self.temperature)

    @property
    def betas(self) -> tuple[float, ...]:
        """The nudge of each phase."""
        return (0.0, self.beta, -self.beta) if self.beta else (0.0,)

    @property
    def variables(self) -> dict[str, Variable]:
        """What every chip gives."""
        return variables(self.measures)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the dimensions of its variables."""
        return {
            "phase": len(self.betas),
            "sample": len(self.samples),
            "node": len(self.subject.nodes),
            "output": len(self.subject.outputs),
        }

    @cached_property
    def told(self) -> dict[str, Any]:
        """All that the results of its chips depend on."""
        parts = () if self.variation is None else self.variation.parts()
        settings = {f.name: getattr(self.simulator, f.name) for f in fields(self.simulator)}  # pyright: ignore  # each is a dataclass
        return {
            "package": _package(),
            "subject": self.subject.digest(),
            "samples": self.samples.digest,
            "variation": [repr(part) for part in parts],
            "seed": self.seed if parts else None,
            "cycle": self.cycle if any(part.anew for part in parts) else None,
            "beta": self.beta,
            "temperature": self.temperature,
            "measures": sorted(self.measures),
            "simulator": [self.simulator.version(), settings],
            "safer": SAFER,
        }

    def key(self, chip: int) -> str:
        """The SHA-256, as hexadecimal digits, of all that the results of a chip depend on."""
        return hashlib.sha256(
            canonical({**self.told, "chip": chip if self.variation is not None else 0}).encode()
        ).hexdigest()

    def circuit(self, chip: int) -> tuple[Netlist, dict[str, np.ndarray]]:
        """The netlist of a chip, reduced, and its drives over samples and phases."""
        netlist = at_temperature(self.subject.netlist(), self.temperature)
        if self.variation is not None:
            netlist = self.variation.chip(netlist, seed=self.seed, number=chip, cycle=self.cycle)
        netlist, drives = self.subject.phased(netlist, self.samples, self.betas)
        return reduce(netlist, drives if self.variation is None else self.variation.drives(drives))

    def _without_capacitance(self) -> list[str]:
        """The outputs whose voltages have noise without a bound on the first chip, which has the nodes of every chip."""
        netlist = self.subject.netlist()
        if self.variation is not None:
            netlist = self.variation.chip(netlist, seed=self.seed, number=0)
        equations = Equations.of(netlist)
        own = equations.sparse_capacitances.diagonal()
        return [node for node in self.subject.outputs if own[equations.place(node)] <= 0]

    def read(self, voltage: np.ndarray) -> np.ndarray:
        """What is read of voltages in V."""
        return voltage if self.variation is None else self.variation.read(voltage)


@cache
def _package() -> str:
    return version("eqprop-circuits")


def variables(measures: Sequence[str]) -> dict[str, Variable]:
    """What every chip gives where these are measured."""
    return ALWAYS | {
        name: kind for measure in measures for name, kind in MEASURES[measure].gives.items()
    }


def canonical(value: Any, *, ordered: bool = False) -> str:
    """JSON with one text for each value: no spaces, numbers that read back as they are, and keys sorted, or `ordered` as they come.

    Raises `ValueError` for a NaN.
    """
    return json.dumps(
        value, sort_keys=not ordered, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )


@dataclass(frozen=True, eq=False)
class Record:
    """What came of a chunk: an array for each variable, and the `seconds` it took.

    `failure`, where a point has no certified answer, says why, and `deck` and `said` are a circuit to look at and what the simulator
    said of it.
    """

    arrays: Mapping[str, np.ndarray]
    seconds: float
    failure: str = ""
    deck: str = ""
    said: str = ""


def perform(case: Case, chip: int) -> Record:
    """Simulates a chunk from its start, a second time with safer settings where a point has no certified answer.

    The attempt with more certified points counts, the first where both have the same. Nothing is raised for what a circuit does.
    """
    start = time.perf_counter()
    attempts = []
    for attempt, options in ((case, None), (safer(case), SAFER)):
        try:
            attempts.append(_simulate(attempt, chip, options))
        except (RuntimeError, ValueError, ArithmeticError, LookupError) as error:
            attempts.append(nothing(case.variables, case.sizes, f"{type(error).__name__}: {error}"))
        if not attempts[-1].failure:
            break
    points = [int((one.arrays["status"] == STATUSES.index("ok")).sum()) for one in attempts]
    best = attempts[int(np.argmax(points))]
    arrays = {**best.arrays, "attempts": np.asarray(len(attempts), "i1")}
    deck, said = _looked_at(case, chip, best) if best.failure else ("", "")
    return Record(arrays, time.perf_counter() - start, best.failure, deck, said)


def safer(case: Case) -> Case:
    """The case as it is simulated a second time: twice the time, ten times the iterations, and in ngspice the options `SAFER`."""
    settings = {"timeout": 2.0, "iterations": 10}
    longer = {
        name: factor * getattr(case.simulator, name)
        for name, factor in settings.items()
        if hasattr(case.simulator, name)
    }
    return replace(case, simulator=replace(case.simulator, **longer))  # pyright: ignore  # each is a dataclass


def _simulate(case: Case, chip: int, options: str | None) -> Record:
    start = time.perf_counter()
    netlist, drives = case.circuit(chip)
    if options is not None:
        netlist = replace(netlist, options=options)
    found = case.simulator.operating_points(netlist, drives)
    samples, phases = len(case.samples), len(case.betas)

    def by_phase(values: np.ndarray) -> np.ndarray:
        return values.reshape(samples, phases, *values.shape[1:]).swapaxes(0, 1)

    whole = by_phase(found.voltage.values)
    status = by_phase(found.status.values)
    ok = status == "ok"
    answer = by_phase(found.voltage.sel(node=list(case.subject.nodes)).values)
    trial = Trial(
        case.subject,
        case.samples,
        case.betas,
        netlist,
        drives,
        answer,
        np.where(ok[..., None], case.read(answer), np.nan),
        np.where(ok[0][:, None], whole[0], np.nan),
        lambda: _reference(case),
    )
    values = {
        "status": np.vectorize(STATUSES.index)(status),
        "correction": by_phase(found.correction.values),
        "attempts": 1,
    }
    for measure in case.measures:
        values |= MEASURES[measure].of(trial)
    wrong = {name: int((status == name).sum()) for name in STATUSES[1:] if (status == name).any()}
    failure = "; ".join(f"{count} of {status.size} points {name}" for name, count in wrong.items())
    return Record(_typed(case.variables, case.sizes, values), time.perf_counter() - start, failure)


_REFERENCES: OrderedDict[str, np.ndarray] = OrderedDict()


def _reference(case: Case) -> np.ndarray:
    """The reference of a case, which all chips at a point share; the last few are kept."""
    key = canonical(
        [case.told[name] for name in ("subject", "samples", "simulator", "temperature")]
    )
    if key not in _REFERENCES:
        _REFERENCES[key] = case.subject.reference(case.samples, case.simulator, case.temperature)
        while len(_REFERENCES) > 4:
            _REFERENCES.popitem(last=False)
    return _REFERENCES[key]


def _typed(
    kinds: Mapping[str, Variable], sizes: Mapping[str, int], values: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    shapes = {name: tuple(sizes[dim] for dim in kind.dims) for name, kind in kinds.items()}
    return {
        name: np.asarray(values[name], kind.dtype).reshape(shapes[name])
        for name, kind in kinds.items()
    }


def nothing(kinds: Mapping[str, Variable], sizes: Mapping[str, int], reason: str) -> Record:
    """The record of a chunk without an answer."""
    missing = {
        name: np.full([sizes[dim] for dim in kind.dims], kind.missing)
        for name, kind in kinds.items()
    }
    failed = np.full_like(missing["status"], STATUSES.index("failed"))
    return Record(_typed(kinds, sizes, {**missing, "status": failed}), 0.0, reason)


def _looked_at(case: Case, chip: int, record: Record) -> tuple[str, str]:
    """The deck of the first point without a certified answer, and what the simulator says of it alone."""
    try:
        netlist, drives = case.circuit(chip)
        status = np.asarray(record.arrays["status"].T)
        sample, phase = (int(place) for place in np.argwhere(status != STATUSES.index("ok"))[0])
        place = sample * len(case.betas) + phase
        driven = [
            e for e in netlist.elements if isinstance(e, IndependentSource) and e.key in drives
        ]
        netlist = netlist.with_elements(
            *(replace(e, **{e.unit: float(drives[e.key][place])}) for e in driven)
        )
        deck = replace(netlist, analyses=(OperatingPoint(Equations.of(netlist).free),))
    except (NetlistError, ValueError):
        return "", traceback.format_exc()
    what = f"Sample {sample}, beta {case.betas[phase]:g}"
    if not isinstance(case.simulator, DeckSimulator):
        return deck.spice(), what
    return deck.spice(), f"{what}\n{case.simulator.transcript(deck)}"
