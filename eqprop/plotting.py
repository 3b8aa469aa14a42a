"""Figures of energies, phases and training. Every function draws on the axes it is given, or on new ones, and returns them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .dynamics import Trajectory
from .energy import Energy, State
from .training import Fit, Fits

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; lines differ in dash besides."""


def _new_axes() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()


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


def phase(path: Trajectory, ax: Any = None) -> Any:
    """Every node of a phase over time, and when it had settled."""
    ax = _new_axes() if ax is None else ax
    values = np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states))
    for index, column in enumerate(values.T):
        colour, dash = COLOURS[index % len(COLOURS)], ("-", "--", ":", "-.")[index // len(COLOURS) % 4]
        ax.plot(path.times, column, dash, color=colour, label=f"node {index}")
    if np.isfinite(path.settled_at):
        ax.axvline(float(path.settled_at), color="0.5", linewidth=1, label=f"settled at {float(path.settled_at):.3g} s")
    ax.set_xlabel("time (s)")
    ax.set_ylabel("state")
    ax.grid(alpha=0.3)
    if values.shape[1] <= 20:
        ax.legend(fontsize="small")
    return ax


def training(fits: Mapping[str, Fit | Fits], ax: Any = None) -> Any:
    """The error in training and in test over the epochs, on a logarithmic axis, one colour for each named fit.

    Of several seeds, the mean and a band of one standard deviation to either side.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    ax = _new_axes() if ax is None else ax
    for (name, fit), colour in zip(fits.items(), COLOURS, strict=False):
        for kind, dash in (("train", "--"), ("test", "-")):
            right, spread, ending = _percent_right(fit, f"{kind}_accuracy")
            epochs = np.arange(1, len(right) + 1)
            ax.semilogy(epochs, 100 - right, dash, color=colour, label=f"{name}, {kind} ({ending})")
            if spread is not None:
                low = np.where(spread < 100 - right, 100 - right - spread, (100 - right) / 100)  # a logarithmic axis has no 0
                ax.fill_between(epochs, low, 100 - right + spread, color=colour, alpha=0.15, linewidth=0)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
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
