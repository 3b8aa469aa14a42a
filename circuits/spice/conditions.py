"""Lines of a deck that count where a condition holds: `.if`, `.elseif`, `.else` and `.endif`."""

from collections.abc import Sequence

from .arithmetic import Parameters, expression
from .includes import CONDITIONS
from .lexer import Line, PlainRun


def chosen_lines(
    lines: Sequence[Line | PlainRun], parameters: Parameters
) -> Sequence[Line | PlainRun]:
    """Return the lines that count, without those that say which ones do.

    **Arguments:** `lines`: of a deck or of a subcircuit. `parameters`: of its scope.

    **Raises** `DeckError` for a condition that does not end, one that stands where none is open,
    and one that is no number.
    """
    if not any(isinstance(line, Line) and line.word in CONDITIONS for line in lines):
        return lines
    chosen: list[Line | PlainRun] = []
    open_ones: list[_Condition] = []
    for line in lines:
        word = line.word if isinstance(line, Line) else ""
        if isinstance(line, Line) and word == ".if":
            counts = all(one.holds for one in open_ones)
            open_ones.append(_Condition(line, counts))
            open_ones[-1].decide(line, parameters)
        elif isinstance(line, Line) and word in CONDITIONS:
            if not open_ones:
                raise line.error(f"{word} must follow .if, but none is open")
            if word == ".endif":
                open_ones.pop()
            else:
                open_ones[-1].decide(line, parameters)
        elif all(one.holds for one in open_ones):
            chosen.append(line)
    if open_ones:
        raise open_ones[-1].line.error("this .if must end with .endif")
    return chosen


class _Condition:
    """An `.if` that is open: whether the lines that follow count."""

    def __init__(self, line: Line, counts: bool):
        self.line, self.counts = line, counts
        self.holds = self.decided = False

    def decide(self, line: Line, parameters: Parameters) -> None:
        """Decide what a line of the condition says of those that follow it."""
        start = len(line.text.split(None, 1)[0])
        self.holds = False
        if not self.counts or self.decided:
            return
        if line.word == ".else":
            self.holds = self.decided = True
            return
        value = expression(line, start, len(line.text), parameters, constant=True)
        self.holds = self.decided = bool(value.value)  # pyright: ignore  # a constant, as asked for
