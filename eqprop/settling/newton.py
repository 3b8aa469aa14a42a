"""Newton's method on all free coordinates at once."""

from jaxtyping import Array

from .descent import descend
from .equilibrium import Method


class Newton(Method):
    """Newton's method on all free coordinates at once, damped where the energy is not convex.

    It goes down to a minimum from any start of a smooth energy, whose Hessian is factorised for up
    to 64 nodes and applied by conjugate gradients for more (`descend`).

    **Arguments:**

    - `tolerance`: as of every method.
    - `max_steps`: the number of steps, each with one solution of a linear system.
    """

    tolerance: float | Array | None = 1e-10
    max_steps: int = 200

    def settle(self, energy, x, state, key):
        del key
        return descend(energy, x, state, self.tolerance, self.max_steps)
