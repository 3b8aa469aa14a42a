"""The lines of resistors, capacitors, inductors and their couplings."""

import re
from collections.abc import Mapping
from itertools import combinations

from ..elements.base import Element
from ..elements.controlled import Transconductance
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.passive import Capacitor, Coupling, Inductor, Resistor
from ..elements.sources import Behavioural
from .cards import Card
from .expression_words import expression_of, quoted
from .grammar import Kind, Number, meanings
from .lexer import Token
from .model_cards import PassiveCard
from .scopes import Reading

_VARIABLE = re.compile(
    r"[{'\"].*(?:\b[vi]\s*\(|\b(?:time|temper|hertz)\b)", re.IGNORECASE | re.DOTALL
)
"""An expression that holds a voltage, a current or the time."""

SMALLEST_OHMS = 1e-3
"""What stands for a resistance of 0 Ω, as in ngspice."""
CLOSEST = 1 - 1e-9
"""What stands for a coupling of 1, with which the matrix of inductances would have no inverse."""


def _resistor(card: Card, name: str, reading: Reading) -> Element:
    """Return a resistor, or the source that a negative one or one of voltages stands for."""
    plus, minus = card.nodes(2)
    at = card.at
    if card.accept("r", "resistance"):
        card.accept("=")
    if _VARIABLE.match(card.peek()):
        ohms = expression_of(card, reading, quoted(card))
        values = _pairs(card, RESISTOR.numbers)
        factor = values.get("m", 1.0) / _factor(card, name, {}, values)
        current = Operation("/", (Voltage(plus, minus), ohms))
        return Behavioural(f"R{name}", plus, minus, "i", _times(factor, current))
    card.at = at
    ohms = _value(card, name, reading, "r", "a resistance")
    if ohms == 0:
        ohms = SMALLEST_OHMS
        card.note(f"R{name} has 0 Ω, for which {SMALLEST_OHMS:g} Ω stand, as in ngspice")
    if ohms < 0:
        card.note(f"R{name} is negative: a circuit with it has no energy")
        return Transconductance(f"R{name}", plus, minus, plus, minus, 1 / ohms)
    return Resistor(name, plus, minus, siemens=1 / ohms)


def _capacitor(card: Card, name: str, reading: Reading) -> Element | list[Element]:
    """Return a capacitor, and note from which voltage it starts."""
    plus, minus = card.nodes(2)
    farads = _value(card, name, reading, "c", "a capacitance")
    if farads == 0:
        card.note(f"C{name} has 0 F and is left out")
        return []
    return Capacitor(name, plus, minus, farads)


def _inductor(card: Card, name: str, reading: Reading) -> Element:
    """Return an inductor, with the current from which it starts."""
    plus, minus = card.nodes(2)
    henries = _value(card, name, reading, "l", "an inductance")
    return Inductor(name, plus, minus, henries, card.setting.currents.get(f"L{name}", 0.0))


def _coupling(card: Card, name: str, reading: Reading) -> list[Coupling]:
    """Return the coupling of inductors, two and two, which stand elsewhere in the same scope."""
    inductors = []
    while card.peek()[:1] == "l":
        token = card.take("an inductor")
        inductors.append((card.prefix + token.text[1:], token))
    if len(inductors) < 2:
        raise card.error("two inductors or more must be named")
    coefficient = card.value("a coefficient")
    if not abs(coefficient) <= 1:
        raise card.error(
            f"a coefficient of coupling must be from -1 to 1, but is {coefficient}",
            card.tokens[card.at - 1],
        )
    if abs(coefficient) > CLOSEST:
        coefficient = CLOSEST if coefficient > 0 else -CLOSEST
        card.note(f"K{name} couples wholly, for which a coefficient of 1 - 1e-9 stands")
    pairs = list(combinations(inductors, 2))
    names = [name, *(f"{name}_{k}" for k in range(2, len(pairs) + 1))]
    return [
        Coupling(one, _named(card, reading, first), _named(card, reading, second), coefficient)
        for one, (first, second) in zip(names, pairs, strict=True)
    ]


def _named(card: Card, reading: Reading, who: tuple[str, Token]) -> Inductor:
    """Return an inductor of the netlist by its name without the letter."""
    name, token = who
    inductor = reading.inductors.get(name.lower())
    if inductor is None:
        raise card.error(f"{token.text!r} must be an inductor of the deck", token)
    return inductor


# --- values


def _value(card: Card, name: str, reading: Reading, letter: str, what: str) -> float:
    """Take a value, or a model and sizes, and return the value at the deck's temperature.

    **Arguments:** `name`: of the element. `letter`: of its line. `what`: the value's name.
    """
    known = {"r": RESISTOR, "c": CAPACITOR, "l": INDUCTOR}[letter].numbers
    value, model = None, None
    first = card.tokens[card.at] if card.more() else None
    while card.more() and not _is_pair(card):
        named = reading.models.get(card.peek())
        if isinstance(named, PassiveCard) and named.letter == letter and model is None:
            model = named
            card.take("a model")
        elif value is None:
            value = card.value(what)
        else:
            break
    values = _pairs(card, known)
    for one in (letter, "resistance", "capacitance", "inductance"):
        if one in values and one in known:
            value = values[one]
    if value is None and model is not None:
        value = model.value(values)
    if value is None:
        if first is None:
            raise card.line.error(f"{what} must follow here", len(card.line.text) - 1)
        raise card.error(f"{what} must stand here, or a model that gives it", first)
    _note_start(card, name, letter, values)
    count = values.get("m", 1.0)
    if not count > 0:
        raise card.error(f"`m` of {letter.upper()}{name} must be above 0, but is {count}", first)
    whole = value * _factor(card, letter.upper() + name, model.numbers if model else {}, values)
    return whole * count if letter == "c" else whole / count


def _is_pair(card: Card) -> bool:
    """Tell whether a name and '=' follow."""
    return card.at + 1 < len(card.tokens) and card.tokens[card.at + 1].text == "="


def _note_start(card: Card, name: str, letter: str, values: Mapping[str, float]) -> None:
    """Note the voltage or the current from which an element starts, if its line gives one."""
    if "ic" not in values:
        return
    if letter == "l":
        card.setting.currents[f"L{name}"] = values["ic"]
    else:
        plus, minus = (card.node_of(token.text) for token in card.tokens[1:3])
        card.setting.charged.append((plus, minus, values["ic"]))


def _pairs(card: Card, known: Mapping[str, Number]) -> dict[str, float]:
    """Take the pairs that end a line; `tc` may have two values, tc1 and tc2."""
    tokens, k = card.tokens, card.at
    while k + 2 < len(tokens):
        if tokens[k].text.lower() == "tc" and tokens[k + 1].text == "=":
            second = k + 3 + (k + 3 < len(tokens) and tokens[k + 3].text == ",")
            alone = second >= len(tokens) or [t.text for t in tokens[second + 1 : second + 2]] == [
                "="
            ]
            tokens[k] = Token("tc1", tokens[k].offset)
            if not alone:
                tokens[k + 3 : second] = [
                    Token("tc2", tokens[k].offset),
                    Token("=", tokens[k].offset),
                ]
        k += 1
    return card.assignments(known)


def _factor(
    card: Card, name: str, model: Mapping[str, float], values: Mapping[str, float]
) -> float:
    """Return scale · (1 + tc1 ΔT + tc2 ΔT²), ΔT above the temperature of the value."""
    first, second = (values.get(one, model.get(one, 0.0)) for one in ("tc1", "tc2"))
    stated = values["temp"] + 273.15 if "temp" in values else None
    kelvin = (card.setting.kelvin if stated is None else stated) + values.get("dtemp", 0.0)
    nominal = model["tnom"] + 273.15 if "tnom" in model else card.setting.nominal
    if (first or second) and stated is None:
        card.setting.thermal.append(name)
    above = kelvin - nominal
    return values.get("scale", 1.0) * (1 + first * above + second * above**2)


def _times(factor: float, whole: Operation) -> Operation:
    """Return an expression a number of times."""
    return whole if factor == 1 else Operation("*", (Constant(factor), whole))


_SHARED = meanings(
    tc1="change by temperature, per K",
    tc2="change by temperature, per K²",
    tc="tc1, and tc2 behind it",
    scale="a factor",
    temp="the element's temperature in °C, instead of the deck's",
    dtemp="how much warmer it is than the deck, in K",
)
_TIMES = meanings(m="how many stand in parallel")
_SIZES = meanings(l="length in m, for a model", w="width in m, for a model")

RESISTOR = Kind(
    "resistor",
    {
        "Rname n1 n2 ohms": "a resistance: a number, a parameter or {an expression}",
        "Rname n1 n2 r={v(c)*1k}": "a resistance of voltages, currents and the time",
        "Rname n1 n2 model [ohms] l=… w=…": "a resistance of a `.model` of kind r",
    },
    _resistor,
    _SHARED
    | meanings(r="the resistance in Ω", resistance="the same")
    | _TIMES
    | _SIZES
    | {"noisy": Number("whether it has noise", 1.0)},
)
CAPACITOR = Kind(
    "capacitor",
    {
        "Cname n1 n2 farads": "a capacitance",
        "Cname n1 n2 model [farads] l=… w=…": "a capacitance of a `.model` of kind c",
    },
    _capacitor,
    meanings(
        c="the capacitance in F",
        capacitance="the same",
        ic="the voltage in V from which it starts, with `uic`",
    )
    | _SHARED
    | _TIMES
    | _SIZES,
)
INDUCTOR = Kind(
    "inductor",
    {
        "Lname n1 n2 henries": "an inductance",
        "Lname n1 n2 model [henries]": "an inductance of a `.model` of kind l",
    },
    _inductor,
    meanings(
        l="the inductance in H",
        inductance="the same",
        ic="the current in A from which it starts, with `uic`",
    )
    | _SHARED
    | _TIMES,
)
COUPLING = Kind(
    "coupling of inductors",
    {"Kname L1 L2 [L3 …] k": "a coefficient from -1 to 1, between each two of them"},
    _coupling,
)
