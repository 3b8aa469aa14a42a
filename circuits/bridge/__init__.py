"""Where the two packages meet: models become netlists, and simulators are held against models. All of it imports JAX."""

from .attribution import Attribution as Attribution
from .attribution import attribute as attribute
from .chips import Chips as Chips
from .chips import Learned as Learned
from .chips import accuracy_against_spread as accuracy_against_spread
from .chips import learn_on_chips as learn_on_chips
from .chips import on_chip as on_chip
from .comparison import Comparison as Comparison
from .comparison import compare as compare
from .emission import drives as drives
from .emission import emit as emit
from .emission import node_names as node_names
from .emission import states as states
from .energies import CircuitEnergy as CircuitEnergy
from .energies import energy as energy
from .networks import load_network as load_network
from .networks import save_network as save_network
from .pulses import pulses as pulses
from .relaxer import SpiceRelaxer as SpiceRelaxer
from .signal import gradient_noise as gradient_noise
from .transients import compare_transient as compare_transient
