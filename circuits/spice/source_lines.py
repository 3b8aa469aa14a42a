"""The lines of independent, controlled and behavioural sources."""

from typing import Any

import numpy as np

from ..elements.base import Element
from ..elements.controlled import CurrentGain, Transconductance, Transresistance, VoltageGain
from ..elements.expressions import Constant, Current, Expression, Operation, Voltage
from ..elements.sources import Behavioural, CurrentSource, VoltageSource
from .cards import Card
from .expression_words import expression_of, quoted
from .grammar import Kind, Number, meanings
from .scopes import Reading
from .waveform_words import WAVEFORMS, waveform

# --- independent sources


def _independent(kind: type[VoltageSource] | type[CurrentSource]):
    """Return the reader of independent sources of a kind."""

    def read(card: Card, name: str, reading: Reading) -> Element:
        del reading
        plus, minus = card.nodes(2)
        constant, ac, phase, wave, count = None, 0.0, 0.0, None, 1.0
        while card.more():
            at = card.at
            if card.accept("dc"):
                card.accept("=")
                value = card.value("a value") if card.has_value() else 0.0
                constant = _once(card, at, constant, value)
            elif card.accept("ac"):
                ac, phase = _small_signal(card)
            elif card.peek() in WAVEFORMS:
                wave = _once(card, at, wave, waveform(card))
            elif card.accept("m") and kind is CurrentSource and card.accept("="):
                count = card.value("the value of m")
            elif constant is not None or wave is not None:
                raise card.error("the line must end here: the source has a value already")
            else:
                constant = card.value(f"a value, ac, {', '.join(WAVEFORMS)}")
        if constant is None:
            constant = 0.0 if wave is None else float(wave.at(0.0))
        if count != 1 and wave is not None:
            raise card.error("m is supported for a constant current alone")
        return kind(name, plus, minus, constant * count, ac * count, wave, phase)

    return read


def _once(card: Card, at: int, before: Any, value: Any) -> Any:
    """Return a value, or raise an error where there was one before."""
    if before is not None:
        raise card.error("the source has a value already", card.tokens[at])
    return value


def _small_signal(card: Card) -> tuple[float, float]:
    """Return the magnitude after `ac`, 1 if not given, and the phase in degrees, 0 if not given."""
    magnitude = 1.0
    if card.accept("=") or card.has_value():
        magnitude = card.value("a magnitude")
    card.accept(",")
    return magnitude, card.value("a phase") if card.has_value() else 0.0


# --- controlled sources


def _controlled_by_voltage(kind: type[VoltageGain] | type[Transconductance]):
    """Return the reader of sources that voltages control."""
    output = "v" if kind is VoltageGain else "i"

    def read(card: Card, name: str, reading: Reading) -> Element:
        plus, minus = card.nodes(2)
        if card.peek() in ("value", "vol", "cur"):
            return _expression_source(card, name, (plus, minus), output, reading)
        if card.accept("table"):
            whole = _table(card, reading)
        elif card.accept("poly"):
            controls = _dimension(card)
            whole = _polynomial(card, [Voltage(*_pair(card)) for _ in range(controls)])
        else:
            ends = _pair(card)
            card.accept("gain")
            card.accept("=")
            gain = card.value("a gain")
            factor = card.assignments(_TIMES).get("m", 1.0) if output == "i" else 1.0
            return kind(name, plus, minus, *ends, gain * factor)
        return Behavioural(f"{kind.letter}{name}", plus, minus, output, whole)

    return read


def _controlled_by_current(kind: type[CurrentGain] | type[Transresistance]):
    """Return the reader of sources that currents control."""
    output = "i" if kind is CurrentGain else "v"

    def read(card: Card, name: str, reading: Reading) -> Element:
        plus, minus = card.nodes(2)
        if card.accept("poly"):
            controls = _dimension(card)
            names = [reading.source(card.take("a voltage source").text) for _ in range(controls)]
            whole = _polynomial(card, [Current(source) for source in names])
            return Behavioural(f"{kind.letter}{name}", plus, minus, output, whole)
        source = reading.source(card.take("a voltage source").text)
        gain = card.value("a gain")
        factor = card.assignments(_TIMES).get("m", 1.0) if output == "i" else 1.0
        return kind(name, plus, minus, source, gain * factor)

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


MOST_COEFFICIENTS = 60
"""How many coefficients a polynomial may have."""


def _polynomial(card: Card, controls: list[Any]) -> Expression:
    """Take the coefficients of a polynomial, and return it.

    They are those of SPICE 2: p0, then those of x, y, …, then those of x², xy, …, y², yz, … and so
    on. One alone is p0, as in ngspice.
    """
    coefficients = []
    while card.more():
        if not card.accept(","):
            coefficients.append(card.value("a coefficient"))
    if not 1 <= len(coefficients) <= MOST_COEFFICIENTS:
        raise card.error(
            f"a polynomial must have 1 to {MOST_COEFFICIENTS} coefficients, "
            f"but has {len(coefficients)}"
        )
    whole: Expression = Constant(coefficients[0])
    products: list[tuple[int, Expression]] = [(k, one) for k, one in enumerate(controls)]
    rest = coefficients[1:]
    while rest:
        for value, (_, product) in zip(rest, products, strict=False):
            if value:
                term = Operation("*", (Constant(value), product))
                whole = Operation("+", (whole, term))
        rest = rest[len(products) :]
        if rest:
            products = [
                (last, Operation("*", (product, controls[last])))
                for first, product in products
                for last in range(first, len(controls))
            ]
    return whole


def _table(card: Card, reading: Reading) -> Expression:
    """Take an expression and points, and return the straight lines between them.

    Beyond the first and the last point the value stays.
    """
    card.accept("=")
    if card.peek()[:1] not in ("{", "'"):
        raise card.error("an expression in braces must stand here")
    x = expression_of(card, reading, quoted(card))
    card.accept("=")
    numbers = []
    while card.more():
        if not card.accept(",", "(", ")"):
            numbers.append(card.value("a number"))
    xs, ys = numbers[0::2], numbers[1::2]
    if len(xs) != len(ys) or len(xs) < 2 or np.any(np.diff(xs) <= 0):
        raise card.error(
            "a table must have two or more points (x, y) with increasing x, "
            f"but has {len(numbers)} numbers"
        )
    card.note("the corners of a table are sharp, which ngspice rounds off")
    held = Operation("min", (Operation("max", (x, Constant(xs[0]))), Constant(xs[-1])))
    points = [Constant(value) for point in zip(xs, ys, strict=True) for value in point]
    return Operation("pwl", (held, *points))


# --- sources of an expression


def _behavioural(card: Card, name: str, reading: Reading) -> Element:
    """Return a source of an expression."""
    plus, minus = card.nodes(2)
    output = card.peek()
    if output not in ("i", "v"):
        raise card.error("i=… or v=… must stand here")
    return _expression_source(card, name, (plus, minus), output, reading)


def _expression_source(
    card: Card, name: str, nodes: tuple[str, str], output: str, reading: Reading
) -> Behavioural:
    """Return a source of the expression that follows a word and '='."""
    word = card.take("a name").text.lower()
    if not card.accept("=") and word != "value":
        raise card.error("'=' must follow")
    text = card.line.text
    start = card.tokens[card.at].offset if card.more() else len(text)
    end, factor = _without_factors(card, start)
    if card.more() and card.tokens[card.at].text[0] == "'":
        start, end = start + 1, start + len(card.tokens[card.at].text) - 1
    card.at = len(card.tokens)
    whole = expression_of(card, reading, (start, end))
    if factor != 1:
        whole = Operation("*", (Constant(factor), whole))
    letter = card.tokens[0].text[0].upper()
    return Behavioural(name if letter == "B" else f"{letter}{name}", *nodes, output, whole)


def _without_factors(card: Card, start: int) -> tuple[int, float]:
    """Return where the expression from `start` on ends, and the factor that follows it."""
    end, given, tokens = len(card.line.text), {}, card.tokens
    last = len(tokens)
    while last - 3 > card.at and tokens[last - 2].text == "=":
        name = tokens[last - 3].text.lower()
        if name not in BEHAVIOURAL.numbers or tokens[last - 3].offset < start:
            break
        kept, card.at = card.at, last - 1
        given[name] = card.value(f"the value of {name}")
        card.at, last = kept, last - 3
        end = tokens[last].offset
    above = card.setting.kelvin - card.setting.nominal
    if given.get("tc1") or given.get("tc2"):
        card.setting.thermal.append(card.tokens[0].text)
    by_temperature = 1 + given.get("tc1", 0.0) * above + given.get("tc2", 0.0) * above**2
    return end, given.get("m", 1.0) * by_temperature


_TIMES: dict[str, Number] = meanings(m="how many stand in parallel")


def _forms(letter: str, control: str, gain: str) -> dict[str, str]:
    """Return the forms of a controlled source."""
    return {
        f"{letter}name n+ n- {control} {gain}": "proportional to what controls it",
        f"{letter}name n+ n- POLY(k) {control} … p0 p1 …": "a polynomial of k controls, as SPICE 2",
    }


_BY_EXPRESSION = {
    "value={…}": "an expression, as of B; `vol=` and `cur=` too",
    "TABLE {…} = (x, y) (x, y) …": "straight lines between points, and level beyond them",
}


def _independent_forms(letter: str) -> dict[str, str]:
    """Return the forms of an independent source."""
    return {
        f"{letter}name n+ n- [[dc] value] [ac [magnitude [phase]]] [waveform]": (
            "a constant value, 0 or the waveform's first if not given; a small-signal amplitude, "
            "its phase in degrees; and what it does in transients"
        )
    }


VOLTAGE_SOURCE = Kind("voltage source", _independent_forms("V"), _independent(VoltageSource))
CURRENT_SOURCE = Kind(
    "current source", _independent_forms("I"), _independent(CurrentSource), _TIMES
)
VOLTAGE_GAIN = Kind(
    "voltage-controlled voltage source",
    _forms("E", "c+ c-", "gain") | {f"Ename n+ n- {k}": m for k, m in _BY_EXPRESSION.items()},
    _controlled_by_voltage(VoltageGain),
)
CURRENT_GAIN = Kind(
    "current-controlled current source",
    _forms("F", "V1", "gain"),
    _controlled_by_current(CurrentGain),
    _TIMES,
)
TRANSCONDUCTANCE = Kind(
    "voltage-controlled current source",
    _forms("G", "c+ c-", "siemens") | {f"Gname n+ n- {k}": m for k, m in _BY_EXPRESSION.items()},
    _controlled_by_voltage(Transconductance),
    _TIMES,
)
TRANSRESISTANCE = Kind(
    "current-controlled voltage source",
    _forms("H", "V1", "ohms"),
    _controlled_by_current(Transresistance),
)
BEHAVIOURAL = Kind(
    "behavioural source",
    {
        "Bname n+ n- i=expression": "a current of voltages, currents, `time` and `temper`",
        "Bname n+ n- v=expression": "such a voltage",
    },
    _behavioural,
    _TIMES | meanings(tc1="change by temperature, per K", tc2="per K²"),
)
