"""A newcomer's first script, from the README alone: an energy of one's own and a circuit, trained,
run in ngspice, varied and drawn.
"""

import jax
import jax.numpy as jnp
import numpy as np

import circuits
import eqprop as ep

jax.config.update("jax_enable_x64", True)


def rings(rng, n):  # two noisy concentric rings, label 0 inside, 1 outside
    y = rng.integers(0, 2, n)
    angle, radius = rng.uniform(0, 2 * np.pi, n), 0.4 + 0.5 * y + 0.08 * rng.normal(size=n)
    return ep.data.Split(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y)


def energy(params, state, x):  # a sticky chain of beads with sine synapses to the outputs
    beads, out = state
    stick = jnp.exp(params["stick"]) * jnp.sum(jnp.log(jnp.cosh(3 * (beads[1:] - beads[:-1]))))
    own = jnp.sum(beads**2) / 2 + jnp.sum(beads**4) / 4 + jnp.sum(out**2) / 2
    return own + stick - jnp.dot(x @ params["in"] + params["bias"], beads) - jnp.sin(beads) @ params["out"] @ out


rng, keys = np.random.default_rng(0), jax.random.split(jax.random.key(0), 3)
data = ep.data.Data(train=rings(rng, 400), test=rings(rng, 200))
params = {"in": 2 * jax.random.normal(keys[0], (2, 24)), "out": jax.random.normal(keys[1], (24, 2)) / 8}
params |= {"bias": jax.random.normal(keys[2], (24,)), "stick": jnp.array(-3.0)}
net = ep.energy(energy, params, state=(jnp.zeros(24), jnp.zeros(2)), outputs=lambda state: state[-1])
cost, estimator = ep.SquaredError(), ep.EqProp.centred(beta=0.1)
mine = ep.fit(net, cost, data, estimator, rates={"*": 0.1}, epochs=10, batch=10, key=jax.random.key(1))
print("mine", mine.history["test_accuracy"][-1])
xs, ys = data.test.x[:20], data.test.y[:20]
cosine = ep.cosine(estimator(mine.net, cost, xs, ys).grad, ep.Implicit()(mine.net, cost, xs, ys).grad)
print("cosine with exact:", cosine, ep.gradient_error(estimator, mine.net, cost, xs, ys))
ep.plotting.landscape(mine.net, xs[0], ep.relax(mine.net, xs[0]).state).figure.savefig("landscape.png")

device = circuits.DiodePair(saturation=1e-9, bias=0.1)
start = ep.Resistive.init(jax.random.key(0), (2, 24, 2), device=device, unit=1e-5, input_gain=4.0)
volts, nudge = ep.SquaredError(on=0.2), ep.EqProp.centred(beta=0.5, method=ep.FixedSweeps(n=6))
chip = ep.fit(start, volts, data, nudge, rates={"*": 0.2}, epochs=10, key=jax.random.key(1))
print("circuit", chip.history["test_accuracy"][-1])
ep.plotting.training({"sticky chain": mine, "resistive": chip}).figure.savefig("training.png")
deck = circuits.emit(chip.net, xs[0])
deck.save("rings.cir")
seen = circuits.compare(chip.net, xs, ys, cost=volts, beta=0.5)
print(seen)
seen.plot().figure.savefig("agreement.png")

variation = circuits.Ideality(spread=0.3) + circuits.Drift(seconds=100.0, exponent=0.02, spread=0.02)
sources, accuracies = circuits.drives(chip.net, data.test.x), []
for number in range(10):
    points = circuits.Ngspice().operating_points(*circuits.reduce(variation.chip(deck, seed=0, number=number), sources))
    accuracies.append(np.mean(points.voltage.sel(node=["out0", "out1"]).values.argmax(axis=1) == data.test.y))
print("chips", accuracies)
ax = circuits.plotting.accuracies({"ideality 30 %, drift 100 s": np.array(accuracies)}, ideal=chip.history["test_accuracy"][-1])
ax.figure.savefig("chips.png")
