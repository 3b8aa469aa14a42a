"""A job: one chip at one point, with all its samples and phases, simulated from a cold start."""

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache, cached

from ..elements.sources import IndependentSource
from ..mna.equations import Equations
from ..netlist.analyses import OperatingPoint
from ..netlist.netlist import NetlistError
from ..simulators.ngspice_decks import DeckSimulator
from .measures import MEASURES, STATUSES, SimulatedChip, Variable
from .points import SAFER, Point

REFERENCES = 4
"""How many references are kept, as all chips at a point share one."""
MORE_TIME = 2.0
MORE_ITERATIONS = 10


@dataclass(frozen=True, eq=False)
class Record:
    """What came of a job.

    **Arguments:**

    - `arrays`: the values of each variable, by name.
    - `seconds`: the time that it took.
    - `failure`: why operating points have no certified answer; empty where all have one.
    - `deck`: after a failure, a SPICE deck of the first such point.
    - `transcript`: after a failure, what the simulator says of that deck.
    """

    arrays: Mapping[str, np.ndarray]
    seconds: float
    failure: str = ""
    deck: str = ""
    transcript: str = ""


def simulate(point: Point, chip: int) -> Record:
    """Do a job, a second time with safer settings where an operating point has no certified answer.

    Of the attempts the one with more certified points counts, the first where both have the same
    number. What a circuit does raises nothing.

    **Arguments:**

    - `point`: the point.
    - `chip`: the number of the chip, from 0.

    **Returns** the record of the job.
    """
    start = time.perf_counter()
    attempts = []
    for attempt, options in ((point, None), (with_safer_settings(point), SAFER)):
        try:
            attempts.append(_simulate_once(attempt, chip, options))
        except (RuntimeError, ValueError, ArithmeticError, LookupError) as error:
            reason = f"{type(error).__name__}: {error}"
            attempts.append(failed_record(point.variables, point.sizes, reason))
        if not attempts[-1].failure:
            break

    certified = [
        int((record.arrays["status"] == STATUSES.index("ok")).sum()) for record in attempts
    ]
    best = attempts[int(np.argmax(certified))]
    arrays = {**best.arrays, "attempts": np.asarray(len(attempts), "i1")}
    deck, transcript = _diagnosis(point, chip, best) if best.failure else ("", "")
    seconds = max(time.perf_counter() - start, 0.0)  # clocks have been seen to go back
    return Record(arrays, seconds, best.failure, deck, transcript)


def with_safer_settings(point: Point) -> Point:
    """Return a point as it is simulated a second time.

    The simulator has twice the time and ten times the iterations, where it has such settings.

    **Arguments:**

    - `point`: the point.
    """
    factors = {"timeout": MORE_TIME, "iterations": MORE_ITERATIONS}
    settings = {
        name: factor * getattr(point.simulator, name)
        for name, factor in factors.items()
        if hasattr(point.simulator, name)
    }
    simulator = replace(point.simulator, **settings)  # pyright: ignore  # each is a dataclass
    return replace(point, simulator=simulator)


def _simulate_once(point: Point, chip: int, options: str | None) -> Record:
    """Simulate a chip and measure it; `options` are ngspice's, the netlist's own where `None`."""
    netlist, drives = point.chip(chip)
    if options is not None:
        netlist = replace(netlist, options=options)
    points = point.simulator.operating_points(netlist, drives)
    samples, phases = len(point.samples), len(point.betas)

    def by_phase(values: np.ndarray) -> np.ndarray:
        return values.reshape(samples, phases, *values.shape[1:]).swapaxes(0, 1)

    all_nodes = by_phase(points.voltage.values)
    simulated = by_phase(points.voltage.sel(node=list(point.circuit.nodes)).values)
    status = by_phase(points.status.values)
    certified = status == "ok"
    measured = SimulatedChip(
        point.circuit,
        point.samples,
        point.betas,
        netlist,
        drives,
        simulated,
        np.where(certified[..., None], point.as_read(simulated), np.nan),
        np.where(certified[0][:, None], all_nodes[0], np.nan),
        lambda: _reference(point),
    )

    values = {
        "status": np.vectorize(STATUSES.index)(status),
        "correction": by_phase(points.correction.values),
        "attempts": 1,
    }
    for measure in point.measures:
        values |= MEASURES[measure].evaluate(measured)
    counts = {name: int((status == name).sum()) for name in STATUSES[1:]}
    failure = "; ".join(
        f"{count} of {status.size} points {name}" for name, count in counts.items() if count
    )
    return Record(_as_declared(point.variables, point.sizes, values), 0.0, failure)


@cached(LRUCache(REFERENCES), key=lambda point: point.reference_key, lock=Lock())
def _reference(point: Point) -> np.ndarray:
    """Return the reference (samples, nodes) in V of a point."""
    return point.reference()


def _as_declared(
    variables: Mapping[str, Variable], sizes: Mapping[str, int], values: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return values as arrays of the types and shapes that their variables have."""
    return {
        name: np.asarray(values[name], variable.dtype).reshape(variable.shape(sizes))
        for name, variable in variables.items()
    }


def failed_record(
    variables: Mapping[str, Variable], sizes: Mapping[str, int], reason: str
) -> Record:
    """Return the record of a job that gave no answer.

    **Arguments:**

    - `variables`: of every chip, by name.
    - `sizes`: the length of each of their dimensions.
    - `reason`: why there is no answer.
    """
    values = {
        name: np.full(variable.shape(sizes), variable.missing)
        for name, variable in variables.items()
    }
    values["status"] = np.full_like(values["status"], STATUSES.index("failed"))
    return Record(_as_declared(variables, sizes, values), 0.0, reason)


def _diagnosis(point: Point, chip: int, record: Record) -> tuple[str, str]:
    """Return the deck of the first operating point that is not certified, and a transcript.

    The transcript is what the simulator says of that point alone.
    """
    try:
        netlist, drives = point.chip(chip)
        status = np.asarray(record.arrays["status"].T)
        sample, phase = (int(place) for place in np.argwhere(status != STATUSES.index("ok"))[0])
        driven = [
            element
            for element in netlist.elements
            if isinstance(element, IndependentSource) and element.key in drives
        ]
        column = sample * len(point.betas) + phase
        netlist = netlist.with_elements(
            *(
                replace(source, **{source.unit: float(drives[source.key][column])})
                for source in driven
            )
        )
        deck = replace(netlist, analyses=(OperatingPoint(Equations.of(netlist).free),))
    except (NetlistError, ValueError):
        return "", traceback.format_exc()
    title = f"Sample {sample}, beta {point.betas[phase]:g}"
    if not isinstance(point.simulator, DeckSimulator):
        return deck.spice(), title
    return deck.spice(), f"{title}\n{point.simulator.transcript(deck)}"
