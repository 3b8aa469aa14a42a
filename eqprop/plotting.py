"""Figures of energies, phases, gradients and training. Every function draws on the axes it is given, or on new ones, and returns them.

New axes are pyplot's, so that a notebook shows them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .costs import Cost
from .data import Split
from .dynamics import Trajectory
from .energies import Energy, State
from .estimators import Traces
from .evaluation import evaluate
from .training import Fit, Fits

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash besides."""


def _new_axes() -> Any:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")[1]


def landscape(
    energy: Energy,
    x: Any,
    state: State,
    *,
    nodes: tuple[int, int] = (0, 1),
    span: float = 1.0,
    paths: Mapping[str, Trajectory] | None = None,
    ax: Any = None,
) -> Any:
    """The energy of any model over two nodes, with more levels near its lowest, the others as in `state`, marked by a cross.

    **Arguments:** `nodes`: indices into the flattened state. `span`: how far to either side of `state` the plane reaches, in the
    state's units. `paths`: phases in time, drawn over the landscape by name, each ending in a dot. **Raises** `ValueError` for nodes
    that the state does not have.
    """
    from matplotlib.colors import BoundaryNorm

    flat, restore = ravel_pytree(state)
    if len(set(nodes)) < 2 or not all(0 <= node < flat.size for node in nodes):
        raise ValueError(f"`nodes` must be two of the {flat.size} nodes, but are {nodes}")
    places = jnp.array(nodes)
    axes = [np.linspace(centre - span, centre + span, 81) for centre in np.asarray(flat[places])]
    grid = jnp.stack(jnp.meshgrid(*axes), axis=-1).reshape(-1, 2)
    heights = jax.jit(jax.vmap(lambda at: energy(restore(flat.at[places].set(at.astype(flat.dtype))), x)))(grid)
    ax = _new_axes() if ax is None else ax
    heights = np.asarray(heights).reshape(81, 81)
    levels = heights.min() + np.ptp(heights) * np.linspace(0, 1, 25) ** 2  # closer where the phases end
    filled = ax.contourf(*axes, heights, levels=levels, cmap="cividis", norm=BoundaryNorm(levels, 256))
    ax.figure.colorbar(filled, ax=ax, label="energy E", format="%.3g")
    for (name, path), colour in zip((paths or {}).items(), COLOURS[1:], strict=False):
        line = np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states))[:, list(nodes)]
        ax.plot(*line.T, color=colour, label=name)
        ax.plot(*line[-1], "o", color=colour)
    ax.plot(*np.asarray(flat[places]), "x", color="white", label="the given state")
    ax.set_xlabel(f"node {nodes[0]}")
    ax.set_ylabel(f"node {nodes[1]}")
    ax.legend()
    return ax


def well(phases: Mapping[str, tuple[Energy, Trajectory]], x: Any, *, ax: Any = None) -> Any:
    """The energy of a network of one node in each of its phases, and the phases moving on it: a dot at each time, a ring at the end.

    **Arguments:** `phases`: by name, an energy and a trajectory on it. **Raises** `ValueError` for a state of more than one node.
    """
    ax = _new_axes() if ax is None else ax
    paths = [np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states)) for _, path in phases.values()]
    if any(path.shape[1] != 1 for path in paths):
        raise ValueError(f"`phases` must be of one node, but are of {[path.shape[1] for path in paths]}")
    low, high = min(path.min() for path in paths), max(path.max() for path in paths)
    line = jnp.linspace(low - 0.15 * (high - low), high + 0.15 * (high - low), 200)
    for index, ((name, (energy, path)), states) in enumerate(zip(phases.items(), paths, strict=True)):
        colour, dash = COLOURS[index % len(COLOURS)], ("-", "--", ":", "-.")[index % 4]
        restore = ravel_pytree(jax.tree.map(lambda s: s[0], path.states))[1]
        heights = jax.vmap(lambda at, energy=energy, restore=restore: energy(restore(at[None]), x))(line)
        ax.plot(line, heights, dash, color=colour, label=name)
        ax.plot(states[:, 0], path.energies, ".", color=colour, markersize=5)
        ax.plot(states[-1, 0], path.energies[-1], "o", color=colour, markersize=10, fillstyle="none", markeredgewidth=1.5)
    ax.set_xlabel("state s")
    ax.set_ylabel("energy")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def phase(path: Trajectory, ax: Any = None) -> Any:
    """Every node of a phase over time, and when it had settled."""
    ax = _new_axes() if ax is None else ax
    values = np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states))
    for index, column in enumerate(values.T):
        colour, dash = COLOURS[index % len(COLOURS)], ("-", "--", ":", "-.")[index // len(COLOURS) % 4]
        ax.plot(path.times, column, dash, color=colour, label=f"node {index}")
    if np.isfinite(path.settled_at):
        ax.axvline(float(path.settled_at), color="0.5", linewidth=1, label=f"settled to tolerance at {float(path.settled_at):.3g} s")
    ax.set_xlabel("time (s)")
    ax.set_ylabel("state")
    ax.grid(alpha=0.3)
    if values.shape[1] <= 20:
        ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def orders(found: Mapping[str, tuple[float, Mapping[float, float]]], ax: Any = None) -> Any:
    """How the error of a gradient falls with the nudge, by estimator: what `eqprop.order_of_error` returns, by name."""
    ax = _new_axes() if ax is None else ax
    for index, (name, (slope, errors)) in enumerate(found.items()):
        marker = "os^Dv"[index % 5]
        label = f"{name}: order {slope:.2f}"
        ax.loglog(list(errors), list(errors.values()), marker + "-", color=COLOURS[index % len(COLOURS)], markersize=5, label=label)
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
    ax = _new_axes() if ax is None else ax
    for (name, pick), colour in zip(parameters.items(), COLOURS, strict=False):
        ax.plot(pick(found.backpropagation), color=colour, linewidth=5, alpha=0.35, label=name)
        ax.plot(pick(found.nudged), color=colour, linewidth=1, linestyle="--")
    ax.set_xlabel("step")
    ax.set_ylabel("contribution to the gradient")
    ax.grid(alpha=0.3)
    ax.legend(title="broad: back-propagation through time\ndashed: nudged phase", title_fontsize="small", fontsize="small")
    return ax


def decisions(net: Energy, cost: Cost, split: Split, ax: Any = None, *, points: int = 60) -> Any:
    """What a network of two inputs decides over their plane, with the examples of all classes, those decided wrongly ringed.

    **Arguments:** `points`: of the plane along each input, each of which settles.
    """
    from matplotlib.colors import ListedColormap

    ax = _new_axes() if ax is None else ax
    x, y = np.asarray(split.x), np.asarray(split.y)
    margin = 0.1 * np.ptp(x, axis=0)
    axes = [np.linspace(low, high, points) for low, high in zip(x.min(0) - margin, x.max(0) + margin, strict=True)]
    plane = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(x.dtype)
    said = evaluate(net, cost, Split(plane, np.zeros(len(plane), y.dtype))).decisions.reshape(points, points)
    wrong = evaluate(net, cost, split).decisions != y
    classes = int(y.max()) + 1
    ax.pcolormesh(*axes, said, cmap=ListedColormap(COLOURS[:classes]), vmin=0, vmax=classes - 1, alpha=0.25, rasterized=True)
    for label in range(classes):
        of = y == label
        ax.plot(*x[of].T, "os^Dv"[label % 5], color=COLOURS[label % len(COLOURS)], markersize=3.5, label=f"class {label}")
    ax.plot(*x[wrong].T, "o", color="black", markersize=9, fillstyle="none", label=f"decided wrongly: {wrong.sum()} of {len(y)}")
    ax.set_xlabel("input 0")
    ax.set_ylabel("input 1")
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=classes + 1)
    return ax


def training(fits: Mapping[str, Fit | Fits], ax: Any = None) -> Any:
    """The error in training and in test over the epochs, on a logarithmic axis, one colour for each named fit.

    Epochs without any error, which that axis cannot show, are marks at its lower end.

    Of several seeds, the mean and a band of one standard deviation to either side.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    ax = _new_axes() if ax is None else ax
    for (name, fit), colour in zip(fits.items(), COLOURS, strict=False):
        for kind, dash in (("train", "--"), ("test", "-")):
            right, spread, ending = _percent_right(fit, f"{kind}_accuracy")
            epochs, wrong = np.arange(1, len(right) + 1), 100 - right
            ax.semilogy(epochs, np.where(wrong > 0, wrong, np.nan), dash, color=colour, label=f"{name}, {kind} ({ending})")
            none = epochs[wrong <= 0]  # a logarithmic axis has no 0
            below = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot(none, np.zeros(len(none)), "v" if kind == "test" else "1", color=colour, **below)
            if spread is not None:
                low = np.where(spread < 100 - right, 100 - right - spread, (100 - right) / 100)
                ax.fill_between(epochs, low, 100 - right + spread, color=colour, alpha=0.15, linewidth=0)
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
    """The accuracy over the epochs in percent, its spread over seeds, and both at the end in words."""
    if isinstance(fit, Fit):
        right = 100 * fit.history[kind]
        return right, None, f"{right[-1]:.2f} % right at the end"
    right, spread = 100 * fit.mean(kind), 100 * fit.std(kind)
    if len(fit.seeds) == 1:
        return right, None, f"{right[-1]:.2f} % right at the end, one seed"
    return right, spread, f"{right[-1]:.2f} ± {spread[-1]:.2f} % right at the end, {len(fit.seeds)} seeds"
