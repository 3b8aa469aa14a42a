"""The distance of a chip from the ideal model, cause by cause."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .phases import gradient_lines

DIODES, NOISE, FINITE, SOLVER, INTERACTION = (
    "diode law",
    "noise",
    "finite beta",
    "solver",
    "interaction",
)
"""The causes beside variations."""

PAIRS = {
    "model_exact": "finite beta",
    "circuit_model": "chip and model",
    "circuit_exact": "chip and exact",
}
NAMES = {"circuit": "chip", "exact": "exact"}
"""What gradients and, in `PAIRS`, two of them are called in the summary."""


@dataclass(frozen=True)
class Attribution:
    """The distance of a chip from the ideal model, Δ = Σ Δ_cause + interaction, as `dataset`.

    - `part` (cause, sample, node) in V, of the free phase: what each cause does when it alone is
      switched on in the nominal circuit. The first, the diodes' own law, makes the nominal circuit
      of the ideal model; each variation goes by its `cause`; `noise` is one draw of the thermal and
      shot noise; the `solver` is the difference of the simulator from our own on the chip. What all
      together do beyond the sum of these is the `interaction`.
    - `removed` (cause, sample, node) in V: what vanishes when a cause is switched off in the chip
      and the others stay; of a variation without the noise. NaN for those that cannot be switched
      off there.
    - `whole` (sample, node) in V: Δ. The parts add up to it.
    - `displacement` (cause, sample, node) and `whole_displacement` (sample, node) in V, with a
      nudge: the same for what a gradient is made of, (v_β − v_−β)/2, against β dv/dβ of the ideal
      model at β = 0. A variation's part is its effect on β dv/dβ, and that of `finite beta`, which
      a free phase does not know, how far the nominal circuit's displacement is from it.
    - `noise` (sample, node) in V: the standard deviation of the chip's noise.
    - `ideal_decision`, `chip_decision` (sample).

    With a nudge its attributes have the norms, cosines and relative differences of gradients, as a
    `Comparison` has them: `circuit` is the chip, noise left out, and `model_exact` what a finite β
    costs.
    """

    dataset: xr.Dataset

    def rms(self, of: str = "part") -> dict[str, float]:
        """Return the root mean square in V, over samples and nodes, of each cause and the whole.

        **Arguments:** `of`: `part`, or with a nudge `displacement`.

        **Raises** `ValueError` for another.
        """
        parts, whole = self._parts_and_whole(of)
        figures = {str(cause): _rms(parts.sel(cause=cause)) for cause in parts.cause.values}
        return figures | {"whole": _rms(whole)}

    def shares(self, of: str = "part") -> dict[str, float]:
        """Return how much of Δ lies along each part, ⟨Δ_cause, Δ⟩/⟨Δ, Δ⟩.

        The numbers add up to 1, and are below 0 for what works against Δ.

        **Arguments:** `of`: `part`, or with a nudge `displacement`.

        **Raises** `ValueError` for another.
        """
        parts, whole = self._parts_and_whole(of)
        square = float((whole**2).sum())
        return {
            str(cause): float((parts.sel(cause=cause) * whole).sum()) / square
            for cause in parts.cause.values
        }

    def _parts_and_whole(self, of: str) -> tuple[xr.DataArray, xr.DataArray]:
        wholes = {"part": "whole", "displacement": "whole_displacement"}
        if of not in wholes or of not in self.dataset:
            raise ValueError(
                f"`of` must be 'part', or 'displacement' where there is a nudge, but is {of!r}"
            )
        return self.dataset[of], self.dataset[wholes[of]]

    def __str__(self) -> str:
        data = self.dataset
        same = float((data.chip_decision == data.ideal_decision).mean())
        lines = [
            f"{data.attrs['netlist']}: {data.sample.size} samples, {data.node.size} nodes; "
            "chip against the ideal model",
            "",
            *self._table("part", "free phase", data.removed),
            "",
            f"noise of the chip: {_rms(data.noise):.2e} V; "
            f"decisions agree with the ideal model on {same:.2%}",
        ]
        if "displacement" in data:
            title = f"displacement, beta {data.attrs['beta']:g}"
            lines += ["", *self._table("displacement", title, None), ""]
        return "\n".join([*lines, *gradient_lines(data.attrs, PAIRS, NAMES, (".6f", ".4g"))])

    def _table(self, of: str, title: str, removed: xr.DataArray | None) -> list[str]:
        """Return the lines of a table of causes, those of `removed` beside them where given."""
        parts, whole = self._parts_and_whole(of)
        rms, shares = self.rms(of), self.shares(of) | {"whole": 1.0}
        header = f"{title:<26}{'alone, rms':>14}{'largest':>14}{'at':>10}{'share':>9}"
        lines = [header if removed is None else f"{header}   removed, rms"]
        for cause, share in shares.items():
            size = abs(whole if cause == "whole" else parts.sel(cause=cause))
            node = str(size.node.values[np.argmax(size.max("sample").values)])
            line = (
                f"{cause:<26}{rms[cause]:>12.2e} V{float(size.max()):>12.2e} V"
                f"{'' if cause == 'whole' else node:>10}{share:>9.1%}"
            )
            if removed is not None and cause != "whole":
                gone = _rms(removed.sel(cause=cause))
                line += f"{gone:>13.2e} V" if np.isfinite(gone) else ""
            lines.append(line)
        return lines

    def plot(self, ax: Any = None) -> Any:
        """Draw the parts as bars, as `circuits.plotting.attribution` does."""
        from ..plotting import attribution

        return attribution(self.rms(), ax)


def _rms(volts: xr.DataArray) -> float:
    """Return the root mean square over all elements, in V."""
    return float(np.sqrt(np.mean(volts**2)))
