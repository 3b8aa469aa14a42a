"""Figures of energies, phases, gradients and training.

Every function draws on the axes that it is given, or on new ones, and returns them. New axes are
pyplot's, so that a notebook shows them.
"""

from .gradients import orders as orders
from .gradients import traces as traces
from .phases import landscape as landscape
from .phases import phase as phase
from .phases import well as well
from .style import COLOURS as COLOURS
from .training import decisions as decisions
from .training import training as training
