"""Figures of gradients: their order of error, their traces in time."""

from collections.abc import Callable, Mapping
from typing import Any

from ..estimators import Traces
from .style import COLOURS, new_axes


def orders(errors: Mapping[str, tuple[float, Mapping[float, float]]], ax: Any = None) -> Any:
    """Draw how the error of a gradient falls with the nudge, on logarithmic axes.

    **Arguments:**

    - `errors`: what `eqprop.order_of_error` returns, by the name of the estimator.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.
    """
    ax = new_axes() if ax is None else ax
    for index, (name, (slope, by_nudge)) in enumerate(errors.items()):
        marker = "os^Dv"[index % 5]
        label = f"{name}: order {slope:.2f}"
        ax.loglog(
            list(by_nudge),
            list(by_nudge.values()),
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


def traces(
    gradients: Traces, parameters: Mapping[str, Callable[[Any], Any]], ax: Any = None
) -> Any:
    """Draw what each step adds to the gradient.

    Back-propagation through time is a broad line, the nudged phase a dashed thin one on top of it.

    **Arguments:**

    - `gradients`: what `eqprop.traces` returns.
    - `parameters`: by name, a parameter as a function of the gradient, for example
      `lambda grad: grad.biases[0][:, 3]`; time is the leading axis of its leaves.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.
    """
    ax = new_axes() if ax is None else ax
    for (name, pick), colour in zip(parameters.items(), COLOURS, strict=False):
        broad = {"linewidth": 5, "alpha": 0.35, "label": name}
        ax.plot(pick(gradients.backpropagation), color=colour, **broad)
        ax.plot(pick(gradients.nudged), color=colour, linewidth=1, linestyle="--")
    ax.set_xlabel("step")
    ax.set_ylabel("contribution to the gradient")
    ax.grid(alpha=0.3)
    ax.legend(
        title="broad: back-propagation through time\ndashed: nudged phase",
        title_fontsize="small",
        fontsize="small",
    )
    return ax
