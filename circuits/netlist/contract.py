"""What the check and the drawing of a circuit ask of it.

A netlist can so offer both without a circle of imports.
"""

from functools import cached_property
from typing import Protocol

from ..elements.base import Element


class Circuit(Protocol):
    """A titled circuit of elements between nodes; a `Netlist` is one."""

    @property
    def title(self) -> str:
        """What the circuit is."""
        ...

    @property
    def elements(self) -> tuple[Element, ...]:
        """Its elements, in their order."""
        ...

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All its nodes but ground."""
        ...

    @property
    def options(self) -> str:
        """Its SPICE options, as `name=value` words."""
        ...

    def spice(self) -> str:
        """Return its text in SPICE."""
        ...
