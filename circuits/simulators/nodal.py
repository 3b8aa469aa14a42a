"""Our own simulator: Newton's method on the modified nodal equations, a batch of samples at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr

from ..elements.diodes import Diode
from ..elements.transistors import Mosfet
from ..mna.certificates import DENSE, certify
from ..mna.equations import Drives, Equations, values_of
from ..mna.noise import densities_at
from ..mna.nonlinear import current_of
from ..mna.reduction import Reduction
from ..mna.small_signal import decades, response
from ..netlist.analyses import Noise, SmallSignal
from ..netlist.netlist import Netlist
from .base import SimulationError, Simulator, check_start
from .datasets import noises, operating_points, responses, voltages
from .newton import Circuit, circuit_of, correction, newton
from .transients import held, transient

STEPPING = 10.0 ** np.arange(-2.0, -13.0, -1.0)
"""Conductances in S from every node to ground with which points are tried again that Newton's method missed, one after the other."""


@dataclass(frozen=True)
class Nodal(Simulator):
    """Newton's method in JAX, in float64, for all samples at once.

    Diodes are linearised at a voltage that follows the solution by a few N Vt a step, as SPICE does (Nagel, UCB/ERL M520, 1975), so
    that their exponentials never overflow; expressions and channels at the solution itself. Conductances on ideal sources are reduced
    first. Of large circuits only the unknowns that something non-linear touches are iterated, the others eliminated by one sparse
    factorisation (Kron). Where every diode touches one unknown, as in layered networks, unknowns no two of which touch are eliminated
    before the dense solve. Points that are missed are tried again, with damped steps where there are expressions or transistors, and
    with gmin stepping. What is found is certified by the netlist's own equations.

    **Arguments:** `tolerance`: the largest Newton correction, in V, of a point that is `ok`. `iterations`: of Newton's method at most.
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
        """What of the work on a netlist needs no drives, done once: for the operating points of many batches. Raises as those do."""
        return Prepared(netlist, self)

    def operating_points(self, netlist, drives=None):
        return self.prepare(netlist).operating_points(drives)

    def transient(self, netlist, *, stop, step, start=None):
        equations = Equations(netlist)
        check_start(equations, start)
        times, values = transient(equations, self._first(equations, start or {}), stop, step)
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        return voltages(equations.free, values[:, : len(equations.free)], times, attributes)

    def _first(self, equations: Equations, start: Mapping[str, float]) -> np.ndarray:
        """The unknowns (unknowns,) at time 0."""
        netlist = held(equations, start)
        netlist.check(transient=True)
        at = Equations(netlist)
        solved, _, _ = Solver(at, self.iterations).solve({}, 1)
        if not certify(at, solved, {}).correction[0] <= self.tolerance:
            raise SimulationError(
                f"the transient of {netlist.title!r} must have a solution at time 0, but none was found"
            )
        known = at.voltages(solved, {})[0]
        places = (*equations.free, *map(current_of, equations.branches))
        return np.array([known[place] if (place := at.find(name)) >= 0 else 0.0 for name in places])

    def noise(self, netlist, nodes, *, lowest, highest):
        from scipy.integrate import simpson

        netlist.check()
        netlist.require_nodes(nodes)
        analysis = Noise((nodes[0],), "Vnone", lowest, highest)
        equations = Equations(netlist)
        point, _, _ = Solver(equations, self.iterations).solve({}, 1)
        places = [equations.place(node) for node in nodes]
        frequencies = decades(lowest, highest, analysis.points)
        attributes = {
            "simulator": self.version(),
            "netlist": netlist.title,
            "lowest_hertz": lowest,
            "highest_hertz": highest,
        }
        density = densities_at(equations, point, {}, places, frequencies)
        total = np.sqrt(simpson(density * frequencies[:, None], x=np.log(frequencies), axis=0))
        return noises(nodes, frequencies, density, total, attributes)

    def small_signal(self, netlist, *, lowest, highest, points=10):
        free = Equations(netlist).free
        SmallSignal(free, lowest, highest, points)
        point = self.operating_points(netlist)
        if point.status.values != ["ok"]:
            raise SimulationError(
                f"the operating point of {netlist.title!r} must be certified, but is {point.status.item()}"
            )
        fixed = Equations(netlist).pinned_voltages({}, 1)
        rest = dict(zip(point.node.values.tolist(), point.voltage.values[0].tolist(), strict=True))
        frequencies = decades(lowest, highest, points)
        nodes, values = response(
            netlist, rest | {node: float(v[0]) for node, v in fixed.items()}, frequencies
        )
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        return responses(
            free, values[:, [nodes.index(node) for node in free]], frequencies, attributes
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A netlist made ready for a `Nodal` simulator."""

    netlist: Netlist
    simulator: Nodal
    _whole: Equations = field(init=False, repr=False)
    _reduction: Reduction = field(init=False, repr=False)
    _solver: "Solver" = field(init=False, repr=False)

    def __post_init__(self):
        self.netlist.check()
        whole = Equations(self.netlist)
        reduction = Reduction(whole)
        solver = Solver(Equations(reduction.netlist), self.simulator.iterations)
        for name, value in (("_whole", whole), ("_reduction", reduction), ("_solver", solver)):
            object.__setattr__(self, name, value)

    def operating_points(self, drives: Drives | None = None) -> xr.Dataset:
        """The operating points of `drives`, as `Simulator.operating_points` has them."""
        arrays, samples = values_of(drives, self.netlist)
        fewer = self._reduction.drives(arrays, samples)
        solved, count, stepped = self._solver.solve(fewer, samples)
        equations, nodes = self._solver.equations, self._whole.free
        certificate = certify(equations, solved, fewer, self._solver.step)
        found = solved[:, [equations.place(node) for node in nodes]]
        attributes = {
            "simulator": self.simulator.version(),
            "netlist": self.netlist.title,
            "iterations": count,
            "stepped": stepped,
        }
        return operating_points(nodes, found, certificate, self.simulator.tolerance, attributes)


@dataclass(frozen=True, eq=False)
class Solver:
    """Newton's method on given equations; of more than `DENSE` unknowns those that nothing non-linear touches are eliminated."""

    equations: Equations
    iterations: int
    _ports: np.ndarray = field(init=False, repr=False)
    _inner: np.ndarray = field(init=False, repr=False)
    _factors: Any = field(init=False, repr=False)
    _circuit: tuple[Circuit, tuple] = field(init=False, repr=False)

    def __post_init__(self):
        equations, n = self.equations, self.equations.unknowns
        ports, factors = np.arange(n), None
        linear = equations.linear[:n, :n]
        if n > DENSE:
            bent = (*equations.netlist.of(Diode), *equations.netlist.of(Mosfet))
            touched = [
                place
                for element in bent
                for node in element.nodes
                if (place := equations.place(node)) < n
            ]
            touched += [
                place
                for one in equations.told
                for place in (*one.rows, *(k for _, places in one.controls for k in places))
            ]
            ports = np.unique([place for place in touched if place < n]).astype(int)
        inner = np.setdiff1d(np.arange(n), ports)
        between = linear[ports][:, ports].toarray()
        if len(inner):
            from scipy.sparse.linalg import splu

            factors = splu(linear[inner][:, inner].tocsc())
            gain = factors.solve(linear[inner][:, ports].toarray())
            between -= linear[ports][:, inner] @ gain
            factors = (factors, gain, linear[ports][:, inner])
        circuit = circuit_of(equations, between, ports)
        for name, value in (
            ("_ports", ports),
            ("_inner", inner),
            ("_factors", factors),
            ("_circuit", circuit),
        ):
            object.__setattr__(self, name, value)

    def solve(self, drives: Drives, samples: int) -> tuple[np.ndarray, int, int]:
        """The unknowns (samples, unknowns), how many iterations were taken, and for how many points gmin was stepped."""
        rest = self._rest(drives, samples)
        n = self.equations.unknowns
        pushed = (
            self.equations.sources(drives, samples) - (self.equations.linear[:n, n:] @ rest.T).T
        )
        at_ports, back = self._eliminate(pushed)
        found, count, missed = self._iterate(at_ports, rest)
        return back(found), count, missed

    def step(self, unknowns: np.ndarray, drives: Drives, f: np.ndarray) -> np.ndarray:
        """J⁻¹f (samples, unknowns) at `unknowns`."""
        circuit, told = self._circuit
        at_ports, back = self._eliminate(f)
        if len(self._ports):
            with jax.enable_x64(True):
                rest = self._rest(drives, len(f))
                at_ports = np.asarray(
                    correction(circuit, unknowns[:, self._ports], rest, at_ports, told=told)
                )
        return back(at_ports)

    def _rest(self, drives: Drives, samples: int) -> np.ndarray:
        """The voltages that are no unknowns (samples, places)."""
        n = self.equations.unknowns
        return self.equations.voltages(np.zeros((samples, n)), drives)[:, n:]

    def _eliminate(self, rows: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """A right-hand side (samples, unknowns) for the ports alone, and what makes all unknowns of theirs."""
        if self._factors is None:
            return rows, lambda at_ports: at_ports
        factors, gain, across = self._factors
        alone = factors.solve(rows[:, self._inner].T)

        def back(at_ports):
            answer = np.empty_like(rows)
            answer[:, self._ports], answer[:, self._inner] = at_ports, alone.T - at_ports @ gain.T
            return answer

        return rows[:, self._ports] - (across @ alone).T, back

    def _iterate(self, pushed: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, int, int]:
        if not len(self._ports):
            return pushed, 0, 0
        circuit, told = self._circuit

        def iterate(chosen, start, gmin, damped=False):
            return newton(
                circuit,
                pushed[chosen],
                rest[chosen],
                start,
                gmin,
                told=told,
                iterations=self.iterations,
                damped=damped,
            )

        with jax.enable_x64(True):
            found, good, count = iterate(slice(None), np.zeros_like(pushed), 0.0)
            answer, missed, total = np.array(found), np.flatnonzero(~np.asarray(good)), int(count)
            if missed.size and (told or circuit.terminals.shape[1]):
                found, good, count = iterate(
                    missed, np.zeros((missed.size, pushed.shape[1])), 0.0, damped=True
                )
                answer[missed], missed, total = (
                    np.array(found),
                    missed[~np.asarray(good)],
                    total + int(count),
                )
            if missed.size:
                start = np.zeros((missed.size, pushed.shape[1]))
                for gmin in (*STEPPING, 0.0):
                    found, _, count = iterate(missed, start, float(gmin))
                    start, total = np.nan_to_num(np.array(found)), total + int(count)
                answer[missed] = np.array(found)
        return answer, total, missed.size
