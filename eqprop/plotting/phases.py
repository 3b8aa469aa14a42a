"""Figures of energies and of phases that settle on them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..energies import Energy, State
from ..settling.flow import Trajectory
from .style import COLOURS, new_axes


def landscape(
    net: Energy,
    x: Any,
    state: State,
    *,
    nodes: tuple[int, int] = (0, 1),
    span: float = 1.0,
    paths: Mapping[str, Trajectory] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the energy of a network over two of its nodes, with more levels where it is lowest.

    The other nodes are as in `state`, which a cross marks.

    **Arguments:**

    - `net`: the network.
    - `x`: the input of one example.
    - `state`: a state of the network.
    - `nodes`: the two nodes, as indices into the flattened state.
    - `span`: how far to either side of `state` the plane reaches, in the state's units.
    - `paths`: phases in time, drawn over the landscape by name, each ending in a dot.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.

    **Raises** `ValueError` for nodes that the state does not have.
    """
    from matplotlib.colors import BoundaryNorm

    flat, restore = ravel_pytree(state)
    if len(set(nodes)) < 2 or not all(0 <= node < flat.size for node in nodes):
        raise ValueError(f"`nodes` must be two of the {flat.size} nodes, but are {nodes}")

    places = jnp.array(nodes)
    axes = [np.linspace(centre - span, centre + span, 81) for centre in np.asarray(flat[places])]
    grid = jnp.stack(jnp.meshgrid(*axes), axis=-1).reshape(-1, 2)
    heights = jax.jit(
        jax.vmap(lambda at: net(restore(flat.at[places].set(at.astype(flat.dtype))), x))
    )(grid)
    heights = np.asarray(heights).reshape(81, 81)

    ax = new_axes() if ax is None else ax
    # Levels are closer where the phases end.
    levels = heights.min() + np.ptp(heights) * np.linspace(0, 1, 25) ** 2
    filled = ax.contourf(
        *axes, heights, levels=levels, cmap="cividis", norm=BoundaryNorm(levels, 256)
    )
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
    """Draw the energy of a network of one node in each of its phases, and the phases moving on it.

    A phase is a dot at each time, and a ring at its end.

    **Arguments:**

    - `phases`: by name, an energy and a trajectory on it.
    - `x`: the input of one example.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.

    **Raises** `ValueError` for a state of more than one node.
    """
    ax = new_axes() if ax is None else ax
    paths = [
        np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states))
        for _, path in phases.values()
    ]
    if any(path.shape[1] != 1 for path in paths):
        raise ValueError(
            f"`phases` must be of one node, but are of {[path.shape[1] for path in paths]}"
        )
    low, high = min(path.min() for path in paths), max(path.max() for path in paths)
    line = jnp.linspace(low - 0.15 * (high - low), high + 0.15 * (high - low), 200)
    for index, ((name, (energy, path)), states) in enumerate(
        zip(phases.items(), paths, strict=True)
    ):
        colour, dash = COLOURS[index % len(COLOURS)], ("-", "--", ":", "-.")[index % 4]
        restore = ravel_pytree(jax.tree.map(lambda s: s[0], path.states))[1]
        heights = jax.vmap(lambda at, energy=energy, restore=restore: energy(restore(at[None]), x))(
            line
        )
        ax.plot(line, heights, dash, color=colour, label=name)
        ax.plot(states[:, 0], path.energies, ".", color=colour, markersize=5)
        ax.plot(
            states[-1, 0],
            path.energies[-1],
            "o",
            color=colour,
            markersize=10,
            fillstyle="none",
            markeredgewidth=1.5,
        )
    ax.set_xlabel("state s")
    ax.set_ylabel("energy")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def phase(path: Trajectory, ax: Any = None) -> Any:
    """Draw every node of a phase over time, and when it had settled.

    **Arguments:**

    - `path`: the phase in time, of which times are in seconds.
    - `ax`: the axes to draw on; new ones if not given.

    **Returns** the axes.
    """
    ax = new_axes() if ax is None else ax
    values = np.asarray(jax.vmap(lambda s: ravel_pytree(s)[0])(path.states))
    for index, column in enumerate(values.T):
        colour, dash = (
            COLOURS[index % len(COLOURS)],
            ("-", "--", ":", "-.")[index // len(COLOURS) % 4],
        )
        ax.plot(path.times, column, dash, color=colour, label=f"node {index}")
    if np.isfinite(path.settled_at):
        ax.axvline(
            float(path.settled_at),
            color="0.5",
            linewidth=1,
            label=f"settled to tolerance at {float(path.settled_at):.3g} s",
        )
    ax.set_xlabel("time (s)")
    ax.set_ylabel("state")
    ax.grid(alpha=0.3)
    if values.shape[1] <= 20:
        ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
