"""The cards of models: of diodes, transistors, resistors, capacitors and inductors."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..elements import diodes, transistors
from ..elements.diodes import DiodeModel
from ..elements.junction_laws import potential_at
from ..elements.transistors import MosfetModel
from ..units import BOLTZMANN, CHARGE, ROOM
from .cards import Card
from .grammar import INFORMS, Kind, Number, meanings


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

    The resistances are resistors of their own in the netlist. `per_area`: whether its junctions
    have capacitances by their area, which lines must then leave out.
    """

    law: MosfetModel
    drain_ohms: float
    source_ohms: float
    per_area: bool


@dataclass(frozen=True)
class PassiveCard:
    """The `numbers` of a model of resistors, capacitors or inductors, by the `letter` of these."""

    letter: str
    numbers: Mapping[str, float]

    def value(self, line: Mapping[str, float]) -> float | None:
        """Return the value in Ω, F or H, None where neither sizes nor the card give one.

        **Arguments:** `line`: the `l` and `w` of an element's line, in m.
        """
        numbers = self.numbers
        sides = 2 if self.letter == "r" else 1  # on how many it is smaller, as in ngspice
        width = line.get("w", numbers.get("defw", 1e-5)) - sides * numbers.get("narrow", 0.0)
        length = line.get("l", 0.0) - sides * numbers.get("short", 0.0)
        if self.letter == "r" and numbers.get("rsh") and "l" in line and "w" in line and width > 0:
            return numbers["rsh"] * length / width
        if self.letter == "c" and (numbers.get("cj") or numbers.get("cjsw")) and "l" in line:
            edge = numbers.get("cjsw", 0.0) * 2 * (length + width)
            return numbers.get("cj", 0.0) * length * width + edge
        return next((numbers[one] for one in _VALUES[self.letter] if one in numbers), None)


_VALUES = {"r": ("r", "res"), "c": ("c", "cap"), "l": ("ind",)}
"""What a card calls the value itself."""


def model(card: Card) -> tuple[str, DiodeCard | MosfetCard | PassiveCard]:
    """Return the name, in lower case, and the model of a `.model` line.

    **Raises** `DeckError` for a kind, a parameter or a value that is not supported.
    """
    card.take(".model")
    token, kind = card.take("a name"), card.take("a kind")
    known = MODELS.get(kind.text.lower())
    if known is None:
        raise card.error(
            f"models of kind {kind.text!r} are not supported; what is: {', '.join(MODELS)}", kind
        )
    if card.accept("("):
        if card.tokens[-1].text != ")":
            raise card.error("')' must end the model", card.tokens[-1])
        card.tokens.pop()

    values = card.assignments(known.numbers)
    for name in _OHMS.intersection(values):
        if not (math.isfinite(values[name]) and values[name] >= 0):
            raise card.error(f"{name} must be finite and at least 0, but is {values[name]}", token)
    try:
        return token.text.lower(), known.read(card, values, token.text)
    except ValueError as error:
        raise card.error(str(error), token) from error


def _diode(card: Card, values: dict[str, float], name: str) -> DiodeCard:
    """Return a diode's model."""
    junction = {field: values[key] for key, field in _JUNCTION.items() if key in values}
    junction = {"saturation": 1e-14} | junction
    for field in ("breakdown", "knee"):  # 0 means none
        if junction.get(field) == 0:
            del junction[field]
    for field, most in (("grading", 0.9), ("forward", 0.95)):
        if junction.get(field, 0.0) > most:
            card.note(f"{field} of {name} is above {most:g}, which stands for it, as in ngspice")
            junction[field] = most
    law = DiodeModel(**junction, gmin=card.setting.gmin, name=name)
    nominal = values["tnom"] + 273.15 if "tnom" in values else card.setting.nominal
    if nominal != ROOM:
        law = _at_room(law, nominal)
    return DiodeCard(law, values.get("rs", 0.0))


def _at_room(law: DiodeModel, nominal: float) -> DiodeModel:
    """Return a junction whose parameters are stated at `nominal` K, as stated at 27 °C.

        I_s(T) = I_s(T₀) (T/T₀)^(xti/n) exp((T/T₀ − 1) q E_g / (n k T)),

    ngspice's law, which is the same from either temperature; and so ISR with NR. VJ and CJO change
    as `potential_at` and `DiodeModel.charge` say.
    """
    if not nominal > 0:
        raise ValueError(f"tnom must be above -273.15, but is {nominal - 273.15:g}")

    def growth(emission: float) -> float:
        exponent = (1 / nominal - 1 / ROOM) * CHARGE * law.bandgap / (emission * BOLTZMANN)
        return (ROOM / nominal) ** (law.exponent / emission) * math.exp(exponent)

    # `potential_at` is a straight line of the potential at 27 °C
    least, slope = potential_at(0.0, nominal), potential_at(1.0, nominal)
    potential = (law.potential - least) / (slope - least)
    change = (law.potential - potential) / potential
    shrunk = 1 + law.grading * (4e-4 * (nominal - ROOM) - change)
    return replace(
        law,
        saturation=law.saturation * growth(law.emission),
        recombination=law.recombination * growth(law.recombination_emission),
        potential=potential,
        capacitance=law.capacitance / shrunk,
    )


def _mosfet(kind: str) -> Callable[[Card, dict[str, float], str], MosfetCard]:
    """Return the reader of the models of a channel, "n" or "p"."""

    def read(card: Card, values: dict[str, float], name: str) -> MosfetCard:
        if values.get("tnom", card.setting.nominal - 273.15) != ROOM - 273.15:
            raise ValueError(f"tnom of a transistor is supported as {ROOM - 273.15:g} alone")
        fields = transistors.CARD | transistors.CHARGES
        law = {field: values[key.lower()] for key, field in fields.items() if key.lower() in values}
        return MosfetCard(
            MosfetModel(kind, gmin=card.setting.gmin, name=name, **law),
            values.get("rd", 0.0),
            values.get("rs", 0.0),
            bool(values.get("cj") or values.get("cjsw")),
        )

    return read


def _passive(letter: str) -> Callable[[Card, dict[str, float], str], PassiveCard]:
    """Return the reader of the models of elements of a letter."""

    def read(card: Card, values: dict[str, float], name: str) -> PassiveCard:
        del card, name
        return PassiveCard(letter, values)

    return read


_OHMS = {"rs", "rd"}
_JUNCTION = {"is": "saturation", "n": "emission", "cj0": "capacitance", "cj": "capacitance"} | {
    key.lower(): field for key, field in diodes.CARD.items()
}
_LEVEL = {"level": Number("the level", 1.0)}
_NOMINAL = meanings(tnom="the temperature in °C at which all is stated")

_DIODE = (
    _LEVEL
    | _NOMINAL
    | meanings(
        **{"is": "saturation current in A"},
        n="emission coefficient",
        rs="resistance in series in Ω",
        eg="band gap in eV",
        xti="exponent of the temperature in the saturation current",
        kf="flicker noise in A",
        af="its exponent",
        bv="breakdown voltage in V",
        ibv="current in A at the breakdown voltage",
        nbv="emission coefficient of the breakdown",
        ikf="knee of high injection in A",
        isr="recombination current in A",
        nr="its emission coefficient",
        cjo="capacitance of the depletion layer at 0 V in F; `cj0` and `cj` too",
        cj0="the same",
        cj="the same",
        vj="built-in potential in V",
        m="grading of the junction",
        fc="part of the potential from which the capacitance is a straight line",
        tt="transit time in s",
    )
    | dict.fromkeys(
        (
            *("mfg", "type", "vpk", "iave", "icrating", "vrev", "iavg", "bv_max", "fv_max"),
            *("id_max", "te_max", "pd_max", "rth0", "cth0", "vb"),
        ),
        INFORMS,
    )
    | dict.fromkeys(("trs1", "trs2", "tbv1", "tcv", "ikr"), Number("supported as 0 alone", 0.0))
)

_MOSFET = (
    _LEVEL
    | meanings(
        vto="threshold in V",
        kp="transconductance in A/V²",
        gamma="body effect in √V",
        **{"is": "saturation current of each junction in A"},
        phi="surface potential in V",
        rd="resistance in series with the drain in Ω",
        rs="resistance in series with the source in Ω",
        cbd="capacitance of the drain's junction in F",
        cbs="capacitance of the source's junction in F",
        pb="built-in potential of the junctions in V",
        mj="their grading",
        fc="part of the potential from which their capacitance is a straight line",
        cgso="overlap capacitance of gate and source in F/m of width",
        cgdo="the same of the drain",
        cgbo="overlap capacitance of gate and bulk in F/m of length",
    )
    | {"lambda": Number("channel-length modulation in 1/V")}
    | _NOMINAL
    | dict.fromkeys(("ld", "js", "rsh", "kf"), Number("supported as 0 alone", 0.0))
    | meanings(
        cj="capacitance of a junction in F/m², for lines without areas",
        cjsw="the same of its edge in F/m",
    )
    | dict.fromkeys(("mjsw", "capmod", "af"), INFORMS)
)


def _numbers(letter: str, **words: str) -> dict[str, Number]:
    """Return what a card of a passive element may hold."""
    value = {name: Number("the value") for name in _VALUES[letter]}
    return value | _NOMINAL | meanings(tc1="per K", tc2="per K²", **words)


_SIZES = {
    "defw": "width in m where a line gives none",
    "narrow": "how much narrower it is, in m, of resistors on either side",
    "short": "how much shorter it is, in m, of resistors on either side",
}
MODELS: dict[str, Kind] = {
    "d": Kind("diode", {}, _diode, _DIODE),
    "nmos": Kind("n-channel MOSFET of level 1", {}, _mosfet("n"), _MOSFET),
    "pmos": Kind("p-channel MOSFET of level 1", {}, _mosfet("p"), _MOSFET),
    "r": Kind("resistor", {}, _passive("r"), _numbers("r", rsh="Ω of a square", **_SIZES)),
    "res": Kind("resistor", {}, _passive("r"), _numbers("r", rsh="Ω of a square", **_SIZES)),
    "c": Kind(
        "capacitor", {}, _passive("c"), _numbers("c", cj="F/m²", cjsw="F/m of the edge", **_SIZES)
    ),
    "l": Kind("inductor", {}, _passive("l"), _numbers("l")),
}
"""The kinds of `.model` lines."""
