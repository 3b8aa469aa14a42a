"""Devices at the hidden nodes of a network: ideal diodes, Shockley diodes, measured curves."""

from .base import Device as Device
from .base import first_half as first_half
from .curves import Curve as Curve
from .curves import curve_source as curve_source
from .diodes import DiodePair as DiodePair
from .diodes import SingleDiode as SingleDiode
from .diodes import ZenerDiode as ZenerDiode
from .ideal import IdealDevice as IdealDevice
from .ideal import IdealDiodes as IdealDiodes
from .ideal import IdealPair as IdealPair
from .ideal import clamp as clamp
