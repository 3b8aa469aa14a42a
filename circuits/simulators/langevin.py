"""Thermal and shot noise in time: walks of a circuit around an operating point."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..mna.dae import unknowns_at
from ..mna.equations import Drives, Equations
from ..mna.noise import covariance, densities
from ..netlist.netlist import Netlist
from .base import SimulationError

CONTRACTION = 1e-3
"""The part of a step that the last of its iterations may still change."""


def langevin(
    netlist: Netlist,
    drives: Drives | None,
    points: xr.Dataset,
    *,
    step: float,
    burn_in: float,
    stop: float,
    walks: int = 256,
    seed: int,
    nodes: Sequence[str] | None = None,
) -> xr.Dataset:
    """The covariance of the noise of `nodes`, all free ones if not given, as walks of the circuit's own equations show it.

    C dz = −F(z) dt + B dW,    B Bᵀ = S,

    S being the elements' own densities at the operating point, as for `covariance`: each resistor's and each diode's, no common
    temperature. By the implicit midpoint rule, which takes unknowns without a derivative as they are. With A = C⁻¹J, the covariance
    that it leaves as it is has (1 + hA/2) Σ (1 + hA/2)ᵀ − (1 − hA/2) Σ (1 − hA/2)ᵀ = h C⁻¹SC⁻¹: in a linear circuit the exact one,
    whatever the step h. What is not linear is followed at every step.

    **Arguments:** `drives`: values (1,) of sources at the operating point. `points`: the point, a simulator's Dataset of one sample, from which all `walks` start.
    `step`, `stop` in s; what comes before `burn_in` is left out.

    **Returns** `mean` (node) in V from the operating point, `covariance` (node, other) in V², and its standard `error` (node, other) as
    the walks differ.

    **Raises** `ValueError` where not 0 < step < burn_in < stop, or there are fewer than two walks; `NetlistError` as `covariance`;
    `SimulationError` for steps so long that an iteration does not contract.
    """
    if not 0 < step < burn_in < stop < np.inf:
        raise ValueError(
            f"`step`, `burn_in` and `stop` must be 0 < step < burn_in < stop, but are {step}, {burn_in} and {stop}"
        )
    if walks < 2:
        raise ValueError(f"`walks` must be at least 2, but is {walks}")
    equations, drives = Equations.of(netlist), drives or {}
    names = equations.free if nodes is None else tuple(nodes)
    covariance(netlist, drives, points, nodes=names)
    n, at = equations.unknowns, unknowns_at(equations, drives, points)
    sizes, ways = np.linalg.eigh(densities(equations, drives, at).toarray())
    c, j = equations.capacitances(), equations.jacobian(at, drives)[0]
    inverse = np.linalg.inv(2 * c / step + j)
    unit = np.eye(equations.size)[:n]
    into = [
        np.sum([sign * unit[:, rows] for rows, sign in zip(g.rows, g.signs, strict=True)], axis=0)
        for g in equations.groups
    ]
    whole, linear = equations.voltages(at, drives), equations.linear[:n, :n].toarray()
    places = np.array([equations.place(node) for node in names])
    steps, skipped = round(stop / step), round(burn_in / step)

    with jax.enable_x64(True):
        kick = jnp.asarray(ways * np.sqrt(np.maximum(sizes, 0.0) / step))

        def currents(off):
            """F at the operating point and `off`, less F there."""
            v = jnp.asarray(whole) + jnp.pad(off, ((0, 0), (0, equations.size - n)))
            total = off @ linear.T
            for group, rows in zip(equations.groups, into, strict=True):
                change = group.evaluate(v)[0] - group.evaluate(jnp.asarray(whole))[0]
                total += change @ rows.T
            return total

        def walk(carry, number):
            off, first, second, worst = carry
            noise = (
                jax.random.normal(jax.random.fold_in(jax.random.key(seed), number), (walks, n))
                @ kick.T
            )
            middle = off
            change = off
            for _ in range(3 if equations.groups else 1):
                change = (2 / step * (middle - off) @ c + currents(middle) - noise) @ inverse.T
                middle -= change
            slow = jnp.max(jnp.abs(change[:, places])) / jnp.max(jnp.abs(middle[:, places]))
            off = 2 * middle - off
            kept, own = number >= skipped, off[:, places]
            first += jnp.where(kept, own, 0.0)
            second += jnp.where(kept, own[:, :, None] * own[:, None, :], 0.0)
            return (off, first, second, jnp.maximum(worst, slow)), None

        k = len(places)
        start = (
            jnp.zeros((walks, n)),
            jnp.zeros((walks, k)),
            jnp.zeros((walks, k, k)),
            jnp.zeros(()),
        )
        (_, first, second, worst), _ = jax.jit(
            lambda: jax.lax.scan(walk, start, jnp.arange(steps))
        )()
    if equations.groups and not float(worst) < CONTRACTION:
        raise SimulationError(
            f"`step` must be so short that a step's iteration contracts, but {step} s leaves {float(worst):.2g} of it"
        )
    first, second = (np.asarray(moment) / (steps - skipped) for moment in (first, second))
    mean = first.mean(0)
    spread = (
        second - first[:, :, None] * mean - mean[:, None] * first[:, None, :] + np.outer(mean, mean)
    )
    form = ("node", "other")
    return xr.Dataset(
        {
            "mean": ("node", mean, {"units": "V"}),
            "covariance": (form, spread.mean(0), {"units": "V2"}),
            "error": (form, spread.std(0, ddof=1) / np.sqrt(walks), {"units": "V2"}),
        },
        coords={"node": list(names), "other": list(names)},
        attrs={
            "netlist": netlist.title,
            "step_seconds": step,
            "stop_seconds": stop,
            "walks": walks,
            "seed": seed,
        },
    )
