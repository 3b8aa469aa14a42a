"""How fast circuits are written, read and solved: `Nodal`, ngspice in batch decks, crossbars.

Run by `python -m benchmarks.circuits`. Every row is one run. What is not installed is not compared
with: PySpice (`pip install 'eqprop-circuits[pyspice]'`) and `badcrossbar` 1.1.0
(`pip install --no-deps badcrossbar==1.1.0 pathvalidate`).
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

import circuits
import eqprop as ep

from .report import save, table

SAMPLES = 256
NGSPICE = circuits.Ngspice(timeout=600.0)


def timed(run: Callable[[], Any], rounds: int = 1) -> tuple[float, Any]:
    """Return the shortest time of `rounds` in s, and the last result."""
    best, result = float("inf"), None
    for _ in range(rounds):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result


def shockley() -> tuple[circuits.Netlist, dict[str, np.ndarray]]:
    """Return the unreduced circuit of a 1568-100-20 network, and drives of random images.

    The images are zero in four of five pixels.
    """
    device = circuits.DiodePair(saturation=1e-9, bias=0.1)
    net = ep.Resistive.init(
        jax.random.key(0), (784, 100, 20), device=device, unit=1e-5, input_gain=8.0
    )
    net = replace(net, conductances=tuple(g + 1e-3 for g in net.conductances))  # none is absent
    random = np.random.default_rng(0)
    xs = random.uniform(0, 1, (SAMPLES, 784)) * (random.uniform(size=(SAMPLES, 784)) < 0.2)
    return circuits.emit(net), circuits.drives(net, xs)


def chosen(drives: dict[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
    """Return the drives of the first samples."""
    return {name: values[:samples] for name, values in drives.items()}


def operating_points(figures: dict[str, Any]) -> None:
    """Solve the layered network by five ways, from a process a point of the whole deck on."""
    netlist, drives = shockley()
    alone, reference = timed(lambda: NGSPICE.operating_points(netlist, chosen(drives, 1)))
    small, fewer = circuits.reduce(netlist, chosen(drives, 1))
    reduced, _ = timed(lambda: NGSPICE.operating_points(small, fewer), 3)
    batch, together = timed(lambda: NGSPICE.operating_points(*circuits.reduce(netlist, drives)))
    nodal = circuits.Nodal()
    nodal.operating_points(netlist, drives)
    whole, points = timed(lambda: nodal.operating_points(netlist, drives), 3)
    prepared = nodal.prepare(netlist)
    again, _ = timed(lambda: prepared.operating_points(drives), 5)
    off = max(
        float(abs(one.voltage[0] - reference.voltage[0].sel(node=one.node)).max())
        for one in (together, points)
    )
    ways = {
        "ngspice, a process a point": alone,
        "the same, conductances reduced": reduced,
        f"ngspice, reduced, {SAMPLES} points a deck": batch / SAMPLES,
        f"Nodal, {SAMPLES} points": whole / SAMPLES,
        f"Nodal, {SAMPLES} points, prepared": again / SAMPLES,
    }
    figures["1568-100-20"] = {
        "milliseconds a point": {k: 1e3 * t for k, t in ways.items()},
        "largest difference, V": off,
    }
    rows = [[name, f"{1e3 * t:.3f}", f"{alone / t:.0f}"] for name, t in ways.items()]
    table(
        f"159,000 resistors and 200 diodes, the same point to {off:.1e} V",
        ["", "ms a point", "times as fast"],
        rows,
    )


def crossbars(figures: dict[str, Any]) -> None:
    """Solve 64 chips of 128 × 128 devices with wires of 0.35 Ω for 16 input vectors.

    Every voltage and every branch's current of each.
    """
    random = np.random.default_rng(0)
    chips, volts = random.uniform(1e-6, 40e-6, (64, 128, 128)), random.uniform(0, 0.5, (16, 128))
    drives = {f"Vin{i}": column for i, column in enumerate(volts.T)}

    def by_netlist():
        return circuits.Nodal().operating_points(
            circuits.topologies.crossbar(chips[0], volts[0], wire_ohms=0.35), drives
        )

    def by_lines():
        for chip in chips[1:]:
            circuits.solve_crossbars(chip, volts, wire_ohms=0.35)
        return circuits.solve_crossbars(chips[0], volts, wire_ohms=0.35)

    by_lines()
    lines, dataset = timed(by_lines)
    seconds = {
        "lines in turn": lines / len(chips),
        "Nodal, a netlist a chip": timed(by_netlist, 3)[0],
    }
    off = float("nan")
    try:
        import badcrossbar
    except ImportError:
        print("badcrossbar is not installed", flush=True)
    else:
        theirs, solutions = timed(
            lambda: [badcrossbar.compute(volts.T, 1 / chip, r_i=0.35) for chip in chips[:8]]
        )
        seconds["badcrossbar 1.1.0"] = theirs / 8
        off = float(
            np.max(np.abs(np.asarray(solutions[0].currents.output) / dataset.output[0].values - 1))
        )
    figures["crossbar 128 x 128"] = {
        "seconds a chip": seconds,
        "largest relative difference of currents": off,
    }
    rows = [
        [name, f"{1e3 * t:.0f}", f"{seconds.get('badcrossbar 1.1.0', float('nan')) / t:.1f}"]
        for name, t in seconds.items()
    ]
    table(
        f"128 × 128 devices with wires, 16 inputs, currents the same to {off:.0e}",
        ["", "ms a chip", "times as fast"],
        rows,
    )


def sweeps(figures: dict[str, Any]) -> None:
    """Solve a crossbar of 64 × 64 devices without wires, a pair of diodes at each bit line.

    By ngspice's batch deck, by processes, and by PySpice.
    """
    random = np.random.default_rng(0)
    siemens = random.uniform(1e-6, 40e-6, (64, 64))
    net = ep.Resistive.init(
        jax.random.key(0), (32, 64, 1), device=circuits.DiodePair(1e-9, 0.1), unit=1.0
    )
    netlist = circuits.emit(
        replace(net, conductances=(jax.numpy.asarray(siemens), net.conductances[1] * 1e-5))
    )
    drives = circuits.drives(net, random.uniform(-1, 1, (SAMPLES, 32)))
    ways = {
        "ngspice, a process a point": timed(
            lambda: NGSPICE.operating_points(netlist, chosen(drives, 1)), 3
        )[0]
    }
    ways["ngspice, 64 points a deck"] = (
        timed(lambda: NGSPICE.operating_points(netlist, chosen(drives, 64)), 3)[0] / 64
    )
    batch, points = timed(lambda: NGSPICE.operating_points(netlist, drives), 3)
    ways[f"ngspice, {SAMPLES} points a deck"], off = batch / SAMPLES, 0.0
    try:
        circuits.NgspiceShared().version()
    except circuits.SimulationError as error:
        print(f"PySpice is not compared with: {error}", flush=True)
    else:
        shared, same = timed(lambda: circuits.NgspiceShared().operating_points(netlist, drives), 3)
        repeated, theirs = timed(lambda: by_pyspice(netlist, chosen(drives, 20)))
        ways |= {
            f"libngspice, {SAMPLES} points a deck": shared / SAMPLES,
            "PySpice, .op repeated 20 times": repeated / 20,
        }
        off = max(
            float(abs(same.voltage - points.voltage).max()),
            float(np.max(np.abs(theirs - points.voltage.values[:20]))),
        )
    figures["crossbar 64 x 64, diodes"] = {
        "milliseconds a point": {k: 1e3 * t for k, t in ways.items()},
        "largest difference, V": off,
    }
    rows = [[name, f"{1e3 * t:.2f}", f"{max(ways.values()) / t:.0f}"] for name, t in ways.items()]
    table(
        f"64 × 64 devices and 64 diode pairs, not reduced, the same to {off:.0e} V",
        ["", "ms a point", "times as fast"],
        rows,
    )


def by_pyspice(netlist: circuits.Netlist, drives: dict[str, np.ndarray]) -> np.ndarray:
    """Return the voltages (samples, nodes) in V as a user of PySpice finds them.

    One circuit, its sources set and `.op` run for each sample.
    """
    circuit = circuits.to_pyspice(netlist)
    simulator = circuit.simulator()
    simulator.options(*netlist.options.split())
    nodes, voltages = circuits.Equations.of(netlist).free, []
    for k in range(len(next(iter(drives.values())))):
        for name, values in drives.items():
            circuit[name].dc_value = float(values[k])
        point = simulator.operating_point()
        voltages.append([float(point[node].as_ndarray()[0]) for node in nodes])
        simulator.ngspice.remove_circuit()
    return np.array(voltages)


def text(figures: dict[str, Any]) -> None:
    """Write the unreduced network as a deck, and read the deck; processor time."""
    netlist, _ = shockley()
    seconds, deck = timed(netlist.spice, 3)
    reading = []
    for _ in range(3):
        start = time.process_time()
        again = circuits.parse(deck)
        reading.append(time.process_time() - start)
    if again != netlist:
        raise AssertionError("a deck must read back as the netlist that wrote it")
    lines = deck.count("\n")
    figures["emission"] = {"seconds": seconds, "lines": lines}
    figures["parsing"] = {"CPU seconds": min(reading), "elements": len(again.elements)}
    table(
        f"The deck of 1568-100-20 as text, {lines} lines",
        ["", "s"],
        [["written", f"{seconds:.2f}"], ["read, CPU time", f"{min(reading):.2f}"]],
    )


def main() -> None:
    """Run all and prints the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.circuits", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    figures: dict[str, Any] = {}
    for part in (text, operating_points, sweeps, crossbars):
        part(figures)
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
