"""Training by integrating the network's ODE through both phases, against the fast methods.

Run by `python -m benchmarks.flow`.

A layered Hopfield network and a resistive network (64-32-10) learn digits with diffrax in every
phase, and once more by block
descent; the accuracies and the times stand side by side.
"""

import argparse
import time
from typing import Any

import diffrax
import jax

import circuits
import eqprop as ep
from eqprop import models

from .report import save, table

NETWORKS = {
    "Hopfield 64-32-10, hard sigmoid": (
        models.Hopfield.init(jax.random.key(0), (64, 32, 10)),
        ep.SquaredError(),
        0.2,
        {"*": 0.1},
    ),
    "resistive 64-32-10, ideal diodes": (
        ep.Resistive.init(
            jax.random.key(0), (64, 32, 10), device=circuits.IdealDiodes(), input_gain=20.0
        ),
        ep.SquaredError(),
        0.5,
        {"*": 0.02},
    ),
}
FLOW = ep.GradientFlow(
    solver=diffrax.Tsit5(),
    controller=diffrax.PIDController(rtol=1e-4, atol=1e-9),
    tolerance=1e-2,
    max_steps=4000,
    together=True,
)
BLOCKS = ep.BlockNewton(tolerance=1e-2)


def main() -> None:
    """Trains both networks both ways and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.flow", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    rows = []
    data = ep.data.digits()
    for name, (net, cost, beta, rates) in NETWORKS.items():
        by_method = {}
        for kind, method in (("flow", FLOW), ("blocks", BLOCKS)):
            start = time.perf_counter()
            estimator = ep.EqProp.centred(beta, method)
            fit = ep.fit(
                net,
                cost,
                data,
                estimator,
                rates=rates,
                epochs=20,
                batch=16,
                decay=0.95,
                key=jax.random.key(1),
            )
            by_method[kind] = {
                "test accuracy": float(fit.history["test_accuracy"][-1]),
                "seconds": time.perf_counter() - start,
            }
        figures[name] = by_method
        rows.append(
            [
                name,
                *(f"{100 * s['test accuracy']:.1f} %" for s in by_method.values()),
                *(f"{s['seconds']:.0f}" for s in by_method.values()),
            ]
        )
    table(
        "Digits, 20 epochs, every phase settled",
        ["", "by the flow", "by blocks", "seconds, flow", "seconds, blocks"],
        rows,
    )
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
