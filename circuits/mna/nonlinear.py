"""The laws of a netlist's non-linear elements in numbers: terms of voltages and currents, with their slopes, and where they enter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..elements.diodes import Diode, DiodeModel
from ..elements.expressions import Current, Expression, Voltage, evaluate
from ..elements.sources import Behavioural
from ..elements.transistors import Mosfet, channels_of
from ..netlist.netlist import Netlist
from ..units import Array


def current_of(branch: str) -> str:
    """The name among the places of the current of a branch."""
    return f"i({branch})"


@dataclass(frozen=True)
class Junctions:
    """The diodes of a netlist, and the junctions of its transistors, at its temperature: nodes, and the parameters of their laws."""

    anodes: tuple[str, ...]
    cathodes: tuple[str, ...]
    law: DiodeModel
    area: np.ndarray

    @classmethod
    def of(cls, netlist: Netlist) -> "Junctions":
        """Those of a netlist."""
        diodes, transistors = netlist.of(Diode), netlist.of(Mosfet)
        at = {
            model: model.at(netlist.temperature)
            for model in dict.fromkeys(diode.model for diode in diodes)
        }
        at |= {
            model: model.junction(netlist.temperature)
            for model in dict.fromkeys(t.model for t in transistors)
        }
        ends = [
            *(diode.nodes for diode in diodes),
            *(pair for t in transistors for pair in t.junctions),
        ]
        laws = [
            *(at[diode.model] for diode in diodes),
            *(law for t in transistors for law in (at[t.model],) * 2),
        ]
        area = np.array([*(diode.area for diode in diodes), *(1.0,) * (2 * len(transistors))])
        fields: dict[str, Any] = {
            f: np.array([getattr(law, f) for law in laws])
            for f in ("saturation", "emission", "gmin", "reverse")
        }
        return cls(tuple(a for a, _ in ends), tuple(c for _, c in ends), DiodeModel(**fields), area)


@dataclass(frozen=True)
class OwnLaw:
    """The current of an element that the voltage across it alone tells: a `Behavioural` as a two-terminal device."""

    expression: Expression
    voltages: tuple[tuple[Voltage, float], ...]

    @classmethod
    def of(cls, element: Behavioural) -> "OwnLaw | None":
        """That of an element; None for a source of a voltage, and for what depends on anything else."""
        own = element.own_voltages
        return (
            cls(element.expression, tuple(own.items()))
            if element.output == "i" and len(own) == len(element.controls)
            else None
        )

    def current(self, v: Array, area: Array = 1.0) -> Array:
        """i(v) in A, elementwise."""
        return area * (
            evaluate(self.expression, {voltage: sign * v for voltage, sign in self.voltages})[0]
            + 0.0 * v
        )

    def cocontent(self, v: Array, area: Array = 1.0) -> Array:
        """∫₀ᵛ i(u) du in W, elementwise, by Gauss and Legendre's rule with 48 points: exact where i is as good as a polynomial."""
        points, weights = np.polynomial.legendre.leggauss(48)
        return (
            area
            * v
            / 2
            * (
                self.current(v[..., None] * ((1 + points) / 2).astype(v.dtype))
                @ weights.astype(v.dtype)
            )
        )


@dataclass(frozen=True, eq=False)
class Group:
    """Non-linear elements of one law, k of them: a term `law(v)` that enters `rows` with `signs`.

    `law` takes all voltages and currents (samples, places) and gives the terms (samples, k) and their slopes, each with the places
    (k,) by whose value it is a derivative.
    """

    rows: tuple[np.ndarray, ...]
    signs: tuple[float, ...]
    law: Callable[[Array], tuple[Array, list[tuple[np.ndarray, Array]]]]


@dataclass(frozen=True)
class Told:
    """A `Behavioural` element in numbers: its expression, the rows it enters with their signs, and the places of what it depends on."""

    expression: Expression
    rows: tuple[int, ...]
    signs: tuple[float, ...]
    controls: tuple[tuple[Voltage | Current, tuple[int, ...]], ...]

    def law(self, v: Array) -> tuple[Array, list[tuple[np.ndarray, Array]]]:
        """Its term (samples, 1) at all voltages and currents `v`, and its slopes with their places, as a `Group` has them."""
        values = {
            c: v[:, p[:1]] - v[:, p[1:]] if len(p) == 2 else v[:, p]
            for c, p in ((c, np.array(p)) for c, p in self.controls)
        }
        value, slopes = evaluate(self.expression, values)
        places = dict(self.controls)
        found = [
            (np.array([place]), sign * slopes[c])
            for c in slopes
            for place, sign in zip(places[c], (1.0, -1.0), strict=False)
        ]
        return value, found

    def renumbered(self, index: np.ndarray) -> "Told":
        """The same with place k called `index[k]`."""
        controls = tuple(
            (control, tuple(int(index[place]) for place in places))
            for control, places in self.controls
        )
        return Told(
            self.expression, tuple(int(index[row]) for row in self.rows), self.signs, controls
        )

    @classmethod
    def of(cls, element: Behavioural, place: Callable[[str], int]) -> "Told":
        """An element in the numbers of `place`."""
        controls = tuple(
            (
                c,
                (place(c.plus), place(c.minus))
                if isinstance(c, Voltage)
                else (place(current_of(c.source)),),
            )
            for c in element.controls
        )
        if element.output == "v":
            return cls(
                element.expression, (place(current_of(f"B{element.name}")),), (-1.0,), controls
            )
        return cls(
            element.expression, (place(element.plus), place(element.minus)), (1.0, -1.0), controls
        )


def junction_group(netlist: Netlist, place: Callable[[str], int]) -> list[Group]:
    """Diodes and the junctions of transistors as a group, none where there are none."""
    found = Junctions.of(netlist)
    if not found.anodes:
        return []
    anodes, cathodes = (
        np.array([place(node) for node in nodes]) for nodes in (found.anodes, found.cathodes)
    )

    def law(v):
        across = v[:, anodes] - v[:, cathodes]
        g = found.law.conductance(across, found.area)
        return found.law.current(across, found.area), [(anodes, g), (cathodes, -g)]

    return [Group((anodes, cathodes), (1.0, -1.0), law)]


def channel_group(netlist: Netlist, place: Callable[[str], int]) -> list[Group]:
    """The channels of transistors as a group, none where there are none."""
    transistors = netlist.of(Mosfet)
    if not transistors:
        return []
    law = channels_of(transistors, netlist.temperature)
    places = [np.array([place(t.nodes[k]) for t in transistors]) for k in range(4)]

    def current(v):
        found, slopes = law.current(*(v[:, at] for at in places))
        return found, list(zip(places, slopes, strict=True))

    return [Group((places[0], places[2]), (1.0, -1.0), current)]
