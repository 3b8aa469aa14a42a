"""Sweeps that are interrupted end as undisturbed ones, bit for bit, and leave nothing behind."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.processes import alive, children, on_a_small_disk, within
from helpers.sweep_problems import DECK, DECLARED, SWEEP, Linear, jobs, problem, record, results
from helpers.tiers import IN_FULL

import circuits
from circuits.sweeps import SweepError, load, sweep
from circuits.sweeps.store import RunStore
from circuits.sweeps.workers import GRACE

ROOT = Path(__file__).parents[2]
HEARING = (
    'exec "$0" -c "import os, signal, sys; signal.signal(2, signal.SIG_DFL); '
    'os.execv(sys.argv[1], sys.argv[1:])" "$0" "$@"'
)
"""Runs a command that hears interrupts, which what a shell starts in the background does not."""


def command(file, out, *more):
    return [
        sys.executable,
        "-m",
        "circuits",
        "sweep",
        str(file),
        "--out",
        str(out),
        "--resume",
        *more,
    ]


def ended(arguments, **more):
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, simulator):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = ended(command(problem(folder), folder / "run", "--workers", "1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "4 points, 10 chips at each, 120 simulations"
    assert done.stdout.splitlines()[-1] == f"results are in {folder / 'run'}"
    return folder / "run"


def test_every_chip_at_every_point_is_what_was_declared(undisturbed):
    """The control of all comparisons: the numbers of ngspice on chips that are made by hand."""
    with load(undisturbed) as data:
        assert dict(data.sizes) == {
            "programming.spread": 2,
            "models.d.saturation": 2,
            "chip": 10,
            "phase": 1,
            "sample": 3,
            "node": 1,
        }
        assert set(data.status.values.ravel()) == {"ok"}
        nominal = circuits.parse(DECK.replace("1n", "10n"))
        chip = (circuits.Saturation(0.2) + circuits.Programming(0.1)).chip(
            nominal, seed=0, number=7
        )
        drives = {"V1": np.array([0.0, 0.25, 1.0])}
        expected, rest = (
            circuits.Ngspice().operating_points(one, drives).voltage.values
            for one in (chip, nominal)
        )
        point = data.isel({"programming.spread": 1, "models.d.saturation": 1, "chip": 7})
        np.testing.assert_allclose(point.voltage.values[0], expected, rtol=0, atol=1e-11)
        np.testing.assert_allclose(
            point.largest_error.values, np.abs(expected - rest)[:, 0], rtol=0, atol=1e-11
        )
        np.testing.assert_allclose(
            point.node_error.values, np.sqrt(np.mean((expected - rest) ** 2)), rtol=0, atol=1e-11
        )
        assert point.node_error.item() > 1e-4


def test_killed_at_random_moments_and_resumed(undisturbed, tmp_path):
    """Interrupted, ended and killed during random jobs: no worker stays, what is there is whole,
    and the end is the same.
    """
    ways = [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
    kills = 20 if IN_FULL else 3
    moments = random.Random(0)
    out, file = tmp_path / "run", undisturbed.parent / "sweep.toml"
    for how, status in (*ways, *[(signal.SIGKILL, -signal.SIGKILL)] * kills):
        before = len(list(out.glob("jobs/*.job")))
        process = subprocess.Popen(
            ["sh", "-c", HEARING, *command(file, out)], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        wanted = before + max(
            moments.randrange(40 // (kills + 4)), how == signal.SIGINT
        )  # before that Python may not listen yet
        while process.poll() is None and len(list(out.glob("jobs/*.job"))) < wanted:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        working = children(process.pid)
        process.send_signal(how)
        assert process.wait() == status
        assert within(GRACE, lambda pids=working: not any(map(alive, pids)))
        for path in out.glob("jobs/*.job"):
            assert record(out, path.stem) is not None
    assert not (out / "results.nc").exists()
    done = ended(command(file, out))
    assert done.returncode == 0, done.stderr
    assert "from before" in done.stdout
    assert results(out) == results(undisturbed)


STOPPED = """
import sys
sys.path[:0] = {path!r}
from helpers.sweep_problems import DECLARED, Endless
from circuits.sweeps import sweep
simulator = Endless({marks!r}, outside={outside})
sweep(out={out!r}, workers=2, **{{**DECLARED, "simulator": simulator}})
"""


@pytest.mark.parametrize("outside", [False, True], ids=["Python", "outside"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_a_sweep_whatever_it_computes(tmp_path, how, outside):
    """Two workers at jobs without end, which listen to nothing where they compute in a library."""
    marks, out, working = tmp_path / "marks", tmp_path / "run", []
    code = STOPPED.format(path=sys.path, marks=str(marks), outside=outside, out=str(out))
    process = subprocess.Popen(
        ["sh", "-c", HEARING, sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        assert within(60, lambda: marks.exists() and len(marks.read_text().split()) == 2)
        working += map(int, marks.read_text().split())
        assert sorted(working) == sorted(children(process.pid))
        assert all(map(alive, working))
        process.send_signal(how)
        assert process.wait(2 * GRACE) != 0
        assert within(2 * GRACE, lambda: not any(map(alive, working)))
    finally:
        for pid in (process.pid, *working):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert len(marks.read_text().split()) == 2  # no job was begun after the end
    assert jobs(out) == {}
    assert not list(out.glob("**/*.partial"))
    with RunStore.own(out):  # its folder is free
        pass


def test_a_disk_that_is_full_stops_and_a_larger_one_goes_on(undisturbed, tmp_path):
    """A real one of 100 kB, which holds a part of the jobs."""
    disk, kept, file = tmp_path / "disk", tmp_path / "kept", undisturbed.parent / "sweep.toml"
    arguments = command(file, disk / "run", "--workers", "1")
    done = on_a_small_disk(100_000, disk, kept, arguments, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith(f"circuits: '{disk}/run"), done.stderr
    assert "the disk is full" in done.stderr
    assert "what was kept until then is whole" in done.stderr
    assert 1 < len(jobs(kept / "run")) < 40
    assert not list(kept.glob("**/*.partial"))
    done = ended(command(file, kept / "run"))
    assert done.returncode == 0, done.stderr
    assert results(kept / "run") == results(undisturbed)


def limited(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(("size", "kept"), [(20_000, 1), (90_000, 2)])
def test_a_full_disk_stops_with_a_name_and_nothing_torn(tmp_path, simulator, size, kept):
    """The second job, or the results, are larger than a file may be."""
    file = problem(tmp_path)
    for name, count in (("few.csv", 3), ("many.csv", 2500)):
        (tmp_path / name).write_text("\n".join(["V1", *(f"{k / count}" for k in range(count)), ""]))
    text = SWEEP.partition("[data.drives]")[0].replace("10", "1")
    file.write_text(
        f'{text}[data]\nfile = "few.csv"\n[axes]\ndata.file = ["few.csv", "many.csv"]\n'
    )
    done = ended(command(file, tmp_path / "run", "--workers", "1"), preexec_fn=limited(size))
    assert done.returncode == 1
    assert done.stderr.startswith(f"circuits: '{tmp_path}/run"), done.stderr
    assert "what was kept until then is whole" in done.stderr
    assert len(jobs(tmp_path / "run")) == kept
    assert not list((tmp_path / "run").glob("**/*.partial"))
    assert not (tmp_path / "run/results.nc").exists()
    with ThreadPoolExecutor(1) as executor:
        for name in ("run", "apart"):
            sweep(file, out=tmp_path / name, resume=True, executor=executor)
    assert results(tmp_path / "run") == results(tmp_path / "apart")


@pytest.mark.parametrize(("deaths", "failed"), [(2, 0), (100, 2)])
def test_a_worker_that_dies_is_replaced(tmp_path, deaths, failed):
    outcome = sweep(
        out=tmp_path / "run",
        workers=1,
        **{**DECLARED, "simulator": Linear(str(tmp_path / "marks"), deaths), "axes": {}},
    )
    assert len(outcome.failed) == failed
    assert all(
        reason.startswith("3 workers were lost") and "SIGKILL" in reason
        for reason in outcome.failed.values()
    )
    assert (
        len(jobs(tmp_path / "run")) == 2 - failed
    )  # the death of workers says nothing of the job: it is tried again
    with outcome.dataset() as data:
        assert set(data.status.values.ravel()) == {"failed" if failed else "ok"}


def test_a_worker_of_a_cluster_that_is_killed_changes_no_bit(undisturbed, tmp_path):
    """A real scheduler and two workers on loopback, one of which is killed during a job."""
    distributed = pytest.importorskip("distributed")
    nowhere = {"threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, **nowhere) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())

        @contextmanager
        def deadly(plan):
            def report(progress):
                if progress.done == 5:
                    os.kill(pids[0], signal.SIGKILL)

            yield report

        outcome = sweep(
            undisturbed.parent / "sweep.toml",
            out=tmp_path,
            dask=cluster.scheduler_address,
            progress=deadly,
        )
        assert pids[0] not in client.run(os.getpid).values()
    assert not outcome.failed
    assert results(tmp_path) == results(undisturbed)


def test_what_is_no_cluster_is_refused(tmp_path):
    with pytest.raises(
        SweepError,
        match="`dask` must be the address of a scheduler, as tcp://host:8786, or local:4, "
        "but is 'local'",
    ):
        sweep(out=tmp_path, dask="local", **DECLARED)


def left():
    """Open file descriptors and child processes."""
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="],
        capture_output=True,
        text=True,
        check=False,
    )
    return len(list(Path("/proc/self/fd").iterdir())), [
        line for line in children.stdout.splitlines() if "ps" not in line
    ]


def test_nothing_is_left_behind(tmp_path):
    """No file descriptor and no process, after a run to the end and after one that is stopped."""

    def stopped(plan):
        raise KeyboardInterrupt

    before = left()
    sweep(out=tmp_path / "one", workers=2, **DECLARED)
    with pytest.raises(KeyboardInterrupt):
        sweep(out=tmp_path / "two", workers=2, progress=stopped, **DECLARED)
    assert left() == before


SIDE = 100


@pytest.mark.skipif(not IN_FULL, reason="ten thousand points")
def test_memory_does_not_grow_with_the_points(tmp_path):
    """In no process, from the first tenth of the points to the last; nothing is left behind."""
    sizes = []

    @contextmanager
    def watched(plan):
        def report(progress):
            if progress.done in (progress.total // 10, progress.total - 10):
                sizes.append(sorted(resident(pid) for pid in ["self", *workers()]))

        yield report

    before = left()
    values = [(k + 1) * 1e-5 for k in range(SIDE)]
    axes = {"elements.Rtop.siemens": values, "elements.Rbottom.siemens": values}
    outcome = sweep(
        out=tmp_path,
        workers=2,
        progress=watched,
        **{**DECLARED, "axes": axes, "chips": 1, "variation": None},
    )
    assert left() == before
    assert not outcome.failed
    early, late = sizes
    assert len(early) == len(late) == 3
    assert max(b - a for a, b in zip(early, late, strict=True)) < 8e6, (early, late)  # bytes
    with outcome.dataset() as data:
        assert data.voltage.size == SIDE**2 * 2
        np.testing.assert_allclose(
            data.voltage.values[0, :, 0, 0, 1, 0], 1 / (1 + np.arange(1, SIDE + 1)), rtol=1e-9
        )


def workers():
    listing = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "circuits.sweeps.workers"],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split()


def resident(pid):
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
