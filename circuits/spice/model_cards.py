"""The cards of models: diodes and transistors, each with the resistances in series with it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..elements.diodes import DiodeModel
from ..elements.transistors import CARD, MosfetModel
from ..units import BOLTZMANN, CHARGE, ROOM
from .cards import Card


@dataclass(frozen=True)
class DiodeCard:
    """A diode's junction `law`, and the resistance in series with it, in `ohms` for an area of 1.

    The resistance is a resistor of its own in the netlist.
    """

    law: DiodeModel
    ohms: float


@dataclass(frozen=True)
class MosfetCard:
    """A transistor's `law`, and the resistances in series with its drain and its source, in Ω.

    The resistances are resistors of their own in the netlist.
    """

    law: MosfetModel
    drain_ohms: float
    source_ohms: float


def model(card: Card) -> tuple[str, DiodeCard | MosfetCard]:
    """Return the name, in lower case, and the model of a `.model` line.

    **Raises** `DeckError` for a kind, a parameter or a value that is not supported.
    """
    card.take(".model")
    token, kind = card.take("a name"), card.take("a kind")
    known, read = _KINDS.get(kind.text.lower(), (None, None))
    if known is None or read is None:
        raise card.error(
            f"models of kind {kind.text!r} are not supported; what is: {', '.join(_KINDS)}", kind
        )
    if card.accept("("):
        if card.tokens[-1].text != ")":
            raise card.error("')' must end the model", card.tokens[-1])
        card.tokens.pop()

    values = card.assignments(known)
    for name in _OHMS.intersection(values):
        if not (math.isfinite(values[name]) and values[name] >= 0):
            raise card.error(f"{name} must be finite and at least 0, but is {values[name]}", token)
    try:
        return token.text.lower(), read(card, values, token.text)
    except ValueError as error:
        raise card.error(str(error), token) from error


def _diode(card: Card, values: dict[str, float], name: str) -> DiodeCard:
    """Return a diode's model."""
    junction = {field: values[key] for key, field in _JUNCTION.items() if key in values}
    junction = {"saturation": 1e-14} | junction
    law = DiodeModel(**junction, gmin=card.setting.gmin, name=name)
    nominal = values["tnom"] + 273.15 if "tnom" in values else card.setting.nominal
    if nominal != ROOM:
        law = _at_room(law, nominal)
    return DiodeCard(law, values.get("rs", 0.0))


def _at_room(law: DiodeModel, nominal: float) -> DiodeModel:
    """Return a junction whose saturation current is stated at `nominal` K, as stated at 27 °C.

        I_s(T) = I_s(T₀) (T/T₀)^(xti/n) exp((T/T₀ − 1) q E_g / (n k T)),

    ngspice's law, which is the same from either temperature.
    """
    if not nominal > 0:
        raise ValueError(f"tnom must be above -273.15, but is {nominal - 273.15:g}")
    exponent = (1 / nominal - 1 / ROOM) * CHARGE * law.bandgap / (law.emission * BOLTZMANN)
    power = (ROOM / nominal) ** (law.exponent / law.emission)
    return replace(law, saturation=law.saturation * power * math.exp(exponent))


def _mosfet(kind: str) -> Callable[[Card, dict[str, float], str], MosfetCard]:
    """Return the reader of the models of a channel, "n" or "p"."""

    def read(card: Card, values: dict[str, float], name: str) -> MosfetCard:
        if values.get("tnom", card.setting.nominal - 273.15) != ROOM - 273.15:
            raise ValueError(f"tnom of a transistor is supported as {ROOM - 273.15:g} alone")
        law = {field: values[key.lower()] for key, field in CARD.items() if key.lower() in values}
        return MosfetCard(
            MosfetModel(kind, gmin=card.setting.gmin, name=name, **law),
            values.get("rd", 0.0),
            values.get("rs", 0.0),
        )

    return read


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
    "level": 1.0,
    **dict.fromkeys((*_JUNCTION, "rs", "tnom")),
    **dict.fromkeys(("cjo", "cj0", "tt", "ikf"), 0.0),
}
_MOSFET: dict[str, float | None] = {
    "level": 1.0,
    **dict.fromkeys((*map(str.lower, CARD), "rd", "rs", "tnom")),
    **dict.fromkeys(
        ("ld", "js", "rsh", "cbd", "cbs", "cj", "cjsw", "cgso", "cgdo", "cgbo", "kf"), 0.0
    ),
}
_KINDS = {"d": (_DIODE, _diode), "nmos": (_MOSFET, _mosfet("n")), "pmos": (_MOSFET, _mosfet("p"))}
