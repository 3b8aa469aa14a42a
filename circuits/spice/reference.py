"""The page about decks, written from the tables that the reader reads by."""

from collections.abc import Iterable, Mapping

from ..elements.expressions import SPECIAL
from ..elements.functions import FUNCTIONS
from .analysis_lines import ANALYSES
from .control_lines import KEEPING, NOTED, OPTIONS_WITHOUT_EFFECT, SETTINGS
from .element_lines import ELEMENTS
from .grammar import Kind, Number
from .model_cards import MODELS
from .waveform_words import WAVEFORMS

STRUCTURE = {
    ".param name=value …": "parameters; in a subcircuit they are its own",
    ".func f(x, y) {…}": "a function, in parameters and in expressions of voltages",
    ".subckt name ports [params: name=value …]": (
        "a subcircuit, ended by `.ends`; one within another is seen there alone; a port `gnd` is "
        "ground"
    ),
    "Xname nodes subcircuit [name=value …]": "an instance",
    ".model name kind(…)": "a model of one of the kinds below",
    ".if (…), .elseif (…), .else, .endif": "elements and models that count where it holds",
    ".include file, .lib file section": (
        "with `trusted=True`: a file beside the one that includes it, or in the deck's folder, and "
        "never outside of that"
    ),
    ".global nodes": "nodes that mean the same in all subcircuits",
    ".ic v(node)=value …": "voltages at which nodes are held, or from which they start (`uic`)",
    ".temp value": "the temperature in °C",
}
REFUSED = {
    "`.control` blocks": (
        'never run; with `control="skip"` (`--control skip`) their `op`, `dc`, `tran`, `ac` and '
        "`noise` are read as dot lines, all else is left out, and it is said"
    ),
    "`*#…`, `*ng_script`, backticks": "what ngspice would run as a command",
    "elements of other letters": "Q, J, S, W, T, U, Z, A and so on",
    "`.step`, `.sens`, `.pz`, `.disto`, `.tf`": "other analyses",
    "`hertz`, `laplace`, `freq`": "what depends on the frequency",
    "MOSFETs of other levels, `tox`": "other charges and laws of a channel",
    "`.param` and `.subckt` between `.if` and `.endif`": "only elements and models may stand there",
}
DIFFERENT = {
    "Parameters": "have lexical scope: a subcircuit sees its own and those of the deck",
    "`limit(x, a, b)`": "holds x between a and b; ngspice 39 has another function of that name",
    "Corners of a `TABLE`": "are sharp; ngspice rounds them off by a tenth of their lines",
    "A step of `pwl` at one time": "lasts a billionth of the transient",
    "Memristors with thresholds": (
        "stop at their bounds; ngspice at its usual tolerances steps beyond them"
    ),
}


def page() -> str:
    """Return the page in Markdown."""
    parts = [
        _HEAD,
        "## Structure\n",
        _table(("line", "meaning"), STRUCTURE.items()),
        "## Elements\n",
        "Numbers have SPICE's suffixes; values are numbers, parameters or `{expressions}`.\n",
    ]
    for letter, kind in ELEMENTS.items():
        parts += [f"**{letter}**: {kind.word}\n", _kind(kind)]
    parts += [
        "## Waveforms\n",
        _table(("waveform", "meaning"), ((one.form, one.meaning) for one in WAVEFORMS.values())),
        "## Models\n",
    ]
    for name, kind in MODELS.items():
        parts += [f"`.model name {name}(…)`: {kind.word}\n", _numbers(kind.numbers)]
    parts += [
        "## Expressions\n",
        f"`v(a)`, `v(a, b)` and `i(element)`; {_meant(SPECIAL)}; the operators "
        "`? :`, `||`, `&&`, `== !=`, `< <= > >=`, `+ -`, `* /`, `^ **`, `!`; the functions "
        + ", ".join(f"`{name}`" for name in sorted({*FUNCTIONS, *_OTHERS}))
        + "; and those of `.func`. They mean what ngspice makes of them: `x^y` is |x|^y.\n",
        "## Analyses\n",
        *(_table(("line", "meaning"), kind.forms.items()) for kind in ANALYSES.values()),
        "## Options\n",
        _table(("option", "meaning"), ((f"{n}=…", meaning) for n, meaning in SETTINGS.items())),
        "## What is read and changes nothing\n",
        _table(("line", "what it is"), (KEEPING | NOTED).items()),
        "The second kind is noted, as are the options "
        + ", ".join(f"`{name}`" for name in sorted(set(OPTIONS_WITHOUT_EFFECT)))
        + ".\n",
        "## What is refused\n",
        _table(("what", "why"), REFUSED.items(), code=False),
        "## Where it differs from ngspice\n",
        _table(("what", "how"), DIFFERENT.items(), code=False),
    ]
    return "\n".join(parts)


_HEAD = """# Decks

What `circuits.parse`, `circuits.read` and `circuits run` read of SPICE, as ngspice 39 means it.
This page is written from the tables by which decks are read
(`python -m circuits.spice.reference > docs/decks.md`). What is not on it is refused, with line and
column; what is left out or read in another way than it is written is noted.
"""
_OTHERS = ("log", "pow", "if", "ternary_fcn", "limit", "sqr", "int", "arctan", "pwl")


def _kind(kind: Kind) -> str:
    """Return the tables of a kind of line."""
    return "\n".join([_table(("line", "meaning"), kind.forms.items()), _numbers(kind.numbers)])


def _numbers(numbers: Mapping[str, Number]) -> str:
    """Return the table of `name=value` pairs, and those that only inform."""
    described = {name: number for name, number in numbers.items() if number.meaning}
    rows = (
        (f"{name}=…", number.meaning + ("" if number.only is None else f" ({number.only:g} alone)"))
        for name, number in described.items()
    )
    table = _table(("pair", "meaning"), rows) if described else ""
    passed = [f"`{name}`" for name in numbers if name not in described]
    return table + (f"\nPassed over: {', '.join(passed)}.\n" if passed else "")


def _meant(words: Mapping[str, str]) -> str:
    """Return words with what they mean, one after the other."""
    return ", ".join(f"`{word}`, {meaning}" for word, meaning in words.items())


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]], *, code: bool = True) -> str:
    """Return a table of two columns, the first one as code."""
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    for first, second in rows:
        escaped = first.replace("|", "\\|")
        lines.append(f"| `{escaped}` | {second} |" if code else f"| {escaped} | {second} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
