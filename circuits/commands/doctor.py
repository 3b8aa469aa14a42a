"""What `circuits doctor` does: says what is installed, what ngspice can do, and what is missing with the command that mends it."""

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
_CLEAN = re.compile(r"[A-Za-z0-9_.\-]+")
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
"""Our own text: whether `osdi` is a command, and whether ngspice names KLU when it is asked to solve by it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for: what it is, how it is, and the command that mends it. `needed`: whether all else rests on it."""

    name: str
    state: str
    mend: str = ""
    needed: bool = False


def examine(say: Callable[[str], None]) -> int:
    """Says all findings; returns 0, or 1 where something is missing that is needed."""
    findings = [_machine(), *_packages(), *_ngspice()]
    width = max(len(one.name) for one in findings)
    for one in findings:
        mend = f"; {'NEEDED' if one.needed else 'optional'}: {one.mend}" if one.mend else ""
        say(f"{one.name:<{width}}  {one.state}{mend}")
    return int(any(one.mend and one.needed for one in findings))


def _machine() -> Finding:
    return Finding(
        "Python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )


def _packages() -> list[Finding]:
    """What the package requires, and what its extras do."""
    found = []
    for line in requires(PACKAGE) or ():
        needed = _CLEAN.match(line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        if needed is None:
            continue
        name = needed.group()
        mend = f"pip install '{PACKAGE}[{extra[1]}]'" if extra else f"pip install {name}"
        try:
            found.append(Finding(name, version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, "missing", mend, needed=extra is None))
    return found


def _ngspice() -> list[Finding]:
    simulator = Ngspice(timeout=20.0)
    try:
        told = simulator.version()
        divider = (
            VoltageSource("in", "in", "0", 1.0),
            Resistor("a", "in", "out", siemens=1e-3),
            Resistor("b", "out", "0", siemens=1e-3),
        )
        error = abs(
            simulator.operating_points(Netlist("Divider", divider)).voltage.values.item() - 0.5
        )
        log = _asked(simulator.command)
    except SimulationError as failure:
        return [
            Finding(
                "ngspice", str(failure), "apt install ngspice, or brew install ngspice", needed=True
            )
        ]
    newer = "install ngspice 42 or later, built with it (https://ngspice.sourceforge.io)"
    without = "osdi: no such command" in log
    return [
        Finding(
            "ngspice",
            f"{told} at {shutil.which(simulator.command)}; a divider is right within {error:.1g} V",
        ),
        Finding("ngspice KLU", "yes")
        if "KLU" in log
        else Finding("ngspice KLU", "no: large circuits are solved by SPARSE 1.3", newer),
        Finding("ngspice OSDI", "no: Verilog-A models cannot be loaded", newer)
        if without
        else Finding("ngspice OSDI", "yes"),
    ]


def _asked(command: str) -> str:
    """What ngspice answers to `QUESTION`. Raises `SimulationError` where it does not."""
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
