"""What decks ngspice is given, and what its answers mean, however it is run."""

import abc
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..elements.sources import IndependentSource
from ..mna.certificates import certify
from ..mna.currents import Currents
from ..mna.equations import Drives, Equations, values_of
from ..mna.small_signal import Linearised
from ..netlist.analyses import (
    Analysis,
    Noise,
    OperatingPoint,
    SmallSignal,
    Transient,
)
from ..netlist.netlist import Netlist, NetlistError
from .base import SimulationError, Simulator, check_start, require_ok
from .datasets import noises, operating_points, responses, voltages
from .element_currents import currents_in_time, point_currents, response_currents, saved
from .ngspice_names import names_for_ngspice, with_old_names
from .ngspice_options import transient_options
from .ngspice_sweeps import COUNTER, at_sample, named, sweep_deck, table_of
from .raw import Plot

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
            point_currents(Currents.of(equations), answer, arrays),
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
            point = OperatingPoint(*asked) if named(*asked)[0] else _WholePoint()
            deck = replace(at_sample(netlist, drives), analyses=(point,))
        else:
            deck = sweep_deck(equations, drives, samples)
        plots, log = self._run(deck, partial=True, meanwhile=equations.prepare)
        if not plots:
            return np.empty((0, equations.unknowns)), log
        return table_of(plots[0], *asked)[:samples], log

    def transcript(self, netlist: Netlist) -> str:
        """Return ngspice's log of the operating point of `netlist`, or its error."""
        analysis = OperatingPoint(Equations.of(netlist).free)
        try:
            return self._run(replace(netlist, analyses=(analysis,)), "", partial=True)[1]
        except SimulationError as error:
            return str(error)

    def plain(self, netlist: Netlist, analysis: Analysis) -> Plot:
        """Return what ngspice makes of a netlist's own text with one analysis, whose line it has.

        Nothing of the answer is checked: it is what the text means to ngspice.

        **Raises** `SimulationError` where there is no answer.
        """
        options = netlist.options
        if isinstance(analysis, Transient):
            options = transient_options(Equations.of(netlist), analysis.step)
        whole: Any = replace(analysis, nodes=named(netlist.nodes)[0])  # pyright: ignore
        branches = tuple(e.key for e in netlist.elements if e.fixes_voltage())
        if whole.nodes:
            whole = replace(whole, branches=branches)
        return self._run(replace(netlist, options=options, analyses=(whole,)))[0][0]

    def transient(self, netlist, *, stop, step, start=None, settled=False):
        equations = Equations.of(netlist)
        check_start(equations, start)
        currents = Currents.of(equations)
        asked = named(equations.free, saved(currents))
        held = tuple((start or {}).items())
        analysis = Transient(asked[0], step, stop, held, not settled, asked[1])
        options = transient_options(equations, step)
        netlist = replace(netlist, options=options, analyses=(analysis,))
        plots, _ = self._run(netlist, "time")
        times = np.real(plots[0].values["time"])
        if times[-1] < stop * (1 - 1e-9):
            raise SimulationError(
                f"{self.version()} must simulate {netlist.title!r} to {stop} s, "
                f"but ended at {float(times[-1])} s"
            )
        known = saved(currents) if asked[0] or not equations.free else equations.branches
        table = table_of(plots[0], equations.free, known)
        return voltages(
            equations.free,
            table[:, : len(equations.free)],
            times,
            self._attributes(netlist),
            currents_in_time(currents, times, table, known),
        )

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

    def small_signal(self, netlist, *, lowest, highest, points=10, spacing="dec"):
        netlist.check()
        nodes = Equations.of(netlist).free
        equations = Equations.of(netlist, pinning=False)
        asked = named(equations.free, equations.branches)
        analysis = SmallSignal(asked[0], lowest, highest, points, asked[1], spacing)
        point = require_ok(self.operating_points(netlist), netlist.title)
        plots, _ = self._run(replace(netlist, analyses=(analysis,)), "frequency")
        frequencies = np.real(plots[0].values["frequency"])
        table = table_of(plots[0], equations.free, equations.branches)
        others = equations.size - equations.unknowns
        solution = np.append(table, np.zeros((len(table), others)), axis=1)
        columns = [equations.place(node) for node in nodes]
        circuit = Linearised.of(netlist, point)
        return responses(
            nodes,
            table[:, columns],
            frequencies,
            self._attributes(netlist),
            response_currents(circuit, frequencies, solution),
        )

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
