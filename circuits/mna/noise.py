"""Thermal, shot and flicker noise around an operating point, from the netlist's own linear equations.

Around it C dz/dt = −J z + ξ, with J = ∂F/∂z, the capacitances C and currents ξ of two-sided density S into the nodes: a conductance G
contributes 2kTG, a diode q|I| and a transistor's channel (4/3) kT gm; T is the netlist's. ngspice has the same densities, one-sided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..elements.base import GROUND
from ..elements.diodes import Diode
from ..elements.passive import ConductanceMatrix, Resistor
from ..elements.sources import CurrentSource
from ..elements.transistors import Mosfet, channels_of
from ..elements.waveforms import Pwl
from ..netlist.netlist import Netlist, NetlistError
from ..units import BOLTZMANN, CHARGE
from .dae import split, unknowns_at
from .equations import Drives, Equations

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NOTHING = 1e-9
"""The part of a variance that still counts as none."""


def covariance(
    netlist: Netlist,
    free: np.ndarray,
    drives: Drives | None = None,
    *,
    nodes: Sequence[str] | None = None,
) -> np.ndarray:
    """The covariance Σ (nodes, nodes) in V² of the voltages of `nodes`, all free ones if not given, around an operating point.

    With C = QᵀCQ and J of the unknowns that have a derivative alone, the others eliminated,

        C⁻¹J Σ + Σ Jᵀ C⁻¹ = C⁻¹ S C⁻¹.

    Where all is linear and passive, Σ_ii = kT/C_i. (Gardiner, Handbook of Stochastic Methods, section 4.4.6.) Flicker is left out:
    within no bound on its frequencies it has no variance.

    **Arguments:** `free`: the voltages (V) of the free nodes at the operating point, and `drives` there.

    **Raises** `NetlistError` for a node whose noise has no bound, as the white noise of a resistance has where no capacitance is; one
    that an ideal amplifier ties to nodes with capacitances has one. And for a circuit that is not stable around its operating point.
    """
    from scipy.linalg import solve_continuous_lyapunov

    equations = Equations(netlist)
    names = equations.free if nodes is None else tuple(nodes)
    if wrong := [node for node in names if node not in equations.free]:
        raise NetlistError(f"`nodes` must be free nodes of the netlist, but {wrong[:10]} are not")
    around = _Linear.at(equations, free, drives)
    rows = [equations.place(node) for node in names]
    rates = np.real(np.linalg.eigvals(around.drift))
    if (rates <= 0).any():
        raise NetlistError(
            f"{netlist.title!r} must be stable around its operating point, but noise grows at {-rates.min():.3g} 1/s"
        )
    kicks = np.linalg.solve(around.capacitance, np.linalg.solve(around.capacitance, around.kicks).T)
    to = around.to_unknowns[rows]
    found = (
        to @ solve_continuous_lyapunov(around.drift, kicks) @ to.T
        if len(rates)
        else np.zeros((len(rows), len(rows)))
    )
    within_band = around.white(rows) * rates.max(initial=1.0)
    if bare := [
        node
        for node, white, own in zip(names, within_band, np.diag(found), strict=True)
        if white > NOTHING * own
    ]:
        raise NetlistError(
            f"noise must have a bound at every node, but without a capacitance it has none at {bare[:10]}"
        )
    return found


def corners(
    netlist: Netlist, free: np.ndarray, drives: Drives | None = None
) -> tuple[float, float]:
    """The lowest and the highest of the circuit's corner frequencies in Hz: the eigenvalues of C⁻¹J over 2π."""
    rates = np.real(np.linalg.eigvals(_Linear.at(Equations(netlist), free, drives).drift)) / (
        2 * np.pi
    )
    return float(rates.min()), float(rates.max())


@dataclass(frozen=True, eq=False)
class _Linear:
    """A circuit around an operating point, z = Qy + Nw as in `unknowns`.

    With w from NᵀJz = Nᵀξ, and M = N (NᵀJN)⁻¹ Nᵀ,

        QᵀCQ dy/dt = −Qᵀ(J − JMJ)Q y + Qᵀ(1 − JM) ξ,      z = (1 − MJ)Q y + M ξ.

    `capacitance`: QᵀCQ. `drift`: its inverse times Qᵀ(J − JMJ)Q, in 1/s. `kicks`: the density of Qᵀ(1 − JM) ξ. `to_unknowns`:
    (1 − MJ)Q.
    """

    capacitance: np.ndarray
    drift: np.ndarray
    kicks: np.ndarray
    to_unknowns: np.ndarray
    _density: "csr_array"
    _null: "csr_array"
    _tied: Any

    @classmethod
    def at(cls, equations: Equations, free: np.ndarray, drives: Drives | None) -> "_Linear":
        from scipy.sparse.linalg import splu

        drives = {} if drives is None else drives
        z = unknowns_at(equations, free, drives)
        own, null = split(equations)
        j, s = equations.sparse_jacobian(z, drives)[0], densities(equations, z, drives)
        to, back = (np.zeros((equations.unknowns, len(own))) for _ in range(2))
        to[own, np.arange(len(own))] = back[own, np.arange(len(own))] = 1.0
        tied: Any = None
        if null.shape[1]:
            try:
                tied = splu((null.T @ j @ null).tocsc())
            except RuntimeError as error:
                raise NetlistError(
                    f"{equations.netlist.title!r} must have one operating point, but has many or none"
                ) from error
            to, back = (
                to - null @ tied.solve(null.T @ (j @ to)),
                back - null @ tied.solve(null.T @ (j.T @ back), "T"),
            )
        whole: Any = equations.sparse_capacitances
        c = whole[own][:, own].toarray()
        return cls(c, np.linalg.solve(c, (j @ to)[own]), back.T @ (s @ back), to, s, null, tied)

    def white(self, rows: Sequence[int]) -> np.ndarray:
        """The density (rows,) in V²/Hz, two-sided, of M ξ: noise of all frequencies."""
        if self._tied is None:
            return np.zeros(len(rows))
        found = self._null @ self._tied.solve(self._null.T[:, rows].toarray(), "T")
        return np.einsum("ki,ki->i", found, self._density @ found)


def noise_density(
    netlist: Netlist,
    free: np.ndarray,
    frequencies: np.ndarray,
    drives: Drives | None = None,
    *,
    nodes: Sequence[str] | None = None,
) -> np.ndarray:
    """The one-sided density (frequencies, nodes) in V²/Hz of the noise at `nodes`, all free ones if not given, flicker included.

    2 diag[(J + 2πif C)⁻¹ (S + K/f) (J + 2πif C)⁻ᴴ],

    K/f being the two-sided density of flicker. `frequencies` in Hz; the rest as for `covariance`, but any circuit has a density.
    """
    equations = Equations(netlist)
    drives = {} if drives is None else drives
    names = equations.free if nodes is None else nodes
    return densities_at(
        equations,
        unknowns_at(equations, free, drives),
        drives,
        [equations.place(n) for n in names],
        frequencies,
    )


def densities_at(
    equations: Equations,
    unknowns: np.ndarray,
    drives: Drives,
    places: Sequence[int],
    frequencies: np.ndarray,
) -> np.ndarray:
    """`noise_density` of the unknowns at `places`, around `unknowns` (1, unknowns)."""
    from scipy.sparse.linalg import splu

    j, c = (
        equations.sparse_jacobian(unknowns, drives)[0],
        equations.sparse_capacitances[: equations.unknowns, : equations.unknowns],
    )
    s, k = (densities(equations, unknowns, drives, flicker=flicker) for flicker in (False, True))
    chosen = np.eye(equations.unknowns, dtype=complex)[:, places]
    found = []
    for f in frequencies:
        u = splu((j + 2j * np.pi * f * c).tocsc()).solve(chosen, "T")
        found.append(2 * np.real(np.einsum("ki,ki->i", u, (s + k / f) @ u.conj())))
    return np.array(found)


def densities(
    equations: Equations, v: np.ndarray, drives: Drives, *, flicker: bool = False
) -> "csr_array":
    """S: the two-sided density in A²/Hz of the noise currents into the unknowns' rows, at `v` (1, unknowns).

    With `flicker` K in A² instead: that of the noise whose density is K/f, which diodes have.
    """
    from scipy.sparse import coo_array

    whole = equations.voltages(v, drives)[0]
    place = {node: i for i, node in enumerate(equations.free)}
    n = equations.unknowns
    thermal = 0.0 if flicker else 2 * BOLTZMANN * equations.netlist.temperature
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(first: Any, second: Any, density: np.ndarray) -> None:
        first, second = np.asarray(first), np.asarray(second)
        for row, column, sign in (
            (first, first, 1),
            (second, second, 1),
            (first, second, -1),
            (second, first, -1),
        ):
            inside = (row < n) & (column < n)
            parts.append((row[inside], column[inside], sign * density[inside]))

    for element in equations.netlist.elements:
        if isinstance(element, ConductanceMatrix):
            rows, columns = np.indices(element.siemens.shape).reshape(2, -1)
            first, second = (
                np.array([place.get(node, n) for node in names])
                for names in (element.rows, element.columns)
            )
            add(first[rows], second[columns], thermal * element.siemens.ravel())
        elif isinstance(element, Resistor):
            first, second = ([place.get(node, n)] for node in element.nodes)
            add(first, second, np.array([thermal * element.siemens]))
        elif isinstance(element, Diode):
            across = whole[equations.place(element.anode)] - whole[equations.place(element.cathode)]
            model = element.model.at(equations.netlist.temperature)
            current = abs(model.current(across, element.area))
            density = (
                model.flicker * current**model.flicker_exponent / 2 if flicker else CHARGE * current
            )
            first, second = ([place.get(node, n)] for node in element.nodes)
            add(first, second, np.array([density]))
        elif isinstance(element, Mosfet):
            law = channels_of((element,), equations.netlist.temperature)
            _, slopes = law.current(*(whole[[equations.place(node)]] for node in element.nodes))
            first, second = ([place.get(node, n)] for node in (element.drain, element.source))
            add(first, second, 2 / 3 * thermal * np.abs(slopes[1]))
    rows, columns, values = (
        np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, int) for i in range(3)
    )
    return coo_array((values, (rows, columns)), shape=(n, n), dtype=float).tocsr()


def with_noise(
    netlist: Netlist,
    free: np.ndarray,
    *,
    step: float,
    stop: float,
    seed: int,
    drives: Drives | None = None,
) -> Netlist:
    """A netlist with the noise of its elements as current sources, drawn here, for a transient to `stop` in s.

    Into every free node a source `Inoise_*` pushes straight lines between normal numbers at the multiples of `step`, whose covariance
    is S/`step`: white noise of two-sided density S up to frequencies of about 1/(4 `step`), so that `step` must be a small part of
    every time constant. A simulator's own transient noise would be another in each simulator; this one is the same in all.

    **Arguments:** `free`: the operating point (V) at which S is taken, and `drives` there. `seed`: of the numbers. For small circuits:
    a source has `stop`/`step` points.

    **Raises** `ValueError` where `step` and `stop` are not 0 < step < stop.
    """
    if not 0 < step < stop < np.inf:
        raise ValueError(f"`step` and `stop` must be 0 < step < stop, but are {step} and {stop}")
    equations = Equations(netlist)
    drives = {} if drives is None else drives
    nodes = len(equations.free)
    s = densities(equations, unknowns_at(equations, free, drives), drives)[:nodes, :nodes].toarray()
    sizes, ways = np.linalg.eigh(s)
    times = step * np.arange(int(np.ceil(stop / step)) + 1)
    numbers = np.random.default_rng(seed).standard_normal((len(times), len(sizes))) * np.sqrt(
        np.maximum(sizes, 0.0) / step
    )
    pushed = numbers @ ways.T
    sources = (
        CurrentSource(
            f"noise_{node}",
            GROUND,
            node,
            0.0,
            waveform=Pwl(tuple(times.tolist()), tuple(column.tolist())),
        )
        for node, column in zip(equations.free, pushed.T, strict=True)
    )
    return replace(netlist, elements=(*netlist.elements, *sources))
