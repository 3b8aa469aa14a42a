"""Laws of non-linear elements: currents as functions of voltages, for many elements at once.

The formulas use the array namespace of their argument, so that the same lines run in NumPy and
under JAX.
"""

import abc
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Self

import numpy as np

from ..units import Array


class Law(abc.ABC):
    """A term of Kirchhoff's laws as a function of the values at its controls.

    A law is a frozen dataclass. Fields that are numbers, or arrays (elements,), are its parameters;
    all else says which law it is. Laws that differ in parameters alone are stacked, and are then
    evaluated at once.
    """

    one_way: ClassVar[bool] = False
    """Whether a control moves the current and feels nothing back, as the gate of a transistor."""
    limited: ClassVar[bool] = False
    """Whether Newton's method must hold back its steps (`limit`)."""

    @abc.abstractmethod
    def evaluate(self, *values: Array) -> tuple[Array, Sequence[Array]]:
        """Return the term, and its slope by each of the values.

        **Arguments:** the values at its controls, (…, elements) each: voltages in V, or currents
        in A.

        **Returns** the term (…, elements) in A, or in V for the voltage law of a branch; and its
        derivatives by the values.
        """

    def parameters(self) -> tuple[Array, ...]:
        """Return its parameters, numbers or arrays (elements,), in the order of its fields."""
        return tuple(getattr(self, name) for name in self._parameter_names())

    def with_parameters(self, parameters: Sequence[Array]) -> Self:
        """Return the same law with other parameters, which are not checked."""
        law = object.__new__(type(self))
        vars(law).update(vars(self))
        vars(law).update(zip(self._parameter_names(), parameters, strict=True))
        return law

    def kind(self) -> Hashable:
        """Return what laws must have in common to be stacked: all that is no parameter."""
        names = self._parameter_names()
        rest = ((name, getattr(self, name)) for name in _field_names(type(self)))
        return type(self), names, tuple(item for item in rest if item[0] not in names)

    def without_parameters(self) -> Self:
        """Return the law with 0 for each parameter: equal, of one hash, for all laws of a kind."""
        return self.with_parameters([0.0] * len(self.parameters()))

    def _parameter_names(self) -> tuple[str, ...]:
        """Return the names of the fields that are numbers or arrays."""
        names = _field_names(type(self))
        return _of_numbers(names, tuple(type(getattr(self, name)) for name in names))


@cache
def _field_names(law: type) -> tuple[str, ...]:
    """Return the names of a law's fields: kept by class, as each element of a circuit asks."""
    return tuple(field.name for field in fields(law))


@cache
def _of_numbers(names: tuple[str, ...], types: tuple[type, ...]) -> tuple[str, ...]:
    """Return the names of fields that hold numbers or arrays, from the types of what they hold."""
    other = str, tuple, bool, NoneType
    pairs = zip(names, types, strict=True)
    return tuple(name for name, kind in pairs if not issubclass(kind, other))


class TwoTerminalLaw(Law):
    """The current i(v) of an element as a function of the voltage across it alone."""

    rising: ClassVar[bool] = False
    """Whether the current never falls with the voltage, so that the co-content is convex."""

    @abc.abstractmethod
    def current(self, v: Array) -> Array:
        """Return i(v) in A, elementwise."""

    @abc.abstractmethod
    def conductance(self, v: Array) -> Array:
        """Return di/dv in S, elementwise."""

    @abc.abstractmethod
    def cocontent(self, v: Array) -> Array:
        """Return the co-content ∫₀ᵛ i(u) du in W, elementwise."""

    def evaluate(self, *values):
        plus, minus = values
        across = plus - minus
        slope = self.conductance(across)
        return self.current(across), (slope, -slope)

    def limit(self, wanted: Array, last: Array) -> Array:
        """Return the voltage at which to linearise next, where Newton's method goes to `wanted`.

        `last` is where it was linearised before; for laws that are `limited`.
        """
        del last
        return wanted

    def critical(self) -> Array:
        """Return the voltage in V above which steps are limited; infinite where they are not."""
        return np.inf


@dataclass(frozen=True)
class Term:
    """A non-linear term of a circuit's equations.

    `law`: of one element. `controls`: the nodes, or `current_of` a branch, whose values it takes.
    `rows`: where it enters, the rows of nodes or of a branch, and with which sign.
    """

    law: Law
    controls: tuple[str, ...]
    rows: tuple[tuple[str, float], ...]

    @classmethod
    def between(cls, law: Law, plus: str, minus: str, controls: Sequence[str] = ()) -> "Term":
        """Return a current out of `plus` and into `minus`.

        **Arguments:** `law`: of the current. `controls`: whose values it takes; those of `plus` and
        `minus` if none are given.
        """
        return cls(law, tuple(controls) or (plus, minus), ((plus, 1.0), (minus, -1.0)))


def stack(laws: Sequence[Law]) -> Law:
    """Return laws of one kind as a single one, whose parameters are arrays (laws,)."""
    columns = zip(*(law.parameters() for law in laws), strict=True)
    return laws[0].with_parameters([np.array(column, float) for column in columns])


def namespace(*values: Any) -> Any:
    """Return the array namespace of numbers and arrays: JAX's where one is JAX's, else NumPy's."""
    spaces = [v.__array_namespace__() for v in values if hasattr(v, "__array_namespace__")]
    return next((space for space in spaces if space is not np), np)
