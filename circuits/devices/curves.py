"""Measured devices: the current of a two-terminal element between the points of a table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..elements.base import GROUND
from ..elements.expressions import Constant, Operation, Voltage
from ..elements.sources import Behavioural
from ..units import Array
from .base import Device


@dataclass(frozen=True)
class Curve(Device):
    """A measured current-voltage curve at every node: straight lines between its points, and beyond them the first and last line.

    i(v) = i_k + s_k (v − v_k) on the segment k of v, with slope s_k, and P(v) = ∫₀ᵛ i(u) du, a parabola on each segment. The current
    may not fall, so that the co-content has one minimum; it need not be 0 at 0 V, as in light. The points are data: they do not learn,
    and they have no noise, which a curve does not tell.

    **Arguments:** `volts`: strictly increasing, two or more, at most some thousands. `amperes`: as many, none below the one before.
    Both in any form NumPy reads; kept as tuples of numbers. Raises `ValueError` where they are not so, or not finite.
    """

    volts: tuple[float, ...]
    amperes: tuple[float, ...]

    def __post_init__(self):
        for field in ("volts", "amperes"):
            values = np.asarray(getattr(self, field), float)
            if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
                raise ValueError(
                    f"`{field}` must be two or more finite numbers in a row, but is {getattr(self, field)}"
                )
            object.__setattr__(self, field, tuple(values.tolist()))
        if len(self.volts) != len(self.amperes):
            raise ValueError(
                f"`volts` and `amperes` must have as many points, but have {len(self.volts)} and {len(self.amperes)}"
            )
        for field, falls in (
            ("volts", np.diff(self.volts) <= 0),
            ("amperes", np.diff(self.amperes) < 0),
        ):
            if falls.any():
                at = int(np.argmax(falls))
                one, other = getattr(self, field)[at : at + 2]
                kind = "strictly increasing" if field == "volts" else "nowhere decreasing"
                raise ValueError(
                    f"`{field}` must be {kind}, but is {one} and then {other} at points {at} and {at + 1}"
                )

    def current(self, v):
        start, amperes, slope, _ = self._segments(v)
        return amperes + slope * (v - start)

    def conductance(self, v: Array) -> Array:
        """di/dv in S, at a point that of the segment above it."""
        return self._segments(v)[2]

    def cocontent(self, v):
        start, amperes, slope, content = self._segments(v)
        return content + (amperes + slope * (v - start) / 2) * (v - start)

    def describe(self):
        return f"a measured element, {len(self.volts)} points from {self.volts[0]} to {self.volts[-1]} V with straight lines between them"

    def rails(self):
        return []

    def elements(self, nodes, loads):
        del loads
        return [curve_source(f"{node}d", node, self) for node in nodes]

    def slopes(self) -> np.ndarray:
        """The conductance of every segment, in S."""
        return np.diff(self.amperes) / np.diff(self.volts)

    def _segments(self, v: Array) -> tuple[Array, ...]:
        """For the segment of each voltage: the voltage, the current, the slope and the co-content at its start."""
        v = np.asarray(v) if isinstance(v, float | int) else v
        xp: Any = v.__array_namespace__()
        table = [xp.asarray(column.astype(v.dtype)) for column in self._table]
        at = xp.searchsorted(table[0][1:], v, side="right")
        return tuple(column[at] for column in table)

    @cached_property
    def _table(self) -> tuple[np.ndarray, ...]:
        volts, amperes, slopes = np.array(self.volts), np.array(self.amperes), self.slopes()
        contents = np.concatenate(
            [[0.0], np.cumsum((amperes[1:] + amperes[:-1]) / 2 * np.diff(volts))]
        )
        zero = int(np.searchsorted(volts[1:-1], 0.0, side="right"))
        at_zero = contents[zero] - (amperes[zero] - slopes[zero] * volts[zero] / 2) * volts[zero]
        return volts[:-1], amperes[:-1], slopes, contents[:-1] - at_zero


def curve_source(name: str, node: str, curve: Curve) -> Behavioural:
    """The current of `curve` from `node` to ground.

    Beyond its points a SPICE `pwl` may go on or stay where it is, so its argument is kept between them and the rest is written out.
    """
    slopes, v, zero = curve.slopes(), Voltage(node), Constant(0.0)
    first, last = Constant(curve.volts[0]), Constant(curve.volts[-1])
    points = [
        Constant(value) for point in zip(curve.volts, curve.amperes, strict=True) for value in point
    ]
    inside = Operation("pwl", (Operation("min", (Operation("max", (v, first)), last)), *points))
    below = Operation(
        "*", (Constant(float(slopes[0])), Operation("min", (Operation("-", (v, first)), zero)))
    )
    above = Operation(
        "*", (Constant(float(slopes[-1])), Operation("max", (Operation("-", (v, last)), zero)))
    )
    return Behavioural(
        name, node, GROUND, "i", Operation("+", (Operation("+", (inside, below)), above))
    )
