"""The main job, end to end: train, integrate, emit, simulate, compare, vary, and leave a folder behind."""

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from threadpoolctl import threadpool_limits

import eqprop as ep
import eqprop.plotting

from .. import plotting
from ..elements.diodes import Diode
from ..files import output_folder, write, write_text
from ..learning.comparison import compare
from ..learning.emission import drives, emit
from ..learning.ports import Ports
from ..learning.trained import IDEAL, SHOCKLEY, SIZES, train_one
from ..learning.transients import compare_transient
from ..mna.noise import corners, covariance
from ..mna.reduction import reduce
from ..simulators import Ngspice
from ..simulators.datasets import save
from ..units import BOLTZMANN, ROOM
from ..variation import Programming, Saturation

FEW = 4  # test images for what is looked at one by one
NUDGED = 32  # test images with a nudge
CHIPS = 16
SPREADS = (0.0, 0.01, 0.03, 0.10)  # of the conductances
SATURATION_SPREAD = 0.2  # of the diodes' saturation currents


LEAST = {
    "digits_test_accuracy_ideal": 0.97,
    "digits_test_accuracy_shockley": 0.97,
    "prediction_agreement": 1.0,
    "gradient_cosine_spice_vs_model": 0.999999,
}
MOST = {
    "fixed_point_error_volts": 1e-9,
    "reduction_error_volts": 1e-9,
    "solver_disagreement_volts": 1e-8,
    "transient_error_relative": 1e-4,
    "noise_error_relative": 0.01,
    "noise_error_relative_to_ktc": 0.01,
}


class DemoError(RuntimeError):
    """A number of the main job is not what it must be."""


@dataclass(frozen=True)
class Demo:
    """One run into the folder `out`: the tools of its steps, and the numbers found so far."""

    out: Path
    data: ep.data.Data
    seed: int
    console: Console
    simulator: Ngspice
    numbers: dict[str, Any] = field(default_factory=dict)

    def report(self, title: str, rows: Mapping[str, tuple[str, float, str]]) -> None:
        """Prints and keeps numbers, by their name in the summary: what each is, its value, its unit."""
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            show_header=False,
            box=None,
            padding=(0, 2, 0, 0),
        )
        for name, (what, value, unit) in rows.items():
            self.numbers[name] = float(value)
            text = (
                f"{value:.2%}"
                if unit == "%"
                else f"{value:.9f}"
                if unit == "cos"
                else f"{value:.3g} {unit}"
            )
            table.add_row(what, text)
        self.console.print(table, "")

    def figure(self, name: str, ax: Any) -> None:
        """Writes the figure of `ax` as a PNG."""
        write(self.out / f"{name}.png", lambda fresh: ax.figure.savefig(fresh, dpi=150))


def run(
    out: str | Path = "demo",
    *,
    seed: int = 0,
    console: Console | None = None,
    simulator: Ngspice | None = None,
) -> dict[str, Any]:
    """Runs the main job into the folder `out`, and returns the numbers of its `summary.json`.

    Raises `ValueError` where `out` cannot be written, `RuntimeError` where JAX's x64 mode is off, `DemoError` where a
    number is not what it must be, and what training and ngspice raise.
    """
    start = time.perf_counter()
    ep.require_float64("the demo")
    demo = Demo(
        output_folder(out), ep.data.digits(seed), seed, console or Console(), simulator or Ngspice()
    )
    (demo.out / "summary.json").unlink(missing_ok=True)  # what is there must be of this run
    demo.numbers["ngspice"] = demo.simulator.version()
    net = train(demo)
    settle_three_ways(demo, net)
    emit_decks(demo, net)
    check_reduction(demo, net)
    comparison = against_ngspice(demo, net)
    chips = vary(demo, net)
    noise(demo, net)
    transient(demo, net)
    save(comparison, demo.out / "comparison.nc")
    save(chips, demo.out / "chips.nc")
    demo.numbers["demo_seconds"] = time.perf_counter() - start
    write_text(
        demo.out / "summary.json", json.dumps(demo.numbers, indent=2, allow_nan=False) + "\n"
    )
    require(demo.numbers)
    conclude(demo)
    return demo.numbers


def require(numbers: Mapping[str, Any]) -> None:
    """Raises `DemoError` naming the numbers that are below `LEAST`, above `MOST`, or not a number."""
    wrong = [
        f"{name} = {numbers[name]} must be at least {bound}"
        for name, bound in LEAST.items()
        if not numbers[name] >= bound
    ]
    wrong += [
        f"{name} = {numbers[name]} must be at most {bound}"
        for name, bound in MOST.items()
        if not numbers[name] <= bound
    ]
    if wrong:
        raise DemoError("; ".join(wrong))


def train(demo: Demo) -> ep.Resistive:
    """Trains both networks by centred equilibrium propagation; returns the one with Shockley diodes."""
    settings = (("ideal diodes", IDEAL), ("Shockley diodes", SHOCKLEY))
    fits = {
        name: train_one(index, setting, demo.data, demo.seed, console=demo.console, name=name)
        for index, (name, setting) in enumerate(settings)
    }
    demo.figure("training", eqprop.plotting.training(fits))
    rows = {}
    for short, fit in zip(("ideal", "shockley"), fits.values(), strict=True):
        rows[f"digits_test_accuracy_{short}"] = (
            f"test images right, {short} diodes",
            fit.history["test_accuracy"][-1],
            "%",
        )
        rows[f"training_seconds_{short}"] = (
            "  trained in (with compilation)",
            fit.history["seconds"][-1],
            "s",
        )
    demo.report("1. Trained by equilibrium propagation", rows)
    return fits["Shockley diodes"].net


def settle_three_ways(demo: Demo, net: ep.Resistive) -> None:
    """Free and nudged phases as the RC flow, by blocks and by full Newton."""
    xs, ys = (jnp.asarray(part[:FEW]) for part in (demo.data.test.x, demo.data.test.y))
    methods = (
        ep.GradientFlow(tolerance=1e-11),
        ep.BlockNewton(tolerance=1e-13),
        ep.Newton(tolerance=1e-13),
    )

    @eqx.filter_jit
    def settle(method, beta, starts):
        return jax.vmap(
            lambda x, y, s: ep.settle(ep.Nudged(net, SHOCKLEY.cost, y, beta), x, method, s)
        )(xs, ys, starts)

    gap, residual, ports = 0.0, 0.0, Ports.of(net)
    rest = jax.vmap(net.init_state)(xs)
    free = [settle(method, jnp.asarray(0.0), rest) for method in methods]
    phases = [free] + [
        [settle(m, jnp.asarray(b), f.state) for m, f in zip(methods, free, strict=True)]
        for b in (SHOCKLEY.beta, -SHOCKLEY.beta)
    ]
    for phase in phases:
        if not all(bool(jnp.all(one.settled)) for one in phase):
            raise ep.NotSettledError("a phase of the demo's trained network did not settle")
        ends = [ports.voltages(one.state) for one in phase]
        gap = max(gap, *(float(np.max(np.abs(a - b))) for a in ends for b in ends))
        residual = max(
            residual,
            *(net.unit * float(np.max(np.abs(ports.voltages(one.residual)))) for one in phase),
        )
    demo.report(
        f"2. RC flow, blocks and Newton: one fixed point ({FEW} images, free and nudged)",
        {
            "solver_disagreement_volts": ("largest difference between the three", gap, "V"),
            "solver_residual_amperes": ("largest current left over at a node", residual, "A"),
        },
    )


def emit_decks(demo: Demo, net: ep.Resistive) -> None:
    """The netlist of the first test image, free and nudged."""
    x, y = demo.data.test.x[0], demo.data.test.y[0]
    for name, beta in (
        ("free", 0.0),
        ("nudged_plus", SHOCKLEY.beta),
        ("nudged_minus", -SHOCKLEY.beta),
    ):
        deck = emit(net, x, y=y, cost=SHOCKLEY.cost, beta=beta)
        deck.save(demo.out / f"{name}.cir")
    kept = sum(int(np.count_nonzero(np.asarray(g))) for g in net.conductances)
    demo.report(
        "3. Emitted: free.cir, nudged_plus.cir, nudged_minus.cir",
        {"conductances": ("conductances that are not 0", kept, "")},
    )


def against_ngspice(demo: Demo, net: ep.Resistive) -> xr.Dataset:
    """Ngspice against the model on all test images, and on some of them with a nudge; their datasets, merged."""
    test = demo.data.test
    free = compare(net, test.x, test.y, cost=SHOCKLEY.cost, simulator=demo.simulator)
    nudged = compare(
        net,
        test.x[:NUDGED],
        test.y[:NUDGED],
        cost=SHOCKLEY.cost,
        beta=SHOCKLEY.beta,
        simulator=demo.simulator,
    )
    weak = compare(
        net,
        test.x[:NUDGED],
        test.y[:NUDGED],
        cost=SHOCKLEY.cost,
        beta=SHOCKLEY.beta / 100,
        simulator=demo.simulator,
    )
    demo.console.print(
        "[bold]5. ngspice against the model[/bold]", str(free), "", str(nudged), "", sep="\n"
    )
    for comparison in (free, nudged, weak):
        if not comparison.agrees:
            raise DemoError(f"ngspice and the model do not agree:\n{comparison}")
    demo.numbers["comparisons"] = [comparison.numbers() for comparison in (free, nudged, weak)]
    grads, small = nudged.dataset.attrs, weak.dataset.attrs
    demo.report(
        "6. In short",
        {
            "fixed_point_error_volts": (
                "ngspice against the model, all phases",
                max(free.error, nudged.error, weak.error),
                "V",
            ),
            "ideal_model_distance_volts": (
                "ngspice against ideal diodes",
                np.max(
                    np.abs(
                        free.dataset.circuit.sel(phase="free").values - free.dataset.ideal.values
                    )
                ),
                "V",
            ),
            "prediction_agreement": (
                "predictions that agree, ngspice and model",
                free.agreement,
                "%",
            ),
            "ngspice_test_accuracy": (
                "test images right in ngspice",
                (free.dataset.circuit_decision == free.dataset.label).mean(),
                "%",
            ),
            "gradient_cosine_spice_vs_model": (
                "gradient cosine, ngspice and model",
                grads["gradient_cosine_circuit_model"],
                "cos",
            ),
            "gradient_cosine_spice_vs_exact": (
                "gradient cosine, ngspice and exact",
                grads["gradient_cosine_circuit_exact"],
                "cos",
            ),
            "gradient_cosine_model_vs_exact": (
                "gradient cosine, model and exact",
                grads["gradient_cosine_model_exact"],
                "cos",
            ),
            "gradient_cosine_spice_vs_exact_weak_nudge": (
                f"the same for ngspice at β = {SHOCKLEY.beta / 100:g}",
                small["gradient_cosine_circuit_exact"],
                "cos",
            ),
        },
    )
    demo.figure("agreement", plotting.beside(nudged.dataset))
    more = nudged.dataset.drop_sel(phase="free")
    merged = xr.merge(
        [free.dataset, more], join="outer", compat="no_conflicts", combine_attrs="override"
    )
    merged["status"] = merged.status.where(merged.status.isin(["ok"]), "not simulated").astype(str)
    return merged.assign_attrs(nudged.dataset.attrs)


def check_reduction(demo: Demo, net: ep.Resistive) -> None:
    """The reduced circuit against the whole one, in ngspice, free and nudged."""
    test, gaps = demo.data.test, []
    for beta in (0.0, SHOCKLEY.beta, -SHOCKLEY.beta):
        whole = emit(net, test.x[0], y=test.y[0], cost=SHOCKLEY.cost, beta=beta)
        over = drives(net, test.x[:FEW], ys=test.y[:FEW], cost=SHOCKLEY.cost)
        full = demo.simulator.operating_points(whole, over)
        small = demo.simulator.operating_points(*reduce(whole, over))
        gaps.append(
            full.voltage.values - small.voltage.sel(node=full.node).values
        )  # NaN where a point failed, and so is the largest
    what = f"reduced against whole netlist, {FEW} images, 3 phases"
    demo.report(
        "4. In ngspice: the exact reduction",
        {"reduction_error_volts": (what, np.max(np.abs(gaps)), "V")},
    )


def vary(demo: Demo, net: ep.Resistive) -> xr.Dataset:
    """Chips with spread conductances and saturation currents, in ngspice; accuracy and distance to the nominal circuit."""
    test = demo.data.test
    whole, over = emit(net, test.x[0]), drives(net, test.x)
    outputs = [plus for plus, _ in Ports.of(net).outputs]
    nominal = demo.simulator.operating_points(*reduce(whole, over))

    def simulate(spread: float, chip: int) -> xr.Dataset:
        varied = (Programming(spread) + Saturation(SATURATION_SPREAD)).chip(
            whole, seed=demo.seed, number=chip
        )
        seen = demo.simulator.operating_points(*reduce(varied, over))
        return seen[["voltage", "status"]].sel(node=outputs)

    with (
        threadpool_limits(
            1, "blas"
        ),  # the pool's threads are enough: BLAS's own would only wait for each other
        Progress(console=demo.console, transient=True) as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        jobs = {
            (spread, chip): pool.submit(simulate, spread, chip)
            for spread in SPREADS
            for chip in range(CHIPS)
        }
        try:
            made = {
                at: job.result()
                for at, job in progress.track(jobs.items(), description="7. chips in ngspice")
            }
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    data = xr.combine_nested(
        [[made[s, c] for c in range(CHIPS)] for s in SPREADS],
        ["spread", "chip"],
        combine_attrs="override",
    )
    data = data.assign_coords(spread=list(SPREADS), chip=np.arange(CHIPS))
    wrong = int((data.status != "ok").sum()) + int((nominal.status != "ok").sum())
    if wrong:
        raise DemoError(f"ngspice's answer is not certified at {wrong} points of the chips")
    label = xr.DataArray(test.y, dims="sample")
    data["accuracy"] = (data.voltage.argmax("node") == label).mean("sample")
    data["error"] = np.abs(data.voltage - nominal.voltage.sel(node=outputs)).max(("sample", "node"))
    data["error"].attrs.update(
        units="V", long_name="largest distance of an output from the nominal circuit"
    )
    right = float((nominal.voltage.sel(node=outputs).argmax("node") == label).mean())
    data.attrs.update(nominal_accuracy=right, saturation_spread=SATURATION_SPREAD, seed=demo.seed)
    what = f"7. {CHIPS} chips for each spread of the conductances; saturation currents spread by {SATURATION_SPREAD:.0%}"
    table = Table(title=what, title_justify="left", title_style="bold")
    for column in ("spread", "accuracy", "lowest", "highest", "error", "lowest", "highest"):
        table.add_column(column, justify="right")
    demo.numbers["chips"] = []
    for spread in SPREADS:
        accuracy, error = (
            data.accuracy.sel(spread=spread).values,
            data.error.sel(spread=spread).values,
        )
        three = {
            kind: [float(f(values)) for f in (np.mean, np.min, np.max)]
            for kind, values in (("a", accuracy), ("e", error))
        }
        table.add_row(
            f"{spread:.0%}",
            *(f"{v:.2%}" for v in three["a"]),
            *(f"{1e3 * v:.2f} mV" for v in three["e"]),
        )
        demo.numbers["chips"].append(
            {
                "spread": spread,
                "accuracy_mean_min_max": three["a"],
                "error_volts_mean_min_max": three["e"],
            }
        )
    demo.console.print(table, "")
    demo.figure("spread", plotting.spreads(data))
    return data


def noise(demo: Demo, net: ep.Resistive) -> None:
    """The outputs' noise at the fixed point: ngspice, Lyapunov's equation, and kT/C without diodes."""
    whole = emit(net, demo.data.test.x[0])
    outputs = [plus for plus, _ in Ports.of(net).outputs]
    seen, said = {}, {}
    for name, deck in (("diodes", whole), ("linear", whole.without(Diode))):
        small, _ = reduce(deck)
        point = demo.simulator.operating_points(small)
        lowest, highest = corners(small, None, point)
        around = demo.simulator.noise(small, outputs, lowest=1e-4 * lowest, highest=1e4 * highest)
        at = [list(point.node.values).index(node) for node in outputs]
        seen[name], said[name] = (
            around.deviation.values,
            np.sqrt(np.diag(covariance(small, None, point))[at]),
        )
    ideal = np.sqrt(BOLTZMANN * ROOM / net.capacitance)
    demo.report(
        "8. Noise of the outputs at the fixed point",
        {
            "noise_deviation_volts": (
                "standard deviation in ngspice, mean over outputs",
                np.mean(seen["diodes"]),
                "V",
            ),
            "noise_error_relative": (
                "ngspice against Lyapunov",
                np.max(np.abs(seen["diodes"] / said["diodes"] - 1)),
                "",
            ),
            "noise_error_relative_to_ktc": (
                "without diodes: ngspice against kT/C",
                np.max(np.abs(seen["linear"] / ideal - 1)),
                "",
            ),
            "noise_lyapunov_to_ktc": (
                "without diodes: Lyapunov against kT/C",
                np.max(np.abs(said["linear"] / ideal - 1)),
                "",
            ),
        },
    )


def transient(demo: Demo, net: ep.Resistive) -> None:
    """The RC flow of one image, free from 0 V and then nudged, and ngspice's transient at the same times."""
    y, tau = demo.data.test.y[0], net.capacitance / net.unit
    data = compare_transient(
        net,
        demo.data.test.x[0],
        y=y,
        cost=SHOCKLEY.cost,
        beta=SHOCKLEY.beta,
        stop=3 * tau,
        step=tau / 500,
        simulator=demo.simulator,
    )
    gap = np.max(np.abs(data.flow.values - data.circuit.values)) / np.max(np.abs(data.flow.values))
    demo.report(
        "9. Transient",
        {"transient_error_relative": ("RC flow against .tran, relative to full scale", gap, "")},
    )
    hidden = data.flow.isel(time=-1, node=slice(SIZES[1]))
    chosen = [
        str(hidden.node.values[k]) for k in (int(hidden.argmax("node")), int(hidden.argmin("node")))
    ]
    demo.figure(
        "transient",
        plotting.transient(data, [*chosen, f"out{int(y)}", f"out{(int(y) + 1) % SIZES[2]}"]),
    )
    save(data, demo.out / "transient.nc")


def conclude(demo: Demo) -> None:
    """What was found and where it is, in three lines."""
    n = demo.numbers
    demo.console.print(
        f"Trained by equilibrium propagation, {n['digits_test_accuracy_ideal']:.2%} (ideal diodes) and "
        f"{n['digits_test_accuracy_shockley']:.2%} (Shockley diodes) of the test images are right.",
        f"{n['ngspice']} settles within {n['fixed_point_error_volts']:.1e} V of the model and gives its gradient with a cosine of "
        f"{n['gradient_cosine_spice_vs_model']:.9f}.",
        f"Netlists, datasets, figures and summary.json are in {demo.out}/, after {n['demo_seconds']:.0f} s.",
        sep="\n",
        soft_wrap=True,
    )
