"""Files that are written whole or not at all, and read within a limit.

Whoever may write into a folder may plant a link there under the name of a file that is about to be
written, or put a device or a pipe where a file is about to be read. So a folder is opened once, its
files are named relative to the open folder, a new file has a name that nobody can know and must not
exist (`O_EXCL`), and a link is never followed (`O_NOFOLLOW`).
"""

import contextlib
import mmap
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

PARTIAL = ".partial"
"""The ending of a file that is not complete: while it is written, or after a kill."""
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPENED = Path("/proc/self/fd")


class OutsideError(ValueError):
    """A file does not lie in the folder in which it must."""


@dataclass(frozen=True)
class Folder:
    """A folder that is open until `close`.

    **Arguments:**

    - `path`: where it is, for messages.
    - `descriptor`: the open folder.
    """

    path: Path
    descriptor: int

    @classmethod
    def open(cls, path: str | Path) -> "Folder":
        """Open an existing folder; `path` itself may be a link, as the caller chose it.

        **Arguments:**

        - `path`: the folder.

        **Raises** `OSError` where it does not exist or is no folder.
        """
        return cls(Path(path), os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def folder(self, name: str, *, make: bool = False) -> "Folder":
        """Open a folder within this one, which must not be a link.

        **Arguments:**

        - `name`: its name, without a slash.
        - `make`: whether it is made where it does not exist.

        **Raises** `OSError` where it does not exist, or is a link or something else.
        """
        _require_name(name)
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=self.descriptor)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        return Folder(self.path / name, os.open(name, flags, dir_fd=self.descriptor))

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self.descriptor)

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - an open folder has no path

    def has(self, name: str) -> bool:
        """Return whether a plain file of this name is there; a link is none."""
        try:
            mode = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode
        except OSError:
            return False
        return stat.S_ISREG(mode)

    def read(self, name: str, *, most: int) -> bytes:
        """Return the content of a regular file.

        **Arguments:**

        - `name`: its name, without a slash.
        - `most`: how many bytes it may have.

        **Raises** `OSError` where it cannot be read, is a link, a device, a pipe or a folder, or
        has more bytes.
        """
        with self._opened(name, most) as file:
            return _content(file, self.path / name, most)

    @contextlib.contextmanager
    def reading(self, name: str, *, most: int) -> Iterator[Path]:
        """Yield a path at which a library can open a regular file by itself.

        Arguments and errors are those of `read`. On Linux the path leads to the file that was
        looked at, whatever may have taken its name in the meantime.
        """
        with self._opened(name, most) as file:
            opened = _OPENED / str(file.fileno())
            yield opened if opened.exists() else self.path / name

    def _opened(self, name: str, most: int) -> contextlib.AbstractContextManager[BufferedReader]:
        """Open a regular file. Raises `OSError` as `read`, with its path."""
        _require_name(name)
        path = self.path / name
        try:
            descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        return _regular(descriptor, path, most)

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file whole or not at all, flushed to the disk with its name.

        **Arguments:**

        - `name`: its name, without a slash; what has it is replaced, a link by the file.
        - `content`: its bytes.

        **Raises** `OSError` where it cannot be written.
        """
        _require_name(name)
        partial = _partial(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(partial, flags, 0o644, dir_fd=self.descriptor)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._move(partial, self, name)
            os.fsync(self.descriptor)
        except OSError as error:
            self.remove(partial)
            raise OSError(error.errno, error.strerror, str(self.path / name)) from error
        except BaseException:
            self.remove(partial)
            raise

    def fill(self, name: str, fill: Callable[[Path], object]) -> None:
        """Let `fill` write a file or a folder by its path, whole or not at all.

        It writes into a new folder that nobody else may enter; what it wrote is moved from there.

        **Arguments:**

        - `name`: the name, without a slash; what has it is replaced, a link by the file.
        - `fill`: is given the path at which to write.

        **Raises** what `fill` raises, and `OSError` where the result cannot be moved.
        """
        _require_name(name)
        partial = _partial(name)
        os.mkdir(partial, 0o700, dir_fd=self.descriptor)
        try:
            with self.folder(partial) as private:
                opened = _OPENED / str(private.descriptor)
                fill((opened if opened.exists() else private.path) / name)
                if private.has(name):
                    private._move(name, self, name)
                else:  # a folder replaces none that holds anything
                    self.remove(name)
                    private._move(name, self, name)
        finally:
            self.remove(partial)

    def _move(self, name: str, to: "Folder", new_name: str) -> None:
        os.replace(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=to.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, a link or a folder with all that is in it, if it is there.

        **Arguments:**

        - `name`: its name, without a slash.

        **Raises** `OSError` where it cannot be removed.
        """
        _require_name(name)
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(name, dir_fd=self.descriptor)

    def remove_partial(self, name: str | None = None) -> None:
        """Remove what processes that were killed have left incomplete.

        **Arguments:**

        - `name`: of the file that they were to write; `None`: of any.
        """
        start = "" if name is None else f".{name}."
        for entry in self.names():
            if entry.startswith(start) and entry.endswith(PARTIAL):
                self.remove(entry)


def write(path: str | Path, fill: Callable[[Path], object]) -> Path:
    """Write a file whole or not at all: what was at `path` stays until the new file is complete.

    **Arguments:**

    - `path`: of a file in a folder that exists.
    - `fill`: called with the path of a new file, writes its content.

    **Returns** `path`. **Raises** `ValueError` where `path` is a folder, or in none that exists.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(f"`path` must be a file in a folder that exists, but is {str(path)!r}")
    with Folder.open(path.parent) as folder:
        folder.fill(path.name, fill)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write a text in UTF-8, whole or not at all; see `write`."""
    return write(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def read_bytes(path: str | Path, *, most: int) -> bytes:
    """Return the content of a regular file, which may be reached by links.

    A device or a pipe, which may never end, is refused without waiting for it.

    **Arguments:**

    - `path`: of the file.
    - `most`: how many bytes it may have.

    **Raises** `OSError` where it cannot be read, is a device, a pipe or a folder, or has more
    bytes.
    """
    with open_regular(path, most=most) as file:
        return _content(file, path, most)


def read_below(folder: str | Path, name: str, *, most: int) -> bytes:
    """Return the content of a regular file that lies in a folder or below it.

    Links may lead to it from within the folder. Where it lies is found out first; then it is opened
    from the folder on, part by part, and no link is followed that was planted in between.

    **Arguments:**

    - `folder`: the folder; it may be a link, as the caller chose it.
    - `name`: the path of the file from there.
    - `most`: how many bytes it may have.

    **Raises** `OutsideError` where it lies elsewhere, and `OSError` as `read_bytes`.
    """
    root = Path(folder).resolve()
    path = (root / name).resolve()
    if root not in path.parents:
        raise OutsideError(f"`name` must be of a file in {str(root)!r} or below, but is {name!r}")
    *inner, file = path.relative_to(root).parts
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Folder.open(root))
        for part in inner:
            opened = stack.enter_context(opened.folder(part))
        return opened.read(file, most=most)


def open_regular(
    path: str | Path, *, most: int
) -> contextlib.AbstractContextManager[BufferedReader]:
    """Open a regular file to read it. Arguments and errors are those of `read_bytes`."""
    return _regular(os.open(path, _READ & ~os.O_NOFOLLOW), path, most)


def map_bytes(path: str | Path, *, most: int) -> mmap.mmap | bytes:
    """Map a regular file of at most `most` bytes into memory, to be read only.

    The map stays when the file is removed, but not when it is written to. Arguments and errors are
    those of `read_bytes`.

    **Returns** the map, or no bytes where the file is empty.
    """
    with open_regular(path, most=most) as file:
        size = os.fstat(file.fileno()).st_size
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""


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


def _content(file: BufferedReader, path: str | Path, most: int) -> bytes:
    """Return what an open file holds. Raises `OSError` as `read_bytes`."""
    content = file.read(most + 1)
    if len(content) > most:  # it grew while it was read
        raise _too_large(path, most)
    return content


@contextlib.contextmanager
def _regular(descriptor: int, path: str | Path, most: int) -> Iterator[BufferedReader]:
    """Return an open file to be read, and close it. Raises `OSError` as `read_bytes`."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(
                f"`path` must be a regular file, but {str(path)!r} is a device, a pipe or a folder"
            )
        if status.st_size > most:
            raise _too_large(path, most)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _too_large(path: str | Path, most: int) -> OSError:
    """Return the error about a file of more than `most` bytes."""
    return OSError(f"`path` must be a file of at most {most} bytes, but {str(path)!r} has more")


def _partial(name: str) -> str:
    """Return the name that a file has until it is complete."""
    return f".{name}.{secrets.token_hex(8)}{PARTIAL}"


def _require_name(name: str) -> None:
    """Raise `ValueError` for what is not the name of something within a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"`name` must be the name of a file, without a path, but is {name!r}")
