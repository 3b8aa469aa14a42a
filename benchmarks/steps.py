"""Training steps by EP and by back-propagation, and a free phase: `python -m benchmarks.steps`.

Every row is one run, its parts timed in turns; the ratios are what counts. Float32 but for the
Shockley network, random images that are zero in four of five pixels as MNIST's are.
"""

import argparse
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import circuits
import eqprop as ep

from .report import in_turns, save, table

STEPS = 100
COST = ep.SquaredError()


def images(count: int) -> tuple[jax.Array, jax.Array]:
    """Return images of 784 pixels between 0 and 1, four in five of them 0, and labels."""
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, (count, 784)) * (random.uniform(size=(count, 784)) < 0.2)
    return jnp.asarray(x, jnp.float32), jnp.asarray(random.integers(0, 10, count), jnp.int32)


def training(
    step: Callable[[Any, Any, jax.Array, jax.Array], Any], params: Any, fixed: Any, batch: int
) -> Callable[[], Any]:
    """Return STEPS training steps, each θ ← θ − rate · gradient with conductances ≥ 0.

    **Arguments:** `step(params, fixed, x, y)`: the gradient of a batch; `batch`: its size.
    """
    xs, ys = images(1024)
    order = jax.random.randint(jax.random.key(0), (STEPS, batch), 0, len(ys))

    @eqx.filter_jit
    def run(params, fixed, xs, ys, order):
        def update(params, chosen):
            gradient = step(params, fixed, xs[chosen], ys[chosen])
            return jax.tree.map(
                lambda p, g: jnp.maximum(p - 0.006 * g, 0.0) if p.ndim > 1 else p - 0.006 * g,
                params,
                gradient,
            ), None

        return jax.lax.scan(update, params, order)[0]

    return lambda: run(params, fixed, xs, ys, order)


def by_equilibrium_propagation(net: ep.Energy, method: ep.Method, batch: int) -> Callable[[], Any]:
    """Return training steps by centred nudges, β = 1."""
    params, rest = eqx.partition(net, eqx.is_inexact_array)

    def step(params, estimator, x, y):
        return estimator.estimate(eqx.combine(params, rest), COST, x, y).grad

    return training(step, params, ep.EqProp.centred(1.0, method), batch)


def by_back_propagation(net: ep.Resistive, batch: int) -> Callable[[], Any]:
    """Return training steps of a ReLU network of the same shape, its inputs doubled too."""

    def loss(params, _, x, y):
        w1, b1, w2, b2 = params
        hidden = jax.nn.relu(jnp.concatenate([x, -x], 1) @ w1 + b1)
        return jnp.mean(jnp.sum((hidden @ w2 + b2 - jax.nn.one_hot(y, 10)) ** 2, 1)) / 2

    params = [net.conductances[0], net.biases[0], net.conductances[1], net.biases[1]]
    return training(jax.grad(loss), params, None, batch)


def ideal(hidden: int) -> ep.Resistive:
    """Return the network of Scellier (ICML 2024)."""
    return ep.Resistive.init(
        jax.random.key(0), (784, hidden, 10), device=circuits.IdealDiodes(), input_gain=100.0
    )


def plain(net: ep.Resistive) -> ep.Energy:
    """Return the linear part of a network as a user would write it, in the library's vocabulary."""

    def energy(p, state, x):
        rails = 100.0 * jnp.concatenate([x, -x])
        hidden, out = state
        joined = ep.conductances(p["g"][0], rails, hidden) + ep.conductances(p["g"][1], hidden, out)
        return joined - ep.bias(p["b"][0], hidden) - ep.bias(p["b"][1], out)

    params = {"g": net.conductances, "b": net.biases}
    return ep.energy(
        energy,
        params,
        state=tuple(jnp.zeros_like(b) for b in net.biases),
        outputs=lambda state: state[-1],
    )


def training_steps(figures: dict[str, Any]) -> None:
    """Measure equilibrium propagation against back-propagation."""
    rows = []
    for hidden in (100, 1024):
        for batch in (4, 64):
            net = ideal(hidden)
            seconds = in_turns(
                {
                    "back-propagation": by_back_propagation(net, batch),
                    "4 sweeps": by_equilibrium_propagation(net, ep.FixedSweeps(n=4), batch),
                    "settled": by_equilibrium_propagation(
                        net, ep.BlockNewton(tolerance=1e-4), batch
                    ),
                }
            )
            micro = {name: 1e6 * t / STEPS for name, t in seconds.items()}
            ratios = {
                name: micro[name] / micro["back-propagation"] for name in ("4 sweeps", "settled")
            }
            figures[f"step 1568-{hidden}-10, batch {batch}"] = {
                "microseconds": micro,
                "ratio": ratios,
            }
            cells = [*(f"{t:.0f}" for t in micro.values()), *(f"{r:.2f}" for r in ratios.values())]
            rows.append([f"1568-{hidden}-10, batch {batch}", *cells])
    columns = [
        "one training step, µs",
        "back-propagation",
        "EP, 4 sweeps",
        "EP, settled to 1e-4",
        "4 sweeps / BP",
        "settled / BP",
    ]
    table("Ideal diodes, three phases and the update, against a ReLU network", columns, rows)


def generic_path(figures: dict[str, Any]) -> None:
    """Measure a plain function against the built-in model."""
    rows = []
    for hidden in (100, 1024):
        net = eqx.tree_at(lambda n: n.device, ideal(hidden), None)
        both = {"built in": net, "plain": plain(net)}
        seconds = in_turns(
            {
                name: by_equilibrium_propagation(one, ep.FixedSweeps(n=4), 64)
                for name, one in both.items()
            }
        )
        ratio = seconds["plain"] / seconds["built in"]
        figures[f"plain function 1568-{hidden}-10, batch 64"] = {"ratio": ratio}
        rows.append(
            [
                f"1568-{hidden}-10, batch 64",
                *(f"{1e6 * t / STEPS:.0f}" for t in seconds.values()),
                f"{ratio:.2f}",
            ]
        )
    table(
        "A plain function against the built-in layered model, linear",
        ["one training step, µs", "built in", "plain", "ratio"],
        rows,
    )


def shockley(figures: dict[str, Any]) -> None:
    """Measure a settled free phase of 1568-100-20 in float64."""
    with jax.enable_x64(True):
        device = circuits.DiodePair(saturation=1e-9, bias=0.1)
        net = ep.Resistive.init(
            jax.random.key(0), (784, 100, 20), device=device, unit=1e-5, input_gain=8.0
        )
        xs = jnp.asarray(images(256)[0], float)
        run = eqx.filter_jit(
            lambda net, xs: jax.vmap(lambda x: ep.settle(net, x, ep.BlockNewton(tolerance=1e-12)))(
                xs
            )
        )
        free = run(net, xs)
        amperes = net.unit * max(float(jnp.max(jnp.abs(r))) for r in free.residual)
        best = 1e3 * in_turns({"phase": lambda: run(net, xs)})["phase"] / len(xs)
        figures["free phase, Shockley 1568-100-20, float64, batch 256"] = {
            "milliseconds an example": best,
            "largest residual, A": amperes,
            "settled": bool(free.settled.all()),
            "sweeps": int(free.steps.max()),
        }
        rows = [
            ["1568-100-20, batch 256", f"{best:.3f}", f"{amperes:.1e}", f"{int(free.steps.max())}"]
        ]
        table(
            "Shockley pairs, float64, a settled free phase",
            ["", "ms an example", "residual, A", "sweeps"],
            rows,
        )


def main() -> None:
    """Run all parts and print their tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.steps", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for part in (training_steps, generic_path, shockley):
        part(figures)
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
