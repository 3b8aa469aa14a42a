"""Figures of training. Every function draws on the axes it is given, or on new ones, and returns them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .training import Fit, Fits

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash besides."""


def training(fits: Mapping[str, Fit | Fits], ax: Any = None) -> Any:
    """The error in training and in test over the epochs, on a logarithmic axis, one colour for each named fit.

    Of several seeds, the mean and a band of one standard deviation to either side.
    """
    from matplotlib.ticker import LogLocator

    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
    for (name, fit), colour in zip(fits.items(), COLOURS, strict=False):
        for kind, dash in (("train", "--"), ("test", "-")):
            right, spread, ending = _percent_right(fit, f"{kind}_accuracy")
            epochs = np.arange(1, len(right) + 1)
            ax.semilogy(epochs, 100 - right, dash, color=colour, label=f"{name}, {kind} ({ending})")
            if spread is not None:
                low = np.where(spread < 100 - right, 100 - right - spread, (100 - right) / 100)  # a logarithmic axis has no 0
                ax.fill_between(epochs, low, 100 - right + spread, color=colour, alpha=0.15, linewidth=0)
    ax.set_xlabel("epoch")
    ax.set_ylabel("images decided wrongly (%)")
    ax.set_title("Training by equilibrium propagation")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter("")
    ax.legend()
    ax.grid(alpha=0.3, which="both")
    return ax


def _percent_right(fit: Fit | Fits, kind: str) -> tuple[np.ndarray, np.ndarray | None, str]:
    """The accuracy over the epochs in percent, its spread over seeds, and both at the end in words."""
    if isinstance(fit, Fit):
        right = 100 * fit.history[kind]
        return right, None, f"{right[-1]:.2f} % right at the end"
    right, spread = 100 * fit.mean(kind), 100 * fit.std(kind)
    if len(fit.seeds) == 1:
        return right, None, f"{right[-1]:.2f} % right at the end, one seed"
    return right, spread, f"{right[-1]:.2f} ± {spread[-1]:.2f} % right at the end, {len(fit.seeds)} seeds"
