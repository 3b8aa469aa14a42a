"""What the line of an element is read with, besides its own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..elements.passive import Inductor


@dataclass(frozen=True)
class Reading:
    """What the rest of a deck says to a line.

    - `models`: the models in its scope, by name in lower case.
    - `source`: gives the netlist's name, letter included, of the voltage source that measures the
      current of an element.
    - `inductors`: of the netlist so far, by name without the letter, in lower case.
    """

    models: Mapping[str, Any]
    source: Callable[[str], str]
    inductors: Mapping[str, Inductor]
