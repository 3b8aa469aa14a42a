"""The folder of a run: who owns it, and a file for every chunk, written whole or not at all and read only where every byte is right."""

import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .jobs import Record, canonical
from .plan import Plan

FORMAT = "circuits chunk 1"
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not be that large",
}


class StorageError(RuntimeError):
    """A run's folder is in use, cannot be written, or does not hold what it must."""


class Journal:
    """The folder of a run, owned until `close`. Raises `StorageError` where another run owns it, naming that."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("chunks", "failed"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(
                self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # the system frees it however this process ends
        except OSError as error:
            owner = os.read(self._lock, 1000).decode(errors="replace").strip()
            os.close(self._lock)
            raise StorageError(
                f"{str(folder)!r} is in use by another run: {owner or 'not yet named'}"
            ) from error
        os.ftruncate(self._lock, 0)
        owner = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        os.write(self._lock, owner.encode())
        for place in (folder, folder / "chunks", folder / "failed"):
            for torn in place.glob("*.partial"):
                _remove(torn)

    def close(self) -> None:
        """Gives the folder up."""
        os.close(self._lock)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def keep_plan(self, plan: Plan) -> None:
        """Writes the plan. Raises `StorageError`."""
        _write(self.folder / "plan.json", plan.text().encode())

    def write(self, key: str, record: Record) -> None:
        """Keeps what came of a chunk, flushed to the disk. Raises `StorageError`."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **record.arrays)
        body = content.getvalue()
        head = {"format": FORMAT, "key": key, "seconds": record.seconds, "failure": record.failure}
        head["sha256"] = _checksum(head, body)
        if record.failure:
            _write(self.folder / "failed" / f"{key}.cir", record.deck.encode())
            _write(
                self.folder / "failed" / f"{key}.txt", f"{record.failure}\n{record.said}\n".encode()
            )
        _write(path_of(self.folder, key), canonical(head).encode() + b"\n" + body)
        if not record.failure:
            for stale in (self.folder / "failed").glob(
                f"{key}.*"
            ):  # it failed before, and was tried again
                stale.unlink()


def path_of(folder: Path, key: str) -> Path:
    """Where the file of a chunk is."""
    return folder / "chunks" / f"{key}.chunk"


def read_plan(folder: Path) -> Plan:
    """The plan of a run. Raises `StorageError` where there is none, `SweepError` where it is something else."""
    try:
        return Plan.parse((folder / "plan.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(
            f"{str(folder)!r} must be the folder of a run, but its plan cannot be read: {error.strerror}"
        ) from error


def read(folder: Path, key: str) -> Record | None:
    """What came of a chunk; `None` where there is no file, or one of which any byte is wrong."""
    try:
        first, _, body = path_of(folder, key).read_bytes().partition(b"\n")
        head: dict[str, Any] = json.loads(first)
        told = head.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    if told != _checksum(head, body) or (head.get("format"), head.get("key")) != (FORMAT, key):
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        return Record({name: file[name] for name in file.files}, head["seconds"], head["failure"])


def _checksum(head: dict[str, Any], body: bytes) -> str:
    return hashlib.sha256(canonical(head).encode() + body).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Writes a file beside its place, flushes it, and moves it there. Raises `StorageError`."""

    def fill(partial: Path) -> None:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    put(path, fill)


def put(path: Path, fill: Callable[[Path], object]) -> None:
    """Lets `fill` write a file, or a folder, beside `path` and moves it there; what a kill leaves ends in .partial.

    Raises `StorageError`.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        fill(partial)
        if partial.is_dir():
            _remove(path)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # netCDF's errors are RuntimeErrors
        reason = FULL.get(getattr(error, "errno", None) or 0, "it cannot be written")
        _remove(partial)
        raise StorageError(
            f"{str(path.parent)!r}: {reason} ({error}); what was kept until then is whole"
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
