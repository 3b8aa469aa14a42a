"""Schematics of small circuits.

Every node is a rail, ground the lowest, and every element stands between two rails in a column of
its own.
"""

import importlib.util
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from ..elements.base import GROUND, Element
from .contract import Circuit
from .lint import lint

if TYPE_CHECKING:
    import schemdraw

RAIL, COLUMN = 3.0, 2.6
"""The distances of rails and of columns, in units of which a symbol is 1 long."""
INCHES = 0.5
"""What a unit is long where a drawing is as large as it likes; letters shrink with it on axes that
are smaller."""
DRAWN = 30
"""Circuits of up to so many elements are drawn in notebooks."""


def schematic(netlist: Circuit, canvas: Any = "svg") -> "schemdraw.Drawing":
    """Return the schematic of a netlist, by schemdraw; a notebook shows it.

    Lines cross without touching unless there is a dot. Matrices of conductances are drawn as the
    resistors that they stand for, transistors as boxes between drain and source. What a controlled
    source or a transistor is controlled by stands in its label.

    **Arguments:** `netlist`: a circuit of some dozen elements. `canvas`: axes of matplotlib, to
    draw there; otherwise an SVG.

    **Returns** the drawing: `.save("circuit.svg")`.
    """
    import schemdraw
    from schemdraw import elements as symbols

    parts = [part for element in netlist.elements for part in element.parts()]
    nodes = [*netlist.nodes, *([GROUND] if any(GROUND in part.ends for part in parts) else [])]
    height = {node: -RAIL * k for k, node in enumerate(nodes)}
    reach = {
        node: [COLUMN * k for k, part in enumerate(parts) if node in part.ends] for node in nodes
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
    """Draw one element below the higher of its nodes, and a line from there to the other."""
    from schemdraw import elements as symbols

    plus, minus = part.ends
    ends = sorted((plus, minus), key=lambda node: -height[node])
    top, bottom = ((x, height[node]) for node in ends)
    if plus == minus:
        bottom = (x, top[1] - RAIL / 2)
    middle = (x, top[1] - RAIL)
    downwards = (plus == ends[0]) != part.symbol.turned
    start, end = (top, max(bottom, middle)) if downwards else (max(bottom, middle), top)
    symbol = getattr(symbols, part.symbol.name)().endpoints(start, end)
    drawing += symbol.label(f"{part.key}\n{part.label()}".strip(), loc="bottom", ofst=0.1)
    if bottom < middle:
        drawing += symbols.Line().endpoints(middle, bottom)
    for node in {plus, minus}:
        drawing += symbols.Dot().at((x, height[node]))


def html(netlist: Circuit) -> str:
    """Return what a notebook shows of a circuit.

    A summary; its schematic, where it has at most `DRAWN` elements and schemdraw is there; the
    deck.
    """
    counts: Counter[str] = Counter()
    for element in netlist.elements:
        counts[element.word] += element.count
    words = (f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items() if count)
    lines = [
        f"<b>{escape(netlist.title)}</b>: {len(netlist.nodes)} nodes; {escape(', '.join(words))}"
    ]
    for finding in lint(netlist):
        lines.append(f"{'Error' if finding.serious else 'Note'}: {escape(finding.message)}")

    drawing = ""
    if counts.total() <= DRAWN and importlib.util.find_spec("schemdraw") is not None:
        drawing = schematic(netlist).get_imagedata("svg").decode()
        drawing = drawing[drawing.index("<svg") :]
    deck = escape("\n".join(netlist.spice().splitlines()[:200]))
    details = f"<details><summary>deck</summary><pre>{deck}</pre></details>"
    return f"<div>{'<br>'.join(lines)}</div>{drawing}{details}"
