"""Programs that find what a netlist's voltages are."""

from .base import SimulationError as SimulationError
from .base import Simulator as Simulator
from .ngspice import Ngspice as Ngspice
from .ngspice_shared import NgspiceShared as NgspiceShared
