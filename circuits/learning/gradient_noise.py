"""The gradient's signal-to-noise ratio: what thermal and shot noise leave of it, by the nudge."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.equations import Drives, Equations, one_sample
from ..mna.noise import covariance
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist
from ..simulators import Simulator
from ..simulators.base import require_ok
from ..simulators.nodal import Nodal
from .phases import exact_gradient, gradient_of_phases, phases
from .ports import Ports


def gradient_noise(
    net: ep.Resistive,
    cost: ep.SquaredError,
    xs: np.ndarray,
    ys: np.ndarray,
    betas: Sequence[float],
    *,
    draws: int = 64,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well a noisy circuit knows its gradient, by the strength of the centred nudge.

    A weak nudge drowns in noise, and a strong one has a bias. Each of the two nudged phases of an
    example is read once, at its fixed point plus N(0, Σ), Σ being the `covariance` of the circuit
    at the free phase; an estimate is that of the whole batch. Averaging n readings, or a bandwidth
    n times smaller, divides the noise by √n.

    **Arguments:**

    - `net`, `cost`: the network, and the squared error of its outputs.
    - `xs`, `ys`: examples (samples, inputs), and targets (samples, outputs) or labels (samples,).
    - `betas`: above 0, in units of `net.unit`.
    - `draws`: of the noise, for each β. `seed`: of its random numbers.

    **Returns** by `beta`, for gradients of the conductances as `ep.Implicit` has them, in V²:

    - `signal`: the norm of the exact gradient;
    - `bias`: how far an estimate without noise is from it;
    - `noise`: the root mean square distance of an estimate from the one without noise;
    - `snr` = signal/√(bias² + noise²). The attribute `best_beta` has the highest.

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for betas that are not
    above 0.
    """
    ep.require_float64("a gradient's noise")
    if not len(betas) or not all(beta > 0 and np.isfinite(beta) for beta in betas):
        raise ValueError(f"`betas` must be finite and above 0, one or more, but are {list(betas)}")
    xs, ys, ports = np.asarray(xs, float), np.asarray(ys), Ports.of(net)
    netlist, drives = ports.netlist(net), ports.drives(xs)
    points = certified_points(Nodal(), netlist, drives)
    factors = noise_factors(netlist, drives, points, ports.nodes)
    free, *nudged = phases(net, cost, xs, ys, [sign * b for b in betas for sign in (1, -1)])
    exact = _flat(exact_gradient(net, cost, xs, ys))
    random = np.random.default_rng(seed)

    rows = []
    for k, beta in enumerate(betas):
        estimator, settled = ep.EqProp.centred(beta), np.stack(nudged[2 * k : 2 * k + 2])

        def gradient(volts: np.ndarray, estimator=estimator) -> np.ndarray:
            every_phase = np.concatenate([free[None], volts])
            return _flat(gradient_of_phases(estimator, ports, net, xs, every_phase))

        mean, off = gradient(settled), []
        for _ in range(draws):
            normal = random.standard_normal(settled.shape)
            noise = np.einsum("sij,psj->psi", factors, normal)
            off.append(gradient(settled + noise) - mean)
        bias = np.linalg.norm(mean - exact)
        spread = np.sqrt(np.mean(np.sum(np.square(off), axis=1)))
        signal = np.linalg.norm(exact)
        rows.append((signal, bias, spread, signal / np.hypot(bias, spread)))

    names = ("signal", "bias", "noise", "snr")
    data = xr.Dataset(
        {name: ("beta", column) for name, column in zip(names, np.array(rows).T, strict=True)},
        coords={"beta": np.array(betas, float)},
    )
    return data.assign_attrs(
        best_beta=float(data.beta[int(data.snr.values.argmax())]),
        unit_siemens=net.unit,
        draws=draws,
    )


def certified_points(simulator: Simulator, netlist: Netlist, drives: Drives) -> xr.Dataset:
    """Return the operating points of a netlist's free nodes, simulated after its exact reduction.

    **Raises** `SimulationError` where one is not `ok`.
    """
    points = require_ok(simulator.operating_points(*reduce(netlist, drives)), netlist.title)
    return points.sel(node=list(Equations.of(netlist).free))


def noise_factors(
    netlist: Netlist, drives: Drives, points: xr.Dataset, nodes: Sequence[str]
) -> np.ndarray:
    """Return factors L (samples, nodes, nodes) in V of the covariance of the noise, Σ = L Lᵀ.

    **Arguments:** `drives`: values (samples,) of sources. `points`: the operating points there, of
    all free nodes in the order of the netlist's equations. `nodes`: those whose noise it is.

    **Raises** `NetlistError` for a node whose noise has no bound, as `covariance` does.
    """
    factors = []
    for k in range(points.sizes["sample"]):
        point = points.isel(sample=[k])
        spread = covariance(netlist, one_sample(drives, k), point, nodes=nodes)
        factors.append(np.linalg.cholesky(spread))
    return np.stack(factors)


def _flat(gradient: ep.Resistive) -> np.ndarray:
    """Return the gradient of all conductances as one vector."""
    return np.concatenate([np.ravel(g) for g in gradient.conductances])
