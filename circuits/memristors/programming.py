"""How pulses change the states of memristors, many at once, and how they are brought to given conductances."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from ..units import Array
from ..variation.base import log_normal
from .base import MemristorModel

TOLERANCE = 1e-5
"""The error of a step in the state by the lower order; what is found is some ten times closer."""

_STEPS = 10_000


def pulse(model: MemristorModel, state: Array, volts: Array, seconds: Array) -> np.ndarray:
    """The states after a rectangular pulse, elementwise over devices: dx/dt = f(v, x) for `seconds` at constant `volts`.

    By the exponential Rosenbrock method of orders 3 and 2 (Hochbruck and Ostermann 2010, Acta Numerica 19, 209), in x or in exp(−cx),
    exact where f is a straight line or an exponential; each device in steps of its own. Raises `ValueError` for states outside 0 to 1,
    voltages and times that are not finite, negative times, and where a rate is too large for a number.
    """
    shape = np.broadcast_shapes(*(np.shape(a) for a in (state, volts, seconds)))
    x, v, left = (
        np.broadcast_to(np.asarray(a, float), shape).flatten() for a in (state, volts, seconds)
    )
    with np.errstate(all="ignore"):
        known = np.isfinite(np.add(*_chosen(model, shape, np.arange(x.size)).rate_and_slope(v, x)))
    for name, right, what, values in (
        ("state", (x >= 0) & (x <= 1), "from 0 to 1", x),
        ("volts", np.isfinite(v) & known, "finite, as must be the rate there", v),
        ("seconds", np.isfinite(left) & (left >= 0), "finite and at least 0", left),
    ):
        if not right.all():
            raise ValueError(f"`{name}` must be {what}, but is {values[~right][0]}")
    step, going = left.copy(), np.flatnonzero(left > 0)
    for _ in range(_STEPS):
        if not going.size:
            return np.clip(x, 0.0, 1.0).reshape(shape)
        with np.errstate(all="ignore"):
            moved, error = _step(_chosen(model, shape, going), v[going], x[going], step[going])
            factor = np.nan_to_num(np.clip(0.9 * error ** (-1 / 3), 0.2, 5.0), nan=0.2)
        good = error <= 1
        x[going] = np.where(good, moved, x[going])
        left[going] -= np.where(good, step[going], 0.0)
        step[going] = np.minimum(step[going] * factor, left[going])
        going = going[left[going] > 0]
    raise ValueError(
        f"`volts` must be such that rates stay finite, but at {v[going[0]]} V and state {x[going[0]]} no step was found"
    )


def _step(
    model: MemristorModel, v: np.ndarray, x: np.ndarray, h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The states after `h` s, and their errors over the tolerance: with f taken for a line, or for an exponential in x, the better."""
    rate, slope = model.rate_and_slope(v, x)
    z = h * slope
    first = np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))
    series = sum(z**k / math.factorial(k + 3) for k in range(12))
    third = np.where(np.abs(z) < 0.5, series, ((first - 1) / z - 0.5) / z)
    line = x + h * first * rate
    line_change = 2 * h * third * (model.rate(v, line) - rate - slope * (line - x))
    scale = (
        rate / slope
    )  # y = exp(−(x − x₀)/scale) has dy/dt = −f(x) y/scale, which is as good as constant
    curve = x - scale * np.log1p(-z)
    curved = x - scale * np.log1p(-z + h / 3 * (slope - (1 - z) * model.rate(v, curve) / scale))
    line_error, curve_error = (
        np.nan_to_num(np.abs(e), nan=np.inf) / TOLERANCE for e in (line_change, curved - curve)
    )
    return np.where(curve_error < line_error, curved, line + line_change), np.minimum(
        curve_error, line_error
    )


def _chosen(model: MemristorModel, shape: tuple[int, ...], devices: np.ndarray) -> MemristorModel:
    """The model of some of the devices, where parameters are arrays."""
    arrays = {
        field.name: value for field in fields(model) if np.ndim(value := getattr(model, field.name))
    }
    return (
        replace(
            model,
            **{
                name: np.broadcast_to(value, shape).ravel()[devices]
                for name, value in arrays.items()
            },
        )
        if arrays
        else model
    )


def program(
    model: MemristorModel,
    state: Array,
    volts: Array,
    seconds: Array,
    *,
    spread: float = 0.0,
    seed: int | None = None,
) -> np.ndarray:
    """The states (pulses, …) after each pulse of a train, from `state` (…).

    From cycle to cycle devices are faster or slower: in each pulse each device's dx/dt is multiplied by exp(σz − σ²/2), z ~ N(0, 1),
    σ² = ln(1 + spread²), of mean 1 and standard deviation `spread`, drawn from `seed`.

    **Arguments:** `volts`, `seconds`: of each pulse, (pulses,) or (pulses, …), `seconds` may be one number. Raises `ValueError` as
    `pulse`, for a spread that is negative or not finite, and for one without a seed.
    """
    random = _random(spread, seed)
    volts, seconds = np.asarray(volts, float), np.asarray(seconds, float)
    seconds = np.broadcast_to(seconds, (len(volts), *seconds.shape[1:]))
    states, x = [], np.asarray(state, float)
    for v, time in zip(volts, seconds, strict=True):
        devices = np.broadcast_shapes(x.shape, v.shape, time.shape)
        x = pulse(model, x, v, time * log_normal(spread, random, devices))
        states.append(x)
    return np.stack(states)


@dataclass(frozen=True)
class Staircase:
    """Pulses of `seconds` whose amplitude goes from `first` to `last` volts by `step` (incremental step pulse programming)."""

    first: float
    last: float
    step: float
    seconds: float

    def __post_init__(self):
        if not (
            np.isfinite([self.first, self.last, self.step]).all()
            and (self.last - self.first) * self.step >= 0
        ):
            raise ValueError(
                f"`step` must lead from `first` to `last`, but they are {self.step}, {self.first} and {self.last}"
            )
        if not (np.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"`seconds` must be finite and above 0, but is {self.seconds}")

    def volts(self, rung: np.ndarray) -> np.ndarray:
        """The amplitude of a pulse after `rung` others."""
        low, high = sorted((self.first, self.last))
        return np.clip(self.first + self.step * rung, low, high)


@dataclass(frozen=True, eq=False)
class Written:
    """Devices after `write_verify`: `state`, `siemens`, how many `pulses` each took, and `status`: "ok" or "out of pulses"."""

    state: np.ndarray
    siemens: np.ndarray
    pulses: np.ndarray
    status: np.ndarray


def write_verify(
    model: MemristorModel,
    target: Array,
    state: Array,
    *,
    up: Staircase,
    down: Staircase,
    tolerance: float = 0.01,
    pulses: int = 100,
    read: float = 0.1,
    spread: float = 0.0,
    seed: int | None = None,
) -> Written:
    """Brings devices to conductances: each is read, and given a pulse `up` or `down` until it is within the tolerance.

    A device climbs a staircase while it stays on one side of its target, and begins the other at its foot when it has passed it.
    Reads are too short to change a state.

    **Arguments:** `target`: in S. `state`: where devices are at first. `up`, `down`: pulses that raise and that lower the conductance.
    `tolerance`: relative to the target. `pulses`: at most, for each device. `read`: the voltage of reads. `spread`, `seed`: as for
    `program`.

    Raises `ValueError` for targets beyond what states 0 and 1 have, and for staircases that move a state the wrong way or not at all.
    """
    random = _random(spread, seed)
    target, x = (
        np.array(a, float)
        for a in np.broadcast_arrays(np.asarray(target, float), np.asarray(state, float))
    )
    least, most = model.siemens(0.0, read), model.siemens(1.0, read)
    if (
        beyond := ~((target >= least * (1 - tolerance)) & (target <= most * (1 + tolerance)))
    ).any():
        raise ValueError(
            f"`target` must be from {np.min(least)} to {np.max(most)} S at {read} V, but is {target[beyond].flat[0]}"
        )
    for name, stairs, sign in (("up", up, 1.0), ("down", down, -1.0)):
        if np.any(sign * model.rate(stairs.first, 0.5) < 0) or not np.all(
            sign * model.rate(stairs.last, 0.5) > 0
        ):
            raise ValueError(f"`{name}` must move a state {name}, but {stairs} does not")
    used, rung, last = (
        np.zeros(target.shape, int),
        np.zeros(target.shape, int),
        np.zeros(target.shape),
    )
    for _ in range(pulses):
        off = _side(model.siemens(x, read), target, tolerance)
        if not off.any():
            break
        rung, last = np.where(off == last, rung + 1, 0), off
        rising, used = off < 0, used + (off != 0)
        volts = np.where(rising, up.volts(rung), down.volts(rung))
        seconds = np.where(off == 0, 0.0, np.where(rising, up.seconds, down.seconds))
        x = pulse(model, x, volts, seconds * log_normal(spread, random, target.shape))
    siemens = model.siemens(x, read)
    return Written(
        x, siemens, used, np.where(_side(siemens, target, tolerance) == 0, "ok", "out of pulses")
    )


def _side(siemens: np.ndarray, target: np.ndarray, tolerance: float) -> np.ndarray:
    """−1 below the target, 1 above it, 0 within the tolerance."""
    return np.where(np.abs(siemens - target) <= tolerance * target, 0.0, np.sign(siemens - target))


def _random(spread: float, seed: int | None) -> np.random.Generator:
    if not (np.isfinite(spread) and spread >= 0):
        raise ValueError(f"`spread` must be finite and at least 0, but is {spread}")
    if spread and seed is None:
        raise ValueError(f"`seed` must be given with a `spread`, which is {spread}")
    return np.random.default_rng(seed)
