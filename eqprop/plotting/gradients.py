"""Figures of gradients: their order of error, their traces in time."""

from collections.abc import Callable, Mapping
from typing import Any

from ..estimators import Traces
from .style import COLOURS, new_axes


def orders(found: Mapping[str, tuple[float, Mapping[float, float]]], ax: Any = None) -> Any:
    """How the error of a gradient falls with the nudge, by estimator: what `eqprop.order_of_error` returns, by name."""
    ax = new_axes() if ax is None else ax
    for index, (name, (slope, errors)) in enumerate(found.items()):
        marker = "os^Dv"[index % 5]
        label = f"{name}: order {slope:.2f}"
        ax.loglog(
            list(errors),
            list(errors.values()),
            marker + "-",
            color=COLOURS[index % len(COLOURS)],
            markersize=5,
            label=label,
        )
    ax.set_xlabel("strength of the nudge β")
    ax.set_ylabel("relative error of the gradient")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def traces(found: Traces, parameters: Mapping[str, Callable[[Any], Any]], ax: Any = None) -> Any:
    """What each step adds to the gradient: of back-propagation through time as a broad line, of the nudged phase as a thin one on top.

    **Arguments:** `parameters`: by name, a parameter as a function of the gradient, e.g. `lambda grad: grad.biases[0][:, 3]`; time is
    the leading axis of its leaves.
    """
    ax = new_axes() if ax is None else ax
    for (name, pick), colour in zip(parameters.items(), COLOURS, strict=False):
        ax.plot(pick(found.backpropagation), color=colour, linewidth=5, alpha=0.35, label=name)
        ax.plot(pick(found.nudged), color=colour, linewidth=1, linestyle="--")
    ax.set_xlabel("step")
    ax.set_ylabel("contribution to the gradient")
    ax.grid(alpha=0.3)
    ax.legend(
        title="broad: back-propagation through time\ndashed: nudged phase",
        title_fontsize="small",
        fontsize="small",
    )
    return ax
