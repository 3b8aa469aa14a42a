"""Methods one after the other."""

from jaxtyping import Array

from .equilibrium import Method


class Chain(Method):
    """`first`, and from where it stops `second`, whose tolerance counts.

    Such as a flow and then Newton's method.
    """

    first: Method
    second: Method
    tolerance: float | Array | None

    def __init__(self, first: Method, second: Method):
        self.first, self.second, self.tolerance = first, second, second.tolerance

    def settle(self, energy, x, state, key):
        begun = self.first.settle(energy, x, state, key)
        ended = self.second.settle(energy, x, begun.state, key)
        return ended._replace(steps=begun.steps + ended.steps)
