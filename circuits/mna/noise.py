"""Thermal, shot and flicker noise around an operating point, from the netlist's linear equations.

Around it C dz/dt = −J z + ξ, with J = ∂F/∂z, the capacitances C and currents ξ of two-sided density
S into the nodes, which each element states: a conductance G contributes 2kTG, a diode q|I| and a
transistor's channel (4/3) kT gm; T is the netlist's. ngspice has the same densities, one-sided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..elements.base import GROUND
from ..elements.sources import CurrentSource
from ..elements.waveforms import Pwl
from ..netlist.netlist import Netlist, NetlistError
from .dae import split, unknowns_at
from .equations import Drives, Equations

if TYPE_CHECKING:
    import xarray as xr
    from scipy.sparse import csr_array

NEGLIGIBLE = 1e-9
"""The part of a variance that still counts as none."""


def covariance(
    netlist: Netlist,
    drives: Drives | None,
    points: "xr.Dataset",
    *,
    nodes: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the covariance Σ of the noise of node voltages around an operating point.

    With C = QᵀCQ and J of the unknowns that have a derivative alone, the others eliminated,

        C⁻¹J Σ + Σ Jᵀ C⁻¹ = C⁻¹ S C⁻¹.

    Where all is linear and passive, Σ_ii = kT/C_i. (Gardiner, Handbook of Stochastic Methods,
    section 4.4.6.) Flicker is left out: within no bound on its frequencies it has no variance.

    **Arguments:** `netlist`: a circuit, whose elements make the noise. `drives`: values (1,) of
    sources at the operating point. `points`: the point, a simulator's Dataset of one sample.
    `nodes`: all free ones if not given.

    **Returns** Σ (nodes, nodes) in V².

    **Raises** `NetlistError` for a node whose noise has no bound, as the white noise of a
    resistance has where no capacitance is; one that an ideal amplifier ties to nodes with
    capacitances has one. And for a circuit that is not stable around its operating point.
    `ValueError` where `points` is not one certified point of the netlist.
    """
    equations = Equations.of(netlist)
    names = equations.free if nodes is None else tuple(nodes)
    if wrong := [node for node in names if node not in equations.free]:
        raise NetlistError(f"`nodes` must be free nodes of the netlist, but {wrong[:10]} are not")
    around = _Linear.at(equations, drives, points)
    rows = [equations.place(node) for node in names]
    rates = np.real(np.linalg.eigvals(around.drift))
    if (rates <= 0).any():
        raise NetlistError(
            f"{netlist.title!r} must be stable around its operating point, "
            f"but noise grows at {-rates.min():.3g} 1/s"
        )

    variances = around.covariance(rows)
    white = around.white(rows) * rates.max(initial=1.0)  # within the circuit's band
    if bare := [
        node
        for node, band, variance in zip(names, white, np.diag(variances), strict=True)
        if band > NEGLIGIBLE * variance
    ]:
        raise NetlistError(
            "noise must have a bound at every node, but without a capacitance it has none "
            f"at {bare[:10]}"
        )
    return variances


def corners(netlist: Netlist, drives: Drives | None, points: "xr.Dataset") -> tuple[float, float]:
    """Return the lowest and the highest corner frequency in Hz: the eigenvalues of C⁻¹J over 2π.

    **Arguments:** `netlist`: a circuit. `drives`: values (1,) of sources at the operating point.
    `points`: the point, a simulator's Dataset of one sample.

    **Raises** `ValueError` where `points` is not one certified point of the netlist.
    """
    drift = _Linear.at(Equations.of(netlist), drives, points).drift
    rates = np.real(np.linalg.eigvals(drift)) / (2 * np.pi)
    return float(rates.min()), float(rates.max())


@dataclass(frozen=True, eq=False)
class _Linear:
    """A circuit around an operating point, z = Qy + Nw as in `dae`.

    With w from NᵀJz = Nᵀξ, and M = N (NᵀJN)⁻¹ Nᵀ,

        QᵀCQ dy/dt = −Qᵀ(J − JMJ)Q y + Qᵀ(1 − JM) ξ,      z = (1 − MJ)Q y + M ξ.

    `capacitance`: QᵀCQ. `drift`: its inverse times Qᵀ(J − JMJ)Q, in 1/s. `kicks`: the density of
    Qᵀ(1 − JM) ξ. `to_unknowns`: (1 − MJ)Q.
    """

    capacitance: np.ndarray
    drift: np.ndarray
    kicks: np.ndarray
    to_unknowns: np.ndarray
    _density: "csr_array"
    _null: "csr_array"
    _tied: Any

    @classmethod
    def at(cls, equations: Equations, drives: Drives | None, points: "xr.Dataset") -> "_Linear":
        """Return the circuit linearised at an operating point; arguments as of `covariance`."""
        from scipy.sparse.linalg import splu

        z = unknowns_at(equations, drives, points)
        dynamic, null = split(equations)
        j = equations.sparse_jacobian(z, drives or {})[0]
        s = densities(equations, drives or {}, z)
        to, back = (np.zeros((equations.unknowns, len(dynamic))) for _ in range(2))
        to[dynamic, np.arange(len(dynamic))] = back[dynamic, np.arange(len(dynamic))] = 1.0
        tied: Any = None
        if null.shape[1]:
            try:
                tied = splu((null.T @ j @ null).tocsc())
            except RuntimeError as error:
                raise NetlistError(
                    f"{equations.netlist.title!r} must have one operating point, "
                    "but has many or none"
                ) from error
            to = to - null @ tied.solve(null.T @ (j @ to))
            back = back - null @ tied.solve(null.T @ (j.T @ back), "T")
        whole: Any = equations.capacitances_at(z, drives or {})
        c = whole[dynamic][:, dynamic].toarray()
        drift = np.linalg.solve(c, (j @ to)[dynamic])
        return cls(c, drift, back.T @ (s @ back), to, s, null, tied)

    def covariance(self, rows: Sequence[int]) -> np.ndarray:
        """Return the covariance (rows, rows) in V² of the unknowns at `rows`, without M ξ."""
        from scipy.linalg import solve_continuous_lyapunov

        if not len(self.drift):
            return np.zeros((len(rows), len(rows)))
        once = np.linalg.solve(self.capacitance, self.kicks)
        kicks = np.linalg.solve(self.capacitance, once.T)
        to = self.to_unknowns[rows]
        return to @ solve_continuous_lyapunov(self.drift, kicks) @ to.T

    def white(self, rows: Sequence[int]) -> np.ndarray:
        """Return the density (rows,) in V²/Hz, two-sided, of M ξ: noise of all frequencies."""
        if self._tied is None:
            return np.zeros(len(rows))
        into = self._null @ self._tied.solve(self._null.T[:, rows].toarray(), "T")
        return np.einsum("ki,ki->i", into, self._density @ into)


def noise_density(
    netlist: Netlist,
    drives: Drives | None,
    points: "xr.Dataset",
    frequencies: np.ndarray,
    *,
    nodes: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the one-sided density of the noise of node voltages, flicker included.

    2 diag[(J + 2πif C)⁻¹ (S + K/f) (J + 2πif C)⁻ᴴ],

    K/f being the two-sided density of flicker. Any circuit has a density.

    **Arguments:** `netlist`: a circuit, whose elements make the noise. `drives`: values (1,) of
    sources at the operating point. `points`: the point, a simulator's Dataset of one sample.
    `frequencies` (frequencies,) in Hz. `nodes`: all free ones if
    not given.

    **Returns** densities (frequencies, nodes) in V²/Hz.

    **Raises** `ValueError` where `points` is not one certified point of the netlist.
    """
    equations = Equations.of(netlist)
    z = unknowns_at(equations, drives, points)
    places = [equations.place(node) for node in (equations.free if nodes is None else nodes)]
    return densities_at(equations, drives or {}, z, places, frequencies)


def densities_at(
    equations: Equations,
    drives: Drives,
    unknowns: np.ndarray,
    places: Sequence[int],
    frequencies: np.ndarray,
) -> np.ndarray:
    """Return `noise_density` (frequencies, places) around `unknowns` (1, unknowns).

    **Arguments:** `drives`: values (1,) of sources. `places`: the unknowns whose noise it is.
    `frequencies` (frequencies,) in Hz.
    """
    from scipy.sparse.linalg import splu

    n = equations.unknowns
    j = equations.sparse_jacobian(unknowns, drives)[0]
    c = equations.capacitances_at(unknowns, drives)[:n, :n]
    s, k = (densities(equations, drives, unknowns, flicker=flicker) for flicker in (False, True))
    chosen = np.eye(n, dtype=complex)[:, places]
    rows = []
    for f in frequencies:
        u = splu((j + 2j * np.pi * f * c).tocsc()).solve(chosen, "T")
        rows.append(2 * np.real(np.einsum("ki,ki->i", u, (s + k / f) @ u.conj())))
    return np.array(rows)


def densities(
    equations: Equations, drives: Drives, unknowns: np.ndarray, *, flicker: bool = False
) -> "csr_array":
    """Return S, the two-sided density in A²/Hz of the noise currents into the unknowns' rows.

    **Arguments:** `unknowns` (1, unknowns). `flicker`: whether to return K in A² instead, that of
    the noise whose density is K/f.

    **Returns** a sparse matrix (unknowns, unknowns).
    """
    from scipy.sparse import coo_array

    whole = equations.voltages(unknowns, drives)[0]
    n, temperature = equations.unknowns, equations.netlist.temperature
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def volts(node: str) -> float:
        return whole[equations.place(node)]

    for element in equations.netlist.elements:
        for plus, minus, white, flickering in element.noise(volts, temperature):
            density = flickering if flicker else white
            first, second = (np.array([equations.find(m) for m in side]) for side in (plus, minus))
            if density.ndim == 2:
                rows, columns = np.nonzero(density)
                first, second, density = first[rows], second[columns], density[rows, columns]
            for row, column, sign in (
                (first, first, 1),
                (second, second, 1),
                (first, second, -1),
                (second, first, -1),
            ):
                inside = (row < n) & (column < n)
                parts.append((row[inside], column[inside], sign * density[inside]))
    rows, columns, values = (
        np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, int) for i in range(3)
    )
    return coo_array((values, (rows, columns)), shape=(n, n), dtype=float).tocsr()


def with_noise(
    netlist: Netlist,
    drives: Drives | None,
    points: "xr.Dataset",
    *,
    step: float,
    stop: float,
    seed: int,
) -> Netlist:
    """Return a netlist with the noise of its elements as current sources, for a transient.

    Into every free node a source `Inoise_*` pushes straight lines between normal numbers at the
    multiples of `step`, whose covariance is S/`step`: white noise of two-sided density S up to
    frequencies of about 1/(4 `step`), so that `step` must be a small part of every time constant. A
    simulator's own transient noise would be another in each simulator; this one is the same in all.
    For small circuits: a source has `stop`/`step` points.

    **Arguments:** `netlist`: a circuit, whose elements make the noise. `drives`: values (1,) of
    sources at the operating point at which S is taken.
    `points`: the point, a simulator's Dataset of one sample. `step`, `stop`: in s. `seed`: of the
    numbers.

    **Raises** `ValueError` where `step` and `stop` are not 0 < step < stop, or `points` is not one
    certified point of the netlist.
    """
    if not 0 < step < stop < np.inf:
        raise ValueError(f"`step` and `stop` must be 0 < step < stop, but are {step} and {stop}")
    equations = Equations.of(netlist)
    nodes = len(equations.free)
    z = unknowns_at(equations, drives, points)
    s = densities(equations, drives or {}, z)[:nodes, :nodes].toarray()
    sizes, ways = np.linalg.eigh(s)
    times = step * np.arange(int(np.ceil(stop / step)) + 1)
    normal = np.random.default_rng(seed).standard_normal((len(times), len(sizes)))
    pushed = normal * np.sqrt(np.maximum(sizes, 0.0) / step) @ ways.T

    instants = tuple(times.tolist())
    sources = (
        CurrentSource(
            f"noise_{node}", GROUND, node, 0.0, waveform=Pwl(instants, tuple(column.tolist()))
        )
        for node, column in zip(equations.free, pushed.T, strict=True)
    )
    return replace(netlist, elements=(*netlist.elements, *sources))
