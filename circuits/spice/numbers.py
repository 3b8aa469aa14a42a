"""Numbers with SPICE's suffixes."""

import re

NUMBER = re.compile(
    r"((?:\d+\.?\d*|\.\d+))(?:e([+-]?\d{1,4}))?(meg|mil|[tgkmunpf])?[a-z]*", re.IGNORECASE
)
_POWERS = {
    "t": 12,
    "g": 9,
    "meg": 6,
    "k": 3,
    "m": -3,
    "mil": -3,
    "u": -6,
    "n": -9,
    "p": -12,
    "f": -15,
}


def number(text: str) -> float | None:
    """Return the value of a text that is all one number, as 4.7k, 2.5meg, 10pF or -1e-3.

    Letters after the suffix are units and mean nothing.

    **Arguments:** `text`: a word of a deck. **Returns** `None` where it is no number.
    """
    sign, body = (-1.0 if text[:1] == "-" else 1.0), text[1:] if text[:1] in ("+", "-") else text
    match = NUMBER.fullmatch(body)
    return None if match is None else sign * value_of(match)


def value_of(match: re.Match[str], *, braces: bool = False) -> float:
    """Return what a number stands for; in braces `mil` is milli, as in ngspice."""
    mantissa, exponent, suffix = match.groups()
    suffix, exponent = (suffix or "").lower(), int(exponent or 0)
    if suffix == "mil" and not braces:
        return float(f"{mantissa}e{exponent}") * 25.4e-6
    return float(f"{mantissa}e{exponent + _POWERS.get(suffix, 0)}")
