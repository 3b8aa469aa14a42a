"""The main job's first steps: networks are trained, settled, emitted and held against ngspice."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import eqprop as ep
import eqprop.plotting
from eqprop.settling.compilation import jit_by_size

from .. import plotting
from ..learning.comparison import Comparison, compare
from ..learning.emission import drives, emit
from ..learning.ports import Ports
from ..learning.trained import IDEAL, SHOCKLEY, train_one
from ..mna.reduction import reduce
from .demo_report import Demo, DemoError

FEW = 4
"""Test images for what is looked at one by one."""
NUDGED = 32
"""Test images with a nudge."""


def train(demo: Demo) -> ep.Resistive:
    """Train both networks by centred equilibrium propagation; return the one of Shockley diodes."""
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
    """Settle free and nudged phases as the RC flow, by blocks and by full Newton.

    **Raises** `NotSettledError` where a phase does not settle.
    """
    xs, ys = (jnp.asarray(part[:FEW]) for part in (demo.data.test.x, demo.data.test.y))
    methods = (
        ep.GradientFlow(tolerance=1e-11),
        ep.BlockNewton(tolerance=1e-13),
        ep.Newton(tolerance=1e-13),
    )

    def settle(method, beta, starts):
        return _settle(net, xs, ys, method, jnp.asarray(beta), starts)

    ports, rest = Ports.of(net), jax.vmap(net.init_state)(xs)
    free = [settle(method, 0.0, rest) for method in methods]
    phases = [free]
    for beta in (SHOCKLEY.beta, -SHOCKLEY.beta):
        pairs = zip(methods, free, strict=True)
        phases.append([settle(method, beta, start.state) for method, start in pairs])

    gap, residual = 0.0, 0.0
    for phase in phases:
        if not all(bool(jnp.all(points.settled)) for points in phase):
            raise ep.NotSettledError("a phase of the demo's trained network did not settle")
        volts = [ports.voltages(points.state) for points in phase]
        gap = max(gap, *(float(np.max(np.abs(a - b))) for a in volts for b in volts))
        left = [np.max(np.abs(ports.voltages(points.residual))) for points in phase]
        residual = max(residual, *(net.unit * float(largest) for largest in left))
    demo.report(
        f"2. RC flow, blocks and Newton: one fixed point ({FEW} images, free and nudged)",
        {
            "solver_disagreement_volts": ("largest difference between the three", gap, "V"),
            "solver_residual_amperes": ("largest current left over at a node", residual, "A"),
        },
    )


@jit_by_size
def _settle(net, xs, ys, method, beta, starts):
    return jax.vmap(
        lambda x, y, s: ep.settle(ep.Nudged(net, SHOCKLEY.cost, y, beta), x, method, s)
    )(xs, ys, starts)


def emit_decks(demo: Demo, net: ep.Resistive) -> None:
    """Write the netlist of the first test image, free and nudged."""
    x, y = demo.data.test.x[0], demo.data.test.y[0]
    for name, beta in (
        ("free", 0.0),
        ("nudged_plus", SHOCKLEY.beta),
        ("nudged_minus", -SHOCKLEY.beta),
    ):
        netlist = emit(net, x, cost=SHOCKLEY.cost, y=y, beta=beta)
        netlist.save(demo.out / f"{name}.cir")
    kept = sum(int(np.count_nonzero(np.asarray(g))) for g in net.conductances)
    demo.report(
        "3. Emitted: free.cir, nudged_plus.cir, nudged_minus.cir",
        {"conductances": ("conductances that are not 0", kept, "")},
    )


def check_reduction(demo: Demo, net: ep.Resistive) -> None:
    """Hold the reduced circuit against the whole one, in ngspice, free and nudged."""
    test, gaps = demo.data.test, []
    for beta in (0.0, SHOCKLEY.beta, -SHOCKLEY.beta):
        whole = emit(net, test.x[0], cost=SHOCKLEY.cost, y=test.y[0], beta=beta)
        values = drives(net, test.x[:FEW], cost=SHOCKLEY.cost, ys=test.y[:FEW])
        full = demo.simulator.operating_points(whole, values)
        small = demo.simulator.operating_points(*reduce(whole, values))
        # NaN where a point failed, and so is then the largest.
        gaps.append(full.voltage.values - small.voltage.sel(node=full.node).values)
    description = f"reduced against whole netlist, {FEW} images, 3 phases"
    demo.report(
        "4. In ngspice: the exact reduction",
        {"reduction_error_volts": (description, np.max(np.abs(gaps)), "V")},
    )


def against_ngspice(demo: Demo, net: ep.Resistive) -> xr.Dataset:
    """Hold ngspice against the model on all test images, and on some of them with a nudge.

    **Returns** the datasets of the comparisons, merged.

    **Raises** `DemoError` where they do not agree.
    """
    test = demo.data.test
    options: dict[str, Any] = {"cost": SHOCKLEY.cost, "simulator": demo.simulator}
    some = test.x[:NUDGED], test.y[:NUDGED]
    free = compare(net, test.x, test.y, **options)
    nudged = compare(net, *some, beta=SHOCKLEY.beta, **options)
    weak = compare(net, *some, beta=SHOCKLEY.beta / 100, **options)
    demo.console.print(
        "[bold]5. ngspice against the model[/bold]", str(free), "", str(nudged), "", sep="\n"
    )
    for comparison in (free, nudged, weak):
        if not comparison.agrees:
            raise DemoError(f"ngspice and the model do not agree:\n{comparison}")
    demo.numbers["comparisons"] = [comparison.numbers() for comparison in (free, nudged, weak)]
    demo.report("6. In short", _in_short(free, nudged, weak))
    demo.figure("agreement", plotting.beside(nudged.dataset))

    more = nudged.dataset.drop_sel(phase="free")
    merged = xr.merge(
        [free.dataset, more], join="outer", compat="no_conflicts", combine_attrs="override"
    )
    merged["status"] = merged.status.where(merged.status.isin(["ok"]), "not simulated").astype(str)
    return merged.assign_attrs(nudged.dataset.attrs)


def _in_short(
    free: Comparison, nudged: Comparison, weak: Comparison
) -> dict[str, tuple[str, float, str]]:
    """Return the rows of the table of all comparisons, as `Demo.report` takes them."""
    data = free.dataset
    ideal = np.abs(data.circuit.sel(phase="free").values - data.ideal.values)
    right = (data.circuit_decision == data.label).mean()
    cosines, exact = nudged.dataset.attrs, "gradient_cosine_circuit_exact"
    return {
        "fixed_point_error_volts": (
            "ngspice against the model, all phases",
            max(free.error, nudged.error, weak.error),
            "V",
        ),
        "ideal_model_distance_volts": ("ngspice against ideal diodes", np.max(ideal), "V"),
        "prediction_agreement": (
            "predictions that agree, ngspice and model",
            free.agreement,
            "%",
        ),
        "ngspice_test_accuracy": ("test images right in ngspice", float(right), "%"),
        "gradient_cosine_spice_vs_model": (
            "gradient cosine, ngspice and model",
            cosines["gradient_cosine_circuit_model"],
            "cos",
        ),
        "gradient_cosine_spice_vs_exact": (
            "gradient cosine, ngspice and exact",
            cosines[exact],
            "cos",
        ),
        "gradient_cosine_model_vs_exact": (
            "gradient cosine, model and exact",
            cosines["gradient_cosine_model_exact"],
            "cos",
        ),
        "gradient_cosine_spice_vs_exact_weak_nudge": (
            f"the same for ngspice at β = {SHOCKLEY.beta / 100:g}",
            weak.dataset.attrs[exact],
            "cos",
        ),
    }
