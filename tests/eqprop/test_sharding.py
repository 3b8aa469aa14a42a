"""Training on four devices is training on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOUR = """
import json, sys
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
from jax.sharding import NamedSharding, PartitionSpec
from helpers.networks import network
import eqprop as ep
from eqprop.data import Data, Split
from eqprop.training import loop, steps
from eqprop.training.runs import Run

x = np.random.default_rng(0).uniform(-1, 1, (40, 3))
split = Split(x, (x[:, 0] > x[:, 1]).astype(np.int32))
data, cost = Data(split, split, split), ep.SquaredError(on=0.2)
net = network(device=None, biases=0.0)
estimator, calls, train = ep.EqProp.one_sided(0.1, ep.BlockNewton()), [], steps.train_steps

def spy(**arguments):
    following, records = train(**arguments)
    calls.append((arguments, following))
    return following, records

def fit(**change):
    settings = {"rates": {"conductances*": 0.5}, "epochs": 3, "batch": 8} | change
    return ep.fit(net, cost, data, estimator, **{"key": jax.random.key(0)} | settings)

def apart(a, b):
    pairs = list(zip(jax.tree.leaves(a.net), jax.tree.leaves(b.net), strict=True))
    pairs += [(a.history["loss"], b.history["loss"])]
    pairs = [(u, v) for u, v in pairs if np.max(np.abs(v)) > 0]
    return max(float(np.max(np.abs(u - v) / np.max(np.abs(v)))) for u, v in pairs)

def replicated(leaf):
    return leaf.sharding.is_fully_replicated and len(leaf.devices()) == 4

def program(arguments):
    return train.lower(**arguments).compile().compiled.as_text()

steps.train_steps = spy
one = fit()
(alone, _), *_ = calls
calls.clear()
four = fit(devices=jax.devices())
(shared, following), *_ = calls
whole = shared | {"shares": NamedSharding(shared["shares"].mesh, PartitionSpec())}
answer = {
    "devices": len(jax.devices()),
    "apart": apart(four, one),
    "another": apart(fit(key=jax.random.key(1)), one),
    "reduces": ["all-reduce" in program(arguments) for arguments in (shared, whole, alone)],
    "replicated": all(replicated(leaf) for leaf in jax.tree.leaves(following)),
    "home": sorted({len(leaf.devices()) for leaf in (*four.net.conductances, *four.net.biases)}),
    "best": [one.epoch, four.epoch],
}

class StopError(Exception):
    pass

def stop(epochs, text):
    if epochs == 1:
        raise StopError

shared = {"cost": cost, "estimator": estimator, "rates": {"conductances*": 0.5}, "batch": 8}
run = Run(
    net=net,
    data=loop.on_device(data),
    optimizer=None,
    epochs=3,
    key=jax.random.key(0),
    decay=1.0,
    unsettled="raise",
    chunk=loop.CHUNK,
    **shared,
)
calls.clear()
try:
    loop.train(run, stop, checkpoint=sys.argv[1], every=0, devices=jax.devices())
except StopError:
    answer["resumed"] = apart(fit(checkpoint=sys.argv[1]), one)
    answer["epochs"] = len(calls)
settings = {"data": data, "seeds": (0, 1), "epochs": 1, "devices": jax.devices()}
answer["seeds"] = len(ep.fit_seeds(lambda key: net, **shared, **settings).fits)
try:
    fit(batch=6, devices=jax.devices())
except ValueError as error:
    answer["error"] = str(error)
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Return what a process with four devices says."""
    here, file = Path(__file__).parents[1], tmp_path_factory.mktemp("four") / "run.npz"
    paths = os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FOUR, str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["devices"] == 4
    return answer


def test_four_devices_give_what_one_gives(four):
    assert four["apart"] < 1e-12
    assert four["best"][0] == four["best"][1]
    assert four["another"] > 1e-3  # the control: another order of the examples


def test_one_device_goes_on_where_four_stopped(four):
    assert four["resumed"] < 1e-12
    assert four["epochs"] == 3  # one on four devices and two on one


def test_the_batch_is_shared_among_them(four):
    """The gradient is summed over the devices.

    Not where each has the whole batch, nor on one device: the controls.
    """
    assert four["reduces"] == [True, False, False]


def test_parameters_are_on_all_of_them_and_come_home(four):
    assert four["replicated"]
    assert four["home"] == [1]


def test_seeds_take_turns_on_them(four):
    assert four["seeds"] == 2


def test_a_batch_must_divide(four):
    assert (
        four["error"] == "`batch` must be divisible by the number of devices, but they are 6 and 4"
    )
