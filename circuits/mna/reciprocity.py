"""Whether a circuit has an energy.

The coordinates that its ideal sources leave free, and the weights with which it is reciprocal.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..netlist.netlist import Netlist, NetlistError
from .dae import unknowns_at
from .equations import Equations

if TYPE_CHECKING:
    import xarray as xr

ROUNDING = 1e-9
"""The asymmetry, relative to the conductances at hand, that still counts as none."""


@dataclass(frozen=True)
class Coordinates:
    """What a circuit's ideal sources leave free, at a Jacobian J = [[Y, N], [B, 0]].

    Floating and controlled voltage sources tie node voltages together, B v = e, and their currents
    N i enter several nodes. With the voltages z of the `kept` nodes, v = T z + …, and the rows W of
    Kirchhoff's laws that hold no unknown current, WᵀN = 0, what remains is Wᵀ(Y v + …) = 0, with
    `conductance` K = WᵀYT. It is the slope of an energy where D⁻¹K is symmetric for positive
    `weights` D, which are 1 without amplifiers, and A^{2l} behind l bidirectional amplifiers of
    gain A. Laws that are `one_way`, as a transistor's channel, have no say in D.

    `tied`: the other free nodes, one for each branch. `to_nodes`, `balance`: T and W,
    (free nodes, kept nodes).
    """

    kept: np.ndarray
    tied: np.ndarray
    to_nodes: np.ndarray
    balance: np.ndarray
    conductance: np.ndarray
    weights: np.ndarray

    @classmethod
    def at(cls, equations: Equations, unknowns: np.ndarray) -> "Coordinates":
        """Return the coordinates at `unknowns` (1, unknowns).

        **Raises** `NetlistError` where a voltage depends on a branch's current, and where voltage
        sources leave a current undetermined.
        """
        n, jacobian = len(equations.free), equations.jacobian(unknowns, {})[0]
        y, into = jacobian[:n, :n], jacobian[:n, n:]
        ties, resistances = jacobian[n:, :n], jacobian[n:, n:]
        if resistances.any():
            rows = zip(equations.branches, resistances, strict=True)
            names = [branch for branch, row in rows if row.any()]
            raise NetlistError(
                "a voltage must not depend on a current for coordinates of the node voltages, "
                f"but that of {names} does"
            )

        tied = _pivots(ties, into)
        kept = np.setdiff1d(np.arange(n), tied)
        to_nodes, balance = np.zeros((n, len(kept))), np.zeros((n, len(kept)))
        to_nodes[kept, np.arange(len(kept))] = balance[kept, np.arange(len(kept))] = 1.0
        if len(tied):
            to_nodes[tied] = -np.linalg.solve(ties[:, tied], ties[:, kept])
            balance[tied] = -np.linalg.solve(into[tied].T, into[kept].T)

        conductance = balance.T @ y @ to_nodes
        mutual = equations.jacobian(unknowns, {}, one_way=False)[0, :n, :n]
        weights = _weights(balance.T @ mutual @ to_nodes)
        return cls(kept, tied, to_nodes, balance, conductance, weights)

    @property
    def asymmetry(self) -> float:
        """‖M − Mᵀ‖ / 2‖M‖ of M = D⁻¹K, Frobenius norms: 0 if reciprocal, 1 for a gyrator."""
        m = self.conductance / self.weights[:, None]
        whole = 2 * np.linalg.norm(m)
        return float(np.linalg.norm(m - m.T) / whole) if whole > 0 else 0.0

    def node_weights(self) -> np.ndarray:
        """Return ω (free nodes,), with which a current out of a node enters the energy.

        D⁻¹W = ω T row by row; NaN where no number does it.
        """
        rows = self.balance / self.weights
        sizes = np.sum(self.to_nodes**2, axis=1)
        weights = np.sum(rows * self.to_nodes, axis=1) / np.where(sizes > 0, sizes, 1.0)
        off = np.abs(rows - weights[:, None] * self.to_nodes).max(axis=1, initial=0.0)
        fits = off <= ROUNDING * np.abs(rows).max(axis=1, initial=0.0)
        return np.where(fits & (weights >= 0), weights, np.nan)


def nonreciprocity(netlist: Netlist, points: "xr.Dataset | None" = None) -> float:
    """Return how far a circuit is from having an energy.

    It is ‖M − Mᵀ‖ / 2‖M‖ of its linearisation M (`Coordinates.asymmetry`): 0 for resistors, diodes,
    sources and bidirectional amplifiers of one gain per stage. Between 0 and 1 otherwise: the part
    of the response that no energy can have; a transistor's channel has some wherever current flows
    in it.

    **Arguments:** `netlist`: a circuit. `points`: the operating point around which it is, a
    simulator's Dataset of one sample; 0 V and 0 A everywhere if not given.

    **Raises** `NetlistError` for a netlist that floats, and where an element's voltage depends on a
    current; `ValueError` where `points` is not one certified point of the netlist.
    """
    netlist.check()
    equations = Equations.of(netlist)
    unknowns = np.zeros((1, equations.unknowns))
    if points is not None:
        unknowns = unknowns_at(equations, None, points)
    return Coordinates.at(equations, unknowns).asymmetry


def _pivots(ties: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Return a node for each branch such that B's columns and N's rows are nonsingular at them.

    **Raises** `NetlistError` where there are none: voltage sources in a loop, or currents that
    nothing determines.
    """
    from scipy.linalg import qr

    branches = len(ties)
    if not branches:
        return np.zeros(0, int)
    # a node that a branch's voltage ties and into which its current goes
    alike = np.abs(ties) * (np.abs(into.T) > 0)
    order = np.argsort(-alike.sum(0), kind="stable")
    permutation = qr(ties[:, order] * (alike[:, order] > 0), pivoting=True, mode="r")[-1]
    tied = np.sort(order[np.asarray(permutation)[:branches]])
    for square in (ties[:, tied], into[tied]):
        if len(tied) < branches or np.linalg.cond(square) > 1e12:
            raise NetlistError(
                "the voltage sources of the netlist must leave every voltage and current "
                "determined, but do not"
            )
    return tied


def _weights(conductance: np.ndarray) -> np.ndarray:
    """Return D with D_j K_ij = D_i K_ji along a spanning tree, 1 at the first node of each part."""
    n = len(conductance)
    linked = (conductance * conductance.T) > 0
    np.fill_diagonal(linked, False)
    weights = np.zeros(n)
    for root in range(n):
        if weights[root] == 0:
            weights[root] = 1.0
            reached = [root]
            while reached:
                i = reached.pop()
                for j in np.flatnonzero(linked[i] & (weights == 0)).tolist():
                    weights[j] = weights[i] * conductance[j, i] / conductance[i, j]
                    reached.append(j)
    return weights
