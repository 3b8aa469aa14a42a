"""Layered Hopfield networks: dense, convolutional or locally connected."""

import abc
import functools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy, bias
from .connections import Connection, Dense, Shape

Layers = tuple[Float[Array, "..."], ...]


class Activation(eqx.Module):
    """The activation ρ of a node, elementwise, and the box that holds the node's state, if any."""

    @abc.abstractmethod
    def __call__(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return ρ(s) for states inside the box."""

    def box(self) -> tuple[float, float] | None:
        """Return the lowest and the highest state, or `None`."""
        return None


class HardSigmoid(Activation):
    """ρ(s) = min(max(s, 0), 1), as the identity on states held in [0, 1].

    (Scellier & Bengio 2017.)
    """

    def __call__(self, s):
        return s

    def box(self):
        return 0.0, 1.0


class ReLU6(Activation):
    """ρ(s) = min(max(s, 0), 6), as the identity on states held in [0, 6]."""

    def __call__(self, s):
        return s

    def box(self):
        return 0.0, 6.0


class Tanh(Activation):
    """ρ(s) = tanh(s), with free states."""

    def __call__(self, s):
        return jnp.tanh(s)


class Sigmoid(Activation):
    """ρ(s) = 1 / (1 + e^{−s}), with free states."""

    def __call__(self, s):
        return jax.nn.sigmoid(s)


class Hopfield(Energy):
    """A layered Hopfield network, with ρ(s_0) the input x.

    E = ½ Σ_l |s_l|² − Σ_l ρ(s_l) · [c_l(ρ(s_{l−1})) + b_l]

    The state is a tuple of the layers after the input, and the last one is the output. (Scellier &
    Bengio 2017, arXiv:1602.05179; with convolutions and pooling Ernoult et al. 2019,
    arXiv:1905.13633, and Laborieux et al. 2021, arXiv:2006.03824.)

    **Arguments:**

    - `connections`: the map c_l into each layer.
    - `biases`: the bias b_l of each layer, of a shape that broadcasts to it.
    - `input_shape`: the shape of x, e.g. `(784,)` or `(1, 28, 28)`; an x of as many numbers in
      another shape is reshaped.
    - `activation`: ρ, one of `HardSigmoid`, `ReLU6`, `Tanh`, `Sigmoid`.

    **Raises** `ValueError` for connections that do not fit each other or the input, and for biases
    that do not fit their layer.
    """

    connections: tuple[Connection, ...]
    biases: tuple[Float[Array, "..."], ...]
    input_shape: Shape = eqx.field(static=True, converter=tuple)
    activation: Activation = HardSigmoid()

    def __check_init__(self):
        if len(self.connections) != len(self.biases) or not self.connections:
            raise ValueError(
                "`connections` and `biases` must hold one for each layer, "
                f"but hold {len(self.connections)} and {len(self.biases)}"
            )
        for layer, (b, shape) in enumerate(zip(self.biases, self.layer_shapes(), strict=True)):
            if len(b.shape) != len(shape) or any(
                n not in (1, m) for n, m in zip(b.shape, shape, strict=True)
            ):
                raise ValueError(
                    f"`biases[{layer}]` must fit a layer of shape {shape}, but has shape {b.shape}"
                )

    @classmethod
    def init(
        cls, key: PRNGKeyArray, sizes: Sequence[int], activation: Activation | None = None
    ) -> "Hopfield":
        """Return a dense network: weights U(±1/√n), n the nodes of the layer before, biases 0.

        **Arguments:**

        - `key`: of the random numbers.
        - `sizes`: how many inputs, nodes of each hidden layer, and outputs.
        - `activation`: ρ; `HardSigmoid` if not given.

        **Raises** `ValueError` for fewer than two sizes.
        """
        if len(sizes) < 2:
            raise ValueError(
                f"`sizes` must hold the inputs and the outputs at least, but is {tuple(sizes)}"
            )
        return cls.stack(
            key, sizes[:1], [functools.partial(Dense.init, nodes=n) for n in sizes[1:]], activation
        )

    @classmethod
    def stack(
        cls,
        key: PRNGKeyArray,
        input_shape: Sequence[int],
        layers: Sequence[Callable[[PRNGKeyArray, Shape], Connection]],
        activation: Activation | None = None,
    ) -> "Hopfield":
        """Return a network of any connections, with biases 0.

        **Arguments:**

        - `key`: of the random numbers.
        - `input_shape`: the shape of an input.
        - `layers`: for each layer a function of a key and of the shape of the layer before that
          makes the connection, e.g. `[partial(Convolution.init, channels=8, size=3,
          pooling=AveragePooling(2)), partial(Dense.init, nodes=10)]`.
        - `activation`: ρ; `HardSigmoid` if not given.
        """
        shape, connections, biases = tuple(input_shape), [], []
        for k, make in zip(jax.random.split(key, len(layers)), layers, strict=True):
            connections.append(make(k, shape))
            shape = _drive_shape(connections[-1], shape)
            biases.append(jnp.zeros(connections[-1].bias_shape(shape)))
        return cls(
            tuple(connections),
            tuple(biases),
            tuple(input_shape),
            HardSigmoid() if activation is None else activation,
        )

    def layer_shapes(self) -> tuple[Shape, ...]:
        """Return the shape of each layer after the input."""
        shapes = [self.input_shape]
        for layer, connection in enumerate(self.connections):
            try:
                shapes.append(_drive_shape(connection, shapes[-1]))
            except ValueError as problem:
                raise ValueError(
                    f"`connections[{layer}]` must fit a layer of shape {shapes[-1]}, but {problem}"
                ) from None
        return tuple(shapes[1:])

    def _input(self, x: Array) -> Array:
        if x.size != math.prod(self.input_shape):
            raise ValueError(f"`x` must have shape {self.input_shape}, but has {x.shape}")
        return x.reshape(self.input_shape).astype(self.biases[0].dtype)

    def __call__(self, state, x):
        before, value = self._input(x), 0.0
        for connection, b, s in zip(self.connections, self.biases, state, strict=True):
            active = self.activation(s)
            value += jnp.sum(s**2) / 2 - jnp.sum(active * connection(before)) - bias(b, active)
            before = active
        return value

    def init_state(self, x) -> Layers:
        self._input(x)
        return tuple(jnp.zeros(shape, self.biases[0].dtype) for shape in self.layer_shapes())

    def outputs(self, state):
        return state[-1].ravel()

    def bounds(self, x):
        box = self.activation.box()
        if box is None:
            return None
        low, high = (
            jax.tree.map(lambda s, side=side: jnp.full_like(s, side), self.init_state(x))
            for side in box
        )
        return low, high


def _drive_shape(connection: Connection, before: Shape) -> Shape:
    """Return the shape of the layer that `connection` drives from a layer of shape `before`."""
    return jax.eval_shape(connection, jax.ShapeDtypeStruct(before, np.float32)).shape
