"""The gradient's signal-to-noise ratio: what thermal and shot noise leave of it, against the strength of the nudge."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep

from ..noise import covariance
from ..reduction import reduce
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

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for betas that are not above 0, and a network with amplifiers,
    behind which nodes have no capacitance.
    """
    ep.require_float64("a gradient's noise")
    if not len(betas) or not all(beta > 0 and np.isfinite(beta) for beta in betas):
        raise ValueError(f"`betas` must be finite and above 0, one or more, but are {list(betas)}")
    if net.amplification != 1:
        raise ValueError(f"`net` must be without amplifiers, but has some of gain {net.amplification}")
    xs, ys = np.asarray(xs, float), np.asarray(ys)
    free = fixed_points(net, xs, None, None, 0.0)
    kicks = _factors(net, xs, voltages(free))
    random = np.random.default_rng(seed)
    sizes = np.cumsum([layer.shape[1] for layer in free])[:-1]
    exact = _flat(ep.Implicit(METHOD)(net, cost, jnp.asarray(xs), jnp.asarray(ys)).grad)
    rows = []
    for beta in betas:
        estimator = ep.EqProp.centred(beta)
        settled = np.stack([voltages(fixed_points(net, xs, ys, cost, b, free)) for b in (beta, -beta)])

        def gradient(states: np.ndarray, estimator=estimator) -> np.ndarray:
            phases = np.split(np.concatenate([voltages(free)[None], states]), sizes, axis=-1)
            return _flat(contrast(estimator, net, jnp.asarray(xs), tuple(phases)))

        mean = gradient(settled)
        noisy = [
            gradient(settled + np.einsum("sij,psj->psi", kicks, random.standard_normal(settled.shape))) - mean for _ in range(draws)
        ]
        bias, noise = np.linalg.norm(mean - exact), np.sqrt(np.mean(np.sum(np.square(noisy), axis=1)))
        rows.append((np.linalg.norm(exact), bias, noise, np.linalg.norm(exact) / np.hypot(bias, noise)))
    names = ("signal", "bias", "noise", "snr")
    data = xr.Dataset(
        {name: ("beta", column) for name, column in zip(names, np.array(rows).T, strict=True)}, coords={"beta": np.array(betas, float)}
    )
    return data.assign_attrs(best_beta=float(data.beta[int(data.snr.values.argmax())]), unit_siemens=net.unit, draws=draws)


def _factors(net: ep.Resistive, xs: np.ndarray, free: np.ndarray) -> np.ndarray:
    """L with Σ = L Lᵀ at the free phase of each example (samples, nodes, nodes), in the order of `voltages`."""
    nodes = [node for layer in node_names(net) for node in layer]
    netlist, sources = emit(net), drives(net, xs)
    found = []
    for k in range(len(xs)):
        smaller, values = reduce(netlist, {name: column[k : k + 1] for name, column in sources.items()})
        free_nodes = [node for node in smaller.nodes if node in set(nodes)]
        order = [nodes.index(node) for node in free_nodes]
        whole = np.zeros((len(nodes), len(nodes)))
        whole[np.ix_(order, order)] = covariance(smaller, free[k, order], values)
        found.append(np.linalg.cholesky(whole))
    return np.stack(found)


def _flat(grad: ep.Resistive) -> np.ndarray:
    return np.concatenate([np.ravel(g) for g in grad.conductances])
