"""A checkpoint is whole or refused, and training goes on from it as if it had never stopped."""

import errno
import functools
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.networks import network
from helpers.processes import on_a_small_disk
from helpers.training import CHUNK, DATA, SETTINGS, fit, toy

import eqprop as ep
import eqprop.training.loop
import eqprop.training.state
import eqprop.training.steps
from eqprop.data import Data
from eqprop.training import CheckpointError, checkpoints
from eqprop.training.fingerprints import differences, fingerprint
from eqprop.training.runs import Run

STEPS = 10  # in an epoch: two chunks of 4 steps and one of 2
KINDS = (
    "loss",
    "train_accuracy",
    "unsettled",
    "test_loss",
    "test_accuracy",
    "validation_loss",
    "validation_accuracy",
)


@pytest.fixture(autouse=True)
def chunk(monkeypatch):
    monkeypatch.setattr(eqprop.training.loop, "CHUNK", CHUNK)


@functools.cache
def undisturbed():
    return fit()


def equal(result, expected):
    leaves = zip(jax.tree.leaves(result.net), jax.tree.leaves(expected.net), strict=True)
    histories = all(np.array_equal(result.history[kind], expected.history[kind]) for kind in KINDS)
    return (
        all(np.array_equal(a, b) for a, b in leaves)
        and histories
        and result.epoch == expected.epoch
    )


class StopError(Exception):
    pass


def stop_after(reports, file, **change):
    """Train until that many looks of the host; return the result and the epochs at each look."""
    reported = []

    def report(epochs, text):
        reported.append(epochs)
        if len(reported) == reports:
            raise StopError

    run = Run(**{**SETTINGS, **change, "data": eqprop.training.loop.on_device(DATA)}, chunk=CHUNK)
    try:
        return eqprop.training.loop.train(
            run, report, checkpoint=file, every=0, devices=None
        ), reported
    except StopError:
        return None, reported


@pytest.mark.parametrize("reports", [1, 2, 3, 4, 6, 11])
def test_a_run_goes_on_as_if_it_had_never_stopped(reports, tmp_path):
    """Stopped in the first epoch, at the end of its steps, after it, and in later ones."""
    file = tmp_path / "run.npz"
    _, before = stop_after(reports, file)
    assert before[-1] == (0.4, 0.8, 1.0, 1.0, 1.4, 1.8, 2.0, 2.0, 2.4, 2.8, 3.0, 3.0)[reports - 1]
    assert undisturbed().epoch < 2  # the best epoch's network, too, comes back
    result, after = stop_after(0, file)
    assert len(after) == 12 - reports  # it did not start again
    assert equal(result, undisturbed())


def test_two_runs_of_other_keys_are_not_equal():
    """The control: what is compared above can differ."""
    assert equal(fit(), undisturbed())
    assert not equal(fit(key=jax.random.key(1)), undisturbed())


KILLED = """
import os, signal, sys
import jax
jax.config.update("jax_enable_x64", True)
import eqprop.training.loop
from helpers.training import CHUNK, fit

eqprop.training.loop.CHUNK = CHUNK
replace, written = os.replace, []

def kill_or_replace(*paths, **folders):
    written.append(paths)
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths, **folders)

os.replace = kill_or_replace
fit(checkpoint=sys.argv[1], every=0)
"""


def test_a_killed_process_loses_nothing(tmp_path):
    """Killed in the second epoch while it writes a checkpoint: the one before counts."""
    file, here = tmp_path / "run.npz", Path(__file__).parents[1]
    paths = os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(file), "8"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(list(tmp_path.glob(".run.npz.*.partial"))) == 1
    facts = checkpoints.read(file, dict)[1]
    assert (facts["epoch"], facts["step"]) == (1, 8)
    assert equal(fit(checkpoint=file), undisturbed())
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


FULL = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
import eqprop.training.loop
from helpers.training import CHUNK, fit

eqprop.training.loop.CHUNK = CHUNK
try:
    fit(checkpoint=sys.argv[1], every=0)
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    """A real one, with room for one checkpoint and a half: the second cannot be written."""
    stop_after(1, tmp_path / "whole.npz")
    size = (tmp_path / "whole.npz").stat().st_size
    disk, kept, here = tmp_path / "disk", tmp_path / "kept", Path(__file__).parents[1]
    paths = os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
    done = on_a_small_disk(
        size * 3 // 2,
        disk,
        kept,
        [sys.executable, "-c", FULL, str(disk / "run.npz")],
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == errno.ENOSPC, done.stderr
    assert [path.name for path in kept.iterdir()] == ["run.npz"]
    facts = checkpoints.read(kept / "run.npz", dict)[1]
    assert (facts["epoch"], facts["step"]) == (0, 0)
    assert equal(fit(checkpoint=kept / "run.npz"), undisturbed())


def test_a_second_training_into_one_file_is_refused(tmp_path):
    """While the first runs, and not after it; the first ends as if nobody had asked."""
    file, refused = tmp_path / "run.npz", []

    def report(epochs, text):
        try:
            second = fit(checkpoint=file, every=0)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            assert equal(second, undisturbed())  # the run that has ended is read

    run = Run(**{**SETTINGS, "data": eqprop.training.loop.on_device(DATA)}, chunk=CHUNK)
    for _ in range(2):  # from the start, and where it stands already
        result = eqprop.training.loop.train(run, report, checkpoint=file, every=0, devices=None)
        assert equal(result, undisturbed())
    assert len(refused) == 11  # at all looks but the last
    holder = f"run.npz is in use: process {os.getpid()} on "
    assert all(holder in message for message in refused)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_training_that_went_on_meanwhile_is_taken_up_where_it_is(tmp_path, monkeypatch):
    """What is in the file counts when the lock is held, not when it was looked at first."""
    file, hold = tmp_path / "run.npz", eqprop.training.state.hold
    stop_after(1, file)

    def late(folder, name):
        monkeypatch.setattr(eqprop.training.state, "hold", hold)
        assert equal(fit(checkpoint=file), undisturbed())
        return hold(folder, name)

    monkeypatch.setattr(eqprop.training.state, "hold", late)
    result, after = stop_after(0, file)
    assert equal(result, undisturbed())
    assert after == []


def test_a_finished_run_returns_at_once(tmp_path, monkeypatch):
    file = tmp_path / "new" / "folder" / "run.npz"
    first = fit(checkpoint=str(file))
    monkeypatch.setattr(eqprop.training.steps, "train_steps", None)
    monkeypatch.setattr(eqprop.training.loop, "evaluate", None)
    again = fit(checkpoint=file)
    assert equal(again, first)
    assert again.history["seconds"].tolist() == first.history["seconds"].tolist()


def test_the_clock_goes_on(tmp_path):
    file = tmp_path / "run.npz"
    stop_after(6, file)
    arrays, facts = checkpoints.read(file, dict)
    checkpoints.write(file, arrays, {**facts, "seconds": 1000.0})
    seconds = fit(checkpoint=file).history["seconds"]
    assert seconds[0] < 1000 < seconds[1] < seconds[2]


@pytest.mark.parametrize(("every", "writes"), [(0, 13), (1e9, 2)])
def test_it_is_written_as_often_as_asked(every, writes, tmp_path, monkeypatch):
    """Before the first step, after each of 9 chunks and of 3 epochs; or at start and end only."""
    written, write = [], checkpoints.write
    monkeypatch.setattr(
        "eqprop.training.state.write", lambda *args: (written.append(args), write(*args))
    )
    fit(checkpoint=tmp_path / "run.npz", every=every)
    assert len(written) == writes


def test_the_time_between_writes_must_be_one(tmp_path):
    with pytest.raises(ValueError, match="`every` must be at least 0 seconds, but is -1"):
        fit(checkpoint=tmp_path / "run.npz", every=-1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of a checkpoint in the middle of an epoch."""
    file = tmp_path_factory.mktemp("whole") / "run.npz"
    before, eqprop.training.loop.CHUNK = eqprop.training.loop.CHUNK, CHUNK
    stop_after(5, file)
    eqprop.training.loop.CHUNK = before
    return file.read_bytes()


def refused(content, tmp_path, match="is truncated, corrupt, or another kind of file"):
    file = tmp_path / "run.npz"
    file.write_bytes(content)
    with pytest.raises(ep.CheckpointError, match=match) as caught:
        checkpoints.read(file, dict)
    assert str(file) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_truncated_file_is_refused(whole, tmp_path):
    lengths = {
        *range(70),
        *np.linspace(0, len(whole) - 1, 150).astype(int).tolist(),
        *range(len(whole) - 70, len(whole)),
    }
    for length in lengths:
        refused(whole[:length], tmp_path)
    with pytest.raises(ep.CheckpointError, match="truncated"):
        fit(checkpoint=tmp_path / "run.npz")  # also where it matters


def test_a_corrupt_file_is_refused(whole, tmp_path):
    random = np.random.default_rng(0)
    for position in (
        *random.integers(0, len(whole), 300),
        *range(64),
        *range(len(whole) - 128, len(whole)),
    ):
        hurt = bytearray(whole)
        hurt[position] ^= random.integers(1, 256)
        refused(bytes(hurt), tmp_path)
    refused(whole + b"\0", tmp_path)
    (tmp_path / "run.npz").write_bytes(whole)
    assert checkpoints.read(tmp_path / "run.npz", dict)[1]["epoch"] == 1  # the control


def sealed(content):
    return content + hashlib.sha256(content).hexdigest().encode()


def test_a_foreign_file_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    refused(b"", tmp_path)
    refused(b"epoch,loss\n0,0.5\n", tmp_path)
    refused(buffer.getvalue(), tmp_path)
    for content in (b"", b"text", b"PK\x03\x04 no archive", buffer.getvalue()):
        refused(sealed(content), tmp_path, "another kind of file")
    checkpoints.write(tmp_path / "other.npz", {}, {"version": 2})
    refused(
        (tmp_path / "other.npz").read_bytes(),
        tmp_path,
        "must be 'eqprop checkpoint' version 1, but .* version 2",
    )
    with pytest.raises(
        ep.CheckpointError, match=r"must be a file that can be read, but .* is not: .* or a folder"
    ):
        fit(checkpoint=tmp_path)


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.abort, ()

    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array([Trap()], object))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = bytes(64)
    refused(sealed(buffer.getvalue()[:-64]), tmp_path, "another kind of file")


def test_the_file_is_a_plain_npz(whole):
    with np.load(io.BytesIO(whole), allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        assert file["records/loss"].shape == (4,)
        assert file["params/0"].shape == (6, 8)
    assert facts["jax"] == jax.__version__
    assert facts["run"]["net.unit"] == "1e-05"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": {"conductances*": 0.2}}, r"`rates.conductances\*` is 0.2, and was 0.3"),
        ({"epochs": 4}, "`epochs` is 4, and was 3"),
        ({"batch": 5}, "`batch` is 5, and was 4"),
        ({"decay": 0.8}, "`decay` is 0.8, and was 0.9"),
        (
            {"key": jax.random.key(9)},
            r"`key` is key<fry>\(\) \[0, 9\], and was key<fry>\(\) \[0, 0\]",
        ),
        ({"cost": ep.SquaredError(on=0.3)}, "`cost.on` is 0.3, and was 0.2"),
        (
            {"estimator": ep.EqProp.one_sided(0.2, ep.FixedSweeps(n=6))},
            r"`estimator.stencil.nudges` is float64\(1,\) \[0.2\], and was .*; "
            "`estimator.stencil.weights`",
        ),
        (
            {"estimator": ep.EqProp.one_sided(0.1, ep.FixedSweeps(n=7))},
            "`estimator.method.n` is 7, and was 6",
        ),
        ({"estimator": ep.Implicit()}, "`estimator` is eqprop.estimators.exact.Implicit"),
        (
            {"net": network(device=None, biases=0.0, seed=1)},
            r"`net.conductances.0` is float64\(6, 8\) .*, and was float64\(6, 8\) ",
        ),
        (
            {"net": network(device=None, biases=0.0, sizes=(3, 7, 2))},
            r"`net.biases.0` is float64\(7,\) .*, and was float64\(8,\) ",
        ),
        (
            {"net": network(device=None, biases=0.0, unit=2e-5)},
            "`net.unit` is 2e-05, and was 1e-05",
        ),
        ({"data": Data(toy(3), toy(1), toy(2))}, "`data.train.x` is .*`data.train.y` is "),
        ({"data": Data(toy(0), toy(3), toy(2))}, "`data.test.x` is "),
        ({"data": Data(toy(0), toy(1))}, "`data.validation` is None, and was "),
        ({"optimizer": optax.adam(1.0, b1=0.8)}, "`optimizer"),
        (
            {
                "optimizer": optax.chain(
                    optax.add_noise(1e-6, 0.5, jax.random.key(0)), optax.adam(1.0)
                )
            },
            "`optimizer.* is 0.5, and was 0.55",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(change, message, whole, tmp_path):
    file = tmp_path / "run.npz"
    file.write_bytes(whole)
    with pytest.raises(
        ep.CheckpointError,
        match=f"must be of this run, but .*run.npz is of another one: .*{message}",
    ):
        fit(checkpoint=file, **change)
    assert file.read_bytes() == whole


def test_the_size_of_the_chunks_belongs_to_the_run(whole, tmp_path, monkeypatch):
    (tmp_path / "run.npz").write_bytes(whole)
    monkeypatch.setattr(eqprop.training.loop, "CHUNK", 5)
    with pytest.raises(ep.CheckpointError, match="`chunk` is 5, and was 4"):
        fit(checkpoint=tmp_path / "run.npz")


def test_a_failed_write_leaves_the_last_one(whole, tmp_path, monkeypatch):
    file = tmp_path / "run.npz"
    file.write_bytes(whole)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fit(checkpoint=file, every=0)
    assert file.read_bytes() == whole


def test_a_file_that_cannot_be_written_is_known_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(eqprop.training.steps, "train_steps", None)  # no step is taken
    with pytest.raises(OSError, match="proc"):
        fit(checkpoint="/proc/run.npz")


def test_leaves_of_any_kind_come_back(tmp_path):
    tree = {
        "key": jax.random.key(3),
        "half": jnp.asarray([1.5, -2.0], jnp.bfloat16),
        "count": jnp.asarray(7, jnp.int32),
        "empty": jnp.zeros((0, 3)),
        "old key": jax.random.PRNGKey(1),
    }
    checkpoints.write(tmp_path / "file", checkpoints.to_arrays(tree, "tree"), {})
    arrays, _ = checkpoints.read(tmp_path / "file", dict)
    restored = checkpoints.from_arrays(arrays, "tree", tree)
    assert jax.tree.structure(restored) == jax.tree.structure(tree)
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(tree), strict=True):
        assert a.dtype == b.dtype
        assert (a == b).all()
    for other in (
        {**tree, "count": jnp.zeros(2, jnp.int32)},
        {**tree, "more": jnp.zeros(1)},
        {"key": tree["key"]},
    ):
        with pytest.raises(ep.CheckpointError, match=r"must (have the leaves|be as of this run)"):
            checkpoints.from_arrays(arrays, "tree", other)


SCALE = 2.0


def helper(state):
    return SCALE * jnp.sum(state**2)


def build(power, offset=0.5):
    def energy(params, state, x):
        return helper(state) + jnp.sum(params["w"] @ x * state) + offset * jnp.sum(state) ** power

    return ep.energy(
        energy, {"w": jnp.ones((2, 3))}, state=jnp.zeros(2), outputs=lambda state: state
    )


def test_a_plain_function_counts_by_its_code(monkeypatch):
    same, again = fingerprint(build(2)), fingerprint(build(2))
    assert differences(again, same) == []
    assert differences(fingerprint(build(3)), same) == ["`function.power` is 3, and was 2"]
    assert differences(fingerprint(build(2, 0.25)), same) == [
        "`function.offset` is 0.25, and was 0.5"
    ]
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert differences(fingerprint(build(2)), same) == [
        "`function.helper.SCALE` is 3.0, and was 2.0"
    ]
    monkeypatch.setitem(globals(), "helper", lambda state: jnp.sum(state**4))
    assert [text.split()[0] for text in differences(fingerprint(build(2)), same)] == [
        "`function.helper`"
    ]


def test_a_class_counts_by_the_code_of_its_methods():
    def kind(exponent):
        source = f"""class Own(ep.Cost):
            def __call__(self, outputs, y): return sum(outputs**{exponent})
            def decide(self, outputs): return 0"""
        exec(source, {"ep": ep, "__name__": "cell"}, space := {})
        return space["Own"]()

    assert differences(fingerprint(kind(2)), fingerprint(kind(2))) == []
    assert len(differences(fingerprint(kind(2)), fingerprint(kind(4)))) == 1


def test_a_function_that_names_itself_has_a_fingerprint():
    def again(n):
        return again(n - 1) if n else 0

    assert fingerprint(again)["again"] == "what contains it"


def test_each_seed_has_its_file(tmp_path):
    settings = {
        name: SETTINGS[name]
        for name in ("cost", "data", "estimator", "rates", "epochs", "optimizer")
    }
    many = functools.partial(
        ep.fit_seeds,
        lambda key: ep.Resistive.init(key, (3, 8, 2)),
        seeds=(0, 5),
        checkpoint=tmp_path,
        **settings,
    )
    first, again = many(), many()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-0.npz", "seed-5.npz"]
    assert all(equal(a, b) for a, b in zip(first.fits, again.fits, strict=True))
    assert again.fits[0].history["seconds"].tolist() == first.fits[0].history["seconds"].tolist()
    (tmp_path / "seed-5.npz").write_bytes(b"")
    with pytest.raises(
        ep.CheckpointError,
        match=r"seed 5: `checkpoint` must be a whole checkpoint, but .*seed-5.npz is truncated",
    ):
        many()
