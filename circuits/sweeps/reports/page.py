"""The report of a run: one HTML file that holds all it needs."""

import base64
import csv
import hashlib
import importlib.resources
import importlib.util
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ...plotting import COLOURS
from ...plotting.measures import name_with_unit
from ..declaration import point_at
from ..export import CHIPS, RESULTS
from ..progress import duration
from ..store import RunStore
from ..summary import DoneJob, Summary, summarize
from ..values import SweepError
from .figures import INK, Figure, Section, figure_of_times, sections
from .tables import MAX_ROWS, Cell, cell, table

NAME = "report.html"
SLOWEST = 10
"""How many of the slowest jobs are listed."""


def report(folder: str | Path) -> Path:
    """Write `report.html` into the folder of a run, ended or not.

    It is one file that needs no network: each measure along the axes and over pairs of them with
    the spread over chips, the errors of nodes, every point, the slowest jobs, what failed with
    links to its decks, and what was run with which versions. Every figure can be had as an SVG, and
    its data as CSV.

    **Arguments:**

    - `folder`: of the run.

    **Returns** the path of the file.

    **Raises** `StorageError` where `folder` is no run's or the file cannot be written, and
    `SweepError` where its plan is none that a sweep wrote, or matplotlib is missing.
    """
    return write_report(summarize(folder))


def write_report(summary: Summary) -> Path:
    """Write the report of a summary into the folder of its run.

    **Arguments:**

    - `summary`: of the run.

    **Returns** the path of the file.

    **Raises** `StorageError` where the file cannot be written, and `SweepError` where matplotlib is
    missing.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SweepError("a report needs matplotlib: pip install 'eqprop-circuits[plot]'")
    text = page(summary).encode(errors="replace")
    with RunStore.open(summary.folder) as store:
        store.put(lambda: store.folder.write(NAME, text))
    return summary.folder / NAME


def page(summary: Summary) -> str:
    """Return the report as HTML.

    All that comes from a run is escaped, and no script runs but the page's own, whose hash the page
    states.

    **Arguments:**

    - `summary`: of the run.
    """
    style, script, template = (_resource(f"page.{kind}") for kind in ("css", "js", "html"))
    parts: dict[str, str] = {}
    if summary.jobs:
        parts |= {section.title: _section(section) for section in sections(summary)}
    if summary.failed:
        parts["Failed jobs"] = _failed_jobs(summary)
    parts["Points"] = _points(summary)
    if summary.jobs:
        parts["Time"] = _slowest_jobs(summary)
    parts["What was run"] = _declaration_and_versions(summary)

    numbered = [
        (f"part-{number}", escape(title), body)
        for number, (title, body) in enumerate(parts.items())
    ]
    return Template(template).substitute(
        title=escape(summary.folder.resolve().name),
        lead=escape(_lead(summary)),
        notes="\n".join(_notes(summary)),
        contents=" ".join(f'<a href="#{name}">{title}</a>' for name, title, _ in numbered),
        body="\n".join(
            f'<section id="{name}">\n<h2>{title}</h2>\n{body}\n</section>'
            for name, title, body in numbered
        ),
        style=style,
        script=script,
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _resource(name: str) -> str:
    folder = importlib.resources.files("circuits.sweeps.reports")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _lead(summary: Summary) -> str:
    """Return the sentence that says what was run."""
    plan = summary.plan
    axes = " × ".join(f"{len(values)} values of {axis}" for axis, values in plan.axes.items())
    chips = f"{plan.chips} chips" if plan.chips > 1 else "1 chip"
    where = f"{axes}, {chips} at each point" if axes else chips
    network = ", ".join(
        f"{key} {value}".strip() for key, value in _flat(plan.declaration.get("network"), "")
    )
    return (
        f"{where}: {plan.operating_points} operating points by {plan.versions['simulator']}. "
        f"Network: {network}."
    )


def _notes(summary: Summary) -> Iterator[str]:
    """Yield whether all is there and all is certified."""
    if summary.missing:
        text = (
            f"Unfinished: {summary.missing} of {summary.total} jobs are missing. "
            "This is what is there; --resume goes on with the run."
        )
        yield f'<p class="note alarm">{text}</p>'
    if summary.failed:
        text = (
            f"In {len(summary.failed)} of {len(summary.jobs)} jobs there are points without a "
            "certified answer, as listed below."
        )
        yield f'<p class="note alarm">{text}</p>'
    elif summary.jobs:
        text = "Every operating point that was simulated has a certified answer."
        yield f'<p class="note">{text}</p>'


def _section(section: Section) -> str:
    """Return the HTML of a section."""
    text = f"<p>{escape(section.text)}</p>"
    if not section.figures:
        return text
    figures = "\n".join(map(_figure, section.figures))
    return f'{text}\n<div class="figures">\n{figures}\n</div>'


def _figure(figure: Figure) -> str:
    """Return the HTML of a figure, with links to its SVG and to its data as CSV."""
    name = re.sub(r"\W+", "-", figure.title.lower())
    data = io.StringIO()
    csv.writer(data, lineterminator="\n").writerows(figure.rows)
    ground = r'\1<rect width="100%" height="100%" fill="#ffffff"/>'
    alone = re.sub(r"(<svg[^>]*>)", ground, figure.svg, count=1)
    links = (
        f"{_download(f'{name}.svg', 'image/svg+xml', alone)} "
        f"{_download(f'{name}.csv', 'text/csv', data.getvalue())}"
    )
    caption = f"<h3>{escape(figure.title)}</h3><p>{escape(figure.caption)}</p>"
    return (
        f"<figure>\n<figcaption>{caption}</figcaption>\n{_inline(figure, name)}\n"
        f'<p class="files">{links}</p>\n</figure>'
    )


def _inline(figure: Figure, name: str) -> str:
    """Return the SVG as it stands in the page: its names are its own, its colours the page's."""
    text = re.sub(r'<g id="[^"]*"', "<g", figure.svg)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor")
    for index, colour in enumerate(COLOURS):
        text = text.replace(colour.lower(), f"var(--c{index})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(figure.title)}" ', 1)


def _download(name: str, kind: str, content: str) -> str:
    """Return a link that holds a file."""
    data = base64.b64encode(content.encode()).decode()
    ending = name.rpartition(".")[2].upper()
    return f'<a download="{name}" href="data:{kind};charset=utf-8;base64,{data}">{ending}</a>'


def _points(summary: Summary) -> str:
    """Return a table with a row for each point."""
    plan, names = summary.plan, [*summary.measures, "time"]
    data = summary.data.transpose(*plan.axes, "chip")
    columns = {str(name): data[name].values.reshape(-1, plan.chips) for name in data.data_vars}
    rows = []
    for point in range(min(plan.points, MAX_ROWS)):
        layout, certified = plan.layout_of(point), float(np.nansum(columns["points"][point]))
        count = plan.chips * layout.samples * layout.phases
        share = Cell(f"{certified:.0f} of {count}", certified)
        at = map(cell, point_at(plan.axes, point))
        rows.append([*at, share, *(_mean_and_range(columns[name][point]) for name in names)])

    text = "One chip at each point."
    if plan.chips > 1:
        text = (
            f"The mean over {plan.chips} chips, and in brackets the lowest and the highest where "
            "they differ."
        )
    if plan.points > MAX_ROWS:
        text += f" These are the first {MAX_ROWS} of {plan.points} points."
    with RunStore.open(summary.folder) as store:
        files = [name for name in (CHIPS, RESULTS) if store.folder.has(name)]
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in files)
    more = f" Every chip by itself: {links}." if links else ""
    heads = [*plan.axes, "certified", *(name_with_unit(summary.data[name]) for name in names)]
    return f"<p>{text}{more}</p>\n{table('Points', heads, rows)}"


def _mean_and_range(values: np.ndarray) -> Cell:
    """Return the mean over chips, with the lowest and the highest where they differ."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Cell("none", "")
    low, high = f"{known.min():.3g}", f"{known.max():.3g}"
    ends = f" <small>[{low}, {high}]</small>" if low != high else ""
    return Cell(f"{known.mean():.4g}{ends}", float(known.mean()))


def _slowest_jobs(summary: Summary) -> str:
    """Return what jobs took, and a table of those that took longest."""
    slowest = sorted(summary.jobs, key=lambda job: -job.seconds)[:SLOWEST]
    seconds = [job.seconds for job in summary.jobs]
    text = (
        "A job is one chip at one point with all its samples. "
        f"Half of the {len(seconds)} jobs took less than {np.median(seconds):.2g} s of one core, "
        f"the slowest {max(seconds):.2g} s, all of them {duration(sum(seconds))}."
    )
    figure = figure_of_times(summary)
    drawn = f'\n<div class="figures">\n{_figure(figure)}\n</div>' if figure else ""
    return f"<p>{text}</p>{drawn}\n{_jobs('Slowest jobs', summary, slowest)}"


def _failed_jobs(summary: Summary) -> str:
    """Return a table of the jobs that failed."""
    text = (
        "They were simulated twice, the second time with safer settings, and still have a point "
        "without a certified answer. The deck is that of the first such point, and the output what "
        "the simulator says of it alone."
    )
    return f"<p>{text}</p>\n{_jobs('Failed jobs', summary, summary.failed)}"


def _jobs(name: str, summary: Summary, jobs: Sequence[DoneJob]) -> str:
    """Return a table of jobs."""
    with RunStore.open(summary.folder) as store:
        rows = [
            [
                *map(cell, job.at.values()),
                cell(job.chip),
                Cell(f"{job.seconds:.3g}", job.seconds),
                cell(job.attempts),
                _outcome(store, job),
            ]
            for job in jobs
        ]
    heads = [*summary.plan.axes, "chip", "seconds", "attempts", "outcome"]
    return table(name, heads, rows)


def _outcome(store: RunStore, job: DoneJob) -> Cell:
    """Return why a job failed, with links to what was kept of it."""
    if not job.failure:
        return Cell("certified", "certified")
    links = "".join(
        f' <a href="failed/{escape(name)}">{words}</a>'
        for name, words in ((f"{job.key}.cir", "deck"), (f"{job.key}.txt", "output"))
        if store.has_failure(name)
    )
    return Cell(f"{escape(job.failure)}{links}", job.failure)


def _declaration_and_versions(summary: Summary) -> str:
    """Return tables of what was declared and of the versions."""
    plan = summary.plan
    declared = [
        *_flat(plan.declaration, ""),
        *((f"axes.{axis}", json.dumps(values)) for axis, values in plan.axes.items()),
    ]
    rows = [
        [Cell(escape(key), key), Cell(escape(_cut(value)), _cut(value))]
        for key, value in declared
        if value != "[]"
    ]
    versions = [
        [Cell(escape(name), name), Cell(escape(value), value)]
        for name, value in plan.versions.items()
    ]
    return (
        f"{table('Declaration', ['declared', 'value'], rows)}\n"
        f"{table('Versions', ['with', 'which'], versions)}"
    )


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a declaration, joined by dots, and their values as JSON.

    A network that is no table is an object, of which its class is known.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _cut(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"
