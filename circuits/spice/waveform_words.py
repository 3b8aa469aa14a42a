"""The waveforms of independent sources, with what SPICE takes for values that are not given."""

from ..elements.waveforms import Pulse, Pwl, Sin, Waveform
from .cards import Card

WAVEFORMS = ("pulse", "sin", "pwl")
"""The words with which a waveform begins."""


def waveform(card: Card) -> Waveform:
    """Take a waveform: a word and its values, which may stand in brackets.

    **Raises** `DeckError` for numbers of values that it cannot have; `ValueError` for values.
    """
    token = card.take("a waveform")
    name = token.text.lower()
    bracket = card.accept("(")
    values = []
    while card.more() and card.peek() != ")" and (card.peek() == "," or card.has_value()):
        if not card.accept(","):
            values.append(card.value("a value"))
    if bracket and not card.accept(")"):
        raise card.error("')' must follow the values of a waveform")

    if name == "pwl":
        if len(values) % 2:
            raise card.error("pwl must have pairs of a time and a value", token)
        return _lines(card, values[0::2], values[1::2])
    least, most = (3, 5) if name == "sin" else (2, 7)
    if not least <= len(values) <= most:
        raise card.error(f"{name} must have {least} to {most} values, but has {len(values)}", token)
    return Sin(*values) if name == "sin" else _pulse(card, values)


def _lines(card: Card, times: list[float], values: list[float]) -> Pwl:
    """Return straight lines between points; two at one time are a step, a billionth of all long."""
    edge = 1e-9 * (card.setting.stop or times[-1])
    steps = [k for k in range(1, len(times)) if times[k] == times[k - 1]]
    for k in steps:
        times[k] += edge
    if steps:
        card.note(f"a step of pwl at one time lasts {edge:g} s")
    return Pwl(tuple(times), tuple(values))


def _pulse(card: Card, values: list[float]) -> Pulse:
    """Return a pulse; edges that are 0 or not given last a step, width and period the transient."""
    low, high, *rest = values
    delay, rise, fall, width, period = [*rest, *[0.0] * (5 - len(rest))]
    if not (rise and fall and width and period):
        step, stop = card.setting.step, card.setting.stop
        if step is None or stop is None:
            raise card.error(
                "pulse must have 7 values above 0 where the deck has no .tran, whose step and end "
                "stand for those that are 0 or not given"
            )
        rise, fall = rise or step, fall or step
        width, period = width or stop, period or stop
    return Pulse(low, high, delay, rise, fall, width, period)
