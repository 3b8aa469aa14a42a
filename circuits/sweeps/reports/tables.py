"""Tables of HTML whose rows a reader may sort."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ...plotting.measures import said

ROWS = 2000
"""A table shows no more."""


@dataclass(frozen=True)
class Cell:
    """What a cell shows, as HTML, and the number or the text by which rows are sorted; "" where it is not known."""

    html: str
    value: float | str


def cell(value: Any) -> Cell:
    """The cell of a number, a word or a boolean."""
    return Cell(
        escape(said(value)),
        value if isinstance(value, int | float) and not isinstance(value, bool) else str(value),
    )


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table in a box of its own that scrolls, with a button in each head; of very many rows the first."""
    words = [
        any(isinstance(row[column].value, str) and row[column].value for row in rows)
        for column in range(len(heads))
    ]
    kinds = [' class="word"' if word else "" for word in words]
    head = "".join(
        f'<th scope="col"{kind}><button>{escape(text)}</button></th>'
        for text, kind in zip(heads, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(map(_written, row, kinds))}</tr>" for row in rows[:ROWS])
    more = f"<p>The first {ROWS} of {len(rows)} rows.</p>" if len(rows) > ROWS else ""
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
    return f"{more}{box}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"


def _written(one: Cell, kind: str) -> str:
    return f'<td{kind} data-value="{escape(str(one.value))}">{one.html}</td>'
