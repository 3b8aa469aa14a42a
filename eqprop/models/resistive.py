"""Layered resistive networks: the co-content of conductances and of a device at every hidden node."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..energy import Energy, conductances

Voltages = tuple[Float[Array, " layer"], ...]


def _as_pytree(device: Any) -> Any:
    """`device` itself, its class registered as a pytree of its fields where it is a dataclass that JAX does not know yet."""
    if dataclasses.is_dataclass(device) and jax.tree_util.all_leaves([device]):
        names = [field.name for field in dataclasses.fields(device)]

        def flatten(device):
            return [(jax.tree_util.GetAttrKey(name), getattr(device, name)) for name in names], None

        def unflatten(_, values):
            copy = object.__new__(kind)  # past __init__: JAX puts tracers and placeholders into the fields
            for name, value in zip(names, values, strict=True):
                object.__setattr__(copy, name, value)
            return copy

        kind = type(device)
        jax.tree_util.register_pytree_with_keys(kind, flatten, unflatten)
    return device


@eqx.filter_custom_jvp
def _cocontent(device: Any, v: Float[Array, " layer"]) -> Float[Array, " layer"]:
    """`device.cocontent(v)` with `device.current(v)` as its derivative, which costs half of what differentiating it would."""
    return device.cocontent(v)


@_cocontent.def_jvp
def _(primals, tangents):
    device, v = primals
    device_tangent, v_tangent = tangents
    tangent = 0.0 if v_tangent is None else device.current(v) * v_tangent
    if jax.tree.leaves(device_tangent):
        tangent += eqx.filter_jvp(lambda d: d.cocontent(v), (device,), (device_tangent,))[1]
    return device.cocontent(v), jnp.broadcast_to(tangent, v.shape)


class Resistive(Energy):
    """A layered resistive network; its energy is its co-content in units of `unit` (S·V²), minimised by the node voltages.

    E = Σ_l [ ½ Σ_ij g^l_ij (v^{l−1}_i − v^l_j)² − b^l·v^l ] + Σ_hidden P(v) / unit

    The input rails are ideal sources at ±`input_gain` · x, all the +x before all the −x. Every hidden node has one `device` to ground
    of co-content P(v) = ∫₀ᵛ i(u) du. The state is a tuple of the voltages of the hidden layers and of the outputs. (Millar 1951 for
    the co-content; Kendall et al. 2020, arXiv:2006.01981 for equilibrium propagation in it.)

    **Arguments:**

    - `conductances`: one array (nodes of the layer before, nodes of the layer) per layer, in units of `unit`, finite and ≥ 0; the
      first has 2 rows for each input.
    - `biases`: one current into each node per layer, in units of `unit` · volt.
    - `device`: any frozen dataclass with `current(v)` in amperes, `cocontent(v)` in watts, both elementwise, and, for ideal diodes,
      `bounds(n)`, the lowest and highest voltages of n nodes; its array fields learn, its plain numbers do not. `None` for a linear
      network.
    - `unit`: the unit conductance, in siemens. `input_gain`: volts per unit of input.
    - `capacitance`: of each node to ground, in farads; it sets the time constants and no fixed point.

    **Raises** `ValueError` for conductances that are negative or not finite, biases that are not finite, and shapes that do not fit.
    """

    conductances: tuple[Float[Array, "before layer"], ...]
    biases: tuple[Float[Array, " layer"], ...]
    device: Any = eqx.field(converter=_as_pytree, default=None)
    unit: float = eqx.field(converter=float, default=1.0)
    input_gain: float = eqx.field(converter=float, default=1.0)
    capacitance: float = eqx.field(converter=float, default=1e-12)

    def __check_init__(self):
        if len(self.conductances) != len(self.biases) or not self.conductances:
            raise ValueError(
                "`conductances` and `biases` must hold one array for each layer, "
                f"but hold {len(self.conductances)} and {len(self.biases)}"
            )
        before = self.conductances[0].shape[0]
        if before % 2:
            raise ValueError(f"`conductances[0]` must have two rows (+x, −x) for each input, but has {before} rows")
        for layer, (g, b) in enumerate(zip(self.conductances, self.biases, strict=True)):
            if g.ndim != 2 or g.shape[0] != before or b.shape != g.shape[1:]:
                raise ValueError(
                    f"`conductances[{layer}]` must have shape ({before}, n) and `biases[{layer}]` (n,), "
                    f"but have {g.shape} and {b.shape}"
                )
            before = g.shape[1]
            if isinstance(g, jax.core.Tracer):
                continue
            wrong = ~(np.isfinite(g) & (np.asarray(g) >= 0))
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise ValueError(f"`conductances[{layer}]` must be finite and at least 0, but is {g[at]} at {at}")
            if not np.isfinite(b).all():
                raise ValueError(f"`biases[{layer}]` must be finite, but is {np.asarray(b)}")
        for name in ("unit", "input_gain", "capacitance"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"`{name}` must be finite and above 0, but is {getattr(self, name)}")

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
    ) -> "Resistive":
        """A random network of `sizes` (inputs before doubling, hidden layers, outputs).

        Conductances are max(0, U(−1/√n, 1/√n)) with n the nodes of the layer before: half of them are absent. Biases are 0.
        """
        rows = (2 * sizes[0], *sizes[1:-1])
        keys = jax.random.split(key, len(rows))
        arrays = [
            jax.nn.relu(jax.random.uniform(k, (n, m), minval=-1.0, maxval=1.0)) / np.sqrt(n)
            for k, n, m in zip(keys, rows, sizes[1:], strict=True)
        ]
        return cls(tuple(arrays), tuple(jnp.zeros(m, arrays[0].dtype) for m in sizes[1:]), device, unit, input_gain, capacitance)

    def rails(self, x: Float[Array, " inputs"]) -> Float[Array, " rails"]:
        """The voltages of the input rails: +gain·x, then −gain·x."""
        rows = self.conductances[0].shape[0]
        if x.shape != (rows // 2,):
            raise ValueError(f"`x` must have shape {(rows // 2,)}, but has {x.shape}")
        rail = self.input_gain * x.astype(self.conductances[0].dtype)
        return jnp.concatenate([rail, -rail])

    def __call__(self, state, x):
        before, value = self.rails(x), 0.0
        for g, b, v in zip(self.conductances, self.biases, state, strict=True):
            value += conductances(g, before, v) - b @ v
            before = v
        if self.device is not None:
            value += sum(jnp.sum(_cocontent(self.device, v)) for v in state[:-1]) / self.unit
        return value

    def init_state(self, x) -> Voltages:
        del x
        return tuple(jnp.zeros(b.shape, self.conductances[0].dtype) for b in self.biases)

    def outputs(self, state):
        return state[-1]

    def bounds(self, x):
        if not hasattr(self.device, "bounds"):
            return None
        free = self.init_state(x)
        boxes = [self.device.bounds(v.shape[0]) for v in free[:-1]]
        boxes.append((np.full(free[-1].shape, -np.inf), np.full(free[-1].shape, np.inf)))
        low, high = (tuple(jnp.asarray(side, free[0].dtype) for side in sides) for sides in zip(*boxes, strict=True))
        return low, high

    def parameter_bounds(self):
        return {"conductances*": (0.0, np.inf)}

    def time_constants(self, x):
        """τ = capacitance / unit for every node: C dv/dt = −unit · ∂E/∂v is Kirchhoff's current law at the node."""
        del x
        return self.capacitance / self.unit
