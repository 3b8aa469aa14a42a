"""ngspice as a process: a private folder, binary results and limits."""

import contextlib
import re
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eqprop.files import map_bytes

from .base import SimulationError, check_positive
from .ngspice_decks import DeckSimulator, quoted_log, reports_trouble
from .ngspice_process import POOL
from .processes import LARGEST_FILE, private_folder, program_path, run_program
from .raw import Plot, RawError, read


@dataclass(frozen=True)
class Ngspice(DeckSimulator):
    """ngspice 39 or later, as `DeckSimulator` describes.

    It runs in an empty private folder, which is its home too, and reads no start-up file. It ends
    with everything that it started when its time is over, and (on Linux, with util-linux) when
    Python dies. For operating points, all decks but the first go to processes that stay, one for
    each thread that asks, until Python ends; whatever is not well in their answers is found out
    again by a process that runs the deck alone, as all other analyses have.

    **Arguments:**

    - `command`: the program's name or path.
    - `timeout`: seconds for one deck, above 0.
    - `tolerance`: the largest Newton correction, in V, of a point that is `ok`; above 0.

    **Raises** `ValueError` where an argument is none of these.
    """

    command: str = "ngspice"
    timeout: float = 120.0
    tolerance: float = 1e-9

    def __post_init__(self):
        if not (isinstance(self.command, str) and self.command):
            raise ValueError(f"`command` must name a program, but is {self.command!r}")
        check_positive("timeout", self.timeout)
        check_positive("tolerance", self.tolerance)

    def version(self):
        return _version(program_path(self.command))

    def _answer(self, text, title, meanwhile):
        program = program_path(self.command)
        if meanwhile is not None:
            answer = POOL.answer(program, text, self.timeout, meanwhile)
            # Whatever is not well is found out by a process of its own.
            if answer is not None and not reports_trouble(answer[1]):
                with contextlib.suppress(RawError):
                    return read(answer[0]), answer[1]
        answer = self._alone(text, title)
        POOL.know(program)
        return answer

    def _alone(self, text: str, title: str) -> tuple[list[Plot], str]:
        """Return the answer of a process that runs this deck alone."""
        with private_folder() as folder:
            Path(folder, "deck.cir").write_text(text, encoding="ascii")
            command = [self.command, "-n", "-b", "-r", "out.raw", "deck.cir"]
            status, log = run_program(command, folder, self.timeout)
            raw = Path(folder, "out.raw")
            data = map_bytes(raw, most=LARGEST_FILE) if raw.is_file() else b""
        if status > 0:
            log += f"\nexit status {status}"
        if status < 0:
            raise SimulationError(
                f"{self.version()} was ended by signal {_signal_name(-status)} "
                f"on {title!r}{quoted_log(log)}"
            )
        try:
            return read(data), log
        except RawError as error:
            raise SimulationError(
                f"{self.version()} left a result that cannot be read on {title!r}: "
                f"{error}{quoted_log(log)}"
            ) from error


def _signal_name(number: int) -> str:
    """Return a signal's name, or its number where it has none."""
    return next((one.name for one in signal.Signals if one == number), str(number))


@cache
def _version(program: str) -> str:
    """Return what the ngspice at a path calls itself, as `ngspice-39`."""
    with private_folder() as folder:
        _, output = run_program([program, "--version"], folder, 20.0)
    name = re.search(r"ngspice-[\w.+-]+", output)
    if not name:
        raise SimulationError(
            f"`command` must be ngspice, but {program!r} answers {output[:200]!r}"
        )
    return name.group()
