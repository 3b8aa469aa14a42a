"""Certificates of operating points: whoever found one, it is put into the netlist's equations."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .equations import Drives, Equations

DENSE = 400
"""Up to so many unknowns Jacobians are dense and all samples are solved at once."""
LARGEST = 3000
"""Up to so many unknowns all rates of a circuit are computed, where nothing less shows that it is
stable."""
SMALL_VOLTS, SMALL_AMPERES = 1e-9, 1e-18
"""A current that this voltage drives through a node's linear conductances, and one that is smaller
than what a simulator resolves, move nothing."""
BALANCE = 1e-3
"""The largest current left over at a node, relative to the currents there, of a point that the
linearised circuit describes: a Newton step leaves about its square."""


@dataclass(frozen=True)
class Certificate:
    """What speaks for operating points, arrays (samples,).

    - `correction`: the largest voltage in the Newton step J⁻¹F, in V: the distance to the fixed
      point, as far as the circuit is as linear as J says.
    - `rounding`: the largest voltage in |J⁻¹| ε Σ|terms of F| / √n, in V, of n unknowns: what
      rounding of F, independent from row to row, makes of a voltage. Large where a circuit hangs on
      conductances that rounding swallows.
    - `kcl`: the largest |F| of a row over the sum of the sizes of its terms.
    - `balanced`: whether that is small after the Newton step. It is not where a law jumps or its
      slope is infinite, so that J⁻¹F says nothing, nor where nothing shows the circuit's stability.
    - `stable`: whether the circuit stays there. Passive circuits do; others with any capacitances
      where J is an M-matrix or its symmetric part positive definite, else with equal ones at all
      nodes, where no perturbation then grows.
    """

    correction: np.ndarray
    rounding: np.ndarray
    kcl: np.ndarray
    balanced: np.ndarray
    stable: np.ndarray

    def within(self, tolerance: float) -> np.ndarray:
        """Return whether points (samples,) are known to `tolerance` in V."""
        return self.balanced & (self.correction + self.rounding <= tolerance)


Step = Callable[[np.ndarray, Drives, np.ndarray], np.ndarray]
"""J⁻¹F (samples, unknowns) from unknowns, drives and F; NaN where J is singular."""


@functools.cache
def _pools() -> Any:
    """Return the controller of BLAS's threads.

    On matrices of this size they wait for each other longer than they work.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def certify(
    equations: Equations, unknowns: np.ndarray, drives: Drives, step: Step | None = None
) -> Certificate:
    """Return the certificate of operating points.

    **Arguments:**

    - `unknowns` (samples, unknowns); where one is not finite, the numbers of the sample are NaN,
      and it is neither balanced nor stable.
    - `drives`: values (samples,) or (1,) of sources in V or A.
    - `step`: what solves for J⁻¹F of passive circuits where there is something faster than the
      equations' own Jacobian; F itself is always theirs.
    """
    finite = np.isfinite(unknowns).all(axis=1)
    samples = len(unknowns)
    numbers = np.full((3, samples), np.nan)
    verdicts = np.zeros((2, samples), bool)
    if finite.any():
        chosen = {name: np.broadcast_to(v, samples)[finite] for name, v in drives.items()}
        with _pools().limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            certified = _certify(equations, unknowns[finite], chosen, step)
        numbers[:, finite], verdicts[:, finite] = certified
    return Certificate(*numbers, *verdicts)


def _certify(
    equations: Equations, points: np.ndarray, drives: Drives, step: Step | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return corrections, rounding and KCL, and balance and stability, of finite points."""
    nodes = len(equations.free)
    f, sizes = equations.residual(points, drives)
    solve, matrices = _solver(equations, points, drives, step)

    # independent roundings of n rows add up to a root of n of what all of one sign would make
    errors = np.finfo(float).eps / np.sqrt(max(equations.unknowns, 1)) * sizes
    errors = [errors * signs for signs in _signs(equations)]
    moves, *spreads = solve([f, *errors])
    correction = np.max(np.abs(moves[:, :nodes]), axis=1, initial=0.0)
    rounding = np.max([np.abs(spread[:, :nodes]) for spread in spreads], axis=(0, 2), initial=0.0)

    kcl = np.max(np.abs(f) / np.where(sizes > 0, sizes, 1.0), axis=1, initial=0.0)
    balanced = _is_balanced(equations, *equations.residual(points - moves, drives))
    stable = np.isfinite(correction)
    if not equations.passive:
        answers = _stability(equations, stable, matrices)
        balanced &= np.array([answer is not None for answer in answers])
        stable = np.array([bool(answer) for answer in answers])
    return np.stack([correction, rounding, kcl]), np.stack([balanced, stable])


def _is_balanced(equations: Equations, f: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return whether |F| is small (samples,): against its terms, or too small to move anything.

    Where a node carries hardly any current its terms are rounding, and relative sizes mean nothing.
    """
    linear = np.abs(equations.linear.diagonal()[: equations.unknowns])
    return np.all(np.abs(f) <= BALANCE * sizes + SMALL_VOLTS * linear + SMALL_AMPERES, axis=1)


def _signs(equations: Equations) -> list[np.ndarray | float]:
    """Return signs of rounding errors with which J⁻¹ is asked for the sum of their sizes.

    Without branches a passive circuit's J⁻¹ has no negative entry, so that all of one sign are the
    worst; elsewhere random ones, of which two differ at least, are tried besides, an estimate.
    """
    if equations.passive and not equations.branches:
        return [1.0]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], equations.unknowns)
    signs[:1] = -signs[-1:]
    return [1.0, signs]


def _solver(
    equations: Equations, points: np.ndarray, drives: Drives, step: Step | None
) -> tuple[Callable[[list[np.ndarray]], list[np.ndarray]], Any]:
    """Return what solves for J⁻¹ times several (samples, unknowns), and J of each sample if known.

    They are an array (samples, unknowns, unknowns) where they are dense, else a list.
    """
    if step is not None and equations.passive:
        return lambda rights: [step(points, drives, right) for right in rights], []
    if equations.unknowns <= DENSE:
        jacobian = equations.jacobian(points, drives)
        # J is factored once for all that is asked of it.
        return lambda rights: list(
            np.moveaxis(_dense_solve(jacobian, np.stack(rights, axis=2)), 2, 0)
        ), jacobian
    matrices = equations.sparse_jacobian(points, drives)
    solve = _sparse_solver(matrices)
    each = matrices * len(points) if len(matrices) < len(points) else matrices
    return lambda rights: [solve(right) for right in rights], each


def _dense_solve(j: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return J⁻¹ times right-hand sides (samples, unknowns, k), NaN where J is singular."""
    try:
        return np.linalg.solve(j, right)
    except np.linalg.LinAlgError:
        if len(right) == 1:
            return np.full_like(right, np.nan)
        # one by one, to know which is singular
        each = [_dense_solve(j[i : i + 1], right[i : i + 1]) for i in range(len(right))]
        return np.concatenate(each)


def _sparse_solver(matrices: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what solves with sparse J, one for each sample or one for all; NaN if singular."""
    solvers = [_sparse_solve(j) for j in matrices]
    if len(solvers) == 1:
        return lambda right: solvers[0](right.T).T
    return lambda right: np.stack([solve(r) for solve, r in zip(solvers, right, strict=True)])


def _sparse_solve(j: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what solves with one sparse J, factored once; NaN where J is exactly singular."""
    from scipy.sparse.linalg import splu

    try:
        return splu(j).solve
    except RuntimeError:
        return lambda right: np.full_like(right, np.nan)


def _stability(equations: Equations, known: np.ndarray, matrices: Any) -> list[bool | None]:
    """Return whether no perturbation grows at each sample, as `_is_stable` says of one.

    Dense Jacobians are looked at together, and only those that this does not show stable alone.

    **Arguments:** `known`: whether a sample has a correction (samples,); without, it is not stable.
    `matrices`: J of each sample.
    """
    shown = np.zeros(len(known), bool)
    if isinstance(matrices, np.ndarray) and not equations.branches:
        shown = _dominate(matrices)
        left = np.flatnonzero(known & ~shown)
        shown[left] = _are_m_matrices(matrices[left])
    samples = zip(known.tolist(), shown.tolist(), matrices, strict=True)
    return [has and (stable or _is_stable(equations, j)) for has, stable, j in samples]


def _dominate(jacobians: np.ndarray) -> np.ndarray:
    """Return whether each of dense Jacobians dominates, as `_dominates` says (samples,)."""
    diagonal, sizes = np.diagonal(jacobians, axis1=1, axis2=2), np.abs(jacobians)
    both = sizes.sum(1) + sizes.sum(2)
    return ((2 * diagonal * (1 + 1e-12) >= both / 2) & (diagonal > 0)).all(axis=1)


def _are_m_matrices(jacobians: np.ndarray) -> np.ndarray:
    """Return whether each of dense Jacobians is an M-matrix, as `_is_m_matrix` says (samples,)."""
    above, places = np.logical_not(jacobians <= 0), np.arange(jacobians.shape[1])
    above[:, places, places] = False
    shown: np.ndarray = np.logical_not(above.any(axis=(1, 2)))
    ones = np.ones((int(shown.sum()), len(places), 1))
    inverse = _dense_solve(jacobians[shown].transpose(0, 2, 1), ones)
    shown[shown] = np.all(inverse > 0, axis=(1, 2))
    return shown


def _is_stable(equations: Equations, j: Any) -> bool | None:
    """Return whether no perturbation grows at a nonsingular J; None where that is not found out."""
    from scipy.linalg import eigvals
    from scipy.sparse import issparse

    if not np.isfinite(j.data if issparse(j) else j).all():
        return None
    if not equations.branches and (_dominates(j) or _is_m_matrix(j) or _positive_definite(j)):
        return True
    if equations.unknowns > LARGEST:
        return None  # a dense matrix would not fit
    j = j.toarray() if issparse(j) else j
    # unit capacitances at all nodes; currents move as fast as unit inductances let them, or at once
    masses = np.sign(equations.sparse_capacitances.diagonal()[: len(j)])
    masses[: len(equations.free)] = 1.0
    rates = eigvals(j, np.diag(masses))
    # ties have infinite rates, which rounding makes 1e16 of either sign
    finite = np.abs(rates) < 1e6 * np.abs(j).max()
    return bool(np.all(np.real(rates[finite]) > 0))


def _dominates(j: Any) -> bool:
    """Return whether the symmetric part of J dominates by its diagonal: it is then definite."""
    diagonal, sizes = j.diagonal(), abs(j)
    both = np.asarray(sizes.sum(0)).ravel() + np.asarray(sizes.sum(1)).ravel()
    return bool(np.all(2 * diagonal * (1 + 1e-12) >= both / 2) and np.all(diagonal > 0))


def _is_m_matrix(j: Any) -> bool:
    """Return whether J, with no entry above 0 off its diagonal, has J⁻ᵀ1 > 0.

    CJ is then stable for every positive diagonal C (Berman & Plemmons, Nonnegative Matrices in the
    Mathematical Sciences, chapter 6).
    """
    from scipy.sparse import csc_array, diags_array
    from scipy.sparse.linalg import splu

    sparse = csc_array(j)
    off = sparse - diags_array(sparse.diagonal())
    if off.max() > 0:
        return False
    ones = np.ones(len(sparse.diagonal()))
    return bool(np.all(splu(sparse).solve(ones, trans="T") > 0))


def _positive_definite(j: Any) -> bool:
    """Return whether the symmetric part of J is positive definite.

    By Cholesky, or where J is sparse by the pivots of LU without exchanges.
    """
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
