"""Files that are written whole or not at all."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def write(path: str | Path, fill: Callable[[Path], object]) -> Path:
    """Lets `fill` write a new file beside `path` and moves it there: what was at `path` stays until the new file is complete.

    Raises `ValueError` where `path` is a folder, or in none that exists.
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
    """`write` for a text, in UTF-8."""
    return write(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def output_folder(path: str | Path, argument: str = "out") -> Path:
    """The folder `path`, made if need be. Raises `ValueError` naming `argument` where it is no folder or cannot be written."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"`{argument}` must be a folder that can be written, but {str(path)!r} is not: {error.strerror}"
        ) from error
    return path
