"""Schematics of small circuits: every node a rail, ground the lowest, every element between two rails in a column of its own."""

import importlib.util
from collections import Counter
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from ..elements.base import GROUND, Element
from ..elements.diodes import Diode
from ..elements.passive import Capacitor, ConductanceMatrix, Inductor, Resistor
from ..elements.sources import (
    Behavioural,
    CurrentGain,
    CurrentSource,
    Transconductance,
    Transresistance,
    VoltageGain,
    VoltageSource,
)
from ..elements.transistors import Mosfet
from ..units import quantity
from .contract import Circuit
from .lint import lint

if TYPE_CHECKING:
    import schemdraw

RAIL, COLUMN = 3.0, 2.6
"""The distances of rails and of columns, in units of which a symbol is 1 long."""
INCHES = 0.5
"""What a unit is long where a drawing is as large as it likes; letters shrink with it on axes that are smaller."""


def schematic(netlist: Circuit, canvas: Any = "svg") -> "schemdraw.Drawing":
    """The schematic of a netlist, by schemdraw: `.save("circuit.svg")`; a notebook shows it.

    **Arguments:** `canvas`: axes of matplotlib, to draw there.

    Lines cross without touching unless there is a dot. Matrices of conductances are drawn as the resistors that they stand for,
    transistors as boxes between drain and source. What a controlled source or a transistor is controlled by stands in its label.
    """
    import schemdraw
    from schemdraw import elements as symbols

    parts = [part for element in netlist.elements for part in _parts(element)]
    nodes = [*netlist.nodes, *([GROUND] if any(GROUND in _ends(part) for part in parts) else [])]
    height = {node: -RAIL * k for k, node in enumerate(nodes)}
    reach = {
        node: [COLUMN * k for k, part in enumerate(parts) if node in _ends(part)] for node in nodes
    }
    wide, high = COLUMN * len(parts) + 2.0, RAIL * len(nodes)
    inches = (
        INCHES if canvas == "svg" else min(*canvas.figure.get_size_inches() / (wide, high), INCHES)
    )
    drawing = schemdraw.Drawing(show=False, canvas=canvas, fontsize=11 * inches / INCHES, lw=1.2)
    for node in nodes:
        first, last = min(reach[node], default=0.0), max(reach[node], default=0.0)
        drawing += (
            symbols.Line()
            .endpoints((first - 1.0, height[node]), (last, height[node]))
            .label(node, loc="left")
        )
    if GROUND in height:
        drawing += symbols.Ground().at((min(reach[GROUND]) - 1.0, height[GROUND]))
    for column, part in enumerate(parts):
        _draw(drawing, part, COLUMN * column, height)
    if canvas != "svg":
        drawing.draw(show=False)
        box = drawing.get_bbox()
        canvas.set(
            xlim=(box.xmin - 0.5, box.xmax + 0.5),
            ylim=(box.ymin - 0.5, box.ymax + 0.5),
            aspect="equal",
        )
        canvas.axis("off")
    return drawing


def _draw(drawing: Any, part: Element, x: float, height: dict[str, float]) -> None:
    """One element below the higher of its nodes, and a line from there to the other."""
    from schemdraw import elements as symbols

    plus, minus = _ends(part)
    ends = sorted((plus, minus), key=lambda node: -height[node])
    top, bottom = ((x, height[node]) for node in ends)
    if plus == minus:
        bottom = (x, top[1] - RAIL / 2)
    middle = (x, top[1] - RAIL)
    kind, label, turned = _symbol(part)
    downwards = (plus == ends[0]) != turned
    start, end = (top, max(bottom, middle)) if downwards else (max(bottom, middle), top)
    drawing += getattr(symbols, kind)().endpoints(start, end).label(label, loc="bottom", ofst=0.1)
    if bottom < middle:
        drawing += symbols.Line().endpoints(middle, bottom)
    for node in {plus, minus}:
        drawing += symbols.Dot().at((x, height[node]))


def _ends(part: Element) -> tuple[str, ...]:
    """The two nodes between which it is drawn."""
    return (part.drain, part.source) if isinstance(part, Mosfet) else part.nodes[:2]


def _symbol(part: Element) -> tuple[str, str, bool]:
    """The symbol's name, its label, and whether it is drawn from the element's second node to its first."""
    symbol, says, turned = _SYMBOLS[type(part)]
    if isinstance(part, Behavioural) and part.output == "v":
        symbol, turned = "SourceControlledV", True
    return symbol, f"{part.letter}{part.name}\n{says(part)}", turned


def _across(part: Any) -> str:
    return (
        f"v({part.control_plus})"
        if part.control_minus == GROUND
        else f"v({part.control_plus}, {part.control_minus})"
    )


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"


def _parts(element: Element) -> list[Element]:
    """The element, or the resistors of a matrix."""
    if not isinstance(element, ConductanceMatrix):
        return [element]
    return [
        Resistor(
            f"{element.name}_{row}_{column}", row, column, siemens=float(element.siemens[i, j])
        )
        for i, row in enumerate(element.rows)
        for j, column in enumerate(element.columns)
        if element.siemens[i, j] > 0
    ]


_SYMBOLS: dict[type, tuple[str, Callable[[Any], str], bool]] = {
    Resistor: ("Resistor", lambda part: quantity(1 / part.siemens, "Ω"), False),
    Capacitor: ("Capacitor", lambda part: quantity(part.farads, "F"), False),
    Inductor: ("Inductor2", lambda part: quantity(part.henries, "H"), False),
    Diode: ("Diode", lambda part: part.model.name, False),
    Mosfet: ("RBox", lambda part: f"{part.model.name}\ngate {part.gate}", False),
    VoltageSource: ("SourceV", lambda part: quantity(part.volts, "V"), True),
    CurrentSource: ("SourceI", lambda part: quantity(part.amperes, "A"), False),
    VoltageGain: ("SourceControlledV", lambda part: f"{part.gain:g}·{_across(part)}", True),
    Transresistance: (
        "SourceControlledV",
        lambda part: f"{quantity(part.ohms, 'Ω')}·i({part.source})",
        True,
    ),
    CurrentGain: ("SourceControlledI", lambda part: f"{part.gain:g}·i({part.source})", False),
    Transconductance: (
        "SourceControlledI",
        lambda part: f"{quantity(part.siemens, 'S')}·{_across(part)}",
        False,
    ),
    Behavioural: ("SourceControlledI", lambda part: _short(str(part.expression)), False),
}


def html(netlist: Circuit) -> str:
    """What a notebook shows: the schematic of a circuit of at most `DRAWN` elements, where schemdraw is there; a summary; the deck."""
    kinds = Counter(dict.fromkeys(_WORDS.values(), 0))
    for element in netlist.elements:
        count = int((element.siemens > 0).sum()) if isinstance(element, ConductanceMatrix) else 1
        kinds[_WORDS[type(element)]] += count
    said = ", ".join(
        f"{count} {word if count == 1 else _PLURALS.get(word, word + 's')}"
        for word, count in kinds.items()
        if count
    )
    lines = [f"<b>{escape(netlist.title)}</b>: {len(netlist.nodes)} nodes; {escape(said)}"]
    lines += [
        f"{'Error' if finding.serious else 'Note'}: {escape(finding.message)}"
        for finding in lint(netlist)
    ]
    drawing = ""
    if sum(kinds.values()) <= DRAWN and importlib.util.find_spec("schemdraw") is not None:
        drawing = schematic(netlist).get_imagedata("svg").decode()
        drawing = drawing[drawing.index("<svg") :]
    deck = escape("\n".join(netlist.spice().splitlines()[:200]))
    return f"<div>{'<br>'.join(lines)}</div>{drawing}<details><summary>deck</summary><pre>{deck}</pre></details>"


DRAWN = 30
_WORDS = {
    Resistor: "resistor",
    ConductanceMatrix: "resistor",
    Capacitor: "capacitor",
    Inductor: "inductor",
    Diode: "diode",
    Mosfet: "transistor",
    VoltageSource: "voltage source",
    CurrentSource: "current source",
    VoltageGain: "controlled source",
    Transresistance: "controlled source",
    CurrentGain: "controlled source",
    Transconductance: "controlled source",
    Behavioural: "source by expression",
}
_PLURALS = {"source by expression": "sources by expression"}
