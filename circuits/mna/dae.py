"""Which unknowns z of a circuit's equations C dz/dt = −F(z) have a derivative, as C may be singular.

A node without a capacitance, an island of nodes that float on capacitors and the current of a voltage source have equations without
one: with N spanning the null space of C they are NᵀF = 0, and z = Qy + Nw, the columns of Q being unit vectors at the places of y.
"""

from typing import Any

import numpy as np

from ..netlist.netlist import NetlistError
from .equations import Drives, Equations
from .nonlinear import current_of


def islands(equations: Equations) -> list[tuple[list[str], bool]]:
    """The free nodes that capacitors join, and whether they float: whether no capacitor joins them to a pinned node or to ground."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = len(equations.free)
    c = equations.sparse_capacitances.tocoo()
    rows, columns = (
        np.where(places < equations.unknowns, places, nodes) for places in c.coords
    )  # all that is pinned is one
    between = (c.data != 0) & (rows <= nodes) & (columns <= nodes)
    joined = coo_array(
        (np.ones(between.sum()), (rows[between], columns[between])), shape=(nodes + 1, nodes + 1)
    )
    count, labels = connected_components(joined, directed=False)
    members: list[list[str]] = [[] for _ in range(count)]
    for node, label in zip(equations.free, labels, strict=False):
        members[label].append(node)
    return [(found, one != labels[nodes]) for one, found in enumerate(members) if found]


def split(equations: Equations) -> tuple[np.ndarray, Any]:
    """The places of y, and N, sparse: a column of ones for each floating island, a unit vector for each current but inductors'."""
    from scipy.sparse import coo_array

    own: list[int] = []
    null: list[list[int]] = []
    for nodes, floats in islands(equations):
        places = [equations.place(node) for node in nodes]
        own += places[1:] if floats else places
        null += [places] if floats else []
    for branch in equations.branches:
        place = equations.place(current_of(branch))
        if branch.startswith("L"):
            own.append(place)
        else:
            null.append([place])
    rows = np.array([place for places in null for place in places], int)
    columns = np.repeat(np.arange(len(null)), [len(places) for places in null])
    return np.array(own, int), coo_array(
        (np.ones(len(rows)), (rows, columns)), shape=(equations.unknowns, len(null))
    ).tocsr()


def unknowns_at(equations: Equations, voltages: np.ndarray, drives: Drives) -> np.ndarray:
    """The unknowns (1, unknowns) at an operating point of which the `voltages` (V) of the free nodes are known.

    The currents of branches are those that obey Kirchhoff's current law best, by the method of Gauss and Newton. Raises `NetlistError`
    where it does not converge.
    """
    from scipy.sparse.linalg import splu

    n = len(equations.free)
    z = np.zeros((1, equations.unknowns))
    z[0, :n] = voltages
    if not equations.branches:
        return z
    off = largest = np.inf
    for _ in range(20):
        into = equations.sparse_jacobian(z, drives)[0][:n, n:]
        step = splu((into.T @ into).tocsc()).solve(into.T @ equations.residual(z, drives)[0][0, :n])
        z[0, n:] -= step
        off, largest = np.abs(step).max(), np.abs(z[0, n:]).max()
        if off <= 1e-12 * largest:
            break
    if not off <= 1e-6 * largest:
        raise NetlistError(
            f"the currents of {equations.netlist.title!r} must follow from its voltages, but are {off:.2g} A off"
        )
    return z
