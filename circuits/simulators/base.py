"""What every simulator does, and the one form of its results."""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..mna.equations import Drives, Equations
from ..netlist.netlist import Netlist, NetlistError

if TYPE_CHECKING:
    import xarray as xr


class SimulationError(RuntimeError):
    """A simulator is missing, failed, or gave an answer that cannot be one."""


class Simulator(abc.ABC):
    """Finds voltages of a netlist. Results are `xarray.Dataset`s in SI units with the simulator and its version in the attributes."""

    @abc.abstractmethod
    def version(self) -> str:
        """What it is and which version, e.g. `ngspice-39`. Raises `SimulationError` where it is missing."""

    @abc.abstractmethod
    def operating_points(self, netlist: Netlist, drives: Drives | None = None) -> "xr.Dataset":
        """The operating point of every sample.

        **Arguments:** `drives`: for some sources, by SPICE name, their values (samples,) in V or A; one sample if not given.

        **Returns:** `voltage` (sample, node) of the free nodes in V, and the certificate per sample: `correction` (V), `kcl`
        (relative), `stable`, and `status`: `ok`, `failed` (no answer; voltages are NaN), `uncertified` (the Newton correction of the
        netlist's own equations is above the simulator's tolerance) or `saddle` (not a minimum of the co-content).

        **Raises** `NetlistError` for a netlist that floats or drives of sources that it does not have, `SimulationError` where the
        simulator is missing, crashes, runs out of time, reports an error or returns other nodes than asked for.
        """

    @abc.abstractmethod
    def transient(
        self,
        netlist: Netlist,
        *,
        stop: float,
        step: float,
        start: Mapping[str, float] | None = None,
    ) -> "xr.Dataset":
        """`voltage` (time, node) of the free nodes from time 0, with voltages `start` (0 V where not given), to `stop` in s.

        The times are the simulator's own, at most `step` apart. Raises as `operating_points`.
        """

    @abc.abstractmethod
    def noise(
        self, netlist: Netlist, nodes: Sequence[str], *, lowest: float, highest: float
    ) -> "xr.Dataset":
        """The noise at each of `nodes` around the operating point, from `lowest` to `highest` Hz, at 40 frequencies a decade.

        `density` (frequency, node), one-sided, in V²/Hz, and `deviation` (node), the standard deviation in V within that range. Raises
        as `operating_points`.
        """

    @abc.abstractmethod
    def small_signal(
        self, netlist: Netlist, *, lowest: float, highest: float, points: int = 10
    ) -> "xr.Dataset":
        """`voltage` (frequency, node), complex: the response of the free nodes, in V, to the `ac` values of the sources.

        Around the operating point, at `points` frequencies a decade from `lowest` to `highest` Hz; raises as `operating_points`.
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
    """Raises `NetlistError` for a netlist that floats and for a `start` of nodes that are not free."""
    equations.netlist.check(transient=True)
    equations.netlist.require_nodes(tuple(start or {}), "start")
    if pinned := sorted(set(start or {}).intersection(equations.pinned)):
        raise NetlistError(f"`start` must name free nodes, but {pinned} have voltage sources")
