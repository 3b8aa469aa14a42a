"""Switching the causes of a chip's distance from its ideal model on and off, one by one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr

import eqprop as ep

from ..mna.dae import unknowns_at
from ..mna.equations import Equations, one_sample
from ..netlist.netlist import Netlist
from ..simulators import Simulator
from ..simulators.nodal import Nodal
from ..variation import Variation
from ..variation.base import Composed
from .attribution import DIODES, FINITE, INTERACTION, NOISE, SOLVER, Attribution
from .emission import require_linear_minimum, require_together
from .gradient_noise import certified_points, noise_factors
from .phases import compare_gradients, fixed_points, phases
from .ports import Ports

NOTHING = Composed(())
"""The variation of a nominal circuit."""


def attribute(
    net: ep.Resistive,
    xs: np.ndarray,
    variation: Variation,
    *,
    seed: int = 0,
    number: int = 0,
    ys: np.ndarray | None = None,
    cost: ep.SquaredError | None = None,
    beta: float = 0.0,
    simulator: Simulator | None = None,
) -> Attribution:
    """Return where the distance of a chip from its ideal model comes from.

    Each cause is switched on alone in the nominal circuit, and off alone in the chip.

    **Arguments:**

    - `net`: the network, with a device that has an ideal counterpart.
    - `xs`: examples (samples, inputs). `ys`: targets (samples, outputs) or labels (samples,).
    - `variation`, `seed`, `number`: the chip; `seed` draws its noise too.
    - `cost`, `beta`: the squared error, and a nudge in units of `net.unit`; with them displacements
      and gradients are compared too.
    - `simulator`: whose answer on the chip is compared with that of `Nodal`, which finds all
      others; none if not given.

    **Raises** `RuntimeError` where JAX's x64 mode is off; `ValueError` for a device without an
    ideal counterpart, and as `compare`; `SimulationError` for a point that is not certified;
    `NetlistError` for a node whose noise has no bound, as `covariance`.
    """
    ep.require_float64("an attribution in volts")
    if not hasattr(net.device, "ideal"):
        raise ValueError(
            "`net` must have a device with an ideal counterpart, "
            f"but has {type(net.device).__name__}"
        )
    require_together(cost, ys, beta)
    if cost is not None and beta:
        require_linear_minimum(net, cost, -abs(beta))
    xs, ports = np.asarray(xs, float), Ports.of(net)
    nudge = None if cost is None or ys is None else ports.nudge(cost, ys[0])
    drives = ports.drives(xs, ys, cost=cost)
    ideal_net = replace(net, device=net.device.ideal())

    def chip(of: ep.Resistive, part: Variation) -> "_Chip":
        netlist = ports.netlist(of, nudge=nudge)
        return _Chip(netlist, part.drives(drives), ports, part, seed, number)

    random = np.random.default_rng(seed).standard_normal((3, len(xs), len(ports.nodes)))
    chips = _Chips.of(net, ideal_net, variation, chip, random, simulator)
    ideal = fixed_points(ideal_net, xs)
    variables = chips.free_phase(ideal, beta)
    title = chips.whole.nominal.title
    attributes = {"netlist": title, "seed": seed, "number": number, "beta": beta}
    if beta and cost is not None and ys is not None:
        variables |= chips.displacement(beta)
        model = phases(net, cost, xs, ys, (beta, -beta))
        circuit = chips.whole.phases(beta)
        attributes |= compare_gradients(ports, net, cost, xs, ys, beta, circuit, model)
    coordinates = {
        "cause": _causes(variation, finite=bool(beta)),
        "node": list(ports.nodes),
        "sample": np.arange(len(xs)),
        "layer": ("node", list(ports.node_titles)),
    }
    data = xr.Dataset(variables, coordinates, attributes)
    whole = variation.read(data.whole.values + ideal)
    data["chip_decision"] = ("sample", ports.decisions(whole))
    data["ideal_decision"] = ("sample", ports.decisions(ideal))
    return Attribution(data)


def _causes(variation: Variation, *, finite: bool) -> list[str]:
    """Return the names of the causes; `finite`: whether a finite nudge is one."""
    parts = [part.cause for part in variation.parts()]
    return [DIODES, *parts, NOISE, *([FINITE] if finite else []), SOLVER, INTERACTION]


@dataclass(frozen=True, eq=False)
class _Chip:
    """A chip with some of its variations, and what is asked of it: volts (samples, nodes).

    `drives` are values (samples,) of its sources.
    """

    nominal: Netlist
    drives: dict[str, np.ndarray]
    ports: Ports
    variation: Variation
    seed: int
    number: int

    def _netlist(self, beta: float) -> Netlist:
        """Return the netlist of the chip with a nudge."""
        nominal = self.ports.at_nudge(self.nominal, beta)
        return self.variation.chip(nominal, seed=self.seed, number=self.number)

    @cached_property
    def _points(self) -> xr.Dataset:
        """The operating points of the free phase, all free nodes of the chip."""
        return certified_points(Nodal(), self._netlist(0.0), self.drives)

    @property
    def free(self) -> np.ndarray:
        """The free phase."""
        return self._points.voltage.sel(node=list(self.ports.nodes)).values

    def settle(self, beta: float = 0.0, by: Simulator | None = None) -> np.ndarray:
        """Return the phase with a nudge, by `Nodal` or another simulator."""
        points = certified_points(by or Nodal(), self._netlist(beta), self.drives)
        return points.voltage.sel(node=list(self.ports.nodes)).values

    def phases(self, beta: float) -> np.ndarray:
        """Return the phases (3, samples, nodes): the free one, and those at `beta` and −`beta`."""
        return np.stack([self.free, self.settle(beta), self.settle(-beta)])

    def displacement(self, beta: float, by: Simulator | None = None) -> np.ndarray:
        """Return (v_β − v_−β)/2."""
        return (self.settle(beta, by) - self.settle(-beta, by)) / 2

    @cached_property
    def noise(self) -> np.ndarray:
        """Factors (samples, nodes, nodes) in V of the covariance of its noise in the free phase."""
        return noise_factors(self._netlist(0.0), self.drives, self._points, self.ports.nodes)

    def response(self, beta: float) -> np.ndarray:
        """Return β dv/dβ at β = 0: −J⁻¹ times the currents that a nudge adds at the free phase."""
        from scipy.sparse.linalg import splu

        free, nudged = Equations.of(self._netlist(0.0)), Equations.of(self._netlist(beta))
        places = [free.place(node) for node in self.ports.nodes]
        volts = []
        for k in range(self._points.sizes["sample"]):
            drives = one_sample(self.drives, k)
            z = unknowns_at(free, drives, self._points.isel(sample=[k]))
            added = nudged.residual(z, drives)[0] - free.residual(z, drives)[0]
            jacobian = free.sparse_jacobian(z, drives)[0]
            volts.append(-splu(jacobian).solve(added[0])[places])
        return np.array(volts)


@dataclass(frozen=True, eq=False)
class _Chips:
    """The chips whose differences are the causes' parts.

    - `ideal`: the nominal circuit with ideal diodes. `nominal`: without variation.
    - `alone`: with one variation each. `without`: with all but one each. `whole`: with all.
    - `random`: standard normal numbers (phases, samples, nodes) of one draw of the noise.
    - `simulator`: whose answer on the whole chip is compared with `Nodal`'s; None for none.
    """

    ideal: _Chip
    nominal: _Chip
    alone: list[_Chip]
    without: list[_Chip]
    whole: _Chip
    random: np.ndarray
    simulator: Simulator | None

    @classmethod
    def of(
        cls,
        net: ep.Resistive,
        ideal: ep.Resistive,
        variation: Variation,
        chip: Callable[[ep.Resistive, Variation], _Chip],
        random: np.ndarray,
        simulator: Simulator | None,
    ) -> "_Chips":
        """Return the chips of a network, of which `chip` makes one with a part of a variation.

        **Arguments:** `ideal`: the network with ideal diodes; others as of `attribute` and above.
        """
        parts = variation.parts()
        others = (tuple(other for other in parts if other is not part) for part in parts)
        return cls(
            ideal=chip(ideal, NOTHING),
            nominal=chip(net, NOTHING),
            alone=[chip(net, part) for part in parts],
            without=[chip(net, Composed(rest)) for rest in others],
            whole=chip(net, variation),
            random=random,
            simulator=simulator,
        )

    def _noise(self, chip: _Chip) -> np.ndarray:
        """Return one draw of a chip's noise (phases, samples, nodes) in V: free, and two nudged."""
        return np.einsum("sij,psj->psi", chip.noise, self.random)

    def free_phase(self, ideal: np.ndarray, beta: float) -> dict[str, xr.Variable]:
        """Return `part`, `removed`, `whole` and `noise` of an `Attribution`.

        **Arguments:** `ideal`: the voltages (samples, nodes) in V of the ideal model. `beta`: other
        than 0, a finite nudge is a cause, which does nothing here.
        """
        free, noise = self.whole.free, self._noise(self.whole)[0]
        zero, unknown = np.zeros_like(ideal), np.full_like(ideal, np.nan)
        solver = zero if self.simulator is None else self.whole.settle(by=self.simulator) - free
        whole = free + noise + solver - ideal
        finite = 1 if beta else 0

        alone = [chip.free for chip in self.alone]
        others = [self._noise(self.nominal)[0], *[zero] * finite, solver]
        removed = [unknown, *(free - chip.free for chip in self.without), noise]
        removed += [unknown] * (finite + 2)  # of the nudge, the solver and the interaction
        deviation = np.sqrt(np.sum(self.whole.noise**2, axis=2))
        return {
            "part": _volts(_split(ideal, self.nominal.free, alone, others, whole)),
            "removed": _volts(np.stack(removed)),
            "whole": _volts(whole),
            "noise": _volts(deviation),
        }

    def displacement(self, beta: float) -> dict[str, xr.Variable]:
        """Return `displacement` and `whole_displacement` of an `Attribution`."""
        start, limit = self.ideal.response(beta), self.nominal.response(beta)
        displaced = self.whole.displacement(beta)
        solver = np.zeros_like(displaced)
        if self.simulator is not None:
            solver = self.whole.displacement(beta, self.simulator) - displaced
        quiet, loud = ((n[1] - n[2]) / 2 for n in map(self._noise, (self.nominal, self.whole)))
        whole = displaced + loud + solver - start

        alone = [chip.response(beta) for chip in self.alone]
        others = [quiet, self.nominal.displacement(beta) - limit, solver]
        return {
            "displacement": _volts(_split(start, limit, alone, others, whole)),
            "whole_displacement": _volts(whole),
        }


def _split(
    ideal: np.ndarray,
    nominal: np.ndarray,
    alone: list[np.ndarray],
    others: list[np.ndarray],
    whole: np.ndarray,
) -> np.ndarray:
    """Return what each cause does alone (cause, sample, node); last the interaction.

    The first, the diodes' law, makes the `nominal` circuit of the `ideal` model; the variations
    `alone` start at the nominal circuit.
    """
    parts = [nominal - ideal, *(chip - nominal for chip in alone), *others]
    return np.stack([*parts, whole - np.sum(parts, axis=0)])


def _volts(values: np.ndarray) -> xr.Variable:
    """Return values ([cause,] sample, node) in V as a variable of a dataset."""
    dims = ("cause", "sample", "node")
    return xr.Variable(dims[-values.ndim :], values, {"units": "V"})
