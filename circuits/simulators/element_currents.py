"""The currents and powers of a circuit's elements, as datasets hold them."""

from collections.abc import Mapping

import numpy as np

from ..elements.base import TIME, current_of
from ..elements.diodes import Diode
from ..elements.passive import Capacitor
from ..elements.sources import CurrentSource, VoltageSource
from ..mna.currents import Currents
from ..mna.equations import Drives, Equations
from ..mna.small_signal import Linearised
from .datasets import ElementCurrents


def point_currents(currents: Currents, unknowns: np.ndarray, drives: Drives) -> ElementCurrents:
    """Return the currents and powers at operating points (samples, unknowns)."""
    with np.errstate(all="ignore"):
        amperes = currents.of_points(unknowns, drives)
        across = currents.across(currents.equations.voltages(unknowns, drives))
        return ElementCurrents(currents.names, amperes, amperes * across)


def transient_currents(
    currents: Currents,
    times: np.ndarray,
    v: np.ndarray,
    moving: np.ndarray | None = None,
    known: Mapping[str, np.ndarray] | None = None,
) -> ElementCurrents:
    """Return the currents and powers at times (times,) in s.

    **Arguments:** `v`, `moving`: all voltages and currents, and their derivatives (times, places).
    `known`: as of `Currents.at`, which is all that charges make where `moving` is not given.
    """
    pushed, sources = _pushed_in_time(currents.equations, times)
    with np.errstate(all="ignore"):
        amperes = currents.at(v, pushed, sources, moving, known)
        return ElementCurrents(currents.names, amperes, amperes * currents.across(v))


def saved(currents: Currents) -> tuple[str, ...]:
    """Return the elements whose currents in time ngspice is asked for: branches and charges."""
    branches = set(currents.equations.branches)
    return tuple(
        e.key
        for e in currents.elements
        if e.key in branches
        or isinstance(e, Capacitor | VoltageSource)
        or (isinstance(e, Diode) and e.charges(currents.equations.netlist.temperature))
    )


def currents_in_time(
    currents: Currents, times: np.ndarray, table: np.ndarray, saved: tuple[str, ...]
) -> ElementCurrents:
    """Return the currents at `times` from a simulator's voltages and the currents that it saved."""
    equations = currents.equations
    nodes = len(equations.free)
    known = dict(zip(saved, table.T[nodes:], strict=True))
    unknowns = np.zeros((len(times), equations.unknowns))
    unknowns[:, :nodes] = table[:, :nodes]
    for name in equations.branches:
        unknowns[:, equations.place(current_of(name))] = known[name]
    drives = {
        source.key: source.waveform.at(times)
        for source in equations.netlist.of(VoltageSource)
        if source.waveform is not None
    }
    v = equations.voltages(unknowns, drives)
    if (timed := equations.find(TIME)) >= 0:
        v[:, timed] = times
    return transient_currents(currents, times, v, known=known)


def _pushed_in_time(
    equations: Equations, times: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return what sources push into all rows (times, places), and currents of current sources."""
    waves = equations.netlist.of(CurrentSource)
    drives = {
        source.key: source.waveform.at(times) for source in waves if source.waveform is not None
    }
    sources = {
        source.key: drives.get(source.key, np.full(len(times), source.amperes)) for source in waves
    }
    return equations.pushed(drives, len(times)), sources


def response_currents(
    circuit: Linearised, frequencies: np.ndarray, solution: np.ndarray
) -> ElementCurrents:
    """Return the currents of a small-signal response (frequencies, places)."""
    currents = Currents.of(circuit.equations)
    phasors = circuit.phasors()
    sources = {
        source.key: phasors[source.key] for source in circuit.equations.netlist.of(CurrentSource)
    }
    with np.errstate(all="ignore"):
        amperes = currents.response(circuit.point, solution, frequencies, sources)
    return ElementCurrents(currents.names, amperes)
