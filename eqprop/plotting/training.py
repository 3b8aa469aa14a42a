"""Figures of training: what a network decides, and its accuracy over the epochs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..costs import Cost
from ..data import Split
from ..energies import Energy
from ..training import Fit, Fits
from ..training.evaluation import evaluate
from .style import COLOURS, new_axes


def decisions(net: Energy, cost: Cost, split: Split, ax: Any = None, *, points: int = 60) -> Any:
    """Draw what a network of two inputs decides over their plane, and the examples of all classes.

    A ring marks an example that is decided wrongly.

    **Arguments:**

    - `net`: the network.
    - `cost`: the cost, which reads the decision from the outputs.
    - `split`: the examples, with class labels.
    - `ax`: the axes to draw on; new ones if not given.
    - `points`: the number of points of the plane along each input, each of which settles.

    **Returns** the axes.
    """
    from matplotlib.colors import ListedColormap

    ax = new_axes() if ax is None else ax
    x, y = np.asarray(split.x), np.asarray(split.y)
    margin = 0.1 * np.ptp(x, axis=0)
    axes = [
        np.linspace(low, high, points)
        for low, high in zip(x.min(0) - margin, x.max(0) + margin, strict=True)
    ]
    plane = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(x.dtype)
    over_plane = evaluate(net, cost, Split(plane, np.zeros(len(plane), y.dtype))).decisions
    wrong = evaluate(net, cost, split).decisions != y
    classes = int(y.max()) + 1

    ax.pcolormesh(
        *axes,
        over_plane.reshape(points, points),
        cmap=ListedColormap(COLOURS[:classes]),
        vmin=0,
        vmax=classes - 1,
        alpha=0.25,
        rasterized=True,
    )
    for label in range(classes):
        ax.plot(
            *x[y == label].T,
            "os^Dv"[label % 5],
            color=COLOURS[label % len(COLOURS)],
            markersize=3.5,
            label=f"class {label}",
        )
    ax.plot(
        *x[wrong].T,
        "o",
        color="black",
        markersize=9,
        fillstyle="none",
        label=f"decided wrongly: {wrong.sum()} of {len(y)}",
    )
    ax.set_xlabel("input 0")
    ax.set_ylabel("input 1")
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=classes + 1)
    return ax


def training(fits: Mapping[str, Fit | Fits], ax: Any = None) -> Any:
    """Draw the error in training and in test over the epochs, on a logarithmic axis.

    Epochs without any error, which that axis cannot show, are marks at its lower end. Of several
    seeds the mean is drawn, and a band of one standard deviation to either side.

    **Arguments:**

    - `fits`: trained networks by name, one colour each.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    ax = new_axes() if ax is None else ax
    for (name, fit), colour in zip(fits.items(), COLOURS, strict=False):
        for kind, dash in (("train", "--"), ("test", "-")):
            right, spread, ending = _percent_right(fit, f"{kind}_accuracy")
            epochs, wrong = np.arange(1, len(right) + 1), 100 - right

            ax.semilogy(
                epochs,
                np.where(wrong > 0, wrong, np.nan),
                dash,
                color=colour,
                label=f"{name}, {kind} ({ending})",
            )
            # A logarithmic axis has no 0.
            none = epochs[wrong <= 0]
            marker = "v" if kind == "test" else "1"
            below = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(none, np.zeros(len(none)), marker, color=colour, **below)
            if spread is not None:
                low = np.where(spread < 100 - right, 100 - right - spread, (100 - right) / 100)
                ax.fill_between(
                    epochs, low, 100 - right + spread, color=colour, alpha=0.15, linewidth=0
                )
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("examples decided wrongly (%)")
    ax.set_title("Training by equilibrium propagation")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter("")
    ax.legend()
    ax.grid(alpha=0.3, which="both")
    return ax


def _percent_right(fit: Fit | Fits, kind: str) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return the accuracy over the epochs in percent, its spread over seeds, and both in words."""
    if isinstance(fit, Fit):
        right = 100 * fit.history[kind]
        return right, None, f"{right[-1]:.2f} % right at the end"
    right, spread = 100 * fit.mean(kind), 100 * fit.std(kind)
    if len(fit.seeds) == 1:
        return right, None, f"{right[-1]:.2f} % right at the end, one seed"
    return (
        right,
        spread,
        f"{right[-1]:.2f} ± {spread[-1]:.2f} % right at the end, {len(fit.seeds)} seeds",
    )
