"""The lines of elements: what each line of a deck stands for."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..elements.base import GROUND, Element
from ..elements.controlled import CurrentGain, Transconductance, Transresistance, VoltageGain
from ..elements.diodes import Diode
from ..elements.expressions import (
    Constant,
    Current,
    Expression,
    Operation,
    Voltage,
    renamed,
)
from ..elements.passive import Capacitor, Inductor, Resistor
from ..elements.sources import Behavioural, CurrentSource, VoltageSource
from ..elements.transistors import Mosfet
from .arithmetic import expression
from .cards import Card
from .lexer import DeckError
from .model_cards import DiodeCard, MosfetCard
from .waveform_words import WAVEFORMS, waveform

Sources = Callable[[str], str]
"""Gives the netlist's name, letter included, of the voltage source that measures a current."""

_VARIABLE = re.compile(r"[{'].*\b[vi]\s*\(", re.IGNORECASE)
"""An expression that holds a voltage or a current."""

SMALLEST_OHMS = 1e-3
"""What stands for a resistance of 0 Ω, as in ngspice."""


def elements(card: Card, models: Mapping[str, Any], sources: Sources) -> list[Element]:
    """Return the element of a line, or the elements that it stands for.

    **Arguments:**

    - `card`: the line.
    - `models`: the models in its scope, by name in lower case.
    - `sources`: gives the voltage source that measures the current of an element.

    **Raises** `DeckError` for what is not understood.
    """
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
        result = _READERS[letter](card, name, models, sources)
        card.end()
    except DeckError:
        raise
    except ValueError as error:
        raise card.error(str(error), first) from error
    return result if isinstance(result, list) else [result]


# --- passive elements


def _resistor(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
    """Return a resistor, or the current source that a resistance of voltages stands for."""
    del models
    plus, minus = card.nodes(2)
    if card.accept("r", "resistance"):
        card.accept("=")
    at = card.at
    if _VARIABLE.match(card.peek()):
        ohms = _expression(card, sources, _quoted(card))
        current = Operation("/", (Voltage(plus, minus), ohms))
        return Behavioural(f"R{name}", plus, minus, "i", current)
    value = card.value("a resistance")
    value *= _temperature_factor(card, card.assignments({"tc1": None, "tc2": None, "tc": None}))
    if value == 0:
        value = SMALLEST_OHMS
        card.note(f"R{name} has 0 Ω, for which {SMALLEST_OHMS:g} Ω stand, as in ngspice")
    if not value > 0:
        raise card.error(
            f"the resistance of R{name} must be above 0, but is {value}", card.tokens[at]
        )
    return Resistor(name, plus, minus, siemens=1 / value)


def _temperature_factor(card: Card, coefficients: Mapping[str, float]) -> float:
    """Return 1 + tc1 ΔT + tc2 ΔT², ΔT being the temperature of the deck above the nominal one."""
    above = card.setting.kelvin - card.setting.nominal
    linear = coefficients.get("tc1", coefficients.get("tc", 0.0))
    return 1 + linear * above + coefficients.get("tc2", 0.0) * above**2


def _capacitor(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
    """Return a capacitor."""
    del models, sources
    plus, minus = card.nodes(2)
    if card.accept("c"):
        card.accept("=")
    farads = card.value("a capacitance")
    start = card.assignments({"ic": None}).get("ic")
    if start is not None:
        if GROUND not in (plus, minus):
            raise card.error(f"ic of C{name} is supported for capacitors to ground alone")
        node, volts = (plus, start) if minus == GROUND else (minus, -start)
        card.setting.start[node] = volts
    return Capacitor(name, plus, minus, farads)


def _inductor(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
    """Return an inductor."""
    del models, sources
    plus, minus = card.nodes(2)
    if card.accept("l"):
        card.accept("=")
    return Inductor(name, plus, minus, card.value("an inductance"))


# --- sources


def _independent(kind: type[VoltageSource] | type[CurrentSource]):
    """Return the reader of independent sources of a kind."""

    def read(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
        del models, sources
        plus, minus = card.nodes(2)
        constant, ac, wave = None, 0.0, None
        while card.more():
            if card.accept("dc"):
                card.accept("=")
                constant = card.value("a value")
            elif card.accept("ac"):
                ac = _small_signal(card)
            elif card.peek() in WAVEFORMS:
                wave = waveform(card)
            elif constant is not None:
                raise card.error("the line must end here: the source has a value already")
            else:
                constant = card.value("a value, ac, pulse, sin or pwl")
        if constant is None:
            constant = 0.0 if wave is None else float(wave.at(0.0))
        return kind(name, plus, minus, constant, ac, wave)

    return read


def _small_signal(card: Card) -> float:
    """Return the magnitude after `ac`, 1 if not given; a phase must be 0."""
    magnitude = 1.0
    if card.accept("=") or card.has_value():
        magnitude = card.value("a magnitude")
    if card.has_value() and card.value("a phase") != 0:
        raise card.error("a phase other than 0 is not supported", card.tokens[card.at - 1])
    return magnitude


def _controlled_by_voltage(kind: type[VoltageGain] | type[Transconductance]):
    """Return the reader of sources that voltages control."""
    output = "v" if kind is VoltageGain else "i"

    def read(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
        del models
        plus, minus = card.nodes(2)
        if card.peek() in ("value", "vol", "cur"):
            return _expression_source(card, name, (plus, minus), output, sources)
        if card.accept("poly"):
            controls = _dimension(card)
            pairs = [Voltage(*_pair(card)) for _ in range(controls)]
            return Behavioural(
                f"{kind.letter}{name}", plus, minus, output, _polynomial(card, pairs)
            )
        return kind(name, plus, minus, *_pair(card), card.value("a gain"))

    return read


def _controlled_by_current(kind: type[CurrentGain] | type[Transresistance]):
    """Return the reader of sources that currents control."""
    output = "i" if kind is CurrentGain else "v"

    def read(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
        del models
        plus, minus = card.nodes(2)
        if card.accept("poly"):
            controls = _dimension(card)
            names = [sources(card.take("a voltage source").text) for _ in range(controls)]
            whole = _polynomial(card, [Current(source) for source in names])
            return Behavioural(f"{kind.letter}{name}", plus, minus, output, whole)
        source = sources(card.take("a voltage source").text)
        return kind(name, plus, minus, source, card.value("a gain"))

    return read


def _pair(card: Card) -> tuple[str, str]:
    """Take two nodes, which may stand in brackets with a comma between them."""
    bracket = card.accept("(")
    plus = card.node()
    card.accept(",")
    minus = card.node()
    if bracket and not card.accept(")"):
        raise card.error("')' must follow")
    return plus, minus


def _dimension(card: Card) -> int:
    """Take the number of controls of a polynomial, in brackets."""
    card.accept("(")
    controls = card.value("a number of controls")
    card.accept(")")
    if controls != int(controls) or not 1 <= controls <= 20:
        raise card.error(
            f"a polynomial must have 1 to 20 controls, but has {controls:g}",
            card.tokens[card.at - 1],
        )
    return int(controls)


def _polynomial(card: Card, controls: list[Any]) -> Expression:
    """Take the coefficients of a polynomial, and return it.

    It is p0 + p1 x + p2 x² + … for one control, and p0 + p1 x + p2 y + … for several. With one
    coefficient for one control it is the gain, as in ngspice.
    """
    coefficients = []
    while card.more():
        if not card.accept(","):
            coefficients.append(card.value("a coefficient"))
    if len(coefficients) == 1 and len(controls) == 1:
        coefficients = [0.0, *coefficients]
    most = 20 if len(controls) == 1 else len(controls) + 1
    if not 2 <= len(coefficients) <= most:
        raise card.error(
            f"a polynomial of {len(controls)} controls must have 2 to {most} coefficients, "
            f"but has {len(coefficients)}"
        )
    terms: list[Expression] = [Constant(coefficients[0])]
    powers: list[Expression] = list(controls)
    if len(controls) == 1:
        for _ in coefficients[2:]:
            powers.append(Operation("*", (powers[-1], controls[0])))
    terms += [
        Operation("*", (Constant(value), power))
        for value, power in zip(coefficients[1:], powers, strict=False)
        if value
    ]
    whole = terms[0]
    for term in terms[1:]:
        whole = Operation("+", (whole, term))
    return whole


def _behavioural(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> Element:
    """Return a source of an expression."""
    del models
    plus, minus = card.nodes(2)
    output = card.peek()
    if output not in ("i", "v"):
        raise card.error("i=… or v=… must stand here")
    return _expression_source(card, name, (plus, minus), output, sources)


def _expression_source(
    card: Card, name: str, nodes: tuple[str, str], output: str, sources: Sources
) -> Behavioural:
    """Return a source of the expression that follows a word and '='."""
    word = card.take("a name").text.lower()
    if not card.accept("=") and word != "value":
        raise card.error("'=' must follow")
    start = card.tokens[card.at].offset if card.more() else len(card.line.text)
    end = len(card.line.text)
    if card.more() and card.tokens[card.at].text[0] == "'":
        start, end = start + 1, start + len(card.tokens[card.at].text) - 1
    card.at = len(card.tokens)
    return Behavioural(name, *nodes, output, _expression(card, sources, (start, end)))


def _quoted(card: Card) -> tuple[int, int]:
    """Take an expression in braces or quotes, and return where it begins and ends."""
    token = card.take("an expression")
    return token.offset + 1, token.offset + len(token.text) - 1


def _expression(card: Card, sources: Sources, place: tuple[int, int]) -> Expression:
    """Return an expression of the line with the netlist's names of nodes and sources."""

    def outside(variable: Voltage | Current) -> Voltage | Current:
        if isinstance(variable, Current):
            return Current(sources(variable.source))
        return Voltage(card.node_of(variable.plus), card.node_of(variable.minus))

    return renamed(expression(card.line, *place, card.parameters, constant=False), outside)


# --- diodes and transistors


def _diode(card: Card, name: str, models: Mapping[str, Any], sources: Sources) -> list[Element]:
    """Return a diode, and the resistor in series with it if its model has one."""
    del sources
    anode, cathode = card.nodes(2)
    model = _model_of(card, models, DiodeCard, "a diode")
    area = card.value("an area") if card.has_value() else None
    values = card.assignments({"area": None, "m": None})
    if area is not None and "area" in values:
        raise card.error(f"the area of D{name} stands twice", card.tokens[0])
    area = values.get("area", 1.0 if area is None else area) * values.get("m", 1.0)
    if not area > 0:
        raise ValueError(f"the area of D{name} must be above 0, but is {area}")
    series, inner = _in_series(f"d{name}.rs", anode, model.ohms / area)
    return [*series, Diode(name, inner, cathode, model.law, area)]


def _transistor(
    card: Card, name: str, models: Mapping[str, Any], sources: Sources
) -> list[Element]:
    """Return a transistor, and the resistors in series with its drain and source.

    `m` transistors in parallel are one that is as many times as wide.
    """
    del sources
    drain, gate, source, bulk = card.nodes(4)
    model = _model_of(card, models, MosfetCard, "a transistor")
    size = card.assignments(_SIZE)
    count = size.get("m", 1.0)
    if not count > 0:
        raise ValueError(f"`m` of M{name} must be above 0, but is {count}")
    at_drain, drain = _in_series(f"m{name}.rd", drain, model.drain_ohms / count)
    at_source, source = _in_series(f"m{name}.rs", source, model.source_ohms / count)
    width, length = size.get("w", 1e-4) * count, size.get("l", 1e-4)
    return [
        *(*at_drain, *at_source),
        Mosfet(name, drain, gate, source, bulk, model.law, width, length),
    ]


_SIZE: dict[str, float | None] = dict.fromkeys(
    ("w", "l", "ad", "as", "pd", "ps", "nrd", "nrs", "m")
)
"""What may stand on a transistor's line; areas, perimeters and squares mean nothing without the
parameters that they multiply."""


def _in_series(name: str, node: str, ohms: float) -> tuple[list[Element], str]:
    """Return a model's resistance as a resistor between `node` and an inner node, and that node.

    For 0 Ω there is no resistor, and the inner node is `node` itself.
    """
    if not ohms:
        return [], node
    return [Resistor(name, node, name.lower(), siemens=1 / ohms)], name.lower()


def _model_of(card: Card, models: Mapping[str, Any], kind: type, what: str) -> Any:
    """Take the name of a model of a kind, and return the model."""
    token = card.take("a model")
    model = models.get(token.text.lower())
    if not isinstance(model, kind):
        raise card.error(f"{token.text!r} must be a model of {what} that the deck defines", token)
    return model


_READERS: dict[str, Callable[..., Element | list[Element]]] = {
    "R": _resistor,
    "C": _capacitor,
    "L": _inductor,
    "V": _independent(VoltageSource),
    "I": _independent(CurrentSource),
    "E": _controlled_by_voltage(VoltageGain),
    "F": _controlled_by_current(CurrentGain),
    "G": _controlled_by_voltage(Transconductance),
    "H": _controlled_by_current(Transresistance),
    "B": _behavioural,
    "D": _diode,
    "M": _transistor,
}
