"""Figures of circuits. Every function draws on the axes `ax`, or on new ones, and returns them.

New axes are pyplot's, so that a notebook shows them.
"""

from .chips import accuracies as accuracies
from .chips import against_spread as against_spread
from .chips import attribution as attribution
from .chips import devices as devices
from .chips import gradient_noise as gradient_noise
from .chips import learning as learning
from .chips import spreads as spreads
from .comparisons import agreement as agreement
from .comparisons import beside as beside
from .comparisons import differences as differences
from .comparisons import hysteresis as hysteresis
from .comparisons import transient as transient
from .measures import along as along
from .measures import cumulative as cumulative
from .measures import heat_map as heat_map
from .style import COLOURS as COLOURS
from .style import axes_or_new as axes_or_new
