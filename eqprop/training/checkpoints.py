"""Checkpoints: arrays and facts in one file, written whole or not at all, read whole or refused."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

FORMAT, VERSION = "eqprop checkpoint", 1
_DIGEST = 64
"""Hexadecimal digits of SHA-256."""


class CheckpointError(ValueError):
    """A file is no whole checkpoint, or it is one of another run."""


def write(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write an uncompressed `.npz` of `arrays` and, as JSON in its array `facts`, of `facts`.

    The file ends with the SHA-256 of all bytes before it, which is the comment of the ZIP archive
    that an `.npz` is. It is written beside `path` as `path`.partial, flushed to the disk, and put
    in place in one step; until then what stood at `path` stays.

    **Arguments:**

    - `path`: the file, in a folder that exists.
    - `arrays`: arrays of NumPy by name, none of them called `facts`.
    - `facts`: what JSON can hold, by name.

    **Raises** `OSError` where the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, "version": VERSION, "jax": jax.__version__, **facts})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, facts=np.frombuffer(text.encode(), np.uint8), **arrays)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = bytes(_DIGEST)
    body = buffer.getbuffer()[:-_DIGEST]

    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(body)
        file.write(hashlib.sha256(body).hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)  # noqa: PTH105 - the name of what is atomic
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flush the renaming itself; only where a folder can be opened (POSIX)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and facts of a file that `write` has written.

    **Arguments:**

    - `path`: the file.

    **Returns** the arrays by name and the facts by name, among them `format`, `version` and `jax`.

    **Raises** `CheckpointError`, naming the file, where it cannot be read, is truncated, corrupt or
    no checkpoint, or of another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"`checkpoint` must be a file that can be read, but {path} is not: {error.strerror}"
        ) from error
    body, digest = memoryview(content)[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError(
            f"`checkpoint` must be a whole checkpoint, but {path} is truncated, corrupt, or "
            "another kind of file"
        )

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(arrays.pop("facts").tobytes())
        kind = facts["format"], facts["version"]
    except (KeyError, TypeError, AttributeError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"`checkpoint` must be a checkpoint, but {path} is another kind of file"
        ) from error
    if kind != (FORMAT, VERSION):
        raise CheckpointError(
            f"`checkpoint` must be {FORMAT!r} version {VERSION}, but {path} is {kind[0]!r} "
            f"version {kind[1]}"
        )
    return arrays, facts


def to_arrays(tree: Any, name: str) -> dict[str, np.ndarray]:
    """Return the array leaves of a pytree as plain arrays, called `name`/0, `name`/1 and so on.

    **Arguments:**

    - `tree`: a pytree whose leaves are arrays, typed random keys among them.
    - `name`: what the names begin with.
    """
    return {f"{name}/{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def from_arrays(arrays: Mapping[str, np.ndarray], name: str, like: Any) -> Any:
    """Return the pytree of which `to_arrays` has made arrays.

    **Arguments:**

    - `arrays`: the arrays, and perhaps others.
    - `name`: what the names of the leaves begin with.
    - `like`: a pytree of the same structure, shapes and dtypes.

    **Raises** `CheckpointError` where the arrays do not fit `like`.
    """
    leaves, structure = jax.tree.flatten(like)
    restored = []
    for i, leaf in enumerate(leaves):
        expected, array = _plain(leaf), arrays.get(f"{name}/{i}")
        if (
            array is None
            or array.shape != expected.shape
            or array.dtype.itemsize != expected.dtype.itemsize
        ):
            raise CheckpointError(
                f"`{name}` of the checkpoint must have the leaves of this run's, but differs in "
                f"leaf {i}"
            )
        # NumPy's format knows bfloat16 and its like only as bytes.
        value = jnp.asarray(array.view(expected.dtype))
        if is_key(leaf):
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
        restored.append(value)
    if f"{name}/{len(leaves)}" in arrays:
        raise CheckpointError(
            f"`{name}` of the checkpoint must have the {len(leaves)} leaves of this run's, "
            "but has more"
        )
    return jax.tree.unflatten(structure, restored)


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is an array of typed random keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    """Return an array of NumPy; of typed random keys their data."""
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
