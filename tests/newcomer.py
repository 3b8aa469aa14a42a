"""A newcomer's first script: an energy of one's own and a circuit, both trained, the latter run in ngspice, varied and drawn."""

import jax
import jax.numpy as jnp
import numpy as np

import circuits
import eqprop as ep

jax.config.update("jax_enable_x64", True)
cost = ep.SquaredError()


# 1. An energy that nobody wrote before: rotors, pulled by the input, which drag pointers along.
def energy(params, state, x):
    rotors, pointers = state
    wells = jnp.sum(rotors**2) / 2 + jnp.sum(pointers**2) / 2 - ep.bias(params["bias"], rotors)
    return wells - ep.bilinear(params["in"], x, jnp.sin(rotors)) - ep.bilinear(params["out"], jnp.sin(rotors), pointers)


keys = jax.random.split(jax.random.key(0))
params = {"in": jax.random.normal(keys[0], (4, 16)) / 2, "out": jax.random.normal(keys[1], (16, 2)) / 4, "bias": jnp.zeros(16)}
net = ep.energy(energy, params, state=(jnp.zeros(16), jnp.zeros(2)), outputs=lambda state: state[-1])
data, estimator = ep.data.regression(200), ep.EqProp.centred(beta=0.1)
fit = ep.fit(net, cost, data, estimator, rates={"*": 0.2}, epochs=10, batch=10, key=jax.random.key(1))
print("loss", fit.history["test_loss"])
x = data.test.x[0]
ep.plotting.landscape(fit.net, x, ep.relax(fit.net, x).state, nodes=(0, 16)).figure.savefig("landscape.png")


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
seen = circuits.compare(learned.net, moons.test.x[:20])
print(seen)
seen.plot().figure.savefig("agreement.png")

# 4. Ten imperfect chips of it.
variation = circuits.Programming(spread=0.1)
sources = circuits.drives(learned.net, moons.test.x[:20])
answers = [circuits.Ngspice().operating_points(*circuits.reduce(variation.chip(deck, seed=0, number=k), sources)) for k in range(10)]
status = np.array([answer.status.values for answer in answers])
spread = np.std([answer.voltage.sel(node="out0").values for answer in answers], axis=0)
print(f"out0 spreads by {spread.mean():.3f} V over the chips")
