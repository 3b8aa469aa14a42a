"""Published MNIST results with this library: `python -m benchmarks.mnist drn-xs`.

Or `drn-1h`, `hopfield-1h`; the images are looked for in the folder that EQPROP_DATA names. Several
seeds in one call of `fit_seeds`, all 60,000 images, the last epoch; no image of the test set is
looked at before. It prints the test error after every epoch and the seconds of training.
"""

import argparse
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from rich.console import Console

import circuits
import eqprop as ep
from eqprop import models

from .report import save, table


@dataclass(frozen=True)
class Setting:
    """One published setting: the network, how it is trained, and what the literature reports."""

    init: Callable[[Any], ep.Energy]
    estimator: ep.Estimator
    rates: dict[str, float]
    batch: int
    epochs: int
    decay: float
    reported: str


def resistive(hidden: int, gain: float) -> Callable[[Any], ep.Energy]:
    """Return a network of ideal diodes as a function of a key.

    The first half of the hidden nodes is at or above 0 V, the second at or below; inputs doubled.
    """
    return functools.partial(
        ep.Resistive.init, sizes=(784, hidden, 10), device=circuits.IdealDiodes(), input_gain=gain
    )


FOUR_SWEEPS = ep.EqProp.centred(1.0, ep.FixedSweeps(n=4))
SETTINGS = {
    "drn-xs": Setting(
        resistive(100, 100.0), FOUR_SWEEPS, {"*": 0.006}, 4, 10, 0.99,
        "3.46 % (Scellier, ICML 2024, table 1: DRN-XS, 10 epochs, 30 minutes on an A100)",
    ),
    "drn-1h": Setting(
        resistive(1024, 480.0), FOUR_SWEEPS, {"*": 0.006}, 4, 50, 0.99,
        "table 1 of Scellier (ICML 2024): DRN-1H, 50 epochs, 2 hours 36 minutes on an A100",
    ),
    "hopfield-1h": Setting(
        functools.partial(models.Hopfield.init, sizes=(784, 512, 10)),
        ep.EqProp.centred(0.2, ep.FixedSweeps(n=15)), {"*": 0.05}, 16, 10, 0.99,
        "1.79 % for 784-1024-10 after 100 epochs (Scellier, ICML 2024, appendix E: DHN-1H)",
    ),
}  # fmt: skip


def main() -> None:
    """Run a setting and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--epochs", type=int, help="another number of epochs than the setting's")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    setting = SETTINGS[arguments.setting]
    data = ep.data.mnist()
    start = time.perf_counter()
    fits = ep.fit_seeds(
        setting.init,
        ep.SquaredError(),
        data,
        setting.estimator,
        seeds=range(arguments.seeds),
        rates=setting.rates,
        epochs=arguments.epochs or setting.epochs,
        batch=setting.batch,
        decay=setting.decay,
        console=Console(stderr=True),
        name=arguments.setting,
    )
    jax.block_until_ready(fits.fits[-1].net)
    seconds = time.perf_counter() - start
    errors = [[100 * (1 - a) for a in fit.history["test_accuracy"]] for fit in fits.fits]
    rows = [
        [
            f"{epoch + 1}",
            *(f"{e[epoch]:.2f}" for e in errors),
            f"{sum(e[epoch] for e in errors) / len(errors):.2f}",
        ]
        for epoch in range(len(errors[0]))
    ]
    table(
        f"{arguments.setting}: test error, %",
        ["epoch", *(f"seed {s}" for s in fits.seeds), "mean"],
        rows,
    )
    print(
        f"{len(errors)} seeds in {seconds:.0f} s of training, compilation and tests included; "
        f"reported: {setting.reported}"
    )
    save(
        arguments.json,
        {
            arguments.setting: {
                "test error, %": errors,
                "seconds": seconds,
                "reported": setting.reported,
            }
        },
    )


if __name__ == "__main__":
    main()
