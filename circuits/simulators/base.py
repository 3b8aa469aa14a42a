"""What every simulator does, and the one form of its results."""

import abc
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING

from ..mna.equations import Drives, Equations
from ..netlist.netlist import Netlist, NetlistError

if TYPE_CHECKING:
    import xarray as xr


class SimulationError(RuntimeError):
    """A simulator is missing, failed, or gave an answer that cannot be one."""


class Simulator(abc.ABC):
    """Computes voltages of a netlist.

    Results are `xarray.Dataset`s in SI units, with the simulator and its version in the attributes.
    """

    @abc.abstractmethod
    def version(self) -> str:
        """Return the simulator's name and version, e.g. `ngspice-39`.

        **Raises** `SimulationError` where it is missing.
        """

    @abc.abstractmethod
    def operating_points(self, netlist: Netlist, drives: Drives | None = None) -> "xr.Dataset":
        """Return the operating point of every sample.

        **Arguments:**

        - `netlist`: a circuit in which no node floats.
        - `drives`: for some sources, by SPICE name, their values (samples,) in V or A; one sample
          if not given.

        **Returns** `voltage` (sample, node) of the free nodes in V; `current` (sample, element) in
        A, what leaves an element's first node through it, and `power` (sample, element) in W, what
        it takes up, of all elements, or of the voltage sources where there are over 1,000; and the
        certificate of each sample: `correction` (V), `kcl` (relative), `stable`, and `status`:
        `ok`, `failed` (no answer; voltages are NaN), `uncertified` (the Newton correction of the
        netlist's own equations is above the simulator's tolerance) or `saddle` (not a minimum of
        the co-content).

        **Raises** `NetlistError` for a netlist that floats or drives of sources that it does not
        have, `SimulationError` where the simulator is missing, crashes, runs out of time, reports
        an error or returns other nodes than asked for.
        """

    @abc.abstractmethod
    def transient(
        self,
        netlist: Netlist,
        *,
        stop: float,
        step: float,
        start: Mapping[str, float] | None = None,
        settled: bool = False,
    ) -> "xr.Dataset":
        """Return the voltages in time.

        **Arguments:**

        - `netlist`: a circuit in which no node floats once capacitors conduct.
        - `stop`: the last time in s, above 0; the first is 0.
        - `step`: the longest time step in s, above 0.
        - `start`: the voltages (V) of free nodes at time 0, by name; 0 V where not given.
        - `settled`: whether it starts at the operating point at time 0, in which the nodes of
          `start` are held, and not from `start` alone.

        **Returns** `voltage` (time, node) of the free nodes in V, `current` and `power` (time,
        element) in A and W, at the simulator's own times.
        **Raises** as `operating_points`.
        """

    @abc.abstractmethod
    def noise(
        self, netlist: Netlist, nodes: Sequence[str], *, lowest: float, highest: float
    ) -> "xr.Dataset":
        """Return the noise of nodes around the operating point, at 40 frequencies a decade.

        **Arguments:**

        - `netlist`: a circuit in which no node floats.
        - `nodes`: names of free nodes.
        - `lowest`, `highest`: the range of frequencies in Hz, 0 < lowest < highest.

        **Returns** `density` (frequency, node), one-sided, in V²/Hz, and `deviation` (node), the
        standard deviation in V within that range. **Raises** as `operating_points`, and
        `SimulationError` where the operating point is not `ok`.
        """

    @abc.abstractmethod
    def small_signal(
        self,
        netlist: Netlist,
        *,
        lowest: float,
        highest: float,
        points: int = 10,
        spacing: str = "dec",
    ) -> "xr.Dataset":
        """Return the response to the `ac` values of the sources around the operating point.

        **Arguments:**

        - `netlist`: a circuit in which no node floats.
        - `lowest`, `highest`: the range of frequencies in Hz, 0 < lowest < highest.
        - `points`: frequencies a decade; an octave, or in all, where `spacing` is "oct" or "lin".

        **Returns** `voltage` (frequency, node) of the free nodes in V and `current` (frequency,
        element) in A, complex. **Raises** as `noise`.
        """


def require_ok(points: "xr.Dataset", title: str) -> "xr.Dataset":
    """Return operating points all of which are certified.

    **Arguments:** `points`: a simulator's Dataset. `title`: of their netlist, for the message.

    **Raises** `SimulationError` where one is not `ok`.
    """
    wrong = [status for status in points.status.values.tolist() if status != "ok"]
    if wrong:
        raise SimulationError(
            f"every point of {title!r} must be certified, but {len(wrong)} are not: "
            f"{sorted(set(wrong))}"
        )
    return points


def check_start(equations: Equations, start: Mapping[str, float] | None) -> None:
    """Raise `NetlistError` for a netlist that floats, or a `start` of nodes that are not free."""
    equations.netlist.check(transient=True)
    equations.netlist.require_nodes(tuple(start or {}), "start")
    if pinned := sorted(set(start or {}).intersection(equations.pinned)):
        raise NetlistError(f"`start` must name free nodes, but {pinned} have voltage sources")


def check_positive(argument: str, value: object) -> None:
    """Raise `ValueError` naming `argument` where its `value` is no number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"`{argument}` must be a number above 0, but is {value!r}")
    if not float(value) > 0:
        raise ValueError(f"`{argument}` must be above 0, but is {value}")
