"""The phases of a layered network by its own energy, and the gradients that phases give."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import eqprop as ep
from eqprop.settling.compilation import jit_by_size

from .ports import Ports

METHOD = ep.BlockNewton(tolerance=1e-13)
"""How the network's own fixed points are settled."""


def fixed_points(net: ep.Resistive, xs: np.ndarray) -> np.ndarray:
    """Return the voltages (samples, nodes) in V at a network's own free fixed points.

    **Arguments:** `xs`: examples (samples, inputs).

    **Raises** `NotSettledError` where one is not certified.
    """
    return _volts(_settle(net, jnp.asarray(xs)))


def phases(
    net: ep.Resistive,
    cost: ep.SquaredError,
    xs: np.ndarray,
    ys: np.ndarray,
    betas: Sequence[float],
) -> np.ndarray:
    """Return the voltages (1 + nudges, samples, nodes) in V at free and nudged fixed points.

    A nudged phase begins at the free one.

    **Arguments:** `xs`, `ys`: examples (samples, inputs), and targets (samples, outputs) or labels.
    `betas`: of the nudged phases, in units of `net.unit`.

    **Raises** `NotSettledError` where a phase is not certified.
    """
    free = _settle(net, jnp.asarray(xs))
    volts = [_volts(free)]
    start = jax.tree.map(np.asarray, free.state)
    for beta in betas:
        nudged = _settle_nudged(
            net, cost, jnp.asarray(xs), jnp.asarray(ys), jnp.asarray(beta), start
        )
        volts.append(_volts(nudged))
    return np.stack(volts)


def _volts(points: ep.Equilibrium) -> np.ndarray:
    """Return the voltages (samples, nodes) of equilibria.

    **Raises** `NotSettledError` where one is not certified.
    """
    if not np.all(points.settled):
        raise ep.NotSettledError(
            "the model's fixed point was not reached: "
            f"off by up to {float(np.max(points.error)):.3g} V"
        )
    return np.concatenate([np.asarray(layer) for layer in points.state], axis=-1)


@jit_by_size
def _settle(net, xs):
    return jax.vmap(lambda x: ep.settle(net, x, METHOD))(xs)


@jit_by_size
def _settle_nudged(net, cost, xs, ys, beta, start):
    return jax.vmap(lambda x, y, s: ep.settle(ep.Nudged(net, cost, y, beta), x, METHOD, s))(
        xs, ys, start
    )


def gradient_of_phases(
    estimator: ep.EqProp, ports: Ports, net: ep.Resistive, xs: np.ndarray, volts: np.ndarray
) -> Any:
    """Return the gradient that an estimator makes of the voltages of its phases.

    **Arguments:** `xs`: examples (samples, inputs). `volts`: (phases, samples, nodes) in V, those
    of the free phase first, as `Ports.voltages` orders them.

    **Returns** a network whose parameters are the gradient, in V² where they are conductances in
    units of `net.unit`.
    """
    return _contrast(estimator, net, jnp.asarray(xs), ports.states(volts))


@jit_by_size
def _contrast(estimator, net, xs, states):
    free = jax.tree.map(lambda s: jnp.asarray(s)[0], states)
    displaced = jax.tree.map(lambda s, f: jnp.asarray(s)[1:] - f, states, free)
    return estimator.contrast(net, xs, free, displaced)


def exact_gradient(
    net: ep.Resistive, cost: ep.SquaredError, xs: np.ndarray, ys: np.ndarray
) -> ep.Resistive:
    """Return the exact gradient of the mean cost over examples, as `gradient_of_phases` has it."""
    return ep.Implicit(METHOD)(net, cost, jnp.asarray(xs), jnp.asarray(ys)).grad


def compare_gradients(
    ports: Ports,
    net: ep.Resistive,
    cost: ep.SquaredError,
    xs: np.ndarray,
    ys: np.ndarray,
    beta: float,
    circuit: np.ndarray,
    model: np.ndarray,
) -> dict[str, float]:
    """Return norms, cosines and relative differences of three gradients.

    They are equilibrium propagation's from the voltages of a circuit, the same from those of the
    model, and the exact one.

    **Arguments:** `circuit`, `model`: voltages (phases, samples, nodes) in V of the free phase and
    of those at `beta` and −`beta`.

    **Returns** `gradient_norm_circuit` … in V², and `gradient_cosine_circuit_model` and
    `gradient_difference_circuit_model` … of each pair.
    """
    estimator = ep.EqProp.centred(beta)
    gradients = {
        "circuit": gradient_of_phases(estimator, ports, net, xs, circuit),
        "model": gradient_of_phases(estimator, ports, net, xs, model),
        "exact": exact_gradient(net, cost, xs, ys),
    }
    figures = {
        f"gradient_norm_{name}": float(jnp.linalg.norm(ravel_pytree(gradient)[0]))
        for name, gradient in gradients.items()
    }
    for a, b in (("circuit", "model"), ("circuit", "exact"), ("model", "exact")):
        figures[f"gradient_cosine_{a}_{b}"] = ep.cosine(gradients[a], gradients[b])
        figures[f"gradient_difference_{a}_{b}"] = ep.relative_error(gradients[a], gradients[b])
    return figures


def gradient_lines(
    figures: Mapping[Any, Any],
    pairs: Mapping[str, str],
    names: Mapping[str, str],
    formats: tuple[str, str],
) -> list[str]:
    """Return the lines of a summary about gradients; none where there was no nudge.

    **Arguments:**

    - `figures`: those of `compare_gradients`, among others.
    - `pairs`, `names`: what pairs of gradients, as "circuit_model", and gradients are called.
    - `formats`: of a cosine and of a norm.
    """
    cosine, norm = formats
    lines = [
        f"gradient, {title}: cosine {figures[f'gradient_cosine_{pair}']:{cosine}}, "
        f"relative difference {figures[f'gradient_difference_{pair}']:.2e}"
        for pair, title in pairs.items()
        if f"gradient_cosine_{pair}" in figures
    ]
    if "gradient_norm_exact" in figures:
        norms = (
            f"{title} {figures[f'gradient_norm_{name}']:{norm}}" for name, title in names.items()
        )
        lines.append(f"gradient, norm in V2: {', '.join(norms)}")
    return lines
