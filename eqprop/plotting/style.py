"""Colours, and new axes."""

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines also differ in dash."""


def new_axes() -> Any:
    """Return new axes of pyplot, which a notebook shows."""
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")[1]
