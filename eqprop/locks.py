"""Locks: files that one process at a time can hold, and that the system frees when it ends."""

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator

from .files import Folder

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class InUseError(RuntimeError):
    """Somebody else holds a lock; the message says who."""


@contextlib.contextmanager
def hold(folder: Folder, name: str) -> Iterator[None]:
    """Hold a lock, a file in which stands whose it is, and remove it afterwards.

    **Arguments:**

    - `folder`: in which the file is.
    - `name`: of the file, without a slash.

    **Raises** `InUseError` where another holds it, and `OSError` where the name is that of a link
    or of anything but a plain file, or where files cannot be locked.
    """
    descriptor = _locked(folder, name)
    try:
        os.ftruncate(descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        owner = f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"
        os.write(descriptor, owner.encode())
        yield
    finally:
        folder.remove(name)
        os.close(descriptor)


def _locked(folder: Folder, name: str) -> int:
    """Return the descriptor of a locked file. Raises as `hold`."""
    path = str(folder.path / name)
    while True:
        try:
            descriptor = os.open(name, _FLAGS, 0o644, dir_fd=folder.descriptor)
        except OSError as error:
            raise OSError(f"{path!r} must be a plain file: {error.strerror}") from error
        try:
            file = os.fstat(descriptor)
            if not stat.S_ISREG(file.st_mode) or file.st_nlink > 1:
                raise OSError(
                    f"{path!r} must be a plain file, but is another name of one, a device or a pipe"
                )
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink == 1:
                return descriptor
        except BlockingIOError as error:
            owner = os.read(descriptor, 1000).decode(errors="replace").strip()
            os.close(descriptor)
            raise InUseError(owner or "not yet named") from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has removed it meanwhile: another file has the name
