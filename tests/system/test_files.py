"""Files are written whole or not at all, read within a limit, and their folders left clean."""

import fcntl
import os

import numpy as np
import pytest

import circuits
from eqprop.archives import read_arrays
from eqprop.files import Folder, OutsideError, output_folder, read_below, read_bytes, write
from eqprop.locks import InUseError, hold

DIVIDER = circuits.parse("Divider\nV1 in 0 1\nR1 in mid 1k\nR2 mid 0 1k\n.end\n")


def test_a_file_is_whole_or_not_there(tmp_path):
    path = DIVIDER.save(tmp_path / "net.cir")
    assert path.read_text() == DIVIDER.spice()

    def breaks(fresh):
        fresh.write_text("half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write(path, breaks)
    assert path.read_text() == DIVIDER.spice()
    assert [p.name for p in tmp_path.iterdir()] == ["net.cir"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"`out` must be a folder that can be written, but .* is not"
    ):
        output_folder(tmp_path / "file")
    with pytest.raises(ValueError, match="`out` must be a folder that can be written"):
        output_folder("/proc/demo")


def test_the_rest_of_a_killed_process_is_removed(tmp_path):
    for name in (".a.npz.1f.partial", ".b.npz.2e.partial", ".a.npz", "a.partial.txt"):
        (tmp_path / name).write_text("")
    with Folder.open(tmp_path) as folder:
        folder.remove_partial("a.npz")
        assert sorted(folder.names()) == [".a.npz", ".b.npz.2e.partial", "a.partial.txt"]
        folder.remove_partial()
        assert sorted(folder.names()) == [".a.npz", "a.partial.txt"]


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "out.txt").symlink_to(tmp_path / "target")
    write(tmp_path / "out.txt", lambda fresh: fresh.write_text("new"))
    assert not (tmp_path / "out.txt").is_symlink()
    assert (tmp_path / "out.txt").read_text() == "new"
    assert (tmp_path / "target").read_text() == "kept"


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "data").write_bytes(b"12345")
    assert read_bytes(tmp_path / "data", most=5) == b"12345"
    with pytest.raises(OSError, match=r"must be a file of at most 4 bytes, but .* has more"):
        read_bytes(tmp_path / "data", most=4)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"must be a regular file, but .* is a device, a pipe"):
        read_bytes(tmp_path / "pipe", most=5)


def test_a_file_below_a_folder_is_read(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/inner/data").write_bytes(b"12345")
    (tmp_path / "other").write_bytes(b"outside")
    (tmp_path / "folder/link").symlink_to("inner/data")
    (tmp_path / "folder/leaving").symlink_to(tmp_path / "other")
    (tmp_path / "way").symlink_to("folder")
    for name in ("inner/data", "inner/../inner/data", "link", str(tmp_path / "folder/link")):
        assert read_below(tmp_path / "way", name, most=5) == b"12345"
    for name in ("../other", "leaving", str(tmp_path / "other"), ".", "", "inner/.."):
        with pytest.raises(OutsideError, match=r"must be of a file in .* or below, but is"):
            read_below(tmp_path / "way", name, most=9)
    with pytest.raises(OSError, match="must be a file of at most 4 bytes"):
        read_below(tmp_path / "way", "link", most=4)
    with pytest.raises(OSError, match="must be a regular file"):
        read_below(tmp_path / "way", "inner", most=4)


def test_a_lock_has_one_holder_and_leaves_nothing(tmp_path):
    with Folder.open(tmp_path) as folder:
        for _ in range(2):
            with hold(folder, "lock"):
                assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
                with pytest.raises(InUseError, match=f"process {os.getpid()} on "):
                    hold(folder, "lock").__enter__()
                assert folder.names() == ["lock"]
            assert folder.names() == []
        (tmp_path / "lock").write_text("a process that was killed\n" * 9)
        with hold(folder, "lock"):
            assert "killed" not in (tmp_path / "lock").read_text()


def test_a_lock_that_is_removed_while_it_is_waited_for_is_none(tmp_path, monkeypatch):
    """Its holder removes it after another has opened it: that one must lock a new file."""
    flock, removed = fcntl.flock, []

    def remove_and_lock(descriptor, operation):
        if not removed:
            (tmp_path / "lock").unlink()
            removed.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    with Folder.open(tmp_path) as folder, hold(folder, "lock"):
        assert folder.names() == ["lock"]
        with pytest.raises(InUseError):
            hold(folder, "lock").__enter__()


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_a_lock_is_a_plain_file(tmp_path, kind):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "inner").mkdir()
    lock = tmp_path / "inner/lock"
    if kind == "link":
        lock.symlink_to(tmp_path / "target")
    elif kind == "hard link":
        lock.hardlink_to(tmp_path / "target")
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with (
        Folder.open(tmp_path / "inner") as folder,
        pytest.raises(OSError, match="lock' must be a plain file"),
    ):
        hold(folder, "lock").__enter__()
    assert (tmp_path / "target").read_text() == "kept"
    assert os.path.lexists(lock)


@pytest.mark.parametrize("kind", ["U1", "M8[s]", "i4, f8"])
def test_an_archive_holds_plain_numbers(kind, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.zeros(3, kind))
    with pytest.raises(ValueError, match=r"'y\.npy' must hold plain numbers, but holds"):
        read_arrays((tmp_path / "a.npz").read_bytes(), most=10_000)
