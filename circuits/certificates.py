"""What speaks for an operating point: whoever found it, it is put into the netlist's own equations."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .elements import Inductor
from .equations import Drives, Equations, current_of

DENSE = 400
"""Up to so many unknowns Jacobians are dense and all samples are solved at once."""


@dataclass(frozen=True)
class Certificate:
    """What speaks for operating points, per sample.

    - `correction`: the largest voltage in the Newton step J⁻¹F, in V: the distance to the fixed point.
    - `kcl`: the largest |F| of a row over the sum of the sizes of its terms.
    - `stable`: whether the circuit stays there with a capacitance at each node. Passive circuits do; otherwise J's symmetric part is
      positive definite, or, with branches, no perturbation grows.
    """

    correction: np.ndarray
    kcl: np.ndarray
    stable: np.ndarray


Step = Callable[[np.ndarray, Drives, np.ndarray], np.ndarray]
"""J⁻¹F (samples, unknowns) from unknowns, drives and F; NaN where J is singular."""


@functools.cache
def _pools() -> Any:
    """The thread pools of BLAS: on matrices of this size its threads wait for each other longer than they work."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def certify(equations: Equations, unknowns: np.ndarray, drives: Drives, step: Step | None = None) -> Certificate:
    """The certificate of unknowns (samples, unknowns); NaN voltages have NaN and are not stable.

    `step`: what solves for J⁻¹F where there is something faster than the equations' own Jacobian; F itself is always theirs.
    """
    known = np.atleast_1d(np.isfinite(unknowns).all(axis=1))
    correction, kcl, stable = np.full(len(known), np.nan), np.full(len(known), np.nan), np.zeros(len(known), bool)
    if not known.any():
        return Certificate(correction, kcl, stable)
    chosen = {name: np.broadcast_to(values, len(known))[known] for name, values in drives.items()}
    with _pools().limit(limits=1, user_api="blas"):
        correction[known], kcl[known], stable[known] = _certify(equations, unknowns[known], chosen, step)
    return Certificate(correction, kcl, stable)


def _certify(
    equations: Equations, points: np.ndarray, chosen: Drives, step: Step | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | list[bool]]:
    """Corrections, KCL and stability of points that are all finite."""
    nodes = len(equations.free)
    f, sizes = equations.residual(points, chosen)
    kcl = np.max(np.abs(f) / np.where(sizes > 0, sizes, 1.0), axis=1, initial=0.0)
    if equations.passive:
        if step is not None:
            moves = step(points, chosen, f)
        elif equations.unknowns <= DENSE:
            moves = _dense_step(f, equations.jacobian(points, chosen))
        else:
            moves = _sparse_step(equations, points, chosen, f)
        correction = np.max(np.abs(moves[:, :nodes]), axis=1, initial=0.0)
        return correction, kcl, np.isfinite(correction)
    j = equations.jacobian(points, chosen)
    correction = np.max(np.abs(_dense_step(f, j)[:, :nodes]), axis=1, initial=0.0)
    return correction, kcl, [bool(np.isfinite(c)) and _is_stable(equations, one) for c, one in zip(correction, j, strict=True)]


def _dense_step(f: np.ndarray, j: np.ndarray) -> np.ndarray:
    """J⁻¹F (samples, unknowns), NaN where J is singular."""
    try:
        return np.linalg.solve(j, f[..., None])[..., 0]
    except np.linalg.LinAlgError:
        if len(f) == 1:
            return np.full_like(f, np.nan)
        return np.concatenate([_dense_step(f[i : i + 1], j[i : i + 1]) for i in range(len(f))])  # to say which is singular


def _sparse_step(equations: Equations, points: np.ndarray, drives: Drives, f: np.ndarray) -> np.ndarray:
    from scipy.sparse.linalg import splu

    matrices = equations.sparse_jacobian(points, drives)
    try:
        if len(matrices) < len(f):
            return splu(matrices[0]).solve(f.T).T
        return np.stack([splu(one).solve(own) for one, own in zip(matrices, f, strict=True)])
    except RuntimeError:  # exactly singular
        return np.full_like(f, np.nan)


def _is_stable(equations: Equations, j: np.ndarray) -> bool:
    if not equations.branches:
        return _positive_definite(j)
    from scipy.linalg import eigvals

    masses = np.zeros(len(j))
    masses[: len(equations.free)] = 1.0
    for element in equations.netlist.elements:
        if isinstance(element, Inductor):
            masses[equations.place(current_of(f"L{element.name}"))] = -1.0
    rates = eigvals(j, np.diag(masses))
    finite = np.abs(rates) < 1e6 * np.abs(j).max()  # ties have infinite rates, which rounding makes 1e16 of either sign
    return bool(np.all(np.real(rates[finite]) > 0))


def _positive_definite(j: np.ndarray) -> bool:
    """Whether the symmetric part of a nonsingular J is positive definite: at a glance where it dominates by its diagonal."""
    diagonal = np.diagonal(j)
    sizes = np.abs(j)
    if np.all(2 * diagonal * (1 + 1e-12) >= (sizes.sum(0) + sizes.sum(1)) / 2) and np.all(diagonal > 0):
        return True
    try:
        np.linalg.cholesky((j + j.T) / 2)
    except np.linalg.LinAlgError:
        return False
    return True
