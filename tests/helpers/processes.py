"""Processes that tests start, watch and end."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

DISK = """
mount -t tmpfs -o size="$1" none "$2" || exit 99
disk="$2" kept="$3"
shift 3
"$@"
status=$?
cp -a "$disk/." "$kept"
exit $status
"""
"""Runs a command with a small disk at a folder, and keeps in another what it has left there."""


def alive(pid):
    """Whether a process runs; a zombie, which nobody has waited for yet, does not."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def within(seconds, condition):
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def children(pid):
    """Return the numbers of the processes that a process has started."""
    listing = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listing.stdout.split()]


def on_a_small_disk(size, disk, kept, command, **more):
    """Run a command with an empty disk of some bytes at the folder `disk`, copied to `kept`.

    It needs a namespace of its own, in which a user may mount; where there are none, the test is
    skipped.
    """
    for folder in (disk, kept):
        folder.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("unshare, which makes a place for a small disk, is not installed")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", DISK, "sh", str(size), str(disk), str(kept), *command],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    return done
