"""Networks of resistors whose node voltages are known exactly, for any ratio of conductances."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import eqprop as ep


class Resistors(ep.Energy):
    """½ Σ g (v_i − v_j)² over resistors; j < 0 is the source −1 − j, of the voltage x[−1 − j].

    With `assembled` the matrix of the network is formed first, so that a large conductance hides
    the digits of a small one.
    """

    g: Array
    ends: tuple[tuple[int, int], ...]
    nodes: int
    assembled: bool = False

    def __call__(self, state, x):
        first, second = np.array(self.ends).T
        whole = jnp.concatenate([state, x.astype(state.dtype)[::-1]])  # index −1 − k is source k
        if not self.assembled:
            return jnp.sum(self.g * (whole[first] - whole[second]) ** 2) / 2
        matrix = jnp.zeros((whole.size, whole.size), self.g.dtype)
        for i, j, sign in ((first, first, 1), (second, second, 1), (first, second, -1)):
            matrix = matrix.at[i, j].add(sign * self.g)
        matrix = matrix.at[second, first].add(-self.g)
        return whole @ matrix @ whole / 2

    def init_state(self, x):
        return jnp.zeros(self.nodes, self.g.dtype)

    def outputs(self, state):
        return state[-1:]


def chain(nodes: int, ratio: float, dtype) -> tuple[Resistors, np.ndarray]:
    """Return a chain from 1 V by 1 S, links of `ratio` S, and ½ S to ground; and its sources."""
    ends = [(0, -1), *((i, i - 1) for i in range(1, nodes)), (nodes - 1, -2)]
    g = np.array([1, *[ratio] * (nodes - 1), 0.5], dtype)
    return Resistors(jnp.asarray(g), tuple(ends), nodes), np.array([1.0, 0.0])


def crossbar(size: int, ratio: float, dtype) -> tuple[Resistors, np.ndarray]:
    """Return a crossbar of cells of 0.1 to 1 S and wires of `ratio` S, and its sources.

    Rows are driven at their left ends, columns are grounded at their lower ends.
    """
    random = np.random.default_rng(1)
    node = np.arange(2 * size * size).reshape(2, size, size)
    ends, g = [], []
    for i in range(size):
        ends += [(int(node[0, i, 0]), -1 - i), (int(node[1, -1, i]), -1 - size)]
        g += [ratio, ratio]
        for j in range(size):
            ends.append((int(node[0, i, j]), int(node[1, i, j])))
            g.append(random.uniform(0.1, 1))
            if j:
                ends += [(int(node[0, i, j]), int(node[0, i, j - 1]))]
                ends += [(int(node[1, j, i]), int(node[1, j - 1, i]))]
                g += [ratio, ratio]
    sources = np.append(np.round(random.uniform(-1, 1, size), 3), 0.0)
    return Resistors(jnp.asarray(np.array(g, dtype)), tuple(ends), node.size), sources


def layered(ratio: float, dtype, sizes=(3, 8, 2)) -> tuple[ep.Resistive, np.ndarray]:
    """Return a layered network of conductances from 1 to `ratio`, evenly in their logarithm."""
    random = np.random.default_rng(0)
    rows = (2 * sizes[0], *sizes[1:-1])
    arrays = [ratio ** random.uniform(0, 1, shape) for shape in zip(rows, sizes[1:], strict=True)]
    x = np.round(random.uniform(-1, 1, sizes[0]), 3)
    return ep.Resistive(
        tuple(jnp.asarray(g, dtype) for g in arrays),
        tuple(jnp.zeros(n, dtype) for n in sizes[1:]),
    ), x


def exact_voltages(net: Resistors | ep.Resistive, x: np.ndarray) -> np.ndarray:
    """Return the voltages at which the currents into each node sum to 0, by rational arithmetic."""
    nodes, resistors, sources = _resistors(net, x)
    matrix = [[Fraction(0)] * nodes for _ in range(nodes)]
    drive = [Fraction(0)] * nodes
    for (i, j), value in resistors:
        g = Fraction(float(value))
        matrix[i][i] += g
        if j < 0:
            drive[i] += g * Fraction(float(sources[-1 - j]))
            continue
        matrix[j][j] += g
        matrix[i][j] -= g
        matrix[j][i] -= g
    for c in range(nodes):
        for r in range(c + 1, nodes):
            if matrix[r][c]:
                factor = matrix[r][c] / matrix[c][c]
                matrix[r] = [a - factor * b for a, b in zip(matrix[r], matrix[c], strict=True)]
                drive[r] -= factor * drive[c]
    voltages = [Fraction(0)] * nodes
    for r in reversed(range(nodes)):
        rest = sum(matrix[r][c] * voltages[c] for c in range(r + 1, nodes))
        voltages[r] = (drive[r] - rest) / matrix[r][r]
    return np.array([float(v) for v in voltages])


def _resistors(net, x):
    """Return the number of nodes, each resistor's ends and conductance, and the sources."""
    if isinstance(net, Resistors):
        return net.nodes, list(zip(net.ends, np.asarray(net.g), strict=True)), x
    starts = np.cumsum([0, *(g.shape[1] for g in net.conductances)])
    resistors = []
    for layer, g in enumerate(map(np.asarray, net.conductances)):
        for (i, j), value in np.ndenumerate(g):
            before = -1 - i if layer == 0 else int(starts[layer - 1] + i)
            resistors.append(((int(starts[layer] + j), before), value))
    rails = np.asarray(net.rails(jnp.asarray(x, net.conductances[0].dtype)))
    return int(starts[-1]), resistors, rails
