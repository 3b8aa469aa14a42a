"""What decks ngspice is given, and what its answers mean, however it is run."""

import abc
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..elements.base import GROUND, Element
from ..elements.sources import CurrentSource, IndependentSource, VoltageSource
from ..mna.certificates import certify
from ..mna.equations import Drives, Equations, values_of
from ..netlist.analyses import Analysis, DcSweep, Noise, OperatingPoint, SmallSignal, Transient
from ..netlist.netlist import Netlist, NetlistError
from .base import SimulationError, Simulator, check_start, require_ok
from .datasets import noises, operating_points, responses, voltages
from .ngspice_names import names_for_ngspice, with_old_names
from .raw import Plot

TRANSIENT_OPTIONS = "gmin=1e-12 reltol=1e-6 vntol=1e-9 abstol=1e-15 chgtol=1e-22 trtol=1"
"""Tolerances of transients: they lie within some 1e-5 of full scale on the exact ones (8e-3 at
ngspice's defaults)."""

COUNTER = "sweep_counter"
MOST_NAMED = 1_000
"""How many voltages ngspice is asked for by name: its time for that goes as their square, 7 s for
30,000. Of a larger circuit it gives all, which takes 0.1 s."""

_ERROR = re.compile(
    r"^\s*(?:fatal )?error\b|\b(?:no such vector|simulation\(s\) aborted|simulation interrupted)",
    re.IGNORECASE,
)
_UNSOLVED = re.compile(
    r"timestep too small|iteration limit|op failed|solution failed|no convergence|singular matrix",
    re.IGNORECASE,
)
_UNSOLVED_AT = re.compile(rf"v{COUNTER} {{0,9}}= {{0,9}}(\d{{1,9}})\b", re.IGNORECASE)
_STEPPED = re.compile(r"(gmin|source) stepping", re.IGNORECASE)


@dataclass(frozen=True)
class _WholePoint(Analysis):
    """An operating point of which all voltages and currents are kept."""

    nodes: tuple[str, ...] = ()

    def line(self):
        return ".op"


class DeckSimulator(Simulator):
    """A simulator that runs decks in ngspice.

    ngspice sees only what a `Netlist` writes, without its title and header. A sweep over samples is
    one deck: driven sources become functions of a counter that a `.dc` analysis counts up, so that
    ngspice parses once and starts each point from the one before. Points are counted in the result;
    where ngspice gives one up, which ends its sweep, that point is marked as failed and the others
    are simulated again, cold. Its answers are certified by the netlist's own equations.
    """

    tolerance: float

    @abc.abstractmethod
    def _answer(
        self, text: str, title: str, meanwhile: Callable[[], object] | None
    ) -> tuple[list[Plot], str]:
        """Return the plots that ngspice makes of a deck, whole or not, and its log.

        **Arguments:** `text`: the deck. `title`: of its netlist. `meanwhile`: for operating points,
        which have one plot, what may be done while ngspice works; None for other analyses.

        **Raises** `SimulationError`, naming the netlist's title, where ngspice cannot be run or
        does not end by itself.
        """

    def operating_points(self, netlist, drives=None):
        netlist.check()
        equations = Equations.of(netlist)
        arrays, samples = values_of(drives, netlist)
        answer = np.full((samples, equations.unknowns), np.nan)
        stepped = False

        pending = [(0, samples)]
        while pending:
            first, last = pending.pop()
            chosen = {name: values[first:last] for name, values in arrays.items()}
            points, log = self._points(equations, chosen, last - first)
            answer[first : first + len(points)] = points
            stepped |= bool(_STEPPED.search(log))
            pending += _remaining(first, last, len(points), log)

        return operating_points(
            equations.free,
            answer[:, : len(equations.free)],
            certify(equations, answer, arrays),
            self.tolerance,
            self._attributes(netlist, stepped=int(stepped)),
        )

    def _points(self, equations: Equations, drives: Drives, samples: int) -> tuple[np.ndarray, str]:
        """Return the unknowns (points, unknowns) of the first samples, as far as ngspice gets.

        The second value is ngspice's log.
        """
        netlist, asked = equations.netlist, (equations.free, equations.branches)
        if COUNTER in netlist.nodes:
            raise NetlistError(
                f"no node may be called {COUNTER!r}, which counts the samples of a sweep"
            )
        if not equations.unknowns:
            return np.empty((samples, 0)), ""
        if samples == 1:
            point = OperatingPoint(*asked) if _named(*asked)[0] else _WholePoint()
            deck = replace(_at_sample(netlist, drives), analyses=(point,))
        else:
            deck = _sweep_deck(equations, drives, samples)
        plots, log = self._run(deck, partial=True, meanwhile=equations.prepare)
        if not plots:
            return np.empty((0, equations.unknowns)), log
        return _table(plots[0], *asked)[:samples], log

    def transcript(self, netlist: Netlist) -> str:
        """Return ngspice's log of the operating point of `netlist`, or its error."""
        analysis = OperatingPoint(Equations.of(netlist).free)
        try:
            return self._run(replace(netlist, analyses=(analysis,)), "", partial=True)[1]
        except SimulationError as error:
            return str(error)

    def transient(self, netlist, *, stop, step, start=None):
        equations = Equations.of(netlist)
        check_start(equations, start)
        analysis = Transient(_named(equations.free)[0], step, stop, tuple((start or {}).items()))
        netlist = replace(netlist, options=TRANSIENT_OPTIONS, analyses=(analysis,))
        plots, _ = self._run(netlist, "time")
        times = np.real(plots[0].values["time"])
        if times[-1] < stop * (1 - 1e-9):
            raise SimulationError(
                f"{self.version()} must simulate {netlist.title!r} to {stop} s, "
                f"but ended at {float(times[-1])} s"
            )
        table = _table(plots[0], equations.free, ())
        return voltages(equations.free, table, times, self._attributes(netlist))

    def noise(self, netlist, nodes, *, lowest, highest):
        netlist.check()
        netlist.require_nodes(nodes)
        source = next((e for e in netlist.elements if isinstance(e, IndependentSource)), None)
        if source is None:
            raise NetlistError(
                f"{netlist.title!r} must have a source for its noise to be referred to, "
                "but has none"
            )
        analyses = [Noise((node,), source.key, lowest, highest) for node in nodes]
        require_ok(self.operating_points(netlist), netlist.title)

        netlist = netlist.with_elements(replace(source, ac=1.0))
        totals, curves, frequencies = [], [], np.zeros(0)
        for analysis in analyses:
            plots, _ = self._run(replace(netlist, analyses=(analysis,)))
            variables = {name: values for plot in plots for name, values in plot.values.items()}
            if missing := {"frequency", "onoise_spectrum", "v(onoise_total)"} - variables.keys():
                raise SimulationError(
                    f"{self.version()} must give the noise at {analysis.nodes[0]}, "
                    f"but not {sorted(missing)}"
                )
            totals.append(float(variables["v(onoise_total)"][0]))
            curves.append(variables["onoise_spectrum"] ** 2)
            frequencies = variables["frequency"]
        if not np.all(np.isfinite(totals)):
            raise SimulationError(
                f"{self.version()} must give the noise at each of {list(nodes)}, but gave {totals}"
            )
        attributes = self._attributes(netlist, lowest_hertz=lowest, highest_hertz=highest)
        return noises(nodes, frequencies, np.stack(curves, 1), np.array(totals), attributes)

    def small_signal(self, netlist, *, lowest, highest, points=10):
        netlist.check()
        nodes = Equations.of(netlist).free
        analysis = SmallSignal(_named(nodes)[0], lowest, highest, points)
        require_ok(self.operating_points(netlist), netlist.title)
        plots, _ = self._run(replace(netlist, analyses=(analysis,)), "frequency")
        frequencies = np.real(plots[0].values["frequency"])
        return responses(nodes, _table(plots[0], nodes, ()), frequencies, self._attributes(netlist))

    def _attributes(self, netlist: Netlist, **more: float) -> dict[str, str | float]:
        """Return the attributes of a result: the simulator, the netlist and its options."""
        return {
            "simulator": self.version(),
            "netlist": netlist.title,
            "options": netlist.options,
            **more,
        }

    def _run(
        self,
        deck: Netlist,
        variable: str = "",
        *,
        partial: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> tuple[list[Plot], str]:
        """Return the plots that hold `variable`, and ngspice's log.

        With `partial`, a point that ngspice gives up is no error. `meanwhile`: as of `_answer`.
        """
        # The title and the header are for people: ngspice never sees them.
        names = names_for_ngspice(deck.nodes)
        renamed = deck.with_nodes(names) if names else deck
        text = "Deck\n" + renamed.spice().split("\n", 1 + len(deck.header))[-1]
        plots, log = self._answer(text, deck.title, meanwhile)
        if names:
            plots, log = with_old_names(plots, log, names)
        plots = [plot for plot in plots if not variable or variable in plot.values]
        unsolved = partial and _UNSOLVED.search(log)
        error = _error_line(log)
        if error and not unsolved:
            raise SimulationError(
                f"{self.version()} reported an error on {deck.title!r}: {error}{quoted_log(log)}"
            )
        answered = plots and all(len(values) for plot in plots for values in plot.values.values())
        if not answered and not unsolved:
            raise SimulationError(
                f"{self.version()} gave no result for {deck.title!r}{quoted_log(log)}"
            )
        return plots, log


def quoted_log(log: str) -> str:
    """Return the end of a message about a run: what ngspice printed, its last 2,000 characters."""
    return f"; it said: {log.strip()[-2000:] or 'nothing'}"


def reports_trouble(log: str) -> bool:
    """Whether a log reports an error, or a point that ngspice gave up."""
    return bool(_UNSOLVED.search(log) or _error_line(log))


def _error_line(log: str) -> str:
    """Return the first line of a log that reports an error, empty where there is none."""
    for line in log.splitlines():
        if _ERROR.search(line):
            return line.strip()[:2000]
    return ""


def _remaining(first: int, last: int, done: int, log: str) -> list[tuple[int, int]]:
    """Return the ranges of samples still to simulate after a run of `first` to `last`.

    The run answered the first `done` of them. ngspice names the counter's value at the point that
    it gave up, which is then left out; it may lose the answers before that point.
    """
    if done == last - first or last - first == 1:
        return []
    named = _UNSOLVED_AT.search(log)
    if named is None or not done <= int(named.group(1)) < last - first:
        # It does not say where it stopped: halve the range until the point stands alone.
        middle = (first + last) // 2
        return [(first, middle), (middle, last)]
    given_up = first + int(named.group(1))
    return [(a, b) for a, b in ((first + done, given_up), (given_up + 1, last)) if a < b]


def _sweep_deck(equations: Equations, drives: Drives, samples: int) -> Netlist:
    """Return the deck of all samples: a `.dc` analysis counts them, and driven sources follow."""
    elements: list[Element] = [VoltageSource(COUNTER, COUNTER, GROUND, 0.0)]
    for element in equations.netlist.elements:
        if isinstance(element, IndependentSource) and element.key in drives:
            sensed = element.key in equations.branches
            elements += _driven(element, drives[element.key], sensed)
        else:
            elements.append(element)
    nodes, branches = _named(equations.free, equations.branches)
    sweep = DcSweep(nodes, f"V{COUNTER}", 0.0, float(samples - 1), 1.0, branches)
    return replace(equations.netlist, elements=tuple(elements), analyses=(sweep,))


@dataclass(frozen=True)
class _Tabulated(Element):
    """A source (B) of `values[k]` V or A when the sweep's counter is at k volts.

    `output`: "i" or "v", as of `Behavioural`. It is written without the tree of an expression,
    since a deck has one for each driven source.
    """

    letter = "B"
    word = "tabulated source"
    node_fields = ("plus", "minus")
    name: str
    plus: str
    minus: str
    output: str
    values: list[float]

    @property
    def nodes(self):
        return (self.plus, self.minus, COUNTER)

    def lines(self):
        last = len(self.values) - 1
        points = [
            f"{k},({value!r})" if math.copysign(1.0, value) < 0 else f"{k},{value!r}"
            for k, value in enumerate(self.values)
            # What lies between equal values need not be said.
            if k in (0, last) or not self.values[k - 1] == value == self.values[k + 1]
        ]
        table = f"pwl(v({COUNTER}),{','.join(points)})"
        return [f"B{self.name} {self.plus} {self.minus} {self.output}={table}"]


def _driven(source: IndependentSource, values: np.ndarray, sensed: bool) -> list[Element]:
    """Return a source whose value is `values[k]` when the sweep's counter is at k volts.

    A voltage source of which the current is asked for stays, at 0 V, in series with it.
    """
    name, plus, numbers = source.key, source.plus, values.tolist()
    if isinstance(source, CurrentSource):
        return [_Tabulated(name, plus, source.minus, "i", numbers)]
    if not sensed:
        return [_Tabulated(name, plus, source.minus, "v", numbers)]
    inner = f"{COUNTER}_{name.lower()}"
    return [
        VoltageSource(source.name, plus, inner, 0.0),
        _Tabulated(name, inner, source.minus, "v", numbers),
    ]


def _at_sample(netlist: Netlist, drives: Drives) -> Netlist:
    """Return the netlist with its driven sources at the one value that each has."""
    driven = [e for e in netlist.elements if isinstance(e, IndependentSource) and e.key in drives]
    return netlist.with_elements(*(replace(e, **{e.unit: float(drives[e.key][0])}) for e in driven))


def _named(
    nodes: tuple[str, ...], branches: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the nodes and branches to ask ngspice for by name; none, which is all, if many."""
    return ((), ()) if len(nodes) + len(branches) > MOST_NAMED else (nodes, branches)


def _table(plot: Plot, nodes: tuple[str, ...], branches: tuple[str, ...]) -> np.ndarray:
    """Return the voltages and currents (points, nodes and branches) of just those asked for."""
    asked = [*(f"v({node})" for node in nodes), *(f"i({branch.lower()})" for branch in branches)]
    columns = {
        name: values
        for name, values in plot.values.items()
        if name[:2] in ("v(", "i(") and (name != "v(v-sweep)" or name in asked)
    }
    if _named(nodes, branches)[0]:
        others = set(columns) ^ set(asked)
    else:  # it was asked for all
        others = set(asked).difference(columns)
    if others:
        raise SimulationError(
            "ngspice must return the voltages of the netlist's nodes, "
            f"but returned others: {sorted(others)[:10]}"
        )
    if not asked:
        return np.empty((len(next(iter(plot.values.values()))), 0))
    return np.stack([columns[name] for name in asked], axis=1)
