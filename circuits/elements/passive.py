"""Passive elements: resistors, matrices of them, capacitors, inductors."""

from dataclasses import dataclass

import numpy as np

from ..units import number
from .base import Element, TwoTerminal, check_names, check_value


@dataclass(frozen=True, init=False)
class Resistor(TwoTerminal):
    """A conductance between two nodes, given as `siemens` or as `ohms`: i = g (v_plus − v_minus).

    **Arguments:**

    - `name`: the SPICE name without its letter. `plus`, `minus`: nodes.
    - `siemens`: the conductance g in S, finite and above 0; or `ohms`: 1/g in Ω. One of the two.

    **Raises** `ValueError` where not exactly one of the two is given, or it is not finite and
    above 0, or a name is none.
    """

    letter = "R"
    name: str
    plus: str
    minus: str
    siemens: float

    def __init__(
        self,
        name: str,
        plus: str,
        minus: str,
        *,
        siemens: float | None = None,
        ohms: float | None = None,
    ):
        if (siemens is None) == (ohms is None):
            raise ValueError(
                f"`siemens` or `ohms` of {name} must be given, one of them, "
                f"but they are {siemens} and {ohms}"
            )
        if ohms is not None and not ohms > 0:
            raise ValueError(f"`ohms` of {name} must be finite and above 0, but is {ohms}")
        siemens = siemens if ohms is None else 1 / ohms
        vars(self).update(name=name, plus=plus, minus=minus, siemens=siemens)
        check_names(name, (plus, minus))
        check_value(self, "siemens", positive=True)

    @property
    def ohms(self) -> float:
        """The resistance in Ω."""
        return 1 / self.siemens

    def lines(self):
        return [f"R{self.name} {self.plus} {self.minus} {number(self.ohms)}"]


@dataclass(frozen=True, eq=False)
class ConductanceMatrix(Element):
    """Conductances `siemens[i, j]` ≥ 0 between `rows[i]` and `columns[j]`: a crossbar without wires, a resistor for each that is not 0.

    Raises `ValueError` for a negative or non-finite conductance, naming its nodes.
    """

    letter = "R"
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    siemens: np.ndarray

    def __post_init__(self):
        check_names(self.name, (*self.rows, *self.columns))
        if self.siemens.shape != (len(self.rows), len(self.columns)):
            raise ValueError(
                f"`siemens` of {self.name} must have shape {(len(self.rows), len(self.columns))}, but has {self.siemens.shape}"
            )
        wrong = ~(np.isfinite(self.siemens) & (self.siemens >= 0))
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            between = f"between {self.rows[i]} and {self.columns[j]}"
            raise ValueError(
                f"`siemens` of {self.name} must be finite and at least 0, but is {self.siemens[i, j]} {between}"
            )

    def __eq__(self, other):
        return (
            isinstance(other, ConductanceMatrix)
            and (self.name, self.rows, self.columns) == (other.name, other.rows, other.columns)
            and np.array_equal(self.siemens, other.siemens)
        )

    __hash__ = None  # type: ignore[assignment]  # holds an array

    @property
    def nodes(self):
        used = np.asarray(self.siemens > 0)
        rows = (
            node for node, any_used in zip(self.rows, np.any(used, axis=1), strict=True) if any_used
        )
        return (
            *rows,
            *(
                node
                for node, any_used in zip(self.columns, np.any(used, axis=0), strict=True)
                if any_used
            ),
        )

    def lines(self):
        there = np.asarray(self.siemens > 0)
        ohms = 1 / np.where(there, self.siemens, 1.0)
        return [
            f"R{self.name}_{row}_{column} {row} {column} {value!r}"  # as `number` writes it: there are many
            for row, values, present in zip(self.rows, ohms.tolist(), there.tolist(), strict=True)
            for column, value, is_there in zip(self.columns, values, present, strict=True)
            if is_there
        ]


@dataclass(frozen=True)
class Capacitor(TwoTerminal):
    """A capacitance of `farads` > 0 between two nodes."""

    letter = "C"
    name: str
    plus: str
    minus: str
    farads: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "farads", positive=True)

    def lines(self):
        return [f"C{self.name} {self.plus} {self.minus} {number(self.farads)}"]


@dataclass(frozen=True)
class Inductor(TwoTerminal):
    """An inductance of `henries` > 0 between two nodes."""

    letter = "L"
    name: str
    plus: str
    minus: str
    henries: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "henries", positive=True)

    def lines(self):
        return [f"L{self.name} {self.plus} {self.minus} {number(self.henries)}"]
