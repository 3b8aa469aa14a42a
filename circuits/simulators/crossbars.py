"""Operating points of crossbars whose lines have resistance, along word and bit lines in turn."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..topologies.crossbars import check_crossbar, crossbar
from ..units import Array
from .base import check_positive, require_ok
from .nodal import Nodal

ITERATIONS = 100
"""Turns along all word lines and all bit lines, at most."""


def solve_crossbars(
    siemens: np.ndarray,
    volts: np.ndarray,
    *,
    wire_ohms: float,
    driver_ohms: float = 0.0,
    sense_ohms: float = 0.0,
    tolerance: float = 1e-12,
) -> xr.Dataset:
    """Compute the voltages and currents of chips that are crossbars of one shape.

    The circuit is that of `topologies.crossbar`. With the bit lines' voltages held, every word line
    is a tridiagonal system, and the other way round; solved in turn they approach Kirchhoff's laws
    of all crossings by a factor of about (g · wire_ohms · n²)² a turn, g being the conductances and
    n the length of a line. Chips on which that does not settle, as their wires resist more than
    their devices, are solved by `Nodal`.

    **Arguments:**

    - `siemens`: of the devices, (chips, words, bits) or (words, bits), in S.
    - `volts`: of the word lines' sources, (samples, words).
    - `wire_ohms`: of the wire between neighbouring crossings, in Ω, above 0.
    - `driver_ohms`, `sense_ohms`: at the beginnings of word lines and the ends of bit lines, in Ω.
    - `tolerance`: the largest error of a voltage, relative to the largest of `volts`.

    **Returns** a Dataset:

    - `word`, `bit` (chip, sample, wordline, bitline): the voltages at the crossings in V.
    - `device`, `along_word`, `along_bit`, of the same shape: the currents of the devices, of the
      pieces of wire that lead to the crossings, and of those that leave them downwards, in A.
    - `output` (chip, sample, bitline): the current of each bit line in A.
    - `kcl` (chip): the largest current left over at a crossing, relative to the largest in a wire.
    - `turns` (chip): how many it took, 0 where `Nodal` solved the chip.

    **Raises** as `topologies.crossbar`, `ValueError` for other shapes, and `SimulationError` where
    `Nodal` does not certify a chip's voltages either.
    """
    siemens, volts = np.asarray(siemens, float), np.asarray(volts, float)
    chips = siemens[None] if siemens.ndim == 2 else siemens
    if volts.ndim != 2 or chips.ndim != 3 or not chips.size or not volts.size:
        raise ValueError(
            "`siemens` must be (chips, words, bits) and `volts` (samples, words), "
            f"but have shapes {siemens.shape} and {volts.shape}"
        )
    check_positive("tolerance", tolerance)
    for chip in chips:
        check_crossbar(chip, volts[0], wire_ohms, driver_ohms, sense_ohms)
    wire, first, last = 1 / wire_ohms, 1 / (wire_ohms + driver_ohms), 1 / (wire_ohms + sense_ohms)
    parts, turns = [], []
    with jax.enable_x64(True):
        for chip in chips:
            *voltages, count, error = _settle(
                jnp.asarray(chip), jnp.asarray(volts), wire, first, last, tolerance
            )
            if float(error) <= tolerance:
                parts.append(tuple(np.asarray(part) for part in voltages))
                turns.append(int(count))
            else:
                parts.append(_by_nodal(chip, volts, wire_ohms, driver_ohms, sense_ohms))
                turns.append(0)
    word, bit = (np.stack(part) for part in zip(*parts, strict=True))
    return _dataset(chips, volts, word, bit, (wire, first, last), turns)


def _dataset(chips, volts, word, bit, conductances, turns) -> xr.Dataset:
    """Return the Dataset that `solve_crossbars` describes, its currents from the voltages."""
    wire, first, last = conductances
    device = chips[:, None] * (word - bit)
    into = np.concatenate(
        [
            first * (volts[None, :, :, None] - word[..., :1]),
            wire * (word[..., :-1] - word[..., 1:]),
        ],
        -1,
    )
    down = np.concatenate(
        [wire * (bit[..., :-1, :] - bit[..., 1:, :]), last * bit[..., -1:, :]], -2
    )
    at_word = into - device - np.concatenate([into[..., 1:], np.zeros_like(into[..., :1])], -1)
    at_bit = (
        device - down + np.concatenate([np.zeros_like(down[..., :1, :]), down[..., :-1, :]], -2)
    )
    largest = np.maximum(np.abs(into).max((1, 2, 3)), np.abs(down).max((1, 2, 3)))
    left = np.maximum(np.abs(at_word).max((1, 2, 3)), np.abs(at_bit).max((1, 2, 3)))
    crossing = ("chip", "sample", "wordline", "bitline")
    return xr.Dataset(
        {
            "word": (crossing, word, {"units": "V"}),
            "bit": (crossing, bit, {"units": "V"}),
            "device": (crossing, device, {"units": "A"}),
            "along_word": (crossing, into, {"units": "A"}),
            "along_bit": (crossing, down, {"units": "A"}),
            "output": (("chip", "sample", "bitline"), down[..., -1, :], {"units": "A"}),
            "kcl": ("chip", left / np.where(largest > 0, largest, 1.0), {"units": "1"}),
            "turns": ("chip", np.array(turns)),
        }
    )


def _by_nodal(chip, volts, wire_ohms, driver_ohms, sense_ohms) -> tuple[np.ndarray, np.ndarray]:
    """Return the voltages (samples, words, bits) of word and of bit lines, by `Nodal`."""
    netlist = crossbar(
        chip, volts[0], wire_ohms=wire_ohms, driver_ohms=driver_ohms, sense_ohms=sense_ohms
    )
    drives = {f"Vin{i}": column for i, column in enumerate(volts.T)}
    points = require_ok(Nodal().operating_points(netlist, drives), netlist.title)
    words, bits = chip.shape
    lines = ([f"{line}{i}_{j}" for i in range(words) for j in range(bits)] for line in "wb")
    word, bit = (
        points.voltage.sel(node=line).values.reshape(len(volts), words, bits) for line in lines
    )
    return word, bit


@jax.jit
def _settle(
    g: Array, volts: Array, wire: float, first: float, last: float, tolerance: float
) -> tuple[Array, Array, Array, Array]:
    """Solve word lines and bit lines in turn.

    Returns the voltages (samples, words, bits) at the crossings of word and of bit lines, the turns
    taken, and the error, relative to `volts`.
    """
    words, bits = g.shape
    ends = jnp.zeros(bits).at[0].set(first).at[1:].set(wire) + jnp.full(bits, wire).at[-1].set(0.0)
    along_words = _factors(g.T + ends[:, None], wire)
    ends = jnp.full(words, wire).at[0].set(0.0) + jnp.full(words, wire).at[-1].set(last)
    along_bits = _factors(g + ends[:, None], wire)
    by_bit, by_word = g.T[..., None], g[..., None]
    driven = jnp.zeros((bits, words, len(volts))).at[0].set(first * volts.T)
    scale = jnp.maximum(jnp.max(jnp.abs(volts)), jnp.finfo(float).tiny)

    def turn(carry):
        bit, _, change, count, _ = carry
        word = _solve(along_words, by_bit * bit.swapaxes(0, 1) + driven)
        fresh = _solve(along_bits, by_word * word.swapaxes(0, 1))
        moved = jnp.max(jnp.abs(fresh - bit)) / scale
        ratio = jnp.where(change > 0, moved / change, 0.0)
        error = jnp.where(
            jnp.isinf(change), jnp.inf, jnp.where(ratio < 1, moved * ratio / (1 - ratio), jnp.inf)
        )
        return fresh, word, moved, count + 1, jnp.where(moved <= 1e-15, 0.0, error)

    def going(carry):
        return (carry[3] < ITERATIONS) & (carry[4] > tolerance)

    start = (
        jnp.zeros((words, bits, len(volts))),
        jnp.zeros((bits, words, len(volts))),
        jnp.inf,
        0,
        jnp.inf,
    )
    bit, word, _, count, error = jax.lax.while_loop(going, turn, start)
    return word.transpose(2, 1, 0), bit.transpose(2, 0, 1), count, error


def _factors(diagonal: Array, wire: float) -> tuple[Array, Array]:
    """Return the inverse pivots of tridiagonal systems, and the pivots times `wire`.

    Each system is a line, with a column of `diagonal` (places, lines) and −`wire` beside it.
    """

    def pivot(before, entry):
        inverse = 1 / (entry - wire**2 * before)
        return inverse, inverse

    inverse = jax.lax.scan(pivot, jnp.zeros_like(diagonal[0]), diagonal)[1]
    return inverse, wire * inverse


def _solve(factors: tuple[Array, Array], rows: Array) -> Array:
    """Return the solutions of tridiagonal systems for right-hand sides (places, lines, samples)."""
    inverse, gain = factors

    def forward(before, place):
        row, down = place
        y = row + down[:, None] * before
        return y, y

    def backward(after, place):
        y, scale, up = place
        x = y * scale[:, None] + up[:, None] * after
        return x, x

    nothing = jnp.zeros_like(rows[0])
    shifted = jnp.concatenate([jnp.zeros_like(gain[:1]), gain[:-1]])
    y = jax.lax.scan(forward, nothing, (rows, shifted))[1]
    return jax.lax.scan(backward, nothing, (y, inverse, gain), reverse=True)[1]
