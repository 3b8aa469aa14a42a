"""What all figures of the toolkit's circuits have in common."""

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash or marker besides."""


def axes_or_new(ax: Any, width: float = 6.4, height: float = 4.4) -> Any:
    """`ax`, or, where it is `None`, axes of that many inches on a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]
