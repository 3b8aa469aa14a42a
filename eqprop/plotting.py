"""Figures of training. Every function draws on the axes it is given, or on new ones, and returns them."""

from collections.abc import Mapping
from typing import Any

from .training import Fit

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash besides."""


def training(fits: Mapping[str, Fit], ax: Any = None) -> Any:
    """The error in training and in test over the epochs, on a logarithmic axis, one colour for each named fit."""
    from matplotlib.ticker import LogLocator

    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
    for (name, fit), colour in zip(fits.items(), COLOURS, strict=False):
        for kind, dash in (("train", "--"), ("test", "-")):
            accuracy = fit.history[f"{kind}_accuracy"]
            label = f"{name}, {kind} ({100 * accuracy[-1]:.2f} % right at the end)"
            ax.semilogy(range(1, len(accuracy) + 1), 100 * (1 - accuracy), dash, color=colour, label=label)
    ax.set_xlabel("epoch")
    ax.set_ylabel("images decided wrongly (%)")
    ax.set_title("Training by equilibrium propagation")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter("")
    ax.legend()
    ax.grid(alpha=0.3, which="both")
    return ax
