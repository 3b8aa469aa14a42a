"""The command `circuits doctor`: what is installed, what is missing, and how to install it."""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ..elements.passive import Resistor
from ..elements.sources import VoltageSource
from ..netlist.netlist import Netlist
from ..simulators import Ngspice, SimulationError

PACKAGE = "eqprop-circuits"
_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
QUESTION = """Question
V1 in 0 1
R1 in out 1k
R2 out 0 1k
.options klu
.control
osdi none.osdi
op
.endc
.end
"""
"""A deck whose log shows whether `osdi` is a command, and whether KLU can be the solver."""


@dataclass(frozen=True)
class Finding:
    """The state of one thing that the toolkit uses.

    **Arguments:**

    - `name`: of the thing.
    - `state`: its version, or what is wrong.
    - `remedy`: the command that installs what is missing; empty where nothing is.
    - `needed`: whether nothing works without it.
    """

    name: str
    state: str
    remedy: str = ""
    needed: bool = False


def examine(say: Callable[[str], None]) -> int:
    """Print the state of the machine, of the packages and of ngspice.

    **Arguments:**

    - `say`: prints a line.

    **Returns** the exit status: 0, or 1 where something is missing that is needed.
    """
    findings = [_machine(), *_packages(), *_ngspice()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        urgency = "NEEDED" if finding.needed else "optional"
        remedy = f"; {urgency}: {finding.remedy}" if finding.remedy else ""
        say(f"{finding.name:<{width}}  {finding.state}{remedy}")
    return int(any(finding.remedy and finding.needed for finding in findings))


def _machine() -> Finding:
    """Return the version of Python and the machine that it runs on."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Finding("Python", f"{platform.python_version()} on {machine}")


def _packages() -> list[Finding]:
    """Return the versions of the packages that this one and its extras require."""
    findings = []
    for requirement in requires(PACKAGE) or ():
        match = _NAME.match(requirement)
        if match is None:
            continue
        name = match.group()
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        try:
            findings.append(Finding(name, version(name)))
        except PackageNotFoundError:
            remedy = f"pip install '{PACKAGE}[{extra[1]}]'" if extra else f"pip install {name}"
            findings.append(Finding(name, "missing", remedy, needed=extra is None))
    return findings


def _ngspice() -> list[Finding]:
    """Return the version of ngspice, how exact it is, and what it was built with."""
    simulator = Ngspice(timeout=20.0)
    try:
        installed, error = simulator.version(), _divider_error(simulator)
        log = _answer(simulator.command)
    except SimulationError as failure:
        remedy = "apt install ngspice, or brew install ngspice"
        return [Finding("ngspice", str(failure), remedy, needed=True)]

    place = shutil.which(simulator.command)
    newer = "install ngspice 42 or later, built with it (https://ngspice.sourceforge.io)"
    findings = [
        Finding("ngspice", f"{installed} at {place}; a divider is right within {error:.1g} V")
    ]
    if "KLU" in log:
        findings.append(Finding("ngspice KLU", "yes"))
    else:
        slow = "no: large circuits are solved by SPARSE 1.3"
        findings.append(Finding("ngspice KLU", slow, newer))
    if "osdi: no such command" in log:
        findings.append(Finding("ngspice OSDI", "no: Verilog-A models cannot be loaded", newer))
    else:
        findings.append(Finding("ngspice OSDI", "yes"))
    return findings


def _divider_error(simulator: Ngspice) -> float:
    """Return by how many volts a divider of 1 V into halves is off."""
    divider = (
        VoltageSource("in", "in", "0", 1.0),
        Resistor("a", "in", "out", siemens=1e-3),
        Resistor("b", "out", "0", siemens=1e-3),
    )
    points = simulator.operating_points(Netlist("Divider", divider))
    return abs(points.voltage.sel(node="out").values.item() - 0.5)


def _answer(command: str) -> str:
    """Return the log of ngspice on `QUESTION`; raise `SimulationError` where it does not answer."""
    program = shutil.which(command)
    with tempfile.TemporaryDirectory(prefix="circuits-") as folder:
        (Path(folder) / "deck.cir").write_text(QUESTION, encoding="ascii")
        try:
            done = subprocess.run(  # noqa: S603 - the program of the simulator, and our own text
                [str(program), "-n", "-b", "deck.cir"],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=20.0,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SimulationError(f"{command} does not answer: {error}") from error
    return done.stdout + done.stderr
