"""Results as `xarray` datasets with units, and their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eqprop.files import write

from ..mna.certificates import Certificate

if TYPE_CHECKING:
    import xarray as xr


class ElementCurrents(NamedTuple):
    """What flows in elements: their SPICE `names`, and (points, elements) `amperes` and `watts`.

    A current leaves an element's first node through it; a power is what the element takes up, not
    given for small-signal responses.
    """

    names: Sequence[str]
    amperes: np.ndarray
    watts: np.ndarray | None = None

    def variables(self, dimension: str) -> dict[str, Any]:
        """Return the variables of a Dataset along a dimension, and their coordinate."""
        dimensions = (dimension, "element")
        variables: dict[str, Any] = {
            "current": (dimensions, self.amperes, {"units": "A"}),
            "element": list(self.names),
        }
        if self.watts is not None:
            long_name = "power that the element takes up"
            attributes = {"units": "W", "long_name": long_name}
            variables["power"] = (dimensions, self.watts, attributes)
        return variables


def operating_points(
    nodes: Sequence[str],
    values: np.ndarray,
    certificate: Certificate,
    tolerance: float,
    attributes: Mapping[str, str | float],
    currents: ElementCurrents | None = None,
) -> "xr.Dataset":
    """Return the Dataset that `Simulator.operating_points` describes, with its status in words.

    Nothing is dropped: what failed stands there as failed.

    **Arguments:**

    - `nodes`: the free nodes.
    - `values`: their voltages (samples, nodes) in V, NaN in samples without an answer.
    - `certificate`: of the samples.
    - `tolerance`: the largest Newton correction, in V, of a sample that is `ok`.
    - `attributes`: of the Dataset, as the simulator and its version.
    - `currents`: of elements (samples, elements).
    """
    import xarray as xr

    answered = np.isfinite(values).all(1)
    certified = np.where(certificate.within(tolerance), "ok", "uncertified")
    status = np.where(~answered, "failed", certified)
    status = np.where((status == "ok") & ~certificate.stable, "saddle", status)
    return xr.Dataset(
        {
            "voltage": (("sample", "node"), values, {"units": "V"}),
            "correction": (
                "sample",
                certificate.correction,
                {"units": "V", "long_name": "largest component of the Newton step"},
            ),
            "rounding": (
                "sample",
                certificate.rounding,
                {"units": "V", "long_name": "what rounding of the currents makes of a voltage"},
            ),
            "kcl": (
                "sample",
                certificate.kcl,
                {
                    "units": "1",
                    "long_name": "current left over, relative to the currents at the node",
                },
            ),
            "stable": ("sample", certificate.stable),
            "status": ("sample", status.astype(str)),
        },
        coords={"node": list(nodes), "sample": np.arange(len(values))},
        attrs={**attributes, "tolerance_volts": tolerance},
    ).assign(currents.variables("sample") if currents is not None else {})


def certified_point(nodes: Sequence[str], voltages: np.ndarray) -> "xr.Dataset":
    """Return a point that has been certified before as the Dataset of one sample.

    **Arguments:** `nodes`: the free nodes. `voltages`: theirs (nodes,) in V.
    """
    import xarray as xr

    return xr.Dataset(
        {
            "voltage": (("sample", "node"), voltages[None], {"units": "V"}),
            "status": ("sample", ["ok"]),
        },
        coords={"node": list(nodes)},
    )


def voltages(
    nodes: Sequence[str],
    values: np.ndarray,
    times: np.ndarray,
    attributes: Mapping[str, str | float],
    currents: ElementCurrents | None = None,
) -> "xr.Dataset":
    """Return the Dataset that `Simulator.transient` describes.

    **Arguments:** `nodes`: the free nodes. `values`: their voltages (times, nodes) in V. `times`:
    in s. `attributes`: of the Dataset. `currents`:
    of elements (times, elements).
    """
    import xarray as xr

    return xr.Dataset(
        {"voltage": (("time", "node"), values, {"units": "V"})},
        coords={"time": ("time", times, {"units": "s"}), "node": list(nodes)},
        attrs=dict(attributes),
    ).assign(currents.variables("time") if currents is not None else {})


def responses(
    nodes: Sequence[str],
    values: np.ndarray,
    frequencies: np.ndarray,
    attributes: Mapping[str, str | float],
    currents: ElementCurrents | None = None,
) -> "xr.Dataset":
    """Return the Dataset that `Simulator.small_signal` describes.

    **Arguments:** `nodes`: the free nodes. `values`: their complex voltages (frequencies, nodes) in
    V. `frequencies`: in Hz. `attributes`: of the Dataset. `currents`:
    of elements (frequencies, elements).
    """
    import xarray as xr

    return xr.Dataset(
        {"voltage": (("frequency", "node"), values, {"units": "V"})},
        coords={"frequency": ("frequency", frequencies, {"units": "Hz"}), "node": list(nodes)},
        attrs=dict(attributes),
    ).assign(currents.variables("frequency") if currents is not None else {})


def noises(
    nodes: Sequence[str],
    frequencies: np.ndarray,
    density: np.ndarray,
    deviation: np.ndarray,
    attributes: Mapping[str, str | float],
) -> "xr.Dataset":
    """Return the Dataset that `Simulator.noise` describes.

    **Arguments:** `nodes`: as asked for. `frequencies`: in Hz. `density`: (frequencies, nodes),
    one-sided, in V²/Hz. `deviation`: (nodes,) in V. `attributes`: of the Dataset.
    """
    import xarray as xr

    return xr.Dataset(
        {
            "density": (
                ("frequency", "node"),
                density,
                {"units": "V2/Hz", "long_name": "one-sided spectral density"},
            ),
            "deviation": ("node", deviation, {"units": "V", "long_name": "standard deviation"}),
        },
        coords={"frequency": ("frequency", frequencies, {"units": "Hz"}), "node": list(nodes)},
        attrs=dict(attributes),
    )


def save(dataset: "xr.Dataset", path: str | Path) -> Path:
    """Write a Dataset to the file `path` as NetCDF-4, whole or not at all, and return `path`."""
    return write(path, lambda fresh: dataset.to_netcdf(fresh, engine="netcdf4"))
