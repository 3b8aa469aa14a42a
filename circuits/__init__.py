"""Resistive networks as circuits: netlists, ngspice, variation and noise, and how far a circuit is from its model.

What joins circuits and models (`emit`, `compare`) and the simulator `Nodal` are loaded, and JAX with them, when first asked for.
"""

import importlib
from typing import TYPE_CHECKING

from . import memristors as memristors
from . import plotting as plotting
from . import topologies as topologies
from .analyses import Noise as Noise
from .analyses import OperatingPoint as OperatingPoint
from .analyses import SmallSignal as SmallSignal
from .analyses import Sweep as Sweep
from .analyses import Transient as Transient
from .curves import Curve as Curve
from .decks import DeckError as DeckError
from .decks import parse as parse
from .decks import read as read
from .devices import Device as Device
from .devices import Diode as Diode
from .devices import IdealDiodes as IdealDiodes
from .devices import IdealPair as IdealPair
from .devices import Junction as Junction
from .diodes import DiodePair as DiodePair
from .diodes import SingleDiode as SingleDiode
from .diodes import ZenerDiode as ZenerDiode
from .elements import GROUND as GROUND
from .elements import Capacitor as Capacitor
from .elements import ConductanceMatrix as ConductanceMatrix
from .elements import Element as Element
from .elements import Inductor as Inductor
from .elements import Resistor as Resistor
from .equations import Equations as Equations
from .lint import Finding as Finding
from .lint import lint as lint
from .memristors import Memristor as Memristor
from .netlist import Netlist as Netlist
from .netlist import NetlistError as NetlistError
from .noise import covariance as covariance
from .noise import noise_density as noise_density
from .noise import with_noise as with_noise
from .pyspice import from_pyspice as from_pyspice
from .reciprocity import nonreciprocity as nonreciprocity
from .reduction import reduce as reduce
from .schematics import schematic as schematic
from .simulators import Ngspice as Ngspice
from .simulators import NgspiceShared as NgspiceShared
from .simulators import SimulationError as SimulationError
from .simulators import Simulator as Simulator
from .sources import Behavioural as Behavioural
from .sources import CurrentGain as CurrentGain
from .sources import CurrentSource as CurrentSource
from .sources import Pulse as Pulse
from .sources import Pwl as Pwl
from .sources import Sin as Sin
from .sources import Transconductance as Transconductance
from .sources import Transresistance as Transresistance
from .sources import VoltageGain as VoltageGain
from .sources import VoltageSource as VoltageSource
from .transistors import Mosfet as Mosfet
from .transistors import Transistor as Transistor
from .variation import MATCHING as MATCHING
from .variation import PRESETS as PRESETS
from .variation import Amplifiers as Amplifiers
from .variation import Bounds as Bounds
from .variation import Converter as Converter
from .variation import DeviceToDevice as DeviceToDevice
from .variation import Drift as Drift
from .variation import Ideality as Ideality
from .variation import Levels as Levels
from .variation import Logarithmic as Logarithmic
from .variation import NudgeError as NudgeError
from .variation import Preset as Preset
from .variation import Programming as Programming
from .variation import ProgrammingError as ProgrammingError
from .variation import ReadNoise as ReadNoise
from .variation import Saturation as Saturation
from .variation import SenseResistance as SenseResistance
from .variation import SourceResistance as SourceResistance
from .variation import StepNoise as StepNoise
from .variation import StuckAt as StuckAt
from .variation import Temperature as Temperature
from .variation import ThresholdMismatch as ThresholdMismatch
from .variation import Variation as Variation
from .variation import WireResistance as WireResistance
from .variation import Within as Within

if TYPE_CHECKING:
    from .bridge import Attribution as Attribution
    from .bridge import Chips as Chips
    from .bridge import CircuitEnergy as CircuitEnergy
    from .bridge import Comparison as Comparison
    from .bridge import Learned as Learned
    from .bridge import SpiceRelaxer as SpiceRelaxer
    from .bridge import accuracy_against_spread as accuracy_against_spread
    from .bridge import attribute as attribute
    from .bridge import compare as compare
    from .bridge import compare_transient as compare_transient
    from .bridge import drives as drives
    from .bridge import emit as emit
    from .bridge import energy as energy
    from .bridge import gradient_noise as gradient_noise
    from .bridge import learn_on_chips as learn_on_chips
    from .bridge import load_network as load_network
    from .bridge import on_chip as on_chip
    from .bridge import pulses as pulses
    from .bridge import save_network as save_network
    from .bridge import states as states
    from .simulators.crossbars import solve_crossbars as solve_crossbars
    from .simulators.langevin import langevin as langevin
    from .simulators.nodal import Nodal as Nodal
    from .sweeps import report as report
    from .sweeps import sweep as sweep

_BRIDGE = (
    "Attribution",
    "Chips",
    "CircuitEnergy",
    "Comparison",
    "Learned",
    "SpiceRelaxer",
    "attribute",
    "compare",
    "compare_transient",
    "drives",
    "emit",
    "energy",
    "gradient_noise",
    "accuracy_against_spread",
    "learn_on_chips",
    "load_network",
    "on_chip",
    "pulses",
    "save_network",
    "states",
)
_LATER = (
    dict.fromkeys(_BRIDGE, ".bridge")
    | {"Nodal": ".simulators.nodal", "langevin": ".simulators.langevin", "solve_crossbars": ".simulators.crossbars"}
    | dict.fromkeys(("report", "sweep"), ".sweeps")
)


def __getattr__(name: str):
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
