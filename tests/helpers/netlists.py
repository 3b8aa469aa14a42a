"""Netlists that many tests simulate."""

import stat

import numpy as np
import xarray as xr

import circuits

RAW = (
    "Title: x\\nPlotname: {plot}\\nFlags: real\\nNo. Variables: {n}\\n"
    "No. Points: {points}\\nVariables:\\n{names}Binary:\\n"
)
JUNCTION = circuits.DiodeModel(1e-9)


def divider(*more, title="Divider", header=()):
    source, top = (
        circuits.VoltageSource("in", "in", "0", 1.0),
        circuits.Resistor("top", "in", "mid", siemens=1e-3),
    )
    return circuits.Netlist(
        title, (source, top, circuits.Resistor("low", "mid", "0", siemens=3e-3), *more), header
    )


WAVES = {"Vin": np.array([0.5, -1.0, 2.0, 0.0])}


def pumped():
    """Return a diode on a negative conductance.

    Its currents have a lowest value, -1.2 µA, below which there is no operating point.
    """
    return circuits.Netlist(
        "Pumped",
        (
            circuits.CurrentSource("in", "0", "a", 0.0),
            circuits.Resistor("r", "a", "0", siemens=1e-5),
            circuits.Transconductance("g", "a", "0", "a", "0", -2e-5),
            circuits.Diode("d", "a", "0", JUNCTION),
        ),
    )


def program(tmp_path, body):
    """Write a stand-in for ngspice that answers --version and then does `body` (sh)."""
    path = tmp_path / "ngspice"
    version = 'case "$1" in --version) echo "** ngspice-39 : stand-in"; exit 0;; esac'
    path.write_text(f"#!/bin/sh\n{version}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return circuits.Ngspice(command=str(path), timeout=2.0)


def raw_body(names, values, points=1, plot="Operating Point", say=""):
    head = RAW.format(
        plot=plot,
        n=len(names),
        points=points,
        names="".join(f"\\t{i}\\t{n}\\tvoltage\\n" for i, n in enumerate(names)),
    )
    octal = "".join(f"\\{byte:03o}" for byte in np.array(values, float).tobytes())
    return f"printf '{head}{octal}' > out.raw\n{say or 'true'}"


def point(netlist, voltages, status="ok"):
    """Return an operating point as a simulator's Dataset has it, at given node voltages."""
    nodes = list(circuits.Equations.of(netlist).free)
    data = {
        "voltage": (("sample", "node"), np.atleast_2d(voltages)),
        "status": ("sample", [status]),
    }
    return xr.Dataset(data, coords={"node": nodes})
