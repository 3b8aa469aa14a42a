"""The style that all figures of circuits share: colours and sizes."""

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart."""


def axes_or_new(ax: Any, width: float = 6.4, height: float = 4.4) -> Any:
    """Return `ax`, or, where it is `None`, axes on a new figure.

    **Arguments:**

    - `ax`: axes of matplotlib, or `None`.
    - `width`, `height`: of a new figure, in inches.
    """
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]
