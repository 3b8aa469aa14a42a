"""What the outputs of a network are asked to be."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, Real


def require_labels(ys: np.ndarray, outputs: int) -> None:
    """Raise `ValueError` where a class label has no output. Not for use under `jit`.

    **Arguments:** `ys`: targets (batch, …), labels where they are of an integer dtype; `outputs`:
    how many there are.
    """
    ys = np.asarray(ys)
    if (
        np.issubdtype(ys.dtype, np.integer)
        and ys.ndim == 1
        and ys.size
        and not 0 <= ys.min() <= ys.max() < outputs
    ):
        raise ValueError(
            f"labels must be from 0 to {outputs - 1}, one for each output, "
            f"but go from {ys.min()} to {ys.max()}"
        )


class Cost(eqx.Module):
    """A scalar function `cost(outputs, y)` of one example, and the decision read from outputs."""

    @abc.abstractmethod
    def __call__(
        self, outputs: Float[Array, " outputs"], y: Num[Array, "*target"]
    ) -> Float[Array, ""]:
        """Return the cost C(outputs, y) of one example, a scalar."""

    @abc.abstractmethod
    def decide(self, outputs: Float[Array, " outputs"]) -> Array:
        """Return the decision that the outputs stand for, to be compared with `y`."""


class SquaredError(Cost):
    """C = ½ Σ_k (o_k − t_k)².

    A target `y` of an integer dtype is a class label: t is then `on` at the class and `off`
    elsewhere. A real `y` is the target itself, of the shape of the outputs. Nudged with weight β,
    each output is pulled to its target by a conductance β.

    **Arguments:** `on`, `off`: the two target levels of a class label, in the units of the outputs.
    """

    on: float = 1.0
    off: float = 0.0

    def targets(self, y: Num[Array, "*target"], outputs: int) -> Real[Array, " outputs"]:
        """Return the target t of each output, a vector.

        **Arguments:** `y`: a label or a target; `outputs`: how many there are.

        **Raises** `ValueError` where `y` is neither a label nor as long as the outputs.
        """
        if jnp.issubdtype(y.dtype, jnp.integer) and y.ndim == 0:
            return self.off + (self.on - self.off) * jax.nn.one_hot(y, outputs)
        if y.shape != (outputs,):
            raise ValueError(
                f"`y` must be an integer label or have the shape of the outputs {(outputs,)}, "
                f"but has {y.shape}"
            )
        return y

    def __call__(self, outputs, y):
        error = outputs - self.targets(y, outputs.shape[0]).astype(outputs.dtype)
        return jnp.sum(error**2) / 2

    def decide(self, outputs):
        """Return the class of the largest output."""
        return jnp.argmax(outputs)
