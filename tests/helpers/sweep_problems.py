"""What the tests of sweeps share, in a module that a worker can import without JAX."""

import hashlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import circuits
from circuits.mna.certificates import certify
from circuits.mna.equations import Equations, values_of
from circuits.simulators.datasets import operating_points
from circuits.sweeps import sweep
from circuits.sweeps.points import SAFER
from circuits.sweeps.store import RunStore

DECK = """A divider with a diode
V1 in 0 1
R1 in out 1k
D1 out 0 d
.model d d(is=1n)
.end
"""
SWEEP = """chips = 10
measure = ["voltages", "node_errors"]
[network]
deck = "deck.cir"
[data.drives]
V1 = [0.0, 0.25, 1.0]
[variation]
saturation.spread = 0.2
[axes]
programming.spread = [0.01, 0.1]
models.d.saturation = [1e-9, 1e-8]
"""


@dataclass(frozen=True)
class Linear(circuits.Simulator):
    """Operating points of linear circuits, off by `error` V.

    They are not where they are `mended` by the options of a second attempt.

    It kills its own process the first `deaths` times; the file `marks` counts them.
    """

    marks: str = ""
    deaths: int = 0
    error: float = 0.0
    mended: bool = False
    tolerance: float = 1e-9

    def version(self):
        return "linear-1"

    def operating_points(self, netlist, drives=None):
        if self.deaths:
            marks = Path(self.marks)
            with marks.open("a") as file:
                file.write("x")
            if marks.stat().st_size <= self.deaths:
                os.kill(os.getpid(), signal.SIGKILL)
        equations = Equations.of(netlist)
        arrays, samples = values_of(drives, netlist)
        start = np.zeros((samples, equations.unknowns))
        residual, _ = equations.residual(start, arrays)
        step = np.linalg.solve(equations.jacobian(start, arrays), residual[..., None])[..., 0]
        is_mended = self.mended and netlist.options == SAFER
        voltages = start - step + (0.0 if is_mended else self.error)
        certificate = certify(equations, voltages, arrays)
        return operating_points(
            equations.free, voltages, certificate, self.tolerance, {"simulator": self.version()}
        )

    def transient(self, netlist, *, stop, step, start=None):
        raise AssertionError

    def noise(self, netlist, nodes, *, lowest, highest):
        raise AssertionError

    def small_signal(self, netlist, *, lowest, highest, points=10):
        raise AssertionError


@dataclass(frozen=True)
class Hasty(Linear):
    """Is off by 0.1 V, unless it has `enough` time and iterations."""

    timeout: float = 1.0
    iterations: int = 7
    enough: tuple[float, int] = (2.0, 70)

    def operating_points(self, netlist, drives=None):
        patient = (self.timeout, self.iterations) == self.enough
        return Linear(error=0.0 if patient else 0.1).operating_points(netlist, drives)


@dataclass(frozen=True)
class Endless(Linear):
    """Computes without end, and notes in the file `marks` which process does.

    In Python's own instructions, or `outside` of them, where no signal of Python's is heard.
    """

    outside: bool = False

    def operating_points(self, netlist, drives=None):
        with Path(self.marks).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self.outside:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        while True:
            time.sleep(0.01)


DIVIDER = circuits.Netlist(
    "Divider",
    (
        circuits.VoltageSource("in", "in", "0", 1.0),
        circuits.Resistor("top", "in", "out", siemens=1e-3),
        circuits.Resistor("bottom", "out", "0", siemens=1e-3),
        circuits.Capacitor("c", "out", "0", 1e-12),
    ),
)
DECLARED = {
    "network": DIVIDER,
    "data": {"drives": {"Vin": [0.5, 1.0]}},
    "variation": circuits.Programming(0.1),
    "axes": {"elements.Rtop.siemens": [1e-3, 2e-3, 4e-3]},
    "chips": 2,
    "simulator": Linear(),
}


def problem(folder):
    """The file of a sweep, and its deck beside it."""
    (folder / "deck.cir").write_text(DECK)
    (folder / "sweep.toml").write_text(SWEEP)
    return folder / "sweep.toml"


def run(out, **changes):
    with ThreadPoolExecutor(1) as executor:
        return sweep(out=out, executor=executor, **{**DECLARED, **changes})


def results(folder):
    """The bytes of the results of a run."""
    return [(folder / name).read_bytes() for name in ("results.nc", "chips.csv")]


def jobs(folder):
    """The bytes of the files of a run's jobs, by name."""
    return {path.name: path.read_bytes() for path in (folder / "jobs").iterdir()}


def record(folder, key):
    """What is kept of a job, as a run reads it; `None` where it is not whole."""
    with RunStore.open(folder) as store:
        plan = store.read_plan()
        point = next(point for point, _, other in plan.jobs() if other == key)
        return store.read(key, plan.variables, plan.layout_of(point).sizes)
