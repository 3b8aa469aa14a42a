"""Resistive networks as circuits: netlists, ngspice, variation and noise, and how far a circuit is from its model.

What is public stands in `__init__.pyi`, and is loaded, with all that it needs, when first asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
