"""Energies that are awkward to settle, each with what is true of it.

Every energy is written for any precision of its state. Most have an isolated minimum to which they
fall from the start; of the others `words` says what is to be said.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.special import logsumexp

import eqprop as ep

RANDOM = np.random.default_rng(0)
DENSE = 100
"""The largest number of nodes whose minimum is looked for by NumPy."""


@dataclass(frozen=True)
class Awkward:
    """An energy of one state, without input.

    - `value`: E(θ, s) of the numbers and the state.
    - `start`: the state at which a phase starts, as NumPy arrays in double precision.
    - `bounds`: the lowest and highest value of every node.
    - `at`: a minimum that is known in closed form, like the state; the first digits of the energy
      decide where there are several.
    - `words`: what `unsettled_reason` says where there is no isolated minimum.
    - `numbers`: θ, arrays of NumPy.
    - `digits`: precisions of which the digits do not tell where the minimum is, which is then said.
    """

    value: Callable[[Any, Any], Any]
    start: Any
    bounds: tuple[float, float] | None = None
    at: Any = None
    words: str | None = None
    numbers: Any = None
    digits: tuple[str, ...] = ()

    def energy(self, dtype: Any) -> ep.Energy:
        """Return it as an energy whose state has a precision."""
        start, numbers = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, dtype), (self.start, self.numbers)
        )
        net = ep.energy(
            lambda params, state, x: self.value(params, state),
            numbers,
            state=start,
            outputs=lambda state: jnp.ravel(jax.tree.leaves(state)[0])[:1],
        )
        return net if self.bounds is None else Bounded(net, *self.bounds)

    def settle(self, dtype: Any) -> "Outcome":
        """Settle it by the default method.

        **Arguments:**

        - `dtype`: the precision of its state.
        """
        energy, x = self.energy(dtype), jnp.zeros((), dtype)
        equilibrium = ep.relax(energy, x, throw=False)
        settled = bool(equilibrium.settled)
        reason = "" if settled else ep.unsettled_reason(energy, x, equilibrium.state)
        words = self.words or (_TELLS if jnp.dtype(dtype).name in self.digits else None)
        distance = self.distance(equilibrium.state) if settled and not words else None
        return Outcome(
            equilibrium, reason, distance, _problem(equilibrium, reason, distance, words)
        )

    def distance(self, state: Any) -> float | None:
        """Return how far a state is from the minimum; `None` where that is not known.

        The minimum is `at`; for up to `DENSE` nodes without it, where Newton's method of NumPy in
        double precision ends that starts at the state, infinite where that is no minimum.

        **Arguments:**

        - `state`: of any precision.
        """
        flat, restore = ravel_pytree(jax.tree.map(lambda leaf: np.asarray(leaf, float), state))
        if self.at is not None:
            return float(np.max(np.abs(flat - ravel_pytree(self.at)[0]), initial=0.0))
        if flat.size > DENSE:
            return None
        with jax.enable_x64(True):
            numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), self.numbers)
            value = jax.jit(lambda s: self.value(numbers, restore(s)))
            gradient, hessian = jax.jit(jax.grad(value)), jax.jit(jax.hessian(value))
            minimum = np.asarray(flat, float)
            for _ in range(10):
                minimum = minimum - np.linalg.solve(hessian(minimum), gradient(minimum))
            lowest = np.linalg.eigvalsh(hessian(minimum))[0]
        return float(np.max(np.abs(minimum - flat))) if lowest > 0 else np.inf


def _problem(equilibrium: ep.Equilibrium, reason: str, distance: float | None, words: str | None):
    """Return what is wrong with the outcome, "" where nothing is."""
    settled, error = bool(equilibrium.settled), float(equilibrium.error)
    if words is not None:
        if settled:
            return f"settled, where one expects to hear {words!r}"
        return "" if re.search(words, reason) else f"{reason!r} says nothing of {words!r}"
    if not settled:
        return reason
    state = ravel_pytree(equilibrium.state)[0]
    rounding = 4 * float(jnp.finfo(state.dtype).eps) * float(jnp.max(jnp.abs(state), initial=0.0))
    if distance is not None and not distance <= 10 * error + rounding:
        return f"{distance:.1e} from its minimum, of which the certificate says {error:.1e}"
    return ""


@dataclass(frozen=True)
class Outcome:
    """What became of an energy.

    - `equilibrium`: where it stopped. `reason`: why that is not settled, "" where it is.
    - `distance`: to the minimum, where that is known.
    - `problem`: what is wrong with it, "" where nothing is.
    """

    equilibrium: ep.Equilibrium
    reason: str
    distance: float | None
    problem: str


class Bounded(ep.Energy):
    """An energy whose nodes stay between two values."""

    energy: ep.Energy
    low: float
    high: float

    def __call__(self, state, x):
        return self.energy(state, x)

    def init_state(self, x):
        return self.energy.init_state(x)

    def outputs(self, state):
        return self.energy.outputs(state)

    def bounds(self, x):
        state = self.init_state(x)
        return (
            jax.tree.map(lambda leaf: jnp.full_like(leaf, self.low), state),
            jax.tree.map(lambda leaf: jnp.full_like(leaf, self.high), state),
        )


def _chain(ratio: float) -> Callable[[Any], Any]:
    """Return a chain of springs of `ratio`, whose first node is tied to 1 by a spring of 1."""
    return lambda w, s: (s[0] - 1) ** 2 / 2 + ratio * jnp.sum(jnp.diff(s) ** 2) / 2


def _rosenbrock(w, s):
    return jnp.sum(100 * (s[1:] - s[:-1] ** 2) ** 2 + (1 - s[:-1]) ** 2)


def _matrix(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
    return RANDOM.normal(0, scale, (rows, columns))


def _lattice(w, s):
    """Return φ⁴ on a square: wells at ±1, neighbours tied."""
    ties = sum(jnp.sum(jnp.diff(s, axis=axis) ** 2) for axis in (0, 1))
    return jnp.sum((s**2 - 1) ** 2) / 4 + ties / 2 + 0.01 * jnp.sum(s)


def _ragged(w, s):
    return (
        jnp.sum(jnp.cosh(s["a"])) + jnp.sum((s["b"][0] - jnp.sum(s["a"])) ** 2)
        + s["b"][1] ** 4 / 4 + s["b"][1] ** 2 / 2 - s["b"][1] + jnp.sum(s["none"])
    )  # fmt: skip


def _layers(s, weights, scale=1.0):
    hidden, out = s
    return (
        jnp.sum(hidden**2) / 2 + jnp.sum(out**2) / 2
        - scale * (jnp.tanh(hidden) @ weights @ jnp.tanh(out)) - jnp.sum(hidden[:3])
    )  # fmt: skip


_W30, _W100, _W500 = _matrix(30, 10), _matrix(100, 100, 0.15), _matrix(500, 500, 0.05)
_DATA = _matrix(40, 5)
_SPINS = np.triu(_matrix(60, 60, 1.0), 1) / np.sqrt(60)
_TURN = np.linalg.qr(_matrix(10, 10))[0]
_FALLS, _FLAT, _KINK, _DOWN = "falls", "flat", "not smooth", "curves down"
_TELLS = "tells"
_STOPPED = "changes, but its derivative is 0"

CORPUS: dict[str, Awkward] = {
    # One node: wells, tails and steps.
    "a parabola of a scalar": Awkward(lambda w, s: (s - 2) ** 2 / 2, 0.0, at=2.0),
    "log cosh(s - 30) from 0": Awkward(
        lambda w, s: jnp.sum(jnp.logaddexp(s - 30, 30 - s)), np.zeros(1), at=np.full(1, 30.0)
    ),
    "log cosh of a thousandth, from 1": Awkward(
        lambda w, s: jnp.sum(jnp.logaddexp(s / 1e-3, -s / 1e-3)), np.ones(1), at=np.zeros(1)
    ),
    "softplus on both sides, from 100": Awkward(
        lambda w, s: jnp.sum(jax.nn.softplus(s) + jax.nn.softplus(-s)), np.full(1, 100.0),
        at=np.zeros(1),
    ),
    "a Gaussian well from its tail": Awkward(
        lambda w, s: jnp.sum(-jnp.exp(-((s - 1) ** 2))), np.full(1, 4.0), at=np.ones(1)
    ),
    "Morse's potential from its tail": Awkward(
        lambda w, s: jnp.sum((1 - jnp.exp(1 - s)) ** 2), np.full(1, 7.0), at=np.ones(1)
    ),
    "Lennard-Jones' potential": Awkward(
        lambda w, s: jnp.sum(s**-12.0 - 2 * s**-6.0), np.full(1, 2.5), at=np.ones(1)
    ),
    "a quotient with flat tails": Awkward(
        lambda w, s: jnp.sum(-1 / (1 + (s - 3) ** 2)), np.full(1, -2.0), at=np.full(1, 3.0)
    ),
    "exp(s) - s from 50": Awkward(
        lambda w, s: jnp.sum(jnp.exp(s) - s), np.full(1, 50.0), at=np.zeros(1)
    ),
    "exp(s) - s from -20": Awkward(
        lambda w, s: jnp.sum(jnp.exp(s) - s), np.full(1, -20.0), at=np.zeros(1)
    ),
    "a diode of 40 per volt": Awkward(
        lambda w, s: jnp.sum(1e-9 * jnp.exp(40 * s) / 40 + (s - 2) ** 2 / 2), np.zeros(1)
    ),
    "s log s + (1 - s) log(1 - s)": Awkward(
        lambda w, s: jnp.sum(s * jnp.log(s) + (1 - s) * jnp.log1p(-s) + 3 * s), np.full(1, 0.5),
        at=np.full(1, 1 / (1 + np.exp(3.0))),
    ),
    "a logarithmic barrier": Awkward(
        lambda w, s: jnp.sum(s - 1e-2 * jnp.log(s)), np.full(1, 10.0), at=np.full(1, 1e-2)
    ),
    "two wells from the hill between": Awkward(
        lambda w, s: jnp.sum((s**2 - 1) ** 2) / 4, np.zeros(1)
    ),
    "waves on a parabola": Awkward(
        lambda w, s: jnp.sum(s**2 / 2 + jnp.cos(10 * s) / 2), np.full(1, 3.0)
    ),
    "|s|^1.5 - s": Awkward(
        lambda w, s: jnp.sum(jnp.abs(s) ** 1.5 - s), np.ones(1), at=np.full(1, 4 / 9)
    ),
    "a smoothed |s|": Awkward(
        lambda w, s: jnp.sum(jnp.sqrt(s**2 + 1e-8) + (s - 1e-3) ** 2 / 2), np.ones(1)
    ),
    "Huber's cost": Awkward(
        lambda w, s: jnp.sum(jnp.where(jnp.abs(s - 5) < 0.1, (s - 5) ** 2 / 2,
                                    0.1 * jnp.abs(s - 5) - 0.005)),
        np.zeros(1), at=np.full(1, 5.0),
    ),
    "half a parabola beyond a kink of the slope": Awkward(
        lambda w, s: jnp.sum(50 * jnp.maximum(s, 0) ** 2 + (s - 1) ** 2 / 2), np.full(1, -3.0),
        at=np.full(1, 1 / 101),
    ),
    "|s| + (s - 3)²/2, over the kink": Awkward(
        lambda w, s: jnp.sum(jnp.abs(s) + (s - 3) ** 2 / 2), np.full(1, -1.0), at=np.full(1, 2.0)
    ),
    "an energy of 1e-20": Awkward(
        lambda w, s: 1e-20 * jnp.sum((s - 1) ** 2 + s**4), np.zeros(1)
    ),
    "an energy of 1e20": Awkward(lambda w, s: 1e20 * jnp.sum((s - 1) ** 2 + s**4), np.zeros(1)),
    "a minimum at a million": Awkward(
        lambda w, s: jnp.sum((s / 1e6 - 1) ** 2), np.zeros(1), at=np.full(1, 1e6)
    ),
    # A few nodes: valleys, saddles and ridges.
    "Rosenbrock's valley": Awkward(_rosenbrock, np.array([-1.2, 1.0]), at=np.ones(2)),
    "Rosenbrock's valley of 10": Awkward(_rosenbrock, np.full(10, -0.5)),
    "Himmelblau's four wells": Awkward(
        lambda w, s: (s[0] ** 2 + s[1] - 11) ** 2 + (s[0] + s[1] ** 2 - 7) ** 2, np.zeros(2)
    ),
    "a quartic ridge": Awkward(
        lambda w, s: (s[0] * s[1] - 1) ** 2 + 1e-3 * jnp.sum(s**2), np.array([5.0, 0.0])
    ),
    "a saddle": Awkward(lambda w, s: s[0] ** 2 / 2 - s[1] ** 2 / 2 + s[1] ** 4 / 4, np.zeros(2)),
    "a monkey saddle": Awkward(
        lambda w, s: s[0] ** 3 - 3 * s[0] * s[1] ** 2 + jnp.sum(s**2) ** 2, np.full(2, 1e-3)
    ),
    "two wells in the plane": Awkward(
        lambda w, s: -jnp.logaddexp(-jnp.sum((s - 1) ** 2), -3 * jnp.sum((s + 1) ** 2)),
        np.zeros(2),
    ),
    "log-sum-exp with a weak spring": Awkward(
        lambda w, s: logsumexp(w @ s * 5) + 5e-3 * jnp.sum(s**2),
        np.full(5, 3.0), numbers=_DATA,
    ),
    "logistic regression": Awkward(
        lambda w, s: jnp.sum(jax.nn.softplus(-w @ s))
        + 1e-4 * jnp.sum(s**2),
        np.zeros(5), numbers=_DATA,
    ),
    "a chain of 10 at 1e6": Awkward(
        _chain(1e6), np.zeros(10), at=np.ones(10), digits=("float32",)
    ),
    "a pair at 1e12": Awkward(_chain(1e12), np.zeros(2), at=np.ones(2), digits=("float32",)),
    "a turned bowl of 1 to 1e12": Awkward(
        lambda w, s: jnp.sum(
            w[0] * (w[1] @ s) ** 2
        ) / 2 - jnp.sum(s),
        np.ones(10), numbers=(np.logspace(0, 12, 10), _TURN), digits=("float32", "float64"),
    ),
    "a parabola between bounds": Awkward(
        lambda w, s: jnp.sum((s - jnp.asarray([-3.0, 0.3, 3.0], s.dtype)) ** 2) / 2
        + s[0] * s[1] / 10,
        np.zeros(3), (-1.0, 1.0), at=np.array([-1.0, 0.4, 1.0]),
    ),
    "two wells outside bounds": Awkward(
        lambda w, s: jnp.sum((s**2 - 4) ** 2) / 4 + 0.1 * jnp.sum(s), np.full(4, 0.2), (-1.0, 1.0),
        at=np.ones(4),
    ),
    # Shapes.
    "a ragged state with an empty leaf": Awkward(
        _ragged, {"a": np.ones((2, 3)), "b": (np.float64(1.0), np.float64(-2.0)),
                  "none": np.zeros(0)},
    ),
    "scalars": Awkward(
        lambda w, s: (s[0] - s[1]) ** 2 + jnp.cosh(s[1] - 3) + s[2][0] ** 2,
        (0.0, 0.0, (1.0,)), at=(3.0, 3.0, (0.0,)),
    ),
    # Networks.
    "layers that tanh couples": Awkward(
        lambda w, s: _layers(s, w), (np.zeros(30), np.zeros(10)), numbers=_W30
    ),
    "strong layers from a symmetric start": Awkward(
        lambda w, s: _layers(s, w, 3.0) + jnp.sum(s[0][:3]),
        (np.zeros(30), np.zeros(10)), numbers=_W30,
    ),
    "frustrated spins": Awkward(
        lambda w, s: jnp.sum((s**2 - 1) ** 2) - s @ w @ s, np.zeros(60), numbers=_SPINS
    ),
    "pinned phases": Awkward(
        lambda w, s: -jnp.sum(jnp.cos(jnp.diff(s))) - 0.1 * jnp.sum(jnp.cos(s)),
        np.linspace(0, 9, 30),
    ),
    "a Hopfield network of 100 in one leaf": Awkward(
        lambda w, s: jnp.sum(s**2) / 2
        - jnp.tanh(s) @ w @ jnp.tanh(s) / 2,
        np.full(100, 0.1), numbers=_W100 + _W100.T,
    ),
    "500 nodes with quartic wells": Awkward(
        lambda w, s: jnp.sum(s**4) / 4 + jnp.sum((w @ s - 1) ** 2) / 2,
        np.zeros(500), numbers=_W500,
    ),
    "a chain of 5000": Awkward(
        lambda w, s: _chain(1.0)(w, s) + jnp.sum(s**4) / 4, np.zeros(5000)
    ),
    "phi^4 on 64 x 64 from noise": Awkward(_lattice, RANDOM.normal(0, 1, (64, 64))),
    # Without an isolated minimum that is smooth.
    "exp(-s)": Awkward(lambda w, s: jnp.sum(jnp.exp(-s)), np.zeros(1), words=f"{_FALLS}|{_FLAT}"),
    "a slope": Awkward(lambda w, s: jnp.sum(s), np.zeros(2), words=f"{_FALLS}|{_FLAT}"),
    "-s²": Awkward(lambda w, s: -jnp.sum(s**2), np.ones(2), words=_DOWN),
    "s³": Awkward(lambda w, s: jnp.sum(s**3), np.ones(1), words=f"{_DOWN}|{_KINK}|not finite"),
    "log s": Awkward(lambda w, s: jnp.sum(jnp.log(s)), np.ones(1), words=f"{_DOWN}|{_KINK}"),
    "a constant": Awkward(lambda w, s: jnp.sum(s) * 0 + 1, np.ones(2), words="the same everywhere"),
    "a valley without end": Awkward(
        lambda w, s: (s[0] - s[1]) ** 2 / 2, np.array([1.0, 0.0]), words=_FLAT
    ),
    "free phases": Awkward(
        lambda w, s: -jnp.sum(jnp.cos(jnp.diff(s))), np.linspace(0, 2, 10), words=_FLAT
    ),
    "|s|": Awkward(lambda w, s: jnp.sum(jnp.abs(s)), np.ones(2), words=_KINK),
    "|s|^1.5": Awkward(lambda w, s: jnp.sum(jnp.abs(s) ** 1.5), np.ones(1), words=_KINK),
    "-sqrt(s)": Awkward(
        lambda w, s: -jnp.sum(jnp.sqrt(s)), np.ones(1), words=_FALLS
    ),
    "-sqrt(s) up to a bound": Awkward(
        lambda w, s: -jnp.sum(jnp.sqrt(s)), np.ones(1), (0.0, 9.0), at=np.full(1, 9.0)
    ),
    "a gradient that is stopped": Awkward(
        lambda w, s: jnp.sum(jax.lax.stop_gradient((s - 1) ** 2)), np.zeros(2), words=_STOPPED
    ),
    "steps of round": Awkward(
        lambda w, s: jnp.sum(jnp.round(4 * s) ** 2), np.ones(2), words=_STOPPED
    ),
}  # fmt: skip
