"""Ready-made energies."""

from .resistive import Resistive as Resistive
