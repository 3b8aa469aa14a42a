"""Coupled and contrastive learning: the outputs are held at, or on the way to, their targets."""

import jax

from ..costs import SquaredError
from ..energies import Energy
from ..settling.equilibrium import Method
from ..settling.phases import Clamped
from .base import Estimate, displaced_phases, free_phase
from .contrast import ContrastEstimator, Stencil


class CoupledLearning(ContrastEstimator):
    """Coupled learning: the outputs are clamped a little towards the target.

    grad = Σ_pairs w [ ∂E/∂θ(s_a) − ∂E/∂θ(s_b) ], with phase k clamped at o_0 + η_k (t − o_0), t
    being the targets of a `SquaredError`. As η → 0 it is the gradient of ½ (o − t)ᵀK(o − t) with
    K = ((∂²E/∂s²)⁻¹_oo)⁻¹ held fixed, the Schur complement on the outputs, and not that of
    ½ |o − t|²: an output that is hard to move weighs more. (Stern et al. 2021, arXiv:2011.03861.)

    Made by `one_sided`, whose error is O(η), `centred`, O(η²), or `contrastive`. η has no unit.

    **Arguments:** `stencil`: the values of η and the weights of their phases; `method`: how phases
    are settled, `default_method` if `None`.

    **Raises** `ValueError` for outputs that are no nodes, and a cost that is not a `SquaredError`.
    """

    stencil: Stencil
    method: Method | None = None

    @classmethod
    def one_sided(cls, eta: float, method: Method | None = None) -> "CoupledLearning":
        """Return the estimator [∂E/∂θ(s_η) − ∂E/∂θ(s_0)] / η.

        **Arguments:** `eta`: η, without unit; `method`: as for the class.

        **Raises** `ValueError` for an η that is 0 or not finite.
        """
        return cls(stencil=Stencil.one_sided("eta", eta), method=method)

    @classmethod
    def centred(cls, eta: float, method: Method | None = None) -> "CoupledLearning":
        """Return the estimator [∂E/∂θ(s_η) − ∂E/∂θ(s_−η)] / 2η.

        **Arguments:** `eta`: η, without unit; `method`: as for the class.

        **Raises** `ValueError` for an η that is 0 or not finite.
        """
        return cls(stencil=Stencil.centred("eta", eta), method=method)

    @classmethod
    def contrastive(cls, method: Method | None = None) -> "CoupledLearning":
        """Return contrastive learning, ∂E/∂θ(s_C) − ∂E/∂θ(s_0), outputs at their targets: η = 1.

        (Movellan 1991.)

        **Arguments:** `method`: as for the class.
        """
        return cls.one_sided(1.0, method)

    def estimate(self, net, cost, xs, ys, key=None):
        if not isinstance(cost, SquaredError):
            raise ValueError(
                "`cost` must be a SquaredError, whose targets the outputs are clamped to, "
                f"but is {type(cost).__name__}"
            )
        loss, free = free_phase(net, cost, xs, ys, self.method, key)
        outputs = jax.vmap(net.outputs)(free.state)
        ahead = jax.vmap(lambda o, y: cost.targets(y, o.shape[0]).astype(o.dtype) - o)(outputs, ys)

        def clamped(eta):
            values = outputs + eta.astype(outputs.dtype) * ahead
            return displaced_phases(_clamped, net, values, xs, free.state, self.method, key)

        equilibria, displacements = jax.vmap(clamped)(self.stencil.nudges)
        grad = self.contrast(net, xs, free.state, displacements)
        return Estimate(loss, grad, free, equilibria, displacements)


def _clamped(net: Energy, values: jax.Array) -> Clamped:
    return Clamped(net, values)
