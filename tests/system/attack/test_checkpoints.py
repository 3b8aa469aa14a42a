"""Attacks on checkpoints and networks in files: forged ones whose checksum is right."""

import hashlib
import io
import json
import zipfile

import jax
import numpy as np
import pytest
from helpers.training import fit

import circuits
import eqprop as ep
from eqprop.training import checkpoints

MANY = 10**9


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The arrays and facts of a run that has ended."""
    file = tmp_path_factory.mktemp("run") / "run.npz"
    fit(checkpoint=file)
    return checkpoints.read(file, dict)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The arrays and facts of a network whose device learns."""
    file = tmp_path_factory.mktemp("network") / "net.npz"
    device = circuits.devices.DiodePair(np.full(3, 1e-9), 0.1)
    net = ep.Resistive.init(jax.random.key(0), (2, 3, 2), device=device)
    circuits.save_network(net, file)
    return checkpoints.read(file, dict)


def forged(path, original, change):
    """Write a file of our own format after `change` of its arrays and facts."""
    arrays, facts = dict(original[0]), json.loads(json.dumps(original[1]))
    change(arrays, facts)
    checkpoints.write(path, arrays, facts)
    return path


def setting(*path, to):
    """Return a change of one fact."""

    def change(_, facts):
        for name in path[:-1]:
            facts = facts[name]
        facts[path[-1]] = to

    return change


def array(name, to):
    """Return a change of one array, by a function of what it was."""

    def change(arrays, _):
        arrays[name] = to(arrays[name])

    return change


def without(name):
    return lambda arrays, facts: (arrays.pop(name, None), facts.pop(name, None))


def bits(values):
    return values.view(f"i{values.itemsize}")


RUNS = {
    "epochs that were not asked for": setting("epoch", to=MANY),
    "an epoch before the first": setting("epoch", to=-1),
    "no epoch": without("epoch"),
    "an epoch in words": setting("epoch", to="3"),
    "half an epoch": setting("epoch", to=1.5),
    "more steps than an epoch has": setting("step", to=MANY),
    "steps that were not recorded": setting("step", to=2),
    "a time before the start": setting("seconds", to=-1.0),
    "a time that is no number": setting("seconds", to=float("nan")),
    "no best parameters": without("best/0"),
    "a fingerprint of numbers": setting("run", to={"net": 3}),
    "no fingerprint": setting("run", to=None),
    "integers as parameters": array("params/0", bits),
    "parameters of another shape": array("params/0", lambda a: a[:1]),
    "no parameters": without("params/0"),
    "words as parameters": array("params/0", lambda a: a.astype("U4")),
    "moments of another kind": array("moments/0", lambda a: a.astype(np.float16)),
    "a history that is too long": array("history/loss", lambda a: np.repeat(a, 2)),
    "no history": without("history/loss"),
    "a history of words": array("history/loss", lambda a: a.astype("U4")),
    "records in two dimensions": array("records/loss", lambda a: a[:, None]),
}

NETWORKS = {
    "no device of circuits": setting("device", to="Path"),
    "a device that is none": setting("device", to=3),
    "a device without its numbers": setting("numbers", to={}),
    "a number that the device has not": setting("numbers", to={"bias": 0.1, "command": 1.0}),
    "a number in words": setting("numbers", to={"bias": "0.1"}),
    "an array that the device has not": lambda arrays, _: arrays.update(
        {"device/command": np.zeros(3)}
    ),
    "a device of another width": array("device/saturation", lambda a: a.repeat(2)),
    "a device of negative current": array("device/saturation", np.negative),
    "conductances below 0": array("conductances/0", np.negative),
    "conductances without end": array("conductances/0", lambda a: a + np.inf),
    "conductances of no number": array("conductances/1", lambda a: a * np.nan),
    "integers as conductances": array("conductances/0", bits),
    "conductances of another shape": array("conductances/0", lambda a: a[:, :1]),
    "conductances in one dimension": array("conductances/0", np.ravel),
    "conductances that are one number": array("conductances/0", lambda a: a[0, 0]),
    "no conductances": without("conductances/1"),
    "no biases": without("biases/1"),
    "a unit of nothing": setting("network", "unit", to=0.0),
    "a unit in words": setting("network", "unit", to="1e-5"),
    "a field that a network has not": setting("network", "device", to=1.0),
    "bounds in the wrong order": setting("bounds", to=[2.0, 1.0]),
    "three bounds": setting("bounds", to=[0.0, 1.0, 2.0]),
    "a layer of a name that counts on": lambda arrays, _: arrays.update(
        {"conductances/../../x": np.zeros((3, 2))}
    ),
}


@pytest.mark.parametrize("change", RUNS.values(), ids=RUNS)
def test_a_forged_run_is_refused(run, change, tmp_path):
    file = forged(tmp_path / "run.npz", run, change)
    with pytest.raises(ep.CheckpointError) as caught:
        fit(checkpoint=file)
    assert "checkpoint" in str(caught.value) or str(file) in str(caught.value)


@pytest.mark.parametrize("change", NETWORKS.values(), ids=NETWORKS)
def test_a_forged_network_is_refused(network, change, tmp_path):
    file = forged(tmp_path / "net.npz", network, change)
    with pytest.raises(ep.CheckpointError, match=r"net\.npz"):
        circuits.load_network(file)


def test_what_was_forged_is_right_as_it_is(run, network, tmp_path):
    """The control of the tests above."""
    file = forged(tmp_path / "run.npz", run, lambda arrays, facts: None)
    assert fit(checkpoint=file).history["loss"].tolist() == run[0]["history/loss"].tolist()
    file = forged(tmp_path / "net.npz", network, lambda arrays, facts: None)
    assert circuits.load_network(file).device.bias == 0.1


def sealed(path, name, header, size=0):
    """Write a sealed archive of one array, whose header is of our own."""
    buffer, start = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(start, {"fortran_order": False, **header})
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
            file.write(start.getvalue())
            for _ in range(size // 2**20):
                file.write(bytes(2**20))
        archive.comment = bytes(64)
    body = buffer.getvalue()[:-64]
    path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    assert path.stat().st_size < 4_000_000
    return path


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"descr": "<f8", "shape": (2 * 10**12,)}, 0),
        ({"descr": "|u1", "shape": (3 * 2**30,)}, 3 * 2**30),
        ({"descr": "<f8", "shape": (-1,)}, 0),
        ({"descr": "|O", "shape": (1,)}, 0),
        ({"descr": "|V0", "shape": (10**9,)}, 0),
    ],
    ids=["16 TB in its header", "3 GB unpacked", "less than nothing", "objects", "empty elements"],
)
def test_an_archive_that_asks_for_too_much_is_refused(header, size, tmp_path):
    file = sealed(tmp_path / "net.npz", "facts", header, size)
    for read in (circuits.load_network, lambda file: fit(checkpoint=file)):
        with pytest.raises(ep.CheckpointError, match=r"net\.npz is another kind of file"):
            read(file)


def test_a_file_that_is_larger_than_the_run_is_not_read(run, tmp_path):
    file = forged(tmp_path / "run.npz", run, lambda arrays, facts: None)
    with file.open("r+b") as stream:
        stream.truncate(2**40)  # which takes no room on the disk
    with pytest.raises(ep.CheckpointError, match=r"must be a file of at most \d+ bytes"):
        fit(checkpoint=file)
