"""Attacks by a program that stands for ngspice: it hangs, prints for ever, or outlives Python."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.netlists import divider, program, raw_body
from helpers.processes import alive, within

import circuits
from circuits.simulators import ngspice_decks, processes
from circuits.simulators.raw import RawError, read

ANSWER = raw_body(["v(mid)"], [0.25])
LINUX = sys.platform == "linux"


def seconds_of(run):
    """How long a run takes, and the error that it ends in, if any."""
    start = time.monotonic()
    try:
        run()
    except circuits.SimulationError as error:
        return time.monotonic() - start, str(error)
    return time.monotonic() - start, ""


# --- a child that outlives Python


KILLED = """
import sys
sys.path[:0] = {path!r}
from helpers.netlists import divider
import circuits
circuits.Ngspice(command={command!r}, timeout=600.0).operating_points(divider())
"""


@pytest.mark.skipif(not LINUX, reason="the parent-death signal is Linux's")
def test_a_child_dies_with_python_and_its_folder_is_swept(tmp_path, monkeypatch):
    """`kill -9` of Python: ngspice ends at once, and the next process removes its folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    fake = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600").command
    code = KILLED.format(path=sys.path, command=fake)
    python = subprocess.Popen([sys.executable, "-c", code])
    pid = tmp_path / "pid"
    assert within(60, lambda: pid.is_file() and pid.read_text().strip())
    child = int(pid.read_text())
    assert alive(child)
    folders = list((tmp_path / "tmp").glob("circuits-*"))
    assert len(folders) == 1

    processes._sweep.cache_clear()
    processes._sweep(str(tmp_path / "tmp"))
    assert folders[0].is_dir()  # the control: a folder in use stays
    python.send_signal(signal.SIGKILL)
    python.wait()
    assert within(5, lambda: not alive(child))
    processes._sweep.cache_clear()
    processes._sweep(str(tmp_path / "tmp"))
    assert not folders[0].exists()


STAYING = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from helpers.netlists import WAVES, divider
import circuits
simulator = circuits.Ngspice(command={command!r}, timeout=600.0)
simulator.operating_points(divider())
simulator.operating_points(divider(), WAVES)
"""
NAPS = """
import os, subprocess, sys
if "-p" not in sys.argv:
    os.execv({ngspice!r}, ["ngspice", *sys.argv[1:]])
for line in sys.stdin:
    if line.startswith("echo"):
        print(line[5:], end="", flush=True)
    if line.startswith("run"):
        open({pid!r}, "w").write(str(os.getpid()))
        while True:
            pass
"""


@pytest.mark.skipif(not LINUX, reason="the parent-death signal is Linux's")
def test_a_process_that_stays_dies_with_python_in_the_midst_of_a_deck(
    tmp_path, monkeypatch, simulator
):
    """`kill -9` of Python while the process that has answered before computes without end."""
    del simulator
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    pid, command = tmp_path / "pid", tmp_path / "ngspice"
    text = NAPS.format(ngspice=shutil.which("ngspice"), pid=str(pid))
    command.write_text(f"#!{sys.executable}\n{text}")
    command.chmod(0o755)
    code = STAYING.format(path=sys.path, command=str(command))
    python = subprocess.Popen([sys.executable, "-c", code])
    assert within(60, lambda: pid.is_file() and pid.read_text().strip())
    child = int(pid.read_text())
    assert alive(child)
    (folder,) = (tmp_path / "tmp").glob("circuits-*")
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "deck.cir"]
    python.send_signal(signal.SIGKILL)
    python.wait()
    assert within(5, lambda: not alive(child))
    processes._sweep.cache_clear()
    processes._sweep(str(tmp_path / "tmp"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_only_our_own_folders_are_swept(tmp_path):
    """Folders without our lock, links, and a lock that is a link, stay."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".lock").touch()
    (tmp_path / "circuits-ngspice-a").mkdir()
    (tmp_path / "circuits-ngspice-b").symlink_to(precious)
    (tmp_path / "circuits-ngspice-c").mkdir()
    (tmp_path / "circuits-ngspice-c" / ".lock").symlink_to(precious / ".lock")
    (tmp_path / "circuits-ngspice-d").mkdir()
    (tmp_path / "circuits-ngspice-d" / ".lock").touch()  # the control: left by a killed process
    processes._sweep(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "circuits-ngspice-a",
        "circuits-ngspice-b",
        "circuits-ngspice-c",
        "precious",
    ]
    assert (precious / ".lock").exists()


def test_the_processor_time_of_a_child_is_limited(tmp_path):
    """Whatever happens to Python, a loop without end has an end of its own."""
    body = f"ulimit -t > {tmp_path}/limit; {ANSWER}"
    program(tmp_path, body).operating_points(divider())
    assert (tmp_path / "limit").read_text().strip() == "3"  # a second above the time limit of 2 s


def test_a_child_whose_python_is_gone_does_not_start(tmp_path):
    """Between fork and the parent-death signal Python may die: the shell looks once more."""
    marker = tmp_path / "ran"
    words = processes._launcher(5.0)
    words[words.index(str(os.getpid()))] = "1"  # a parent that it does not have
    ended = subprocess.run([*words, "/bin/sh", "-c", f"touch {marker}"], check=False)
    assert ended.returncode == 1
    assert not marker.exists()


# --- what hangs, or holds the pipe


@pytest.mark.parametrize("detached", [False, True])
def test_a_grandchild_that_holds_the_output_stretches_no_answer(tmp_path, detached):
    """ngspice ends with its answer at once, but a process that it left keeps its output open."""
    start = "setsid sleep 8" if detached else "sleep 8"
    body = f"{start} & echo $! > {tmp_path}/pid; {ANSWER}"
    seconds, message = seconds_of(lambda: program(tmp_path, body).operating_points(divider()))
    assert (seconds < 1.9, message) == (True, "")
    pid = int((tmp_path / "pid").read_text())
    assert detached or within(2, lambda: not alive(pid))
    if alive(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("detached", [False, True])
def test_a_grandchild_that_holds_the_output_stretches_no_limit(tmp_path, detached):
    """ngspice hangs, and so does the process that it started: both end at the limit of 2 s."""
    start = "setsid sleep 30" if detached else "sleep 30"
    body = f"{start} & echo $! > {tmp_path}/pid; wait"
    seconds, message = seconds_of(lambda: program(tmp_path, body).operating_points(divider()))
    assert "did not end within the time limit of 2.0 s" in message
    assert 2 <= seconds < 3.5
    pid = int((tmp_path / "pid").read_text())
    assert detached or within(2, lambda: not alive(pid))
    if alive(pid):
        os.kill(pid, signal.SIGKILL)


def test_without_a_file_for_the_exit_the_limits_hold_too(tmp_path, monkeypatch):
    """As on macOS and on old Linux: the process is looked at again and again."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert (
        seconds_of(lambda: program(tmp_path, f"sleep 8 & {ANSWER}").operating_points(divider()))[1]
        == ""
    )
    closed = f"exec >&- 2>&-; sleep 0.3; {ANSWER}"  # no output, long before its end
    point = program(tmp_path, closed).operating_points(divider())
    assert point.status.values.tolist() == ["ok"]
    seconds, message = seconds_of(lambda: program(tmp_path, "sleep 30").operating_points(divider()))
    assert "time limit of 2.0 s" in message
    assert seconds < 3.5


# --- what prints and writes for ever


@pytest.mark.parametrize("text", ["out of luck, once more", "e" * 5000])
def test_a_program_that_prints_for_ever_fills_no_memory(tmp_path, text):
    fake = program(tmp_path, f"yes '{text}'")
    fake = circuits.Ngspice(command=fake.command, timeout=60.0)
    seconds, message = seconds_of(lambda: fake.operating_points(divider()))
    assert f"may print {processes.LARGEST_LOG} bytes, but printed more; it began: " in message
    assert text[:100] in message
    assert len(message) < 500
    assert seconds < 20


def test_a_program_that_writes_for_ever_fills_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LARGEST_FILE", 2**20)
    size = tmp_path / "size"
    body = (
        f"(trap '' XFSZ; yes > out.raw 2>/dev/null); wc -c < out.raw > {size}; exec yes > out.raw"
    )
    with pytest.raises(circuits.SimulationError, match="may write 1048576 bytes to a file"):
        program(tmp_path, body).operating_points(divider())
    assert int(size.read_text()) == 2**20


def test_the_search_for_errors_is_linear_in_a_lines_length(tmp_path):
    """Logs as long as they may be: in one line, in empty lines, in words that nearly match."""
    most = processes.LARGEST_LOG
    for log in (
        "x" * most,
        "\n" * most,
        " " * most,
        "no such " * (most // 8),
        "timestep " * (most // 9),
        "vsweep_counter " * (most // 15),
    ):
        start = time.process_time()
        assert ngspice_decks._error_line(log) == ""
        assert ngspice_decks._UNSOLVED.search(log) is None
        assert ngspice_decks._remaining(0, 4, 0, log) == [(0, 2), (2, 4)]
        assert time.process_time() - start < 8
    late = "x" * most + "\nvoltages\nFatal error: out of luck\n"
    assert ngspice_decks._error_line(late) == "Fatal error: out of luck"  # the control
    assert ngspice_decks._error_line("a: " + "y " * 9 + "no such vector b").startswith("a: y")


def test_a_number_without_end_in_the_log_is_no_sample():
    """Python refuses to read numbers of more than 4,300 digits."""
    log = f"timestep too small; vsweep_counter = {'1' * 5000}"
    assert ngspice_decks._remaining(0, 4, 0, log) == [(0, 2), (2, 4)]
    log = "timestep too small; vsweep_counter = 2"
    assert ngspice_decks._remaining(0, 4, 0, log) == [(0, 2), (3, 4)]  # the control


# --- results that are none


@pytest.mark.parametrize(
    "make",
    ["mkfifo out.raw", "ln -s /dev/zero out.raw", "mkdir out.raw", "ln -s out.raw out.raw"],
)
def test_a_result_that_is_no_file_is_no_result(tmp_path, make):
    seconds, message = seconds_of(lambda: program(tmp_path, make).operating_points(divider()))
    assert "gave no result for 'Divider'" in message
    assert seconds < 2


HEAD = (
    b"Title: x\nPlotname: p\nFlags: real\nNo. Variables: 1\nNo. Points: %s\n"
    b"Variables:\n\t0\tv(a)\tvoltage\nBinary:\n"
)


@pytest.mark.parametrize("points", [b"-5", b"9" * 5000, b"nan", b"1e3", b""])
def test_a_count_of_points_that_is_none_is_said(points):
    with pytest.raises(RawError, match="header is damaged"):
        read(HEAD % points + bytes(80))


def test_a_result_of_many_plots_is_read_once(tmp_path):
    """Linear in their number, and in the blanks of a header."""
    one = HEAD % b"1" + np.array([0.5]).tobytes()
    start = time.process_time()
    plots = read(one * 40_000)
    assert len(plots) == 40_000
    assert {float(plot.values["v(a)"][0]) for plot in plots} == {0.5}
    assert time.process_time() - start < 5
    start = time.process_time()
    with pytest.raises(RawError):
        read(b"Title: " + b" \t" * 500_000 + b"x\n")
    assert time.process_time() - start < 2


def test_a_signal_without_a_name_is_said(tmp_path):
    with pytest.raises(circuits.SimulationError, match="was ended by signal 40"):
        program(tmp_path, "kill -40 $$").operating_points(divider())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: circuits.Ngspice(timeout="5"), "`timeout` must be a number above 0, but is '5'"),
        (lambda: circuits.Ngspice(timeout=None), "`timeout` must be a number above 0, but is None"),
        (lambda: circuits.Ngspice(timeout=np.nan), "`timeout` must be above 0, but is nan"),
        (lambda: circuits.Ngspice(tolerance=True), "`tolerance` must be a number above 0"),
        (lambda: circuits.NgspiceShared(tolerance="x"), "`tolerance` must be a number above 0"),
        (lambda: circuits.Ngspice(command=None), "`command` must name a program, but is None"),
        (lambda: circuits.Ngspice(command=""), "`command` must name a program, but is ''"),
    ],
)
def test_arguments_that_are_no_numbers_are_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- numbers around points that do not exist


@pytest.mark.parametrize("own", [False, True], ids=["ngspice", "Nodal"])
def test_there_is_no_noise_and_no_response_around_a_point_that_is_not_certified(simulator, own):
    """Both are questions about an operating point: a saddle, or none at all, has no answer."""
    if own:
        simulator = circuits.Nodal()
    saddle = divider(circuits.Transconductance("nudge", "0", "mid", "0", "mid", -5e-3))
    # (1 - v)/1k + 2m (1 + v²) flows into the node at every v
    without = circuits.parse("None\nV1 in 0 1\nR1 in mid 1k\nB1 0 mid i=2m*(1+v(mid)^2)\n.end\n")
    for netlist, status in ((saddle, "saddle"), (without, "failed|uncertified")):
        with pytest.raises(circuits.SimulationError, match=rf"must be certified.*({status})"):
            simulator.noise(netlist, ["mid"], lowest=1.0, highest=10.0)
        with pytest.raises(circuits.SimulationError, match=rf"must be certified.*({status})"):
            simulator.small_signal(netlist, lowest=1.0, highest=10.0)
    assert float(simulator.noise(divider(), ["mid"], lowest=1.0, highest=10.0).deviation[0]) > 0
