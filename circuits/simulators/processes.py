"""Programs that run with limits on time, on what they print and write, and on what they leave."""

import contextlib
import fcntl
import math
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .base import SimulationError

LARGEST_LOG = 16 * 2**20
"""Bytes that a program may print."""
LARGEST_FILE = 2 * 2**30
"""Bytes that a program may write to one file."""
DRAIN = 0.5
"""Seconds in which what an ended program has printed must have arrived."""

POLL, LONG = 0.01, 1e6
"""Seconds between looks at a process: where the system does not say when it ends, and where so."""

_PREFIX, _LOCK = "circuits-ngspice-", ".lock"

_LAUNCH = """[ "$PPID" = "$1" ] || exit 1
ulimit -c 0; ulimit -t "$2"; ulimit -f "$3"
shift 3
exec "$@"
"""
"""What the shell does before it becomes the program: it ends where its parent is gone already."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Make an empty temporary folder that only this user can enter, and remove it afterwards.

    A folder whose process was killed before it could remove it is removed by the next process
    that makes one: each holds a file that is locked for as long as its process lives.
    """
    _sweep(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        lock = os.open(Path(name, _LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


@cache
def _sweep(temporary: str) -> None:
    """Remove the folders in `temporary` that processes of this user left there when killed."""
    for folder in Path(temporary).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its process lives
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def program_path(command: str) -> str:
    """Return the path of a program. Raises `SimulationError` where there is none."""
    path = shutil.which(command)
    if path is None:
        raise SimulationError(
            f"{command!r} cannot be run: there is no such program; install ngspice "
            "(apt install ngspice, brew install ngspice) or name it with Ngspice(command=...)"
        )
    return str(Path(path).absolute())


def run_program(command: Sequence[str], folder: Path, timeout: float) -> tuple[int, str]:
    """Run a program in `folder`, which is its home too, and return its exit status and output.

    When it ends, all that it started in its process group is ended as well, whether or not that
    still holds its output. The program itself has a limit of processor time a second above
    `timeout`, and of `LARGEST_FILE` bytes a file. On Linux, where util-linux's `setpriv` is
    installed, the kernel ends it when the thread that waits for it dies, by SIGKILL too.

    **Arguments:**

    - `command`: the program and its arguments.
    - `folder`: an existing folder.
    - `timeout`: in s of the clock.

    **Returns** the exit status, minus the signal's number where a signal ended the program, and
    what it printed on standard output and standard error together.

    **Raises** `SimulationError` where the program cannot be run, does not end in time, or prints
    more than `LARGEST_LOG` bytes.
    """
    process = start_program(command, folder, timeout, subprocess.DEVNULL)
    try:
        output = _output(process, command[0], timeout)
    finally:
        end_program(process)
    if process.returncode == -signal.SIGXFSZ:
        raise SimulationError(
            f"{command[0]} may write {LARGEST_FILE} bytes to a file, but was about to write more"
        )
    return process.returncode, output.decode("utf-8", "replace")


def start_program(
    command: Sequence[str], folder: Path, processor: float, standard_input: int
) -> subprocess.Popen:
    """Start a program in `folder`, with the environment and the limits that `run_program` says.

    It leads a process group of its own. `end_program` must end it.

    **Arguments:**

    - `command`: the program and its arguments.
    - `folder`: an existing folder.
    - `processor`: seconds of processor time; a second above it the system ends the program.
    - `standard_input`: `subprocess.PIPE` or `subprocess.DEVNULL`.

    **Raises** `SimulationError` where the program cannot be run.
    """
    program = program_path(command[0])
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
    }
    try:
        return subprocess.Popen(  # noqa: S603 - the command is the caller's, its text is ours
            [*_launcher(processor), program, *command[1:]],
            cwd=folder,
            env=environment,
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise SimulationError(f"{program!r} cannot be run: {error.strerror}") from error


def end_program(process: subprocess.Popen) -> None:
    """End a process and its group, if it has not ended, and wait for it."""
    # The leader is not waited for before its group is killed: until then it keeps its number, so
    # that no other process can be meant.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    _close(process.stdout)
    process.wait()


def _launcher(timeout: float) -> list[str]:
    """Return the words before a command that set the limits of the process that it becomes."""
    seconds = str(math.ceil(timeout) + 1) if timeout < 1e9 else "unlimited"
    guard = shutil.which("setpriv")
    tied = [guard, "--pdeathsig", "KILL", "--"] if guard else []
    # `ulimit -f` counts in units of 512 bytes
    return [
        *tied,
        "/bin/sh",
        "-c",
        _LAUNCH,
        "sh",
        str(os.getpid()),
        seconds,
        str(LARGEST_FILE // 512),
    ]


def _output(process: subprocess.Popen, name: str, timeout: float) -> bytes:
    """Return what a process prints until it ends, without waiting for others that hold its pipe."""
    deadline, output, ended, open_pipe = time.monotonic() + timeout, bytearray(), False, True
    pipe: Any = process.stdout
    os.set_blocking(pipe.fileno(), False)
    with selectors.DefaultSelector() as selector, exit_of(process) as exit_file:
        selector.register(pipe, selectors.EVENT_READ)
        if exit_file is not None:
            selector.register(exit_file, selectors.EVENT_READ)
        while open_pipe or not ended:
            left = deadline - time.monotonic()
            if left <= 0:
                if ended:
                    break  # something else holds the pipe, and prints
                raise SimulationError(f"{name} did not end within the time limit of {timeout} s")
            wait = 0 if ended else min(left, LONG if exit_file is not None else POLL)
            ready = {key.fileobj for key, _ in selector.select(wait)}

            if pipe in ready:
                part = pipe.read(2**16)
                output += part or b""
                if part == b"":
                    selector.unregister(pipe)
                    open_pipe = False
            elif ended:
                break  # all that it printed before it ended has been read
            if len(output) > LARGEST_LOG:
                raise SimulationError(too_long(name, output))

            if not ended and (
                process.poll() is not None if exit_file is None else exit_file in ready
            ):
                ended, deadline = True, time.monotonic() + DRAIN
                if exit_file is not None:
                    selector.unregister(exit_file)
    return bytes(output)


def too_long(name: str, output: bytes | bytearray) -> str:
    """Return the message about a program that prints more than it may."""
    return (
        f"{name} may print {LARGEST_LOG} bytes, but printed more; it began: "
        f"{bytes(output[:200]).decode('utf-8', 'replace')!r}"
    )


def _close(pipe: Any) -> None:
    """Close a pipe once those who were killed have let go of it, or after `DRAIN` seconds."""
    deadline = time.monotonic() + DRAIN
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left) and pipe.read(2**16) == b"":
                break


@contextlib.contextmanager
def exit_of(process: subprocess.Popen) -> Iterator[int | None]:
    """Give a file that can be read once a process has ended; `None` where the system has none."""
    try:
        file = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # no Linux, or one before 5.3
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)
