"""The cards of elements: what each line of a deck stands for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..elements.base import Element
from ..elements.diodes import Diode
from ..elements.expressions import Current, Voltage, renamed
from ..elements.passive import Capacitor, Inductor, Resistor
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
from ..elements.waveforms import Pulse, Pwl, Sin, Waveform
from .arithmetic import expression, number
from .cards import Card
from .model_cards import DiodeCard, MosfetCard


def elements(card: Card, models: Mapping[str, Any], sources: Callable[[str], str]) -> list[Element]:
    """The element of a card, or what it stands for. `sources` gives the netlist's name of a voltage source, letter included."""
    first = card.take("a name")
    letter = first.text[0].upper()
    if letter not in _READERS:
        raise card.error(
            f"elements of kind {letter} are not supported; what is: {', '.join(_READERS)}, X", first
        )
    name = card.prefix + first.text[1:]
    if len(first.text) == 1:
        raise card.error("an element must have a name after its letter", first)
    try:
        found = _READERS[letter](card, name, models, sources)
        card.end()
    except ValueError as error:
        if hasattr(error, "column"):
            raise
        raise card.error(str(error), first) from error
    return found if isinstance(found, list) else [found]


def _resistor(card, name, models, sources):
    nodes = card.nodes(2)
    if card.peek() in ("r", "resistance"):
        card.take("r")
        card.accept("=")
    at = card.at
    ohms = card.value("a resistance")
    if not ohms > 0:
        raise card.error(
            f"the resistance of R{name} must be above 0, but is {ohms}", card.tokens[at]
        )
    return Resistor(name, nodes[0], nodes[1], siemens=1 / ohms)


def _capacitor(card, name, models, sources):
    nodes = card.nodes(2)
    if card.accept("c"):
        card.accept("=")
    return Capacitor(name, nodes[0], nodes[1], card.value("a capacitance"))


def _inductor(card, name, models, sources):
    nodes = card.nodes(2)
    if card.accept("l"):
        card.accept("=")
    return Inductor(name, nodes[0], nodes[1], card.value("an inductance"))


def _independent(kind):
    def read(card, name, models, sources):
        plus, minus = card.nodes(2)
        constant, ac, waveform = None, 0.0, None
        while card.more():
            if card.accept("dc"):
                constant = card.value("a value")
            elif card.accept("ac"):
                ac = (
                    card.value("a magnitude")
                    if number(card.peek()) is not None or card.peek()[:1] in ("{", "'")
                    else 1.0
                )
                if number(card.peek()) is not None and card.value("a phase") != 0:
                    raise card.error(
                        "a phase other than 0 is not supported", card.tokens[card.at - 1]
                    )
            elif card.peek() in _WAVEFORMS:
                waveform = _waveform(card)
            else:
                constant = card.value("a value, ac, pulse, sin or pwl")
        if constant is None:
            constant = 0.0 if waveform is None else float(waveform.at(0.0))
        return kind(name, plus, minus, constant, ac, waveform)

    return read


def _waveform(card: Card) -> Waveform:
    token = card.take("a waveform")
    name = token.text.lower()
    bracket = card.accept("(")
    values = []
    while (
        card.more()
        and card.peek() != ")"
        and (number(card.peek()) is not None or card.peek()[:1] in ("{", "'", ","))
    ):
        if not card.accept(","):
            values.append(card.value("a value"))
    if bracket and not card.accept(")"):
        raise card.error("')' must follow the values of a waveform")
    try:
        if name == "pwl":
            if len(values) % 2:
                raise card.error("pwl must have pairs of a time and a value", token)
            return Pwl(tuple(values[0::2]), tuple(values[1::2]))
        if name == "sin":
            return Sin(*values)
        return Pulse(*values)
    except TypeError:
        raise card.error(
            f"{name} must have {'7' if name == 'pulse' else '3 to 5'} values, but has {len(values)}",
            token,
        ) from None


_WAVEFORMS = ("pulse", "sin", "pwl")


def _controlled(by_voltage, by_current):
    def read(card, name, models, sources):
        nodes = card.nodes(2)
        if by_voltage is not None and card.peek() in ("value", "vol", "cur"):
            return _told(card, name, nodes, "v" if by_voltage is VoltageGain else "i", sources)
        if by_voltage is not None:
            return by_voltage(name, *nodes, *card.nodes(2), card.value("a gain"))
        return by_current(
            name, *nodes, sources(card.take("a voltage source").text), card.value("a gain")
        )

    return read


def _behavioural(card, name, models, sources):
    nodes = card.nodes(2)
    output = card.peek()
    if output not in ("i", "v"):
        raise card.error("i=… or v=… must stand here")
    return _told(card, name, nodes, output, sources)


def _told(
    card: Card, name: str, nodes: Sequence[str], output: str, sources: Callable[[str], str]
) -> Behavioural:
    card.take("a name")
    if not card.accept("="):
        raise card.error("'=' must follow")
    start, end = (
        card.tokens[card.at].offset if card.more() else len(card.line.text),
        len(card.line.text),
    )
    if card.more() and card.tokens[card.at].text[0] == "'":
        start, end = start + 1, start + len(card.tokens[card.at].text) - 1
    card.at = len(card.tokens)

    def outside(variable):
        if isinstance(variable, Current):
            return Current(sources(variable.source))
        return Voltage(card._node(variable.plus), card._node(variable.minus))

    found = expression(card.line, start, end, card.parameters, constant=False)
    return Behavioural(name, nodes[0], nodes[1], output, renamed(found, outside))


def _diode(card, name, models, sources):
    nodes = card.nodes(2)
    model = _model_of(card, models, DiodeCard, "a diode")
    area = card.value("an area") if number(card.peek()) is not None else None
    rest = card.assignments({"area": None})
    if area is not None and rest:
        raise card.error(f"the area of D{name} stands twice", card.tokens[0])
    area = rest.get("area", 1.0 if area is None else area)
    if not area > 0:
        raise ValueError(f"the area of D{name} must be above 0, but is {area}")
    series, anode = _in_series(f"d{name}.rs", nodes[0], model.ohms / area)
    return [*series, Diode(name, anode, nodes[1], model.law, area)]


def _transistor(card, name, models, sources):
    drain, gate, source, bulk = card.nodes(4)
    model = _model_of(card, models, MosfetCard, "a transistor")
    size = card.assignments(_SIZE)
    at_drain, drain = _in_series(f"m{name}.rd", drain, model.drain_ohms)
    at_source, source = _in_series(f"m{name}.rs", source, model.source_ohms)
    return [
        *(*at_drain, *at_source),
        Mosfet(
            name, drain, gate, source, bulk, model.law, size.get("w", 1e-4), size.get("l", 1e-4)
        ),
    ]


_SIZE = dict.fromkeys(("w", "l", "ad", "as", "pd", "ps", "nrd", "nrs")) | {"m": 1.0}
"""What may stand on a transistor's line; areas, perimeters and squares mean nothing without the parameters that they multiply."""


def _in_series(name: str, node: str, ohms: float) -> tuple[list[Element], str]:
    """A model's resistance as a resistor of its own between `node` and an inner node, and that node; `node` itself for 0 Ω."""
    return (
        ([Resistor(name, node, name.lower(), siemens=1 / ohms)], name.lower())
        if ohms
        else ([], node)
    )


def _model_of(card: Card, models: Mapping[str, Any], kind: type, what: str) -> Any:
    token = card.take("a model")
    found = models.get(token.text.lower())
    if not isinstance(found, kind):
        raise card.error(f"{token.text!r} must be a model of {what} that the deck defines", token)
    return found


_READERS: dict[str, Callable[..., Element | list[Element]]] = {
    "R": _resistor,
    "C": _capacitor,
    "L": _inductor,
    "V": _independent(VoltageSource),
    "I": _independent(CurrentSource),
    "E": _controlled(VoltageGain, None),
    "F": _controlled(None, CurrentGain),
    "G": _controlled(Transconductance, None),
    "H": _controlled(None, Transresistance),
    "B": _behavioural,
    "D": _diode,
    "M": _transistor,
}
