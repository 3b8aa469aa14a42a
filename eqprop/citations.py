"""What to cite: BibTeX of the toolkit, and of the published work that objects rest on."""

import functools
import importlib
import importlib.util
import re
import sys
from types import FunctionType, ModuleType
from typing import Any

from . import references

TOOLKIT = "eqprop_circuits"


def citation(*things: Any) -> str:
    """Return the BibTeX of the toolkit and of the published work behind `things`.

    What an object holds is cited with it: the device of a network, the elements of a netlist, the
    variations of a preset. What is the toolkit's own adds nothing to the toolkit's entry.

    **Arguments:** `things`: networks, estimators, methods, devices, memristors, variations,
    presets, optimisers, simulators; classes; functions such as `eqprop.data.mnist` and
    `circuits.PRESETS["rram-wan2022@1"]`.

    **Returns** the entries, each once, an empty line between them.

    **Raises** `ValueError` for things of which nothing is known, naming them.
    """
    bibliography = _Bibliography()
    unknown = [thing for thing in things if not bibliography.add(thing)]
    if unknown:
        raise ValueError(
            "`things` must be objects, classes or functions of the toolkit, "
            f"but these are none: {unknown}"
        )
    return "\n\n".join(bibliography.entries[key] for key in bibliography.keys)


class _Bibliography:
    """The keys of entries in the order of their things, and the entries of all packages met."""

    def __init__(self):
        self.keys, self.entries = {TOOLKIT: None}, dict(entries(references.BIBTEX))
        self._visited = {}

    def add(self, thing: Any) -> bool:
        """Collect what is behind a thing and all it holds; return whether anything is known."""
        if id(thing) in self._visited:
            return True
        named = hasattr(thing, "__qualname__")  # a class or a function, and no object of a class
        kinds = (
            thing.__mro__ if isinstance(thing, type) else (thing,) if named else type(thing).__mro__
        )
        known = max([self._behind(kind, thing) for kind in kinds])
        if isinstance(thing, tuple | list | dict):
            held = thing.values() if isinstance(thing, dict) else thing
        elif not known or isinstance(thing, type):
            held = ()
        elif isinstance(thing, FunctionType):
            held = [cell.cell_contents for cell in thing.__closure__ or ()]
        else:
            held = getattr(thing, "__dict__", {}).values()
        if known or held:
            self._visited[id(thing)] = thing  # kept alive, so that nothing else gets its number
        # A list, so that all of them are added, where `any` of a generator would stop at one.
        return max([known, *[self.add(one) for one in held]])

    def _behind(self, kind: Any, thing: Any) -> bool:
        """Collect the keys of a class or a function; return whether its package is known."""
        package = (kind.__module__ or "").partition(".")[0]
        home = _references(package)
        sources = references.SOURCES if home is None else references.SOURCES | home.SOURCES
        names = [package, f"{package}.{kind.__qualname__.partition('.<locals>')[0]}"]
        if home is not None:
            self.entries |= entries(home.BIBTEX)
            if kind is type(thing) and names[1] in home.FURTHER:
                names.append(home.FURTHER[names[1]](thing))
        self.keys |= dict.fromkeys(key for name in names for key in sources.get(name, ()))
        return home is not None or package in sources


@functools.cache
def _references(package: str) -> ModuleType | None:
    """Return the module `references` of a package that is loaded, where it has one like ours."""
    if (
        not hasattr(sys.modules.get(package), "__path__")
        or importlib.util.find_spec(f"{package}.references") is None
    ):
        return None
    module = importlib.import_module(f"{package}.references")
    return (
        module if all(hasattr(module, name) for name in ("BIBTEX", "SOURCES", "FURTHER")) else None
    )


@functools.cache
def entries(bibtex: str) -> dict[str, str]:
    """Return the entries of a BibTeX text by their keys."""
    return {
        entry[entry.index("{") + 1 : entry.index(",")]: entry
        for entry in re.split(r"\n\n(?=@)", bibtex.strip())
    }
