"""Parameters by name: their paths, and settings given by glob patterns of them."""

import fnmatch
from collections.abc import Mapping
from typing import Any

import jax


def paths(params: Any) -> list[str]:
    """Return the paths by which `rates` names parameters, e.g. `conductances.0`.

    **Arguments:**

    - `params`: a pytree of arrays, such as a network.

    **Returns** one path a leaf, in the order of the leaves.
    """
    return [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]


def by_pattern(params: Any, values: Mapping[str, Any], default: Any, argument: str) -> Any:
    """Return a pytree like `params` that holds at each leaf the value of the pattern it matches.

    **Arguments:**

    - `params`: a pytree of arrays.
    - `values`: a value for each glob pattern of `paths(params)`.
    - `default`: the value of a leaf that no pattern matches.
    - `argument`: the name of `values` in errors.

    **Raises** `ValueError` for a pattern that matches nothing, and for a parameter that two
    patterns match.
    """
    names = paths(params)
    for pattern in values:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"`{argument}` must name parameters, but {pattern!r} matches none of {names}"
            )

    leaves = []
    for name in names:
        matching = [pattern for pattern in values if fnmatch.fnmatchcase(name, pattern)]
        if len(matching) > 1:
            raise ValueError(
                f"`{argument}` must match each parameter once, but {matching} all match {name!r}"
            )
        leaves.append(values[matching[0]] if matching else default)
    return jax.tree.unflatten(jax.tree.structure(params), leaves)
