"""ngspice's binary raw files."""

import re
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plot:
    """One table of a raw file: its name, and the values (points,) of each variable. The first variable is the scale."""

    name: str
    values: dict[str, np.ndarray]


class RawError(ValueError):
    """A raw file that is not what it says."""


def read(data: bytes) -> list[Plot]:
    """The plots of a binary raw file, real or complex; points counted by the length of the data, as a run that fails leaves less."""
    plots = []
    while data.strip():
        head, found, data = data.partition(b"Binary:\n")
        if not found:
            if re.search(rb"^No\. Points:\s*0\s*$", head, re.MULTILINE):
                break  # an analysis that found nothing leaves its header without values
            raise RawError("the raw file has a header without binary values")
        fields = dict(
            re.findall(
                r"^([A-Z][\w. ]*):[ \t]*(.*?)[ \t]*$", head.decode("utf-8", "replace"), re.MULTILINE
            )
        )
        kind = {"real": np.dtype(float), "complex": np.dtype(complex)}.get(
            fields.get("Flags", "real")
        )
        if kind is None:
            raise RawError(
                f"the raw file must hold real or complex numbers, but holds {fields['Flags']}"
            )
        try:
            names = [
                line.split()[1]
                for line in head.decode().split("Variables:\n")[1].splitlines()
                if line.strip()
            ]
            points = int(fields["No. Points"])
        except (IndexError, KeyError, ValueError) as error:
            raise RawError("the raw file's header is damaged") from error
        whole = kind.itemsize * len(names)
        if not names:
            raise RawError("the raw file's header names no variables")
        points = min(points, len(data) // whole) if points else len(data) // whole
        table = np.frombuffer(data[: points * whole], kind).reshape(points, len(names))
        plots.append(Plot(fields.get("Plotname", ""), dict(zip(names, table.T, strict=True))))
        data = data[points * whole :]
    return plots
