"""Thermal and shot noise around an operating point, from the netlist's own linear equations."""

from typing import Any

import numpy as np

from .devices import Diode
from .elements import ConductanceMatrix, Resistor
from .equations import Drives, Equations
from .netlist import Netlist, NetlistError
from .transistors import Transistor, channels_of
from .units import BOLTZMANN, CHARGE


def covariance(netlist: Netlist, free: np.ndarray, drives: Drives | None = None) -> np.ndarray:
    """The covariance Σ (nodes, nodes) in V² of the free nodes' voltages around the operating point `free` (V).

    With J = ∂KCL/∂v, capacitances C and two-sided current densities S, the solution of

        C⁻¹J Σ + Σ Jᵀ C⁻¹ = C⁻¹ S C⁻¹,

    where a conductance G contributes 2kTG, a diode q|I| and a transistor's channel (4/3) kT gm to S; T is the netlist's. Where all is
    linear and passive, Σ_ii = kT/C_i. (ngspice's noise has the same densities, one-sided; Gardiner, Handbook of Stochastic Methods,
    section 4.4.6.)

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

    ∫ 2 diag[(J + 2πif C)⁻¹ S (J + 2πif C)⁻ᴴ] df by Simpson's rule over log f with `points` or more a decade; S is two-sided.
    """
    from scipy.integrate import simpson

    s, j, c = densities(equations, unknowns, {}), equations.jacobian(unknowns, {})[0], equations.capacitances()
    f = np.geomspace(lowest, highest, 2 * int(np.ceil(np.log10(highest / lowest) * points / 2)) + 3)
    spectrum = []
    for one in f:
        transfer = np.linalg.inv(j + 2j * np.pi * one * c)
        spectrum.append(2 * np.real(np.einsum("ij,jk,ik->i", transfer, s, transfer.conj())))
    return np.asarray(simpson(np.array(spectrum) * f[:, None], x=np.log(f), axis=0))


def densities(equations: Equations, v: np.ndarray, drives: Drives) -> np.ndarray:
    """S: the two-sided density in A²/Hz of the noise currents into the free nodes, at voltages `v` (1, nodes)."""
    whole = equations.voltages(v, drives)[0]
    place = {node: i for i, node in enumerate(equations.free)}
    n = equations.unknowns
    thermal = 2 * BOLTZMANN * equations.netlist.temperature
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
            current = element.model.at(equations.netlist.temperature).current(across, element.area)
            first, second = ([place.get(node, n)] for node in element.nodes)
            add(first, second, np.array([CHARGE * abs(current)]))
        elif isinstance(element, Transistor):
            law = channels_of((element,), equations.netlist.temperature)
            _, slopes = law.current(*(whole[[equations.place(node)]] for node in element.nodes))
            first, second = ([place.get(node, n)] for node in (element.drain, element.source))
            add(first, second, 2 / 3 * thermal * np.abs(slopes[1]))
    return s[:n, :n]


def corners(netlist: Netlist, free: np.ndarray, drives: Drives | None = None) -> tuple[float, float]:
    """The lowest and the highest of the circuit's corner frequencies in Hz: the eigenvalues of C⁻¹J over 2π."""
    equations = Equations(netlist)
    j = equations.jacobian(np.asarray(free, float)[None], {} if drives is None else drives)[0]
    rates = np.real(np.linalg.eigvals(np.linalg.solve(equations.capacitances(), j))) / (2 * np.pi)
    return float(rates.min()), float(rates.max())
