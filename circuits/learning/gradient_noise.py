"""The gradient's signal-to-noise ratio: what thermal and shot noise leave of it, against the strength of the nudge."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.equations import Drives, Equations
from ..mna.noise import covariance
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist
from ..simulators import SimulationError, Simulator
from ..simulators.nodal import Nodal
from .comparison import METHOD, contrast, fixed_points
from .emission import drives, emit, node_names, voltages


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
    """How well a noisy circuit knows its gradient, by the strength β of the centred nudge: between noise and bias.

    Each of the two nudged phases of an example is read once, at its fixed point plus N(0, Σ), Σ being the `covariance` of the circuit
    at the free phase; an estimate is that of the whole batch. Averaging n readings, or a bandwidth n times smaller, divides the noise
    by √n.

    **Arguments:** `betas`: above 0, in units of `net.unit`. `draws`: of the noise.

    **Returns** by `beta`: `signal`, the norm of the exact gradient; `bias`, how far an estimate without noise is from it; `noise`,
    the root mean square distance of an estimate from that; and `snr` = signal/√(bias² + noise²). The attribute `best_beta` has the
    highest. Gradients are those of the conductances, in units as of `ep.Implicit`.

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for betas that are not above 0.
    """
    ep.require_float64("a gradient's noise")
    if not len(betas) or not all(beta > 0 and np.isfinite(beta) for beta in betas):
        raise ValueError(f"`betas` must be finite and above 0, one or more, but are {list(betas)}")
    xs, ys = np.asarray(xs, float), np.asarray(ys)
    free = fixed_points(net, xs, None, None, 0.0)
    netlist, sources = emit(net), drives(net, xs)
    nodes = [node for layer in node_names(net) for node in layer]
    kicks = noise_factors(netlist, certified(Nodal(), netlist, sources), sources, nodes)
    random = np.random.default_rng(seed)
    sizes = np.cumsum([layer.shape[1] for layer in free])[:-1]
    exact = _flat(ep.Implicit(METHOD)(net, cost, jnp.asarray(xs), jnp.asarray(ys)).grad)
    rows = []
    for beta in betas:
        estimator = ep.EqProp.centred(beta)
        settled = np.stack(
            [voltages(fixed_points(net, xs, ys, cost, b, free)) for b in (beta, -beta)]
        )

        def gradient(states: np.ndarray, estimator=estimator) -> np.ndarray:
            phases = np.split(np.concatenate([voltages(free)[None], states]), sizes, axis=-1)
            return _flat(contrast(estimator, net, jnp.asarray(xs), tuple(phases)))

        mean = gradient(settled)
        noisy = [
            gradient(
                settled + np.einsum("sij,psj->psi", kicks, random.standard_normal(settled.shape))
            )
            - mean
            for _ in range(draws)
        ]
        bias, noise = (
            np.linalg.norm(mean - exact),
            np.sqrt(np.mean(np.sum(np.square(noisy), axis=1))),
        )
        rows.append(
            (np.linalg.norm(exact), bias, noise, np.linalg.norm(exact) / np.hypot(bias, noise))
        )
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


def certified(simulator: Simulator, netlist: Netlist, sources: Drives) -> xr.Dataset:
    """Operating points of the netlist, reduced first. Raises `SimulationError` where one is not certified."""
    found = simulator.operating_points(*reduce(netlist, sources))
    wrong = [status for status in found.status.values.tolist() if status != "ok"]
    if wrong:
        raise SimulationError(
            f"every point of {netlist.title!r} must be certified, but {len(wrong)} are not: {sorted(set(wrong))}"
        )
    return found.sel(node=list(Equations(netlist).free))


def noise_factors(
    netlist: Netlist, points: xr.Dataset, sources: Drives, nodes: Sequence[str]
) -> np.ndarray:
    """L (samples, nodes, nodes) in V with Σ = L Lᵀ the covariance of the noise of `nodes` at operating points of all samples."""
    found = []
    for k, free in enumerate(points.voltage.values):
        own = {name: column[k : k + 1] for name, column in sources.items()}
        found.append(np.linalg.cholesky(covariance(netlist, free, own, nodes=nodes)))
    return np.stack(found)


def _flat(grad: ep.Resistive) -> np.ndarray:
    return np.concatenate([np.ravel(g) for g in grad.conductances])
