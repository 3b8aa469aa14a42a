"""Attacks on sweeps: hostile declarations, run folders and neighbours.

Nothing runs, nothing outside is touched, nothing takes long, and errors say what is refused.
"""

import contextlib
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from helpers.sweep_problems import DECK, SWEEP, jobs, problem, record, results, run

import circuits
import circuits.commands.cli
from circuits.sweeps import StorageError, SweepError, estimate, load, loading, merge, sweep
from circuits.sweeps.declaration import MAX_POINTS, Declaration
from circuits.sweeps.loading import _columns, _content
from circuits.sweeps.measures import STATUSES
from circuits.sweeps.plan import Plan
from circuits.sweeps.store import RunStore
from eqprop.training import CheckpointError

OPEN = Path("/proc/self/fd")
SECRET = b"what stood here before"
QUICK = 20.0
"""Seconds within which anything hostile must be refused, on a machine that is busy."""


@pytest.fixture(autouse=True)
def in_time():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 3 * QUICK


@pytest.fixture
def victim(tmp_path_factory):
    """A file elsewhere, which must stay as it is."""
    path = tmp_path_factory.mktemp("elsewhere") / "victim"
    path.write_bytes(SECRET)
    yield path
    assert path.read_bytes() == SECRET
    assert list(path.parent.iterdir()) == [path]


def refused(toml, folder, match):
    """Whether a declaration is refused, by a run and by a dry run, soon and without a trace."""
    file = folder / "sweep.toml"
    file.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    (folder / "deck.cir").write_text(DECK)
    for act in (lambda: sweep(file, out=folder / "run"), lambda: estimate(file)):
        start = time.monotonic()
        with pytest.raises((SweepError, CheckpointError, OSError), match=match):
            act()
        assert time.monotonic() - start < QUICK
    assert not (folder / "run").exists()


NETWORK = '[network]\ndeck = "deck.cir"\n'
MANY = "[" + ", ".join(map(str, range(3000))) + "]"


@pytest.mark.parametrize(
    ("toml", "match"),
    [
        (f"chips = {10**12}\n{NETWORK}[variation]\nprogramming.spread = 0.1\n", "10,000,000 jobs"),
        (f"chips = {10**4000}\n{NETWORK}", "10,000,000 jobs"),
        (f"chips = 1{'0' * 5000}\n{NETWORK}", "must be a TOML file"),
        (f"{NETWORK}[axes]\nseed = {MANY}\ncycle = {MANY}\n", "1,000,000 points"),
        (f"temperature = true\n{NETWORK}", "`temperature` must be .* above 0 K, but is True"),
        (f"temperature = nan\n{NETWORK}", "`temperature` must be .* above 0 K, but is nan"),
        (f"beta = false\n{NETWORK}", "`beta` must be a finite number, but is False"),
        (f"seed = true\n{NETWORK}", "`seed` must be a whole number"),
        (f"{NETWORK}[axes]\ntemperature = [true, false]\n", "`temperature` must be"),
        (f"{NETWORK}[axes]\ntemperature = [300.0, -1.0]\n", "`temperature` must be"),
        (f"{NETWORK}[axes]\nseed = [0, -1]\n", "`seed` must be a whole number"),
        (f"{NETWORK}[axes]\nprogramming.spread = [nan]\n", "must hold finite numbers"),
        (f"{NETWORK}[variation]\nprogramming.spread = true\n", "must be a number, a word or a"),
        (f"{NETWORK}[variation]\nprogramming = 3\n", "`variation.programming` must be a table"),
        (f"{NETWORK}[elements]\nR1.siemens = true\n", "must be a finite number, but is True"),
        (f"{NETWORK}[elements]\nR1.siemens = inf\n", "must be a finite number, but is inf"),
        (f"{NETWORK}[elements]\nR1 = 3\n", "`elements.R1` must be a table"),
        (f'{NETWORK}[models]\nd.saturation = "x"\n', "must be a finite number, but is 'x'"),
        (f"{NETWORK}[simulator]\ntimeout = true\n", "`simulator.timeout` must be"),
        (f"{NETWORK}[simulator]\ntimeout = -1.0\n", "`simulator.timeout` must be"),
        (f'{NETWORK}[simulator]\ncommand = "/bin/sh"\n', "has no 'command'"),
        (f"{NETWORK}[data]\ndrives = 3\n", "`data` must hold tables of numbers"),
        (f"{NETWORK}[data.drives]\nV1 = [[1.0], [2.0, 3.0]]\n", "`data` must hold numbers"),
        (f"{NETWORK}[data.drives]\nV1 = [true, false]\n", "`data` must hold numbers"),
        (f'{NETWORK}[data.drives]\nV1 = ["a"]\n', "`data` must hold numbers"),
        ("[network]\ndeck = 5\n", "`network.deck` must be a word, but is 5"),
        ("network = 5\n", "`network` must be a table, but is 5"),
        ('network = ["a"]\n', "`network` must be a table, but is .*a"),
        ('[network]\ntrained = "digits"\nhidden = 1000000000\n', "`network.hidden` must be"),
        (f"outputs = {'[' * 100_000}\n", "must be a TOML file"),
        (f"outputs = {'[' * 50}{']' * 50}\n", "must lie at most 20 deep"),
        (f"{'a.' * 100_000}a = 1\n", "lies in twenty tables"),
        (f"[{'a.' * 100_000}a]\n", "lies in twenty tables"),
        (b"\xff\xfe\x00", "must be a TOML file"),
        (f"# {'x' * 2_000_000}\n", "must be a file of at most 1000000 bytes"),
        ('[network]\nfactory = "os:system"\narguments.command = "touch pwned"\n', "trusted"),
    ],
    ids=itertools.count(),
)
def test_a_hostile_declaration_is_refused(tmp_path, toml, match):
    refused(toml, tmp_path, match)


def test_a_million_points_are_no_more_than_that(tmp_path):
    assert MAX_POINTS == 1_000_000
    values = ", ".join(map(str, range(2000)))
    (tmp_path / "sweep.toml").write_text(
        f"{NETWORK}[axes]\nseed = [{values}]\ncycle = [{values}]\n"
    )
    status = circuits.commands.cli.main(["sweep", str(tmp_path / "sweep.toml"), "--dry-run"])
    assert status == 1


@pytest.mark.parametrize("table", ["network.deck", "network.checkpoint", "data.file"])
@pytest.mark.parametrize("way", ["device", "pipe", "above", "absolute", "link"])
def test_a_file_that_is_named_lies_below_and_is_plain(tmp_path, victim, table, way):
    folder = tmp_path / "sweep"
    folder.mkdir()
    ending = {"network.deck": ".cir", "network.checkpoint": ".npz", "data.file": ".csv"}[table]
    name = f"planted{ending}"
    if way == "pipe":
        os.mkfifo(folder / name)
    elif way == "link":
        (folder / name).symlink_to(victim)
    elif way == "above":
        (tmp_path / name).write_bytes(victim.read_bytes())
        name = f"../{name}"
    elif way == "absolute":
        name = str(victim)
    else:
        name = "/dev/zero"
    network = "" if table.startswith("network") else 'network.deck = "deck.cir"\n'
    match = (
        "must be a regular file" if way == "pipe" else "in the folder of the declaration or below"
    )
    refused(f'{network}{table} = "{name}"\n', folder, match)
    if way in ("device", "pipe"):  # trust is in files, not in devices
        with pytest.raises((OSError, ValueError), match=r"must be a (regular file|CSV or an NPZ)"):
            sweep(folder / "sweep.toml", out=folder / "run", trusted=True)


@pytest.mark.parametrize("planted", ["folder", "file"])
def test_a_link_that_is_planted_between_look_and_open_is_not_followed(
    tmp_path, victim, monkeypatch, planted
):
    """A name below the folder is resolved, and only then becomes a link to elsewhere."""
    folder = tmp_path / "sweep"
    (folder / "below").mkdir(parents=True)
    (folder / "below/victim").write_text("V1\n1\n")
    resolve = Path.resolve

    def plant(path, *arguments, **more):
        resolved = resolve(path, *arguments, **more)
        if path.name == "victim" and not (folder / "moved").exists():
            place = folder / "below" if planted == "folder" else folder / "below/victim"
            place.rename(folder / "moved")
            place.symlink_to(victim.parent if planted == "folder" else victim)
        return resolved

    declared = Declaration.of({"network": {"deck": "deck.cir"}}, folder, from_file=True)
    read = partial(_content, "below/victim", "data.file", declared, trusted=False, most=100)
    assert read() == b"V1\n1\n"  # the control
    monkeypatch.setattr(Path, "resolve", plant)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        read()
    assert (folder / "moved").exists()


def test_links_within_the_folder_are_followed(tmp_path):
    problem(tmp_path)
    (tmp_path / "deck.cir").rename(tmp_path / "other.cir")
    (tmp_path / "deck.cir").symlink_to("other.cir")
    assert estimate(tmp_path / "sweep.toml", workers=1).plan.points == 4


def test_a_trusted_declaration_may_name_files_elsewhere(tmp_path):
    """The control of the test above."""
    (tmp_path / "sweep").mkdir()
    problem(tmp_path)
    text = SWEEP.replace("chips = 10", "chips = 1").replace("deck.cir", "../deck.cir")
    (tmp_path / "sweep/sweep.toml").write_text(text)
    with pytest.raises(SweepError, match="say that the sweep is trusted"):
        sweep(tmp_path / "sweep/sweep.toml", out=tmp_path / "run")
    assert estimate(tmp_path / "sweep/sweep.toml", trusted=True, workers=1).plan.points == 4


def npz_bomb(path, kind):
    """A small archive that claims, or unpacks to, more than there is memory for."""
    header = io.BytesIO()
    shape = (10**12,) if kind == "shape" else (150_000_000,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("V1.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        for _ in range(150 if kind == "bytes" else 1):
            file.write(bytes(8_000_000))


@pytest.mark.parametrize("kind", ["shape", "bytes"])
def test_data_that_unpack_to_too_much_are_refused(tmp_path, kind):
    npz_bomb(tmp_path / "data.npz", kind)
    assert (tmp_path / "data.npz").stat().st_size < 3_000_000
    refused(f'{NETWORK}[data]\nfile = "data.npz"\n', tmp_path, "must unpack to at most")


TABLES = {
    "nothing": (b"", "a row of at most .* bytes and rows of numbers"),
    "names alone": (b"V1\n", "a row of at most .* bytes and rows of numbers"),
    "no names": (b"\n1\n", "its first row must be different names"),
    "an empty name": (b"V1,\n1,2\n", "its first row must be different names"),
    "a name twice": (b"V1,V1\n1,2\n", "its first row must be different names"),
    "names without end": (b"V" * 1_000_001 + b"\n1\n", "a row of at most 1000000 bytes"),
    "a short row": (b"V1,label\n1,0\n2\n", "a number in every cell"),
    "a long row": (b"V1\n1\n1,2\n", "a number in every cell"),
    "too few names": (b"V1\n1,2\n3,4\n", "1 names and 2 columns"),
    "words": (b"V1\none\n", "a number in every cell"),
    "an empty cell": (b"V1,label\n1,\n", "a number in every cell"),
    "a comment": (b"V1\n1 # x\n", "a number in every cell"),
    "a quotation without end": (b'V1\n"1\n2\n', "a number in every cell"),
    "a zero byte": (b"V1\n1\0\n", "a number in every cell"),
    "no UTF-8": (b"V1\xff\n1\n", "a number in every cell"),
    "a formula": (b'V1\n"=cmd()"\n', "a number in every cell"),
    "a number without end": (b"V1\n" + b"1" * 100_000 + b"\n", "must be finite"),
    "no number": (b"V1\nnan\n", "must be finite"),
    "no finite number": (b"V1\n1e999\n", "must be finite"),
    "a class that is none": (b"V1,label\n1,nan\n", "must hold classes"),
    "a class without end": (b"V1,label\n1,1e300\n", "must hold classes"),
    "half a class": (b"V1,label\n1,0.5\n", "must hold classes"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_hostile_table_is_refused(tmp_path, case):
    content, match = TABLES[case]
    (tmp_path / "data.csv").write_bytes(content)
    refused(f'{NETWORK}[data]\nfile = "data.csv"\n', tmp_path, match)


def test_a_table_takes_little_more_memory_than_its_numbers(monkeypatch):
    """The control of the above, too: what is well-formed is read."""
    rows = 200_000
    content = b"V1,label\r\n" + b'"1",2\r\n' * rows
    tracemalloc.start()
    columns = _columns("data.csv", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {name: set(column.tolist()) for name, column in columns.items()} == {
        "V1": {1.0},
        "label": {2.0},
    }
    assert len(columns["V1"]) == rows
    assert peak < 6 * len(content)
    monkeypatch.setattr(loading, "MAX_TABLE", len(content) - 1)
    with pytest.raises(SweepError, match=r"data\.csv must have at most 1400009 bytes"):
        _columns("data.csv", content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that has ended."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder, measure=["voltages", "decisions"], outputs=["out"])
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copied"))


FORGED = {
    "format": [1, None, "circuits sweep 1", [], "x" * 100_000],
    "declaration": [None, [], {"a": json.loads("[" * 50 + "]" * 50)}],
    "axes": [
        None,
        {"chip": [1, 2, 3]},
        {"status": [1, 2, 3]},
        {"../../x": [1, 2, 3]},
        {"a\x1b[2J": [1, 2, 3]},
        {"a": [1, 1, 1]},
        {"a": []},
        {"a": [1, 2]},
        {"a": [[1], 2, 3]},
        {"a": [None, 2, 3]},
        {f"a{k}": list(range(100)) for k in range(8)},
    ],
    "chips": [0, -1, 1.5, True, None, "2", 10**12, 10**30, 5_000_000],
    "measures": [["voltage"], ["__class__"], [1], "voltages", [[]]],
    "formats": [["pickle"], ["zarr", 1], None],
    "versions": [{}, {"simulator": 1}, None, {"circuits": "x"}],
    "layouts": [
        [],
        [{}],
        [None],
        [{"nodes": ["out"], "outputs": [], "samples": 10**15, "phases": 1, "classes": None}],
        [{"nodes": ["out"], "outputs": [], "samples": 90_000_000, "phases": 3, "classes": None}],
        [{"nodes": ["out"], "outputs": [], "samples": -1, "phases": 1, "classes": None}],
        [{"nodes": ["out"], "outputs": [], "samples": 2, "phases": 9, "classes": None}],
        [{"nodes": ["out"], "outputs": [], "samples": 2, "phases": 1, "classes": [1]}],
        [{"nodes": ["out"], "outputs": [], "samples": 2, "phases": 1, "classes": [10**12, 0]}],
        [{"nodes": ["a", "a"], "outputs": [], "samples": 2, "phases": 1, "classes": None}],
        [{"nodes": ["a\n"], "outputs": [], "samples": 2, "phases": 1, "classes": None}],
    ],
    "layout": [[0, 0, 7], [0, 0, -1], [0], None, [0.5, 0, 0], [[0], 0, 0]],
    "fingerprints": [
        ["../../../pwned"] * 3,
        ["a" * 63 + "\n"] * 3,
        ["a" * 64 + "\n"] * 3,
        ["A" * 64] * 3,
        ["a" * 64],
        [1, 2, 3],
        "a" * 64,
        None,
    ],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in FORGED.items() for value in values],
    ids=itertools.count(),
)
def test_a_forged_plan_is_refused_and_touches_nothing(copied, victim, field, value, capsys):
    plan = json.loads((copied / "plan.json").read_text())
    (copied / "plan.json").write_text(json.dumps({**plan, field: value}))
    (copied / "shard-1-of-1").symlink_to(copied)
    before = sorted(path.relative_to(copied) for path in copied.rglob("*"))
    for act in (lambda: circuits.report(copied), lambda: merge(copied)):
        with pytest.raises((SweepError, StorageError)):
            act()
    assert circuits.commands.cli.main(["report", str(copied)]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert sorted(path.relative_to(copied) for path in copied.rglob("*")) == before


def test_the_plan_that_was_forged_is_right_as_it_is(copied):
    """The control of the test above."""
    plan = json.loads((copied / "plan.json").read_text())
    assert set(FORGED) == set(plan)
    (copied / "plan.json").write_text(json.dumps(plan))
    assert circuits.report(copied).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[" * 1_000_000, b'{"a":' * 100_000, b"\xff", b'{"format":"\\ud800"}'],
    ids=itertools.count(),
)
def test_what_is_no_plan_is_refused(copied, content):
    (copied / "plan.json").write_bytes(content)
    with pytest.raises(SweepError):
        circuits.report(copied)


def shards(folder):
    for part in (1, 2):
        run(folder, shard=(part, 2))


def test_shards_of_a_forged_run_write_nothing_elsewhere(tmp_path, victim):
    shards(tmp_path / "run")
    for part in (1, 2):
        path = tmp_path / f"run/shard-{part}-of-2/plan.json"
        plan = json.loads(path.read_text())
        (tmp_path / f"run/shard-{part}-of-2/pwned").write_text("x")
        hostile = os.path.relpath(victim.parent / "pwned", tmp_path / "run/jobs")
        path.write_text(json.dumps({**plan, "fingerprints": [hostile] * len(plan["fingerprints"])}))
    with pytest.raises(SweepError, match="a plan must be what a sweep wrote"):
        merge(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["shard-1-of-2", "shard-2-of-2/jobs", "shard-2-of-2/plan.json", "jobs", "failed"]
)
def test_links_among_shards_are_refused(tmp_path, victim, name):
    shards(tmp_path / "run")
    path, moved = tmp_path / "run" / name, tmp_path / "moved"
    if path.exists():
        path.rename(moved)
    else:
        moved.mkdir()
    path.symlink_to(moved)
    with pytest.raises(StorageError):
        merge(tmp_path / "run")


def test_a_shard_of_too_many_is_refused(tmp_path):
    shards(tmp_path / "run")
    (tmp_path / "run/shard-1-of-999999999").mkdir()
    with pytest.raises(StorageError):
        merge(tmp_path / "run")


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path, victim, whole):
    """Its target is left alone: the link is replaced by the file, or the folder is refused."""
    folder = tmp_path / "run"
    names = ["plan.json", "results.nc", "chips.csv", "timings.csv", "report.html"]
    names += [f"{name}.partial" for name in names]
    (folder / "jobs").mkdir(parents=True)
    (folder / "failed").mkdir()
    key = next(iter(jobs(whole))).removesuffix(".job")
    names += [f"jobs/{key}.job", f"failed/{key}.cir", f"jobs/{key}.job.partial"]
    for name in names:
        (folder / name).symlink_to(victim)
    run(folder, measure=["voltages", "decisions"], outputs=["out"], resume=True)
    circuits.report(folder)
    for name in names:
        assert not (folder / name).is_symlink()
    assert results(folder) == results(whole)


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_lock_that_is_no_plain_file_is_refused(tmp_path, victim, kind):
    folder = tmp_path / "run"
    folder.mkdir()
    if kind == "link":
        (folder / "lock").symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(folder / "lock")
    else:
        target = tmp_path / "target"
        target.write_bytes(SECRET)
        (folder / "lock").hardlink_to(target)
    with pytest.raises(StorageError, match="lock' must be a plain file"):
        run(folder)
    if kind == "hard link":
        assert target.read_bytes() == SECRET


@pytest.mark.parametrize("name", ["jobs", "failed"])
def test_a_folder_that_is_a_link_is_refused(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="must be a folder, and no link"):
        run(tmp_path / "run")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["plan.json", "results.nc"])
def test_a_pipe_in_the_place_of_a_file_does_not_stop_a_reader(copied, name):
    (copied / name).unlink()
    os.mkfifo(copied / name)
    with pytest.raises((StorageError, OSError), match=r"must be a (regular|plain) file"):
        circuits.report(copied) if name == "plan.json" else load(copied)


def forge_job(folder, key, change):
    """Write a job of our own, with a checksum that is right, whose record was changed."""
    with RunStore.own(folder) as store:
        plan = store.read_plan()
        place = next(point for point, _, other in plan.jobs() if other == key)
        kept = store.read(key, plan.variables, plan.layout_of(place).sizes)
        arrays = {name: array.copy() for name, array in kept.arrays.items()}
        head = {"seconds": kept.seconds, "failure": kept.failure}
        change(arrays, head)
        store.write(key, type(kept)(arrays, head["seconds"], head["failure"]))


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, head: arrays["status"].fill(len(STATUSES)),
        lambda arrays, head: arrays["status"].fill(-1),
        lambda arrays, head: arrays["attempts"].fill(100),
        lambda arrays, head: arrays["decision"].fill(-7),
        lambda arrays, head: arrays.update(voltage=np.zeros(1000)),
        lambda arrays, head: arrays.update(extra=np.zeros(1)),
        lambda arrays, head: arrays.pop("voltage"),
        lambda arrays, head: head.update(seconds=-1.0),
        lambda arrays, head: head.update(seconds="long"),
    ],
    ids=itertools.count(),
)
def test_a_forged_job_counts_as_missing(copied, change):
    key = next(iter(jobs(copied))).removesuffix(".job")
    before = results(copied)
    forge_job(copied, key, change)
    assert record(copied, key) is None
    assert "1 of 6 jobs are missing" in circuits.report(copied).read_text()
    run(copied, measure=["voltages", "decisions"], outputs=["out"], resume=True)
    assert results(copied) == before


def test_what_a_forged_job_says_is_neither_html_nor_obeyed_by_a_terminal(copied, capsys):
    key = next(iter(jobs(copied))).removesuffix(".job")
    words = (
        '"><meta http-equiv="refresh" content="0;url=http://example.org">\x1b]0;pwned\x07\x1b[2J'
    )
    forge_job(copied, key, lambda arrays, head: head.update(failure=words))
    page = circuits.report(copied).read_text()
    assert '<meta http-equiv="refresh"' not in page
    assert page.count('http-equiv="Content-Security-Policy"') == 1
    outcome = run(copied, measure=["voltages", "decisions"], outputs=["out"], resume=True)
    assert list(outcome.failed) == [key]
    assert all("\x1b" not in line and "\x07" not in line for line in outcome.lines())
    assert f'href="failed/{key}.cir"' in page


@pytest.mark.parametrize("kind", ["text", "no status", "words", "numbers", "link"])
def test_a_hostile_dataset_is_refused(copied, victim, kind):
    path = copied / "results.nc"
    if kind == "text":
        path.write_bytes(b"CDF\x05" + b"\xff" * 1000)
    elif kind == "link":
        path.unlink()
        path.symlink_to(victim)
    else:
        path.unlink()
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("chip", 10**9 if kind == "words" else 2)
            name = "voltage" if kind == "no status" else "status"
            values = file.createVariable(name, "f8" if kind == "words" else "i1", ("chip",))
            if kind == "numbers":
                values[:] = [0, 77]
    with pytest.raises((OSError, SweepError)):
        load(copied)


def test_a_dataset_that_is_swapped_while_it_is_opened_is_not_read(copied, victim, monkeypatch):
    """What was looked at is what NetCDF's library opens, whatever has its name by then."""
    path, dataset = copied / "results.nc", netCDF4.Dataset

    class Swapped(dataset):
        def __init__(self, opened, *arguments, **more):
            path.rename(copied / "moved.nc")
            path.symlink_to(victim)
            super().__init__(opened, *arguments, **more)

    with load(copied) as data:
        expected = data.voltage.values
    monkeypatch.setattr(netCDF4, "Dataset", Swapped)
    with load(copied) as data:
        np.testing.assert_array_equal(data.voltage.values, expected)
    assert path.is_symlink()


def test_a_dataset_holds_no_file_open_after_its_end(copied):
    before = len(list(OPEN.iterdir()))
    with load(copied) as data:
        assert data.sizes["chip"] == 2
        assert len(list(OPEN.iterdir())) > before  # the control: it is read when it is asked for
    assert len(list(OPEN.iterdir())) == before


def test_a_clock_that_goes_back_breaks_no_run(tmp_path, whole, monkeypatch):
    """To 1970 at once, and every other clock by an hour at each look."""
    looks = itertools.count()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(0))
    monkeypatch.setattr(time, "perf_counter", lambda: -3600.0 * next(looks))
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    outcome = run(tmp_path / "run", measure=["voltages", "decisions"], outputs=["out"])
    assert outcome.lines() == [f"results are in {tmp_path / 'run'}"]
    assert results(tmp_path / "run") == results(whole)
    for name in jobs(tmp_path / "run"):
        assert record(tmp_path / "run", name.removesuffix(".job")).seconds == 0.0


def test_an_interrupt_of_a_report_is_one_line(copied, monkeypatch, capsys):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("circuits.commands.sweep.summarize", interrupted)
    assert circuits.commands.cli.main(["report", str(copied)]) == 130
    assert capsys.readouterr().err == "circuits: interrupted\n"


STRANGER = """
import asyncio, sys
from distributed import Client
try:
    Client(sys.argv[1], timeout=3).submit(lambda: open(sys.argv[2], "w").close()).result(3)
except (OSError, ValueError, RuntimeError, TypeError, asyncio.TimeoutError) as error:
    sys.exit(7)
"""


def test_a_local_cluster_is_closed_to_others(tmp_path):
    """No port of it answers a browser, and a client without its certificate runs nothing."""
    pytest.importorskip("distributed")
    pytest.importorskip("cryptography")
    psutil = pytest.importorskip("psutil")
    from circuits.sweeps.cluster import cluster

    with cluster("local:1") as (executor, width):
        assert width == 1
        assert executor.submit(os.getpid).result() != os.getpid()
        address = executor._client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        ports = [
            connection.laddr
            for process in family
            for connection in process.net_connections("tcp")
            if connection.status == "LISTEN"
        ]
        assert ports
        for ip, port in ports:
            assert ip == "127.0.0.1"
            assert answer(port) == b""
        for stranger in (address, address.replace("tls", "tcp")):
            arguments = [sys.executable, "-c", STRANGER, stranger, str(tmp_path / "pwned")]
            assert subprocess.run(arguments, capture_output=True, check=False).returncode != 0
    assert list(tmp_path.iterdir()) == []


def answer(port):
    """What a port says to a browser."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(2)
        try:
            return connection.recv(1000)
        except (TimeoutError, ConnectionError):
            return b""


def test_damaged_files_are_refused_or_read(copied):
    """A thousand random damages: a plan is refused by an error of ours, a job counts as missing."""
    random, content = np.random.default_rng(0), (copied / "plan.json").read_bytes()
    key = next(iter(jobs(copied))).removesuffix(".job")
    job, plan = copied / f"jobs/{key}.job", Plan.decode(content)
    whole_job, sizes = job.read_bytes(), plan.layouts[0].sizes
    whole_archive = io.BytesIO()
    np.savez(whole_archive, V1=np.zeros(3))
    archive = whole_archive.getvalue()
    with RunStore.open(copied) as store:
        for _ in range(1000):
            with contextlib.suppress(SweepError):
                Plan.decode(damaged(content, random))
            job.write_bytes(damaged(whole_job, random))
            assert store.read(key, plan.variables, sizes) is None
            with contextlib.suppress(SweepError):
                _columns("data.npz", damaged(archive, random))


def damaged(content, random):
    """A content with a byte changed, some bytes lost, or some put in."""
    place, byte = int(random.integers(len(content))), int(random.integers(1, 256))
    changed = bytes([content[place] ^ byte])
    lost = int(random.integers(1, 20))
    return [
        content[:place] + changed + content[place + 1 :],
        content[:place] + content[place + lost :],
        content[:place] + random.bytes(lost) + content[place:],
    ][int(random.integers(3))]
