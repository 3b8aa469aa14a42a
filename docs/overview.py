"""Draws docs/overview.png: phases on the energy of two neurons, and a small resistive network.

Run by `python docs/overview.py`.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import circuits
import eqprop as ep

jax.config.update("jax_enable_x64", True)
OUT = Path(__file__).parent / "overview.png"


def energy(params, state, x):
    """Two neurons in soft wells: the input drives the first, and that the second, the output."""
    return (
        jnp.sum(state**2 / 2 + state**4 / 4) - params["w"] * state[0] * state[1] - x[0] * state[0]
    )


def landscape(ax):
    """Draw the energy, and the paths of the free and the nudged phase on it."""
    net = ep.energy(
        energy, {"w": jnp.array(0.8)}, state=jnp.array([-0.5, 1.2]), outputs=lambda state: state[1:]
    )
    x, y, times = jnp.array([0.9]), jnp.array([-0.6]), jnp.linspace(0, 15, 200)
    free = ep.trajectory(net, x, times)
    nudged = ep.trajectory(
        ep.Nudged(net, ep.SquaredError(), y, 0.8), x, times, start=free.states[-1]
    )
    paths = {
        "free phase: to the lowest energy": free,
        "nudged phase: the output is pulled towards its target": nudged,
    }
    ep.plotting.landscape(net, x, free.states[-1], span=1.5, paths=paths, ax=ax)
    ax.set(xlim=(-0.7, 2.2), ylim=(-0.9, 1.9))
    ax.axhline(float(y[0]), color="white", linestyle=":", linewidth=1)
    ax.annotate(
        "target of the output",
        (ax.get_xlim()[0], float(y[0])),
        (6, 4),
        textcoords="offset points",
        color="white",
        fontsize=9,
    )
    ax.set(
        xlabel="state of the hidden neuron",
        ylabel="state of the output neuron",
        title="A network settles twice …",
    )
    handles, _ = ax.get_legend_handles_labels()
    ax.legend(handles, [*paths, "where the free phase ends"], loc="upper left", fontsize=8)


def circuit(ax):
    """Return a network of one input, two hidden nodes with a diode each, one output, a nudge."""
    deck = circuits.parse("""Small
Vin in 0 0.5
R1 in h1 20k
D1 h1 0 d
R2 in h2 50k
D2 0 h2 d
R3 h1 out 10k
R4 h2 out 30k
Gnudge 0 out target out 5u
Vtarget target 0 0.2
.model d d(is=1n)
.end
""")
    circuits.schematic(deck, canvas=ax)
    ax.set_title("… and so does a circuit, by itself")


def main():
    """Both, side by side."""
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    landscape(left)
    circuit(right)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
