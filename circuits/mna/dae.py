"""Which unknowns z of the equations C dz/dt = −F(z) have a derivative, as C may be singular.

A node without a capacitance, an island of nodes that float on capacitors and the current of a
voltage source have equations without one: with N spanning the null space of C they are NᵀF = 0, and
z = Qy + Nw, the columns of Q being unit vectors at the places of y.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..elements.base import current_of
from ..netlist.netlist import NetlistError
from .equations import Drives, Equations

if TYPE_CHECKING:
    import xarray as xr


def islands(equations: Equations) -> list[tuple[list[str], bool]]:
    """Return the free nodes that capacitors join, and whether each such island floats.

    It floats where no capacitor joins it to a pinned node or to ground.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = len(equations.free)
    c = equations.sparse_capacitances.tocoo()
    # all that is pinned counts as one more node
    rows, columns = (np.where(places < equations.unknowns, places, nodes) for places in c.coords)
    between = (c.data != 0) & (rows <= nodes) & (columns <= nodes)
    ends = (rows[between], columns[between])
    joined = coo_array((np.ones(between.sum()), ends), shape=(nodes + 1, nodes + 1))
    count, labels = connected_components(joined, directed=False)

    members: list[list[str]] = [[] for _ in range(count)]
    for node, label in zip(equations.free, labels, strict=False):
        members[label].append(node)
    grounded = labels[nodes]
    return [(island, label != grounded) for label, island in enumerate(members) if island]


def split(equations: Equations) -> tuple[np.ndarray, Any]:
    """Return the places of y, and N.

    **Returns** places (derivatives,), and a sparse matrix (unknowns, others) with a column of ones
    for each floating island and a unit vector for each current that no inductance has.
    """
    from scipy.sparse import coo_array

    places: list[int] = []
    null: list[list[int]] = []
    for nodes, floats in islands(equations):
        island = [equations.place(node) for node in nodes]
        places += island[1:] if floats else island
        null += [island] if floats else []
    inertia = equations.sparse_capacitances.diagonal()
    for branch in equations.branches:
        place = equations.place(current_of(branch))
        if inertia[place] != 0:
            places.append(place)
        else:
            null.append([place])

    rows = np.array([place for group in null for place in group], int)
    columns = np.repeat(np.arange(len(null)), [len(group) for group in null])
    shape = (equations.unknowns, len(null))
    matrix = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
    return np.array(places, int), matrix


def unknowns_at(equations: Equations, drives: Drives | None, points: "xr.Dataset") -> np.ndarray:
    """Return the unknowns (1, unknowns) at an operating point.

    The currents of branches, which a simulator's Dataset does not hold, are those that obey
    Kirchhoff's current law best, by the method of Gauss and Newton.

    **Arguments:** `drives`: values (1,) of sources at the point. `points`: a simulator's Dataset of
    one sample with the free nodes.

    **Raises** `ValueError` where `points` is not one certified point of these nodes, `NetlistError`
    where the currents are not found.
    """
    from scipy.sparse.linalg import splu

    n, drives = len(equations.free), drives or {}
    z = np.zeros((1, equations.unknowns))
    z[0, :n] = _voltages(equations, points)
    if not equations.branches:
        return z
    off = largest = np.inf
    for _ in range(20):
        into = equations.sparse_jacobian(z, drives)[0][:n, n:]
        imbalance = equations.residual(z, drives)[0][0, :n]
        step = splu((into.T @ into).tocsc()).solve(into.T @ imbalance)
        z[0, n:] -= step
        off, largest = np.abs(step).max(), np.abs(z[0, n:]).max()
        if off <= 1e-12 * largest:
            break
    if not off <= 1e-6 * largest:
        raise NetlistError(
            f"the currents of {equations.netlist.title!r} must follow from its voltages, "
            f"but are {off:.2g} A off"
        )
    return z


def _voltages(equations: Equations, points: "xr.Dataset") -> np.ndarray:
    """Return the voltages (free nodes,) of the one point, or raise `ValueError`."""
    title = equations.netlist.title
    if points.sizes.get("sample") != 1:
        raise ValueError(
            f"`points` must hold one sample of {title!r}, as points.isel(sample=[0]), "
            f"but has {dict(points.sizes)}"
        )
    if (status := str(points.status.values[0])) != "ok":
        raise ValueError(f"`points` must be a certified point of {title!r}, but is {status}")
    if missing := sorted({*equations.free} - {*points.node.values.tolist()}):
        raise ValueError(f"`points` must hold the free nodes of {title!r}, but lacks {missing[:5]}")
    return points.voltage.sel(node=list(equations.free)).values[0]
