"""ngspice's binary raw files."""

import mmap
from dataclasses import dataclass

import numpy as np

_MARK = b"Binary:\n"
_KINDS = {"real": np.dtype(float), "complex": np.dtype(complex)}
LARGEST_HEADER = 64 * 2**20
"""Bytes that the header of a plot may have: a line for each variable."""


@dataclass(frozen=True)
class Plot:
    """One table of a raw file: its `name`, and the `values` (points,) of each variable, by name.

    The first variable is the scale: time, frequency, or the value of the source that is swept.
    """

    name: str
    values: dict[str, np.ndarray]


class RawError(ValueError):
    """A raw file that is not what it says."""


def read(data: bytes | mmap.mmap) -> list[Plot]:
    """Return the plots of a binary raw file, real or complex.

    A plot has the points that its header counts or, where that is 0 or more than there are, as
    after a run that failed, those that the rest of the data holds.

    **Arguments:** `data`: the content of the file, or a map of it, on which the values then stand.

    **Raises** `RawError` for what is no such file.
    """
    plots, at = [], 0
    while data[at : at + 4096].strip() or data[at:].strip():
        end = data.find(_MARK, at, at + LARGEST_HEADER)
        head = data[at : end if end >= 0 else at + LARGEST_HEADER]
        fields, names = _header(head)
        if end < 0:
            if fields.get("No. Points") == "0":
                break  # an analysis without an answer leaves its header without values
            raise RawError("the raw file has a header without binary values")

        flags = fields.get("Flags", "real")
        if flags not in _KINDS:
            raise RawError(
                f"the raw file must hold real or complex numbers, but holds {flags[:80]}"
            )
        if not names:
            raise RawError("the raw file's header names no variables")
        try:
            points = int(fields["No. Points"])
        except (KeyError, ValueError) as error:
            raise RawError("the raw file's header is damaged") from error
        if points < 0:
            raise RawError(f"the raw file's header is damaged: it counts {points} points")

        kind = _KINDS[flags]
        at = end + len(_MARK)
        there = (len(data) - at) // (kind.itemsize * len(names))
        points = min(points, there) if points else there
        table = np.frombuffer(data, kind, points * len(names), at).reshape(points, len(names))
        plots.append(Plot(fields.get("Plotname", ""), dict(zip(names, table.T, strict=True))))
        at += table.nbytes
    return plots


def _header(head: bytes) -> tuple[dict[str, str], list[str]]:
    """Return the fields of a plot's header, `name: value` each, and the names of its variables."""
    try:
        lines = head.decode().splitlines()
    except UnicodeDecodeError as error:
        raise RawError("the raw file's header is damaged") from error
    last = lines.index("Variables:") if "Variables:" in lines else len(lines)
    fields = {
        name.strip(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines[:last])
        if colon
    }
    try:
        names = [line.split(None, 2)[1] for line in lines[last + 1 :] if line.strip()]
    except IndexError as error:
        raise RawError("the raw file's header is damaged") from error
    return fields, names
