"""Netlists of networks from their conductances: layered, crossbars with wires, graphs, twins."""

from .access import transistor_array as transistor_array
from .crossbars import crossbar as crossbar
from .graphs import graph as graph
from .graphs import lattice as lattice
from .graphs import random_graph as random_graph
from .graphs import twins as twins
from .layered import LayeredNames as LayeredNames
from .layered import Nudge as Nudge
from .layered import amplifier as amplifier
from .layered import layered as layered
