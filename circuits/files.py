"""Files that are written whole or not at all, and read within a limit."""

import contextlib
import mmap
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


def write(path: str | Path, fill: Callable[[Path], object]) -> Path:
    """Write a file whole or not at all: what was at `path` stays until the new file is complete.

    **Arguments:**

    - `path`: of a file in a folder that exists.
    - `fill`: called with the path of a new file beside `path`, writes its content.

    **Returns** `path`. **Raises** `ValueError` where `path` is a folder, or in none that exists.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(f"`path` must be a file in a folder that exists, but is {str(path)!r}")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        fresh = Path(folder) / path.name
        fill(fresh)
        fresh.replace(path)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write a text in UTF-8, whole or not at all; see `write`."""
    return write(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def read_bytes(path: str | Path, *, most: int) -> bytes:
    """Read a regular file of at most `most` bytes.

    A device or a pipe, which may never end, is refused without waiting for it.

    **Arguments:**

    - `path`: of the file; links are followed.
    - `most`: the largest size in bytes.

    **Returns** the content. **Raises** `ValueError` for what is no regular file and for one that
    is larger, `OSError` where it cannot be read.
    """
    with _regular_file(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, most)
    return data


def map_bytes(path: str | Path, *, most: int) -> mmap.mmap | bytes:
    """Map a regular file of at most `most` bytes into memory, to be read only.

    The map stays when the file is removed, but not when it is written to. Arguments and errors are
    those of `read_bytes`.

    **Returns** the map, or no bytes where the file is empty.
    """
    with _regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise _too_large(path, most)
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""


@contextlib.contextmanager
def _regular_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to be read. Raises `ValueError` for what is no regular file."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb", closefd=True) as opened:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ValueError(f"`path` must be a regular file, but {str(path)!r} is none")
        yield opened


def _too_large(path: str | Path, most: int) -> ValueError:
    """Return the error about a file of more than `most` bytes."""
    return ValueError(f"`path` must be a file of at most {most} bytes, but {str(path)!r} has more")


def output_folder(path: str | Path, argument: str = "out") -> Path:
    """Make a folder, if it does not exist, and check that it can be written.

    **Arguments:**

    - `path`: of the folder.
    - `argument`: what the caller calls it, for messages.

    **Returns** `path`. **Raises** `ValueError` where it is no folder or cannot be written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"`{argument}` must be a folder that can be written, "
            f"but {str(path)!r} is not: {error.strerror}"
        ) from error
    return path
