"""Makes the points of a declaration, and from them the plan of a run."""

import json
import platform
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache
from rich.console import Console

from ..variation import Part, Variation
from .declaration import Declaration
from .loading import samples, simulator, swept_circuit
from .plan import FORMAT, Layout, Plan, plain
from .points import Point
from .swept_circuits import Samples, SweptCircuit
from .values import Scalar, SweepError, require_value

KEPT = 8
"""How many points, circuits and sets of samples are kept while points are gone through."""
CIRCUIT_KEYS = ("network", "device", "elements", "models", "cost", "outputs")
Made = TypeVar("Made")


def _cache() -> MutableMapping[str, Any]:
    return LRUCache(KEPT)


@dataclass(eq=False)
class Planner:
    """Makes the points of a declaration; circuits and samples that they share are made once.

    **Arguments:**

    - `declaration`: of the sweep.
    - `trusted`: whether a factory may run, a deck include files, and a path leave the folder.
    - `cache`: the folder in which trained networks are kept.
    - `console`: where training shows its progress; nowhere if `None`.
    """

    declaration: Declaration
    trusted: bool
    cache: Path
    console: Console | None = None
    _circuits: MutableMapping[str, SweptCircuit] = field(default_factory=_cache, repr=False)
    _samples: MutableMapping[str, Samples] = field(default_factory=_cache, repr=False)
    _points: MutableMapping[str, Point] = field(default_factory=_cache, repr=False)

    def point(self, values: tuple[Scalar, ...]) -> Point:
        """Return a point.

        **Arguments:**

        - `values`: of the axes.

        **Raises** `SweepError` for what cannot be, and what making its network raises.
        """
        return _kept(self._points, _text(values), lambda: self._point(values))

    def _point(self, values: tuple[Scalar, ...]) -> Point:
        document = self.declaration.point(values)
        circuit = _kept(
            self._circuits,
            _text({key: document.get(key) for key in CIRCUIT_KEYS}),
            lambda: swept_circuit(
                document,
                self.declaration,
                trusted=self.trusted,
                cache=self.cache,
                console=self.console,
            ),
        )
        drawn = _kept(
            self._samples,
            _text([document.get("data"), circuit.has_net]),
            lambda: samples(document, self.declaration, circuit, trusted=self.trusted),
        )
        try:
            return Point(
                circuit,
                drawn,
                _variation(document.get("variation", {}), self.declaration.kinds),
                document["seed"],
                document["cycle"],
                float(document.get("beta", 0.0)),
                document.get("temperature"),
                tuple(document["measure"]),
                simulator(document),
            )
        except ValueError as error:
            at = ", ".join(
                f"{axis} = {value}"
                for axis, value in zip(self.declaration.axes, values, strict=True)
            )
            raise SweepError(f"{at + ': ' if at else ''}{error}") from error

    def plan(self) -> Plan:
        """Return the plan of all points.

        **Raises** `SweepError` for a point that cannot be, and what making a network raises.
        """
        document, chips = self.declaration.document, self.declaration.document["chips"]
        versions = {
            "circuits": version("eqprop-circuits"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.system()} {platform.machine()}",
        }
        places: dict[Layout, int] = {}
        layout, fingerprints = [], []
        for values in self.declaration.points():
            point = self.point(values)
            if point.variation is None and chips > 1:
                raise SweepError(
                    f"`chips` must be 1 where no `variation` makes them differ, but is {chips}"
                )
            layout.append(places.setdefault(Layout.of(point), len(places)))
            fingerprints.append(point.fingerprint)
            versions["simulator"] = point.simulator.version()

        plan = Plan(
            FORMAT,
            {key: plain(value) for key, value in document.items()},
            dict(self.declaration.axes),
            chips,
            tuple(document["measure"]),
            tuple(document["formats"]),
            versions,
            tuple(places),
            tuple(layout),
            tuple(fingerprints),
        )
        plan.check()
        return plan


def _variation(
    table: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, type[Part]]
) -> Variation | None:
    """Return the variation that a table declares; `None` where it declares nothing."""
    variation: Variation | None = None
    for kind, parameters in table.items():
        for name, value in parameters.items():
            require_value(f"variation.{kind}.{name}", value)
        lists = {
            name: tuple(value) for name, value in parameters.items() if isinstance(value, list)
        }
        try:
            part = kinds[kind](**{**parameters, **lists})
        except TypeError as error:
            raise SweepError(f"the variation {kind!r} cannot be made: {error}") from error
        variation = part if variation is None else variation + part
    return variation


def _kept(cache: MutableMapping[str, Made], key: str, make: Callable[[], Made]) -> Made:
    """Return what a cache has under a key, made now where it has nothing."""
    if key not in cache:
        cache[key] = make()
    return cache[key]


def _text(value: Any) -> str:
    """Return a text that is the same for equal declarations; an object stands for itself."""
    return json.dumps(value, sort_keys=True, default=lambda one: f"{type(one).__name__} {id(one)}")
