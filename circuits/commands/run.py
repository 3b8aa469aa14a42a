"""What `circuits run` does: reads a deck, says what is wrong with it, simulates it, and compares two simulators' answers."""

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
from ..spice.parser import read

if TYPE_CHECKING:
    import xarray as xr

SIMULATORS = ("ngspice", "nodal")


def simulator(name: str) -> Simulator:
    """A simulator by its name, one of `SIMULATORS`."""
    if name == "ngspice":
        return Ngspice()
    from ..simulators.nodal import Nodal

    return Nodal()


def simulate(chosen: Simulator, netlist: Netlist) -> Iterator[tuple[Analysis, "xr.Dataset"]]:
    """Every analysis of a netlist with its dataset; the operating point where it has none. Raises as the simulator does."""
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
    """The operating point that a transient starts from, its sources being what their waveforms are at time 0.

    Raises `SimulationError` where it is not certified, and for inductors, whose currents a start does not tell.
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
    found = chosen.operating_points(netlist.with_elements(*first))
    if found.status.values != ["ok"]:
        raise SimulationError(
            f"the operating point that a transient starts from must be certified, but is {found.status.item()}"
        )
    return dict(zip(found.node.values.tolist(), found.voltage.values[0].tolist(), strict=True))


def run(
    deck: str | Path,
    name: str,
    say: Callable[[str], None],
    *,
    compare: bool = False,
    trusted: bool = False,
) -> float:
    """Simulates the deck at a path and says what was found; with `compare`, by both simulators.

    Returns the largest difference between their answers in V, 0 without `compare`. Raises `DeckError`, `NetlistError`,
    `SimulationError` and `OSError`.
    """
    netlist = read(deck, trusted=trusted)
    used = [simulator(one) for one in (SIMULATORS if compare else (name,))]
    versions = [one.version() for one in used]
    major = next(
        (
            int(found.group(1))
            for version in versions
            if (found := re.match(r"ngspice-(\d+)", version))
        ),
        None,
    )
    say(
        f"{netlist.title}: {len(netlist.elements)} elements, {len(netlist.nodes)} nodes; {', '.join(versions)}"
    )
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
    """Says the answers to one analysis side by side, at its last point, and returns the largest difference over all."""
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
                f"{answer.attrs['simulator']}: {len(wrong)} points are not certified: {', '.join(sorted(set(wrong)))}"
            )
    heading = "".join(f"{version[:22]:>24}" for version in versions)
    say(f"{'node':<16}{heading}" + (f"{'difference':>14}" if len(values) > 1 else ""))
    for k, node in enumerate(nodes):
        row = "".join(f"{value[-1, k]:>24.15g}" for value in values)
        say(
            f"{node:<16}{row}"
            + (f"{abs(values[0][-1, k] - values[1][-1, k]):>14.3g}" if len(values) > 1 else "")
        )
    if len(values) == 1 or not nodes:
        return 0.0
    return float(np.max(np.abs(values[0] - values[1])))


def _table(answer: "xr.Dataset", quantity: str, nodes: list[str], like: "xr.Dataset") -> np.ndarray:
    """The values (points, nodes), at the times of `like`."""
    found = answer[quantity].sel(node=nodes)
    if "time" in found.dims:
        times = like.time.values
        return np.stack(
            [np.interp(times, answer.time.values, found.sel(node=node).values) for node in nodes],
            axis=1,
        )
    return np.atleast_2d(found.values)
