"""Newton's method on circuits as arrays, a batch of samples at once, compiled by JAX."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..elements.laws import Law, TwoTerminalLaw
from ..mna.equations import Equations
from ..mna.nonlinear import TermGroup
from ..units import Array

SETTLED = 1e-12
"""The largest last step of a settled point, relative to its voltage or to 1."""

Laws = tuple[tuple[Law, tuple[float, ...]], ...]
"""What of the non-linear terms is part of the program: for each group its law, whose parameters do
not count, and the signs with which it enters its rows."""


class Terms(NamedTuple):
    """The numbers of a group of terms: the parameters of its law, its controls and its rows.

    Each is an array (k,), or several; places of unknowns come first, then those that are known.
    """

    parameters: tuple[Array, ...]
    controls: tuple[Array, ...]
    rows: tuple[Array, ...]


class Circuit(NamedTuple):
    """A circuit as arrays.

    - `linear`: A between the unknowns (unknowns, unknowns). `nodes`: which of them are voltages.
    - `terms`: the groups of non-linear terms, in the order of `Laws`.
    - `removed`, `kept`: the unknowns that each step eliminates first, and the others.
    """

    linear: Array
    nodes: Array
    terms: tuple[Terms, ...]
    removed: Array
    kept: Array


def circuit_of(
    equations: Equations, linear: np.ndarray, unknowns: np.ndarray
) -> tuple[Circuit, Laws]:
    """Return the circuit of those `unknowns` that non-linear terms touch, and its laws.

    **Arguments:** `linear`: A between these unknowns, the others eliminated.
    """
    n = len(unknowns)
    index = np.full(equations.size, -1)
    index[unknowns] = np.arange(n)
    index[equations.unknowns :] = n + np.arange(equations.size - equations.unknowns)
    groups = [group.renumbered(index) for group in equations.groups]

    removed = np.zeros(0, int)
    if all(_is_diagonal(group, n) for group in groups):
        removed = _independent(linear)
    kept = np.setdiff1d(np.arange(n), removed)
    terms = tuple(Terms(group.law.parameters(), group.controls, group.rows) for group in groups)
    laws = tuple((group.law.without_parameters(), group.signs) for group in groups)
    nodes = unknowns < len(equations.free)
    return Circuit(linear, nodes, terms, removed, kept), laws


def _is_diagonal(group: TermGroup, n: int) -> bool:
    """Return whether terms stand on J's diagonal alone: limited laws, one unknown end at most."""
    if not group.law.limited:
        return False
    return bool(np.all(sum((rows < n).astype(int) for rows in group.rows) <= 1))


def _independent(linear: np.ndarray) -> np.ndarray:
    """Return unknowns no two of which touch, each with a diagonal that is above 0.

    Taken from the one with the fewest neighbours on.
    """
    touching = (linear != 0) | (linear.T != 0)
    np.fill_diagonal(touching, False)
    free, chosen = np.diag(linear) > 0, []
    for index in np.argsort(touching.sum(0), kind="stable"):
        if free[index]:
            chosen.append(index)
            free &= ~touching[index]
            free[index] = False
    return np.sort(np.array(chosen, int))


@functools.partial(jax.jit, static_argnames=("laws", "iterations", "damped"))
def newton(
    circuit: Circuit,
    pushed: Array,
    known: Array,
    start: Array,
    gmin: float,
    *,
    laws: Laws,
    iterations: int,
    damped: bool = False,
) -> tuple[Array, Array, Array]:
    """Solve a circuit by Newton's method.

    Laws that are `limited` are linearised at a voltage that follows the solution by a limited step,
    all others at the solution.

    **Arguments:**

    - `pushed` (samples, unknowns): what sources push into the rows.
    - `known` (samples, others): the voltages that are no unknowns. `start` (samples, unknowns).
    - `gmin`: a conductance in S from every node to ground.
    - `laws`: of the circuit. `iterations`: at most.
    - `damped`: whether a step along which unlimited laws get worse is halved; right where they are
      steep, slow where they have kinks.

    **Returns** the unknowns (samples, unknowns), which samples have settled, and the number of
    iterations.
    """
    linear = circuit.linear + gmin * jnp.diag(circuit.nodes.astype(float))
    limited, others = _by_limit(circuit, laws)
    system = _System(circuit, linear, limited, others, pushed, known)

    def step(state):
        unknowns, last, _, count = state
        move = system.move(unknowns, last, damped)
        moved = unknowns - move

        # limited laws follow as far as they let themselves be taken
        wanted = system.across(moved)
        held = [law.limit(to, at) for (law, _), to, at in zip(limited, wanted, last, strict=True)]
        off = jnp.max(jnp.abs(move) / jnp.maximum(1.0, jnp.abs(moved)), axis=1, initial=0.0)
        for limit, to in zip(held, wanted, strict=True):
            off = jnp.maximum(off, jnp.max(jnp.abs(limit - to), axis=1, initial=0.0))
        return moved, tuple(held), off, count + 1

    def going(state):
        return (state[3] < iterations) & jnp.any(state[2] > SETTLED)

    across = zip(limited, system.across(start), strict=True)
    first = tuple(jnp.minimum(v, law.critical()) for (law, _), v in across)
    state = start, first, jnp.full(len(start), jnp.inf), jnp.asarray(0)
    unknowns, _, off, count = jax.lax.while_loop(going, step, state)
    return unknowns, off <= SETTLED, count


class _System(NamedTuple):
    """A circuit for a batch of samples, as a step of Newton's method needs it.

    `linear`: A, with gmin from every node to ground. `limited`, `others`: its laws (`_by_limit`).
    `pushed`, `known`: as of `newton`.
    """

    circuit: Circuit
    linear: Array
    limited: "list[tuple[TwoTerminalLaw, Terms]]"
    others: "list[tuple[Law, tuple[float, ...], Terms]]"
    pushed: Array
    known: Array

    def across(self, unknowns: Array) -> tuple[Array, ...]:
        """Return the voltages (samples, k) in V across the elements of each limited law."""
        v = jnp.concatenate([unknowns, self.known], axis=1)
        return tuple(v[:, t.controls[0]] - v[:, t.controls[1]] for _, t in self.limited)

    def move(self, unknowns: Array, last: tuple[Array, ...], damped: bool) -> Array:
        """Return the step J⁻¹F (samples, unknowns).

        **Arguments:** `last`: the voltages (samples, k) at which each limited law is linearised.
        """
        n, samples = unknowns.shape[1], len(unknowns)
        circuit, linear, limited = self.circuit, self.linear, self.limited

        # the equations, with limited laws linearised at `last` and taken to the present voltages
        slopes = [law.conductance(at) for (law, _), at in zip(limited, last, strict=True)]
        f = unknowns @ linear.T - self.pushed
        parts = zip(limited, last, self.across(unknowns), slopes, strict=True)
        for (law, terms), at, now, g in parts:
            f = _added(f, terms.rows, (1.0, -1.0), law.current(at) + g * (now - at))
        if circuit.removed.shape[0]:
            return _eliminated(circuit, linear, _diagonal(limited, slopes, n, samples), f)

        v = jnp.concatenate([unknowns, self.known], axis=1)
        unlimited, jacobian = _unlimited(self.others, v, n)
        j = _dense(linear, limited, slopes, jacobian, samples)
        move = _solve(j, f + unlimited)
        if damped and self.others:
            parts = f, unlimited, jacobian
            move = _damped(self.others, j, parts, move, unknowns, self.known)
        return move


@functools.partial(jax.jit, static_argnames=("laws",))
def correction(circuit: Circuit, unknowns: Array, known: Array, f: Array, *, laws: Laws) -> Array:
    """Return J⁻¹f (samples, unknowns).

    **Arguments:** `unknowns` (samples, unknowns): where J is taken. `f` (samples, unknowns). The
    others are those of `newton`.
    """
    v = jnp.concatenate([unknowns, known], axis=1)
    n, samples = len(circuit.linear), len(f)
    limited, others = _by_limit(circuit, laws)
    slopes = [law.conductance(v[:, t.controls[0]] - v[:, t.controls[1]]) for law, t in limited]
    if circuit.removed.shape[0]:
        diagonal = _diagonal(limited, slopes, n, samples)
        return _eliminated(circuit, circuit.linear, diagonal, f)
    jacobian = _unlimited(others, v, n)[1]
    return _solve(_dense(circuit.linear, limited, slopes, jacobian, samples), f)


def _by_limit(
    circuit: Circuit, laws: Laws
) -> tuple[list[tuple[TwoTerminalLaw, Terms]], list[tuple[Law, tuple[float, ...], Terms]]]:
    """Return the limited laws, which are of one voltage, and the others with their signs."""
    limited, others = [], []
    for (bare, signs), terms in zip(laws, circuit.terms, strict=True):
        law = bare.with_parameters(terms.parameters)
        if isinstance(law, TwoTerminalLaw) and law.limited:
            limited.append((law, terms))
        else:
            others.append((law, signs, terms))
    return limited, others


def _added(f: Array, rows: tuple[Array, ...], signs: tuple[float, ...], term: Array) -> Array:
    """Return f (samples, n) with terms (samples, k) in their rows, those of unknowns alone."""
    for row, sign in zip(rows, signs, strict=True):
        f = f.at[:, _inside(row, f.shape[1])].add(sign * term, mode="drop")
    return f


def _unlimited(others: list, v: Array, n: int) -> tuple[Array, Array]:
    """Return what unlimited laws add to the rows (samples, n), and to J (samples, n, n)."""
    if not others:
        return jnp.zeros((len(v), n)), jnp.zeros(())
    f, j = jnp.zeros((len(v), n)), jnp.zeros((len(v), n, n))
    for law, signs, terms in others:
        shape = (len(v), len(terms.rows[0]))
        value, slopes = law.evaluate(*(v[:, places] for places in terms.controls))
        f = _added(f, terms.rows, signs, jnp.broadcast_to(value, shape))
        for row, sign in zip(terms.rows, signs, strict=True):
            for places, slope in zip(terms.controls, slopes, strict=True):
                entries = (slice(None), _inside(row, n), _inside(places, n))
                j = j.at[entries].add(sign * jnp.broadcast_to(slope, shape), mode="drop")
    return f, j


def _inside(places: Array, n: int) -> Array:
    """Return places of unknowns as they are, others beyond what an update reaches."""
    return jnp.where(places < n, places, n)


def _damped(
    others: list,
    j: Array,
    parts: tuple[Array, Array, Array],
    move: Array,
    unknowns: Array,
    known: Array,
) -> Array:
    """Return the step, halved until the next one, by the same J, is shorter.

    ‖J⁻¹F(z − t m)‖ ≤ (1 − t/4) ‖m‖ (Deuflhard's natural test).

    **Arguments:** `parts`: F without unlimited laws, their terms, and their part of J. `move`: m.
    """
    f, unlimited, jacobian = parts
    along = (jacobian @ move[..., None])[..., 0]
    length = jnp.max(jnp.abs(move), axis=1)

    def too_long(t):
        there = jnp.concatenate([unknowns - t[:, None] * move, known], axis=1)
        linear = f - t[:, None] * (f + unlimited - along)
        ahead = linear + _unlimited(others, there, f.shape[1])[0]
        return ~(jnp.max(jnp.abs(_solve(j, ahead)), axis=1) <= (1 - t / 4) * length)

    def halve(carry):
        t, long, count = carry
        t = jnp.where(long, t / 2, t)
        return t, too_long(t), count + 1

    whole = jnp.ones(len(move))
    state = (whole, too_long(whole), 0)
    t, _, _ = jax.lax.while_loop(lambda c: jnp.any(c[1]) & (c[2] < 50), halve, state)
    return t[:, None] * move


def _dense(
    linear: Array, limited: list, slopes: list[Array], jacobian: Array, samples: int
) -> Array:
    """Return J (samples, n, n)."""
    n = len(linear)
    j = jnp.broadcast_to(linear + jacobian, (samples, n, n))
    for (_, terms), g in zip(limited, slopes, strict=True):
        first, second = (_inside(row, n) for row in terms.rows)
        for row, column, sign in (
            (first, first, 1),
            (second, second, 1),
            (first, second, -1),
            (second, first, -1),
        ):
            j = j.at[:, row, column].add(sign * g, mode="drop")
    return j


def _solve(j: Array, f: Array) -> Array:
    """Return J⁻¹f (samples, n) by a dense factorisation."""
    return jnp.linalg.solve(j, f[..., None])[..., 0]


def _diagonal(limited: list, slopes: list[Array], n: int, samples: int) -> Array:
    """Return the conductances (samples, n) that limited laws add to J's diagonal."""
    diagonal = jnp.zeros((samples, n))
    for (_, terms), g in zip(limited, slopes, strict=True):
        diagonal = _added(diagonal, terms.rows, (1.0, 1.0), g)
    return diagonal


def _eliminated(circuit: Circuit, linear: Array, diagonal: Array, f: Array) -> Array:
    """Return J⁻¹f where all terms stand on J's diagonal.

    The unknowns `removed`, a diagonal block, are eliminated by a Schur complement.
    """
    removed, kept = circuit.removed, circuit.kept
    pivots = jnp.diagonal(linear)[removed] + diagonal[:, removed]
    to_kept, to_removed = linear[kept][:, removed], linear[removed][:, kept]
    schur = linear[kept][:, kept] + jnp.eye(len(kept)) * diagonal[:, kept][:, None, :]
    schur -= (to_kept / pivots[:, None, :]) @ to_removed
    y = f[:, removed] / pivots
    x = _solve(schur, f[:, kept] - y @ to_kept.T)
    back = y - (x @ to_removed.T) / pivots
    return jnp.zeros_like(f).at[:, removed].set(back).at[:, kept].set(x)
