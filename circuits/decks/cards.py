"""The cards of elements and models: one line of a deck and what it says."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..devices import Diode, Junction
from ..elements import Capacitor, Element, Inductor, Resistor
from ..expressions import Current, Voltage, renamed
from ..sources import (
    Behavioural,
    CurrentGain,
    CurrentSource,
    Pulse,
    Pwl,
    Sin,
    Transconductance,
    Transresistance,
    VoltageGain,
    VoltageSource,
    Waveform,
)
from .arithmetic import Parameters, expression, number
from .lines import Line, Token, split


class Card:
    """A line read from left to right, in the scope of an instance: its parameters, and what nodes and elements are called outside."""

    def __init__(self, line: Line, parameters: Parameters, node: Callable[[str], str], prefix: str):
        self.line, self.parameters, self._node, self.prefix = line, parameters, node, prefix
        self.tokens = split(line)
        self.at = 0

    def error(self, message: str, token: Token | None = None) -> Exception:
        """An error at a token, at the next one if not given."""
        if token is None:
            token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return self.line.error(message, token.offset)

    def more(self) -> bool:
        """Whether there are tokens left."""
        return self.at < len(self.tokens)

    def peek(self) -> str:
        """The next token in lower case, empty at the end."""
        return self.tokens[self.at].text.lower() if self.more() else ""

    def take(self, what: str) -> Token:
        """The next token, an error that asks for `what` at the end."""
        if not self.more():
            raise self.line.error(f"{what} must follow here", len(self.line.text) - 1)
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Takes the next token if it is one of `words`."""
        if self.peek() in words:
            self.at += 1
            return True
        return False

    def node(self) -> str:
        """The next token as a node."""
        token = self.take("a node")
        if token.text in "=(),":
            raise self.error(f"a node must stand here, but {token.text!r} does", token)
        return self._node(token.text)

    def voltage(self) -> str:
        """The next tokens, v(node), as the node."""
        if not (self.accept("v") and self.accept("(")):
            raise self.error("v(node) must stand here")
        node = self.node()
        if not self.accept(")"):
            raise self.error("')' must follow")
        return node

    def nodes(self, count: int) -> list[str]:
        """The next tokens as nodes."""
        return [self.node() for _ in range(count)]

    def value(self, what: str) -> float:
        """The next token as a number: itself, or an expression of parameters in braces or quotes."""
        token = self.take(what)
        found = number(token.text)
        if found is None and token.text[0] in "{'":
            inside = expression(self.line, token.offset + 1, token.offset + len(token.text) - 1, self.parameters, constant=True)
            return inside.value  # type: ignore[union-attr]  # a constant, as asked for
        if found is None:
            raise self.error(f"{what} must stand here, a number or an expression in braces, but {token.text!r} does", token)
        if not np.isfinite(found):
            raise self.error(f"{what} must be finite, but is {token.text}", token)
        return found

    def assignments(self, known: Mapping[str, float | None]) -> dict[str, float]:
        """The rest of the card as `name=value` pairs, of names in `known` alone: those with a number may only have that value."""
        found: dict[str, float] = {}
        while self.more():
            if self.accept(","):
                continue
            token = self.take("a name")
            name = token.text.lower()
            if name not in known or not self.accept("="):
                raise self.error(f"{token.text!r} is not supported here; what is: {', '.join(known) or 'nothing more'}", token)
            value = self.value(f"the value of {name}")
            only = known[name]
            if only is not None and value != only:
                raise self.error(f"{name} is supported as {only} alone, but is {value}", token)
            if name in found:
                raise self.error(f"{name} stands twice", token)
            found[name] = value
        return found

    def end(self) -> None:
        """Raises an error where something is left."""
        if self.more():
            raise self.error(f"the line must end here, but {self.tokens[self.at].text!r} follows")


def elements(card: Card, models: Mapping[str, Any], sources: Callable[[str], str]) -> list[Element]:
    """The element of a card, or what it stands for. `sources` gives the netlist's name of a voltage source, letter included."""
    first = card.take("a name")
    letter = first.text[0].upper()
    if letter not in _READERS:
        raise card.error(f"elements of kind {letter} are not supported; what is: {', '.join(_READERS)}, X", first)
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
        raise card.error(f"the resistance of R{name} must be above 0, but is {ohms}", card.tokens[at])
    return Resistor(name, nodes[0], nodes[1], 1 / ohms)


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
                ac = card.value("a magnitude") if number(card.peek()) is not None or card.peek()[:1] in ("{", "'") else 1.0
                if number(card.peek()) is not None and card.value("a phase") != 0:
                    raise card.error("a phase other than 0 is not supported", card.tokens[card.at - 1])
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
    while card.more() and card.peek() != ")" and (number(card.peek()) is not None or card.peek()[:1] in ("{", "'", ",")):
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
        raise card.error(f"{name} must have {'7' if name == 'pulse' else '3 to 5'} values, but has {len(values)}", token) from None


_WAVEFORMS = ("pulse", "sin", "pwl")


def _controlled(by_voltage, by_current):
    def read(card, name, models, sources):
        nodes = card.nodes(2)
        if by_voltage is not None and card.peek() in ("value", "vol", "cur"):
            return _told(card, name, nodes, "v" if by_voltage is VoltageGain else "i", sources)
        if by_voltage is not None:
            return by_voltage(name, *nodes, *card.nodes(2), card.value("a gain"))
        return by_current(name, *nodes, sources(card.take("a voltage source").text), card.value("a gain"))

    return read


def _behavioural(card, name, models, sources):
    nodes = card.nodes(2)
    output = card.peek()
    if output not in ("i", "v"):
        raise card.error("i=… or v=… must stand here")
    return _told(card, name, nodes, output, sources)


def _told(card: Card, name: str, nodes: Sequence[str], output: str, sources: Callable[[str], str]) -> Behavioural:
    card.take("a name")
    if not card.accept("="):
        raise card.error("'=' must follow")
    start, end = card.tokens[card.at].offset if card.more() else len(card.line.text), len(card.line.text)
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
    model = _model_of(card, models, DiodeModel, "a diode")
    area = card.value("an area") if number(card.peek()) is not None else None
    rest = card.assignments({"area": None})
    if area is not None and rest:
        raise card.error(f"the area of D{name} stands twice", card.tokens[0])
    area = rest.get("area", 1.0 if area is None else area)
    if not model.ohms:
        return Diode(name, nodes[0], nodes[1], model.junction, area)
    inner = f"d{name}.rs".lower()
    return [Resistor(f"d{name}.rs", nodes[0], inner, area / model.ohms), Diode(name, inner, nodes[1], model.junction, area)]


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
}


@dataclass(frozen=True)
class DiodeModel:
    """A diode's junction, and the resistance in series with it, in Ω for an area of 1: a resistor of its own in the netlist."""

    junction: Junction
    ohms: float


def model(card: Card, gmin: float) -> tuple[str, DiodeModel]:
    """The name, in lower case, and the model of a `.model` card."""
    card.take(".model")
    token, kind = card.take("a name"), card.take("a kind")
    if kind.text.lower() != "d":
        raise card.error(f"models of kind {kind.text!r} are not supported; what is: d", kind)
    if card.accept("("):
        if card.tokens[-1].text != ")":
            raise card.error("')' must end the model", card.tokens[-1])
        card.tokens.pop()
    values = card.assignments(_DIODE)
    try:
        junction = Junction(values.get("is", 1e-14), values.get("n", 1.0), gmin, token.text)
    except ValueError as error:
        raise card.error(str(error), token) from error
    ohms = values.get("rs", 0.0)
    if not (math.isfinite(ohms) and ohms >= 0):
        raise card.error(f"rs must be finite and at least 0, but is {ohms}", token)
    return token.text.lower(), DiodeModel(junction, ohms)


_DIODE: dict[str, float | None] = {
    "is": None,
    "n": None,
    "rs": None,
    "eg": None,  # it and xti say what temperature does to a diode, and a deck is read at 27 degrees
    "xti": None,
    "cjo": 0.0,
    "cj0": 0.0,
    "tt": 0.0,
    "ikf": 0.0,
}
