"""ngspice as a process: a private folder, binary results and a time limit."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .base import SimulationError
from .ngspice_decks import DeckSimulator, said
from .raw import RawError, read


@dataclass(frozen=True)
class Ngspice(DeckSimulator):
    """ngspice 39 or later, one process a deck, as `DeckSimulator` describes.

    It runs in an empty private folder, which is its home too, and is told to read no start-up file.

    **Arguments:** `command`: the program. `timeout`: seconds for one process. `tolerance`: the largest Newton correction, in V, of a
    point that is `ok`.
    """

    command: str = "ngspice"
    timeout: float = 120.0
    tolerance: float = 1e-9

    def __post_init__(self):
        for field in ("timeout", "tolerance"):
            if not getattr(self, field) > 0:
                raise ValueError(f"`{field}` must be above 0, but is {getattr(self, field)}")

    def version(self):
        return _version(_program(self.command))

    def _answer(self, text, title):
        with tempfile.TemporaryDirectory(prefix="circuits-") as folder:
            Path(folder, "deck.cir").write_text(text, encoding="ascii")
            code, log = _process(
                [self.command, "-n", "-b", "-r", "out.raw", "deck.cir"], folder, self.timeout
            )
            raw = Path(folder, "out.raw")
            data = raw.read_bytes() if raw.is_file() else b""
        if code > 0:
            log += f"\nexit status {code}"
        if code < 0:
            raise SimulationError(
                f"{self.version()} was ended by signal {signal.Signals(-code).name} on {title!r}{said(log)}"
            )
        try:
            return read(data), log
        except RawError as error:
            raise SimulationError(
                f"{self.version()} left a result that cannot be read on {title!r}: {error}{said(log)}"
            ) from error


def _process(command: list[str], folder: str, timeout: float) -> tuple[int, str]:
    """Exit status and output of a process in `folder`, which is its home too; its whole process group is ended at the time limit."""
    program = _program(command[0])
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": folder,
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
    }
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the caller's, its text is ours
            [program, *command[1:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise SimulationError(f"{program!r} cannot be run: {error.strerror}") from error
    try:
        log, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise SimulationError(
            f"{command[0]} did not end within the time limit of {timeout} s"
        ) from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.wait(), log


def _program(command: str) -> str:
    """The path of the program. Raises `SimulationError` where there is none."""
    found = shutil.which(command)
    if found is None:
        raise SimulationError(
            f"{command!r} cannot be run: there is no such program; install ngspice (apt install ngspice, brew install ngspice) or name "
            "it with Ngspice(command=...)"
        )
    return str(Path(found).absolute())


@cache
def _version(program: str) -> str:
    with tempfile.TemporaryDirectory(prefix="circuits-") as folder:
        _, said = _process([program, "--version"], folder, 20.0)
    found = re.search(r"ngspice-[\w.+-]+", said)
    if not found:
        raise SimulationError(f"`command` must be ngspice, but {program!r} answers {said[:200]!r}")
    return found.group()
