"""Images of handwritten digits and the like, with their classes."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from .idx_files import DataError, find, read
from .splits import Data, Split, hold_out


def digits(seed: int = 0, *, validation: int = 0) -> Data:
    """Return scikit-learn's handwritten digits: images of 8×8 pixels in [−1, 1] and their class.

    Of 1,797 images 1,437 are for training and 360 for testing, drawn so that each class has the
    same share of both. (Alpaydin & Kaynak 1998, UCI repository; part of scikit-learn.)

    **Arguments:**

    - `seed`: draws the split.
    - `validation`: how many of the training examples are held out, each class in its share. The
      test set does not depend on it.

    **Returns** `x` (examples, 64) and `y` int32 (examples), the classes 0 to 9.

    **Raises** `ValueError` where `validation` leaves nothing to train on.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    train, test = train_test_split(
        np.arange(len(labels)), test_size=360, random_state=seed, stratify=labels
    )
    x, y = pixels / 8 - 1, labels.astype(np.int32)
    kept, *held = (
        Split(x[train[rows]], y[train[rows]]) for rows in hold_out(y[train], validation, seed)
    )
    return Data(kept, Split(x[test], y[test]), *held)


def idx(
    folder: str | os.PathLike[str],
    *,
    classes: int = 10,
    validation: int = 0,
    seed: int = 0,
    low: float = 0.0,
    high: float = 1.0,
) -> Data:
    """Return the data in a folder of four IDX files, as MNIST, Fashion-MNIST and KMNIST come.

    The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, each gzipped if its name ends in `.gz`. A byte p becomes
    x = low + (high − low) · p/255.

    **Arguments:**

    - `folder`: the folder.
    - `classes`: labels go from 0 to below it.
    - `validation`: how many training examples are held out, each class in its share.
    - `seed`: draws which are held out.
    - `low`, `high`: what black and white become.

    **Returns** `x` float32 (examples, pixels) and `y` int32 (examples).

    **Raises** `DataError` with the name of the file for one that is missing, corrupt, short or
    long, for labels that do not fit the images or `classes`, and for test images of another size;
    `ValueError` for `low` and `high` that are not finite and ascending, and where `validation`
    leaves nothing to train on.
    """
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"`low` must be below `high`, both finite, but they are {low} and {high}")
    folder = Path(folder)
    pixels, labels = _read(folder, "train", classes)
    test_pixels, test_labels = _read(folder, "t10k", classes)
    if pixels.shape[1:] != test_pixels.shape[1:]:
        sizes = " and ".join("{}×{}".format(*images.shape[1:]) for images in (pixels, test_pixels))
        raise DataError(
            f"{folder} must hold training and test images of one size, but they have {sizes} pixels"
        )

    kept, *held = (
        Split(_scaled(pixels[rows], low, high), labels[rows])
        for rows in hold_out(labels, validation, seed)
    )
    return Data(kept, Split(_scaled(test_pixels, low, high), test_labels), *held)


def mnist(*, validation: int = 0, seed: int = 0, low: float = 0.0, high: float = 1.0) -> Data:
    """Return MNIST, from the folder `mnist` in the one that the variable `EQPROP_DATA` names.

    60,000 images of 28×28 pixels for training and 10,000 for testing. (LeCun, Cortes & Burges 1998,
    The MNIST database.)

    **Arguments:**

    - `validation`, `seed`, `low`, `high`: as for `idx`.

    **Returns** `x` float32 (examples, 784) and `y` int32 (examples).

    **Raises** `DataError` where the environment variable is not set or the folder is missing, and
    as `idx` does.
    """
    root = os.environ.get("EQPROP_DATA")
    if not root or not (folder := Path(root) / "mnist").is_dir():
        raise DataError(
            "the environment variable `EQPROP_DATA` must name a folder that holds the folder "
            f"`mnist` with the four IDX files, but is {repr(root) if root else 'not set'}; "
            "or give a folder of IDX files to `eqprop.data.idx`"
        )
    return idx(folder, validation=validation, seed=seed, low=low, high=high)


def _read(
    folder: Path, part: str, classes: int
) -> tuple[UInt8[np.ndarray, "examples rows columns"], Int32[np.ndarray, " examples"]]:
    """Return the images and labels of one part of the data, `train` or `t10k`."""
    labels_path, images_path = (
        find(folder, f"{part}-{kind}-ubyte") for kind in ("labels-idx1", "images-idx3")
    )
    labels = read(labels_path, dimensions=1)
    if (largest := labels.max()) >= classes:
        raise DataError(
            f"{labels_path} must hold labels below {classes}, "
            f"but holds {largest} at {int(np.argmax(labels))}"
        )
    images = read(images_path, dimensions=3)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path} must hold a label for each of the {len(images)} images of "
            f"{images_path.name}, but holds {len(labels)}"
        )
    return images, labels.astype(np.int32)


def _scaled(
    images: UInt8[np.ndarray, "examples rows columns"], low: float, high: float
) -> Float32[np.ndarray, "examples pixels"]:
    """Return each image as a row of numbers, 0 becoming `low` and 255 `high`."""
    x = images.reshape(len(images), -1).astype(np.float32)
    # In place: no second array of 188 MB; and 255 becomes 1 exactly.
    x /= 255
    x *= high - low
    x += low
    return x
