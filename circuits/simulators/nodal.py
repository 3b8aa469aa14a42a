"""Our own simulator: Newton's method on the modified nodal equations, a batch of samples at once, compiled by JAX."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..analyses import Noise
from ..devices import Junction
from ..equations import Drives, Equations, Told, values_of
from ..noise import band_variance
from ..reduction import reduce
from ..results import deviations, operating_points, voltages
from .base import Simulator, check_start
from .transients import transient

Array = Any
STEPPING = 10.0 ** np.arange(-2.0, -13.0, -1.0)
"""Conductances in S from every node to ground with which points are tried again that Newton's method missed, one after the other."""


@dataclass(frozen=True)
class Nodal(Simulator):
    """Newton's method in JAX, in float64, for all samples at once.

    Diodes are linearised at a voltage that follows the solution by a few N Vt a step, as SPICE does (Nagel, UCB/ERL M520, 1975), so
    that their exponentials never overflow; expressions at the solution itself. Conductances on ideal sources are reduced first. Where
    every diode touches one unknown, as in layered networks, unknowns no two of which touch are eliminated before the dense solve.
    Points that are missed are tried again with gmin stepping. What is found is certified by the netlist's own equations.

    **Arguments:** `tolerance`: the largest Newton correction, in V, of a point that is `ok`. `iterations`: of Newton's method at most.
    """

    tolerance: float = 1e-9
    iterations: int = 200

    def __post_init__(self):
        for field in ("tolerance", "iterations"):
            if not getattr(self, field) > 0:
                raise ValueError(f"`{field}` must be above 0, but is {getattr(self, field)}")

    def version(self):
        return f"nodal, jax-{jax.__version__}"

    def operating_points(self, netlist, drives=None):
        netlist.check()
        whole = Equations(netlist)
        arrays, samples = values_of(drives, netlist)
        smaller, fewer = reduce(netlist, arrays)
        equations = Equations(smaller)
        solved, count, stepped = self._solve(equations, fewer, samples)
        certificate = equations.certificate(solved, fewer)
        found = solved[:, [equations.place(node) for node in whole.free]]
        attributes = {"simulator": self.version(), "netlist": netlist.title, "iterations": count, "stepped": stepped}
        return operating_points(whole.free, found, certificate, self.tolerance, attributes)

    def transient(self, netlist, *, stop, step, start=None):
        equations = Equations(netlist)
        check_start(equations, start)
        times, values = transient(equations, start or {}, stop, step)
        attributes = {"simulator": self.version(), "netlist": netlist.title}
        return voltages(equations.free, values[:, : len(equations.free)], times, attributes)

    def noise(self, netlist, nodes, *, lowest, highest):
        netlist.check()
        netlist.require_nodes(nodes)
        Noise((nodes[0],), "Vnone", lowest, highest)
        equations = Equations(netlist)
        point, _, _ = self._solve(equations, {}, 1)
        places = [equations.place(node) for node in nodes]
        values = np.sqrt(band_variance(equations, point, lowest, highest)[places])
        attributes = {"simulator": self.version(), "netlist": netlist.title, "lowest_hertz": lowest, "highest_hertz": highest}
        return deviations(nodes, values, attributes)

    def _solve(self, equations: Equations, drives: Drives, samples: int) -> tuple[np.ndarray, int, int]:
        """The unknowns (samples, unknowns), how many iterations were taken, and for how many points gmin was stepped."""
        n = equations.unknowns
        rest = equations.voltages(np.zeros((samples, n)), drives)[:, n:]
        pushed = equations.sources(drives, samples) - rest @ equations.linear[:n, n:].toarray().T
        with jax.enable_x64(True):
            solve = functools.partial(_newton, _circuit(equations), told=equations.told, iterations=self.iterations)
            found, good, count = solve(pushed, rest, np.zeros((samples, n)), 0.0)
            answer, missed, total = np.array(found), np.flatnonzero(~np.asarray(good)), int(count)
            if missed.size:
                start = np.zeros((missed.size, n))
                for gmin in (*STEPPING, 0.0):
                    found, _, count = solve(pushed[missed], rest[missed], start, float(gmin))
                    start, total = np.nan_to_num(np.array(found)), total + int(count)
                answer[missed] = np.array(found)
        return answer, total, missed.size


class _Circuit(NamedTuple):
    """A circuit as arrays: `linear` (unknowns, unknowns); for each diode its places and law; what is eliminated and what is kept."""

    linear: Array
    nodes: Array
    first: Array
    second: Array
    saturation: Array
    emission: Array
    gmin: Array
    area: Array
    gone: Array
    kept: Array


def _circuit(equations: Equations) -> _Circuit:
    diodes = equations.diodes()
    linear = equations.linear[: equations.unknowns, : equations.unknowns].toarray()
    place = np.array([[equations.place(node) for node in diode.nodes] for diode in diodes], int).reshape(-1, 2)
    laws = np.array([[d.model.saturation, d.model.emission, d.model.gmin, d.area] for d in diodes]).reshape(-1, 4)
    apart = not equations.told and np.all((place < equations.unknowns).sum(1) <= 1)
    gone = _independent(linear) if apart else np.zeros(0, int)
    kept = np.setdiff1d(np.arange(len(linear)), gone)
    nodes = np.arange(len(linear)) < len(equations.free)
    saturation, emission, gmin, area = laws.T
    return _Circuit(linear, nodes, place[:, 0], place[:, 1], saturation, emission, gmin, area, gone, kept)


def _independent(linear: np.ndarray) -> np.ndarray:
    """Unknowns no two of which touch, taken from the one with the fewest neighbours on; each with a diagonal that is above 0."""
    touching = (linear != 0) | (linear.T != 0)
    np.fill_diagonal(touching, False)
    free, found = np.diag(linear) > 0, []
    for index in np.argsort(touching.sum(0), kind="stable"):
        if free[index]:
            found.append(index)
            free &= ~touching[index]
            free[index] = False
    return np.sort(np.array(found, int))


@functools.partial(jax.jit, static_argnames=("told", "iterations"))
def _newton(
    circuit: _Circuit, pushed: Array, rest: Array, start: Array, extra: float, *, told: tuple[Told, ...], iterations: int
) -> tuple[Array, Array, Array]:
    """The unknowns (samples, unknowns), which samples have settled, and the number of iterations.

    `pushed`: what sources push into the rows. `rest`: the voltages that are no unknowns. `extra`: a conductance from nodes to ground.
    """
    n = start.shape[1]
    law = Junction(circuit.saturation, circuit.emission, circuit.gmin)
    critical = law.scale * jnp.log(law.scale / (jnp.sqrt(2.0) * law.saturation * circuit.area))
    linear = circuit.linear + extra * jnp.diag(circuit.nodes.astype(float))

    def across(unknowns):
        v = jnp.concatenate([unknowns, rest], axis=1)
        return v[:, circuit.first] - v[:, circuit.second]

    def step(state):
        unknowns, at, _, count = state
        g = law.conductance(at, circuit.area)
        i = law.current(at, circuit.area) + g * (across(unknowns) - at)
        out = jnp.zeros((len(unknowns), n + rest.shape[1])).at[:, circuit.first].add(i).at[:, circuit.second].add(-i)
        f = unknowns @ linear.T - pushed + out[:, :n]
        if told:
            terms, slopes = _told(told, jnp.concatenate([unknowns, rest], axis=1), n)
            move = _dense(circuit, linear, g, f + terms, slopes)
        else:
            move = _eliminated(circuit, linear, g, f) if circuit.gone.shape[0] else _dense(circuit, linear, g, f, 0.0)
        moved = unknowns - move
        wanted = across(moved)
        limited = _limit(wanted, at, law.scale, critical)
        off = jnp.max(jnp.abs(move) / jnp.maximum(1.0, jnp.abs(moved)), axis=1, initial=0.0)
        held = jnp.max(jnp.abs(limited - wanted), axis=1, initial=0.0)
        return moved, limited, jnp.maximum(off, held), count + 1

    def going(state):
        return (state[3] < iterations) & jnp.any(state[2] > SETTLED)

    samples = len(start)
    first = start, jnp.minimum(across(start), critical), jnp.full(samples, jnp.inf), jnp.asarray(0)
    unknowns, _, off, count = jax.lax.while_loop(going, step, first)
    return unknowns, off <= SETTLED, count


SETTLED = 1e-12
"""The largest last step of a settled point, relative to its voltage or to 1."""


def _limit(wanted: Array, at: Array, scale: Array, critical: Array) -> Array:
    """The junction voltage to linearise at next: a step far into conduction becomes one of its current (Nagel's pnjlim)."""
    ratio = 1 + (wanted - at) / scale
    rising = jnp.where(ratio > 0, at + scale * jnp.log(jnp.where(ratio > 0, ratio, 1.0)), critical)
    fresh = scale * jnp.log(jnp.maximum(wanted, scale) / scale)
    slowed = jnp.where(at > 0, rising, fresh)
    return jnp.where((wanted > critical) & (jnp.abs(wanted - at) > 2 * scale), slowed, wanted)


def _told(told: tuple[Told, ...], v: Array, n: int) -> tuple[Array, Array]:
    """What expressions add to the rows (samples, n), and to J (samples, n, n)."""
    terms, slopes = jnp.zeros((len(v), n)), jnp.zeros((len(v), n, n))
    for one in told:
        value, found = one.law(v)
        for row, sign in zip(one.rows, one.signs, strict=True):
            if row < n:
                terms = terms.at[:, row].add(sign * jnp.broadcast_to(value, (len(v), 1))[:, 0])
                for places, slope in found:
                    if (column := int(places[0])) < n:
                        slopes = slopes.at[:, row, column].add(sign * jnp.broadcast_to(slope, (len(v), 1))[:, 0])
    return terms, slopes


def _dense(circuit: _Circuit, linear: Array, g: Array, f: Array, slopes: Array) -> Array:
    """J⁻¹F by a dense solve."""
    n = len(linear)
    j = jnp.zeros((len(f), n + 1, n + 1)).at[:, :n, :n].set(linear + slopes)
    first, second = jnp.minimum(circuit.first, n), jnp.minimum(circuit.second, n)
    for row, column, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
        j = j.at[:, row, column].add(sign * g)
    return jnp.linalg.solve(j[:, :n, :n], f[..., None])[..., 0]


def _eliminated(circuit: _Circuit, linear: Array, g: Array, f: Array) -> Array:
    """J⁻¹F where the diodes stand on J's diagonal alone: the unknowns `gone`, a diagonal block, by a Schur complement."""
    n, gone, kept = len(linear), circuit.gone, circuit.kept
    size = n + 1
    on = jnp.zeros((len(f), size)).at[:, jnp.minimum(circuit.first, n)].add(g).at[:, jnp.minimum(circuit.second, n)].add(g)
    diagonal = jnp.diagonal(linear)[gone] + on[:, gone]
    to_kept, to_gone = linear[kept][:, gone], linear[gone][:, kept]
    schur = linear[kept][:, kept] + jnp.eye(len(kept)) * on[:, kept][:, None, :] - (to_kept / diagonal[:, None, :]) @ to_gone
    y = f[:, gone] / diagonal
    x = jnp.linalg.solve(schur, (f[:, kept] - y @ to_kept.T)[..., None])[..., 0]
    return jnp.zeros_like(f).at[:, gone].set(y - (x @ to_gone.T) / diagonal).at[:, kept].set(x)
