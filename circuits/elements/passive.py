"""Passive elements: resistors, matrices of them, capacitors, inductors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..units import BOLTZMANN, number, quantity
from .base import (
    GROUND,
    Element,
    Load,
    NoiseCurrents,
    Symbol,
    TwoTerminal,
    check_name,
    check_names,
    check_value,
    current_of,
)


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
    word = "resistor"
    symbol = Symbol("Resistor")
    passive = True
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

    def stamp(self, stamps):
        stamps.between((self.plus,), (self.minus,), self.siemens)

    def noise(self, volts, kelvin):
        """Yield thermal noise 2kTG, two-sided."""
        del volts
        white = np.array([2 * BOLTZMANN * kelvin * self.siemens])
        yield NoiseCurrents((self.plus,), (self.minus,), white, np.zeros(1))

    def conducts(self, *, transient=False):
        del transient
        yield self.nodes

    def without(self, pinned):
        held = [node for node in self.nodes if node in pinned]
        if len(held) != 1:
            return self, ()
        (other,) = (node for node in self.nodes if node not in pinned)
        if other == GROUND:
            return None, ()
        return None, (Load((other,), np.array([[self.siemens]]), (held[0],)),)

    def label(self):
        return quantity(self.ohms, "Ω")


@dataclass(frozen=True, eq=False)
class ConductanceMatrix(Element):
    """A crossbar without wires: conductances `siemens[i, j]` between `rows[i]` and `columns[j]`.

    It stands for a resistor for each that is not 0.

    **Arguments:** `name`: the SPICE name without its letter. `rows`, `columns`: nodes. `siemens`:
    (rows, columns) in S, finite and at least 0.

    **Raises** `ValueError` for a negative or non-finite conductance, naming its nodes.
    """

    letter = "R"
    word = "resistor"
    passive = True
    node_fields = ("rows", "columns")
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    siemens: np.ndarray

    def __post_init__(self):
        check_names(self.name, (*self.rows, *self.columns))
        shape = (len(self.rows), len(self.columns))
        if self.siemens.shape != shape:
            raise ValueError(
                f"`siemens` of {self.name} must have shape {shape}, but has {self.siemens.shape}"
            )
        wrong = ~(np.isfinite(self.siemens) & (self.siemens >= 0))
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            raise ValueError(
                f"`siemens` of {self.name} must be finite and at least 0, but is "
                f"{self.siemens[i, j]} between {self.rows[i]} and {self.columns[j]}"
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
        return tuple(self.touches())

    def touches(self):
        present = self.siemens > 0
        counts = zip(self.rows, present.sum(1).tolist(), strict=True)
        touched = {node: count for node, count in counts if count}
        for node, count in zip(self.columns, present.sum(0).tolist(), strict=True):
            if count:
                touched[node] = touched.get(node, 0) + count
        return touched

    def lines(self):
        present = self.siemens > 0
        ohms = 1 / np.where(present, self.siemens, 1.0)
        return [
            f"R{self.name}_{row}_{column} {row} {column} {value!r}"  # as `number` writes it
            for row, values, chosen in zip(self.rows, ohms.tolist(), present.tolist(), strict=True)
            for column, value, is_chosen in zip(self.columns, values, chosen, strict=True)
            if is_chosen
        ]

    def stamp(self, stamps):
        stamps.between(self.rows, self.columns, self.siemens)

    def noise(self, volts, kelvin):
        """Yield thermal noise 2kTG of each, two-sided."""
        del volts
        white = 2 * BOLTZMANN * kelvin * self.siemens
        yield NoiseCurrents(self.rows, self.columns, white, np.zeros(white.shape))

    def conducts(self, *, transient=False):
        """Yield pairs that join the nodes as all of the conductances do: a spanning forest."""
        del transient
        from scipy.sparse import block_array, csr_array
        from scipy.sparse.csgraph import connected_components

        joined = csr_array(self.siemens > 0)
        both = block_array([[None, joined], [joined.T, None]])
        _, labels = connected_components(both, directed=False)
        used = np.concatenate([(self.siemens > 0).any(1), (self.siemens > 0).any(0)])
        first: dict[int, str] = {}
        for node, label, is_used in zip(
            (*self.rows, *self.columns), labels.tolist(), used, strict=True
        ):
            if is_used:
                yield first.setdefault(label, node), node

    def without(self, pinned):
        loads, rest = [], self
        for _ in range(2):
            rest, load = rest._without_rows(pinned)
            loads += [load] if load is not None else []
            rest = replace(rest, rows=rest.columns, columns=rest.rows, siemens=rest.siemens.T)
        return (rest if rest.siemens.any() else None), loads

    def _without_rows(
        self, pinned: Mapping[str, object]
    ) -> "tuple[ConductanceMatrix, Load | None]":
        """Return the matrix without its pinned rows, and how these load the columns."""
        held = np.array([node in pinned for node in self.rows])
        if not held.any():
            return self, None
        free = np.array([node not in pinned and node != GROUND for node in self.columns])
        load = Load(
            tuple(np.array(self.columns)[free].tolist()),
            self.siemens[held][:, free],
            tuple(np.array(self.rows)[held].tolist()),
        )
        rows = tuple(np.array(self.rows)[~held].tolist())
        return replace(self, rows=rows, siemens=self.siemens[~held]), load

    @property
    def count(self):
        return int((self.siemens > 0).sum())

    def parts(self):
        return [
            Resistor(f"{self.name}_{row}_{column}", row, column, siemens=float(self.siemens[i, j]))
            for i, row in enumerate(self.rows)
            for j, column in enumerate(self.columns)
            if self.siemens[i, j] > 0
        ]


@dataclass(frozen=True)
class Capacitor(TwoTerminal):
    """A capacitance between two nodes: i = C d(v_plus − v_minus)/dt.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `farads`: C in
    F, finite and above 0.

    **Raises** `ValueError` where it is not, or a name is none.
    """

    letter = "C"
    word = "capacitor"
    symbol = Symbol("Capacitor")
    passive = True
    name: str
    plus: str
    minus: str
    farads: float

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "farads", positive=True)

    def lines(self):
        return [f"C{self.name} {self.plus} {self.minus} {number(self.farads)}"]

    def charge(self, stamps):
        stamps.between((self.plus,), (self.minus,), self.farads)

    def conducts(self, *, transient=False):
        if transient:
            yield self.nodes

    def without(self, pinned):
        held = all(node in pinned or node == GROUND for node in self.nodes)
        return None if held else self, ()

    def label(self):
        return quantity(self.farads, "F")


@dataclass(frozen=True)
class Inductor(TwoTerminal):
    """An inductance between two nodes: v_plus − v_minus = L di/dt.

    **Arguments:** `name`: the SPICE name without its letter. `plus`, `minus`: nodes. `henries`: L
    in H, finite and above 0. `amperes`: the current in A from which it starts where a transient
    does not start at the operating point.

    **Raises** `ValueError` where a number is not so, or a name is none.
    """

    letter = "L"
    word = "inductor"
    symbol = Symbol("Inductor2")
    passive = True
    name: str
    plus: str
    minus: str
    henries: float
    amperes: float = 0.0

    def __post_init__(self):
        check_names(self.name, self.nodes)
        check_value(self, "henries", positive=True)
        check_value(self, "amperes")

    def lines(self):
        start = f" ic={number(self.amperes)}" if self.amperes else ""
        return [f"L{self.name} {self.plus} {self.minus} {number(self.henries)}{start}"]

    def fixes_voltage(self, *, transient=False):
        return not transient

    def stamp(self, stamps):
        stamps.branch(self.key, self.plus, self.minus)

    def charge(self, stamps):
        current = current_of(self.key)
        stamps.entry(current, current, -self.henries)

    def label(self):
        return quantity(self.henries, "H")


@dataclass(frozen=True)
class Coupling(Element):
    """The coupling of two inductors (K): v_1 = L_1 di_1/dt + M di_2/dt, M = k √(L_1 L_2).

    **Arguments:** `name`: the SPICE name without its letter. `first`, `second`: the inductors, as
    the netlist has them. `coefficient`: k, between −1 and 1.

    **Raises** `ValueError` for another coefficient, one inductor twice, or a name that is none.
    """

    letter = "K"
    word = "coupling"
    passive = True
    name: str
    first: Inductor
    second: Inductor
    coefficient: float

    def __post_init__(self):
        check_name(self.name)
        if not abs(self.coefficient) < 1:
            raise ValueError(
                f"`coefficient` of {self.name} must be between -1 and 1, but is {self.coefficient}"
            )
        if self.first.key == self.second.key:
            raise ValueError(f"`first` and `second` of {self.name} must differ")

    @property
    def nodes(self):
        return ()

    def lines(self):
        inductors = f"{self.first.key} {self.second.key}"
        return [f"K{self.name} {inductors} {number(self.coefficient)}"]

    def charge(self, stamps):
        mutual = self.coefficient * math.sqrt(self.first.henries * self.second.henries)
        first, second = current_of(self.first.key), current_of(self.second.key)
        stamps.entry(first, second, -mutual)
        stamps.entry(second, first, -mutual)

    def with_nodes(self, names):
        first, second = self.first.with_nodes(names), self.second.with_nodes(names)
        return replace(self, first=first, second=second)

    @property
    def ends(self):
        return self.first.plus, self.second.plus

    def parts(self):
        return ()
