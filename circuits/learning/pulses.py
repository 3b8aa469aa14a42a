"""Learning by pulses: an update is a number of set or reset pulses of a memristor."""

import fnmatch
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..memristors import MemristorModel
from ..units import Array

EDGE = 1e-6
"""How near its bounds a state is followed."""
POINTS = 4097
"""The length of the tables of a state over time."""


def pulses(
    model: MemristorModel,
    *,
    up: tuple[float, float],
    down: tuple[float, float],
    rate: float,
    unit: float,
    most: int = 10,
    spread: float = 0.0,
    seed: int = 0,
    read: float = 0.1,
    of: str = "conductances*",
) -> optax.GradientTransformation:
    """Return a rule of learning for `ep.fit`: an update is n equal pulses of a memristor.

    n = min(⌊`rate` |∂C/∂g| / s + u⌋, `most`),    u ~ U(0, 1),

    s being what one such pulse does halfway between the least and the greatest conductance: a mean
    as large as the update that the gradient asks for, drawn as in Gokmen and Vlasov 2016 (Front.
    Neurosci. 10, 333). What n pulses really do follows from dx/dt = f(v, x): it depends on where
    the state is, and differs up and down. From cycle to cycle devices are faster or slower: every
    pulse acts for exp(σz − σ²/2) of its time, z ~ N(0, 1), σ² = ln(1 + `spread`²), as in
    `memristors.program`.

        rule = circuits.pulses(
            VTEAM(), up=(-0.5, 1e-11), down=(0.1, 1e-6), rate=0.2, unit=net.unit
        )
        fit = ep.fit(net, cost, data, estimator, rates={"conductances*": 1.0}, optimizer=rule, …)

    **Arguments:**

    - `model`: of the memristors.
    - `up`, `down`: volts and seconds of the pulses that raise and that lower a conductance.
    - `rate`: of the conductances, as of `fit`, whose own rate must be 1, without decay: pulses
      cannot be scaled.
    - `unit`: of the network, in S.
    - `most`: pulses an update.
    - `spread`: of the pulses' effective times, a relative standard deviation.
    - `seed`: of all that is drawn.
    - `read`: volts at which a conductance is the device's; one beyond the device's range counts as
      at its end.
    - `of`: the pattern of the parameters that are memristors; all others follow the plain gradient.

    **Raises** `ValueError` for pulses that do not move every state their way, and numbers that
    cannot be.
    """
    _require_numbers(rate, unit, read, most, spread)
    device = _Device.of(model, up, down, read, unit)
    sigma = float(np.sqrt(np.log1p(spread**2)))

    def init(params: Any) -> _Cycles:
        del params
        return _Cycles(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, _Cycles]:
        if params is None:
            raise ValueError(
                "`params` must be given to a rule of pulses, "
                "as what these do depends on where devices are"
            )
        key = jax.random.fold_in(jax.random.key(seed), state.count)
        changes = []
        gradients, form = jax.tree_util.tree_flatten_with_path(updates)
        pairs = zip(gradients, jax.tree.leaves(params), strict=True)
        for index, ((path, gradient), g) in enumerate(pairs):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            if fnmatch.fnmatchcase(name, of):
                wanted = rate * gradient
                changes.append(
                    device.change(g, wanted, jax.random.fold_in(key, index), most, sigma)
                )
            else:
                changes.append(-gradient)
        return jax.tree.unflatten(form, changes), _Cycles(state.count + 1)

    return optax.GradientTransformation(init, update)


def _require_numbers(rate: float, unit: float, read: float, most: int, spread: float) -> None:
    """Raise `ValueError` for numbers of `pulses` that cannot be."""
    for name, value in (("rate", rate), ("unit", unit), ("read", read)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"`{name}` must be finite and above 0, but is {value}")
    if most < 1:
        raise ValueError(f"`most` must be at least 1, but is {most}")
    if not (np.isfinite(spread) and spread >= 0):
        raise ValueError(f"`spread` must be finite and at least 0, but is {spread}")


class _Cycles(NamedTuple):
    """The number of updates so far."""

    count: Array


@dataclass(frozen=True, eq=False)
class _Way:
    """States under pulses of one kind: where a state from one end is after how many pulses.

    - `times`: in pulses, at which it passes `places`; both (table,) and increasing.
    - `sign`: of the places' direction.
    """

    places: np.ndarray
    times: np.ndarray
    sign: float

    def after(self, place: Array, count: Array) -> Array:
        """Return the place after `count` pulses."""
        xp = place.__array_namespace__()
        places, times = self.places.astype(place.dtype), self.times.astype(place.dtype)
        start = xp.interp(self.sign * place, places, times)
        return self.sign * xp.interp(start + count, times, places)


@dataclass(frozen=True, eq=False)
class _Device:
    """A memristor in tables over the place ln(x/(1 − x)) of its state.

    - `places`: (table,). `table`: its conductance there, in units.
    - `up`, `down`: what pulses make of it.
    """

    places: np.ndarray
    table: np.ndarray
    up: _Way
    down: _Way

    @classmethod
    def of(
        cls,
        model: MemristorModel,
        up: tuple[float, float],
        down: tuple[float, float],
        read: float,
        unit: float,
    ) -> "_Device":
        """Return the tables of a device; arguments and errors are those of `pulses`."""
        places = np.linspace(-1, 1, POINTS) * np.log(1 / EDGE - 1)
        state = 1 / (1 + np.exp(-places))
        ways = []
        for name, (volts, seconds), sign in (("up", up, 1), ("down", down, -1)):
            with np.errstate(all="ignore"):
                rate = sign * seconds * np.broadcast_to(model.rate(volts, state), state.shape)
                along = state * (1 - state) / rate  # pulses a place
            if not (
                np.isfinite(seconds) and seconds > 0 and (np.isfinite(along) & (rate > 0)).all()
            ):
                raise ValueError(
                    f"`{name}` must move every state {name}, but {volts} V for {seconds} s do not"
                )
            times = np.cumsum(
                np.append(0.0, ((along[1:] + along[:-1]) / 2 * np.diff(places))[::sign])
            )
            ways.append(_Way(sign * places[::sign], times, float(sign)))
        return cls(places, np.asarray(model.siemens(state, read)) / unit, *ways)

    def change(self, g: Array, wanted: Array, key: Array, most: int, sigma: float) -> Array:
        """Return what pulses do to conductances, in units.

        **Arguments:** `g`: the conductances. `wanted`: by how much they are to fall. `key`: of what
        is drawn. `most`: pulses. `sigma`: of the logarithm of a pulse's time.
        """
        state, following = self.state(g), g
        drawn, cycles = jax.random.split(key)
        for way, sign in ((self.up, -1.0), (self.down, 1.0)):
            number = jnp.floor(
                sign * wanted / self.step(way) + jax.random.uniform(drawn, g.shape, g.dtype)
            )
            counted = (jnp.arange(most).reshape(-1, *(1,) * g.ndim) < number).astype(g.dtype)
            factors = jnp.exp(
                sigma * jax.random.normal(cycles, (most, *g.shape), g.dtype) - sigma**2 / 2
            )
            following = jnp.where(
                number > 0,
                self.siemens(way.after(state, jnp.sum(counted * factors, axis=0))),
                following,
            )
        return following - g

    def step(self, way: _Way) -> float:
        """Return what one pulse does halfway between the extreme conductances, in units."""
        half = np.atleast_1d(
            np.interp((self.table[0] + self.table[-1]) / 2, self.table, self.places)
        )
        return float(np.abs(self.siemens(way.after(half, np.ones(1))) - self.siemens(half))[0])

    def state(self, g: Array) -> Array:
        """Return the place of a conductance in units."""
        return g.__array_namespace__().interp(
            g, self.table.astype(g.dtype), self.places.astype(g.dtype)
        )

    def siemens(self, place: Array) -> Array:
        """Return the conductance in units at a place."""
        return place.__array_namespace__().interp(
            place, self.places.astype(place.dtype), self.table.astype(place.dtype)
        )
