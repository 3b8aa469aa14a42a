"""ngspice as a library in this process, through PySpice."""

import contextlib
import ctypes.util
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .base import SimulationError, check_positive
from .ngspice_decks import DeckSimulator
from .raw import Plot

_ALONE = threading.RLock()


@dataclass(frozen=True)
class NgspiceShared(DeckSimulator):
    """libngspice through PySpice 1.5 (GPL-3): decks and numbers of `Ngspice`, without a process.

    `Ngspice` is the one to prefer. A process has one libngspice, which this simulator shares with
    PySpice's own: a run has no time limit and no private folder, threads run one after another, and
    a crash of ngspice is one of Python. Each run's circuit and plots are removed after it. ngspice
    reads no start-up file of the home or the current folder, unless PySpice has loaded it before.

    Without the variable `NGSPICE_LIBRARY_PATH` the library is the one that the system's linker
    knows.

    **Arguments:** `tolerance`: the largest Newton correction, in V, of a point that is
    `ok`; above 0.
    """

    tolerance: float = 1e-9

    def __post_init__(self):
        check_positive("tolerance", self.tolerance)

    def version(self):
        return f"ngspice-{_library().ngspice_version} (shared)"

    def _answer(self, text, title, meanwhile):
        del meanwhile
        with _ALONE, _quiet():
            library = _library()
            others = library.plot_names
            try:
                library.load_circuit(text)
            except NameError:  # as PySpice calls all that is not well
                return [], _log_of(library)
            log = _log_of(library)
            with contextlib.suppress(NameError):
                library.run()
            log += _log_of(library)
            names = [name for name in library.plot_names if name not in others]
            plots = [_plot(library, name) for name in names]
            for name in names:
                library.destroy(name)
            library.remove_circuit()
            return plots, log


def _log_of(library: Any) -> str:
    """Return what the library has printed since its last command."""
    return f"{library.stdout}\n{library.stderr}\n"


def _plot(library: Any, name: str) -> Plot:
    """Return a plot of the library, its variables named as in a raw file."""
    values = {}
    for vector in library.plot(None, name).values():
        form = "v({})" if vector.is_voltage_node else "i({})" if vector.is_branch_current else "{}"
        values[form.format(vector.simplified_name)] = vector._data
    return Plot(name, values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence PySpice's log, in which each of ngspice's notes is an error."""
    log = logging.getLogger("PySpice")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@cache
def _library() -> Any:
    """Return PySpice's one instance of the library.

    **Raises** `SimulationError` where PySpice or the library is missing.
    """
    try:
        from cffi import CDefError
        from PySpice.Spice.NgSpice.Shared import NgSpiceShared
    except ImportError as error:
        raise SimulationError(
            "NgspiceShared needs PySpice: pip install 'eqprop-circuits[pyspice]'"
        ) from error
    path = (
        os.environ.get("NGSPICE_LIBRARY_PATH")
        or ctypes.util.find_library("ngspice")
        or NgSpiceShared.LIBRARY_PATH
    )
    with _ALONE, _quiet(), tempfile.TemporaryDirectory(prefix="circuits-") as folder:
        # ngspice reads the first start-up file that it finds, in the current folder before the home
        # folder: an empty one.
        Path(folder, ".spiceinit").touch()
        try:
            # Loaded by itself first, as PySpice cannot try again where this fails.
            ctypes.CDLL(str(path).format(""))
            with contextlib.chdir(folder):
                NgSpiceShared.LIBRARY_PATH = path
                return NgSpiceShared.new_instance()
        except (OSError, NameError, CDefError) as error:
            raise SimulationError(
                f"libngspice cannot be loaded from {path!r}: {error}; install it "
                "(apt install libngspice0, brew install libngspice) or name it by "
                "NGSPICE_LIBRARY_PATH, and start Python again"
            ) from error
