"""A newcomer's first script: an energy of one's own and a circuit, both trained, the latter run in ngspice, varied and drawn."""

import jax
import jax.numpy as jnp
import numpy as np

import circuits
import eqprop as ep

jax.config.update("jax_enable_x64", True)
cost = ep.SquaredError()


# 1. An energy that nobody wrote before: phases on a ring, pulled by the input, each coupled to its neighbour.
def energy(params, state, x):
    ring = jnp.sum(params["k"] * (state - jnp.roll(state, 1)) ** 2) / 2
    return ring + jnp.sum(state**2) / 2 - params["pull"] @ x @ jnp.sin(state)


params = {"k": jnp.full(6, 0.3), "pull": jax.random.normal(jax.random.key(0), (6, 4)) / 2}
net = ep.energy(energy, params, state=jnp.zeros(6), outputs=lambda state: state[:2])
data = ep.data.regression(100)
fit = ep.fit(net, cost, data, ep.EqProp.centred(beta=0.1), rates={"*": 0.3}, epochs=8, batch=10, key=jax.random.key(1))
print("loss", fit.history["test_loss"])
print("gradient", ep.gradient_error(ep.EqProp.centred(beta=0.1), fit.net, cost, data.train.x[:4], data.train.y[:4]))

x = data.test.x[0]
ep.plotting.landscape(fit.net, x, ep.relax(fit.net, x).state).figure.savefig("landscape.png")

# 2. A resistive network that learns two moons.
moons = ep.data.two_moons(200)
volts = ep.SquaredError(on=0.2)
start = ep.Resistive.init(jax.random.key(2), (2, 8, 2), device=circuits.DiodePair(saturation=1e-9), unit=1e-5, input_gain=2.0)
learned = ep.fit(
    start,
    volts,
    moons,
    ep.EqProp.centred(beta=0.2),
    rates={"conductances*": 0.3, "biases*": 0.3},
    epochs=4,
    key=jax.random.key(3),
)
ep.plotting.training({"two moons": learned}).figure.savefig("training.png")

# 3. The same network as a circuit, in ngspice.
deck = circuits.emit(learned.net, moons.test.x[0])
deck.save("net.cir")
seen = circuits.compare(learned.net, moons.test.x[:20], moons.test.y[:20], cost=volts, beta=0.05)
print(seen)
seen.plot().figure.savefig("agreement.png")

# 4. Ten imperfect chips of it.
variation = circuits.Programming(spread=0.1)
sources = circuits.drives(learned.net, moons.test.x[:20])
answers = [circuits.Ngspice().operating_points(*circuits.reduce(variation.chip(deck, seed=0, number=k), sources)) for k in range(10)]
status = np.array([answer.status.values for answer in answers])
spread = np.std([answer.voltage.sel(node="out0").values for answer in answers], axis=0)
print(f"out0 spreads by {spread.mean():.3f} V over the chips")
