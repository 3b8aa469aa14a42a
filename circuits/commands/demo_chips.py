"""The main job's last steps: imperfect chips, noise, and a transient, in ngspice."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from rich.progress import Progress
from rich.table import Table
from threadpoolctl import threadpool_limits

import eqprop as ep

from .. import plotting
from ..elements.diodes import Diode
from ..learning.emission import drives, emit
from ..learning.ports import Ports
from ..learning.trained import SHOCKLEY, SIZES
from ..learning.transients import compare_transient
from ..mna.noise import corners, covariance
from ..mna.reduction import reduce
from ..netlist.netlist import Netlist
from ..simulators.datasets import save
from ..units import BOLTZMANN, ROOM
from ..variation import Programming, Saturation
from .demo_report import Demo, DemoError

CHIPS = 16
SPREADS = (0.0, 0.01, 0.03, 0.10)
"""Relative standard deviations of the conductances."""
SATURATION_SPREAD = 0.2
"""Relative standard deviation of the diodes' saturation currents."""


def vary(demo: Demo, net: ep.Resistive) -> xr.Dataset:
    """Simulate chips whose conductances and saturation currents spread, in ngspice.

    **Returns** `accuracy` (spread, chip) and `error` (spread, chip) in V, the largest distance of
    an output from the nominal circuit, beside the outputs' voltages.

    **Raises** `DemoError` where a point is not certified.
    """
    test, outputs = demo.data.test, [plus for plus, _ in Ports.of(net).outputs]
    whole, values = emit(net, test.x[0]), drives(net, test.x)
    nominal = demo.simulator.operating_points(*reduce(whole, values))
    data = _chips(demo, whole, values, outputs)
    wrong = int((data.status != "ok").sum()) + int((nominal.status != "ok").sum())
    if wrong:
        raise DemoError(f"ngspice's answer is not certified at {wrong} points of the chips")

    label = xr.DataArray(test.y, dims="sample")
    at_outputs = nominal.voltage.sel(node=outputs)
    data["accuracy"] = (data.voltage.argmax("node") == label).mean("sample")
    data["error"] = np.abs(data.voltage - at_outputs).max(("sample", "node"))
    data["error"].attrs.update(
        units="V", long_name="largest distance of an output from the nominal circuit"
    )
    right = float((at_outputs.argmax("node") == label).mean())
    data.attrs.update(nominal_accuracy=right, saturation_spread=SATURATION_SPREAD, seed=demo.seed)
    _report_chips(demo, data)
    demo.figure("spread", plotting.spreads(data))
    return data


def _chips(
    demo: Demo, whole: Netlist, values: dict[str, np.ndarray], outputs: list[str]
) -> xr.Dataset:
    """Return the operating points (spread, chip, sample, node) of all chips, at the outputs.

    **Arguments:** `whole`: the nominal circuit. `values`: of its sources (samples,).
    """

    def simulate(spread: float, number: int) -> xr.Dataset:
        variation = Programming(spread) + Saturation(SATURATION_SPREAD)
        chip = variation.chip(whole, seed=demo.seed, number=number)
        points = demo.simulator.operating_points(*reduce(chip, values))
        return points[["voltage", "status"]].sel(node=outputs)

    with (
        # The pool's threads are enough: BLAS's own would only wait for each other.
        threadpool_limits(1, "blas"),
        Progress(console=demo.console, transient=True) as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        places = [(spread, number) for spread in SPREADS for number in range(CHIPS)]
        jobs = {place: pool.submit(simulate, *place) for place in places}
        try:
            tracked = progress.track(jobs.items(), description="7. chips in ngspice")
            points = {place: job.result() for place, job in tracked}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    data: Any = xr.combine_nested(
        [[points[spread, number] for number in range(CHIPS)] for spread in SPREADS],
        ["spread", "chip"],
        combine_attrs="override",
    )
    return data.assign_coords(spread=list(SPREADS), chip=np.arange(CHIPS))


def _report_chips(demo: Demo, data: xr.Dataset) -> None:
    """Print the table of chips, a row a spread, and keep its numbers."""
    title = (
        f"7. {CHIPS} chips for each spread of the conductances; "
        f"saturation currents spread by {SATURATION_SPREAD:.0%}"
    )
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("spread", "accuracy", "lowest", "highest", "error", "lowest", "highest"):
        table.add_column(column, justify="right")
    demo.numbers["chips"] = []
    for spread in SPREADS:
        accuracy, error = (
            [float(f(data[name].sel(spread=spread).values)) for f in (np.mean, np.min, np.max)]
            for name in ("accuracy", "error")
        )
        table.add_row(
            f"{spread:.0%}",
            *(f"{share:.2%}" for share in accuracy),
            *(f"{1e3 * volts:.2f} mV" for volts in error),
        )
        row = {
            "spread": spread,
            "accuracy_mean_min_max": accuracy,
            "error_volts_mean_min_max": error,
        }
        demo.numbers["chips"].append(row)
    demo.console.print(table, "")


def noise(demo: Demo, net: ep.Resistive) -> None:
    """Hold the outputs' noise in ngspice against Lyapunov's equation, and without diodes kT/C."""
    whole = emit(net, demo.data.test.x[0])
    outputs = [plus for plus, _ in Ports.of(net).outputs]
    simulated, computed = {}, {}
    for name, netlist in (("diodes", whole), ("linear", whole.without(Diode))):
        small, _ = reduce(netlist)
        point = demo.simulator.operating_points(small)
        lowest, highest = corners(small, None, point)
        spectrum = demo.simulator.noise(small, outputs, lowest=1e-4 * lowest, highest=1e4 * highest)
        places = [list(point.node.values).index(node) for node in outputs]
        simulated[name] = spectrum.deviation.values
        computed[name] = np.sqrt(np.diag(covariance(small, None, point))[places])
    ideal = np.sqrt(BOLTZMANN * ROOM / net.capacitance)

    def off(deviation: np.ndarray, expected: Any) -> float:
        return float(np.max(np.abs(deviation / expected - 1)))

    demo.report(
        "8. Noise of the outputs at the fixed point",
        {
            "noise_deviation_volts": (
                "standard deviation in ngspice, mean over outputs",
                float(np.mean(simulated["diodes"])),
                "V",
            ),
            "noise_error_relative": (
                "ngspice against Lyapunov",
                off(simulated["diodes"], computed["diodes"]),
                "",
            ),
            "noise_error_relative_to_ktc": (
                "without diodes: ngspice against kT/C",
                off(simulated["linear"], ideal),
                "",
            ),
            "noise_lyapunov_to_ktc": (
                "without diodes: Lyapunov against kT/C",
                off(computed["linear"], ideal),
                "",
            ),
        },
    )


def transient(demo: Demo, net: ep.Resistive) -> None:
    """Hold the RC flow of one image, free from 0 V and then nudged, against ngspice's transient."""
    y, tau = demo.data.test.y[0], net.capacitance / net.unit
    data = compare_transient(
        net,
        demo.data.test.x[0],
        cost=SHOCKLEY.cost,
        y=y,
        beta=SHOCKLEY.beta,
        stop=3 * tau,
        step=tau / 500,
        simulator=demo.simulator,
    )
    scale = np.max(np.abs(data.flow.values))
    gap = np.max(np.abs(data.flow.values - data.circuit.values)) / scale
    demo.report(
        "9. Transient",
        {"transient_error_relative": ("RC flow against .tran, relative to full scale", gap, "")},
    )
    hidden = data.flow.isel(time=-1, node=slice(SIZES[1]))
    places = int(hidden.argmax("node")), int(hidden.argmin("node"))
    chosen = [str(hidden.node.values[place]) for place in places]
    nodes = [*chosen, f"out{int(y)}", f"out{(int(y) + 1) % SIZES[2]}"]
    demo.figure("transient", plotting.transient(data, nodes))
    save(data, demo.out / "transient.nc")
