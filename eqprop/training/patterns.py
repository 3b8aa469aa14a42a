"""Parameters by name: their paths, and settings given by glob patterns of them."""

import fnmatch
from collections.abc import Mapping
from typing import Any

import jax


def paths(params: Any) -> list[str]:
    """The paths by which parameters are named in `rates`, e.g. `conductances.0`, in the order of the leaves."""
    return [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]


def by_pattern(params: Any, values: Mapping[str, Any], default: Any, argument: str) -> Any:
    """A pytree like `params` with, at each leaf, the value of the pattern that its path matches, else `default`.

    Raises `ValueError`, naming `argument`, for a pattern that matches nothing and for a parameter that two patterns match.
    """
    names = paths(params)
    for pattern in values:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"`{argument}` must name parameters, but {pattern!r} matches none of {names}"
            )
    found = []
    for name in names:
        matching = [pattern for pattern in values if fnmatch.fnmatchcase(name, pattern)]
        if len(matching) > 1:
            raise ValueError(
                f"`{argument}` must match each parameter once, but {matching} all match {name!r}"
            )
        found.append(values[matching[0]] if matching else default)
    return jax.tree.unflatten(jax.tree.structure(params), found)
