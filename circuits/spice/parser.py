"""From a deck's text to a `Netlist`."""

import contextlib
import gc
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from eqprop.files import read_bytes

from ..elements.base import GROUND, Element
from ..netlist.netlist import Netlist
from .analysis_lines import Analyses
from .cards import Setting
from .control_blocks import without_control
from .control_lines import option_words, settings
from .expansion import Expansion
from .includes import DeckLines
from .lexer import DeckError, logical_lines, refuse_commands
from .limits import MOST_BYTES, MOST_NOTES, Budget


def read(
    path: str | Path,
    *,
    trusted: bool = False,
    control: str = "refuse",
    elements: Sequence[type[Element]] = (),
) -> Netlist:
    """Read the netlist in the deck at `path`.

    **Arguments:**

    - `path`: of a regular file.
    - `trusted`: whether `.include` and `.lib` are followed, to files in its folder or below alone.
    - `control`, `elements`: as of `parse`.

    **Returns** and **raises** as `parse`; besides, raises `OSError` where the file cannot be read,
    is no regular file, or is larger than 256 MiB.
    """
    path = Path(path)
    text = read_bytes(path, most=MOST_BYTES).decode("utf-8", errors="replace")
    return parse(
        text,
        trusted=trusted,
        folder=path.parent,
        file=path.name,
        control=control,
        elements=elements,
    )


def parse(
    text: str,
    *,
    trusted: bool = False,
    folder: str | Path | None = None,
    file: str = "",
    control: str = "refuse",
    elements: Sequence[type[Element]] = (),
) -> Netlist:
    """Return the netlist that the text of a SPICE deck describes.

    What is understood, what is left out with a warning and what is refused stands on the page about
    decks, which is written from the reader's tables (`circuits.spice.reference`).

    Subcircuits are expanded: `R1` of instance `Xa` becomes `Ra.1`, its inner node `n` becomes
    `xa.n`. The first line is the title; comments right under it are the header; other comments are
    dropped. Expressions mean what ngspice makes of them. `parse(n.spice()) == n`.

    **Arguments:**

    - `text`: of the deck.
    - `trusted`: whether `.include` and `.lib` are followed, to files in `folder` or below it alone.
    - `folder`: of the deck.
    - `file`: its name, for messages.
    - `control`: what becomes of `.control` blocks, which are never run: "refuse", or "skip" to read
      their plain analyses as dot lines and leave out the rest.
    - `elements`: classes of elements of one's own: an X line whose last word is the class's
      `subcircuit` makes one, its nodes in the order of the class's fields, its numbers by name.

    **Raises** `DeckError`, with line and column, for all that is not understood, for what ngspice
    would run as a command, and for a deck that costs too much to read (`circuits.spice.limits`).
    Nothing of the text is ever given to a simulator but through the elements that it describes.
    **Warns** of what is left out because it changes no voltage, or read in another way than it is
    written, with the line; and of a title that reads as an element, as where a deck has none.
    """
    if not isinstance(text, str):
        raise ValueError(f"`text` must be the text of a deck, but is a {type(text).__name__}")
    if control not in ("refuse", "skip"):
        raise ValueError(f"`control` must be 'refuse' or 'skip', but is {control!r}")
    first, _, rest = text.replace("\r\n", "\n").partition("\n")
    refuse_commands(first, 1, file)
    title = re.sub(r"^[^A-Za-z0-9]+|[^\x20-\x7e]|`", "", first).rstrip("\\ ").strip()
    deck = DeckLines(Budget(), None if folder is None else Path(folder), trusted=trusted)
    with _without_collection():
        if control == "skip":
            rest, deck.notes = without_control(rest, 2, file)
        deck.budget.spend(rest.count("\n"), 0, lambda message: DeckError(message, 1, 1, file))
        deck.collect(logical_lines(rest, file, 2))
        netlist = _netlist(deck, title or "Deck", _header(rest), file, elements)
    for note in _shortened(deck.notes):
        warnings.warn(note, stacklevel=2)
    if _is_element(first):
        warnings.warn(
            "line 1 is the title of a deck, but reads as an element, which is left out: "
            f"{first[:200]!r}",
            stacklevel=2,
        )
    return netlist


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for cycles of garbage: a deck has many records, and none is in a cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _netlist(
    deck: DeckLines,
    title: str,
    header: tuple[str, ...],
    file: str,
    kinds: Sequence[type[Element]],
) -> Netlist:
    """Return the netlist of a deck's lines."""
    options, global_nodes, setting = settings(deck.dots)
    expansion = Expansion(deck, global_nodes, setting, kinds)
    _note_transient(deck, expansion, setting)
    expansion.run()
    deck.parameters.check()

    root = expansion.root
    cards = [expansion.card(line, root) for line in deck.dots]
    analyses = Analyses(
        _nodes(expansion.elements), expansion.names, lambda name: expansion.node(name, root)
    ).read(cards)
    deck.notes += setting.notes

    words = option_words(options)
    try:
        return Netlist(title, tuple(expansion.elements), header, analyses, words, setting.kelvin)
    except ValueError as error:
        raise DeckError(str(error), 1, 1, file) from error


def _note_transient(deck: DeckLines, expansion: Expansion, setting: Setting) -> None:
    """Note the step and the end of the deck's first transient, which pulses may stand on."""
    line = next((line for line in deck.dots if line.word == ".tran"), None)
    if line is not None:
        card = expansion.card(line, expansion.root)
        card.take("a dot line")
        setting.step, setting.stop = card.value("a step"), card.value("an end")


def _shortened(notes: list[str]) -> list[str]:
    """Return the first of many notes, and how many more there are."""
    more = len(notes) - MOST_NOTES
    return notes if more <= 0 else [*notes[:MOST_NOTES], f"and {more} more lines of that kind"]


def _nodes(elements: list[Element]) -> tuple[str, ...]:
    """Return all nodes but ground, in the order in which they appear."""
    nodes = dict.fromkeys(node for element in elements for node in element.nodes)
    nodes.pop(GROUND, None)
    return tuple(nodes)


def _is_element(line: str) -> bool:
    """Tell whether a line is an element that needs nothing else of its deck."""
    deck = DeckLines(Budget(), None, trusted=False)
    expansion = Expansion(deck, set(), Setting())
    with contextlib.suppress(DeckError):
        deck.collect(logical_lines(line))
        expansion.run()
    return bool(expansion.elements)


def _header(rest: str) -> tuple[str, ...]:
    """Return the comments at the beginning of a text as plain lines without marks."""
    header = []
    at = 0
    while rest.startswith("*", at):
        end = rest.find("\n", at)
        line = rest[at + 1 : end if end >= 0 else len(rest)]
        content = re.sub(r"[^\x20-\x7e]|`", "", line).strip().lstrip("#").rstrip("\\").strip()
        if content:
            header.append(content)
        if end < 0:
            break
        at = end + 1
    return tuple(header)
