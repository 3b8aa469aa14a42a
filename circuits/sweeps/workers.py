"""Processes that do jobs, each an interpreter of its own.

One that dies takes with it only the job that it had.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Settings without which libraries would take all cores in every worker."""
GRACE = 5.0
"""Seconds in which a worker that is to leave ends what it has begun; then it is ended."""


class WorkerError(RuntimeError):
    """A worker ended before it answered."""


class Processes(Executor):
    """An executor of fresh interpreters, each started when first needed and again where it died.

    They compute with one thread each, leave when this process is gone, however it went, and need no
    guard around a script's main part.

    **Arguments:**

    - `workers`: how many there are.

    **Raises** `ValueError` for fewer than one.
    """

    def __init__(self, workers: int):
        if workers < 1:
            raise ValueError(f"`workers` must be at least 1, but is {workers}")
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sweep")
        self._of_thread = threading.local()
        self._workers: set[_Worker] = set()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        return self._threads.submit(self._ask, (fn, args, kwargs))

    def _ask(self, task: Any) -> Any:
        """Return what the worker of this thread answers to a task, and raise what it raises."""
        worker = getattr(self._of_thread, "worker", None)
        if worker is None:
            if self._closed:
                raise WorkerError("the workers are shut down")
            worker = self._of_thread.worker = _Worker()
            self._workers.add(worker)
        try:
            worker.connection.send(task)
            done, answer = worker.connection.recv()
        except (EOFError, OSError) as error:
            self._of_thread.worker = None
            self._workers.discard(worker)
            raise WorkerError(f"a worker ended before it answered ({worker.end()})") from error
        if not done:
            raise answer
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers.

        **Arguments:**

        - `wait`: whether to return when they are gone.
        - `cancel_futures`: whether they end at once, not after what was submitted.
        """
        self._closed = cancel_futures
        if cancel_futures:
            self._threads.shutdown(wait=False, cancel_futures=True)
            workers = list(self._workers)
            for worker in workers:
                worker.process.terminate()
            deadline = time.monotonic() + GRACE
            for worker in workers:
                worker.leave(deadline)
        self._threads.shutdown(wait=wait)
        for worker in self._workers:
            worker.connection.close()  # all leave at the same time
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """A process and the connection to it."""

    def __init__(self):
        self.connection, theirs = Pipe()
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        environment = (
            os.environ
            | dict.fromkeys(ONE_THREAD, "1")
            | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
        )
        environment["XLA_FLAGS"] = (
            f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
        )
        program = f"from circuits.sweeps.workers import serve; serve({theirs.fileno()})"
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and text
                [sys.executable, "-P", "-c", program],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # an interrupt at the terminal is for the sweep alone, which ends its workers
                start_new_session=True,
            )

    def leave(self, deadline: float) -> None:
        """Wait for a process that was asked to leave, and end it where it does not in time."""
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self.process.kill()

    def end(self) -> str:
        """Close the connection, upon which the process leaves, and return how it ended."""
        self.connection.close()
        code = self.process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def serve(descriptor: int) -> None:
    """Answer what comes through a connection until its other end is closed.

    **Arguments:**

    - `descriptor`: of the connection.
    """
    connection = Connection(descriptor)
    tasks: SimpleQueue[Any] = SimpleQueue()
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    while True:
        task = tasks.get()
        try:
            if isinstance(task, Exception):
                raise task
            function, args, kwargs = task
            answer = True, function(*args, **kwargs)
        except Exception as error:  # it is raised where the task came from
            answer = False, error
        try:
            connection.send(answer)
        except OSError:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the process leaves already
            return


def _listen(connection: Connection, tasks: SimpleQueue[Any]) -> None:
    """Pass tasks on; when the other end is gone, end the process, in the midst of a job too.

    Python looks at signals between its own instructions alone: a computation that takes long
    elsewhere is ended after a while.
    """
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE)
            os.kill(os.getpid(), signal.SIGKILL)
        except Exception as error:  # a task that cannot be read is answered
            tasks.put(error)


def _leave(number: int, frame: Any) -> None:
    """End the main thread wherever it is, so that a simulator that it waits for is ended too."""
    del frame
    signal.signal(number, signal.SIG_IGN)  # what cleans up is not interrupted again
    raise SystemExit(0)
