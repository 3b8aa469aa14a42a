"""Published models of memristors, and windows of the linear drift of ions."""

import abc
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..elements.expressions import Expression, call
from ..units import BOLTZMANN, CHARGE, Array
from .base import Laws, MemristorModel

EDGE = 1e-3
"""The part of its range over which a state comes to rest at a bound, without a window."""


class Window(abc.ABC):
    """A window function: how the drift of ions slows down towards the ends of the film."""

    @abc.abstractmethod
    def factor(self, v: Expression, x: Expression) -> Expression:
        """Return the factor of the rate.

        **Arguments:**

        - `v`: the voltage in V, of which the sign counts.
        - `x`: the state, from 0 to 1.
        """


@dataclass(frozen=True)
class Rectangular(Window):
    """The hard bounds of the linear drift of Strukov et al. (2008).

    f = 1, falling to 0 over the last thousandth of the way.
    """

    def factor(self, v, x):
        return _room(v, x)


@dataclass(frozen=True)
class Joglekar(Window):
    """The window of Joglekar and Wolf (2009, Eur. J. Phys. 30, 661).

    f = 1 − (2x − 1)²ᵖ, 0 beyond the bounds

    At a bound a state stays for good.

    **Arguments:**

    - `p`: a whole number of at least 1; the larger, the flatter.

    **Raises** `ValueError` for another.
    """

    p: int = 1

    def __post_init__(self):
        _check_exponent(self.p)

    def factor(self, v, x):
        return call("max", 1 - (2 * x - 1) ** (2.0 * self.p), 0.0)


@dataclass(frozen=True)
class Biolek(Window):
    """The window of Biolek et al. (2009, Radioengineering 18, 210).

    f = 1 − (x − u(−i))²ᵖ,    u(i) = 1 for i ≥ 0, else 0

    It is small where the drift is towards a bound, and near 1 away from it.

    **Arguments:**

    - `p`: a whole number of at least 1; the larger, the flatter.

    **Raises** `ValueError` for another.
    """

    p: int = 1

    def __post_init__(self):
        _check_exponent(self.p)

    def factor(self, v, x):
        return 1 - call("?:", call(">=", v, 0.0), x, 1 - x) ** (2.0 * self.p)


def _check_exponent(p: int) -> None:
    """Raise `ValueError` for what is no whole number of at least 1."""
    if not (isinstance(p, int) and p >= 1):
        raise ValueError(f"`p` must be a whole number of at least 1, but is {p}")


def _room(up: Expression, x: Expression) -> Expression:
    """Return 1, falling to 0 over the last `EDGE` before the bound to which the state moves.

    The bound is 1 where `up` is at least 0, otherwise 0. Beyond it the line goes on, below 0.
    """
    return call("min", call("?:", call(">=", up, 0.0), 1 - x, x) / EDGE, 1.0)


@dataclass(frozen=True)
class IonDrift(MemristorModel):
    """Linear ion drift (Strukov et al. 2008, Nature 453, 80).

    i = v / (x R_on + (1 − x) R_off),    dx/dt = μ R_on/D² · i · f(x)

    A conducting part of width xD of the film grows with the charge.

    **Arguments:**

    - `on_ohms`, `off_ohms`: R_on below R_off, in Ω.
    - `mobility`: μ in m²/(V s).
    - `thickness`: D in m.
    - `window`: f.

    **Raises** `ValueError` for numbers that are not finite and above 0, and unless R_on < R_off.
    """

    linear = True
    on_ohms: Array = 100.0
    off_ohms: Array = 16e3
    mobility: Array = 1e-14
    thickness: Array = 1e-8
    window: Window = Rectangular()

    def __post_init__(self):
        _check_positive(self, "on_ohms", "off_ohms", "mobility", "thickness")
        _check_order(self, "on_ohms", "off_ohms")

    def laws(self, v, x):
        current = v / (self.on_ohms * x + self.off_ohms * (1 - x))
        speed = self.mobility * self.on_ohms / self.thickness**2
        return Laws(current, speed * current * self.window.factor(v, x), 0.5 * v * current)


@dataclass(frozen=True)
class VTEAM(MemristorModel):
    """A model with thresholds of the voltage (Kvatinsky et al. 2015, IEEE TCAS-II 62, 786).

    i = v / (x R_on + (1 − x) R_off),    x = (w_off − w)/L,    L = w_off − w_on,

    dw/dt = k_off (v/v_off − 1)^α_off for v > v_off > 0,
    k_on (v/v_on − 1)^α_on for v < v_on < 0,  0 between; w stays in its bounds.

    A positive voltage switches it off; between the thresholds the state stays.

    **Arguments:**

    - `on_ohms`, `off_ohms`: R_on below R_off, in Ω.
    - `on_volts`, `off_volts`: v_on below 0, v_off above 0, in V.
    - `on_speed`, `off_speed`: k_on below 0, k_off above 0, in m/s.
    - `on_exponent`, `off_exponent`: α_on and α_off, 1 or more.
    - `thickness`: L in m.

    **Raises** `ValueError` for numbers that are not so, or not finite.
    """

    linear = True
    on_ohms: Array = 50.0
    off_ohms: Array = 1e3
    on_volts: Array = -0.2
    off_volts: Array = 0.02
    on_speed: Array = -10.0
    off_speed: Array = 5e-4
    on_exponent: Array = 3.0
    off_exponent: Array = 1.0
    thickness: Array = 3e-9

    def __post_init__(self):
        _check_positive(self, "on_ohms", "off_ohms", "off_volts", "off_speed", "thickness")
        _check(self, "on_volts", "finite and below 0", lambda value: value < 0)
        _check(self, "on_speed", "finite and below 0", lambda value: value < 0)
        _check(self, "on_exponent", "finite and at least 1", lambda value: value >= 1)
        _check(self, "off_exponent", "finite and at least 1", lambda value: value >= 1)
        _check_order(self, "on_ohms", "off_ohms")

    def laws(self, v, x):
        current = v / (self.on_ohms * x + self.off_ohms * (1 - x))
        off_excess = call("uramp", v / self.off_volts - 1)
        on_excess = call("uramp", v / self.on_volts - 1)
        off = self.off_speed / self.thickness * off_excess**self.off_exponent
        on = self.on_speed / self.thickness * on_excess**self.on_exponent
        return Laws(current, -(off + on) * _room(-v, x), 0.5 * v * current)


@dataclass(frozen=True)
class Yakopcic(MemristorModel):
    """A generalised memristor (Yakopcic et al. 2011, 2013).

    IEEE EDL 32, 1436 (2011); IEEE TCAD 32, 1201 (2013).

    i = a₁ x sinh(b v) for v ≥ 0,  a₂ x sinh(b v) for v < 0,        dx/dt = g(v) f(x),

    g = A_p (eᵛ − e^V_p) for v > V_p,  −A_n (e⁻ᵛ − e^V_n) for v < −V_n,  0 between,

    f = exp(−α_p (x − x_p)) (1 − x)/(1 − x_p) for v ≥ 0 and x ≥ x_p,
    exp(α_n (x + x_n − 1)) x/(1 − x_n) for v < 0 and x ≤ 1 − x_n,  1 otherwise.

    The parameters are those of the Ag-chalcogenide device of Oblea et al., driven by 0.5 V at 100
    Hz.

    **Arguments:**

    - `set_amperes`, `reset_amperes`: a₁, a₂ in A.
    - `steepness`: b in 1/V.
    - `set_volts`, `reset_volts`: V_p, V_n in V.
    - `set_speed`, `reset_speed`: A_p, A_n in 1/s.
    - `set_point`, `reset_point`: x_p, x_n, above 0 and below 1.
    - `set_decay`, `reset_decay`: α_p, α_n, at least 0.

    **Raises** `ValueError` for numbers that are not so, or not finite and above 0.
    """

    linear = False
    set_amperes: Array = 0.17
    reset_amperes: Array = 0.17
    steepness: Array = 0.05
    set_volts: Array = 0.16
    reset_volts: Array = 0.15
    set_speed: Array = 4000.0
    reset_speed: Array = 4000.0
    set_point: Array = 0.3
    reset_point: Array = 0.5
    set_decay: Array = 1.0
    reset_decay: Array = 5.0

    def __post_init__(self):
        _check_positive(
            self,
            "set_amperes",
            "reset_amperes",
            "steepness",
            "set_volts",
            "reset_volts",
            "set_speed",
            "reset_speed",
        )
        for field in ("set_decay", "reset_decay"):
            _check(self, field, "finite and at least 0", lambda value: value >= 0)
        for field in ("set_point", "reset_point"):
            _check(self, field, "above 0 and below 1", lambda value: (value > 0) & (value < 1))

    def laws(self, v, x):
        forward = call(">=", v, 0.0)
        scale = call("?:", forward, self.set_amperes, self.reset_amperes) * x
        rising = self.set_speed * call("uramp", call("exp", v) - call("exp", self.set_volts))
        falling = self.reset_speed * call("uramp", call("exp", -v) - call("exp", self.reset_volts))
        high, low = call("max", x, self.set_point), call("min", x, 1 - self.reset_point)
        up_decay = call("exp", self.set_decay * (self.set_point - high))
        down_decay = call("exp", self.reset_decay * (low - (1 - self.reset_point)))
        up = up_decay * (1 - high) / (1 - self.set_point)
        down = down_decay * low / (1 - self.reset_point)
        angle = self.steepness * v
        current = scale * call("sinh", angle)
        cocontent = scale * (call("cosh", angle) - 1) / self.steepness
        return Laws(current, rising * up - falling * down, cocontent)


@dataclass(frozen=True)
class StanfordRRAM(MemristorModel):
    """A metal oxide with a filament that ends at a gap g before the electrode.

    Guan et al. 2012, IEEE EDL 33, 1405; Chen and Yu 2015.

    i = I₀ exp(−g/g₀) sinh(v/V₀),    x = (g_max − g)/(g_max − g_min),

    dg/dt = −ν₀ [exp((γ a₀ v/L − E_g) q/kT) − exp(−(γ a₀ v/L + E_r) q/kT)],  g stays in its bounds,

    with the enhancement of the local field γ = γ₀ − β (g/1 nm)³ and Joule heating T = T₀ + R_th v
    i, which follows the current within a fraction of a nanosecond and is taken to do so at once.
    E_g = E_r = E is Guan's −2ν₀ exp(−E q/kT) sinh(γ a₀ q v/(L kT)). The parameters are those of the
    model's Verilog-A code for HfOₓ.

    **Arguments:**

    - `amperes`: I₀ in A.
    - `gap_scale`: g₀ in m.
    - `volts`: V₀ in V.
    - `lowest_gap`, `highest_gap`: g_min, g_max in m.
    - `speed`: ν₀ in m/s.
    - `generation`, `recombination`: E_g, E_r in eV.
    - `enhancement`, `enhancement_loss`: γ₀, and β, which may be 0.
    - `spacing`, `thickness`: a₀, L in m.
    - `ambient`: T₀ in K.
    - `thermal_resistance`: R_th in K/W; may be 0.

    **Raises** `ValueError` for numbers that are not so, or not finite and above 0.
    """

    linear = False
    amperes: Array = 6.14e-5
    gap_scale: Array = 2.7505e-10
    volts: Array = 0.43
    lowest_gap: Array = 1e-10
    highest_gap: Array = 1.7e-9
    speed: Array = 150.0
    generation: Array = 1.501
    recombination: Array = 1.5
    enhancement: Array = 16.5
    enhancement_loss: Array = 1.25
    spacing: Array = 2.5e-10
    thickness: Array = 5e-9
    ambient: Array = 298.0
    thermal_resistance: Array = 2.3e-10 / 3.1825e-16

    def __post_init__(self):
        may_be_zero = ("enhancement_loss", "thermal_resistance")
        _check_positive(
            self, *(field.name for field in fields(self) if field.name not in may_be_zero)
        )
        for field in may_be_zero:
            _check(self, field, "finite and at least 0", lambda value: value >= 0)
        _check_order(self, "lowest_gap", "highest_gap")

    def laws(self, v, x):
        reach = self.highest_gap - self.lowest_gap
        gap = self.highest_gap - reach * x
        scale = self.amperes * call("exp", -gap / self.gap_scale)
        angle = v / self.volts
        current = scale * call("sinh", angle)
        cocontent = scale * self.volts * (call("cosh", angle) - 1)
        kelvin = self.ambient + self.thermal_resistance * v * current
        thermal = BOLTZMANN / CHARGE * kelvin  # kT/q in V
        field = (self.enhancement - self.enhancement_loss * (1e9 * gap) ** 3) * (
            self.spacing / self.thickness * v
        )
        closing = call("exp", (field - self.generation) / thermal) - call(
            "exp", -(field + self.recombination) / thermal
        )
        return Laws(current, self.speed / reach * closing * _room(v, x), cocontent)


def _check(model: MemristorModel, field: str, requirement: str, holds: Any) -> None:
    """Raise `ValueError` where a parameter is not finite or `holds` is false for a number of it."""
    value = getattr(model, field)
    try:
        numbers = np.asarray(value, float)
        fine = bool(np.all(np.isfinite(numbers)) and np.all(holds(numbers)))
    except (TypeError, ValueError):
        if hasattr(value, "aval"):  # a JAX tracer has no value
            return
        fine, numbers = False, repr(value)
    if not fine:
        raise ValueError(f"`{field}` must be {requirement}, but is {numbers}")


def _check_positive(model: MemristorModel, *names: str) -> None:
    """Raise `ValueError` where a number of the parameters is not finite and above 0."""
    for name in names:
        _check(model, name, "finite and above 0", lambda value: value > 0)


def _check_order(model: MemristorModel, low: str, high: str) -> None:
    """Raise `ValueError` unless the parameter `high` is above the parameter `low`."""
    bottom = getattr(model, low)
    _check(model, high, f"above `{low}`, {bottom}", lambda value: value > np.asarray(bottom))
