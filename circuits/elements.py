"""What an element is, and the passive ones. A current is positive when it leaves an element's first node through the element."""

import abc
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .units import number

GROUND = "0"
_REST = r"[A-Za-z0-9_.$!:%+\-\[\]]*"
_NODE = re.compile(r"[A-Za-z0-9_+\-]" + _REST)
_NAME = re.compile(r"[A-Za-z0-9_]" + _REST)


class Element(abc.ABC):
    """Something between nodes. Its SPICE name is `letter`, which says what it is, and `name`."""

    letter: ClassVar[str]
    name: str

    @property
    @abc.abstractmethod
    def nodes(self) -> tuple[str, ...]:
        """The nodes it touches, each once or more."""

    @abc.abstractmethod
    def lines(self) -> list[str]:
        """Its SPICE lines."""


class TwoTerminal(Element):
    """An element between the nodes `plus` and `minus`."""

    plus: str
    minus: str

    @property
    def nodes(self):
        return (self.plus, self.minus)


def check_name(name: str) -> None:
    """Raises `ValueError` for a name that SPICE could read as something else."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"`name` must be letters, digits and _.$!:%+-[] after a letter, a digit or _, but is {name!r}")


def check_names(name: str, nodes: Iterable[str]) -> None:
    """`check_name` for an element and its nodes, which must be lower case besides, as SPICE folds case."""
    check_name(name)
    for node in nodes:
        if not _NODE.fullmatch(node) or node == "gnd" or node != node.lower():
            raise ValueError(f"a node of {name} must be lower-case letters, digits and _.$!:%+-[], ground being '0', but is {node!r}")


def check_value(element: Element, field: str, *, positive: bool = False) -> None:
    """Raises `ValueError` where a number of an element is not finite, or not above 0."""
    value = getattr(element, field)
    if not np.isfinite(value) or (positive and value <= 0):
        raise ValueError(f"`{field}` of {element.name} must be finite{' and above 0' if positive else ''}, but is {value}")


@dataclass(frozen=True)
class Resistor(TwoTerminal):
    """A conductance of `siemens` > 0 between two nodes: i = g (v_plus − v_minus)."""

    letter = "R"
    name: str
    plus: str
    minus: str
    siemens: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "siemens", positive=True)

    def lines(self):
        return [f"R{self.name} {self.plus} {self.minus} {number(1 / self.siemens)}"]


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
            raise ValueError(f"`siemens` of {self.name} must be finite and at least 0, but is {self.siemens[i, j]} {between}")

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
        rows = (node for node, any_used in zip(self.rows, np.any(used, axis=1), strict=True) if any_used)
        return (*rows, *(node for node, any_used in zip(self.columns, np.any(used, axis=0), strict=True) if any_used))

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
