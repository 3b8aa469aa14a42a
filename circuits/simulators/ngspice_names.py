"""Names of nodes that ngspice would read as something else, and the names that it is given."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from .raw import Plot

_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.]*")
_WORDS = {
    *("ac", "all", "alli", "allp", "allv", "ally", "frequency", "temper", "time"),
    *("agauss", "aunif", "gauss", "limit", "speedcheck", "table", "unif", "value"),
}
"""Words that ngspice 39 refuses, crashes on or takes for something else where a node stands. Found
by trying every word of its program as the name of a node at which elements of all kinds meet."""


def names_for_ngspice(nodes: Iterable[str]) -> dict[str, str]:
    """Return other names for the nodes whose names ngspice would read as something else.

    ngspice saves everything for `v(all)`, takes `time` for a scale, `p[` for the beginning of a
    POLY source and `onoise…` for a result of its own, and crashes on `temper`. Names of letters,
    digits, `_` and `.` are kept unless they are such words; the others get `node_` before them.

    **Arguments:**

    - `nodes`: of a circuit.

    **Returns** the new names by the old ones; none of them is that of another node.
    """
    taken, names = set(nodes), {}
    for node in nodes:
        word = node.partition(".")[0]
        if _PLAIN.fullmatch(node) and word not in _WORDS and word[1:6] != "noise":
            continue
        name = "node_" + re.sub(r"[^a-z0-9_]", "_", node)
        while name in taken:
            name += "_"
        taken.add(name)
        names[node] = name
    return names


def with_old_names(plots: list[Plot], log: str, names: Mapping[str, str]) -> tuple[list[Plot], str]:
    """Return ngspice's answer with the names of a circuit's own nodes.

    **Arguments:**

    - `plots`, `log`: of a circuit whose nodes were renamed.
    - `names`: the new names by the old ones, as of `names_for_ngspice`.
    """
    variables = {f"v({new})": f"v({old})" for old, new in names.items()}
    plots = [
        replace(plot, values={variables.get(key, key): array for key, array in plot.values.items()})
        for plot in plots
    ]
    old_names = {new: old for old, new in names.items()}
    return plots, re.sub(r"\bnode_\w+", lambda match: old_names.get(match[0], match[0]), log)
