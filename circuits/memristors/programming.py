"""Programming of memristors by pulses, many devices at once, and write-and-verify."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from ..units import Array, check_number
from ..variation.base import check_positive, check_spread, log_normal
from .base import MemristorModel

TOLERANCE = 1e-5
"""The error of a step in the state by the lower order; the result is some ten times closer."""

_STEPS = 10_000
"""The most steps within a pulse."""


def pulse(model: MemristorModel, state: Array, volts: Array, seconds: Array) -> np.ndarray:
    """Return the states after a rectangular pulse, elementwise over devices.

    dx/dt = f(v, x) at constant v

    By the exponential Rosenbrock method of orders 3 and 2 (Hochbruck and Ostermann 2010, Acta
    Numerica 19, 209), in x or in exp(−cx), exact where f is a straight line or an exponential; each
    device in steps of its own.

    **Arguments:**

    - `model`: of the devices; its parameters may be arrays that fit.
    - `state`: at first, from 0 to 1.
    - `volts`: of the pulse, in V.
    - `seconds`: how long it is, in s.

    The last three are of shapes that broadcast together, to that of the result.

    **Raises** `ValueError` for states outside 0 to 1, voltages and times that are not finite,
    negative times, and where a rate is too large for a number.
    """
    shape = np.broadcast_shapes(*(np.shape(a) for a in (state, volts, seconds)))
    x, v, left = (
        np.broadcast_to(np.asarray(a, float), shape).flatten() for a in (state, volts, seconds)
    )
    _check_pulse(_chosen(model, shape, np.arange(x.size)), x, v, left)

    # Steps are controlled by the error, in the devices whose pulse has not ended; a step that is
    # refused is tried again with a shorter one.
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
        f"`volts` must be such that rates stay finite, but at {v[going[0]]} V and state "
        f"{x[going[0]]} every step is too long"
    )


def _check_pulse(model: MemristorModel, x: np.ndarray, v: np.ndarray, seconds: np.ndarray) -> None:
    """Raise `ValueError` for states, voltages and times that no pulse has."""
    with np.errstate(all="ignore"):
        known = np.isfinite(np.add(*model.rate_and_slope(v, x)))
    for name, right, requirement, values in (
        ("state", (x >= 0) & (x <= 1), "from 0 to 1", x),
        ("volts", np.isfinite(v) & known, "finite, as must be the rate there", v),
        ("seconds", np.isfinite(seconds) & (seconds >= 0), "finite and at least 0", seconds),
    ):
        if not right.all():
            raise ValueError(f"`{name}` must be {requirement}, but is {values[~right][0]}")


def _step(
    model: MemristorModel, v: np.ndarray, x: np.ndarray, h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the states after `h` s, and their errors in units of `TOLERANCE`.

    f is taken for a straight line, or for an exponential in x, whichever has the smaller error.
    """
    rate, slope = model.rate_and_slope(v, x)
    z = h * slope
    first = np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))
    series = sum(z**k / math.factorial(k + 3) for k in range(12))
    third = np.where(np.abs(z) < 0.5, series, ((first - 1) / z - 0.5) / z)
    line = x + h * first * rate
    line_change = 2 * h * third * (model.rate(v, line) - rate - slope * (line - x))

    # y = exp(−(x − x₀)/scale) has dy/dt = −f(x) y/scale, which is as good as constant.
    scale = rate / slope
    curve = x - scale * np.log1p(-z)
    curved = x - scale * np.log1p(-z + h / 3 * (slope - (1 - z) * model.rate(v, curve) / scale))

    line_error, curve_error = (
        np.nan_to_num(np.abs(e), nan=np.inf) / TOLERANCE for e in (line_change, curved - curve)
    )
    states = np.where(curve_error < line_error, curved, line + line_change)
    return states, np.minimum(curve_error, line_error)


def _chosen(model: MemristorModel, shape: tuple[int, ...], devices: np.ndarray) -> MemristorModel:
    """Return the model of some of the devices: parameters that are arrays are cut to them.

    **Arguments:**

    - `shape`: of all devices.
    - `devices`: indices into the flattened devices.
    """
    parameters = {field.name: getattr(model, field.name) for field in fields(model)}
    arrays = {
        name: np.broadcast_to(value, shape).ravel()[devices]
        for name, value in parameters.items()
        if np.ndim(value)
    }
    return replace(model, **arrays) if arrays else model


def program(
    model: MemristorModel,
    state: Array,
    volts: Array,
    seconds: Array,
    *,
    spread: float = 0.0,
    seed: int | None = None,
) -> np.ndarray:
    """Return the states after each pulse of a train.

    From cycle to cycle devices are faster or slower: in each pulse each device's dx/dt is
    multiplied by exp(σz − σ²/2), z ~ N(0, 1), σ² = ln(1 + spread²), of mean 1 and standard
    deviation `spread`.

    **Arguments:**

    - `model`: of the devices.
    - `state`: at first, from 0 to 1, (…).
    - `volts`: of each pulse, in V, (pulses,) or (pulses, …).
    - `seconds`: of each pulse, in s; likewise, or one number.
    - `spread`: a pure number, at least 0.
    - `seed`: of the draws; needed where there is a spread.

    **Returns** states (pulses, …).

    **Raises** `ValueError` as `pulse` does, for a spread that is negative or not finite, and for
    one without a seed.
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
    """Pulses of rising amplitude (incremental step pulse programming).

    **Arguments:**

    - `first`, `last`: the amplitudes of the first and the last pulse, in V.
    - `step`: from pulse to pulse, in V.
    - `seconds`: how long each pulse is, in s.

    **Raises** `ValueError` for a step that does not lead from `first` to `last`, numbers that are
    not finite, and a time that is not above 0.
    """

    first: float
    last: float
    step: float
    seconds: float

    def __post_init__(self):
        for field in ("first", "last", "step"):
            check_number(getattr(self, field), field, "finite")
        if (self.last - self.first) * self.step < 0:
            raise ValueError(
                "`step` must lead from `first` to `last`, "
                f"but they are {self.step}, {self.first} and {self.last}"
            )
        check_positive(self.seconds, "seconds")

    def volts(self, rung: np.ndarray) -> np.ndarray:
        """Return the amplitude in V of pulses that come after `rung` others."""
        low, high = sorted((self.first, self.last))
        return np.clip(self.first + self.step * rung, low, high)


@dataclass(frozen=True, eq=False)
class Written:
    """Devices after `write_verify`; arrays of the devices' shape.

    **Arguments:**

    - `state`: from 0 to 1.
    - `siemens`: the conductances that are read, in S.
    - `pulses`: how many each device took.
    - `status`: "ok" or "out of pulses".
    """

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
    """Bring devices to given conductances: read each, and pulse it until it is within tolerance.

    A device climbs a staircase while it stays on one side of its target, and begins the other at
    its foot when it has passed it. Reads are too short to change a state.

    **Arguments:**

    - `model`: of the devices.
    - `target`: conductances, in S.
    - `state`: at first, from 0 to 1; broadcast with `target`.
    - `up`, `down`: pulses that raise and that lower the conductance.
    - `tolerance`: relative to the target.
    - `pulses`: the most for each device.
    - `read`: the voltage of reads, in V.
    - `spread`, `seed`: as for `program`.

    **Raises** `ValueError` for targets beyond the conductances of states 0 and 1, and for
    staircases that move a state the wrong way or not at all.
    """
    random = _random(spread, seed)
    target, x = (
        np.array(a, float)
        for a in np.broadcast_arrays(np.asarray(target, float), np.asarray(state, float))
    )
    _check_targets(model, target, tolerance, read)
    for name, stairs, sign in (("up", up, 1.0), ("down", down, -1.0)):
        first, last = (sign * model.rate(volts, 0.5) for volts in (stairs.first, stairs.last))
        if np.any(first < 0) or not np.all(last > 0):
            raise ValueError(f"`{name}` must move a state {name}, but {stairs} does not")

    used, rung = np.zeros(target.shape, int), np.zeros(target.shape, int)
    last_side = np.zeros(target.shape)
    for _ in range(pulses):
        side = _side(model.siemens(x, read), target, tolerance)
        if not side.any():
            break
        # One rung up while on the same side; at the foot after passing the target.
        rung, last_side = np.where(side == last_side, rung + 1, 0), side
        rising, used = side < 0, used + (side != 0)
        volts = np.where(rising, up.volts(rung), down.volts(rung))
        seconds = np.where(side == 0, 0.0, np.where(rising, up.seconds, down.seconds))
        x = pulse(model, x, volts, seconds * log_normal(spread, random, target.shape))

    siemens = model.siemens(x, read)
    status = np.where(_side(siemens, target, tolerance) == 0, "ok", "out of pulses")
    return Written(x, siemens, used, status)


def _check_targets(
    model: MemristorModel, target: np.ndarray, tolerance: float, read: float
) -> None:
    """Raise `ValueError` for a conductance beyond those of states 0 and 1."""
    lowest, highest = model.siemens(0.0, read), model.siemens(1.0, read)
    within = (target >= lowest * (1 - tolerance)) & (target <= highest * (1 + tolerance))
    if not within.all():
        raise ValueError(
            f"`target` must be from {np.min(lowest)} to {np.max(highest)} S at {read} V, "
            f"but is {target[~within].flat[0]}"
        )


def _side(siemens: np.ndarray, target: np.ndarray, tolerance: float) -> np.ndarray:
    """Return −1 below the target, 1 above it, 0 within the tolerance."""
    return np.where(np.abs(siemens - target) <= tolerance * target, 0.0, np.sign(siemens - target))


def _random(spread: float, seed: int | None) -> np.random.Generator:
    """Return the generator of a spread from cycle to cycle, or raise `ValueError`."""
    check_spread(spread)
    if spread and seed is None:
        raise ValueError(f"`seed` must be given with a `spread`, which is {spread}")
    return np.random.default_rng(seed)
