"""What speaks for an operating point: whoever found it, it is put into the netlist's own equations."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .equations import Drives, Equations

DENSE = 400
"""Up to so many unknowns Jacobians are dense and all samples are solved at once."""


@dataclass(frozen=True)
class Certificate:
    """What speaks for operating points, per sample.

    - `correction`: the largest voltage in the Newton step J⁻¹F, in V: the distance to the fixed point.
    - `kcl`: the largest |F| of a row over the sum of the sizes of its terms.
    - `stable`: whether the circuit stays there. Passive circuits do; others with any capacitances where J is an M-matrix or its
      symmetric part positive definite, else with equal ones at all nodes, where no perturbation then grows.
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


def certify(
    equations: Equations, unknowns: np.ndarray, drives: Drives, step: Step | None = None
) -> Certificate:
    """The certificate of unknowns (samples, unknowns); NaN voltages have NaN and are not stable.

    `step`: what solves for J⁻¹F where there is something faster than the equations' own Jacobian; F itself is always theirs.
    """
    known = np.atleast_1d(np.isfinite(unknowns).all(axis=1))
    correction, kcl, stable = (
        np.full(len(known), np.nan),
        np.full(len(known), np.nan),
        np.zeros(len(known), bool),
    )
    if not known.any():
        return Certificate(correction, kcl, stable)
    chosen = {name: np.broadcast_to(values, len(known))[known] for name, values in drives.items()}
    with _pools().limit(limits=1, user_api="blas"):
        correction[known], kcl[known], stable[known] = _certify(
            equations, unknowns[known], chosen, step
        )
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
    if equations.unknowns <= DENSE:
        jacobian = equations.jacobian(points, chosen)
        matrices, moves = list(jacobian), _dense_step(f, jacobian)
    else:
        matrices = equations.sparse_jacobian(points, chosen)
        moves = _sparse_step(equations, points, chosen, f)
        matrices = matrices * len(f) if len(matrices) < len(f) else matrices
    correction = np.max(np.abs(moves[:, :nodes]), axis=1, initial=0.0)
    return (
        correction,
        kcl,
        [
            bool(np.isfinite(c)) and _is_stable(equations, j)
            for c, j in zip(correction, matrices, strict=True)
        ],
    )


def _dense_step(f: np.ndarray, j: np.ndarray) -> np.ndarray:
    """J⁻¹F (samples, unknowns), NaN where J is singular."""
    try:
        return np.linalg.solve(j, f[..., None])[..., 0]
    except np.linalg.LinAlgError:
        if len(f) == 1:
            return np.full_like(f, np.nan)
        return np.concatenate(
            [_dense_step(f[i : i + 1], j[i : i + 1]) for i in range(len(f))]
        )  # to say which is singular


def _sparse_step(
    equations: Equations, points: np.ndarray, drives: Drives, f: np.ndarray
) -> np.ndarray:
    from scipy.sparse.linalg import splu

    matrices = equations.sparse_jacobian(points, drives)
    try:
        if len(matrices) < len(f):
            return splu(matrices[0]).solve(f.T).T
        return np.stack([splu(one).solve(own) for one, own in zip(matrices, f, strict=True)])
    except RuntimeError:  # exactly singular
        return np.full_like(f, np.nan)


def _is_stable(equations: Equations, j: Any) -> bool:
    """Whether no perturbation grows at a nonsingular J, dense or sparse."""
    from scipy.linalg import eigvals
    from scipy.sparse import issparse

    if not equations.branches and (_dominates(j) or _is_m_matrix(j) or _positive_definite(j)):
        return True
    j = j.toarray() if issparse(j) else j
    # unit capacitances at all nodes; currents move as fast as inductances let them, or at once
    masses = np.sign(equations.sparse_capacitances.diagonal()[: len(j)])
    masses[: len(equations.free)] = 1.0
    rates = eigvals(j, np.diag(masses))
    finite = (
        np.abs(rates) < 1e6 * np.abs(j).max()
    )  # ties have infinite rates, which rounding makes 1e16 of either sign
    return bool(np.all(np.real(rates[finite]) > 0))


def _dominates(j: Any) -> bool:
    """Whether the symmetric part of J dominates by its diagonal, and so is positive definite."""
    diagonal, sizes = j.diagonal(), abs(j)
    both = np.asarray(sizes.sum(0)).ravel() + np.asarray(sizes.sum(1)).ravel()
    return bool(np.all(2 * diagonal * (1 + 1e-12) >= both / 2) and np.all(diagonal > 0))


def _is_m_matrix(j: Any) -> bool:
    """Whether J, with no entry above 0 off its diagonal, has J⁻ᵀ1 > 0: CJ is then stable for every positive diagonal C.

    Berman & Plemmons, Nonnegative Matrices in the Mathematical Sciences, chapter 6.
    """
    from scipy.sparse import csc_array, diags_array
    from scipy.sparse.linalg import splu

    sparse = csc_array(j)
    off = sparse - diags_array(sparse.diagonal())
    return off.max() <= 0 and bool(
        np.all(splu(sparse).solve(np.ones(len(sparse.diagonal())), trans="T") > 0)
    )


def _positive_definite(j: Any) -> bool:
    """Whether the symmetric part of J is positive definite: by Cholesky, or where sparse by the pivots of LU without exchanges."""
    from scipy.sparse import issparse
    from scipy.sparse.linalg import splu

    try:
        if not issparse(j):
            np.linalg.cholesky((j + j.T) / 2)
            return True
        factors = splu(
            ((j + j.T) / 2).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except (np.linalg.LinAlgError, RuntimeError):
        return False
    return bool(np.array_equal(factors.perm_r, factors.perm_c) and np.all(factors.U.diagonal() > 0))
