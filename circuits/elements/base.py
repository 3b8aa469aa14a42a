"""What an element is: something between nodes. A current is positive when it leaves an element's first node."""

import abc
import difflib
import inspect
import re
from collections.abc import Iterable
from typing import ClassVar, TypeVar

import numpy as np

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
        raise ValueError(
            f"`name` must be letters, digits and _.$!:%+-[] after a letter, a digit or _, but is {name!r}"
        )


def check_names(name: str, nodes: Iterable[str]) -> None:
    """`check_name` for an element and its nodes, which must be lower case besides, as SPICE folds case."""
    check_name(name)
    for node in nodes:
        if not _NODE.fullmatch(node) or node == "gnd" or node != node.lower():
            raise ValueError(
                f"a node of {name} must be lower-case letters, digits and _.$!:%+-[], ground being '0', but is {node!r}"
            )


def check_value(element: Element, field: str, *, positive: bool = False) -> None:
    """Raises `ValueError` where a number of an element is not finite, or not above 0."""
    value = getattr(element, field)
    if not np.isfinite(value) or (positive and value <= 0):
        raise ValueError(
            f"`{field}` of {element.name} must be finite{' and above 0' if positive else ''}, but is {value}"
        )


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return "; did you mean 'x'?" for the name in `known` nearest to `name`, empty if none is near."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], 1, 0.5)
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
