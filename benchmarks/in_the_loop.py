"""Digits learned from scratch with ngspice in the loop: `python -m benchmarks.in_the_loop`.

128-100-10, batch 4, the three phases of a batch in one deck. The update is made from ngspice's node
voltages alone; beside it the same training with the model's own phases.
"""

import argparse
import time
from typing import Any

import jax

import circuits
import eqprop as ep

from .report import save, table


def main() -> None:
    """Trains both and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.in_the_loop", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--epochs", type=int, default=20, metavar="N", help="epochs of 359 updates (20)"
    )
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    node = circuits.DiodePair(saturation=1e-9, bias=0.1)
    net = ep.Resistive.init(
        jax.random.key(0), (64, 100, 10), device=node, unit=1e-5, input_gain=30.0
    )
    estimators = {
        "ngspice": circuits.SpiceEqProp.centred(1.0),
        "the model": ep.EqProp.centred(1.0, ep.FixedSweeps(n=6)),
    }
    figures: dict[str, Any] = {}
    rows = []
    for name, estimator in estimators.items():
        start = time.perf_counter()
        fit = ep.fit(
            net,
            ep.SquaredError(on=0.2),
            ep.data.digits(),
            estimator,
            rates={"conductances*": 0.3},
            decay=0.92,
            epochs=arguments.epochs,
            key=jax.random.key(1),
        )
        seconds = time.perf_counter() - start
        accuracy = [100 * float(a) for a in fit.history["test_accuracy"]]
        figures[name] = {
            "seconds": seconds,
            "test accuracy, %": accuracy,
            "seconds by epoch": fit.history["seconds"].tolist(),
        }
        rows.append([name, f"{seconds:.0f}", f"{accuracy[-1]:.2f}", f"{max(accuracy):.2f}"])
    table(
        "Digits, 128-100-10, Shockley pairs",
        ["phases by", "s", "test accuracy, %", "best epoch"],
        rows,
    )
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
