"""Thermal and shot noise in time: walks of a circuit around an operating point."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..mna.dae import unknowns_at
from ..mna.equations import Drives, Equations
from ..mna.noise import covariance, densities
from ..mna.nonlinear import TermGroup
from ..netlist.netlist import Netlist
from ..units import Array
from .base import SimulationError

CONTRACTION = 1e-3
"""The part of a step that the last of its iterations may still change."""
MOST_STEPS = 100_000_000
"""How many steps a walk may have."""


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
    """Estimate the covariance of the noise of nodes from walks of the circuit's own equations.

        C dz = −F(z) dt + B dW,    B Bᵀ = S,

    S being the elements' own densities at the operating point, as for `covariance`: each resistor's
    and each diode's, no common temperature. By the implicit midpoint rule, which takes unknowns
    without a derivative as they are. With A = C⁻¹J, the covariance Σ that it leaves as it is has

        (1 + hA/2) Σ (1 + hA/2)ᵀ − (1 − hA/2) Σ (1 − hA/2)ᵀ = h C⁻¹SC⁻¹:

    in a linear circuit the exact one, whatever the step h. What is not linear is followed at every
    step.

    **Arguments:**

    - `netlist`: a circuit with capacitors.
    - `drives`: values (1,) of sources at the operating point, by SPICE name.
    - `points`: the point, a simulator's Dataset of one sample, from which all walks start.
    - `step`: h in s. `stop`: the end of the walks in s. `burn_in`: what is before it is left out.
    - `walks`: their number, two or more. `seed`: of their noise.
    - `nodes`: the nodes asked for, all free ones if not given.

    **Returns** `mean` (node) in V from the operating point, `covariance` (node, other) in V², and
    its standard `error` (node, other) as the walks differ.

    Non-linear charges have their capacitances at the operating point.

    **Raises** `ValueError` where not 0 < step < burn_in < stop, where these are more than
    100,000,000 steps, or there are fewer than two walks; `NetlistError` as `covariance`;
    `SimulationError` for steps so long that an iteration does not contract.
    """
    _check(step, burn_in, stop, walks)
    equations, drives = Equations.of(netlist), drives or {}
    names = equations.free if nodes is None else tuple(nodes)
    covariance(netlist, drives, points, nodes=names)  # raises where there is none

    with jax.enable_x64(True):
        walker = _Walker.of(equations, drives, unknowns_at(equations, drives, points), names, step)
        moments = walker.moments(walks, round(stop / step), round(burn_in / step), seed)
    if equations.groups and not float(moments.slowest) < CONTRACTION:
        raise SimulationError(
            "`step` must be so short that a step's iteration contracts, "
            f"but {step} s leaves {float(moments.slowest):.2g} of it"
        )
    attributes = {
        "netlist": netlist.title,
        "step_seconds": step,
        "stop_seconds": stop,
        "walks": walks,
        "seed": seed,
    }
    return _dataset(names, np.asarray(moments.first), np.asarray(moments.second), attributes)


def _check(step: float, burn_in: float, stop: float, walks: int) -> None:
    """Raise `ValueError` for times and a number of walks that are none."""
    if not 0 < step < burn_in < stop < np.inf:
        raise ValueError(
            "`step`, `burn_in` and `stop` must be 0 < step < burn_in < stop, "
            f"but are {step}, {burn_in} and {stop}"
        )
    if not stop / step <= MOST_STEPS:
        raise ValueError(f"`stop` must be at most {MOST_STEPS} steps, but is {stop / step:.3g}")
    if walks < 2:
        raise ValueError(f"`walks` must be at least 2, but is {walks}")


class _Moments(NamedTuple):
    """Means over time of the nodes' voltages from the operating point, for each walk.

    `first` (walks, nodes) in V, `second` (walks, nodes, nodes) in V², and `slowest`, the largest
    part of a step that an iteration still changed.
    """

    first: Array
    second: Array
    slowest: Array


class _Walker(NamedTuple):
    """The equations around an operating point, as a step of a walk needs them.

    `charge`: 2C/h, and `inverse`: (2C/h + J)⁻¹, (unknowns, unknowns). `kick`: B/√h. `linear`: A.
    `voltages`: all nodes' at the point, in V. `into`: for each group of non-linear elements, the
    rows that their currents enter. `places`: the unknowns that are asked for.
    """

    charge: Array
    inverse: Array
    kick: Array
    linear: Array
    voltages: Array
    groups: Sequence[TermGroup]
    into: Sequence[Array]
    places: Array

    @classmethod
    def of(
        cls,
        equations: Equations,
        drives: Drives,
        point: np.ndarray,
        names: Sequence[str],
        step: float,
    ) -> "_Walker":
        """Prepare steps of `step` (s) around the unknowns of an operating point."""
        n = equations.unknowns
        sizes, ways = np.linalg.eigh(densities(equations, drives, point).toarray())
        charge = 2 * equations.capacitances_at(point, drives)[:n, :n].toarray() / step
        return cls(
            charge=jnp.asarray(charge),
            inverse=jnp.asarray(np.linalg.inv(charge + equations.jacobian(point, drives)[0])),
            kick=jnp.asarray(ways * np.sqrt(np.maximum(sizes, 0.0) / step)),
            linear=jnp.asarray(equations.linear[:n, :n].toarray()),
            voltages=jnp.asarray(equations.voltages(point, drives)),
            groups=equations.groups,
            into=[jnp.asarray(group.incidence(n)) for group in equations.groups],
            places=np.array([equations.place(node) for node in names]),
        )

    def currents(self, off: Array) -> Array:
        """Return F at displacements (walks, unknowns) from the point, less F there."""
        beyond = self.voltages.shape[-1] - off.shape[1]
        v = self.voltages + jnp.pad(off, ((0, 0), (0, beyond)))
        total = off @ self.linear.T
        for group, rows in zip(self.groups, self.into, strict=True):
            change = group.evaluate(v)[0] - group.evaluate(self.voltages)[0]
            total += change @ rows.T
        return total

    def moments(self, walks: int, steps: int, skipped: int, seed: int) -> _Moments:
        """Walk, and return the means over the steps that are not skipped."""
        n, k = len(self.kick), len(self.places)

        def step(carry, number):
            off, first, second, slowest = carry
            key = jax.random.fold_in(jax.random.key(seed), number)
            noise = jax.random.normal(key, (walks, n)) @ self.kick.T

            # Newton's iteration for the midpoint, with the Jacobian of the operating point.
            middle = change = off
            for _ in range(3 if self.groups else 1):
                residual = (middle - off) @ self.charge + self.currents(middle) - noise
                change = residual @ self.inverse.T
                middle -= change
            largest = jnp.max(jnp.abs(middle[:, self.places]))
            slow = jnp.max(jnp.abs(change[:, self.places])) / largest

            off = 2 * middle - off
            kept, asked = number >= skipped, off[:, self.places]
            first += jnp.where(kept, asked, 0.0)
            second += jnp.where(kept, asked[:, :, None] * asked[:, None, :], 0.0)
            return (off, first, second, jnp.maximum(slowest, slow)), None

        start = (
            jnp.zeros((walks, n)),
            jnp.zeros((walks, k)),
            jnp.zeros((walks, k, k)),
            jnp.zeros(()),
        )
        walk = jax.jit(lambda: jax.lax.scan(step, start, jnp.arange(steps)))
        (_, first, second, slowest), _ = walk()
        return _Moments(first / (steps - skipped), second / (steps - skipped), slowest)


def _dataset(
    names: Sequence[str], first: np.ndarray, second: np.ndarray, attributes: Mapping[str, Any]
) -> xr.Dataset:
    """Return what `langevin` describes, from the moments of each walk."""
    mean = first.mean(0)
    spread = (
        second - first[:, :, None] * mean - mean[:, None] * first[:, None, :] + np.outer(mean, mean)
    )
    form = ("node", "other")
    return xr.Dataset(
        {
            "mean": ("node", mean, {"units": "V"}),
            "covariance": (form, spread.mean(0), {"units": "V2"}),
            "error": (form, spread.std(0, ddof=1) / np.sqrt(len(first)), {"units": "V2"}),
        },
        coords={"node": list(names), "other": list(names)},
        attrs=dict(attributes),
    )
