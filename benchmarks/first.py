"""First calls in fresh processes, tracing and compilation included: `python -m benchmarks.first`.

Each row is a process of its own, imports done and without a compilation cache: CPU seconds of the
first call, how many programs it compiled, and the equations that were traced for the largest. The
last row is the first training step of a plain JAX network of the same shape.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

import circuits
import eqprop as ep
from eqprop.settling.default import first_briefly

from .report import save, table

COST = ep.SquaredError()


@dataclass(frozen=True)
class FirstCall:
    """A first call: what is called, and the pure function that it traces."""

    run: Callable[[], Any]
    program: Callable[[], Any]


def shockley() -> tuple[ep.Energy, np.ndarray, np.ndarray]:
    """Return a 3-8-2 network of Shockley diodes, inputs (5, 3) and targets (5, 2) in V."""
    device = circuits.DiodePair(saturation=1e-9, bias=0.1)
    net = ep.Resistive.init(
        jax.random.key(0), (3, 8, 2), device=device, unit=1e-5, input_gain=4.0,
        conductance_bounds=(0.02, np.inf),
    )  # fmt: skip
    random = np.random.default_rng(1)
    return net, random.uniform(-1, 1, (5, 3)), random.uniform(-0.3, 0.3, (5, 2))


def of_the_readme() -> tuple[ep.Energy, np.ndarray, np.ndarray]:
    """Return the README's own energy, inputs (8, 4) and targets (8, 2)."""

    def energy(params, state, x):
        hidden, out = state
        wells = (
            jnp.sum(hidden**2 / 2 + hidden**4 / 4)
            - ep.bias(params["bias"], hidden)
            + jnp.sum(out**2) / 2
        )
        return (
            wells - ep.bilinear(params["in"], x, hidden) - ep.bilinear(params["out"], hidden, out)
        )

    keys = jax.random.split(jax.random.key(0))
    params = {
        "in": jax.random.normal(keys[0], (4, 16)) / 2,
        "out": jax.random.normal(keys[1], (16, 2)) / 8,
        "bias": jnp.zeros(16),
    }
    net = ep.energy(
        energy, params, state=(jnp.zeros(16), jnp.zeros(2)), outputs=lambda state: state[-1]
    )
    split = ep.data.regression(200).train
    return net, split.x[:8], split.y[:8]


def relaxation(net: ep.Energy, xs: np.ndarray, ys: np.ndarray) -> FirstCall:
    """Return the first `relax` of one example."""
    del ys
    return FirstCall(
        lambda: ep.relax(net, xs[0]),
        lambda: first_briefly(
            None,
            net,
            lambda method: eqx.filter_make_jaxpr(ep.settle)(net, jnp.asarray(xs[0]), method),
            lambda program: True,
        ),
    )


def centred(net: ep.Energy, xs: np.ndarray, ys: np.ndarray) -> FirstCall:
    """Return the first `EqProp.centred` of one batch, the making of the estimator included."""
    return FirstCall(
        lambda: ep.EqProp.centred(beta=0.01)(net, COST, xs, ys),
        lambda: first_briefly(
            None,
            net,
            lambda method: eqx.filter_make_jaxpr(ep.EqProp.centred(0.01, method).estimate)(
                net, COST, jnp.asarray(xs), jnp.asarray(ys)
            ),
            lambda program: True,
        ),
    )


def plain_step() -> FirstCall:
    """Return the first training step of a ReLU network 3-8-2 in plain JAX."""
    net, xs, ys = shockley()
    params = [net.conductances[0][:3], net.biases[0], net.conductances[1], net.biases[1]]

    def loss(params, xs, ys):
        hidden = jax.nn.relu(xs @ params[0] + params[1])
        return jnp.mean(jnp.sum((hidden @ params[2] + params[3] - ys) ** 2, 1)) / 2

    @jax.jit
    def step(params, xs, ys):
        value, grads = jax.value_and_grad(loss)(params, xs, ys)
        return value, [p - 0.1 * g for p, g in zip(params, grads, strict=True)]

    return FirstCall(
        lambda: step(params, xs, ys), lambda: (jax.make_jaxpr(step)(params, xs, ys), None)
    )


CALLS: dict[str, Callable[[], FirstCall]] = {
    "relax, Shockley 3-8-2": lambda: relaxation(*shockley()),
    "EqProp.centred, Shockley 3-8-2": lambda: centred(*shockley()),
    "EqProp.centred, README's energy": lambda: centred(*of_the_readme()),
    "plain JAX training step, 3-8-2": plain_step,
}


def equations(program: Jaxpr, counted: set[int]) -> int:
    """Return how many equations a program has, those of its functions and loops counted once."""
    if id(program) in counted:
        return 0
    counted.add(id(program))
    total = len(program.eqns)
    for equation in program.eqns:
        for leaf in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(leaf):
                total += equations(leaf.jaxpr if isinstance(leaf, ClosedJaxpr) else leaf, counted)
    return total


def _is_program(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)


def measure(name: str) -> dict[str, float]:
    """Return the figures of one first call, made in this process."""
    jax.config.update("jax_enable_x64", True)
    call = CALLS[name]()
    seconds: dict[str, list[float]] = {}
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: seconds.setdefault(event, []).append(duration)
    )
    start = time.process_time()
    jax.block_until_ready(call.run())
    spent = time.process_time() - start
    compiled = seconds.get("/jax/core/compile/backend_compile_duration", [])
    traced = call.program()[0]
    return {
        "CPU seconds": spent,
        "compilations": len(compiled),
        "equations": equations(traced.jaxpr, set()),
    }


def in_a_fresh_process(name: str) -> dict[str, float]:
    """Return the figures of one first call, made in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-m", "benchmarks.first", "--only", name]
    answer = subprocess.run(  # noqa: S603
        command, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    """Measure all first calls and print their table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="one process a row, not three")
    parser.add_argument("--only", choices=list(CALLS), help="measure one in this process")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only)))
        return

    rounds = 1 if arguments.quick else 3
    measured = [{name: in_a_fresh_process(name) for name in CALLS} for _ in range(rounds)]
    figures = {
        name: {
            column: statistics.median(one[name][column] for one in measured)
            for column in measured[0][name]
        }
        for name in CALLS
    }
    rows = [
        [
            name,
            *(f"{value:.{2 if column == 'CPU seconds' else 0}f}" for column, value in row.items()),
        ]
        for name, row in figures.items()
    ]
    columns = ["", "CPU s", "compilations", "equations"]
    table("First calls, each in a fresh process", columns, rows)
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
