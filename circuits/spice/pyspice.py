"""Circuits of PySpice made of netlists, and netlists made of them.

PySpice is an interface to ngspice in Python (Salvaire, GPL-3).
"""

import re
from ast import literal_eval
from typing import TYPE_CHECKING, Any

from ..elements.sources import IndependentSource, VoltageSource
from ..elements.waveforms import Pulse, Pwl, Sin
from ..netlist.netlist import Netlist, NetlistError
from ..units import GMIN, number
from .parser import parse

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_METHODS = {"R": "R", "C": "C", "L": "L", "E": "VCVS", "F": "CCCS", "G": "VCCS", "H": "CCVS"}
"""What PySpice calls the elements that are nodes, or the name of a source, and one number; by the
letter of their lines."""
_BY_MODEL = {"D": {"area": "area", "m": "multiplier"}, "M": {"W": "width", "L": "length"}}
"""What PySpice calls the numbers of the elements that have a model."""


def from_pyspice(circuit: "Circuit") -> Netlist:
    """Return the netlist of a PySpice circuit, which is data: its text is read by `parse`.

    What `parse` refuses is refused here. Subcircuits are expanded, elements that are not enabled
    left out, as they are in the text. Temperature, options, initial conditions and analyses are not
    a circuit's there but its simulator's, and so not carried over: the netlist has the usual ones.
    `from_pyspice(to_pyspice(n)) == n` where `n` has them too.

    **Arguments:** `circuit`: of PySpice, whatever made it.

    **Raises** `DeckError` with a line of `str(circuit)` for all that is not understood, as
    `.include` and elements of other kinds; `TypeError` for what is no circuit, and `ImportError`
    where PySpice is missing.
    """
    kind = _circuit()
    if not isinstance(circuit, kind):
        raise TypeError(
            f"`circuit` must be a PySpice.Spice.Netlist.Circuit, but is a {type(circuit).__name__}"
        )
    return parse(str(circuit).removeprefix(".title "), file="str(circuit)")


def to_pyspice(netlist: Netlist) -> "Circuit":
    """Return a PySpice circuit of the same title, header and elements.

    A matrix of conductances becomes a resistor for each. `temperature`, `options` and `analyses`
    are not carried over, as with PySpice they are its simulator's: after
    `simulator = circuit.simulator(temperature=…)`,
    `simulator.options(*netlist.options.split())` sets the same tolerances. `from_pyspice` is the
    way back.

    **Arguments:** `netlist`: a circuit.

    **Raises** `NetlistError` for a model whose `gmin` is not SPICE's usual one, and for lines of
    other kinds than B, D, I, M, V, R, C, L, E, F, G, H; `ImportError` where PySpice is missing.
    """
    circuit = _circuit()(netlist.title)
    circuit.raw_spice = "".join(f"* {line}\n" for line in netlist.header)
    for element in netlist.elements:
        if isinstance(element, IndependentSource):
            _source(circuit, element)
        else:
            for line in element.lines():
                _line(circuit, line)
    for model in netlist.models:
        if model.gmin != GMIN:
            raise NetlistError(
                f"`gmin` of {model.name} must be {GMIN} for PySpice, whose circuits hold no "
                f"options, but is {model.gmin}"
            )
        _, name, kind, *values = re.split(r"[ ()]+", model.card().rstrip(")"))
        numbers = dict(value.split("=") for value in values)
        circuit.model(name, kind, **{key: literal_eval(value) for key, value in numbers.items()})
    return circuit


def _line(circuit: Any, line: str) -> None:
    """Add the element of a line of SPICE."""
    letter, name = line[0], line.split(maxsplit=1)[0][1:]
    if letter == "B":
        _, plus, minus, assignment = line.split(maxsplit=3)
        output, expression = assignment.split("=", 1)
        kind = {"i": "current_expression", "v": "voltage_expression"}[output]
        circuit.B(name, plus, minus, **{kind: expression})
    elif letter in _BY_MODEL:
        words = line.split()[1:]
        numbers = dict(word.split("=") for word in words if "=" in word)
        *nodes, model = (word for word in words if "=" not in word)
        sizes = {_BY_MODEL[letter][key]: float(value) for key, value in numbers.items()}
        getattr(circuit, letter)(name, *nodes, model=model, **sizes)
    elif letter in _METHODS:
        words = line.split()[1:]
        start = words.pop() if "=" in words[-1] else ""
        *between, value = words
        getattr(circuit, _METHODS[letter])(name, *between, float(value), raw_spice=start)
    else:
        raise NetlistError(
            f"elements must be of the kinds B, D, I, M, V, {', '.join(_METHODS)} for PySpice, "
            f"but {line.split(maxsplit=1)[0]} is not"
        )


def _source(circuit: Any, source: IndependentSource) -> None:
    """Add an independent source, of PySpice's class for its waveform."""
    kind = "Voltage" if isinstance(source, VoltageSource) else "Current"
    wave, value, place = (
        source.waveform,
        float(source.value),
        (source.name, source.plus, source.minus),
    )
    if isinstance(wave, Sin) and not wave.phase:
        getattr(circuit, f"Sinusoidal{kind}Source")(
            *place,
            dc_offset=value,
            ac_magnitude=source.ac,
            offset=wave.offset,
            amplitude=wave.amplitude,
            frequency=wave.frequency,
            delay=wave.delay,
            damping_factor=wave.damping,
        )
        return
    rest = f"ac {number(source.ac)} {number(source.phase)}" if source.ac else ""
    if isinstance(wave, Pulse) and not wave.count:
        added = getattr(circuit, f"Pulse{kind}Source")(
            *place,
            initial_value=wave.low,
            pulsed_value=wave.high,
            delay_time=wave.delay,
            rise_time=wave.rise,
            fall_time=wave.fall,
            pulse_width=wave.width,
            period=wave.period,
            dc_offset=value,
        )
    elif isinstance(wave, Pwl) and wave.repeat is None and not wave.delay:
        points = list(zip(wave.times, wave.values, strict=True))
        added = getattr(circuit, f"PieceWiseLinear{kind}Source")(*place, values=points, dc=value)
    else:
        added = getattr(circuit, source.letter)(*place, value)
        rest += "" if wave is None else f" {wave}"
    added.raw_spice = rest.strip()


def _circuit() -> Any:
    try:
        from PySpice.Spice.Netlist import Circuit
    except ImportError as error:
        raise ImportError(
            "circuits of PySpice need it: pip install 'eqprop-circuits[pyspice]'"
        ) from error
    return Circuit
