"""The built-in simulator: Newton's method on the modified nodal equations, for whole batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr

from ..elements.base import current_of
from ..elements.passive import Inductor
from ..mna.certificates import DENSE, certify
from ..mna.currents import Currents
from ..mna.dae import unknowns_at
from ..mna.equations import Drives, Equations, values_of
from ..mna.noise import densities_at
from ..mna.reduction import Reduction
from ..mna.small_signal import Linearised, decades, frequencies
from ..netlist.analyses import Noise, SmallSignal
from ..netlist.netlist import Netlist
from .base import SimulationError, Simulator, check_start, require_ok
from .datasets import noises, operating_points, responses, voltages
from .element_currents import point_currents, response_currents, transient_currents
from .newton import Circuit, Laws, circuit_of, correction, newton
from .transients import held, settled_at, transient

ELSEWHERE = 0.1
"""The unknowns, in V and A, from which points are tried again where 0 leads to none."""
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

    def transient(self, netlist, *, stop, step, start=None, settled=False):
        equations = Equations.of(netlist)
        check_start(equations, start)
        first = self._first(equations, start or {}, settled)
        motion = transient(equations, first, stop, step)
        return voltages(
            equations.free,
            motion.v[:, : len(equations.free)],
            motion.times,
            {"simulator": self.version(), "netlist": netlist.title},
            transient_currents(Currents.of(equations), motion.times, motion.v, motion.moving),
        )

    def _first(self, equations: Equations, start: Mapping[str, float], settled: bool) -> np.ndarray:
        """Return the unknowns (unknowns,) at time 0."""
        circuit = settled_at(equations, start) if settled else held(equations, start)
        circuit.check(transient=not settled)
        at = Equations.of(circuit)
        solution, _, _ = Solver.of(at, self.iterations).solve({}, 1)
        if not certify(at, solution, {}).within(self.tolerance)[0]:
            raise SimulationError(
                f"the transient of {circuit.title!r} must have a solution at time 0, "
                "but none was found"
            )
        known = at.voltages(solution, {})[0]
        names = (*equations.free, *map(current_of, equations.branches))
        first = np.array([known[place] if (place := at.find(name)) >= 0 else 0.0 for name in names])
        if not settled:
            for inductor in equations.netlist.of(Inductor):
                first[equations.place(current_of(inductor.key))] = inductor.amperes
        return first

    def noise(self, netlist, nodes, *, lowest, highest):
        from scipy.integrate import simpson

        netlist.require_nodes(nodes)
        analysis = Noise((nodes[0],), "Vnone", lowest, highest)
        points = require_ok(self.operating_points(netlist), netlist.title)

        equations = Equations.of(netlist)
        hertz = decades(lowest, highest, analysis.points)
        density = densities_at(
            equations,
            {},
            unknowns_at(equations, None, points),
            [equations.place(node) for node in nodes],
            hertz,
        )
        variance = simpson(density * hertz[:, None], x=np.log(hertz), axis=0)
        attributes = {
            "simulator": self.version(),
            "netlist": netlist.title,
            "lowest_hertz": lowest,
            "highest_hertz": highest,
        }
        return noises(nodes, hertz, density, np.sqrt(variance), attributes)

    def small_signal(self, netlist, *, lowest, highest, points=10, spacing="dec"):
        free = Equations.of(netlist).free
        SmallSignal(free, lowest, highest, points, spacing=spacing)
        operating_point = require_ok(self.operating_points(netlist), netlist.title)
        circuit = Linearised.of(netlist, operating_point)
        hertz = frequencies(lowest, highest, points, spacing)
        solution = circuit.response(hertz)
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        columns = [circuit.equations.place(node) for node in free]
        currents = response_currents(circuit, hertz, solution)
        return responses(free, solution[:, columns], hertz, attributes, currents)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A netlist made ready for a `Nodal` simulator; made by `of`."""

    netlist: Netlist
    simulator: Nodal
    _whole: Equations = field(repr=False)
    _reduction: Reduction = field(repr=False)
    _solver: "Solver" = field(repr=False)
    _currents: Currents = field(repr=False)

    @classmethod
    def of(cls, netlist: Netlist, simulator: Nodal) -> "Prepared":
        """Check, reduce and assemble a netlist."""
        netlist.check()
        whole = Equations.of(netlist)
        reduction = Reduction.of(whole)
        solver = Solver.of(Equations.of(reduction.netlist), simulator.iterations)
        return cls(netlist, simulator, whole, reduction, solver, Currents.of(whole))

    def operating_points(self, drives: Drives | None = None) -> xr.Dataset:
        """Return the operating points of `drives`, as `Simulator.operating_points` has them."""
        values, samples = values_of(drives, self.netlist)
        reduced = self._reduction.drives(values, samples)
        solution, count, stepped = self._solver.solve(reduced, samples)
        equations, nodes = self._solver.equations, self._whole.free
        certificate = certify(equations, solution, reduced, self._solver.step)
        if self._solver.may_be_undefined and not certificate.within(self.simulator.tolerance).all():
            # at 0 V an expression may have no value or no slope, as 1/v and √v
            wrong = ~certificate.within(self.simulator.tolerance)
            again, more, _ = self._solver.solve(reduced, samples, start=ELSEWHERE)
            solution[wrong], count = again[wrong], count + more
            certificate = certify(equations, solution, reduced, self._solver.step)
        attributes = {
            "simulator": self.simulator.version(),
            "netlist": self.netlist.title,
            "iterations": count,
            "stepped": stepped,
        }
        names = (*nodes, *map(current_of, self._whole.branches))
        # a source that touches nothing is not in the smaller netlist, and carries no current
        places = [equations.find(name) for name in names]
        unknowns = np.append(solution, np.zeros((samples, 1)), axis=1)[:, places]
        return operating_points(
            nodes,
            unknowns[:, : len(nodes)],
            certificate,
            self.simulator.tolerance,
            attributes,
            point_currents(self._currents, unknowns, values),
        )


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

    @property
    def may_be_undefined(self) -> bool:
        """Whether it has laws that may have no value or no slope at 0 V: all but diodes'."""
        return not all(law.limited for law, _ in self._laws)

    def solve(
        self, drives: Drives, samples: int, start: float = 0.0
    ) -> tuple[np.ndarray, int, int]:
        """Solve the equations, all unknowns being `start` at first.

        **Returns** the unknowns (samples, unknowns), how many iterations were taken, and for how
        many points gmin was stepped.
        """
        known = self._known(drives, samples)
        n = self.equations.unknowns
        by_known = (self.equations.linear[:n, n:] @ known.T).T
        at_ports, back = self._eliminate(self.equations.sources(drives, samples) - by_known)
        solution, count, missed = self._iterate(at_ports, known, start)
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

    def _iterate(
        self, pushed: np.ndarray, known: np.ndarray, first: float
    ) -> tuple[np.ndarray, int, int]:
        """Return the unknowns of the ports (samples, ports), iterations, and points stepped.

        **Arguments:** `pushed` (samples, ports), `known` (samples, places): as of `newton`.
        `first`: what all unknowns are at first.
        """
        if not len(self._ports):
            return pushed, 0, 0
        shared = {"laws": self._laws, "iterations": self.iterations}

        def iterate(chosen, start, gmin, damped=False):
            at = pushed[chosen], known[chosen], start, gmin
            return newton(self._circuit, *at, **shared, damped=damped)

        with jax.enable_x64(True):
            solution, good, count = iterate(slice(None), np.full_like(pushed, first), 0.0)
            answer, total = np.array(solution), int(count)
            missed = np.flatnonzero(~np.asarray(good))

            # steps are damped where laws other than diodes' can overshoot
            if missed.size and self.may_be_undefined:
                start = np.full((missed.size, pushed.shape[1]), first)
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
