"""Coverage-guided fuzzing of the parser by atheris, with libFuzzer's options.

`python tests/system/fuzz_decks.py CORPUS -runs=100000`. Any input parses or raises its error; what
parses reads back as itself from its own text, which holds no command for ngspice. CORPUS is a
folder
of decks to start from, to which libFuzzer adds. It ends with a status other than 0 where something
else happens.
"""

import re
import sys

import atheris

with atheris.instrument_imports(include=["circuits.spice", "circuits.elements.expressions"]):
    import circuits

COMMANDS = re.compile(r"^\s*(\*\s*#|\.control|\.exec|shell)|`", re.IGNORECASE | re.MULTILINE)


def check(data: bytes) -> None:
    """Raises what should not be."""
    try:
        netlist = circuits.parse(data.decode("latin-1"))
    except circuits.DeckError as error:
        if min(error.line, error.column) < 1:
            raise AssertionError(
                f"an error must have a place, but has {error.line}, {error.column}"
            ) from error
        return
    text = netlist.spice()
    if COMMANDS.search(text):
        raise AssertionError(f"a deck must hold no command, but is {text!r}")
    if circuits.parse(text) != netlist:
        raise AssertionError(f"a deck must read back as itself, but {text!r} does not")


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
