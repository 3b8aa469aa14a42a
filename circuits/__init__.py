"""Resistive networks as circuits.

Netlists, ngspice, variation and noise, and how far a circuit is from its model.

What is public stands in `__init__.pyi`, and is loaded, with all that it needs, when first asked
for.
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Return the public object `name`, or the installed version for `__version__`."""
    if name == "__version__":
        from importlib.metadata import version

        return version("eqprop-circuits")
    return _load(name)
