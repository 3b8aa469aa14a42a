"""The lines of elements: what each line of a deck stands for."""

from ..elements.base import Element
from .cards import Card
from .device_lines import DIODE, TRANSISTOR
from .grammar import Kind
from .lexer import DeckError
from .passive_lines import CAPACITOR, COUPLING, INDUCTOR, RESISTOR
from .scopes import Reading
from .source_lines import (
    BEHAVIOURAL,
    CURRENT_GAIN,
    CURRENT_SOURCE,
    TRANSCONDUCTANCE,
    TRANSRESISTANCE,
    VOLTAGE_GAIN,
    VOLTAGE_SOURCE,
)

ELEMENTS: dict[str, Kind] = {
    "R": RESISTOR,
    "C": CAPACITOR,
    "L": INDUCTOR,
    "K": COUPLING,
    "V": VOLTAGE_SOURCE,
    "I": CURRENT_SOURCE,
    "E": VOLTAGE_GAIN,
    "F": CURRENT_GAIN,
    "G": TRANSCONDUCTANCE,
    "H": TRANSRESISTANCE,
    "B": BEHAVIOURAL,
    "D": DIODE,
    "M": TRANSISTOR,
}
"""The lines of elements, by the letter with which they begin."""


def elements(card: Card, reading: Reading) -> list[Element]:
    """Return the elements that a line stands for.

    **Arguments:** `card`: the line. `reading`: what the rest of the deck says to it.

    **Raises** `DeckError` for what is not understood.
    """
    first = card.take("a name")
    letter = first.text[0].upper()
    if letter not in ELEMENTS:
        raise card.error(
            f"elements of kind {letter} are not supported; what is: {', '.join(ELEMENTS)}, X", first
        )
    try:
        result = ELEMENTS[letter].read(card, card.prefix + first.text[1:], reading)
        card.end()
    except DeckError:
        raise
    except ValueError as error:
        raise card.error(str(error), first) from error
    return result if isinstance(result, list) else [result]
