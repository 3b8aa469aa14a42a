"""ngspice processes that stay: same answers as one deck each, and one that dies loses nothing."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from helpers.netlists import JUNCTION, WAVES, divider, program, pumped, raw_body

import circuits
from circuits.simulators import ngspice_process
from circuits.simulators.ngspice_process import POOL, StayingProcess
from circuits.simulators.processes import program_path

DIODE = divider(circuits.Diode("d", "mid", "0", JUNCTION))
HOT = replace(DIODE, temperature=400.0, options="reltol=1e-4")


@pytest.fixture
def processes(simulator, monkeypatch):
    """ngspice's processes that start in a test."""
    started = []

    class Noted(StayingProcess):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self)

    POOL.close()
    simulator.operating_points(DIODE)  # ngspice is known from here on
    POOL.close()
    monkeypatch.setattr(ngspice_process, "StayingProcess", Noted)
    yield started
    POOL.close()


def alone(simulator, netlist, drives=None):
    """What a process that runs one deck answers."""

    class Alone(type(simulator)):
        def _answer(self, text, title, meanwhile):
            del meanwhile
            return self._alone(text, title)

    return Alone(simulator.command).operating_points(netlist, drives)


def kill(process):
    """End a process, and come back when it has ended."""
    os.kill(process._process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process._process.pid, os.WEXITED | os.WNOWAIT)


def test_one_process_answers_deck_after_deck_as_a_process_each_does(simulator, processes):
    """To the last bit; the temperature and the tolerances of one deck are not those of the next."""
    for netlist in (DIODE, HOT, DIODE, divider()):
        for drives in (WAVES, None):
            points = simulator.operating_points(netlist, drives)
            expected = alone(simulator, netlist, drives)
            np.testing.assert_array_equal(points.voltage, expected.voltage)
            np.testing.assert_array_equal(points.status, expected.status)
            assert netlist is HOT or set(points.status.values) == {"ok"}  # its tolerances are wide
    assert len(processes) == 1
    assert processes[0].decks == 8
    cold, hot = (simulator.operating_points(n, WAVES).voltage for n in (DIODE, HOT))
    assert float(np.abs(cold - hot).max()) > 1e-3  # the control: it does make a difference


def test_currents_are_read_too(simulator, processes):
    deck = replace(
        DIODE, elements=(*DIODE.elements, circuits.CurrentGain("m", "0", "mid", "Vin", 0.1))
    )
    points, expected = simulator.operating_points(deck, WAVES), alone(simulator, deck, WAVES)
    np.testing.assert_array_equal(points.voltage, expected.voltage)
    assert len(processes) == 1


def test_a_point_that_is_given_up_is_found_by_a_process_of_its_own(simulator, processes):
    amperes = np.array([1e-6, 2e-6, -5e-6, 3e-6, 4e-6])
    points = simulator.operating_points(pumped(), {"Iin": amperes})
    assert points.status.values.tolist() == ["ok", "ok", "failed", "ok", "ok"]
    after = simulator.operating_points(DIODE, WAVES)
    np.testing.assert_array_equal(after.voltage, alone(simulator, DIODE, WAVES).voltage)
    assert len(processes) == 1


def test_a_process_that_dies_is_replaced_and_nothing_is_lost(simulator, processes, monkeypatch):
    simulator.operating_points(DIODE, WAVES)
    kill(processes[0])
    points = simulator.operating_points(DIODE, WAVES)
    assert set(points.status.values) == {"ok"}
    assert len(processes) == 2

    do = StayingProcess._do

    def dies_of_it(process, *arguments):
        if process.decks:
            kill(process)
        return do(process, *arguments)

    monkeypatch.setattr(StayingProcess, "_do", dies_of_it)
    points = simulator.operating_points(DIODE, WAVES)
    assert set(points.status.values) == {"ok"}
    assert len(processes) == 3
    folders = [process._folder for process in processes]
    assert not any(folder.exists() for folder in folders)


def test_a_process_has_a_life_and_a_large_deck_its_own(simulator, processes, monkeypatch):
    monkeypatch.setattr(ngspice_process, "LIFE", 2)
    for _ in range(4):
        simulator.operating_points(DIODE, WAVES)
    assert [process.decks for process in processes] == [2, 2]
    monkeypatch.setattr(ngspice_process, "LARGEST_DECK", 100)
    simulator.operating_points(DIODE, WAVES)
    assert len(processes) == 2


def test_threads_have_a_process_each(simulator, processes):
    gate, errors = threading.Barrier(2), []

    def work():
        gate.wait()
        for _ in range(5):
            points = simulator.operating_points(DIODE, WAVES)
            errors.append(float(np.abs(points.voltage - expected).max()))

    expected = alone(simulator, DIODE, WAVES).voltage
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [0.0] * 10
    # A process ends with the thread that started it, and its deck is then asked for again.
    assert sum(process.decks for process in processes) >= 10


FORK = """
import os, sys
sys.path[:0] = {path!r}
from helpers.netlists import divider
from circuits.simulators.ngspice_process import POOL
import circuits
simulator, idle = circuits.Ngspice(), lambda: [p for group in POOL._idle.values() for p in group]
for _ in range(2):
    simulator.operating_points(divider())
process, = idle()
child = os.fork()
if child == 0:
    os._exit(len(idle()))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
simulator.operating_points(divider())
assert idle() == [process] and process.decks == 2
"""


def test_a_fork_leaves_the_processes_to_its_parent(simulator):
    """In a Python without JAX, whose threads do not like forks."""
    subprocess.run([sys.executable, "-c", FORK.format(path=sys.path)], check=True, timeout=60)


INTERACTIVE = """if [ "$2" = -p ]; then
  while read -r word rest; do case $word in echo) echo "$rest";; run) {run};; esac; done
else {body}; fi"""


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("sleep 60", "did not end within the time limit of 2.0 s"),
        ("yes", "may print 16777216 bytes, but printed more; it began: "),
    ],
)
def test_a_process_that_hangs_is_ended(tmp_path, run, message):
    body = raw_body(["v(mid)"], [0.25])
    fake = program(tmp_path, INTERACTIVE.format(run=f"echo $$ > {tmp_path}/pid; {run}", body=body))
    fake.operating_points(divider())
    with pytest.raises(circuits.SimulationError, match=message):
        fake.operating_points(divider())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_takes_no_commands_runs_one_deck_each(tmp_path):
    fake = program(tmp_path, f"echo >> {tmp_path}/runs; {raw_body(['v(mid)'], [0.25])}")
    for _ in range(3):
        assert set(fake.operating_points(divider()).status.values) == {"ok"}
    assert program_path(fake.command) in POOL._refused
    assert len((tmp_path / "runs").read_text()) == 4  # once it was asked to stay


def test_a_wrong_answer_of_a_process_that_stays_is_not_certified(tmp_path):
    right, wrong = (raw_body(["v(mid)"], [volts]) for volts in (0.25, 0.26))
    fake = program(tmp_path, INTERACTIVE.format(run=wrong, body=right))
    statuses = [fake.operating_points(divider()).status.item() for _ in range(2)]
    assert statuses == ["ok", "uncertified"]
