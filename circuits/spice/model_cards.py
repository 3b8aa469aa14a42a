"""The cards of models: diodes and transistors, each with the resistances in series with it."""

import math
from dataclasses import dataclass

from ..elements.diodes import DiodeModel
from ..elements.transistors import CARD, MosfetModel
from .cards import Card


@dataclass(frozen=True)
class DiodeCard:
    """A diode's junction, and the resistance in series with it, in Ω for an area of 1: a resistor of its own in the netlist."""

    law: DiodeModel
    ohms: float


@dataclass(frozen=True)
class MosfetCard:
    """A transistor, and the resistances in series with its drain and its source, in Ω: resistors of their own in the netlist."""

    law: MosfetModel
    drain_ohms: float
    source_ohms: float


def model(card: Card, gmin: float) -> tuple[str, DiodeCard | MosfetCard]:
    """The name, in lower case, and the model of a `.model` card."""
    card.take(".model")
    token, kind = card.take("a name"), card.take("a kind")
    made = _KINDS.get(kind.text.lower())
    if made is None:
        raise card.error(
            f"models of kind {kind.text!r} are not supported; what is: {', '.join(_KINDS)}", kind
        )
    if card.accept("("):
        if card.tokens[-1].text != ")":
            raise card.error("')' must end the model", card.tokens[-1])
        card.tokens.pop()
    known, of = made
    values = card.assignments(known)
    for name in _OHMS.intersection(values):
        if not (math.isfinite(values[name]) and values[name] >= 0):
            raise card.error(f"{name} must be finite and at least 0, but is {values[name]}", token)
    try:
        return token.text.lower(), of(values, gmin, token.text)
    except ValueError as error:
        raise card.error(str(error), token) from error


def _diode(values: dict[str, float], gmin: float, name: str) -> DiodeCard:
    given = {field: values[key] for key, field in _JUNCTION.items() if key in values}
    return DiodeCard(
        DiodeModel(**{"saturation": 1e-14, **given}, gmin=gmin, name=name), values.get("rs", 0.0)
    )


def _mosfet(kind: str):
    def made(values: dict[str, float], gmin: float, name: str) -> MosfetCard:
        given = {field: values[key.lower()] for key, field in CARD.items() if key.lower() in values}
        return MosfetCard(
            MosfetModel(kind, gmin=gmin, name=name, **given),
            values.get("rd", 0.0),
            values.get("rs", 0.0),
        )

    return made


_OHMS = {"rs", "rd"}
_JUNCTION = {
    "is": "saturation",
    "n": "emission",
    "eg": "bandgap",
    "xti": "exponent",
    "kf": "flicker",
    "af": "flicker_exponent",
}
_DIODE: dict[str, float | None] = {
    **dict.fromkeys((*_JUNCTION, "rs")),
    **dict.fromkeys(("cjo", "cj0", "tt", "ikf"), 0.0),
}
_MOSFET: dict[str, float | None] = {
    "level": 1.0,
    **dict.fromkeys((*map(str.lower, CARD), "rd", "rs")),
    **dict.fromkeys(
        ("ld", "js", "rsh", "cbd", "cbs", "cj", "cjsw", "cgso", "cgdo", "cgbo", "kf"), 0.0
    ),
}
_KINDS = {"d": (_DIODE, _diode), "nmos": (_MOSFET, _mosfet("n")), "pmos": (_MOSFET, _mosfet("p"))}
