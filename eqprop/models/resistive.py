"""Layered resistive networks: conductances, and a device at every hidden node."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.custom_batching
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energies import Energy, conductances

Voltages = tuple[Float[Array, " layer"], ...]


def _as_pytree(device: Any) -> Any:
    """Return `device` itself after its class has become a pytree of its fields.

    A dataclass that JAX does not know yet is registered; everything else is left alone.
    """
    if dataclasses.is_dataclass(device) and jax.tree_util.all_leaves([device]):
        names = [field.name for field in dataclasses.fields(device)]

        def flatten(device):
            return [(jax.tree_util.GetAttrKey(name), getattr(device, name)) for name in names], None

        def unflatten(_, values):
            # Past __init__, since JAX puts tracers and placeholders into the fields.
            copy = object.__new__(kind)
            for name, value in zip(names, values, strict=True):
                object.__setattr__(copy, name, value)
            return copy

        kind = type(device)
        jax.tree_util.register_pytree_with_keys(kind, flatten, unflatten)
    return device


@eqx.filter_custom_jvp
def _cocontent(device: Any, v: Float[Array, " layer"]) -> Float[Array, " layer"]:
    """Return `device.cocontent(v)`, whose derivative is taken to be `device.current(v)`.

    That costs half of what differentiating the co-content would.
    """
    return device.cocontent(v)


@_cocontent.def_jvp
def _(primals, tangents):
    device, v = primals
    device_tangent, v_tangent = tangents
    tangent = 0.0 if v_tangent is None else device.current(v) * v_tangent
    if jax.tree.leaves(device_tangent):
        tangent += eqx.filter_jvp(lambda d: d.cocontent(v), (device,), (device_tangent,))[1]
    return device.cocontent(v), jnp.broadcast_to(tangent, v.shape)


@jax.custom_batching.custom_vmap
def _in_one_pass(u: Array, g: Array) -> tuple[Array, Array]:
    return u @ g, jnp.ones_like(u) @ g


@_in_one_pass.def_vmap
def _(size, batched, u, g):
    del size
    if batched == [True, False]:
        rows = jnp.concatenate([u, jnp.ones_like(u[:1])]) @ g
        return (rows[:-1], rows[-1]), (True, False)
    axes = tuple(0 if one else None for one in batched)
    return jax.vmap(lambda u, g: (u @ g, jnp.ones_like(u) @ g), in_axes=axes)(u, g), (True, True)


@jax.custom_jvp
def _product_and_sums(
    u: Float[Array, " n"], g: Float[Array, "n m"]
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Return u·g and the sums 1·g, for a batch of u with one pass over g instead of two.

    The sums are then one more row of the product, which `vmap` would not do by itself.
    """
    return _in_one_pass(u, g)


@_product_and_sums.defjvp
def _(primals, tangents):
    (u, g), (du, dg) = primals, tangents
    ones = jnp.ones_like(u)
    return (u @ g, ones @ g), (du @ g + u @ dg, ones @ dg)


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


class Resistive(Energy):
    """A layered resistive network, whose energy is its co-content in units of `unit` (S·V²).

    E = Σ_l A^{−2l} [ ½ Σ_ij g^l_ij (u^l_i − v^l_j)² − b^l·v^l + Σ_hidden P(v^l) / unit ]

    with u^0 = rails and u^l = A v^{l−1}; the node voltages minimise it. The input rails are ideal
    sources at ±`input_gain` · x, all the +x before all the −x. Every hidden node has one `device`
    to ground of co-content P(v) = ∫₀ᵛ i(u) du. The state is a tuple of the voltages v^l of the
    hidden layers and of the outputs. (Millar 1951 for the co-content; Kendall et al. 2020,
    arXiv:2006.01981 for equilibrium propagation in it.)

    **Amplifiers.** With A ≠ 1 a bidirectional amplifier stands between each two consecutive layers
    of nodes, none at the rails and none after the outputs: forward it holds the next layer's
    incoming voltage at u = A v, and backward it draws from v the current that leaves u, divided by
    A. Kirchhoff's current at a node behind l amplifiers is unit · A^{2l} ∂E/∂v, so that in a
    network of L layers a nudge β is a conductance of β A^{2(L−1)} units at each output, and the
    time constants are C A^{−2l} / unit.

    **Doubled outputs.** The last layer has two nodes for each output, all o⁺ before all o⁻, and the
    output is o⁺ − o⁻: a nudge β of the squared error drives β (y − (o⁺ − o⁻)) into o⁺ and out of
    o⁻. The last array of the state is then two, as o⁺ and o⁻ interact when nudged.

    **Arguments:**

    - `conductances`: one array (nodes of the layer before, nodes of the layer) per layer, in units
      of `unit`, finite and within `conductance_bounds`; the first has 2 rows for each input, and
      the last 2 columns for each doubled output.
    - `biases`: one current into each node per layer, in units of `unit` · volt.
    - `device`: any frozen dataclass with `current(v)` in amperes and `cocontent(v)` in watts, both
      node by node for the voltages of a whole layer, and, for ideal diodes, `bounds(n)`, the lowest
      and highest voltages of n nodes; its array fields learn, its plain numbers do not. `None` for
      a linear network.
    - `unit`: the unit conductance, in siemens.
    - `input_gain`: volts per unit of input.
    - `capacitance`: of each node to ground, in farads; it sets the time constants and no fixed
      point.
    - `amplification`: A, without unit.
    - `doubled_outputs`: whether there are two nodes for each output.
    - `conductance_bounds`: the lowest and the highest conductance, in units of `unit`; `fit` keeps
      to them.

    **Raises** `ValueError` for conductances that are out of bounds or not finite, biases that are
    not finite, shapes that do not fit, and bounds other than 0 ≤ lowest < highest.
    """

    conductances: tuple[Float[Array, "before layer"], ...]
    biases: tuple[Float[Array, " layer"], ...]
    device: Any = eqx.field(converter=_as_pytree, default=None)
    unit: float = eqx.field(converter=float, default=1.0)
    input_gain: float = eqx.field(converter=float, default=1.0)
    capacitance: float = eqx.field(converter=float, default=1e-12)
    amplification: float = eqx.field(converter=float, default=1.0)
    doubled_outputs: bool = eqx.field(static=True, default=False)
    conductance_bounds: tuple[float, ...] = eqx.field(
        static=True, converter=_numbers, default=(0.0, np.inf)
    )

    def __check_init__(self):
        for name in ("unit", "input_gain", "capacitance", "amplification"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(
                    f"`{name}` must be finite and above 0, but is {getattr(self, name)}"
                )
        _check_bounds(self.conductance_bounds)
        if len(self.conductances) != len(self.biases) or not self.conductances:
            raise ValueError(
                "`conductances` and `biases` must hold one array for each layer, "
                f"but hold {len(self.conductances)} and {len(self.biases)}"
            )
        before = self.conductances[0].shape[0]
        if before % 2:
            raise ValueError(
                "`conductances[0]` must have two rows (+x, −x) for each input, "
                f"but has {before} rows"
            )
        for layer, (g, b) in enumerate(zip(self.conductances, self.biases, strict=True)):
            if g.ndim != 2 or g.shape[0] != before or b.shape != g.shape[1:]:
                raise ValueError(
                    f"`conductances[{layer}]` must have shape ({before}, n) and "
                    f"`biases[{layer}]` (n,), but have {g.shape} and {b.shape}"
                )
            before = g.shape[1]
            if not isinstance(g, jax.core.Tracer):
                _check_values(layer, np.asarray(g), np.asarray(b), *self.conductance_bounds)
        if self.doubled_outputs and before % 2:
            raise ValueError(
                "`conductances[-1]` must have two columns (+, −) for each doubled output, "
                f"but has {before} columns"
            )

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        sizes: Sequence[int],
        *,
        device: Any = None,
        unit: float = 1.0,
        input_gain: float = 1.0,
        capacitance: float = 1e-12,
        amplification: float = 1.0,
        doubled_outputs: bool = False,
        conductance_bounds: tuple[float, float] = (0.0, np.inf),
    ) -> "Resistive":
        """Return a random network: conductances U(−1/√n, 1/√n) clipped to their bounds, biases 0.

        n is the number of nodes of the layer before. Half of the conductances are at the lowest,
        which without bounds means absent.

        **Arguments:** `key`: of the random numbers; `sizes`: how many inputs, nodes of each hidden
        layer, and outputs, inputs and outputs counted before doubling; the others as for the class.
        """
        _check_bounds(_numbers(conductance_bounds))
        rows = (2 * sizes[0], *sizes[1:-1])
        columns = (*sizes[1:-1], (2 if doubled_outputs else 1) * sizes[-1])
        keys = jax.random.split(key, len(rows))
        arrays = [
            jnp.clip(
                jax.random.uniform(k, (n, m), minval=-1.0, maxval=1.0) / np.sqrt(n),
                *conductance_bounds,
            )
            for k, n, m in zip(keys, rows, columns, strict=True)
        ]
        return cls(
            tuple(arrays),
            tuple(jnp.zeros(m, arrays[0].dtype) for m in columns),
            device,
            unit,
            input_gain,
            capacitance,
            amplification,
            doubled_outputs,
            conductance_bounds,
        )

    def rails(self, x: Float[Array, " inputs"]) -> Float[Array, " rails"]:
        """Return the voltages of the input rails, in V: +gain·x, then −gain·x.

        **Arguments:** `x`: the input (inputs,).
        """
        rows = self.conductances[0].shape[0]
        if x.shape != (rows // 2,):
            raise ValueError(f"`x` must have shape {(rows // 2,)}, but has {x.shape}")
        rail = self.input_gain * x.astype(self.conductances[0].dtype)
        return jnp.concatenate([rail, -rail])

    def _layers(self, state: Voltages) -> Voltages:
        """Return the voltages by layer, both nodes of doubled outputs in the last."""
        return (*state[:-2], jnp.concatenate(state[-2:])) if self.doubled_outputs else state

    def __call__(self, state, x):
        layers = self._layers(state)
        before, value = self.rails(x), 0.0
        for g, b, v, weight in zip(
            self.conductances, self.biases, layers, self._weights(), strict=True
        ):
            value += weight * (conductances(g, before, v) - b @ v)
            before = self.amplification * v
        if self.device is not None:
            devices = (
                w * jnp.sum(_cocontent(self.device, v))
                for v, w in zip(layers[:-1], self._weights(), strict=False)
            )
            value += sum(devices) / self.unit
        return value

    def slope(self, state, x, leaf=None):
        last = len(self.conductances) - 1
        if leaf is not None and leaf < last:
            return self._layer_slope(leaf, state, x)
        outputs = self._layer_slope(last, state, x)
        halves = tuple(jnp.split(outputs, 2)) if self.doubled_outputs else (outputs,)
        if leaf is not None:
            return halves[leaf - last]
        return (*(self._layer_slope(layer, state, x) for layer in range(last)), *halves)

    def _layer_slope(self, layer: int, state: Voltages, x: Array) -> Float[Array, " layer"]:
        """Return ∂E/∂v of one layer, written out: half of what differentiating E would cost.

        A^{−2l} [ v·(gᵀ1) − gᵀu − b + i(v) / unit ] from the conductances g before the layer, and
        A^{−2(l+1)} A [ A v·(g′1) − g′v′ ] from those after it, to the voltages v′ of the next.
        """
        layers, weights = self._layers(state), self._weights()
        g, v = self.conductances[layer], layers[layer]
        if layer:
            before = self.amplification * layers[layer - 1]
            drive, sums = before @ g, jnp.ones_like(before) @ g
        else:
            drive, sums = _product_and_sums(self.rails(x), g)
        slope = v * sums - drive - self.biases[layer]
        if layer + 1 == len(layers):
            return weights[layer] * slope
        if self.device is not None:
            slope += self.device.current(v) / self.unit
        after, ahead = self.conductances[layer + 1], layers[layer + 1]
        leaving = self.amplification * v * (after @ jnp.ones_like(ahead)) - ahead @ after.T
        return weights[layer] * slope + weights[layer + 1] * self.amplification * leaving

    def init_state(self, x) -> Voltages:
        del x
        sizes = [b.size for b in self.biases]
        if self.doubled_outputs:
            sizes[-1:] = 2 * [sizes[-1] // 2]
        return tuple(jnp.zeros(n, self.conductances[0].dtype) for n in sizes)

    def outputs(self, state):
        return state[-2] - state[-1] if self.doubled_outputs else state[-1]

    def bounds(self, x):
        if not hasattr(self.device, "bounds"):
            return None
        free, hidden = self.init_state(x), len(self.conductances) - 1
        boxes = [self.device.bounds(v.size) for v in free[:hidden]]
        boxes += [(np.full(v.size, -np.inf), np.full(v.size, np.inf)) for v in free[hidden:]]
        low, high = (
            tuple(jnp.asarray(side, free[0].dtype) for side in sides)
            for sides in zip(*boxes, strict=True)
        )
        return low, high

    def is_attractive(self):
        return True  # a conductance g between two nodes adds −A g ≤ 0 to ∂²E/∂v_i∂v_j

    def parameter_bounds(self):
        return {"conductances*": self.conductance_bounds}

    def time_constants(self, x):
        """Return τ = capacitance · A^{−2l} / unit of a node behind l amplifiers, in seconds.

        τ dv/dt = −∂E/∂v is then Kirchhoff's current law at the node.
        """
        tau = self.capacitance / self.unit
        if self.amplification == 1:
            return tau
        weights = self._weights()
        if self.doubled_outputs:
            weights.append(weights[-1])
        return tuple(
            jnp.full_like(v, tau * weight)
            for v, weight in zip(self.init_state(x), weights, strict=True)
        )

    def _weights(self) -> list[float]:
        """Return A^{−2l} for every layer, l being the number of amplifiers before it."""
        return [self.amplification ** (-2 * layer) for layer in range(len(self.conductances))]


def _check_bounds(bounds: tuple[float, ...]) -> None:
    if len(bounds) != 2 or not (0 <= bounds[0] < bounds[1]):
        raise ValueError(
            f"`conductance_bounds` must be two numbers with 0 <= lowest < highest, but are {bounds}"
        )


def _check_values(layer: int, g: np.ndarray, b: np.ndarray, lowest: float, highest: float) -> None:
    """Raise `ValueError` for a layer's conductances out of bounds, or numbers that are not finite.

    The bounds are rounded to the precision of the conductances, in which training clips them.
    """
    low, high = np.asarray(lowest, g.dtype), np.asarray(highest, g.dtype)
    wrong = ~(np.isfinite(g) & (g >= low) & (g <= high))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        most = f" and at most {highest:g}" if np.isfinite(highest) else ""
        raise ValueError(
            f"`conductances[{layer}]` must be finite and at least {lowest:g}{most}, "
            f"but is {g[at]} at {at}"
        )
    if not np.isfinite(b).all():
        raise ValueError(f"`biases[{layer}]` must be finite, but is {b}")
