"""Connections between layers: dense, convolutional and locally connected, with pooling."""

import abc
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Shape = tuple[int, ...]


class Connection(eqx.Module):
    """A map from the state of one layer to the drive on the next one.

    Linear in its parameters, and in the state but for max pooling. The energy holds it as
    −s · connection(before), so that its transpose drives the layer before without being stated.
    """

    @abc.abstractmethod
    def __call__(self, before: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the drive on the next layer, of that layer's shape.

        **Arguments:** `before`: the active state of the layer before.

        **Raises** `ValueError` where `before` does not fit.
        """

    @abc.abstractmethod
    def bias_shape(self, layer: Shape) -> Shape:
        """Return the shape of the biases of a next layer of shape `layer`, broadcast to it."""


class Pooling(eqx.Module):
    """How windows of `window` × `window` nodes, side by side, become one node each."""

    window: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(
        self, maps: Float[Array, "channels height width"]
    ) -> Float[Array, "channels rows columns"]:
        """Return one node for each window.

        **Arguments:** `maps`: (channels, height, width).

        **Returns** (channels, height / window, width / window).

        **Raises** `ValueError` where the windows do not tile the maps.
        """


class AveragePooling(Pooling):
    """The mean of each window."""

    window: int = eqx.field(static=True)

    def __check_init__(self):
        _require_at_least("window", self.window, 1)

    def __call__(self, maps):
        return jnp.mean(_windows(maps, self.window), (2, 4))


class MaxPooling(Pooling):
    """The largest node of each window (Laborieux et al. 2021, arXiv:2006.03824).

    In an energy −s · max(…) it has no kink at a minimum where s ≥ 0, so it goes with activations
    that are never negative.
    """

    window: int = eqx.field(static=True)

    def __check_init__(self):
        _require_at_least("window", self.window, 1)

    def __call__(self, maps):
        return jnp.max(_windows(maps, self.window), (2, 4))


class Dense(Connection):
    """Every node to every node: the drive on node j is Σ_i before_i `weights`_ij.

    The layer before is flattened.

    **Arguments:** `weights`: (nodes of the layer before, nodes).

    **Raises** `ValueError` for weights of another number of dimensions.
    """

    weights: Float[Array, "before nodes"]

    def __check_init__(self):
        _require_dimensions("weights", self.weights, 2, "(nodes of the layer before, nodes)")

    @classmethod
    def init(cls, key: PRNGKeyArray, before: int | Shape, nodes: int) -> "Dense":
        """Return random weights U(±1/√n), n the nodes of the layer before.

        **Arguments:** `key`: of the random numbers; `before`: the shape of the layer before, or its
        number of nodes; `nodes`: how many nodes the next layer has.
        """
        size = math.prod(_shape(before))
        return cls(_uniform(key, (size, nodes), size))

    def __call__(self, before):
        if before.size != self.weights.shape[0]:
            raise ValueError(
                f"`before` must hold {self.weights.shape[0]} nodes, one for each row of `weights`, "
                f"but has {before.shape}"
            )
        return before.ravel() @ self.weights

    def bias_shape(self, layer):
        return layer


class Convolution(Connection):
    """One kernel moved over the layer before, then `pooling`.

    drive[o, p, q] = pool Σ_{c, i, j} `kernel`[o, c, i, j] before[c, y, x]

    with y = p·stride + i − padding, x = q·stride + j − padding, and 0 outside.
    Layers have shape (channels, height, width), and there is one bias a channel. (Ernoult et al.
    2019, arXiv:1905.13633.)

    **Arguments:**

    - `kernel`: (channels, channels before, height, width).
    - `stride`, `padding`: in nodes, the same for both directions.
    - `pooling`: `AveragePooling`, `MaxPooling` or `None`.

    **Raises** `ValueError` for a kernel of another number of dimensions, a stride below 1, and a
    padding below 0.
    """

    kernel: Float[Array, "channels before height width"]
    stride: int = eqx.field(static=True, default=1)
    padding: int = eqx.field(static=True, default=0)
    pooling: Pooling | None = None

    def __check_init__(self):
        _require_dimensions("kernel", self.kernel, 4, "(channels, channels before, height, width)")
        _require_at_least("stride", self.stride, 1)
        _require_at_least("padding", self.padding, 0)

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        before: Shape,
        channels: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        pooling: Pooling | None = None,
    ) -> "Convolution":
        """Return a random kernel U(±1/√n), n the weights into one node.

        **Arguments:** `key`: of the random numbers; `before`: the shape of the layer before;
        `channels`: how many the next layer has; `size`: height and width of the kernel in nodes;
        `stride`, `padding`, `pooling`: as for the class.

        **Raises** `ValueError` for a layer or a size that does not fit.
        """
        _places(before, size, stride, padding)
        kernel = (channels, before[0], size, size)
        return cls(_uniform(key, kernel, before[0] * size**2), stride, padding, pooling)

    def __call__(self, before):
        _require_fit(before, self.kernel.shape[1:], self.padding)
        dtype = jnp.result_type(before, self.kernel)  # a complex state has a complex drive
        pad = (self.padding, self.padding)
        maps = jax.lax.conv_general_dilated(
            before[None].astype(dtype),
            self.kernel.astype(dtype),
            (self.stride, self.stride),
            (pad, pad),
        )[0]
        return maps if self.pooling is None else self.pooling(maps)

    def bias_shape(self, layer):
        return (layer[0], 1, 1)


class LocallyConnected(Connection):
    """A `Convolution` without weight sharing: a kernel, and a bias, of its own at each place.

    drive[o, p, q] = pool Σ_{c, i, j} `kernels`[o, p, q, c, i, j] before[c, y, x]

    with y = p·stride + i − padding, x = q·stride + j − padding, and 0 outside.

    **Arguments:**

    - `kernels`: (channels, rows, columns, channels before, height, width), rows and columns counted
      before pooling.
    - `stride`, `padding`, `pooling`: as for `Convolution`.

    **Raises** `ValueError` as `Convolution` does.
    """

    kernels: Float[Array, "channels rows columns before height width"]
    stride: int = eqx.field(static=True, default=1)
    padding: int = eqx.field(static=True, default=0)
    pooling: Pooling | None = None

    def __check_init__(self):
        _require_dimensions(
            "kernels", self.kernels, 6, "(channels, rows, columns, channels before, height, width)"
        )
        _require_at_least("stride", self.stride, 1)
        _require_at_least("padding", self.padding, 0)

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        before: Shape,
        channels: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        pooling: Pooling | None = None,
    ) -> "LocallyConnected":
        """Return random kernels U(±1/√n), n the weights into one node.

        **Arguments** and **raises** as for `Convolution.init`.
        """
        kernels = (channels, *_places(before, size, stride, padding), before[0], size, size)
        return cls(_uniform(key, kernels, before[0] * size**2), stride, padding, pooling)

    def __call__(self, before):
        _, rows, columns, *kernel = self.kernels.shape
        _require_fit(before, kernel, self.padding)
        lengths = zip(before.shape[1:], kernel[1:], strict=True)
        if [(n + 2 * self.padding - k) // self.stride + 1 for n, k in lengths] != [rows, columns]:
            raise ValueError(
                f"`before` must give {rows} × {columns} places, one for each of `kernels`, "
                f"but has shape {before.shape}"
            )
        pad = (self.padding, self.padding)
        padded = jnp.pad(before, ((0, 0), pad, pad))
        views = jnp.concatenate(
            [self._view(padded, i, j) for i in range(kernel[1]) for j in range(kernel[2])]
        )
        patches = views.reshape(*kernel[1:], kernel[0], rows, columns)
        maps = jnp.einsum("opqcij,ijcpq->opq", self.kernels, patches)
        return maps if self.pooling is None else self.pooling(maps)

    def _view(self, padded: Array, i: int, j: int) -> Array:
        """Return the nodes that entry (i, j) of the kernels reads, one for each place."""
        _, rows, columns = self.kernels.shape[:3]
        step = self.stride
        return padded[
            :, i : i + (rows - 1) * step + 1 : step, j : j + (columns - 1) * step + 1 : step
        ]

    def bias_shape(self, layer):
        return layer


def _windows(maps: Array, window: int) -> Array:
    """Return the maps as (channels, rows, window, columns, window)."""
    channels, height, width = maps.shape
    if height % window or width % window:
        raise ValueError(
            f"`window` must divide the {height} × {width} nodes that are pooled, but is {window}"
        )
    return maps.reshape(channels, height // window, window, width // window, window)


def _uniform(key: PRNGKeyArray, shape: Shape, fan_in: int) -> Array:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) / math.sqrt(fan_in)


def _shape(layer: int | Shape) -> Shape:
    return (layer,) if isinstance(layer, int) else tuple(layer)


def _require_at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ValueError(f"`{name}` must be at least {lowest}, but is {value}")


def _require_dimensions(name: str, array: Array, number: int, meaning: str) -> None:
    if array.ndim != number:
        raise ValueError(
            f"`{name}` must have {number} dimensions {meaning}, but has shape {array.shape}"
        )


def _places(before: Shape, size: int, stride: int, padding: int) -> list[int]:
    """Return how many places a kernel has on a layer, in each direction.

    **Arguments:** `before`: the shape of the layer; `size`: height and width of the kernel.

    **Raises** `ValueError` for a layer or a size that does not fit.
    """
    if len(before) != 3:
        raise ValueError(f"`before` must be (channels, height, width), but is {before}")
    for name, value, lowest in (("size", size, 1), ("stride", stride, 1), ("padding", padding, 0)):
        _require_at_least(name, value, lowest)
    if size > min(before[1:]) + 2 * padding:
        raise ValueError(
            f"`size` must be at most that of the layer before, {before} with padding {padding}, "
            f"but is {size}"
        )
    return [(length + 2 * padding - size) // stride + 1 for length in before[1:]]


def _require_fit(before: Array, kernel: Sequence[int], padding: int) -> None:
    """Raise `ValueError` unless a kernel (channels before, height, width) fits on a layer."""
    channels, *size = kernel
    if (
        before.ndim != 3
        or before.shape[0] != channels
        or any(n + 2 * padding < k for n, k in zip(before.shape[1:], size, strict=True))
    ):
        raise ValueError(
            f"`before` must have {channels} channels of at least {size[0]} × {size[1]} nodes, "
            f"padding included, but has shape {before.shape} and padding {padding}"
        )
