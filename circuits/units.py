"""Constants and numbers.

Everything is in SI units: volts, amperes, siemens, farads, kelvin, seconds.
"""

import math
from collections.abc import Callable
from typing import Any

Array = Any
"""An array of NumPy or of JAX.

Formulas use the namespace of their argument, so that the same lines run in both.
"""

BOLTZMANN = 1.38064852e-23
"""k in J/K as ngspice has it (CODATA 2014); today's value moves a diode at 0.75 V by 2e-7 V."""

CHARGE = 1.6021766208e-19
"""The elementary charge q in C as ngspice has it (CODATA 2014)."""

ROOM = 300.15
"""27 °C in K, as in SPICE.

It is the temperature of a circuit that has no other, and at which the parameters of models are
stated.
"""

GMIN = 1e-12
"""The conductance in S that ngspice puts across every junction."""

THERMAL_VOLTAGE = BOLTZMANN * ROOM / CHARGE
"""kT/q in V at `ROOM`."""


def check_temperature(kelvin: float) -> None:
    """Raise `ValueError` for a temperature in K that is not finite and above 0."""
    if isinstance(kelvin, float | int) and not 0 < kelvin < math.inf:
        raise ValueError(f"`temperature` must be finite and above 0 K, but is {kelvin}")


def check_number(
    value: Any, field: str, requirement: str, holds: Callable[[float], bool] = lambda _: True
) -> None:
    """Raise `ValueError` unless `value` is a finite number for which `holds` is true.

    **Arguments:**

    - `value`: what was given, of any type; text and truth values are no numbers.
    - `field`: its name, for the message.
    - `requirement`: what it must be, for the message, as "finite and above 0".
    - `holds`: the condition besides being finite.
    """
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and holds(number)):
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(f"`{field}` must be {requirement}, but is {shown}")


def celsius(kelvin: float) -> str:
    """Return a temperature in K as text in °C that reads back as itself, to 1e-9 K."""
    return f"{round(kelvin - 273.15, 9):.15g}"


def number(value: float) -> str:
    """Return text that reads back as the same double (17 significant digits at most)."""
    return repr(float(value))


_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


def prefixed(value: float, unit: str) -> tuple[float, str]:
    """Return the factor and the unit with an SI prefix in which `value` is from 1 to 1000.

    0.0047 and "A" give 1000 and "mA"; beyond the prefixes, and for 0, the factor is 1.

    **Arguments:** `value`: in `unit`, a symbol of SI without a prefix, as "Ω".
    """
    power = int(f"{abs(value):.2e}".split("e")[1]) // 3 * 3 if value else 0
    if power not in _PREFIXES:
        return 1.0, unit
    return 10.0**-power, f"{_PREFIXES[power]}{unit}"


def quantity(value: float, unit: str) -> str:
    """Return a number with its unit as an engineer writes it: 4700 Ω is `4.7 kΩ`; three digits.

    **Arguments:** `value`: in `unit`, a symbol of SI without a prefix.
    """
    factor, shown = prefixed(value, unit)
    return f"{float(f'{value:.3g}') * factor:.3g} {shown}"
