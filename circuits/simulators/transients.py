"""Transients of the modified nodal equations, C dz/dt = −F(z, t), integrated by diffrax.

C may be singular: a node without a capacitance, an island of nodes that float on capacitors and the
current of a voltage source have equations without a derivative. With N spanning the null space of
C, they are NᵀF(z, t) = 0; differentiated once they make an ordinary differential equation of the
whole, if NᵀJN can be inverted (index 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from ..elements.base import GROUND, TIME, Element, current_of
from ..elements.passive import Capacitor, Coupling, Inductor
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..mna.dae import islands, split
from ..mna.equations import Equations
from ..netlist.netlist import Netlist, NetlistError
from .base import SimulationError

RTOL, ATOL = 1e-6, 1e-9
"""The error of a time step, relative, and in V and A."""


class Motion(NamedTuple):
    """What a transient comes to at its `times` (times,) in s.

    `v`, `moving`: all voltages and currents, and their derivatives (times, places).
    """

    times: np.ndarray
    v: np.ndarray
    moving: np.ndarray


def transient(equations: Equations, first: np.ndarray, stop: float, step: float) -> Motion:
    """Integrate a circuit's equations from `first`, where NᵀF = 0.

    With z = Qy + Nw, the columns of Q being unit vectors:

        QᵀCQ dy/dt = −QᵀF,      NᵀJN dw/dt = −Nᵀ(JQ dy/dt + ∂F/∂t) − NᵀF/τ,      τ = `step`,

    of which the last term keeps NᵀF at 0 (Baumgarte 1972). By Kvaerno's implicit method of order 5,
    in steps exact to `RTOL` and `ATOL`; what is returned is corrected by Newton's method on NᵀF.

    **Arguments:** `first`: the unknowns (unknowns,) at time 0. `stop`: the last time in s. `step`:
    between the times that are returned, and the longest time step, in s.

    **Returns** the motion at the times 0, `step`, … `stop` in s.

    **Raises** `NetlistError` where NᵀJN is singular, `SimulationError` where the solver gives up.
    """
    times = np.append(np.arange(0.0, stop, step), stop)
    with jax.enable_x64(True):
        flow, corrected = _flow(equations, step)
        start = jnp.asarray(first)
        if corrected is not None and not np.isfinite(flow(jnp.asarray(0.0), start, None)).all():
            raise NetlistError(
                f"{equations.netlist.title!r} must have one solution at each time (index 1), "
                "but has many or none"
            )
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(flow),
            diffrax.Kvaerno5(root_finder=_Chord(RTOL, ATOL)),
            0.0,
            stop,
            step / 1000,
            start,
            saveat=diffrax.SaveAt(ts=jnp.asarray(times)),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL, dtmax=step),
            max_steps=1_000_000,
            throw=False,
        )
        if not bool(diffrax.is_successful(solution.result)):
            raise SimulationError(
                f"the transient of {equations.netlist.title!r} must reach {stop} s, "
                "but the solver gave up"
            )
        unknowns = solution.ys
        if corrected is not None:
            unknowns = jax.vmap(corrected)(jnp.asarray(times), unknowns)
        _require_slopes(equations, flow, times, unknowns)
        return _motion(equations, flow, times, unknowns)


def _require_slopes(equations: Equations, flow: Callable, times: np.ndarray, unknowns: Any) -> None:
    """Raise `SimulationError` where the derivative of `flow` is no number along the motion.

    Implicit steps solve with it: where it is none, as that of √v at 0 V, they can stand still.
    """

    def regular(point):
        t, z = point
        return jnp.isfinite(jax.jvp(lambda z: flow(t, z, None), (z,), (jnp.ones_like(z),))[1]).all()

    here = np.asarray(jax.lax.map(regular, (jnp.asarray(times), unknowns)))
    if not here.all():
        raise SimulationError(
            f"the transient of {equations.netlist.title!r} must have a finite derivative of its "
            f"currents and charges everywhere, but has none at {times[np.argmin(here)]:.6g} s"
        )


def _motion(equations: Equations, flow: Callable, times: np.ndarray, unknowns: Any) -> Motion:
    """Return the motion through `unknowns` (times, unknowns), whose derivative is `flow`."""
    sources = _sources(equations)

    def at(point):
        t, z = point
        (known, _), (moving, _) = jax.jvp(sources, (t,), (jnp.ones_like(t),))
        return jnp.append(z, known), jnp.append(flow(t, z, None), moving)

    v, moving = jax.lax.map(at, (jnp.asarray(times), unknowns))
    return Motion(times, np.array(v), np.array(moving))


def _flow(equations: Equations, step: float) -> tuple[Callable, Callable | None]:
    """Return dz/dt as a function of t, z and arguments that it does not use, and a correction.

    The correction of z at t, from t and z, is two steps of Newton's method on NᵀF; None where every
    unknown has a derivative.
    """
    places, null = split(equations)
    null = null.toarray()
    tied = null.shape[1]
    q, n = jnp.asarray(np.eye(equations.unknowns)[:, places]), jnp.asarray(null)
    inert = np.ix_(places, places)
    constant = not equations.charge_groups
    inverse = (
        jnp.asarray(np.linalg.inv(equations.constant_capacitances.toarray()[inert]))
        if constant
        else None
    )
    linearised = _linearised(equations)

    def accelerated(c, right):
        """Return (QᵀCQ)⁻¹ `right`."""
        return inverse @ right if constant else jnp.linalg.solve(c[inert], right)

    def solve(j, right):
        """Return N (NᵀJN)⁻¹ `right`."""
        return n @ jnp.linalg.solve(n.T @ j @ n, right)

    @jax.jit
    def flow(t, z, args):
        f, j, drift, c = linearised(z, t)
        dz = -(q @ accelerated(c, q.T @ f))
        return dz - solve(j, n.T @ (j @ dz + drift + f / step)) if tied else dz

    @jax.jit
    def corrected(t, z):
        for _ in range(2):
            f, j, *_ = linearised(z, t)
            z -= solve(j, n.T @ f)
        return z

    return flow, corrected if tied else None


class _Chord(optimistix.AbstractRootFinder):
    """The chord method with another test of convergence.

    It has converged when its step is a thousandth of the tolerance, and fails when steps do not
    shrink. optimistix.Chord extrapolates from the rate at which steps shrink: where a stiff circuit
    is at rest they are rounding, their rate is any, and time steps would be refused for ever.
    """

    rtol: float
    atol: float
    norm: Callable = eqx.field(static=True, default=optimistix.max_norm)

    @property
    def _inner(self):
        """The method whose steps these are."""
        return optimistix.Chord(self.rtol, self.atol, self.norm, cauchy_termination=False)

    def init(self, *args, **options):
        return self._inner.init(*args, **options)

    def step(self, *args, **options):
        return self._inner.step(*args, **options)

    def postprocess(self, *args, **options):
        return self._inner.postprocess(*args, **options)

    def terminate(self, fn, y, args, options, state, tags):
        done = (state.step >= 1) & (state.diffsize < 1e-3)
        failed = (state.step >= 2) & ~(state.diffsize < state.diffsize_prev) | (state.step >= 10)
        results = optimistix.RESULTS
        result = results.where(failed & ~done, results.nonlinear_divergence, results.successful)
        return done | failed, result


def held(equations: Equations, start: Mapping[str, float]) -> Netlist:
    """Return the circuit at time 0: capacitors hold voltages, and inductors currents.

    On an island of nodes that floats on capacitors it is the differences that they hold.

    **Arguments:** `start`: the voltages in V by node, 0 V where not given.
    """
    netlist = _at_time_0(equations.netlist)
    kept = (e for e in netlist.elements if not isinstance(e, Capacitor | Inductor | Coupling))
    elements: list[Element] = list(kept)
    elements += [
        CurrentSource(f"start_{e.name}", e.plus, e.minus, e.amperes)
        for e in netlist.of(Inductor)
        if e.amperes
    ]

    for nodes, floats in islands(equations):
        base = nodes[0] if floats else GROUND
        for node in nodes[1:] if floats else nodes:
            volts = start.get(node, 0.0) - start.get(base, 0.0)
            elements.append(VoltageSource(_start(node), node, base, volts))
    return replace(netlist, elements=tuple(elements), analyses=())


def settled_at(equations: Equations, start: Mapping[str, float]) -> Netlist:
    """Return the circuit whose operating point is where a transient starts that is settled.

    **Arguments:** `start`: the voltages in V by node at which nodes are held.
    """
    netlist = _at_time_0(equations.netlist)
    held = [VoltageSource(_start(node), node, GROUND, volts) for node, volts in start.items()]
    return replace(netlist, elements=(*netlist.elements, *held), analyses=())


def _start(node: str) -> str:
    """Return the name of the source that holds a node at time 0, in which no `/` may stand."""
    return f"start_{node.replace('/', ':')}"


def _at_time_0(netlist: Netlist) -> Netlist:
    """Return a circuit whose sources keep the first values of their waveforms."""
    elements: list[Element] = []
    for element in netlist.elements:
        if isinstance(element, IndependentSource) and element.waveform is not None:
            first = {element.unit: float(element.waveform.at(0.0)), "waveform": None}
            elements.append(replace(element, **first))
        else:
            elements.append(element)
    return replace(netlist, elements=tuple(elements))


def _linearised(equations: Equations) -> Callable:
    """Return a function of z and t that gives F, J, ∂F/∂t and C between all places.

    In F is what pinned nodes push through capacitors as they move, which is in no row of NᵀF.
    """
    n, unit = equations.unknowns, np.eye(equations.size)
    a = jnp.asarray(equations.linear[:n].toarray())
    capacitances = jnp.asarray(equations.constant_capacitances.toarray())
    sources = _sources(equations)
    into = [group.incidence(n) for group in equations.groups]

    def at(z, t):
        # what sources do at t, and how fast it changes
        (known, pushed), (moving, changing) = jax.jvp(sources, (t,), (jnp.ones_like(t),))
        v = jnp.concatenate([z, known])

        c = capacitances
        for group in equations.charge_groups:
            for places, slope in group.evaluate(v[None])[1]:
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    c = c.at[rows, places].add(sign * slope[0])

        f, j = a @ v - pushed + c[:n, n:] @ moving, a
        for group, rows in zip(equations.groups, into, strict=True):
            term, slopes = group.evaluate(v[None])
            f += rows @ term[0]
            for places, slope in slopes:
                j += (rows * slope) @ unit[places]
        return f, j[:, :n], j[:, n:] @ moving - changing, c

    return at


def _sources(equations: Equations) -> Callable:
    """Return a function of time t in s that gives what independent sources do.

    It gives the voltages that are no unknowns (pinned nodes and ground,) in V, and what sources
    push into the rows (unknowns,).
    """
    n, size = equations.unknowns, equations.size
    constant, pushed = np.zeros(size - n), equations.pushed({}, 1)[0]
    for node, value in equations.pinned_voltages({}, 1).items():
        constant[equations.place(node) - n] = value[0]
    timed = equations.find(TIME)
    independent = (e for e in equations.netlist.elements if isinstance(e, IndependentSource))
    moving = [
        (source, waveform) for source in independent if (waveform := source.waveform) is not None
    ]

    def at(t):
        known, rows = jnp.asarray(constant), jnp.asarray(pushed)
        for source, waveform in moving:
            value = waveform.at(t)
            if isinstance(source, CurrentSource):
                change = value - source.amperes
                plus, minus = equations.place(source.plus), equations.place(source.minus)
                rows = rows.at[plus].add(-change).at[minus].add(change)
            elif source.key in equations.branches:
                rows = rows.at[equations.place(current_of(source.key))].set(value)
            elif source.minus == GROUND:
                known = known.at[equations.place(source.plus) - n].set(value)
            else:
                known = known.at[equations.place(source.minus) - n].set(-value)
        if timed >= 0:
            known = known.at[timed - n].set(t)
        return known, rows[:n]

    return at
