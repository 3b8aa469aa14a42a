"""Blocks of commands in a deck, which are never run."""

import re

from .lexer import DeckError

_ANALYSIS = re.compile(r"(?:op|dc|tran|ac|noise)(?:\s[\w.()=+\-, \t]*)?", re.IGNORECASE)


def without_control(text: str, first: int, file: str) -> tuple[str, list[str]]:
    """Return a text whose `.control` blocks are replaced by the analyses that they ask for.

    **Arguments:**

    - `text`: of a deck, without its title.
    - `first`: the number of its first line. `file`: its name, for messages.

    **Returns** a text of as many lines, in which `op`, `dc`, `tran`, `ac` and `noise` of a block
    have become dot lines and all else of it is empty; and what is to be said of each block.

    **Raises** `DeckError` for a block without an end.
    """
    lines, notes = text.split("\n"), []
    start: int | None = None
    left_out = 0
    for k, line in enumerate(lines):
        word = line.strip().lower()
        if start is None and word != ".control":
            continue
        lines[k] = ""
        if start is None:
            start, left_out = k, 0
        elif word == ".endc":
            notes.append(
                f"{file + ', ' if file else ''}line {first + start}: commands are not run: the "
                f"analyses of this .control block are read as dot lines, {left_out} other lines "
                "are left out"
            )
            start = None
        elif _ANALYSIS.fullmatch(word):
            lines[k] = f".{line.strip()}"
        elif word:
            left_out += 1
    if start is not None:
        raise DeckError("this .control block must end with .endc", first + start, 1, file)
    return "\n".join(lines), notes
