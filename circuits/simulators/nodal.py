"""The built-in simulator: Newton's method on the modified nodal equations, for whole batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr

from ..elements.base import current_of
from ..mna.certificates import DENSE, certify
from ..mna.dae import unknowns_at
from ..mna.equations import Drives, Equations, values_of
from ..mna.noise import densities_at
from ..mna.reduction import Reduction
from ..mna.small_signal import decades, response
from ..netlist.analyses import Noise, SmallSignal
from ..netlist.netlist import Netlist
from .base import SimulationError, Simulator, check_start, require_ok
from .datasets import noises, operating_points, responses, voltages
from .newton import Circuit, Laws, circuit_of, correction, newton
from .transients import held, transient

STEPPING = 10.0 ** np.arange(-2.0, -13.0, -1.0)
"""Conductances in S from every node to ground with which points are tried again that Newton's
method missed, one after the other."""


@dataclass(frozen=True)
class Nodal(Simulator):
    """Newton's method in JAX, in float64, for all samples at once.

    Diodes are linearised at a voltage that follows the solution by a few N Vt a step, as SPICE does
    (Nagel, UCB/ERL M520, 1975), so that their exponentials never overflow; all other laws at the
    solution itself. Conductances on ideal sources are reduced first. Of large circuits only the
    unknowns that something non-linear touches are iterated, the others eliminated by one sparse
    factorisation (Kron). Where every diode touches one unknown, as in layered networks, unknowns no
    two of which touch are eliminated before the dense solve. Points that are missed are tried
    again, with damped steps where there are laws other than diodes', and with gmin stepping. What
    is found is certified by the netlist's own equations.

    **Arguments:** `tolerance`: the largest Newton correction, in V, of a point that is `ok`.
    `iterations`: of Newton's method at most.
    """

    tolerance: float = 1e-9
    iterations: int = 200

    def __post_init__(self):
        for name in ("tolerance", "iterations"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0, but is {getattr(self, name)}")

    def version(self):
        return f"nodal, jax-{jax.__version__}"

    def prepare(self, netlist: Netlist) -> "Prepared":
        """Do what of the work on a netlist needs no drives, once, for many batches of them.

        Raises as `operating_points`.
        """
        return Prepared.of(netlist, self)

    def operating_points(self, netlist, drives=None):
        return self.prepare(netlist).operating_points(drives)

    def transient(self, netlist, *, stop, step, start=None):
        equations = Equations.of(netlist)
        check_start(equations, start)
        first = self._first(equations, start or {})
        times, values = transient(equations, first, stop, step)
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        return voltages(equations.free, values[:, : len(equations.free)], times, attributes)

    def _first(self, equations: Equations, start: Mapping[str, float]) -> np.ndarray:
        """Return the unknowns (unknowns,) at time 0."""
        netlist = held(equations, start)
        netlist.check(transient=True)
        at = Equations.of(netlist)
        solution, _, _ = Solver.of(at, self.iterations).solve({}, 1)
        if not certify(at, solution, {}).within(self.tolerance)[0]:
            raise SimulationError(
                f"the transient of {netlist.title!r} must have a solution at time 0, "
                "but none was found"
            )
        known = at.voltages(solution, {})[0]
        names = (*equations.free, *map(current_of, equations.branches))
        return np.array([known[place] if (place := at.find(name)) >= 0 else 0.0 for name in names])

    def noise(self, netlist, nodes, *, lowest, highest):
        from scipy.integrate import simpson

        netlist.require_nodes(nodes)
        analysis = Noise((nodes[0],), "Vnone", lowest, highest)
        points = require_ok(self.operating_points(netlist), netlist.title)

        equations = Equations.of(netlist)
        frequencies = decades(lowest, highest, analysis.points)
        density = densities_at(
            equations,
            {},
            unknowns_at(equations, None, points),
            [equations.place(node) for node in nodes],
            frequencies,
        )
        variance = simpson(density * frequencies[:, None], x=np.log(frequencies), axis=0)
        attributes = {
            "simulator": self.version(),
            "netlist": netlist.title,
            "lowest_hertz": lowest,
            "highest_hertz": highest,
        }
        return noises(nodes, frequencies, density, np.sqrt(variance), attributes)

    def small_signal(self, netlist, *, lowest, highest, points=10):
        free = Equations.of(netlist).free
        SmallSignal(free, lowest, highest, points)
        operating_point = require_ok(self.operating_points(netlist), netlist.title)
        frequencies = decades(lowest, highest, points)
        values = response(netlist, operating_point, frequencies)
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        return responses(free, values, frequencies, attributes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A netlist made ready for a `Nodal` simulator; made by `of`."""

    netlist: Netlist
    simulator: Nodal
    _whole: Equations = field(repr=False)
    _reduction: Reduction = field(repr=False)
    _solver: "Solver" = field(repr=False)

    @classmethod
    def of(cls, netlist: Netlist, simulator: Nodal) -> "Prepared":
        """Check, reduce and assemble a netlist."""
        netlist.check()
        whole = Equations.of(netlist)
        reduction = Reduction.of(whole)
        solver = Solver.of(Equations.of(reduction.netlist), simulator.iterations)
        return cls(netlist, simulator, whole, reduction, solver)

    def operating_points(self, drives: Drives | None = None) -> xr.Dataset:
        """Return the operating points of `drives`, as `Simulator.operating_points` has them."""
        values, samples = values_of(drives, self.netlist)
        reduced = self._reduction.drives(values, samples)
        solution, count, stepped = self._solver.solve(reduced, samples)
        equations, nodes = self._solver.equations, self._whole.free
        certificate = certify(equations, solution, reduced, self._solver.step)
        attributes = {
            "simulator": self.simulator.version(),
            "netlist": self.netlist.title,
            "iterations": count,
            "stepped": stepped,
        }
        columns = solution[:, [equations.place(node) for node in nodes]]
        return operating_points(nodes, columns, certificate, self.simulator.tolerance, attributes)


@dataclass(frozen=True, eq=False)
class Solver:
    """Newton's method on given equations; made by `of`.

    Of more than `DENSE` unknowns those that nothing non-linear touches are eliminated.
    """

    equations: Equations
    iterations: int
    _ports: np.ndarray = field(repr=False)
    _inner: np.ndarray = field(repr=False)
    _factors: Any = field(repr=False)
    _circuit: Circuit = field(repr=False)
    _laws: Laws = field(repr=False)

    @classmethod
    def of(cls, equations: Equations, iterations: int) -> "Solver":
        """Return a solver of `equations` with at most so many iterations."""
        n = equations.unknowns
        ports = np.arange(n)
        if n > DENSE:
            touched = [(*group.rows, *group.controls) for group in equations.groups]
            places = np.concatenate([np.zeros(0, int), *(p for parts in touched for p in parts)])
            ports = np.unique(places[places < n])

        inner = np.setdiff1d(np.arange(n), ports)
        linear, factors = equations.linear[:n, :n], None
        between = linear[ports][:, ports].toarray()
        if len(inner):
            from scipy.sparse.linalg import splu

            lu = splu(linear[inner][:, inner].tocsc())
            gain = lu.solve(linear[inner][:, ports].toarray())
            between -= linear[ports][:, inner] @ gain
            factors = (lu, gain, linear[ports][:, inner])
        circuit, laws = circuit_of(equations, between, ports)
        return cls(equations, iterations, ports, inner, factors, circuit, laws)

    def solve(self, drives: Drives, samples: int) -> tuple[np.ndarray, int, int]:
        """Solve the equations.

        **Returns** the unknowns (samples, unknowns), how many iterations were taken, and for how
        many points gmin was stepped.
        """
        known = self._known(drives, samples)
        n = self.equations.unknowns
        by_known = (self.equations.linear[:n, n:] @ known.T).T
        at_ports, back = self._eliminate(self.equations.sources(drives, samples) - by_known)
        solution, count, missed = self._iterate(at_ports, known)
        return back(solution), count, missed

    def step(self, unknowns: np.ndarray, drives: Drives, f: np.ndarray) -> np.ndarray:
        """Return J⁻¹f (samples, unknowns) at `unknowns` (samples, unknowns)."""
        at_ports, back = self._eliminate(f)
        if len(self._ports):
            with jax.enable_x64(True):
                at = unknowns[:, self._ports], self._known(drives, len(f)), at_ports
                at_ports = np.asarray(correction(self._circuit, *at, laws=self._laws))
        return back(at_ports)

    def _known(self, drives: Drives, samples: int) -> np.ndarray:
        """Return the voltages that are no unknowns (samples, places)."""
        n = self.equations.unknowns
        return self.equations.voltages(np.zeros((samples, n)), drives)[:, n:]

    def _eliminate(self, rows: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Return a right-hand side for the ports alone, and what makes all unknowns of theirs.

        **Arguments:** `rows`: the right-hand side (samples, unknowns).
        """
        if self._factors is None:
            return rows, lambda at_ports: at_ports
        factors, gain, across = self._factors
        alone = factors.solve(rows[:, self._inner].T)

        def back(at_ports):
            answer = np.empty_like(rows)
            answer[:, self._ports] = at_ports
            answer[:, self._inner] = alone.T - at_ports @ gain.T
            return answer

        return rows[:, self._ports] - (across @ alone).T, back

    def _iterate(self, pushed: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Return the unknowns of the ports (samples, ports), iterations, and points stepped.

        **Arguments:** `pushed` (samples, ports), `known` (samples, places): as of `newton`.
        """
        if not len(self._ports):
            return pushed, 0, 0
        shared = {"laws": self._laws, "iterations": self.iterations}

        def iterate(chosen, start, gmin, damped=False):
            at = pushed[chosen], known[chosen], start, gmin
            return newton(self._circuit, *at, **shared, damped=damped)

        with jax.enable_x64(True):
            solution, good, count = iterate(slice(None), np.zeros_like(pushed), 0.0)
            answer, total = np.array(solution), int(count)
            missed = np.flatnonzero(~np.asarray(good))

            # steps are damped where laws other than diodes' can overshoot
            if missed.size and not all(law.limited for law, _ in self._laws):
                start = np.zeros((missed.size, pushed.shape[1]))
                solution, good, count = iterate(missed, start, 0.0, damped=True)
                answer[missed], total = np.array(solution), total + int(count)
                missed = missed[~np.asarray(good)]

            # from a circuit in which all nodes are tied to ground, back to the circuit itself
            if missed.size:
                start = np.zeros((missed.size, pushed.shape[1]))
                for gmin in (*STEPPING, 0.0):
                    solution, _, count = iterate(missed, start, float(gmin))
                    start, total = np.nan_to_num(np.array(solution)), total + int(count)
                answer[missed] = np.array(solution)
        return answer, total, missed.size
