"""Decks from outside, read as data: a subset of SPICE becomes a `Netlist`, and anything else an error that says where."""

from .lines import DeckError as DeckError
from .reader import parse as parse
from .reader import read as read
