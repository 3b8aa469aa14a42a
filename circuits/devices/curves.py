"""Measured devices: current-voltage curves between the points of a table."""

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
    """A measured current-voltage curve at every node, of straight lines between its points.

    i(v) = i_k + s_k (v − v_k) on the segment k of v, with slope s_k, and P(v) = ∫₀ᵛ i(u) du, a
    parabola on each segment. Beyond the points the first and the last line go on. The current may
    not fall, so that the co-content has one minimum; it need not be 0 at 0 V, as in light. The
    points are data: they do not learn, and they have no noise, which a curve does not show.

    **Arguments:**

    - `volts`: strictly increasing, in V, two or more, at most some thousands.
    - `amperes`: as many, in A, none below the one before.

    Both in any form that NumPy reads; kept as tuples of numbers.

    **Raises** `ValueError` where they are not so, or not finite.
    """

    volts: tuple[float, ...]
    amperes: tuple[float, ...]

    def __post_init__(self):
        for field in ("volts", "amperes"):
            # Tuples are hashable, and no array that would learn.
            object.__setattr__(self, field, _numbers(getattr(self, field), field))
        if len(self.volts) != len(self.amperes):
            raise ValueError(
                "`volts` and `amperes` must have as many points, "
                f"but have {len(self.volts)} and {len(self.amperes)}"
            )
        for field, requirement, wrong in (
            ("volts", "strictly increasing", np.diff(self.volts) <= 0),
            ("amperes", "nowhere decreasing", np.diff(self.amperes) < 0),
        ):
            if wrong.any():
                at = int(np.argmax(wrong))
                one, other = getattr(self, field)[at : at + 2]
                raise ValueError(
                    f"`{field}` must be {requirement}, but is {one} and then {other} "
                    f"at points {at} and {at + 1}"
                )

    def current(self, v):
        start, amperes, slope, _ = self._segments(v)
        return amperes + slope * (v - start)

    def conductance(self, v: Array) -> Array:
        """Return di/dv in S at voltages `v` in V; at a point, that of the segment above it."""
        return self._segments(v)[2]

    def cocontent(self, v):
        start, amperes, slope, content = self._segments(v)
        return content + (amperes + slope * (v - start) / 2) * (v - start)

    def describe(self):
        return (
            f"a measured element, {len(self.volts)} points from {self.volts[0]} to "
            f"{self.volts[-1]} V with straight lines between them"
        )

    def rails(self):
        return []

    def elements(self, nodes, loads):
        del loads
        return [curve_source(f"{node}d", node, self) for node in nodes]

    def slopes(self) -> np.ndarray:
        """Return the conductance of every segment, in S, (points − 1,)."""
        return np.diff(self.amperes) / np.diff(self.volts)

    def _segments(self, v: Array) -> tuple[Array, ...]:
        """Return voltage, current, slope and co-content at the start of each voltage's segment."""
        v = np.asarray(v) if isinstance(v, float | int) else v
        xp: Any = v.__array_namespace__()
        table = [xp.asarray(column.astype(v.dtype)) for column in self._table]
        at = xp.searchsorted(table[0][1:], v, side="right")
        return tuple(column[at] for column in table)

    @cached_property
    def _table(self) -> tuple[np.ndarray, ...]:
        """Return voltage, current, slope and co-content at the start of every segment."""
        volts, amperes, slopes = np.array(self.volts), np.array(self.amperes), self.slopes()
        contents = np.concatenate(
            [[0.0], np.cumsum((amperes[1:] + amperes[:-1]) / 2 * np.diff(volts))]
        )

        # The co-content is 0 at 0 V, on the segment that holds it.
        zero = int(np.searchsorted(volts[1:-1], 0.0, side="right"))
        at_zero = contents[zero] - (amperes[zero] - slopes[zero] * volts[zero] / 2) * volts[zero]
        return volts[:-1], amperes[:-1], slopes, contents[:-1] - at_zero


def _numbers(values: Any, field: str) -> tuple[float, ...]:
    """Return a row of two or more finite numbers as a tuple; raise `ValueError` for another."""
    try:
        row = np.asarray(values, float)
    except (TypeError, ValueError):
        row = np.empty(0)
    if row.ndim != 1 or row.size < 2 or not np.isfinite(row).all():
        raise ValueError(f"`{field}` must be two or more finite numbers in a row, but is {values}")
    return tuple(row.tolist())


def curve_source(name: str, node: str, curve: Curve) -> Behavioural:
    """Return a source of the current of `curve` from `node` to ground.

    Beyond its points a SPICE `pwl` may go on or stay where it is, so its argument is kept between
    them and the rest is written out.

    **Arguments:**

    - `name`: of the source, without SPICE's letter.
    - `node`: its first node.
    - `curve`: the points.
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
