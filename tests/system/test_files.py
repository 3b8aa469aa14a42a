"""Files are written whole or not at all, read within a limit, and their folders left clean."""

import os

import numpy as np
import pytest

import circuits
from eqprop.archives import read_arrays
from eqprop.files import Folder, output_folder, read_bytes, write

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


@pytest.mark.parametrize("kind", ["U1", "M8[s]", "i4, f8"])
def test_an_archive_holds_plain_numbers(kind, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.zeros(3, kind))
    with pytest.raises(ValueError, match=r"'y\.npy' must hold plain numbers, but holds"):
        read_arrays((tmp_path / "a.npz").read_bytes(), most=10_000)
