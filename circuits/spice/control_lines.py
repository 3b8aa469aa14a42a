"""The dot lines of a deck that set its options."""

import math
import re
from collections.abc import Mapping, Sequence

from ..netlist.netlist import OPTIONS
from .analysis_lines import ANALYSES
from .cards import Setting
from .lexer import Line, Token, split
from .numbers import number

SETTINGS = {
    "gmin": "the conductance across every junction in S",
    "temp": "the temperature in °C",
    "tnom": "the temperature in °C at which parameters are stated",
    "reltol": "the relative tolerance, where it is below the toolkit's own",
    "vntol": "that of voltages in V, where it is below the toolkit's own",
    "abstol": "that of currents in A, where it is below the toolkit's own",
    "chgtol": "that of charges in C, of ngspice",
    "trtol": "of time steps, of ngspice",
    **dict.fromkeys(("itl1", "itl2", "itl4", "itl6"), "iterations at most, of ngspice"),
    **dict.fromkeys(("pivtol", "pivrel"), "of pivots, of ngspice"),
}
"""The options that a deck may set, numbers all, and what each means."""

OPTIONS_WITHOUT_EFFECT = (
    *("acct", "autostop", "brief", "cptime", "csdf", "hypertext", "ingold", "interp"),
    *("itl3", "itl5", "keepopinfo", "klu", "limpts", "limtim", "list", "maxord"),
    *("maxwarns", "method", "noacct", "node", "nomod", "noopac", "noopiter", "nopage"),
    *("noprint", "numdgt", "oldlimit", "opts", "post", "probe", "savecurrents", "seed"),
    *("seedinfo", "sparse", "trytocompact", "unwrap", "warn", "width"),
    *("gminsteps", "srcsteps", "noinit", "delmin", "dcap", "measdgt", "nomod", "plotwinsize"),
)
"""Options that change no voltage, or only how exactly a transient is integrated."""

NOTED = {
    ".meas": "a measurement",
    ".measure": "a measurement",
    ".four": "a Fourier analysis of what was simulated",
    ".width": "the width of a page",
    ".title": "a title",
    ".csparam": "a constant for commands",
    ".nodeset": "a guess of an operating point",
}
"""The dot lines that are left out with a note, and what each is: none changes a voltage."""

KEEPING = dict.fromkeys(
    (".save", ".print", ".plot", ".probe"), "which voltages are shown; all are in the results"
)
"""The dot lines that choose what is printed."""

_OPTIONS = (".options", ".option", ".opt", ".opts")
_PLAIN = re.compile(r"\d+(\.\d+)?(e-?\d+)?")


def settings(lines: Sequence[Line]) -> tuple[dict[str, str], set[str], Setting]:
    """Return what dot lines set.

    **Arguments:** `lines`: all dot lines of a deck.

    **Returns** the options as they are written, by name; the nodes that are global; and what holds
    for all elements: temperatures, of which the last that is given counts, and notes about lines
    that are left out.

    **Raises** `DeckError` for a line of another kind and for an option that is not supported.
    """
    options: dict[str, str] = {}
    global_nodes: set[str] = set()
    setting = Setting()
    for line in lines:
        word = line.word
        if word == ".global":
            global_nodes |= {token.text.lower() for token in split(line)[1:]}
        elif word == ".temp":
            tokens = split(line)[1:]
            if len(tokens) != 1:
                raise line.error(".temp must give one temperature")
            setting.kelvin = _kelvin(line, tokens[0])
        elif word in _OPTIONS:
            options |= _options(line, split(line)[1:], setting)
        elif word in NOTED:
            setting.notes.append(line.note(f"{word} is left out: it changes no voltage"))
        elif word not in {*KEEPING, *ANALYSES, ".ic"}:
            raise line.error(f"{word} is not supported")
    setting.gmin = float(options.get("gmin", setting.gmin))
    return options, global_nodes, setting


def _options(line: Line, tokens: list[Token], setting: Setting) -> dict[str, str]:
    """Return the options of a line but temperatures, which go to `setting`."""
    options, at = {}, 0
    while at < len(tokens):
        first, name = tokens[at], tokens[at].text.lower()
        given = at + 1 < len(tokens) and tokens[at + 1].text == "="
        last = tokens[at + 2] if given and at + 2 < len(tokens) else None
        value = None if last is None else number(last.text)
        at += 3 if given else 1
        if name in OPTIONS_WITHOUT_EFFECT:
            setting.notes.append(line.note(f"option {name} is left out: it changes no voltage"))
        elif name not in SETTINGS or last is None or value is None or not math.isfinite(value):
            raise line.error(
                f"{first.text!r} is not supported as an option; what is: "
                f"{', '.join(SETTINGS)}, each = a number",
                first.offset,
            )
        elif name == "temp":
            setting.kelvin = _kelvin(line, last)
        elif name == "tnom":
            setting.nominal = _kelvin(line, last)
        elif name in TOLERANCES and value > TOLERANCES[name]:
            setting.notes.append(
                line.note(f"option {name} is left out: results are exact to {TOLERANCES[name]:g}")
            )
        else:
            options[name] = last.text if _PLAIN.fullmatch(last.text) else repr(value)
    return options


_USUAL = dict(word.split("=", 1) for word in str(OPTIONS).split())
TOLERANCES = {name: float(value) for name, value in _USUAL.items() if name != "gmin"}
"""The tolerances of ngspice's operating points, which a deck may only tighten."""


def option_words(options: Mapping[str, str]) -> str:
    """Return the options of a netlist: those of a deck, and the usual ones for the others."""
    return " ".join(f"{name}={value}" for name, value in (_USUAL | dict(options)).items())


def _kelvin(line: Line, token: Token) -> float:
    """Return a temperature of a deck, in degrees Celsius there, in K."""
    value = number(token.text)
    if value is None or not -273.15 < value < math.inf:
        raise line.error(
            "a temperature must be a number of degrees Celsius above -273.15, "
            f"but is {token.text!r}",
            token.offset,
        )
    return value + 273.15
