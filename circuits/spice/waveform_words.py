"""The waveforms of independent sources, with what SPICE takes for values that are not given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..elements.waveforms import Am, Exp, Pulse, Pwl, Sffm, Sin, Waveform
from .cards import Card

FRACTION = 1e-3
"""What part of its period the edge of a pulse lasts that has no length, in a deck without a time
step."""


@dataclass(frozen=True)
class Shape:
    """A waveform by its word: how its values are written, and what is made of them.

    `least`, `most`: how many values there may be. `read`: makes the waveform of them.
    """

    form: str
    meaning: str
    least: int
    most: int
    read: Callable[[Card, list[float]], Waveform]


def waveform(card: Card) -> Waveform:
    """Take a waveform: a word and its values, which may stand in brackets.

    **Raises** `DeckError` for numbers of values that it cannot have; `ValueError` for values.
    """
    token = card.take("a waveform")
    name = token.text.lower()
    bracket = card.accept("(")
    values, pairs = [], {}
    while card.more() and card.peek() != ")":
        if name == "pwl" and card.peek() in ("r", "td"):
            pairs |= _pair(card)
        elif card.peek() == "," or card.has_value():
            if not card.accept(","):
                values.append(card.value("a value"))
        else:
            break
    if bracket and not card.accept(")"):
        raise card.error("')' must follow the values of a waveform")
    while name == "pwl" and card.peek() in ("r", "td"):
        pairs |= _pair(card)

    shape = WAVEFORMS[name]
    if name == "pwl" and len(values) % 2:
        raise card.error("pwl must have pairs of a time and a value", token)
    if not shape.least <= len(values) <= shape.most:
        raise card.error(
            f"{name} must have {shape.least} to {shape.most} values, but has {len(values)}", token
        )
    return _lines(card, values, pairs) if name == "pwl" else shape.read(card, values)


def _pair(card: Card) -> dict[str, float]:
    """Take `r=…` or `td=…`."""
    name = card.take("a name").text.lower()
    if not card.accept("="):
        raise card.error("'=' must follow")
    return {name: card.value(f"the value of {name}")}


def _lines(card: Card, points: list[float], pairs: Mapping[str, float]) -> Pwl:
    """Return straight lines between points; two at one time are a step, a billionth of all long."""
    times, values = points[0::2], points[1::2]
    edge = 1e-9 * (card.setting.stop or times[-1])
    steps = [k for k in range(1, len(times)) if times[k] == times[k - 1]]
    for k in steps:
        times[k] += edge
    if steps:
        card.note(f"a step of pwl at one time lasts {edge:g} s")
    repeat = pairs.get("r")
    if repeat is not None and repeat < 0:  # as in ngspice: once
        repeat = None
    return Pwl(tuple(times), tuple(values), repeat, pairs.get("td", 0.0))


def _pulse(card: Card, values: list[float]) -> Pulse:
    """Return a pulse; edges that are 0 or not given last a step, width and period the transient."""
    low, high, *rest = values
    delay, rise, fall, width, period, count = [*rest, *[0.0] * (6 - len(rest))]
    step, stop = card.setting.step, card.setting.stop
    if stop is None and not (width and period):
        raise card.error(
            "pulse must have 7 values above 0 where the deck has no .tran, whose step and end "
            "stand for those that are 0 or not given"
        )
    width, period = width or stop or 0.0, period or stop or 0.0
    if step is None:
        step = FRACTION * period
        if not (rise and fall):
            card.note(
                f"an edge of a pulse that is 0 lasts {step:g} s, as the deck has no .tran, "
                "whose step it would last"
            )
    return Pulse(low, high, delay, rise or step, fall or step, width, period, count)


def _transient(card: Card, what: str) -> tuple[float, float]:
    """Return the step and the end of the deck's transient, for values that are not given."""
    if card.setting.step is None or card.setting.stop is None:
        raise card.error(
            f"{what} must have all of its values where the deck has no .tran, whose step and end "
            "stand for those that are 0 or not given"
        )
    return card.setting.step, card.setting.stop


def _sin(card: Card, values: list[float]) -> Sin:
    """Return a sine; one whose frequency is not given has one period in the transient."""
    if len(values) < 3 or values[2] == 0:
        values = [*values[:2], 1 / _transient(card, "sin")[1], *values[3:]]
    return Sin(*values)


def _exp(card: Card, values: list[float]) -> Exp:
    """Return a rise and fall; delays and time constants that are 0 or not given are a step."""
    given = [*values, *[0.0] * (6 - len(values))]
    low, high, rise_delay, rise, fall_delay, fall = given
    if not (rise_delay and rise and fall_delay and fall):
        step, _ = _transient(card, "exp")
        rise_delay, rise, fall = rise_delay or step, rise or step, fall or step
        fall_delay = fall_delay or rise_delay + step
    return Exp(low, high, rise_delay, rise, fall_delay, fall)


def _sffm(card: Card, values: list[float]) -> Sffm:
    """Return a modulated frequency."""
    del card
    return Sffm(*values)


def _am(card: Card, values: list[float]) -> Am:
    """Return a modulated amplitude."""
    del card
    return Am(*values, *[0.0] * (5 - len(values)))


WAVEFORMS = {
    "pulse": Shape(
        "pulse(low high [delay rise fall width period [count]])",
        "edges that are 0 or not given last a step of the transient, width and period all of it",
        *(2, 8, _pulse),
    ),
    "sin": Shape(
        "sin(offset amplitude [frequency delay damping phase])",
        "without a frequency one period in the transient; the phase in degrees",
        *(2, 6, _sin),
    ),
    "pwl": Shape(
        "pwl(t1 v1 t2 v2 …) [r=time] [td=delay]",
        "straight lines; two points at one time are a step, of a billionth of the transient; from "
        "the time r on all is repeated",
        *(2, 2_000_000, lambda card, values: _lines(card, values, {})),
    ),
    "exp": Shape(
        "exp(low high [delay1 tau1 delay2 tau2])",
        "what is 0 or not given is a step of the transient",
        *(2, 6, _exp),
    ),
    "sffm": Shape(
        "sffm(offset amplitude carrier index signal)", "a modulated frequency", 5, 5, _sffm
    ),
    "am": Shape(
        "am(amplitude offset modulation carrier [delay])", "a modulated amplitude", 4, 5, _am
    ),
}
"""Waveforms by the word with which they begin."""
