"""A network of `eqprop` as what a sweep simulates and holds against its model."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cachetools import LRUCache, cached

import eqprop as ep
from eqprop.training.fingerprints import fingerprint

from ..learning.emission import require_linear_minimum
from ..learning.phases import exact_gradient, fixed_points, gradient_of_phases
from ..learning.ports import Ports
from ..netlist.netlist import Netlist
from .swept_circuits import Samples, SweptCircuit
from .values import require_known

GRADIENTS = 4
"""How many exact gradients are kept, as all chips at a point ask for the same one."""


@dataclass(frozen=True, eq=False)
class SweptNetwork(SweptCircuit):
    """A resistive network, whose circuit is held against the network's own fixed points.

    These know nothing of temperature or variation. `SweptNetwork.of` makes one.
    """

    has_net = True
    net: ep.Resistive
    cost: ep.SquaredError
    ports: Ports
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(
        cls, net: Any, cost: ep.SquaredError | Mapping[str, float], device: Mapping[str, float]
    ) -> "SweptNetwork":
        """Return a network as what is swept.

        **Arguments:**

        - `net`: a `Resistive` network.
        - `cost`: its cost, or the levels `on` and `off` of one in V.
        - `device`: numbers that take the place of the fields of the network's device.

        **Raises** `ValueError` for another kind of network or cost, and `SweepError` for a field
        that the device does not have.
        """
        if not isinstance(net, ep.Resistive):
            raise ValueError(
                f"`network` must be a Netlist or a Resistive network, but is {type(net).__name__}"
            )
        if not isinstance(cost, ep.SquaredError | Mapping):
            raise ValueError(
                "`cost` must be a SquaredError, which sources can nudge towards, "
                f"but is {type(cost).__name__}"
            )
        known = [] if net.device is None else [field.name for field in fields(net.device)]
        for name in device:
            require_known(name, known, "the network's device")
        if net.device is not None and device:
            net = replace(net, device=replace(net.device, **device))
        cost = cost if isinstance(cost, ep.SquaredError) else ep.SquaredError(**cost)
        return cls._of(_in_numpy(net), cost)

    @classmethod
    def _of(cls, net: ep.Resistive, cost: ep.SquaredError) -> "SweptNetwork":
        ports = Ports.of(net)
        return cls(net, cost, ports, ports.nodes, tuple(plus for plus, _ in ports.outputs))

    def __reduce__(self):
        """Pickle by constructors, which tell JAX of the device's class where it is read again."""
        parts = {field.name: getattr(self.net, field.name) for field in fields(self.net)}
        return _rebuild, (parts, self.cost.on, self.cost.off)

    def netlist(self):
        return self._netlist

    @cached_property
    def _netlist(self) -> Netlist:
        return self.ports.netlist(self.net)

    def fingerprint(self):
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        parts = fingerprint(self.net, "net") | fingerprint(self.cost, "cost")
        return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()

    @cached_property
    def _checked(self) -> set[float]:
        """Nudges that are known to have a minimum."""
        return set()

    def with_phases(
        self, netlist: Netlist, samples: Samples, betas: Sequence[float]
    ) -> tuple[Netlist, dict[str, np.ndarray]]:
        drives = self.ports.drives(samples.values["x"])
        if len(betas) == 1:
            return netlist, drives
        with jax.enable_x64(True):
            targets = self.ports.target_volts(self.cost, np.asarray(samples.labels))
        return self.ports.swept(netlist), self.ports.swept_drives(drives, targets, betas)

    def output_voltages(self, voltage):
        return self.ports.read(voltage)

    def reference(self, samples, simulator, temperature):
        del simulator, temperature
        with jax.enable_x64(True):
            return fixed_points(_in_jax(self.net), samples.values["x"])

    def gradient_cosine(self, samples, betas, voltage):
        estimator, xs = ep.EqProp.centred(betas[1]), samples.values["x"]
        with jax.enable_x64(True):
            net = _in_jax(self.net)
            gradient = gradient_of_phases(estimator, self.ports, net, xs, voltage)
            return float(ep.cosine(gradient, _exact_gradient(self, samples)))

    def check(self, samples, betas):
        if set(samples.values) != {"x"}:
            raise ValueError(
                "`data` of a network must hold `x`, and `y` where there are targets, "
                f"but holds {sorted(samples.values)}"
            )
        self.ports.drives(samples.values["x"])
        if len(betas) > 1:
            if samples.labels is None:
                raise ValueError(
                    "`beta` nudges towards targets, `y` in the data, but there are none"
                )
            if (nudge := abs(betas[1])) not in self._checked:
                with jax.enable_x64(True):
                    require_linear_minimum(_in_jax(self.net), self.cost, -nudge)
                self._checked.add(nudge)


@cached(
    LRUCache(GRADIENTS),
    key=lambda swept, samples: (swept.fingerprint(), samples.fingerprint),
    lock=Lock(),
)
def _exact_gradient(swept: SweptNetwork, samples: Samples) -> Any:
    """Return the exact gradient of a network's cost on samples."""
    labels = np.asarray(samples.labels)
    return exact_gradient(_in_jax(swept.net), swept.cost, samples.values["x"], labels)


def _in_numpy(net: ep.Resistive) -> ep.Resistive:
    """Return a network with NumPy's arrays, which processes can send to one another."""
    return jax.tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, net)


def _in_jax(net: ep.Resistive) -> ep.Resistive:
    """Return a network with JAX's arrays."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, net
    )


def _rebuild(parts: dict[str, Any], on: float, off: float) -> SweptNetwork:
    """Return a network that was pickled."""
    return SweptNetwork._of(ep.Resistive(**parts), ep.SquaredError(on=on, off=off))
