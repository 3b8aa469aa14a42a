"""Controlled sources: a voltage or a current proportional to another one."""

from dataclasses import dataclass

from ..units import number, quantity
from .base import (
    GROUND,
    Element,
    Symbol,
    TwoTerminal,
    check_name,
    check_names,
    check_value,
    current_of,
)


class _VoltageControlled(Element):
    """A source that the voltage between two nodes controls."""

    word = "controlled source"
    node_fields = ("plus", "minus", "control_plus", "control_minus")
    plus: str
    minus: str
    control_plus: str
    control_minus: str

    @property
    def nodes(self):
        return (self.plus, self.minus, self.control_plus, self.control_minus)

    @property
    def control(self) -> str:
        """The controlling voltage, as a label writes it."""
        plus, minus = self.control_plus, self.control_minus
        return f"v({plus})" if minus == GROUND else f"v({plus}, {minus})"


class _CurrentControlled(TwoTerminal):
    """A source that the current of a voltage source controls."""

    word = "controlled source"
    source: str

    @property
    def sensed(self):
        return (self.source,)

    def check(self) -> None:
        """Raise `ValueError` where `source` cannot be a voltage source's SPICE name."""
        if self.source[:1] != "V":
            raise ValueError(
                f"`source` of {self.name} must be the SPICE name of a voltage source, as Vin, "
                f"but is {self.source!r}"
            )
        check_name(self.source)


@dataclass(frozen=True)
class VoltageGain(_VoltageControlled):
    """A voltage-controlled voltage source (E).

    v_plus − v_minus = `gain` · (v_control_plus − v_control_minus).

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`, `control_plus`,
    `control_minus`: nodes. `gain`: in V/V.

    **Raises** `ValueError` for a gain that is not finite, or a name that is none.
    """

    letter = "E"
    symbol = Symbol("SourceControlledV", turned=True)
    name: str
    plus: str
    minus: str
    control_plus: str
    control_minus: str
    gain: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "gain")

    def lines(self):
        return [f"E{self.name} {' '.join(self.nodes)} {number(self.gain)}"]

    def fixes_voltage(self, *, transient=False):
        del transient
        return True

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)
        stamps.entry(current_of(self.key), self.control_plus, -self.gain)
        stamps.entry(current_of(self.key), self.control_minus, self.gain)

    def label(self):
        return f"{self.gain:g}·{self.control}"


@dataclass(frozen=True)
class CurrentGain(_CurrentControlled):
    """A current-controlled current source (F).

    `gain` times the current of the voltage source `source` leaves `plus` and enters `minus`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `source`: the
    SPICE name of a voltage source, letter included. `gain`: in A/A.

    **Raises** `ValueError` for a gain that is not finite, or a name that is none.
    """

    letter = "F"
    symbol = Symbol("SourceControlledI")
    name: str
    plus: str
    minus: str
    source: str
    gain: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        self.check()
        check_value(self, "gain")

    def lines(self):
        return [f"F{self.name} {self.plus} {self.minus} {self.source} {number(self.gain)}"]

    def stamp(self, stamps):
        stamps.entry(self.plus, current_of(self.source), self.gain)
        stamps.entry(self.minus, current_of(self.source), -self.gain)

    def label(self):
        return f"{self.gain:g}·i({self.source})"


@dataclass(frozen=True)
class Transconductance(_VoltageControlled):
    """A voltage-controlled current source (G).

    `siemens` · (v_control_plus − v_control_minus) leave `plus` and enter `minus`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`, `control_plus`,
    `control_minus`: nodes. `siemens`: in S, of either sign.

    **Raises** `ValueError` for a value that is not finite, or a name that is none.
    """

    letter = "G"
    symbol = Symbol("SourceControlledI")
    name: str
    plus: str
    minus: str
    control_plus: str
    control_minus: str
    siemens: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "siemens")

    def lines(self):
        return [f"G{self.name} {' '.join(self.nodes)} {number(self.siemens)}"]

    def stamp(self, stamps):
        stamps.transfer(*self.nodes, self.siemens)

    def label(self):
        return f"{quantity(self.siemens, 'S')}·{self.control}"


@dataclass(frozen=True)
class Transresistance(_CurrentControlled):
    """A current-controlled voltage source (H).

    v_plus − v_minus = `ohms` times the current of the voltage source `source`.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `source`: the
    SPICE name of a voltage source, letter included. `ohms`: in Ω, of either sign.

    **Raises** `ValueError` for a value that is not finite, or a name that is none.
    """

    letter = "H"
    symbol = Symbol("SourceControlledV", turned=True)
    name: str
    plus: str
    minus: str
    source: str
    ohms: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        self.check()
        check_value(self, "ohms")

    def lines(self):
        return [f"H{self.name} {self.plus} {self.minus} {self.source} {number(self.ohms)}"]

    def fixes_voltage(self, *, transient=False):
        del transient
        return True

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)
        stamps.entry(current_of(self.key), current_of(self.source), -self.ohms)

    def label(self):
        return f"{quantity(self.ohms, 'Ω')}·i({self.source})"
