"""Digits on imperfect chips, moved there or trained there: `python -m benchmarks.variation`.

64-100-10 with diode pairs, 100 chips of every preset, each network trained within the device's
range. ngspice confirms a sample.
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import numpy as np

import circuits
import eqprop as ep
from circuits.plotting import against_spread as panel
from circuits.plotting import learning
from circuits.variation import PRESETS
from circuits.variation.presets import lognormal

from .report import save, table

COST, ESTIMATOR = ep.SquaredError(on=0.2), ep.EqProp.centred(0.5, ep.FixedSweeps(n=3))
LEARNING = {"estimator": ESTIMATOR, "rate": 0.1, "epochs": 1}
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
RANGE = 0.2  # of the conductances, in units of the network's unit
CONFIRMED, IMAGES = 2, 16  # chips and images that ngspice sees, of each preset


def main() -> None:
    """Train, move, train on and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--figure", metavar="FILE", help="draw them into FILE, a PNG or SVG")
    parser.add_argument(
        "--spreads",
        metavar="FILE",
        help="draw accuracy against every device's spread into FILE instead",
    )
    parser.add_argument(
        "--chips", type=int, default=100, metavar="N", help="chips of each device (100)"
    )
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    data = ep.data.digits(0)
    if arguments.spreads:
        against_spread(data, arguments.spreads, arguments.chips)
        return
    devices = {**PRESETS, "lognormal@1, 30 %": partial(lognormal, 0.3)}
    rows, datasets = [], []
    figures: dict[str, Any] = {"chips": arguments.chips}
    whole = time.perf_counter()
    nets: dict[float, ep.Resistive] = {}
    for name, make in devices.items():
        start, preset = time.perf_counter(), make()
        net = network(preset, data, nets)
        learned = circuits.learn_on_chips(
            net, COST, data, preset, chips=arguments.chips, **LEARNING
        )
        off = confirm(net, learned, data)
        seconds = time.perf_counter() - start
        accuracy = {
            kind: 100 * learned.dataset[kind].values for kind in ("ideal", "moved", "trained")
        }
        figures[name] = {f"{kind}, %": values.tolist() for kind, values in accuracy.items()}
        figures[name] |= {
            "seconds": seconds,
            "recovered": learned.recovered,
            "largest difference to ngspice, V": off,
        }
        spans = [
            f"{v.mean():.2f} ({v.min():.1f} to {v.max():.1f})"
            for v in (accuracy["moved"], accuracy["trained"])
        ]
        lost = float(accuracy["ideal"] - accuracy["moved"].mean())
        recovered = f"{learned.recovered:.0%}" if lost >= 0.5 else "little lost"
        rows.append(
            [
                name,
                f"{float(accuracy['ideal']):.2f}",
                *spans,
                recovered,
                f"{off:.0e}",
                f"{seconds:.0f}",
            ]
        )
        datasets.append(learned.dataset.assign_attrs(preset=name))
    figures["seconds"] = time.perf_counter() - whole
    table(
        f"Digits on {arguments.chips} chips of each device: test accuracy, %; "
        f"{figures['seconds']:.0f} s",
        ["device", "ideal", "moved there", "trained there", "recovered", "ngspice, V", "s"],
        rows,
    )
    save(arguments.json, figures)
    if arguments.figure:
        learning(datasets).figure.savefig(arguments.figure, dpi=150)


def against_spread(data: ep.data.Data, file: str, chips: int) -> None:
    """Draw a panel for each device: accuracy from a quarter to four times its spread."""
    import matplotlib.pyplot as plt

    nets: dict[float, ep.Resistive] = {}
    figure, axes = plt.subplots(2, 4, figsize=(15, 7), sharey=True, layout="constrained")
    for ax, make in zip(axes.flat, PRESETS.values(), strict=False):
        preset = make()
        net = network(preset, data, nets)
        accuracies = circuits.accuracy_against_spread(
            net, COST, data, preset, FACTORS, chips=chips, **LEARNING
        )
        panel(accuracies, ax)
        rows = [
            [
                f"{f:g}",
                *(f"{100 * float(accuracies[k][i].mean()):.2f}" for k in ("moved", "trained")),
            ]
            for i, f in enumerate(FACTORS)
        ]
        table(
            f"{preset.name}: mean test accuracy on {chips} chips, %",
            ["times the spread", "moved there", "trained there"],
            rows,
        )
    for ax in axes.flat[len(PRESETS) :]:
        ax.remove()
    figure.savefig(file, dpi=120)


def network(
    preset: circuits.Preset, data: ep.data.Data, nets: dict[float, ep.Resistive]
) -> ep.Resistive:
    """Return the network for a device, trained within its range.

    **Arguments:** `nets`: those trained so far, by the lowest conductance over the highest.
    """
    share = preset.lowest / preset.highest
    if share not in nets:
        nets[share] = trained(share, data)
    return scaled(nets[share], preset.highest)


def trained(share: float, data: ep.data.Data) -> ep.Resistive:
    """Return a network trained on an ideal chip.

    **Arguments:** `share`: its lowest conductance over the highest.
    """
    bounds = (share * RANGE, RANGE)
    node = circuits.DiodePair(saturation=1e-9, bias=0.1)
    net = ep.Resistive.init(
        jax.random.key(0),
        (64, 100, 10),
        device=node,
        unit=1e-5,
        input_gain=8.0,
        conductance_bounds=bounds,
    )
    rates = {"conductances*": 0.2}
    return ep.fit(
        net, COST, data, ESTIMATOR, rates=rates, decay=0.93, epochs=20, key=jax.random.key(1)
    ).net


def scaled(net: ep.Resistive, highest: float) -> ep.Resistive:
    """Return the same network in devices whose highest conductance, in S, is another.

    All currents, and so the diodes, scale with its unit.
    """
    unit = highest / RANGE
    node = circuits.DiodePair(
        saturation=net.device.saturation * unit / net.unit, bias=net.device.bias
    )
    return ep.Resistive(
        net.conductances,
        net.biases,
        node,
        unit,
        net.input_gain,
        conductance_bounds=net.conductance_bounds,
    )


def confirm(net: ep.Resistive, learned: circuits.Learned, data: ep.data.Data) -> float:
    """Return the largest difference in V between ngspice and the model, on some trained chips."""
    images = np.asarray(data.test.x[:IMAGES])
    chips = [tuple(g[k] for g in learned.chips.conductances) for k in range(CONFIRMED)]
    nets = (ep.Resistive(g, net.biases, net.device, net.unit, net.input_gain) for g in chips)
    return max(circuits.compare(chip, images).error for chip in nets)


if __name__ == "__main__":
    main()
