"""The IDX file format, read as data from outside: nothing in a file is believed unchecked."""

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..files import open_regular

MOST_BYTES = 2**30
"""Of one file, unpacked: 20 times MNIST, and more than any set of its family."""

_CHUNK = 2**20


class DataError(ValueError):
    """A data file is missing or is not what it must be."""


def find(folder: Path, name: str) -> Path:
    """Return the file `name` of a folder, or `name.gz` if there is only that.

    **Arguments:**

    - `folder`: where to look.
    - `name`: of the file, without `.gz`.

    **Raises** `DataError` where there is no such folder or neither file.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "missing"
        raise DataError(f"{folder} must be a folder with IDX files, but is {what}")
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} must hold the file {name} or {name}.gz, but holds neither")


def read(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Return the array of unsigned bytes in an IDX file, gzipped if its name ends in `.gz`.

    An IDX file is two zero bytes, the type of the elements (8: unsigned byte), the number of
    dimensions, each size as a big-endian 32-bit number, and the elements, the last index fastest.
    (LeCun, Cortes & Burges 1998, The MNIST database of handwritten digits.) Not more than one byte
    beyond the sizes is unpacked, so that a small file cannot fill the memory.

    **Arguments:**

    - `path`: the file.
    - `dimensions`: how many dimensions the array must have.

    **Raises** `DataError`, with the file, what it must hold and what it holds: for a pipe or a
    device, another type or number of dimensions, a size of 0, sizes whose product is above
    `MOST_BYTES`, a file shorter or longer than its sizes say, and a broken gzip stream.
    """
    try:
        with open_regular(path, most=2 * MOST_BYTES) as raw:
            file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            return _parse(path, file, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} must be a whole gzip file, but is broken: {error}") from error
    except OSError as error:
        raise DataError(f"{path} must be a file that can be read, but is not: {error}") from error


def _parse(path: Path, file: io.BufferedIOBase, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Return the array in an unpacked stream; `path` is what errors call it."""
    magic = bytes((0, 0, 8, dimensions))
    header = file.read(4 + 4 * dimensions)
    if header[:4] != magic[: len(header)]:
        raise DataError(
            f"{path} must start with the bytes {magic.hex(' ')} (unsigned bytes in {dimensions} "
            f"dimensions), but starts with {header[:4].hex(' ')}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(
            f"{path} must start with a header of {4 + 4 * dimensions} bytes, "
            f"but ends after {len(header)}"
        )

    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    size = 1
    for length in shape:
        size *= length
    if not 0 < size <= MOST_BYTES:
        raise DataError(
            f"{path} must hold from 1 to {MOST_BYTES} elements, but its header says "
            f"{' × '.join(map(str, shape))}"
        )

    elements = np.empty(size, np.uint8)
    filled, view = 0, elements.data
    while filled < size and (count := file.readinto(view[filled : filled + _CHUNK])):
        filled += count
    expected = f"{path} must hold {size} elements ({' × '.join(map(str, shape))}) after its header"
    if filled < size:
        raise DataError(f"{expected}, but ends after {filled}")
    # At the end of a gzip stream this also checks its checksum.
    if file.read(1):
        raise DataError(f"{expected}, but goes on")
    return elements.reshape(shape)
