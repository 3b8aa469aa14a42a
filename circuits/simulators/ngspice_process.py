"""ngspice processes that stay: each answers one deck after another, and starts only once."""

import atexit
import contextlib
import mmap
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eqprop.files import map_bytes

from . import processes
from .base import SimulationError
from .processes import exit_of, private_folder, start_program

LARGEST_DECK = 2**22
"""Bytes of a deck: a larger one has a process of its own, whose memory goes with it."""
LIFE = 500
"""Decks after which a process is replaced, so that what ngspice forgets to free stays small."""
PROCESSOR = 3600.0
"""Seconds of processor time after which a process ends by itself, whatever happens to Python."""

_COMMANDS = "source deck.cir\nrun out.raw\ndestroy all\nremcirc\n"


class Died(Exception):  # noqa: N818 - it is no error: the deck is simulated by another process
    """A process ended before it answered."""


class StayingProcess:
    """An ngspice process that takes decks one after another, in a private folder of its own.

    It reads commands from a pipe; they are those of this module, and hold nothing of a deck. Each
    deck is a file, as for a process that runs one deck alone.
    """

    def __init__(self, program: str, timeout: float):
        """Start the program at a path, and wait for it to take commands, `timeout` s at most.

        **Raises** `Died` where it does not, `SimulationError` at the time limit.
        """
        self.decks = 0
        self._name = Path(program).name
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(private_folder())
        command = [program, "-n", "-p"]
        self._process = start_program(command, self._folder, PROCESSOR, subprocess.PIPE)
        self._stack.callback(processes.end_program, self._process)
        self._pipe: Any = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._exit = self._stack.enter_context(exit_of(self._process))
        try:
            self._do("set filetype=binary\n", timeout)
        except BaseException:
            self.close()
            raise

    def answer(
        self, text: str, timeout: float, meanwhile: Callable[[], object] = lambda: None
    ) -> tuple[bytes | mmap.mmap, str]:
        """Return the raw file that ngspice makes of a deck, and what it prints.

        `meanwhile` is called while ngspice works.

        **Raises** `Died` where the process ends; `SimulationError` where it does not answer within
        `timeout` s, or prints more than it may. The process is of no use after either.
        """
        self.decks += 1
        raw = self._folder / "out.raw"
        (self._folder / "deck.cir").write_text(text, encoding="ascii")
        log = self._do(_COMMANDS, timeout, meanwhile)
        if not raw.is_file():
            return b"", log
        data = map_bytes(raw, most=processes.LARGEST_FILE)
        raw.unlink()  # the map stays, and the next answer is another file
        return data, log

    def close(self) -> None:
        """End the process with all that it started, and remove its folder."""
        self._stack.close()

    def _do(
        self, commands: str, timeout: float, meanwhile: Callable[[], object] = lambda: None
    ) -> str:
        """Return what the process prints while it does commands."""
        mark = f"answered {self.decks}\n"
        pipe: Any = self._process.stdin
        try:
            pipe.write(f"{commands}echo {mark}".encode())
        except OSError as error:
            raise Died from error
        meanwhile()
        return self._read(f"\n{mark}".encode(), timeout)

    def _read(self, mark: bytes, timeout: float) -> str:
        """Return what the process prints until a line that is `mark`."""
        deadline, output = time.monotonic() + timeout, bytearray(b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            if self._exit is not None:
                selector.register(self._exit, selectors.EVENT_READ)
            while not output.endswith(mark):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SimulationError(
                        f"{self._name} did not end within the time limit of {timeout} s"
                    )
                wait = processes.LONG if self._exit is not None else processes.POLL
                ready = {key.fileobj for key, _ in selector.select(min(left, wait))}
                part = self._pipe.read(2**16) if self._pipe in ready else None
                output += part or b""
                if len(output) > processes.LARGEST_LOG:
                    raise SimulationError(processes.too_long(self._name, output[1:]))
                if part is None or part == b"":
                    ended = (
                        self._process.poll() is not None
                        if self._exit is None
                        else self._exit in ready
                    )
                    if part == b"" or ended:
                        raise Died
        return output[: -len(mark)].decode("utf-8", "replace")


class _Pool:
    """The processes that wait for decks, by the path of their program: one a thread at work."""

    def __init__(self):
        self._lock = threading.Lock()
        self._idle: dict[str, list[StayingProcess]] = {}
        self._known: set[str] = set()
        self._refused: set[str] = set()
        self._forgotten: list[Any] = []

    def know(self, program: str) -> None:
        """Note that a program has answered a deck in a process of its own."""
        self._known.add(program)

    def answer(
        self, program: str, text: str, timeout: float, meanwhile: Callable[[], object]
    ) -> tuple[bytes | mmap.mmap, str] | None:
        """Return the answer of a waiting or a new process to a deck; None where there is none.

        There is none before the program is known, for a deck that is too large, and where a new
        process dies of it: whatever the deck does is then found out by a process of its own.

        **Raises** `SimulationError` where the process does not answer in time.
        """
        if program not in self._known or program in self._refused or len(text) > LARGEST_DECK:
            return None
        with self._lock:
            waiting = self._idle.setdefault(program, [])
            process = waiting.pop() if waiting else None
        if process is not None:
            with contextlib.suppress(Died):  # it died while it waited: nothing is lost
                return self._ask(process, program, text, timeout, meanwhile)
        try:
            fresh = StayingProcess(program, timeout)
        except Died:
            self._refused.add(program)  # it takes no commands
            return None
        try:
            return self._ask(fresh, program, text, timeout, meanwhile)
        except Died:
            return None

    def _ask(
        self,
        process: StayingProcess,
        program: str,
        text: str,
        timeout: float,
        meanwhile: Callable[[], object],
    ) -> tuple[bytes | mmap.mmap, str]:
        """Return the answer of a process, which then waits for the next deck or is ended."""
        try:
            answer = process.answer(text, timeout, meanwhile)
        except BaseException:
            process.close()
            raise
        with self._lock:
            waiting = self._idle.setdefault(program, [])
            keep = process.decks < LIFE and len(waiting) < (os.cpu_count() or 1)
            if keep:
                waiting.append(process)
        if not keep:
            process.close()
        return answer

    def close(self) -> None:
        """End all processes that wait."""
        with self._lock:
            waiting = [process for group in self._idle.values() for process in group]
            self._idle = {}
        for process in waiting:
            process.close()

    def forget(self) -> None:
        """Leave all processes to the parent, in a process that was forked from it."""
        self._forgotten.append(self._idle)  # kept, as their folders go when they are collected
        self._lock, self._idle = threading.Lock(), {}


POOL = _Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)
