"""Checkpoints: arrays and facts in one file, written whole or not at all, read whole or refused."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from ..archives import read_arrays
from ..files import Folder, read_bytes

FORMAT, VERSION = "eqprop checkpoint", 1
MOST_BYTES = 2**32
"""Of a file, unless the caller knows better."""
_DIGEST = 64
"""Hexadecimal digits of SHA-256."""


Schema = TypeVar("Schema")


class CheckpointError(ValueError):
    """A file is no whole checkpoint, or one of another run, or another training writes it."""


class _Head(msgspec.Struct):
    """What every checkpoint says."""

    format: str
    version: int


def write(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write an uncompressed `.npz` of `arrays` and, as JSON in its array `facts`, of `facts`.

    The file ends with the SHA-256 of all bytes before it, which is the comment of the ZIP archive
    that an `.npz` is. What stood at `path` stays until it is complete and flushed to the disk.

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
    content = buffer.getbuffer()
    content[-_DIGEST:] = hashlib.sha256(content[:-_DIGEST]).hexdigest().encode()
    with Folder.open(path.parent) as folder:
        folder.write(path.name, content)


def read(
    path: Path, facts: type[Schema], most: int = MOST_BYTES
) -> tuple[dict[str, np.ndarray], Schema]:
    """Return the arrays and facts of a file that `write` has written.

    **Arguments:**

    - `path`: the file.
    - `facts`: what the file must say, besides what all checkpoints do.
    - `most`: how many bytes the file may have.

    **Returns** the arrays by name, and the facts.

    **Raises** `CheckpointError`, naming the file, where it cannot be read, is too large, truncated,
    corrupt or no checkpoint, of another version, or says anything else than `facts`.
    """
    try:
        content = read_bytes(path, most=most)
    except OSError as error:
        raise CheckpointError(
            f"`checkpoint` must be a file that can be read, but {path} is not: "
            f"{error.strerror or error}"
        ) from error
    return decode(content, path, facts)


def decode(content: bytes, path: Path, facts: type[Schema]) -> tuple[dict[str, np.ndarray], Schema]:
    """Return the arrays and facts in the content of a file; `read` says more.

    **Arguments:**

    - `content`: of the file.
    - `path`: what errors call it.
    - `facts`: what the file must say, besides what all checkpoints do.
    """
    body, digest = memoryview(content)[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError(
            f"`checkpoint` must be a whole checkpoint, but {path} is truncated, corrupt, or "
            "another kind of file"
        )

    try:
        arrays = read_arrays(content, most=len(content))
        text = arrays.pop("facts").tobytes()
        head = msgspec.json.decode(text, type=_Head)
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"`checkpoint` must be a checkpoint, but {path} is another kind of file: {error}"
        ) from error
    if (head.format, head.version) != (FORMAT, VERSION):
        raise CheckpointError(
            f"`checkpoint` must be {FORMAT!r} version {VERSION}, but {path} is {head.format!r} "
            f"version {head.version}"
        )
    try:
        return arrays, msgspec.json.decode(text, type=facts)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} must say what its kind does, but: {error}") from error


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
        value = jnp.asarray(restored_array(arrays, f"{name}/{i}", _plain(leaf)))
        if is_key(leaf):
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
        restored.append(value)
    if f"{name}/{len(leaves)}" in arrays:
        raise CheckpointError(
            f"`{name}` of the checkpoint must have the {len(leaves)} leaves of this run's, "
            "but has more"
        )
    return jax.tree.unflatten(structure, restored)


def restored_array(arrays: Mapping[str, np.ndarray], key: str, like: np.ndarray) -> np.ndarray:
    """Return one array of a file.

    **Arguments:**

    - `arrays`: the arrays of the file.
    - `key`: its name.
    - `like`: an array of the same shape and dtype.

    **Raises** `CheckpointError` where there is none, or one of another shape or dtype.
    """
    array = arrays.get(key)
    # NumPy's format knows bfloat16 and its like only as bytes.
    known = like.dtype if like.dtype.kind != "V" else np.dtype(f"V{like.dtype.itemsize}")
    if array is None or array.shape != like.shape or array.dtype != known:
        what = "is missing" if array is None else f"is {array.dtype}{list(array.shape)}"
        raise CheckpointError(
            f"{key!r} of the checkpoint must be as of this run, {known}{list(like.shape)}, "
            f"but {what}"
        )
    return array.view(like.dtype)


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is an array of typed random keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    """Return an array of NumPy; of typed random keys their data."""
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
