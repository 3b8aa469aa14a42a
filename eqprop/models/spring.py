"""Networks of springs in the plane."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy


def _points(values: Any) -> Any:
    return _pairs("positions", np.asarray(values, float))


def _ends(values: Any) -> Any:
    return _pairs("ends", np.asarray(values, int))


def _pairs(name: str, array: np.ndarray) -> tuple:
    """Return the rows as plain numbers, which can be part of a compiled program's key."""
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"`{name}` must hold pairs, but has shape {array.shape}")
    return tuple(map(tuple, array.tolist()))


def _nodes(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


class Springs(Energy):
    """Nodes in the plane joined by springs; some nodes are pinned, and the input displaces them.

    E = ½ Σ_springs k (|r_i − r_j| − L)²

    The state is the positions r of the free nodes (free, 2), in metres; a free phase starts at
    their given positions. Two nodes that a spring joins must not coincide. (Stern et al. 2021,
    "Supervised learning in physical networks", arXiv:2011.03861.)

    **Arguments:**

    - `stiffness`: k of each spring, in N/m, at least 0.
    - `lengths`: the rest length L of each spring, in metres.
    - `ends`: the two nodes that each spring joins.
    - `positions`: where the nodes are without input (nodes, 2), in metres; they do not learn.
    - `pinned`: the nodes that are held, where `positions` and the input say.
    - `moved`: the pinned nodes that the input displaces: x is their displacements (2 · moved,) in
      metres, x and y of each in turn.
    - `read`: the free nodes whose positions are the outputs (2 · read,), x and y of each in turn.

    **Raises** `ValueError` for arrays that do not fit, nodes that are not there, and nodes that are
    pinned and should not be or free and should not be.
    """

    stiffness: Float[Array, " springs"]
    lengths: Float[Array, " springs"]
    ends: tuple[tuple[int, int], ...] = eqx.field(static=True, converter=_ends)
    positions: tuple[tuple[float, float], ...] = eqx.field(static=True, converter=_points)
    pinned: tuple[int, ...] = eqx.field(static=True, converter=_nodes)
    moved: tuple[int, ...] = eqx.field(static=True, converter=_nodes)
    read: tuple[int, ...] = eqx.field(static=True, converter=_nodes)

    def __check_init__(self):
        for name in ("stiffness", "lengths"):
            if getattr(self, name).shape != (len(self.ends),):
                raise ValueError(
                    f"`{name}` must have shape {(len(self.ends),)}, "
                    f"but has {getattr(self, name).shape}"
                )
        nodes = set(range(len(self.positions)))
        for number, pair in enumerate(self.ends):
            if len(set(pair)) != 2 or not set(pair) <= nodes:
                raise ValueError(
                    f"`ends[{number}]` must be two of the {len(nodes)} nodes, but is {pair}"
                )
        pinned = set(self.pinned)
        for name, allowed, which in (
            ("pinned", nodes, ""),
            ("moved", pinned, "pinned "),
            ("read", nodes - pinned, "free "),
        ):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given) or not set(given) <= allowed:
                raise ValueError(
                    f"`{name}` must be distinct {which}nodes, at least one, of {sorted(allowed)}, "
                    f"but is {given}"
                )

    @classmethod
    def init(cls, key: PRNGKeyArray, rows: int, columns: int) -> "Springs":
        """Return a triangular lattice of spacing 1 m with springs at rest, k = U(0.5, 1.5) N/m.

        The nodes are off their places by up to 0.1 m. The first node of each row is pinned and
        moved by the input; the last one is read.

        **Arguments:** `key`: of the random numbers; `rows`: at least 3, since with fewer the
        springs could all keep their rest lengths whatever the input, and the stiffness would not
        matter; `columns`: at least 2.

        **Raises** `ValueError` for fewer rows or columns.
        """
        if rows < 3 or columns < 2:
            raise ValueError(
                f"`rows` and `columns` must be at least 3 and 2, but are {rows} and {columns}"
            )
        places = [
            (column + row % 2 / 2, row * math.sqrt(3) / 2)
            for row in range(rows)
            for column in range(columns)
        ]
        first, second = jax.random.split(key)
        positions = np.array(places) + np.asarray(
            jax.random.uniform(first, (rows * columns, 2), minval=-0.1, maxval=0.1)
        )
        ends = [
            (i, j)
            for i, j in itertools.combinations(range(len(places)), 2)
            if math.dist(places[i], places[j]) < 1.1
        ]
        lengths = [math.dist(positions[i], positions[j]) for i, j in ends]
        stiffness = jax.random.uniform(second, (len(ends),), minval=0.5, maxval=1.5)
        left = range(0, rows * columns, columns)
        right = range(columns - 1, rows * columns, columns)
        return cls(
            stiffness, jnp.asarray(lengths, stiffness.dtype), ends, positions, left, left, right
        )

    @property
    def free(self) -> tuple[int, ...]:
        """Return the nodes that move, in the order of the state."""
        return tuple(node for node in range(len(self.positions)) if node not in self.pinned)

    def layout(
        self, state: Float[Array, "free 2"], x: Float[Array, " inputs"]
    ) -> Float[Array, "nodes 2"]:
        """Return where all nodes are, free and pinned (nodes, 2), in metres.

        **Arguments:** `state`: of the free nodes (free, 2); `x`: the input (inputs,); in metres.
        """
        if x.shape != (2 * len(self.moved),):
            raise ValueError(f"`x` must have shape {(2 * len(self.moved),)}, but has {x.shape}")
        # Products with columns of the unit matrix, not scatters, which compile and run slower.
        one = np.eye(len(self.positions))
        held = one[:, self.pinned] @ np.array(self.positions)[list(self.pinned)]
        moves, free = (jnp.asarray(one[:, nodes], state.dtype) for nodes in (self.moved, self.free))
        return (
            jnp.asarray(held, state.dtype)
            + moves @ x.reshape(-1, 2).astype(state.dtype)
            + free @ state
        )

    def __call__(self, state, x):
        one = np.eye(len(self.positions))
        differences = jnp.asarray(
            one[[i for i, _ in self.ends]] - one[[j for _, j in self.ends]], state.dtype
        )
        distances = jnp.sqrt(jnp.sum((differences @ self.layout(state, x)) ** 2, 1))
        return jnp.sum(self.stiffness * (distances - self.lengths) ** 2) / 2

    def init_state(self, x) -> Float[Array, "free 2"]:
        start = jnp.asarray(np.array(self.positions)[list(self.free)], self.stiffness.dtype)
        self.layout(start, x)  # an input of another shape is an error here already
        return start

    def outputs(self, state):
        return state[np.array([self.free.index(node) for node in self.read])].ravel()

    def parameter_bounds(self):
        return {"stiffness": (0.0, np.inf), "lengths": (0.0, np.inf)}
