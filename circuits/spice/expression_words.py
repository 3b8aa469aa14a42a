"""Expressions of voltages and currents in the lines of elements."""

from ..elements.expressions import (
    Current,
    Expression,
    SpecialVariable,
    Variable,
    Voltage,
    renamed,
)
from .arithmetic import expression
from .cards import Card
from .scopes import Reading


def quoted(card: Card) -> tuple[int, int]:
    """Take an expression in braces or quotes, and return where it begins and ends."""
    token = card.take("an expression")
    return token.offset + 1, token.offset + len(token.text) - 1


def expression_of(card: Card, reading: Reading, place: tuple[int, int]) -> Expression:
    """Return an expression of the line with the netlist's names of nodes and sources."""

    def outside(variable: Variable) -> Variable:
        if isinstance(variable, SpecialVariable):
            return variable
        if isinstance(variable, Current):
            return Current(reading.source(variable.source))
        return Voltage(card.node_of(variable.plus), card.node_of(variable.minus))

    return renamed(expression(card.line, *place, card.parameters, constant=False), outside)
