"""The tolerances that ngspice is given for transients."""

import numpy as np

from ..mna.equations import Equations

TRANSIENT_OPTIONS = "gmin=1e-12 reltol=1e-6 vntol=1e-9 abstol=1e-15 chgtol=1e-22 trtol=1"
"""Tolerances of transients: they lie within some 1e-5 of full scale on the exact ones (8e-3 at
ngspice's defaults)."""

VOLTS = 1e-9
"""What a charge may be off, as a voltage of the smallest capacitance, in V."""
SIEMENS = 0.01
"""The ratio of a capacitance to a time step up to which voltages are as exact as `VOLTS`: beyond
it rounding of the capacitance's current moves them by more, and ngspice would not end."""


def transient_options(equations: Equations, step: float) -> str:
    """Return the options of a transient, whose tolerances are of the scale of the circuit.

    They are `TRANSIENT_OPTIONS` with tolerances of charges and voltages no smaller than its
    capacitances allow, and what the netlist has besides tolerances.

    **Arguments:** `step`: the longest time step in s.
    """
    nodes = [equations.place(node) for node in equations.free]
    farads = np.abs(equations.sparse_capacitances.diagonal()[nodes])
    options = _words(TRANSIENT_OPTIONS)
    if np.any(farads > 0):
        charge = VOLTS * float(farads[farads > 0].min())
        options["chgtol"] = repr(max(charge, float(options["chgtol"])))
        looser = float(np.clip(farads.max() / step / SIEMENS, 1.0, 1e3))
        if looser > 1:
            options["vntol"] = repr(VOLTS * looser)
            options["abstol"] = repr(float(options["abstol"]) * looser)
    stated = _words(equations.netlist.options)
    kept = {name: value for name, value in stated.items() if name not in options or name == "gmin"}
    return " ".join(f"{name}={value}" for name, value in (options | kept).items())


def _words(options: str) -> dict[str, str]:
    """Return options by name, without those that have no value."""
    pairs = (word.partition("=") for word in options.split())
    return {name: value for name, given, value in pairs if given}
