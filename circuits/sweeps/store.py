"""The folder of a run: its owner, and a file for every job, written whole or not at all.

A file of a job is one line of JSON and the bytes of its arrays, one after the other. It counts only
where every byte is right, names, types and sizes are those of the plan, and every number is in
range.
"""

import errno
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from eqprop.files import Folder
from eqprop.locks import InUseError, hold

from .jobs import Record
from .measures import STATUSES, Variable
from .plan import MAX_JOB, MAX_PLAN, Plan, Sha256
from .points import canonical_json

FORMAT = "circuits job 2"
MAX_HEAD = 200_000
"""How many bytes the line of JSON may have."""
MAX_FAILURE = 10_000
"""How many characters of the reason of a failure are kept."""
MAX_LOG = 64_000_000
"""How many bytes the deck and the transcript of a failure may have."""
LOCK = "lock"
JOBS = "jobs"
FAILED = "failed"
PLAN = "plan.json"
REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not be that large",
}


class StorageError(RuntimeError):
    """A run's folder is in use, cannot be written, or does not hold what it must."""


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a job's file."""

    format: str
    key: Sha256
    seconds: Annotated[float, Meta(ge=0)]
    failure: Annotated[str, Meta(max_length=MAX_FAILURE)]
    sha256: Sha256


class RunStore:
    """The folder of a run, open for reading; use it as a context.

    **Arguments:**

    - `folder`: the open folder of the run.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self._opened: dict[str, Folder] = {}
        self._lock = ExitStack()

    @classmethod
    def open(cls, path: str | Path) -> "RunStore":
        """Open the folder of a run to read it.

        **Arguments:**

        - `path`: the folder.

        **Raises** `StorageError` where there is no such folder.
        """
        try:
            return cls(Folder.open(path))
        except OSError as error:
            raise StorageError(
                f"{str(path)!r} must be the folder of a run, but its plan cannot be read: "
                f"{error.strerror}"
            ) from error

    @classmethod
    def own(cls, path: str | Path) -> "RunStore":
        """Open the folder of a run to write it, made if need be, and own it until `close`.

        What a process that was killed has left incomplete is removed.

        **Arguments:**

        - `path`: the folder.

        **Raises** `StorageError` where another run owns it, naming that, or where the names of its
        files are those of links; `OSError` where it cannot be made.
        """
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        store = cls.open(path)
        try:
            store._take_lock()
            inner = (store.inner(name, make=True) for name in (JOBS, FAILED))
            for folder in (store.folder, *inner):
                folder.remove_partial()
        except BaseException:
            store.close()
            raise
        return store

    def _take_lock(self) -> None:
        """Lock the folder for this process. Raises `StorageError` where that cannot be."""
        try:
            self._lock.enter_context(hold(self.folder, LOCK))
        except InUseError as error:
            raise StorageError(
                f"{str(self.folder.path)!r} is in use by another run: {error}"
            ) from error
        except OSError as error:
            raise StorageError(str(error)) from error

    def close(self) -> None:
        """Close the folder, and give it up where it was owned."""
        self._lock.close()
        for folder in (*self._opened.values(), self.folder):
            folder.close()
        self._opened.clear()

    def __enter__(self) -> "RunStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def inner(self, name: str, *, make: bool = False) -> Folder:
        """Return a folder within the run's, open as long as the store is.

        **Arguments:**

        - `name`: `JOBS` or `FAILED`.
        - `make`: whether it is made where it does not exist.

        **Raises** `StorageError` where it is a link or something else.
        """
        if name not in self._opened:
            try:
                self._opened[name] = self.folder.folder(name, make=make)
            except OSError as error:
                raise StorageError(
                    f"{str(self.folder.path / name)!r} must be a folder, and no link: "
                    f"{error.strerror}"
                ) from error
        return self._opened[name]

    def write_plan(self, plan: Plan) -> None:
        """Write the plan.

        **Arguments:**

        - `plan`: of the run.

        **Raises** `StorageError` where it cannot be written.
        """
        self.put(lambda: self.folder.write(PLAN, plan.encoded()))

    def read_plan(self) -> Plan:
        """Return the plan of the run.

        **Raises** `StorageError` where there is none, `SweepError` where it is something else.
        """
        try:
            content = self.folder.read(PLAN, most=MAX_PLAN)
        except OSError as error:
            raise StorageError(
                f"{str(self.folder.path)!r} must be the folder of a run, but its plan cannot be "
                f"read: {error.strerror or error}"
            ) from error
        return Plan.decode(content)

    def write(self, key: str, record: Record) -> None:
        """Keep the record of a job, flushed to the disk.

        **Arguments:**

        - `key`: of the job.
        - `record`: what came of it.

        **Raises** `StorageError` where it cannot be written.
        """
        body = b"".join(np.ascontiguousarray(array).tobytes() for array in record.arrays.values())
        failure = record.failure[:MAX_FAILURE].encode(errors="replace").decode()
        head = {"format": FORMAT, "key": key, "seconds": record.seconds, "failure": failure}
        head["sha256"] = _checksum(head, body)
        content = canonical_json(head).encode() + b"\n" + body
        failed = self.inner(FAILED, make=True)
        if record.failure:
            log = f"{record.failure}\n{record.transcript}\n"
            self.put(lambda: failed.write(f"{key}.cir", record.deck.encode()))
            self.put(lambda: failed.write(f"{key}.txt", log.encode(errors="replace")))
        self.put(lambda: self.inner(JOBS, make=True).write(job_file(key), content))
        if not record.failure:  # it may have failed before, and was tried again
            failed.remove(f"{key}.cir")
            failed.remove(f"{key}.txt")

    def has(self, key: str) -> bool:
        """Return whether a job has a file, whole or not.

        **Arguments:**

        - `key`: of the job.
        """
        return JOBS in self.folder.names() and self.inner(JOBS).has(job_file(key))

    def read(
        self, key: str, variables: Mapping[str, Variable], sizes: Mapping[str, int]
    ) -> Record | None:
        """Return the record of a job.

        **Arguments:**

        - `key`: of the job.
        - `variables`: that every chip has, by name, in the order in which they were written.
        - `sizes`: the length of each of their dimensions.

        **Returns** the record; `None` where there is no file, or one of which any byte is wrong.
        """
        shapes = {name: variable.shape(sizes) for name, variable in variables.items()}
        counts = {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
        length = sum(
            counts[name] * np.dtype(variable.dtype).itemsize for name, variable in variables.items()
        )
        try:
            content = self.inner(JOBS).read(job_file(key), most=length + MAX_HEAD)
            line, _, body = content.partition(b"\n")
            head = msgspec.json.decode(line, type=_Head)
        except (OSError, StorageError, msgspec.DecodeError, RecursionError):
            return None
        written = json.loads(line)
        written.pop("sha256")
        if (
            (head.format, head.key) != (FORMAT, key)
            or len(body) != length
            or head.sha256 != _checksum(written, body)
        ):
            return None

        arrays, start = {}, 0
        for name, variable in variables.items():
            array = np.frombuffer(body, variable.dtype, counts[name], start)
            arrays[name] = array.reshape(shapes[name])
            start += array.nbytes
        if not _in_range(arrays):
            return None
        return Record(arrays, head.seconds, head.failure)

    def copy(self, key: str, source: "RunStore") -> None:
        """Take over the files of a job from another store, in which it was read.

        **Arguments:**

        - `key`: of the job.
        - `source`: the store that has it.

        **Raises** `StorageError` where they cannot be read or written.
        """
        name = job_file(key)
        content = self.put(lambda: source.inner(JOBS).read(name, most=MAX_JOB + MAX_HEAD))
        self.put(lambda: self.inner(JOBS, make=True).write(name, content))

    def copy_failure(self, key: str, source: "RunStore") -> None:
        """Take over the deck and the transcript of a failed job from another store.

        **Arguments:**

        - `key`: of the job.
        - `source`: the store that has it.

        **Raises** `StorageError` where they cannot be read or written.
        """
        for name in (f"{key}.cir", f"{key}.txt"):
            if source.has_failure(name):
                content = self.put(lambda name=name: source.inner(FAILED).read(name, most=MAX_LOG))
                self.put(
                    lambda name=name, content=content: self.inner(FAILED, make=True).write(
                        name, content
                    )
                )

    def has_failure(self, name: str) -> bool:
        """Return whether there is a file about a failure.

        **Arguments:**

        - `name`: of the file.
        """
        return FAILED in self.folder.names() and self.inner(FAILED).has(name)

    def fill(self, name: str, fill: Callable[[Path], object]) -> None:
        """Let `fill` write a file or a folder of results by its path, whole or not at all.

        **Arguments:**

        - `name`: its name within the run's folder.
        - `fill`: is given the path at which to write.

        **Raises** `StorageError` where it cannot be written.
        """
        self.put(lambda: self.folder.fill(name, fill))

    def put(self, act: Callable[[], bytes | None]) -> bytes:
        """Read or write, and say what is wrong with the folder where that fails.

        **Arguments:**

        - `act`: reads or writes.

        **Returns** what `act` returns.

        **Raises** `StorageError`.
        """
        try:
            return act() or b""
        except (OSError, RuntimeError) as error:  # netCDF's errors are RuntimeErrors
            if isinstance(error, StorageError):
                raise
            reason = REASONS.get(getattr(error, "errno", None) or 0, "it cannot be written")
            raise StorageError(
                f"{str(self.folder.path)!r}: {reason} ({error}); what was kept until then is whole"
            ) from error


def job_file(key: str) -> str:
    """Return the name of a job's file.

    **Arguments:**

    - `key`: of the job.

    **Raises** `ValueError` for what is no key.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise ValueError(f"`key` must be 64 hexadecimal digits, but is {key!r}")
    return f"{key}.job"


def _checksum(head: Mapping[str, object], body: bytes) -> str:
    return hashlib.sha256(canonical_json(head).encode() + body).hexdigest()


def _in_range(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether the numbers that stand for words and classes are some."""
    status, attempts = arrays["status"], arrays["attempts"]
    return (
        bool(np.all((status >= 0) & (status < len(STATUSES))))
        and 0 <= int(attempts) <= 2
        and bool(np.all(arrays.get("decision", np.zeros(1)) >= -1))
    )
