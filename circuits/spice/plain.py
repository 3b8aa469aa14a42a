"""Resistors of plain lines, many at a time: what `element_lines` reads of them, only faster."""

from collections.abc import Mapping

from ..elements.base import GROUND
from ..elements.passive import Resistor
from .lexer import PlainRun
from .numbers import number


def plain_resistors(run: PlainRun, known: Mapping[str, object]) -> dict[str, Resistor] | None:
    """Return the resistors of plain lines by their SPICE names in lower case.

    The pattern of a `PlainRun` has checked names and nodes already; values are checked here, all at
    once, and the records are then made without their own checks.

    **Arguments:** `run`: the lines. `known`: the elements before them, by the same names.

    **Returns** `None` where something is wrong, so that reading line by line says what and where.
    """
    names, first, second, texts = zip(*run.rows, strict=True)
    try:
        ohms = [float(text) for text in texts]
    except ValueError:  # a suffix or a unit
        ohms = [number(text) or 0.0 for text in texts]
    if not all(0 < value < float("inf") for value in ohms):
        return None
    siemens = [1 / value for value in ohms]
    if max(siemens) == float("inf"):
        return None

    nodes = {node: node.lower() for node in {*first, *second}}
    nodes |= {node: GROUND for node, lower in nodes.items() if lower == "gnd"}
    resistors: dict[str, Resistor] = {}
    for name, plus, minus, value in zip(names, first, second, siemens, strict=True):
        resistors["r" + name.lower()] = fresh = object.__new__(Resistor)
        vars(fresh).update(name=name, plus=nodes[plus], minus=nodes[minus], siemens=value)
    if len(resistors) < len(names) or not resistors.keys().isdisjoint(known):
        return None
    return resistors
