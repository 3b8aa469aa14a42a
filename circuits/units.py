"""Constants and numbers. Everything is in SI units: volts, amperes, siemens, farads, kelvin, seconds."""

BOLTZMANN = 1.38064852e-23
"""k in J/K as ngspice has it (CODATA 2014); today's value moves a diode at 0.75 V by 2e-7 V."""

CHARGE = 1.6021766208e-19
"""The elementary charge q in C as ngspice has it (CODATA 2014)."""

ROOM = 300.15
"""The temperature of every circuit in K: 27 °C, SPICE's default."""

GMIN = 1e-12
"""The conductance in S that ngspice puts across every junction."""

THERMAL_VOLTAGE = BOLTZMANN * ROOM / CHARGE
"""kT/q in V at `ROOM`."""


def number(value: float) -> str:
    """`value` as text that reads back as the same double (17 significant digits at most)."""
    return repr(float(value))
