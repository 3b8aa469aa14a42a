"""What an element is. A current is positive when it leaves an element's first node.

An element states all of its own in one class: its nodes, its SPICE text, its linear part, its
non-linear terms, its charge, its noise, where it conducts, and its symbol. Everything that handles
circuits asks the element; nothing else has to be edited for a new one.
"""

import abc
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np

from .laws import Term

GROUND = "0"
TIME = "time()"
"""The name, among nodes and currents, of the time in s."""
_NODE = re.compile(r"[A-Za-z0-9_+\-/][A-Za-z0-9_.$!:%+\-\[\]/]*")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.$!:%+\-\[\]]*")


def current_of(branch: str) -> str:
    """Return the name, among nodes and currents, of the current of the branch `branch`."""
    return f"i({branch})"


class Stamps(abc.ABC):
    """Where elements write what they add to a matrix of the nodal equations.

    Rows and columns are named: by a node, or by `current_of` a branch. The row of a node is
    Kirchhoff's current law there, the sum of the currents out of the node; that of a branch its
    voltage law.
    """

    @abc.abstractmethod
    def entry(self, row: str, column: str, value: float) -> None:
        """Add `value` at one place."""

    @abc.abstractmethod
    def between(self, plus: Sequence[str], minus: Sequence[str], value: float | np.ndarray) -> None:
        """Add conductances in S, or capacitances in F, between nodes, one for each pair."""

    @abc.abstractmethod
    def branch(self, name: str, plus: str, minus: str) -> None:
        """Add the current of a branch to its nodes, and v_plus − v_minus to its voltage law."""

    def transfer(
        self, plus: str, minus: str, control_plus: str, control_minus: str, siemens: float
    ) -> None:
        """Add a current of `siemens` times the controlling voltage from `plus` to `minus`."""
        for row, sign in ((plus, 1.0), (minus, -1.0)):
            self.entry(row, control_plus, sign * siemens)
            self.entry(row, control_minus, -sign * siemens)


class NoiseCurrents(NamedTuple):
    """Independent noise currents from `plus` to `minus`, one for each pair of nodes.

    `white`: their two-sided densities in A²/Hz; `flicker`: K in A² of those whose density is K/f.
    """

    plus: Sequence[str]
    minus: Sequence[str]
    white: np.ndarray
    flicker: np.ndarray


class Model(Protocol):
    """What a `.model` card states, shared by elements."""

    @property
    def name(self) -> str:
        """The name of the card."""
        ...

    @property
    def gmin(self) -> float:
        """The conductance in S across each of its junctions."""
        ...

    def card(self) -> str:
        """Return its `.model` line."""
        ...


@dataclass(frozen=True)
class Symbol:
    """How an element is drawn.

    `name`: of a symbol of schemdraw. `turned`: whether it is drawn from the element's second node
    to its first.
    """

    name: str
    turned: bool = False


class Load(NamedTuple):
    """Conductances in S (sources, nodes) by which `nodes` hang on nodes that ideal sources hold."""

    nodes: tuple[str, ...]
    siemens: np.ndarray
    sources: tuple[str, ...]


class Element(abc.ABC):
    """Something between nodes. Its SPICE name is `letter`, which says what it is, and `name`.

    A new element is a frozen dataclass that gives `letter`, `word`, `nodes` and `lines`, and of the
    other methods those that do not hold as they stand here: without any of them it carries no
    current.
    """

    letter: ClassVar[str]
    word: ClassVar[str]
    """What one is called in a summary, in the singular."""
    symbol: ClassVar[Symbol] = Symbol("RBox")
    passive: ClassVar[bool] = False
    """Whether it only ever takes energy, or is an independent source: a circuit of such elements
    has one stable operating point."""
    node_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold its nodes: a name each, or a tuple of names."""
    subcircuit: ClassVar[str] = ""
    """The name by which an X line of a deck makes one, where it has no letter of SPICE."""
    name: str

    @property
    @abc.abstractmethod
    def nodes(self) -> tuple[str, ...]:
        """The nodes it touches, each once or more."""

    @abc.abstractmethod
    def lines(self) -> list[str]:
        """Return its SPICE lines."""

    @property
    def key(self) -> str:
        """Its SPICE name."""
        return self.letter + self.name

    @property
    def models(self) -> tuple[Model, ...]:
        """What its `.model` cards state."""
        return ()

    @property
    def sensed(self) -> tuple[str, ...]:
        """The SPICE names of the voltage sources whose currents control it."""
        return ()

    def with_nodes(self, names: Mapping[str, str]) -> "Element":
        """Return it between nodes of other names; those that `names` does not hold stay.

        **Raises** `ValueError` where a node is in none of its `node_fields`.
        """
        changes: dict[str, Any] = {}
        for field in self.node_fields:
            nodes = getattr(self, field)
            changes[field] = (
                names.get(nodes, nodes)
                if isinstance(nodes, str)
                else tuple(names.get(node, node) for node in nodes)
            )
        element: Any = self
        element = replace(element, **changes)
        if list(element.nodes) != [names.get(node, node) for node in self.nodes]:
            raise ValueError(
                f"`node_fields` of {type(self).__name__} must hold all of its nodes, "
                f"{', '.join(self.nodes)}, but are {self.node_fields}"
            )
        return element

    @property
    def depends_on_time(self) -> bool:
        """Whether one of its terms takes the time, besides what sources do."""
        return False

    # --- what it adds to the equations

    def fixes_voltage(self, *, transient: bool = False) -> bool:
        """Return whether it fixes the voltage between its first two nodes.

        Its current is then an unknown of the equations. At an operating point, or in a `transient`
        from given voltages.
        """
        del transient
        return False

    def stamp(self, stamps: Stamps) -> None:  # noqa: B027 - most have none
        """Add its linear part to the equations: conductances in S, and what ties a branch."""

    def charge(self, stamps: Stamps) -> None:  # noqa: B027 - most have none
        """Add what multiplies dz/dt: capacitances in F, and −L in H at an inductor's current."""

    def terms(self, kelvin: float) -> Sequence[Term]:
        """Return its non-linear terms at a temperature in K."""
        del kelvin
        return ()

    def charges(self, kelvin: float) -> Sequence[Term]:
        """Return its non-linear charges at a temperature in K: terms in C, with slopes in F."""
        del kelvin
        return ()

    def noise(self, volts: Callable[[str], float], kelvin: float) -> Iterable[NoiseCurrents]:
        """Return its noise around an operating point, whose node voltages in V `volts` gives."""
        del volts, kelvin
        return ()

    # --- its place in the circuit

    def conducts(self, *, transient: bool = False) -> Iterator[tuple[str, str]]:
        """Yield pairs of nodes between which a direct current can flow through it.

        In a `transient` from given voltages capacitors hold a voltage, so they count.
        """
        if self.fixes_voltage() or (transient and self.fixes_voltage(transient=True)):
            yield self.nodes[0], self.nodes[1]

    def touches(self) -> Mapping[str, int]:
        """Return how often it touches each of its nodes, a node it merely joins to itself once."""
        return dict.fromkeys(self.nodes, 1)

    def without(self, pinned: Mapping[str, object]) -> tuple["Element | None", Sequence[Load]]:
        """Return what stays of it when conductances on `pinned` nodes become loads, and these.

        `pinned` are the nodes that ideal sources to ground hold.
        """
        del pinned
        return self, ()

    # --- how it is shown

    @property
    def ends(self) -> tuple[str, str]:
        """The two nodes between which it is drawn."""
        return self.nodes[0], self.nodes[1]

    def label(self) -> str:
        """Return what its drawing says of it, besides its name."""
        return ""

    @property
    def count(self) -> int:
        """As how many elements it counts in a summary."""
        return 1

    def parts(self) -> "Sequence[Element]":
        """Return the elements as which it is drawn."""
        return (self,)


class TwoTerminal(Element):
    """An element between the nodes `plus` and `minus`."""

    node_fields = ("plus", "minus")
    plus: str
    minus: str

    @property
    def nodes(self):
        return (self.plus, self.minus)


def check_name(name: str) -> None:
    """Raise `ValueError` for a name that SPICE could read as something else."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "`name` must be letters, digits and _.$!:%+-[] after a letter, a digit, _ or ., "
            f"but is {name!r}"
        )


def check_names(name: str, nodes: Iterable[str]) -> None:
    """Raise `ValueError` for an element's name, or nodes, that SPICE could read as something else.

    The name may be empty: an element is then called by its letter alone. Nodes must be lower case
    besides, as SPICE folds case.
    """
    if name:
        check_name(name)
    for node in nodes:
        if not _NODE.fullmatch(node) or node == "gnd" or node != node.lower():
            raise ValueError(
                f"a node of {name} must be lower-case letters, digits and _.$!:%+-[]/, "
                f"ground being '0', but is {node!r}"
            )


def check_value(element: Element, field: str, *, positive: bool = False) -> None:
    """Raise `ValueError` where a number of an element is not finite, or not above 0.

    **Arguments:** `field`: the name of the number. `positive`: whether it must be above 0.
    """
    value = getattr(element, field)
    if not np.isfinite(value) or (positive and value <= 0):
        raise ValueError(
            f"`{field}` of {element.name} must be finite{' and above 0' if positive else ''}, "
            f"but is {value}"
        )


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return "; did you mean 'x'?" for the nearest of `known` to `name`, empty if none is near."""
    near = difflib.get_close_matches(str(name), [str(candidate) for candidate in known], 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


Kind = TypeVar("Kind")


def concrete_subclasses(kind: type[Kind]) -> dict[str, type[Kind]]:
    """Return this package's own classes below `kind` that can be made, by name, however deep."""
    classes: dict[str, type[Kind]] = {}
    for subclass in kind.__subclasses__():
        if subclass.__module__.startswith("circuits.") and not inspect.isabstract(subclass):
            classes[subclass.__name__] = subclass
        classes |= concrete_subclasses(subclass)
    return classes
