"""Archives of arrays (`.npz`) from outside: read within a limit, without code in them."""

import io
import math
import zipfile

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_KINDS = "?iufcV"
"""Of plain numbers by NumPy's letters; bfloat16 and its like are stored as `V`, bytes."""


def read_arrays(content: bytes, *, most: int) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name.

    What an array takes in memory is asked of its header, and added up, before any is read.

    **Arguments:**

    - `content`: of the file.
    - `most`: how many bytes all arrays together may take.

    **Raises** `ValueError` for what is no archive of arrays of plain numbers, for an array that
    holds not what its header says, and for arrays that take more than `most`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(_size(archive, entry) for entry in archive.infolist())
            if size > most:
                raise ValueError(f"it must unpack to at most {most} bytes, but unpacks to {size}")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
    except ValueError:
        raise
    except Exception as error:  # whatever NumPy and zipfile raise for a damaged archive
        raise ValueError(f"it must be an archive of plain arrays, but is not: {error}") from error
    if len(arrays) != len(archive.infolist()):
        raise ValueError("it must hold each array once, but holds two of one name")
    return arrays


def _size(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Return the bytes that an array takes: those of its shape, which may not be those stored."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{entry.filename!r} has the version {version}")
        shape, _, dtype = _HEADERS[version](stream)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or dtype.names or dtype.subdtype:
        raise ValueError(f"{entry.filename!r} must hold plain numbers, but holds {dtype}")
    return max(entry.file_size, math.prod(shape) * dtype.itemsize)
