"""The command `circuits run`: lint a deck, simulate it, and compare two simulators."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..elements.passive import Inductor
from ..elements.sources import CurrentSource, VoltageSource
from ..netlist.analyses import Analysis, DcSweep, Noise, OperatingPoint, SmallSignal, Transient
from ..netlist.lint import lint
from ..netlist.netlist import Netlist
from ..simulators import Ngspice, SimulationError, Simulator
from ..simulators.base import require_ok
from ..spice.parser import read

if TYPE_CHECKING:
    import xarray as xr

SIMULATORS = ("ngspice", "nodal")
"""The names of the simulators, in the order in which they are compared."""


def simulator(name: str) -> Simulator:
    """Return a simulator by its name, one of `SIMULATORS`."""
    if name == "ngspice":
        return Ngspice()
    from ..simulators.nodal import Nodal

    return Nodal()


def simulate(chosen: Simulator, netlist: Netlist) -> Iterator[tuple[Analysis, "xr.Dataset"]]:
    """Return every analysis of a netlist with its dataset.

    **Arguments:**

    - `chosen`: the simulator.
    - `netlist`: whose analyses are run; the operating point where it has none.

    **Raises** as the simulator does.
    """
    for analysis in netlist.analyses or (OperatingPoint(netlist.nodes),):
        if isinstance(analysis, OperatingPoint):
            yield analysis, chosen.operating_points(netlist)
        elif isinstance(analysis, DcSweep):
            yield analysis, chosen.operating_points(netlist, {analysis.source: analysis.values})
        elif isinstance(analysis, Transient):
            start = dict(analysis.start) if analysis.from_start else _at_rest(chosen, netlist)
            yield (
                analysis,
                chosen.transient(netlist, stop=analysis.stop, step=analysis.step, start=start),
            )
        elif isinstance(analysis, Noise):
            yield (
                analysis,
                chosen.noise(
                    netlist, analysis.nodes, lowest=analysis.lowest, highest=analysis.highest
                ),
            )
        elif isinstance(analysis, SmallSignal):
            yield (
                analysis,
                chosen.small_signal(
                    netlist,
                    lowest=analysis.lowest,
                    highest=analysis.highest,
                    points=analysis.points,
                ),
            )


def _at_rest(chosen: Simulator, netlist: Netlist) -> dict[str, float]:
    """Return the operating point from which a transient starts, in V by node.

    The sources have the values of their waveforms at time 0.

    **Raises** `SimulationError` where it is not certified, and for inductors, whose currents are no
    part of a start.
    """
    if netlist.of(Inductor):
        raise SimulationError(
            "a transient of a circuit with inductors must start from given voltages (uic)"
        )
    moving = [
        e
        for e in (*netlist.of(VoltageSource), *netlist.of(CurrentSource))
        if e.waveform is not None
    ]
    first = (
        replace(e, **{e.unit: float(e.waveform.at(0.0))}) for e in moving if e.waveform is not None
    )
    points = chosen.operating_points(netlist.with_elements(*first))
    require_ok(points, f"{netlist.title}, from which a transient starts")
    return dict(zip(points.node.values.tolist(), points.voltage.values[0].tolist(), strict=True))


def run(
    deck: str | Path,
    name: str,
    say: Callable[[str], None],
    *,
    compare: bool = False,
    trusted: bool = False,
) -> float:
    """Simulate a deck and print its voltages; with `compare`, by both simulators side by side.

    **Arguments:**

    - `deck`: the path of the file.
    - `name`: of the simulator, one of `SIMULATORS`; not used with `compare`.
    - `say`: prints a line.
    - `compare`: whether to ask both simulators.
    - `trusted`: whether to follow `.include` and `.lib` within the deck's folder.

    **Returns** the largest difference between the simulators in V, 0 without `compare`.

    **Raises** `DeckError`, `NetlistError`, `SimulationError` and `OSError`.
    """
    netlist = read(deck, trusted=trusted)
    used = [simulator(one) for one in (SIMULATORS if compare else (name,))]
    versions = [one.version() for one in used]
    size = f"{len(netlist.elements)} elements, {len(netlist.nodes)} nodes"
    say(f"{netlist.title}: {size}; {', '.join(versions)}")

    matches = (re.match(r"ngspice-(\d+)", version) for version in versions)
    major = next((int(match.group(1)) for match in matches if match), None)
    for finding in lint(netlist, major):
        say(f"{'error' if finding.serious else 'note'}: {finding.message}")

    largest = 0.0
    for answers in zip(*(simulate(one, netlist) for one in used), strict=True):
        analysis = answers[0][0]
        say("")
        say(analysis.line().splitlines()[-1] if not isinstance(analysis, OperatingPoint) else ".op")
        largest = max(largest, _show(analysis, [dataset for _, dataset in answers], versions, say))
    if compare:
        say(f"\nlargest difference: {largest:.3g} V")
    return largest


def _show(
    analysis: Analysis, answers: "list[xr.Dataset]", versions: list[str], say: Callable[[str], None]
) -> float:
    """Print the answers to one analysis side by side, at its last point.

    **Arguments:**

    - `analysis`: of which they are.
    - `answers`: the datasets, one of each simulator.
    - `versions`: of the simulators, for the heading.
    - `say`: prints a line.

    **Returns** the largest difference over all points, in V.
    """
    quantity = "deviation" if isinstance(analysis, Noise) else "voltage"
    nodes = [node for node in analysis.nodes if node in answers[0].node.values]
    values = [_table(answer, quantity, nodes, answers[0]) for answer in answers]
    for answer in answers:
        wrong = (
            [status for status in answer.status.values.tolist() if status != "ok"]
            if "status" in answer
            else []
        )
        if wrong:
            say(
                f"{answer.attrs['simulator']}: {len(wrong)} points are not certified: "
                f"{', '.join(sorted(set(wrong)))}"
            )

    compared = len(values) > 1
    heading = "".join(f"{version[:22]:>24}" for version in versions)
    say(f"{'node':<16}{heading}" + (f"{'difference':>14}" if compared else ""))
    for k, node in enumerate(nodes):
        row = "".join(f"{value[-1, k]:>24.15g}" for value in values)
        if compared:
            row += f"{abs(values[0][-1, k] - values[1][-1, k]):>14.3g}"
        say(f"{node:<16}{row}")
    if not compared or not nodes:
        return 0.0
    return float(np.max(np.abs(values[0] - values[1])))


def _table(answer: "xr.Dataset", quantity: str, nodes: list[str], like: "xr.Dataset") -> np.ndarray:
    """Return values (points, nodes) of one answer, for a transient at the times of `like`."""
    values = answer[quantity].sel(node=nodes)
    if "time" not in values.dims:
        return np.atleast_2d(values.values)
    columns = [
        np.interp(like.time.values, answer.time.values, values.sel(node=node).values)
        for node in nodes
    ]
    return np.stack(columns, axis=1)
