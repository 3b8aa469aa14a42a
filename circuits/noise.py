"""Thermal and shot noise around an operating point, from the netlist's own linear equations."""

from dataclasses import replace
from typing import Any

import numpy as np

from .devices import Diode
from .elements import GROUND, ConductanceMatrix, Resistor
from .equations import Drives, Equations
from .netlist import Netlist, NetlistError
from .sources import CurrentSource, Pwl
from .transistors import Transistor, channels_of
from .units import BOLTZMANN, CHARGE


def covariance(netlist: Netlist, free: np.ndarray, drives: Drives | None = None) -> np.ndarray:
    """The covariance Σ (nodes, nodes) in V² of the free nodes' voltages around the operating point `free` (V).

    With J = ∂KCL/∂v, capacitances C and two-sided current densities S, the solution of

        C⁻¹J Σ + Σ Jᵀ C⁻¹ = C⁻¹ S C⁻¹,

    where a conductance G contributes 2kTG, a diode q|I| and a transistor's channel (4/3) kT gm to S; T is the netlist's. Where all is
    linear and passive, Σ_ii = kT/C_i. (ngspice's noise has the same densities, one-sided; Gardiner, Handbook of Stochastic Methods,
    section 4.4.6.) Flicker is left out: within no bound on its frequencies it has no variance.

    Raises `NetlistError` where C is singular: every free node needs a capacitance.
    """
    from scipy.linalg import solve_continuous_lyapunov

    equations = Equations(netlist)
    drives = {} if drives is None else drives
    v = np.asarray(free, float)[None]
    c = equations.capacitances()
    if np.linalg.matrix_rank(c) < len(c):
        bare = [node for node, own in zip(equations.free, np.diag(c), strict=True) if own == 0]
        raise NetlistError(f"every free node must have a capacitance for its noise to have a size, but these have none: {bare[:10]}")
    drift = np.linalg.solve(c, equations.jacobian(v, drives)[0])
    kicks = np.linalg.solve(c, np.linalg.solve(c, densities(equations, v, drives)).T)
    return solve_continuous_lyapunov(drift, kicks)


def band_variance(equations: Equations, unknowns: np.ndarray, lowest: float, highest: float, points: int = 40) -> np.ndarray:
    """The variance (unknowns,) in V² of the noise within `lowest` to `highest` Hz, around the operating point `unknowns` (1, unknowns).

    ∫ 2 diag[(J + 2πif C)⁻¹ (S + K/f) (J + 2πif C)⁻ᴴ] df by Simpson's rule over log f with `points` or more a decade; S and K/f, that of
    flicker, are two-sided.
    """
    from scipy.integrate import simpson

    s, j, c = densities(equations, unknowns, {}), equations.jacobian(unknowns, {})[0], equations.capacitances()
    k = densities(equations, unknowns, {}, flicker=True)
    f = np.geomspace(lowest, highest, 2 * int(np.ceil(np.log10(highest / lowest) * points / 2)) + 3)
    spectrum = []
    for one in f:
        transfer = np.linalg.inv(j + 2j * np.pi * one * c)
        spectrum.append(2 * np.real(np.einsum("ij,jk,ik->i", transfer, s + k / one, transfer.conj())))
    return np.asarray(simpson(np.array(spectrum) * f[:, None], x=np.log(f), axis=0))


def densities(equations: Equations, v: np.ndarray, drives: Drives, *, flicker: bool = False) -> np.ndarray:
    """S: the two-sided density in A²/Hz of the noise currents into the free nodes, at voltages `v` (1, nodes).

    With `flicker` K in A² instead: that of the noise whose density is K/f, which diodes have.
    """
    whole = equations.voltages(v, drives)[0]
    place = {node: i for i, node in enumerate(equations.free)}
    n = equations.unknowns
    thermal = 0.0 if flicker else 2 * BOLTZMANN * equations.netlist.temperature
    s = np.zeros((n + 1, n + 1))

    def add(first: Any, second: Any, density: np.ndarray) -> None:
        for row, column, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
            np.add.at(s, (row, column), sign * density)

    for element in equations.netlist.elements:
        if isinstance(element, ConductanceMatrix):
            rows, columns = np.indices(element.siemens.shape).reshape(2, -1)
            first, second = (np.array([place.get(node, n) for node in names]) for names in (element.rows, element.columns))
            add(first[rows], second[columns], thermal * element.siemens.ravel())
        elif isinstance(element, Resistor):
            first, second = ([place.get(node, n)] for node in element.nodes)
            add(first, second, np.array([thermal * element.siemens]))
        elif isinstance(element, Diode):
            across = whole[equations.place(element.anode)] - whole[equations.place(element.cathode)]
            model = element.model.at(equations.netlist.temperature)
            current = abs(model.current(across, element.area))
            density = model.flicker * current**model.flicker_exponent / 2 if flicker else CHARGE * current
            first, second = ([place.get(node, n)] for node in element.nodes)
            add(first, second, np.array([density]))
        elif isinstance(element, Transistor):
            law = channels_of((element,), equations.netlist.temperature)
            _, slopes = law.current(*(whole[[equations.place(node)]] for node in element.nodes))
            first, second = ([place.get(node, n)] for node in (element.drain, element.source))
            add(first, second, 2 / 3 * thermal * np.abs(slopes[1]))
    return s[:n, :n]


def with_noise(netlist: Netlist, free: np.ndarray, *, step: float, stop: float, seed: int, drives: Drives | None = None) -> Netlist:
    """A netlist with the noise of its elements as current sources, drawn here, for a transient to `stop` in s.

    Into every free node a source `Inoise_*` pushes straight lines between normal numbers at the multiples of `step`, whose covariance
    is S/`step`: white noise of two-sided density S up to frequencies of about 1/(4 `step`), so that `step` must be a small part of
    every time constant. A simulator's own transient noise would be another in each simulator; this one is the same in all.

    **Arguments:** `free`: the operating point (V) at which S is taken, and `drives` there. `seed`: of the numbers. For small circuits:
    a source has `stop`/`step` points.

    **Raises** `ValueError` where `step` and `stop` are not 0 < step < stop, `NetlistError` for a circuit with branches.
    """
    if not 0 < step < stop < np.inf:
        raise ValueError(f"`step` and `stop` must be 0 < step < stop, but are {step} and {stop}")
    equations = Equations(netlist)
    if equations.branches:
        raise NetlistError(
            f"noise is drawn for circuits without floating or controlled voltage sources, but there are {equations.branches}"
        )
    s = densities(equations, np.asarray(free, float)[None], {} if drives is None else drives)
    sizes, ways = np.linalg.eigh(s)
    times = step * np.arange(int(np.ceil(stop / step)) + 1)
    numbers = np.random.default_rng(seed).standard_normal((len(times), len(sizes))) * np.sqrt(np.maximum(sizes, 0.0) / step)
    pushed = numbers @ ways.T
    sources = (
        CurrentSource(f"noise_{node}", GROUND, node, 0.0, waveform=Pwl(tuple(times.tolist()), tuple(column.tolist())))
        for node, column in zip(equations.free, pushed.T, strict=True)
    )
    return replace(netlist, elements=(*netlist.elements, *sources))


def corners(netlist: Netlist, free: np.ndarray, drives: Drives | None = None) -> tuple[float, float]:
    """The lowest and the highest of the circuit's corner frequencies in Hz: the eigenvalues of C⁻¹J over 2π."""
    equations = Equations(netlist)
    j = equations.jacobian(np.asarray(free, float)[None], {} if drives is None else drives)[0]
    rates = np.real(np.linalg.eigvals(np.linalg.solve(equations.capacitances(), j))) / (2 * np.pi)
    return float(rates.min()), float(rates.max())
