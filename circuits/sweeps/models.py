"""A network of `eqprop` as what a sweep simulates and holds against its model."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import eqprop as ep
from eqprop.training.fingerprints import fingerprint

from ..elements.base import GROUND
from ..learning.comparison import METHOD, contrast, fixed_points
from ..learning.emission import drives, emit, node_names, require_linear_minimum, targets, voltages
from ..learning.ports import NUDGE, Wiring
from ..netlist.netlist import Netlist
from .declaration import require_known
from .subjects import Samples, Subject

KEPT = 4
"""Exact gradients that are at hand."""
_GRADIENTS: OrderedDict[str, Any] = OrderedDict()


@dataclass(frozen=True, eq=False)
class Model(Subject):
    """A resistive network; its circuit is held against its own fixed points, which know nothing of temperature or variation.

    Raises `ValueError` for another kind of network.
    """

    is_model = True
    net: ep.Resistive
    cost: ep.SquaredError

    @classmethod
    def of(
        cls, net: Any, device: Mapping[str, float], cost: ep.SquaredError | Mapping[str, float]
    ) -> "Model":
        """That of a network with some fields of its device and levels of its cost changed."""
        if not isinstance(net, ep.Resistive):
            raise ValueError(
                f"`network` must be a Netlist or a Resistive network, but is {type(net).__name__}"
            )
        nodes = net.device
        for name in device:
            require_known(
                name,
                [field.name for field in fields(nodes)] if nodes is not None else (),
                "the network's device",
            )
        if nodes is not None and device:
            net = replace(net, device=replace(nodes, **device))
        net = jax.tree.map(
            lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, net
        )
        if not isinstance(cost, ep.SquaredError | Mapping):
            raise ValueError(
                f"`cost` must be a SquaredError, which sources can nudge towards, but is {type(cost).__name__}"
            )
        return cls(net, cost if isinstance(cost, ep.SquaredError) else ep.SquaredError(**cost))

    def __post_init__(self):
        wiring = Wiring.of(self.net)
        object.__setattr__(self, "nodes", wiring.nodes)
        object.__setattr__(self, "outputs", tuple(plus for plus, _ in wiring.outputs))

    def __reduce__(self):
        """A copy elsewhere is made by its constructors, which tell JAX of the device there."""
        parts = {field.name: getattr(self.net, field.name) for field in fields(self.net)}
        return _made, (parts, self.cost.on, self.cost.off)

    def netlist(self):
        return self._circuit

    @cached_property
    def _circuit(self) -> Netlist:
        return emit(self.net)

    def digest(self):
        return self._digest

    @cached_property
    def _digest(self) -> str:
        told = fingerprint(self.net, "net") | fingerprint(self.cost, "cost")
        return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()

    @cached_property
    def _checked(self) -> set[float]:
        """Nudges that are known to have a minimum."""
        return set()

    def phased(
        self, netlist: Netlist, samples: Samples, betas: Sequence[float]
    ) -> tuple[Netlist, dict[str, np.ndarray]]:
        columns = {
            name: np.repeat(column, len(betas))
            for name, column in drives(self.net, samples.values["x"]).items()
        }
        if len(betas) > 1:
            wiring = Wiring.of(self.net)
            with jax.enable_x64(True):
                wanted = targets(self.cost, np.asarray(samples.labels), len(wiring.outputs))
            columns |= {
                name: np.repeat(column, len(betas))
                for name, column in zip(wiring.targets(), wanted.T, strict=True)
            }
            columns[f"V{NUDGE}"] = np.tile(wiring.nudges[0] * np.asarray(betas), len(samples))
            netlist = wiring.nudged(netlist)
        return netlist, columns

    def outputs_of(self, voltage):
        place = {node: k for k, node in enumerate(self.nodes)}
        pairs = Wiring.of(self.net).outputs
        plus = voltage[:, [place[node] for node, _ in pairs]]
        return (
            plus if pairs[0][1] == GROUND else plus - voltage[:, [place[node] for _, node in pairs]]
        )

    def reference(self, samples, simulator, temperature):
        del simulator, temperature
        with jax.enable_x64(True):
            return voltages(fixed_points(self._traced(), samples.values["x"], None, None, 0.0))

    def gradient_cosine(self, samples, betas, voltage):
        sizes = [len(layer) for layer in node_names(self.net)]
        phases = tuple(np.split(voltage, np.cumsum(sizes)[:-1], axis=-1))
        with jax.enable_x64(True):
            net, xs = self._traced(), jnp.asarray(samples.values["x"])
            seen = contrast(ep.EqProp.centred(betas[1]), net, xs, phases)
            return float(ep.cosine(seen, self._exact(net, xs, samples)))

    def _exact(self, net: ep.Resistive, xs: jax.Array, samples: Samples) -> Any:
        """The exact gradient on samples; the last few are kept, as all chips at a point ask for the same."""
        key = f"{self.digest()} {samples.digest}"
        if key not in _GRADIENTS:
            _GRADIENTS[key] = ep.Implicit(METHOD)(
                net, self.cost, xs, jnp.asarray(samples.labels)
            ).grad
            while len(_GRADIENTS) > KEPT:
                _GRADIENTS.popitem(last=False)
        return _GRADIENTS[key]

    def _traced(self) -> ep.Resistive:
        return jax.tree.map(
            lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, self.net
        )

    def check(self, samples, betas):
        if set(samples.values) != {"x"}:
            raise ValueError(
                f"`data` of a network must hold `x`, and `y` where there are targets, but holds {sorted(samples.values)}"
            )
        drives(self.net, samples.values["x"])
        if len(betas) > 1:
            if samples.labels is None:
                raise ValueError(
                    "`beta` nudges towards targets, `y` in the data, but there are none"
                )
            if (nudge := abs(betas[1])) not in self._checked:
                with jax.enable_x64(True):
                    require_linear_minimum(self._traced(), self.cost, -nudge)
                self._checked.add(nudge)


def _made(parts: dict[str, Any], on: float, off: float) -> Model:
    return Model(ep.Resistive(**parts), ep.SquaredError(on=on, off=off))
