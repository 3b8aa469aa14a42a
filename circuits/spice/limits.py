"""How much a deck may cost to read, in lines, characters and seconds."""

import time
from collections.abc import Callable

LARGEST = 2_000_000
"""How many elements a deck may expand to."""
MOST_LINES = 2_000_000
"""How many lines a deck may have, its files and expanded subcircuits included."""
MOST_BYTES = 256 * 2**20
"""How many bytes a file may have."""
MOST_CHARACTERS = 200_000_000
"""How many characters the subcircuits of a deck may expand to."""
SECONDS = 300.0
"""How long a deck may take to read; the largest that the other limits allow needs less."""
LONGEST = 100_000
"""How many characters a line may have."""
LONGEST_LOGICAL = 2_000_000
"""How many characters a line may have with its continuations."""
LONGEST_NAME = 1_000
"""How many characters the name of an element or a node may have, its instances' names included."""
DEEPEST = 20
"""How deep subcircuits and files may nest."""
MOST_NOTES = 20
"""How many notes are said of a deck."""
MOST_ANALYSES = 1_000
"""How many analyses a deck may ask for."""
MOST_POINTS = 10_000_000
"""How many points or frequencies an analysis may have."""
MOST_STEPS = 100_000_000
"""How many longest time steps a transient may take."""


class Budget:
    """What is left to a deck that is read: `lines`, `characters` and seconds."""

    def __init__(self):
        self.lines, self.characters = MOST_LINES, MOST_CHARACTERS
        self.deadline = time.monotonic() + SECONDS

    def spend(self, lines: int, characters: int, error: Callable[[str], Exception]) -> None:
        """Take lines and characters from what is left; raise `error` of a message if too many."""
        self.lines -= lines
        self.characters -= characters
        if self.lines < 0:
            raise error(
                f"a deck may have {MOST_LINES} lines, its files and expanded subcircuits included"
            )
        if self.characters < 0:
            raise error(f"the subcircuits of a deck may expand to {MOST_CHARACTERS} characters")
        if time.monotonic() > self.deadline:
            raise error(f"a deck must be read within {SECONDS:g} s")
