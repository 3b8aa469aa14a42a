"""The lines of diodes and transistors."""

import math
from typing import Any

from ..elements.base import Element
from ..elements.diodes import Diode
from ..elements.passive import Resistor
from ..elements.transistors import Mosfet
from .cards import Card
from .grammar import INFORMS, Kind, meanings
from .model_cards import DiodeCard, MosfetCard
from .scopes import Reading


def _diode(card: Card, name: str, reading: Reading) -> list[Element]:
    """Return a diode, and the resistor in series with it if its model has one."""
    anode, cathode = card.nodes(2)
    model = _model_of(card, reading, DiodeCard, "a diode")
    area = card.value("an area") if card.has_value() else None
    card.accept("off")
    values = card.assignments(DIODE.numbers)
    _require_temperature(card, name, values)
    if "ic" in values:
        card.note(f"the initial voltage of D{name} is left out")
    if area is not None and "area" in values:
        raise card.error(f"the area of D{name} stands twice", card.tokens[0])
    area, count = values.get("area", 1.0 if area is None else area), values.get("m", 1.0)
    if not (area > 0 and count > 0):
        raise ValueError(f"the area of D{name} must be above 0, but is {area * count:g}")
    if model.law.breakdown == math.inf:  # to all else it is the same
        area, count = area * count, 1.0
    series, inner = _in_series(f"d{name}.rs", anode, model.ohms / (area * count))
    return [*series, Diode(name, inner, cathode, model.law, area, count)]


def _require_temperature(card: Card, name: str, values: dict[str, float]) -> None:
    """Raise `ValueError` for a diode that is warmer or colder than its circuit."""
    kelvin = values["temp"] + 273.15 if "temp" in values else card.setting.kelvin
    kelvin += values.get("dtemp", 0.0)
    if kelvin != card.setting.kelvin:
        raise ValueError(
            f"D{name} must have the temperature of the deck, {card.setting.kelvin - 273.15:g} °C, "
            f"but has {kelvin - 273.15:g} °C"
        )


def _transistor(card: Card, name: str, reading: Reading) -> list[Element]:
    """Return a transistor, and the resistors in series with its drain and source.

    `m` transistors in parallel are one that is as many times as wide.
    """
    drain, gate, source, bulk = card.nodes(4)
    model = _model_of(card, reading, MosfetCard, "a transistor")
    size = card.assignments(TRANSISTOR.numbers)
    count = size.get("m", 1.0)
    areas = [key for key in ("ad", "as", "pd", "ps") if size.get(key)]
    if areas and model.per_area:
        raise ValueError(
            f"{' and '.join(areas)} of M{name} must be 0, as the capacitance of a junction by its "
            "area, `cj` or `cjsw`, is not supported"
        )
    if not count > 0:
        raise ValueError(f"`m` of M{name} must be above 0, but is {count}")
    at_drain, drain = _in_series(f"m{name}.rd", drain, model.drain_ohms / count)
    at_source, source = _in_series(f"m{name}.rs", source, model.source_ohms / count)
    width, length = size.get("w", 1e-4) * count, size.get("l", 1e-4)
    return [
        *(*at_drain, *at_source),
        Mosfet(name, drain, gate, source, bulk, model.law, width, length),
    ]


def _in_series(name: str, node: str, ohms: float) -> tuple[list[Element], str]:
    """Return a model's resistance as a resistor between `node` and an inner node, and that node.

    For 0 Ω there is no resistor, and the inner node is `node` itself.
    """
    if not ohms:
        return [], node
    return [Resistor(name, node, name.lower(), siemens=1 / ohms)], name.lower()


def _model_of(card: Card, reading: Reading, kind: type, what: str) -> Any:
    """Take the name of a model of a kind, and return the model."""
    token = card.take("a model")
    model = reading.models.get(token.text.lower())
    if not isinstance(model, kind):
        raise card.error(f"{token.text!r} must be a model of {what} that the deck defines", token)
    return model


DIODE = Kind(
    "diode",
    {"Dname anode cathode model [area] [off]": "a diode of a `.model` of kind d"},
    _diode,
    meanings(area="a number that multiplies the currents and charges", m="how many in parallel")
    | meanings(
        temp="its temperature in °C, which must be that of the deck",
        dtemp="how much warmer it is than the deck in K, 0",
        ic="its voltage where a transient starts, left out with a note",
    )
    | dict.fromkeys(("pj", "w", "l", "thermal"), INFORMS),
)
TRANSISTOR = Kind(
    "transistor",
    {"Mname drain gate source bulk model": "a transistor of a `.model` of kind nmos or pmos"},
    _transistor,
    meanings(w="width in m", l="length in m", m="how many in parallel")
    | meanings(
        ad="area of the drain in m², which says nothing without `cj`",
        pd="its edge in m, which says nothing without `cjsw`",
        **{"as": "area of the source in m²", "ps": "its edge in m"},
    )
    | dict.fromkeys(("nrd", "nrs", "off"), INFORMS),
)
