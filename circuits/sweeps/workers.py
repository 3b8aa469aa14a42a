"""Processes that work on chunks, each an interpreter of its own; one that dies takes with it only the chunk it had."""

import os
import signal
import subprocess
import sys
import threading
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
"""Libraries that compute would otherwise each take all cores in every worker."""


class WorkerError(RuntimeError):
    """A worker ended before it answered."""


class Processes(Executor):
    """`workers` fresh interpreters that run what is submitted, each started when it is first needed and again where it died.

    They compute with one thread each, leave when this process is gone, however it went, and need no guard around a script's main part.
    """

    def __init__(self, workers: int):
        if workers < 1:
            raise ValueError(f"`workers` must be at least 1, but is {workers}")
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sweep")
        self._own = threading.local()
        self._workers: set[_Worker] = set()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        return self._threads.submit(self._ask, (fn, args, kwargs))

    def _ask(self, task: Any) -> Any:
        worker = getattr(self._own, "worker", None)
        if worker is None:
            if self._closed:
                raise WorkerError("the workers are told to go")
            worker = self._own.worker = _Worker()
            self._workers.add(worker)
        try:
            worker.connection.send(task)
            done, answer = worker.connection.recv()
        except (EOFError, OSError) as error:
            self._own.worker = None
            self._workers.discard(worker)
            raise WorkerError(f"a worker ended before it answered ({worker.end()})") from error
        if not done:
            raise answer
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the workers go: after what was submitted, or with `cancel_futures` at once."""
        self._closed = cancel_futures
        if cancel_futures:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for worker in list(self._workers):
                worker.process.terminate()
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
                start_new_session=True,  # an interrupt at the terminal is for the sweep alone, which ends its workers
            )

    def end(self) -> str:
        """Closes the connection, upon which the process leaves; how it ended, in words."""
        self.connection.close()
        code = self.process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def serve(descriptor: int) -> None:
    """The life of a worker: answers what comes through the connection until its other end is closed."""
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
            return


def _listen(connection: Connection, tasks: SimpleQueue[Any]) -> None:
    """Passes tasks on. When the other end is gone, the process ends, in the midst of a simulation too."""
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        except Exception as error:  # a task that cannot be read is answered
            tasks.put(error)


def _leave(number: int, frame: Any) -> None:
    """Ends the main thread wherever it is, so that a simulator that it waits for is ended too."""
    del number, frame
    raise SystemExit(0)
