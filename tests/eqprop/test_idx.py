"""Files from outside are checked before they are believed; what was written is read."""

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.data import rows, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import eqprop as ep
from eqprop.data import DataError
from eqprop.data.idx_files import MOST_BYTES, read

ROOT = Path(__file__).parents[2]
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = NAMES
PACK = {"": bytes, ".gz": lambda raw: gzip.compress(raw, mtime=0)}
ENDINGS = pytest.mark.parametrize("ending", PACK)
EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def idx_bytes(array, kind=8):
    """Return an IDX file as its definition says, written without the code under test."""
    return (
        bytes((0, 0, kind, array.ndim))
        + np.array(array.shape, ">u4").tobytes()
        + array.astype(np.uint8).tobytes()
    )


def arrays(n=12, test=5, rows=2, columns=3):
    random = np.random.default_rng(0)
    return {
        IMAGES: random.integers(0, 256, (n, rows, columns)),
        LABELS: np.arange(n) % 10,
        TEST_IMAGES: random.integers(0, 256, (test, rows, columns)),
        TEST_LABELS: np.arange(test),
    }


def write(folder, contents, ending=""):
    """Write the four files into `folder`: bytes as they are, and nothing for `None`."""
    for name, content in contents.items():
        if content is not None:
            raw = content if isinstance(content, bytes) else PACK[ending](idx_bytes(content))
            (folder / (name + ending)).write_bytes(raw)
    return folder


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, ending):
    """By its name in a folder, and where it takes the name of a file that was found."""
    write(tmp_path, arrays(), ending)
    path = tmp_path / (LABELS + ending)
    path.unlink()
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        pipe = path if kind == "pipe" else tmp_path / "pipe"
        os.mkfifo(pipe)
        if pipe != path:
            path.symlink_to(pipe)
    with pytest.raises(DataError, match=f"must hold the file {LABELS}"):
        ep.data.idx(tmp_path)
    with pytest.raises(DataError, match="must be a regular file"):
        read(path, 1)


def test_a_file_may_be_reached_by_a_link(tmp_path):
    """The control of the test above."""
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", arrays())
    (tmp_path / "way").symlink_to("folder")
    (tmp_path / "folder" / LABELS).rename(tmp_path / "labels")
    (tmp_path / "folder" / LABELS).symlink_to(tmp_path / "labels")
    assert len(ep.data.idx(tmp_path / "way").train.y) == 12


@pytest.fixture
def mnist_root(monkeypatch):
    """Return the folder with `mnist`: that of `EQPROP_DATA`, or `../shared/data`."""
    places = [Path(os.environ[name]) for name in ("EQPROP_DATA",) if os.environ.get(name)] + [
        ROOT.parent / "shared" / "data"
    ]
    for place in places:
        if (place / "mnist").is_dir():
            monkeypatch.setenv("EQPROP_DATA", str(place))
            return place
    pytest.skip(f"MNIST is in none of {[str(place) for place in places]}; set EQPROP_DATA")


def test_mnist_is_what_is_known_of_it(mnist_root):
    data = ep.data.mnist()
    assert data.validation is None
    assert (data.train.x.shape, data.test.x.shape) == ((60000, 784), (10000, 784))
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int32)
    assert np.mean(data.train.x, dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert np.std(data.train.x, dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)
    assert (data.train.x.min(), data.train.x.max()) == (0, 1)
    assert np.bincount(data.train.y).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(data.test.y).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]  # in the order of the file


def test_mnist_with_a_validation_set(mnist_root):
    data = ep.data.mnist(validation=5000, seed=3, low=-1)
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (55000, 5000, 10000)
    assert np.bincount(data.validation.y) + np.bincount(data.train.y) == pytest.approx(
        np.bincount(ep.data.mnist().train.y)
    )
    assert np.bincount(data.validation.y) / 5000 == pytest.approx(
        np.bincount(data.train.y) / 55000, abs=4e-4
    )
    assert (data.validation.x.min(), data.validation.x.max()) == (-1, 1)


@ENDINGS
@EXAMPLES
@given(data=st.data())
def test_what_was_written_is_read(ending, data, tmp_path):
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    contents = {}
    for images, labels in ((IMAGES, LABELS), (TEST_IMAGES, TEST_LABELS)):
        n = data.draw(st.integers(1, 6))
        contents[images] = data.draw(hnp.arrays(np.uint8, (n, rows, columns)))
        contents[labels] = data.draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 9)))
    dataset = ep.data.idx(write(tmp_path, contents, ending))
    for split, images, labels in (
        (dataset.train, IMAGES, LABELS),
        (dataset.test, TEST_IMAGES, TEST_LABELS),
    ):
        assert (split.x.dtype, split.y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(
            np.round(split.x * 255), contents[images].reshape(len(split), -1)
        )
        np.testing.assert_array_equal(split.y, contents[labels])


def test_bytes_become_the_range_that_is_asked_for(tmp_path):
    contents = arrays()
    contents[IMAGES].flat[:2] = 0, 255
    folder = write(tmp_path, contents)
    data = ep.data.idx(folder, low=-1, high=3)
    assert data.train.x.flat[0] == -1
    assert data.train.x.flat[1] == 3
    np.testing.assert_allclose(
        data.test.x, -1 + 4 * contents[TEST_IMAGES].reshape(5, 6) / 255, rtol=0, atol=1e-6
    )
    for low, high in ((1, 1), (1, 0), (np.nan, 1), (0, np.inf)):
        with pytest.raises(
            ValueError, match="`low` must be below `high`, both finite, but they are"
        ):
            ep.data.idx(folder, low=low, high=high)


def test_a_plain_file_comes_before_a_gzipped_one_and_both_may_be_in_one_folder(tmp_path):
    contents = arrays()
    expected = ep.data.idx(write(tmp_path, contents, ".gz"))
    assert same(ep.data.idx(str(tmp_path)), expected)
    write(tmp_path, {TEST_IMAGES: 255 - contents[TEST_IMAGES]})
    np.testing.assert_allclose(ep.data.idx(tmp_path).test.x, 1 - expected.test.x, atol=1e-6)


@ENDINGS
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_file_cut_short_anywhere_is_an_error(ending, name, tmp_path):
    write(tmp_path, arrays(), ending)
    path = tmp_path / (name + ending)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=name):
            ep.data.idx(tmp_path)
    path.write_bytes(whole)
    ep.data.idx(tmp_path)  # the control: whole it is read


@ENDINGS
def test_a_file_that_goes_on_is_an_error(ending, tmp_path):
    contents = arrays()
    contents[IMAGES] = PACK[ending](idx_bytes(contents[IMAGES]) + b"\0")
    with pytest.raises(
        DataError,
        match=rf"{IMAGES}.* must hold 72 elements \(12 × 2 × 3\) after its header, but goes on",
    ):
        ep.data.idx(write(tmp_path, contents, ending))


@pytest.mark.parametrize("name", NAMES)
def test_any_changed_byte_of_a_header_is_an_error(name, tmp_path):
    contents = arrays()
    write(tmp_path, contents)
    whole = (tmp_path / name).read_bytes()
    for at in range(4 + 4 * contents[name].ndim):
        for bit in range(8):
            (tmp_path / name).write_bytes(
                whole[:at] + bytes((whole[at] ^ 1 << bit,)) + whole[at + 1 :]
            )
            with pytest.raises(DataError):
                ep.data.idx(tmp_path)


@ENDINGS
@EXAMPLES
@given(
    name=st.sampled_from(NAMES),
    noise=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_random_corruption_is_an_error_or_other_numbers(ending, name, noise, tmp_path):
    write(tmp_path, arrays(), ending)
    path = tmp_path / (name + ending)
    raw = bytearray(path.read_bytes())
    for at, change in noise:
        raw[at % len(raw)] ^= change
    path.write_bytes(raw)
    try:
        data = ep.data.idx(tmp_path)
    except DataError:
        return
    assert (data.train.x.shape, data.test.x.shape) == ((12, 6), (5, 6))
    assert 0 <= data.train.x.min() <= data.train.x.max() <= 1
    assert 0 <= data.train.y.min() <= data.train.y.max() <= 9


def test_a_changed_byte_in_a_gzip_stream_is_seen_though_it_could_be_a_pixel(tmp_path):
    folder = write(tmp_path, arrays(), ".gz")
    path = folder / f"{IMAGES}.gz"
    raw = bytearray(
        gzip.compress(idx_bytes(arrays()[IMAGES]), compresslevel=0)
    )  # stored, so that a byte in the file is a pixel
    path.write_bytes(raw)
    ep.data.idx(folder)
    raw[-20] ^= 1
    path.write_bytes(raw)
    with pytest.raises(
        DataError, match=f"{IMAGES}.gz must be a whole gzip file, but is broken: CRC check failed"
    ):
        ep.data.idx(folder)


def packed(array, kind=8):
    return idx_bytes(np.asarray(array), kind)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({IMAGES: None}, f"must hold the file {IMAGES} or {IMAGES}.gz, but holds neither"),
        (
            {TEST_LABELS: None},
            f"must hold the file {TEST_LABELS} or {TEST_LABELS}.gz, but holds neither",
        ),
        (
            {LABELS: packed(np.zeros(12), kind=13)},
            f"{LABELS} must start with the bytes 00 00 08 01 .* but starts with 00 00 0d 01",
        ),
        (
            {IMAGES: packed(np.zeros(72))},
            r"must start with the bytes 00 00 08 03 \(unsigned bytes in 3 dimensions\), "
            "but .* 00 00 08 01",
        ),
        (
            {IMAGES: b"\1" + packed(np.zeros(72))[1:]},
            f"{IMAGES} must start with the bytes 00 00 08 03",
        ),
        ({IMAGES: b"PNG"}, f"{IMAGES} must start with the bytes"),
        (
            {IMAGES: b"\0\0\x08\3\0\0"},
            f"{IMAGES} must start with a header of 16 bytes, but ends after 6",
        ),
        (
            {IMAGES: gzip.compress(b"")},
            f"{IMAGES} must start with the bytes 00 00 08 03 .*, but starts with 1f 8b 08",
        ),
        ({IMAGES: b""}, f"{IMAGES} must start with a header of 16 bytes, but ends after 0"),
        (
            {IMAGES: packed(np.zeros((0, 2, 3)))},
            f"must hold from 1 to {MOST_BYTES} elements, but its header says 0 × 2 × 3",
        ),
        (
            {IMAGES: packed(np.zeros((11, 2, 3)))},
            f"{LABELS} must hold a label for each of the 11 images of {IMAGES}, but holds 12",
        ),
        (
            {TEST_LABELS: packed(np.zeros(6))},
            f"{TEST_LABELS} must hold a label for each of the 5 images of {TEST_IMAGES}, "
            "but holds 6",
        ),
        (
            {LABELS: packed(np.arange(12))},
            f"{LABELS} must hold labels below 10, but holds 11 at 11",
        ),
        (
            {TEST_LABELS: packed([0, 1, 255, 0, 1])},
            f"{TEST_LABELS} must hold labels below 10, but holds 255 at 2",
        ),
        (
            {TEST_IMAGES: packed(np.zeros((5, 3, 2)))},
            "must hold training and test images of one size, but they have 2×3 and 3×2 pixels",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(change, message, tmp_path):
    with pytest.raises(DataError, match=message) as error:
        ep.data.idx(write(tmp_path, arrays() | change))
    assert str(tmp_path) in str(error.value)


def test_a_file_that_is_not_gzipped_but_is_called_so(tmp_path):
    write(tmp_path, arrays() | {IMAGES: idx_bytes(arrays()[IMAGES])}, ".gz")
    with pytest.raises(
        DataError, match=f"{IMAGES}.gz must be a whole gzip file, but is broken: Not a gzipped file"
    ):
        ep.data.idx(tmp_path)


def test_more_classes_are_allowed_when_asked_for(tmp_path):
    folder = write(tmp_path, arrays() | {LABELS: np.arange(12)})
    np.testing.assert_array_equal(ep.data.idx(folder, classes=12).train.y, np.arange(12))


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="none must be a folder with IDX files, but is missing"):
        ep.data.idx(tmp_path / "none")
    with pytest.raises(DataError, match="file must be a folder with IDX files, but is a file"):
        ep.data.idx(tmp_path / "file")


def peak_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(4)) + bytes(2**25)))

    def refused():
        with pytest.raises(
            DataError, match=r"must hold 4 elements \(4\) after its header, but goes on"
        ):
            read(path, dimensions=1)

    assert peak_of(refused) < 2**21
    assert peak_of(lambda: gzip.decompress(path.read_bytes())) > 2**25  # the control: it is one


@pytest.mark.parametrize(
    "shape", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (2**31, 2**31, 4), (MOST_BYTES, 1, 2)]
)
def test_a_promise_beyond_reason_is_not_allocated(shape, tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(b"\0\0\x08\3" + np.array(shape, ">u4").tobytes())

    def refused():
        with pytest.raises(DataError, match=f"but its header says {shape[0]} × "):
            read(path, dimensions=3)

    assert peak_of(refused) < 2**21


def test_mnist_is_found_by_the_environment_variable(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    folder = write(tmp_path / "mnist", arrays(), ".gz")
    monkeypatch.setenv("EQPROP_DATA", str(tmp_path))
    assert same(ep.data.mnist(), ep.data.idx(folder))
    assert same(ep.data.mnist(low=-1), ep.data.idx(folder, low=-1))
    for value, message in (
        (None, "but is not set"),
        ("", "but is not set"),
        (str(folder), f"but is '{folder}'"),
    ):
        monkeypatch.setenv("EQPROP_DATA", value) if value is not None else monkeypatch.delenv(
            "EQPROP_DATA"
        )
        with pytest.raises(
            DataError, match="`EQPROP_DATA` must name a folder that holds the folder `mnist`"
        ) as error:
            ep.data.mnist()
        assert f"{message}; or give a folder of IDX files to `eqprop.data.idx`" in str(error.value)


def test_a_validation_set_of_idx_is_taken_from_the_training_set(tmp_path):
    folder = write(tmp_path, arrays(n=40))
    whole, parted = ep.data.idx(folder), ep.data.idx(folder, validation=10)
    assert whole.validation is None
    assert parted.validation is not None
    assert (len(parted.train), len(parted.validation)) == (30, 10)
    assert rows(parted.train) | rows(parted.validation) == rows(whole.train)
    assert not rows(parted.train) & rows(parted.validation)
    np.testing.assert_array_equal(np.bincount(parted.validation.y), np.ones(10))
    where = {row.tobytes(): y for row, y in zip(whole.train.x, whole.train.y, strict=True)}
    assert all(
        where[row.tobytes()] == y
        for row, y in zip(parted.validation.x, parted.validation.y, strict=True)
    )
    assert same(ep.data.idx(folder, validation=10), parted)
    assert not same(ep.data.idx(folder, validation=10, seed=1), parted)
    with pytest.raises(
        ValueError, match="`validation` must be a whole number from 0 to 39, but is 40"
    ):
        ep.data.idx(folder, validation=40)
