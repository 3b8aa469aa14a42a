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
from ...plotting.measures import named
from ..declaration import SweepError
from ..progress import duration
from ..store import put
from ..summary import Chunk, Findings, gather
from .figures import INK, Figure, Section, of_time, sections
from .tables import Cell, cell, table

NAME = "report.html"
SLOWEST = 10


def report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a run, ended or not, and returns its path.

    It is one file that needs no network: each measure along the axes and over pairs of them with the spread over chips, the errors of
    nodes, every point, the slowest chunks, what failed with links to its decks, and what was run with which versions. Every figure can
    be had as an SVG, and its data as CSV.

    Raises `StorageError` where `folder` is no run's or the file cannot be written, and `SweepError` where matplotlib is missing.
    """
    return write_report(gather(folder))


def write_report(found: Findings) -> Path:
    """Writes the report of what was found. Raises as `report`."""
    if importlib.util.find_spec("matplotlib") is None:
        raise SweepError("a report needs matplotlib: pip install 'eqprop-circuits[plot]'")
    path, text = found.folder / NAME, page(found)
    put(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))
    return path


def page(found: Findings) -> str:
    """The report as HTML. All that comes from a run is escaped, and no script runs but the page's own, whose hash it states."""
    style, script, template = (_resource(f"page.{kind}") for kind in ("css", "js", "html"))
    parts = {
        **(
            {section.title: _section(section) for section in sections(found)}
            if found.chunks
            else {}
        ),
        **({"Failed chunks": _failed(found)} if found.failed else {}),
        "Points": _points(found),
        **({"Time": _slowest(found)} if found.chunks else {}),
        "What was run": _run(found),
    }
    numbered = [
        (f"part-{number}", escape(title), body)
        for number, (title, body) in enumerate(parts.items())
    ]
    return Template(template).substitute(
        title=escape(found.folder.resolve().name),
        lead=escape(_lead(found)),
        notes="\n".join(_notes(found)),
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
    return (
        importlib.resources.files("circuits.sweeps.reports")
        .joinpath(name)
        .read_text(encoding="utf-8")
    )


def _lead(found: Findings) -> str:
    plan = found.plan
    axes = " × ".join(f"{len(values)} values of {axis}" for axis, values in plan.axes.items())
    chips = f"{plan.chips} chips" if plan.chips > 1 else "1 chip"
    where = f"{axes}, {chips} at each point" if axes else chips
    network = ", ".join(
        f"{key} {value}".strip() for key, value in _flat(plan.declaration.get("network"), "")
    )
    return f"{where}: {plan.simulations} operating points by {plan.versions['simulator']}. Network: {network}."


def _notes(found: Findings) -> Iterator[str]:
    """Whether all is there and all is certified."""
    if found.missing:
        text = f"Unfinished: {found.missing} of {found.total} chunks are missing. This is what is there; --resume goes on with the run."
        yield f'<p class="note alarm">{text}</p>'
    if found.failed:
        text = f"In {len(found.failed)} of {len(found.chunks)} chunks there are points without a certified answer, as listed below."
        yield f'<p class="note alarm">{text}</p>'
    elif found.chunks:
        yield '<p class="note">Every operating point that was simulated has a certified answer.</p>'


def _section(section: Section) -> str:
    figures = "\n".join(map(_figure, section.figures))
    return f"<p>{escape(section.text)}</p>" + (
        f'\n<div class="figures">\n{figures}\n</div>' if figures else ""
    )


def _figure(figure: Figure) -> str:
    name = re.sub(r"\W+", "-", figure.title.lower())
    data = io.StringIO()
    csv.writer(data, lineterminator="\n").writerows(figure.rows)
    alone = re.sub(
        r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', figure.svg, count=1
    )
    files = f"{_download(f'{name}.svg', 'image/svg+xml', alone)} {_download(f'{name}.csv', 'text/csv', data.getvalue())}"
    caption = f"<h3>{escape(figure.title)}</h3><p>{escape(figure.caption)}</p>"
    return f'<figure>\n<figcaption>{caption}</figcaption>\n{_inline(figure, name)}\n<p class="files">{files}</p>\n</figure>'


def _inline(figure: Figure, name: str) -> str:
    """The SVG in the page: its names are its own, and its colours the page's."""
    text = re.sub(r'<g id="[^"]*"', "<g", figure.svg)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor")
    for index, colour in enumerate(COLOURS):
        text = text.replace(colour.lower(), f"var(--c{index})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(figure.title)}" ', 1)


def _download(name: str, kind: str, content: str) -> str:
    data = base64.b64encode(content.encode()).decode()
    return f'<a download="{name}" href="data:{kind};charset=utf-8;base64,{data}">{name.rpartition(".")[2].upper()}</a>'


def _points(found: Findings) -> str:
    plan, axes, names = found.plan, list(found.plan.axes), [*found.measures, "time"]
    data = found.data.transpose(*axes, "chip")
    of = {str(name): data[name].values.reshape(-1, plan.chips) for name in data.data_vars}
    rows = []
    for point, places in enumerate(np.ndindex(*plan.shape)):
        layout, certified = plan.layouts[plan.layout[point]], float(np.nansum(of["points"][point]))
        share = Cell(f"{certified:.0f} of {plan.chips * layout.samples * layout.phases}", certified)
        at = (cell(plan.axes[axis][k]) for axis, k in zip(axes, places, strict=True))
        rows.append([*at, share, *(_spread(of[name][point]) for name in names)])
    text = "One chip at each point."
    if plan.chips > 1:
        text = f"The mean over {plan.chips} chips, and in brackets the lowest and the highest where they differ."
    files = ", ".join(
        f'<a href="{name}">{name}</a>'
        for name in ("trials.csv", "results.nc")
        if (found.folder / name).exists()
    )
    more = f" Every chip by itself: {files}." if files else ""
    return f"<p>{text}{more}</p>\n{table('Points', [*axes, 'certified', *(named(found.data[name]) for name in names)], rows)}"


def _spread(values: np.ndarray) -> Cell:
    known = values[np.isfinite(values)]
    if not known.size:
        return Cell("none", "")
    low, high = f"{known.min():.3g}", f"{known.max():.3g}"
    ends = f" <small>[{low}, {high}]</small>" if low != high else ""
    return Cell(f"{known.mean():.4g}{ends}", float(known.mean()))


def _slowest(found: Findings) -> str:
    chunks = sorted(found.chunks, key=lambda chunk: -chunk.seconds)[:SLOWEST]
    seconds = [chunk.seconds for chunk in found.chunks]
    text = (
        f"A chunk is one chip at one point with all its samples. Half of the {len(seconds)} chunks took less than"
        f" {np.median(seconds):.2g} s of one core, the slowest {max(seconds):.2g} s, all of them {duration(sum(seconds))}."
    )
    figure = of_time(found)
    drawn = f'\n<div class="figures">\n{_figure(figure)}\n</div>' if figure else ""
    return f"<p>{text}</p>{drawn}\n{_chunks('Slowest chunks', found, chunks)}"


def _failed(found: Findings) -> str:
    text = (
        "They were simulated twice, the second time with safer settings, and still have a point without a certified answer. The deck is"
        " that of the first such point, and the output what the simulator says of it alone."
    )
    return f"<p>{text}</p>\n{_chunks('Failed chunks', found, found.failed)}"


def _chunks(name: str, found: Findings, chunks: Sequence[Chunk]) -> str:
    rows = [
        [
            *map(cell, chunk.at.values()),
            cell(chunk.chip),
            Cell(f"{chunk.seconds:.3g}", chunk.seconds),
            cell(chunk.attempts),
            _outcome(found, chunk),
        ]
        for chunk in chunks
    ]
    return table(name, [*found.plan.axes, "chip", "seconds", "attempts", "outcome"], rows)


def _outcome(found: Findings, chunk: Chunk) -> Cell:
    """Why a chunk failed, with links to what was kept of it."""
    kept = {"deck": f"failed/{chunk.key}.cir", "output": f"failed/{chunk.key}.txt"}
    links = " ".join(
        f'<a href="{path}">{what}</a>'
        for what, path in kept.items()
        if (found.folder / path).exists()
    )
    return (
        Cell(f"{escape(chunk.failure)} {links}", chunk.failure)
        if chunk.failure
        else Cell("certified", "certified")
    )


def _run(found: Findings) -> str:
    """The declaration and the versions."""
    plan = found.plan
    declared = [
        *_flat(plan.declaration, ""),
        *((f"axes.{axis}", json.dumps(values)) for axis, values in plan.axes.items()),
    ]
    rows = [
        [Cell(escape(key), key), Cell(escape(_shortened(value)), value)]
        for key, value in declared
        if value != "[]"
    ]
    versions = [
        [Cell(escape(name), name), Cell(escape(value), value)]
        for name, value in plan.versions.items()
    ]
    return f"{table('Declaration', ['declared', 'value'], rows)}\n{table('Versions', ['with', 'which'], versions)}"


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """The keys of a declaration with dots, and their values as JSON; without a table, what the network is."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"
