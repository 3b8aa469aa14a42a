"""Newton's method on circuits as arrays, a batch of samples at once, compiled by JAX."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..elements.diodes import DiodeModel
from ..elements.transistors import Channel, Mosfet, channels_of
from ..mna.equations import Equations
from ..mna.nonlinear import Junctions, Told
from ..units import Array

SETTLED = 1e-12
"""The largest last step of a settled point, relative to its voltage or to 1."""


class Circuit(NamedTuple):
    """A circuit as arrays: `linear` (unknowns, unknowns); for each junction its places and law; what is eliminated and what is kept.

    `terminals`: the places of the channels' drains, gates, sources and bulks (4, channels).
    """

    linear: Array
    nodes: Array
    first: Array
    second: Array
    saturation: Array
    emission: Array
    gmin: Array
    reverse: Array
    area: Array
    gone: Array
    kept: Array
    terminals: Array
    channels: Channel


def circuit_of(
    equations: Equations, linear: np.ndarray, unknowns: np.ndarray
) -> tuple[Circuit, tuple[Told, ...]]:
    """The circuit of those `unknowns` that what is not linear touches, with `linear` between them, and its expressions."""
    n = len(unknowns)
    index = np.full(equations.size, -1)
    index[unknowns] = np.arange(n)
    index[equations.unknowns :] = n + np.arange(equations.size - equations.unknowns)
    junctions, transistors = Junctions.of(equations.netlist), equations.netlist.of(Mosfet)
    place = index[
        np.array(
            [
                [equations.place(node) for node in nodes]
                for nodes in (junctions.anodes, junctions.cathodes)
            ],
            int,
        )
    ]
    terminals = index[
        np.array([[equations.place(node) for node in t.nodes] for t in transistors], int)
        .reshape(-1, 4)
        .T
    ]
    told = tuple(one.renumbered(index) for one in equations.told)
    apart = not told and not transistors and np.all((place < n).sum(0) <= 1)
    gone = _independent(linear) if apart else np.zeros(0, int)
    kept = np.setdiff1d(np.arange(n), gone)
    law, nodes = junctions.law, unknowns < len(equations.free)
    diodes = (
        place[0],
        place[1],
        law.saturation,
        law.emission,
        law.gmin,
        law.reverse,
        junctions.area,
    )
    channels = channels_of(transistors, equations.netlist.temperature)
    return Circuit(linear, nodes, *diodes, gone, kept, terminals, channels), told


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


@functools.partial(jax.jit, static_argnames=("told", "iterations", "damped"))
def newton(
    circuit: Circuit,
    pushed: Array,
    rest: Array,
    start: Array,
    extra: float,
    *,
    told: tuple[Told, ...],
    iterations: int,
    damped: bool = False,
) -> tuple[Array, Array, Array]:
    """The unknowns (samples, unknowns), which samples have settled, and the number of iterations.

    `pushed`: what sources push into the rows. `rest`: the voltages that are no unknowns. `extra`: a conductance from nodes to ground.
    `damped`: whether a step along which expressions and channels get worse is halved; right where they are steep, slow where they have
    kinks.
    """
    n = start.shape[1]
    law = _law(circuit)
    curved = bool(told) or circuit.terminals.shape[1] > 0
    critical = law.scale * jnp.log(law.scale / (jnp.sqrt(2.0) * law.saturation * circuit.area))
    linear = circuit.linear + extra * jnp.diag(circuit.nodes.astype(float))

    def across(unknowns):
        v = jnp.concatenate([unknowns, rest], axis=1)
        return v[:, circuit.first] - v[:, circuit.second]

    def step(state):
        unknowns, at, _, count = state
        g = law.conductance(at, circuit.area)
        i = law.current(at, circuit.area) + g * (across(unknowns) - at)
        out = (
            jnp.zeros((len(unknowns), n + rest.shape[1]))
            .at[:, circuit.first]
            .add(i)
            .at[:, circuit.second]
            .add(-i)
        )
        f = unknowns @ linear.T - pushed + out[:, :n]
        if curved:
            terms, slopes = _curved(circuit, told, jnp.concatenate([unknowns, rest], axis=1), n)
            move = _dense(circuit, linear, g, f + terms, slopes)
            if damped:
                move = _damped(circuit, linear, g, f, (told, terms, slopes), move, unknowns, rest)
        else:
            move = (
                _eliminated(circuit, linear, g, f)
                if circuit.gone.shape[0]
                else _dense(circuit, linear, g, f, 0.0)
            )
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


@functools.partial(jax.jit, static_argnames=("told",))
def correction(
    circuit: Circuit, unknowns: Array, rest: Array, f: Array, *, told: tuple[Told, ...]
) -> Array:
    """J⁻¹f (samples, unknowns) at `unknowns`."""
    v = jnp.concatenate([unknowns, rest], axis=1)
    g = _law(circuit).conductance(v[:, circuit.first] - v[:, circuit.second], circuit.area)
    if told or circuit.terminals.shape[1]:
        return _dense(
            circuit, circuit.linear, g, f, _curved(circuit, told, v, unknowns.shape[1])[1]
        )
    return (
        _eliminated(circuit, circuit.linear, g, f)
        if circuit.gone.shape[0]
        else _dense(circuit, circuit.linear, g, f, 0.0)
    )


def _law(circuit: Circuit) -> DiodeModel:
    return DiodeModel(circuit.saturation, circuit.emission, circuit.gmin, reverse=circuit.reverse)


def _limit(wanted: Array, at: Array, scale: Array, critical: Array) -> Array:
    """The junction voltage to linearise at next: a step far into conduction becomes one of its current (Nagel's pnjlim)."""
    ratio = 1 + (wanted - at) / scale
    rising = jnp.where(ratio > 0, at + scale * jnp.log(jnp.where(ratio > 0, ratio, 1.0)), critical)
    fresh = scale * jnp.log(jnp.maximum(wanted, scale) / scale)
    slowed = jnp.where(at > 0, rising, fresh)
    return jnp.where((wanted > critical) & (jnp.abs(wanted - at) > 2 * scale), slowed, wanted)


def _curved(circuit: Circuit, told: tuple[Told, ...], v: Array, n: int) -> tuple[Array, Array]:
    """What channels and expressions add to the rows (samples, n), and to J (samples, n, n)."""
    terms, slopes = jnp.zeros((len(v), n)), jnp.zeros((len(v), n, n))
    if circuit.terminals.shape[1]:
        current, by = circuit.channels.current(*(v[:, place] for place in circuit.terminals))
        for row, sign in ((circuit.terminals[0], 1.0), (circuit.terminals[2], -1.0)):
            terms = terms.at[:, _inside(row, n)].add(sign * current, mode="drop")
            for place, slope in zip(circuit.terminals, by, strict=True):
                slopes = slopes.at[:, _inside(row, n), _inside(place, n)].add(
                    sign * slope, mode="drop"
                )
    for one in told:
        value, found = one.law(v)
        for row, sign in zip(one.rows, one.signs, strict=True):
            if row < n:
                terms = terms.at[:, row].add(sign * jnp.broadcast_to(value, (len(v), 1))[:, 0])
                for places, slope in found:
                    if (column := int(places[0])) < n:
                        slopes = slopes.at[:, row, column].add(
                            sign * jnp.broadcast_to(slope, (len(v), 1))[:, 0]
                        )
    return terms, slopes


def _inside(places: Array, n: int) -> Array:
    """Places of unknowns as they are, others beyond what an update reaches."""
    return jnp.where(places < n, places, n)


def _damped(
    circuit: Circuit,
    linear: Array,
    g: Array,
    f: Array,
    expressions: tuple,
    move: Array,
    at: Array,
    rest: Array,
) -> Array:
    """The step, halved until the next one, by the same J, is shorter: ‖J⁻¹F(z − t m)‖ ≤ (1 − t/4) ‖m‖ (Deuflhard's natural test)."""
    told, terms, slopes = expressions
    bent = (slopes @ move[..., None])[..., 0]
    length = jnp.max(jnp.abs(move), axis=1)

    def too_long(t):
        there = jnp.concatenate([at - t[:, None] * move, rest], axis=1)
        ahead = f - t[:, None] * (f + terms - bent) + _curved(circuit, told, there, at.shape[1])[0]
        return ~(
            jnp.max(jnp.abs(_dense(circuit, linear, g, ahead, slopes)), axis=1)
            <= (1 - t / 4) * length
        )

    def halve(carry):
        t, long, count = carry
        t = jnp.where(long, t / 2, t)
        return t, too_long(t), count + 1

    one = jnp.ones(len(move))
    t, _, _ = jax.lax.while_loop(
        lambda c: jnp.any(c[1]) & (c[2] < 50), halve, (one, too_long(one), 0)
    )
    return t[:, None] * move


def _dense(circuit: Circuit, linear: Array, g: Array, f: Array, slopes: Array) -> Array:
    """J⁻¹F by a dense solve."""
    n = len(linear)
    j = jnp.zeros((len(f), n + 1, n + 1)).at[:, :n, :n].set(linear + slopes)
    first, second = jnp.minimum(circuit.first, n), jnp.minimum(circuit.second, n)
    for row, column, sign in (
        (first, first, 1),
        (second, second, 1),
        (first, second, -1),
        (second, first, -1),
    ):
        j = j.at[:, row, column].add(sign * g)
    return jnp.linalg.solve(j[:, :n, :n], f[..., None])[..., 0]


def _eliminated(circuit: Circuit, linear: Array, g: Array, f: Array) -> Array:
    """J⁻¹F where the diodes stand on J's diagonal alone: the unknowns `gone`, a diagonal block, by a Schur complement."""
    n, gone, kept = len(linear), circuit.gone, circuit.kept
    size = n + 1
    on = (
        jnp.zeros((len(f), size))
        .at[:, jnp.minimum(circuit.first, n)]
        .add(g)
        .at[:, jnp.minimum(circuit.second, n)]
        .add(g)
    )
    diagonal = jnp.diagonal(linear)[gone] + on[:, gone]
    to_kept, to_gone = linear[kept][:, gone], linear[gone][:, kept]
    schur = (
        linear[kept][:, kept]
        + jnp.eye(len(kept)) * on[:, kept][:, None, :]
        - (to_kept / diagonal[:, None, :]) @ to_gone
    )
    y = f[:, gone] / diagonal
    x = jnp.linalg.solve(schur, (f[:, kept] - y @ to_kept.T)[..., None])[..., 0]
    return jnp.zeros_like(f).at[:, gone].set(y - (x @ to_gone.T) / diagonal).at[:, kept].set(x)
