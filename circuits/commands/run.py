"""The command `circuits run`: lint a deck, simulate it, and compare simulators."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqprop.files import write_text

from ..netlist.analyses import Analysis, Noise, OperatingPoint
from ..netlist.lint import lint
from ..netlist.netlist import Netlist
from ..simulators import Ngspice, Simulator
from ..spice.parser import read
from .analyses import Table, output_name, simulate

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


def run(
    deck: str | Path,
    name: str,
    say: Callable[[str], None],
    *,
    compare: bool = False,
    trusted: bool = False,
    control: str = "refuse",
    output: str | Path | None = None,
) -> float:
    """Simulate a deck and print its voltages, currents and powers.

    With `compare`, by both simulators and by ngspice alone, side by side: what it makes of the
    netlist's own text, without what this toolkit adds.

    **Arguments:**

    - `deck`: the path of the file.
    - `name`: of the simulator, one of `SIMULATORS`; not used with `compare`.
    - `say`: prints a line.
    - `compare`: whether to ask all of them.
    - `trusted`: whether to follow `.include` and `.lib` within the deck's folder.
    - `control`: what becomes of `.control` blocks, as of `parse`.
    - `output`: of a JSON file, to which all values of the first simulator are written: a list with
      an object for each analysis, of its `line`, its `axis` (`name` and `values`, or null) and its
      `values` by ngspice's names.

    **Returns** the largest difference between the simulators in V, 0 without `compare`.

    **Raises** `DeckError`, `NetlistError`, `SimulationError` and `OSError`.
    """
    netlist = read(deck, trusted=trusted, control=control)
    used = [simulator(one) for one in (SIMULATORS if compare else (name,))]
    versions = [one.version() for one in used]
    size = f"{len(netlist.elements)} elements, {len(netlist.nodes)} nodes"
    say(f"{netlist.title}: {size}; {', '.join(versions)}")

    matches = (re.match(r"ngspice-(\d+)", version) for version in versions)
    major = next((int(match.group(1)) for match in matches if match), None)
    for finding in lint(netlist, major):
        say(f"{'error' if finding.serious else 'note'}: {finding.message}")

    largest, objects = 0.0, []
    for answers in zip(*(simulate(one, netlist) for one in used), strict=True):
        analysis, datasets = answers[0][0], [dataset for _, dataset in answers]
        tables = [Table.of(netlist, analysis, dataset) for dataset in datasets]
        objects.append(tables[0].json(_line(analysis)))
        say(f"\n{_line(analysis)}")
        _say_uncertified(datasets, say)
        headings = list(versions)
        if compare and not isinstance(analysis, Noise):
            tables.append(Table.of_plot(Ngspice().plain(netlist, analysis)))
            headings.append("its own deck")
        largest = max(largest, _show(netlist, analysis, tables, headings, say))
    if compare:
        say(f"\nlargest difference: {largest:.3g} V")
    if output is not None:
        write_text(output, json.dumps(objects, indent=1) + "\n")
    return largest


def _line(analysis: Analysis) -> str:
    """Return the line of an analysis, without what stands before it."""
    return ".op" if isinstance(analysis, OperatingPoint) else analysis.line().splitlines()[-1]


def _say_uncertified(answers: "list[xr.Dataset]", say: Callable[[str], None]) -> None:
    """Say of each answer how many of its points are not certified, if any."""
    for answer in answers:
        status = answer.status.values.tolist() if "status" in answer else []
        wrong = [one for one in status if one != "ok"]
        if wrong:
            say(
                f"{answer.attrs['simulator']}: {len(wrong)} points are not certified: "
                f"{', '.join(sorted(set(wrong)))}"
            )


def _show(
    netlist: Netlist,
    analysis: Analysis,
    tables: Sequence[Table],
    headings: Sequence[str],
    say: Callable[[str], None],
) -> float:
    """Print the answers to one analysis side by side, at its last point.

    **Arguments:**

    - `netlist`, `analysis`: of which they are.
    - `tables`: the answers. `headings`: whose they are.
    - `say`: prints a line.

    **Returns** the largest difference between voltages over all points, in V.
    """
    if isinstance(analysis, Noise):
        rows = {analysis.nodes[0]: "onoise_total"}
    else:
        rows = {node: f"v({node})" for node in analysis.nodes}
    largest = _side_by_side("node", rows, tables, headings, say)
    names = [part.key for element in netlist.elements for part in element.parts()]
    for quantity, mark in (("current, A", "i"), ("power, W", "p")):
        outputs = {name: output_name(name, mark) for name in names}
        rows = {name: key for name, key in outputs.items() if key in tables[0].values}
        if rows:
            _side_by_side(quantity, rows, tables, headings, say)
    return largest


def _side_by_side(
    quantity: str,
    rows: dict[str, str],
    tables: Sequence[Table],
    headings: Sequence[str],
    say: Callable[[str], None],
) -> float:
    """Print a row for each name, of what tables have under its key; return the largest difference.

    Where a table lacks a key nothing stands there, and there is nothing to compare.
    """
    compared, largest = len(tables) > 1, 0.0
    heading = "".join(f"{one[:22]:>24}" for one in headings)
    say(f"{quantity:<16}{heading}" + (f"{'difference':>14}" if compared else ""))
    for name, key in rows.items():
        columns = list(_at_one_axis(tables, key))
        row = "".join(f"{_shown(column):>24}" for column in columns)
        known = [column for column in columns if column is not None]
        if compared:
            row += f"{max(abs(column[-1] - known[0][-1]) for column in known):>14.3g}"
            apart = [np.max(np.abs(column - known[0])) for column in known]
            largest = max(largest, float(np.max(apart)))
        say(f"{name:<16}{row}")
    return largest


def _shown(column: np.ndarray | None) -> str:
    """Return the last value of a column as text, empty where there is none."""
    return "" if column is None else f"{column[-1]:.15g}"


def _at_one_axis(tables: Sequence[Table], key: str) -> Iterator[np.ndarray | None]:
    """Yield what each table has under a key, in time at the times of the first."""
    first = tables[0].axis
    for table in tables:
        column: Any = table.values.get(key)
        if column is not None and first is not None and table.axis is not None:
            if len(column) == 1:
                column = np.broadcast_to(column, len(first[1]))
            elif first[0] == "time":
                column = np.interp(first[1], table.axis[1], column)
        yield column
