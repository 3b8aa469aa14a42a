"""What the main job prints, what it writes, and what its numbers must be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import eqprop as ep
from eqprop.files import write

from ..simulators import Ngspice

LEAST = {
    "digits_test_accuracy_ideal": 0.97,
    "digits_test_accuracy_shockley": 0.97,
    "prediction_agreement": 1.0,
    "gradient_cosine_spice_vs_model": 0.999999,
}
"""What numbers of the summary must at least be."""
MOST = {
    "fixed_point_error_volts": 1e-9,
    "reduction_error_volts": 1e-9,
    "solver_disagreement_volts": 1e-8,
    "transient_error_relative": 1e-4,
    "noise_error_relative": 0.01,
    "noise_error_relative_to_ktc": 0.01,
}
"""What numbers of the summary may at most be."""


class DemoError(RuntimeError):
    """A number of the main job is not what it must be."""


@dataclass(frozen=True)
class Demo:
    """One run of the main job into the folder `out`: the tools of its steps, and their numbers.

    - `data`: the images. `seed`: of all that is drawn.
    - `console`: where tables are printed. `simulator`: which settles the circuits.
    - `numbers`: those of `summary.json` so far, by name.
    """

    out: Path
    data: ep.data.Data
    seed: int
    console: Console
    simulator: Ngspice
    numbers: dict[str, Any] = field(default_factory=dict)

    def report(self, title: str, rows: Mapping[str, tuple[str, float, str]]) -> None:
        """Print numbers as a table, and keep them for the summary.

        **Arguments:** `rows`: by a number's name in the summary what it is, its value and its unit;
        the units `%` and `cos` are printed as a share and with nine digits.
        """
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            show_header=False,
            box=None,
            padding=(0, 2, 0, 0),
        )
        for name, (description, value, unit) in rows.items():
            self.numbers[name] = float(value)
            forms = {"%": f"{value:.2%}", "cos": f"{value:.9f}"}
            table.add_row(description, forms.get(unit, f"{value:.3g} {unit}"))
        self.console.print(table, "")

    def figure(self, name: str, ax: Any) -> None:
        """Write the figure of `ax` as a PNG of that name."""
        write(self.out / f"{name}.png", lambda path: ax.figure.savefig(path, dpi=150))

    def conclude(self) -> None:
        """Print what came out and where it is, in three lines."""
        n = self.numbers
        self.console.print(
            "Trained by equilibrium propagation, "
            f"{n['digits_test_accuracy_ideal']:.2%} (ideal diodes) and "
            f"{n['digits_test_accuracy_shockley']:.2%} (Shockley diodes) "
            "of the test images are right.",
            f"{n['ngspice']} settles within {n['fixed_point_error_volts']:.1e} V of the model "
            "and gives its gradient with a cosine of "
            f"{n['gradient_cosine_spice_vs_model']:.9f}.",
            f"Netlists, datasets, figures and summary.json are in {self.out}/, "
            f"after {n['demo_seconds']:.0f} s.",
            sep="\n",
            soft_wrap=True,
        )


def require(numbers: Mapping[str, Any]) -> None:
    """Raise `DemoError` naming the numbers below `LEAST`, above `MOST`, or that are no numbers."""
    wrong = [
        f"{name} = {numbers[name]} must be at least {bound}"
        for name, bound in LEAST.items()
        if not numbers[name] >= bound
    ]
    wrong += [
        f"{name} = {numbers[name]} must be at most {bound}"
        for name, bound in MOST.items()
        if not numbers[name] <= bound
    ]
    if wrong:
        raise DemoError("; ".join(wrong))
