"""Tables of HTML whose rows a reader may sort."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ...plotting.measures import value_text

MAX_ROWS = 2000
"""How many rows a table shows."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    **Arguments:**

    - `html`: what it shows, as HTML.
    - `value`: the number or the text by which rows are sorted; "" where it is not known.
    """

    html: str
    value: float | str


def cell(value: Any) -> Cell:
    """Return the cell of a number, a word or a boolean.

    **Arguments:**

    - `value`: the number, the word or the boolean, which is escaped.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(escape(value_text(value)), value if is_number else str(value))


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return the HTML of a table in a box that scrolls, with a button in each head.

    **Arguments:**

    - `name`: what it is called for those who do not see it.
    - `heads`: the name of each column.
    - `rows`: a cell for each column; of very many rows the first `MAX_ROWS` are shown.
    """
    shown = rows[:MAX_ROWS]
    has_words = [
        any(isinstance(row[column].value, str) and row[column].value for row in shown)
        for column in range(len(heads))
    ]
    kinds = [' class="word"' if words else "" for words in has_words]
    head = "".join(
        f'<th scope="col"{kind}><button>{escape(text)}</button></th>'
        for text, kind in zip(heads, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(map(_cell_html, row, kinds))}</tr>" for row in shown)
    more = f"<p>The first {MAX_ROWS} of {len(rows)} rows.</p>" if len(rows) > MAX_ROWS else ""
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
    return (
        f"{more}{box}<table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell_html(one: Cell, kind: str) -> str:
    return f'<td{kind} data-value="{escape(str(one.value))}">{one.html}</td>'
