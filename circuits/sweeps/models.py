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

from ..learning.emission import require_linear_minimum
from ..learning.phases import exact_gradient, fixed_points, gradient_of_phases
from ..learning.ports import Ports
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
        object.__setattr__(self, "nodes", self.ports.nodes)
        object.__setattr__(self, "outputs", tuple(plus for plus, _ in self.ports.outputs))

    @cached_property
    def ports(self) -> Ports:
        """Where the network meets its circuit."""
        return Ports.of(self.net)

    def __reduce__(self):
        """A copy elsewhere is made by its constructors, which tell JAX of the device there."""
        parts = {field.name: getattr(self.net, field.name) for field in fields(self.net)}
        return _made, (parts, self.cost.on, self.cost.off)

    def netlist(self):
        return self._circuit

    @cached_property
    def _circuit(self) -> Netlist:
        return self.ports.netlist(self.net)

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
        drives = self.ports.drives(samples.values["x"])
        if len(betas) == 1:
            return netlist, drives
        with jax.enable_x64(True):
            targets = self.ports.target_volts(self.cost, np.asarray(samples.labels))
        return self.ports.swept(netlist), self.ports.swept_drives(drives, targets, betas)

    def outputs_of(self, voltage):
        return self.ports.read(voltage)

    def reference(self, samples, simulator, temperature):
        del simulator, temperature
        with jax.enable_x64(True):
            return fixed_points(self._traced(), samples.values["x"])

    def gradient_cosine(self, samples, betas, voltage):
        with jax.enable_x64(True):
            net, xs = self._traced(), samples.values["x"]
            estimator = ep.EqProp.centred(betas[1])
            gradient = gradient_of_phases(estimator, self.ports, net, xs, voltage)
            return float(ep.cosine(gradient, self._exact(net, xs, samples)))

    def _exact(self, net: ep.Resistive, xs: np.ndarray, samples: Samples) -> Any:
        """The exact gradient on samples; the last few are kept, as all chips at a point ask for the same."""
        key = f"{self.digest()} {samples.digest}"
        if key not in _GRADIENTS:
            _GRADIENTS[key] = exact_gradient(net, self.cost, xs, np.asarray(samples.labels))
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
        self.ports.drives(samples.values["x"])
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
