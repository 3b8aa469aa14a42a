"""Transients of the modified nodal equations, C dz/dt = −F(z, t), integrated by diffrax."""

from collections.abc import Mapping

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from ..elements import GROUND
from ..equations import Equations
from ..laws import current_of
from ..netlist import NetlistError
from ..sources import CurrentSource, IndependentSource, VoltageSource
from .base import SimulationError


def transient(equations: Equations, start: Mapping[str, float], stop: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """The times 0, `step`, … `stop` in s, and the unknowns (times, unknowns) at them, from the voltages `start`, 0 V where not given.

    By Kvaerno's implicit method of order 5, in steps exact to a relative 1e-6. Raises `NetlistError` where C is singular: every free
    node needs a capacitance, and no branch but an inductor may be unknown; and `SimulationError` where the solver gives up.
    """
    c = equations.capacitances()
    if np.linalg.matrix_rank(c) < len(c):
        bare = [*(n for n, own in zip(equations.free, np.diag(c), strict=False) if own == 0), *equations.branches]
        raise NetlistError(
            f"every free node must have a capacitance, and only inductors unknown currents, but these do not: {bare[:10]}"
        )
    times = np.append(np.arange(0.0, stop, step), stop)
    first = np.array([start.get(node, 0.0) for node in equations.free] + [0.0] * len(equations.branches))
    with jax.enable_x64(True):
        n, inverse, a = equations.unknowns, jnp.asarray(np.linalg.inv(c)), jnp.asarray(equations.linear[: equations.unknowns].toarray())
        sources = _sources(equations)

        def flow(t, z, args):
            rest, pushed = sources(t)
            v = jnp.concatenate([z, rest])
            f = a @ v - pushed
            for group in equations.groups:
                term = jnp.broadcast_to(group.law(v[None])[0][0], group.rows[0].shape)
                for rows, sign in zip(group.rows, group.signs, strict=True):
                    f = f.at[np.where(rows < n, rows, n)].add(sign * term, mode="drop")
            return -(inverse @ f)

        chord = diffrax.with_stepsize_controller_tols(optimistix.Chord)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(flow),
            diffrax.Kvaerno5(root_finder=chord(cauchy_termination=False)),
            0.0,
            stop,
            step / 1000,
            jnp.asarray(first),
            saveat=diffrax.SaveAt(ts=jnp.asarray(times)),
            stepsize_controller=diffrax.PIDController(rtol=1e-6, atol=1e-9, dtmax=step),
            max_steps=1_000_000,
            throw=False,
        )
        if not bool(diffrax.is_successful(solution.result)):
            raise SimulationError(f"the transient of {equations.netlist.title!r} must reach {stop} s, but the solver gave up")
        return times, np.array(solution.ys)


def _sources(equations: Equations):
    """The voltages that are no unknowns, and what sources push into the rows, as functions of time."""
    n, size = equations.unknowns, equations.size
    base, pushed = np.zeros(size - n), equations.sources({}, 1)[0]
    for node, value in equations.pinned_voltages({}, 1).items():
        base[equations.place(node) - n] = value[0]
    independent = (e for e in equations.netlist.elements if isinstance(e, IndependentSource))
    moving = [(source, waveform) for source in independent if (waveform := source.waveform) is not None]

    def at(t):
        rest, rows = jnp.asarray(base), jnp.append(jnp.asarray(pushed), jnp.zeros(size - n))
        for source, waveform in moving:
            value = waveform.at(t)
            if isinstance(source, CurrentSource):
                change = value - source.amperes
                rows = rows.at[equations.place(source.plus)].add(-change).at[equations.place(source.minus)].add(change)
            elif source.key in equations.branches:
                rows = rows.at[equations.place(current_of(source.key))].set(value)
            else:
                rest = rest.at[_pin(equations, source)].set(value if source.minus == GROUND else -value)
        return rest, rows[:n]

    return at


def _pin(equations: Equations, source: VoltageSource) -> int:
    return equations.place(source.plus if source.minus == GROUND else source.minus) - equations.unknowns
