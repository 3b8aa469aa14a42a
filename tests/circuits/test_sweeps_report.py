"""Reports of sweeps: they show the run's own numbers, in a browser, whatever its names are."""

import base64
import csv
import html
import io
import json
import os
import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from helpers.sweep_problems import jobs, run
from matplotlib.figure import Figure

import circuits
import circuits.commands.cli
from circuits.sweeps import StorageError, SweepError, load
from circuits.sweeps.jobs import failed_record
from circuits.sweeps.store import RunStore

HOSTILE = "<script>window.ran=1<script>&$b\"'.cir"
REASON = "SimulationError: <img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run over decks and spreads; one deck has a name that is HTML, and one job has failed."""
    place = tmp_path_factory.mktemp("report")
    for name, ohms in (("plain.cir", 1), (HOSTILE, 3)):
        (place / name).write_text(f"Divider\nV1 in 0 1\nR1 in a 1k\nR2 a b {ohms}k\nR3 b 0 1k\n")
    declared = {
        "network": {"deck": "plain.cir"},
        "outputs": ["a", "b"],
        "data": {"drives": {"V1": [0.5, 1.0, -1.0], "label": [0, 0, 0]}},
        "axes": {"network.deck": ["plain.cir", HOSTILE], "programming.spread": [0.0, 0.05, 0.2]},
        "chips": 4,
        "measure": ["node_errors", "accuracy"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        outcome = run(place / "run", **declared)
    with RunStore.own(outcome.folder) as kept:
        layout = outcome.plan.layouts[0]
        failed = failed_record(outcome.plan.variables, layout.sizes, REASON)
        kept.write(outcome.plan.key(1, 2), failed)
    return outcome.folder


@pytest.fixture(scope="module")
def text(folder):
    return circuits.report(folder).read_text(encoding="utf-8")


def downloads(text, kind):
    """What the links of a page to files of a kind hold, by the files' names."""
    links = re.findall(rf'<a download="([^"]*\.{kind})" href="data:[^,]*;base64,([^"]*)">', text)
    return {name: base64.b64decode(data).decode() for name, data in links}


def test_tables_of_figures_are_the_runs_numbers(folder, text):
    """Against the dataset of the sweep, in which the job that failed since has its numbers."""
    tables = {
        name: list(csv.reader(io.StringIO(data))) for name, data in downloads(text, "csv").items()
    }
    heads, *rows = tables["node-error-along-programming-spread.csv"]
    assert heads == ["programming.spread", "network.deck", "mean", "lowest", "highest"]
    with load(folder) as data:
        errors = data.node_error.load()
    errors[0, 1, 2] = np.nan  # failed
    values = np.sqrt((errors**2).mean("node"))
    units = re.search(r"node error \((.)V\)", text)[1]
    assert units == "m"
    expected = [
        [
            f"{spread}",
            str(deck),
            *(
                1e3 * f(values.sel({"programming.spread": spread, "network.deck": deck})).item()
                for f in ways
            ),
        ]
        for spread in values["programming.spread"].values
        for deck in values["network.deck"].values
        for ways in [(lambda v: v.mean("chip"), lambda v: v.min("chip"), lambda v: v.max("chip"))]
    ]
    for row, other in zip(rows, expected, strict=True):
        assert row[:2] == other[:2]
        np.testing.assert_allclose(np.array(row[2:], float), other[2:], rtol=1e-12, atol=1e-12)
    assert max(float(row[2]) for row in rows) > 10
    heads, *rows = tables["distribution-of-the-node-error.csv"]
    assert heads == ["programming.spread", "quantile", "value"]
    last = np.array([float(row[2]) for row in rows]).reshape(3, 101)[2]
    np.testing.assert_allclose(
        last, 1e3 * np.nanquantile(errors[:, 2].values, np.linspace(0, 1, 101)), rtol=1e-9
    )
    assert "node-error-over-network-deck-and-programming-spread.svg" in downloads(text, "svg")


def test_sentences_are_computed(folder, text):
    with load(folder) as data:
        values = 1e3 * np.sqrt((data.node_error**2).mean("node")).load()
    values[0, 1, 2] = np.nan
    mean = values.mean(("network.deck", "chip"))
    assert (
        f"Node error rises from {mean.values[0]:.3g} mV at programming.spread = 0 "
        f"to {mean.values[2]:.3g} mV" in text
    )
    assert "In 1 of 24 jobs there are points without a certified answer" in text
    assert "It is the same at every" in text  # the accuracy


def test_names_are_text_and_nothing_else(text):
    assert text.count("<script") == 1
    assert "<img" not in text
    assert html.escape(HOSTILE) in text
    assert html.escape(REASON) in text
    for one in downloads(text, "svg").values():
        assert "window" not in ET.fromstring(one).tag  # it is XML
    legend = downloads(text, "svg")["node-error-along-programming-spread.svg"]
    assert f"…{HOSTILE[-15:]}" in "".join(ET.fromstring(legend).itertext())


def test_every_id_is_there_once(text):
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 10
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]*)', text))
    assert wanted <= set(ids)


def test_what_is_missing_is_said(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run")
    with RunStore.open(folder) as store:
        plan = store.read_plan()
    for point, _, key in plan.jobs():
        if plan.at(point)["programming.spread"] == 0.2:
            (tmp_path / f"run/jobs/{key}.job").unlink()
    assert circuits.commands.cli.main(["report", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == (
        "8 of 24 jobs are missing, go on with them (--resume)\n"
        f"the report is in {tmp_path / 'run/report.html'}\n"
    )
    part = (tmp_path / "run/report.html").read_text()
    assert "Unfinished: 8 of 24 jobs are missing." in part
    assert re.search(
        "Node error rises from 0 mV at programming.spread = 0 "
        "to [0-9.]+ mV at programming.spread = 0.05",
        part,
    )
    assert not re.search(r"\bnan\b", part)
    for name in jobs(tmp_path / "run"):
        (tmp_path / "run/jobs" / name).unlink()
    circuits.report(tmp_path / "run")
    empty = (tmp_path / "run/report.html").read_text()
    assert "24 of 24 jobs are missing" in empty
    assert "<figure>" not in empty


def test_what_is_no_run_is_refused(tmp_path, folder, monkeypatch, capsys):
    assert circuits.commands.cli.main(["report", str(tmp_path)]) == 1
    assert "must be the folder of a run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "plan.json").write_text(json.dumps({"format": "another"}))
    with pytest.raises(
        SweepError, match="must be of the format 'circuits sweep 2', but is of 'another'"
    ):
        circuits.report(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy/report.html").unlink(missing_ok=True)
    (tmp_path / "copy/report.html").mkdir()  # it cannot be written
    before = sorted(tmp_path.joinpath("copy").iterdir())
    with pytest.raises(StorageError, match="it cannot be written"):
        circuits.report(tmp_path / "copy")
    assert sorted(tmp_path.joinpath("copy").iterdir()) == before
    monkeypatch.setattr("circuits.sweeps.reports.page.importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        SweepError, match=r"a report needs matplotlib: pip install 'eqprop-circuits\[plot\]'"
    ):
        circuits.report(folder)


def test_an_axis_has_the_scale_that_spreads_it(folder):
    """On a new figure too, and lines stand where the values are."""
    with load(folder) as data:
        errors = data.largest_error.max("sample")
        for values, scale, places in (
            ([4.0, 16.0, 64.0], "log", [4, 16, 64]),
            ([250.0, 275.0, 300.0], "linear", [250, 275, 300]),
            ([0.0, 1e-3, 1.0], "linear", [0, 1, 2]),
        ):
            ax = circuits.plotting.along(
                errors.assign_coords({"programming.spread": values}),
                "programming.spread",
                "network.deck",
            )
            assert isinstance(ax.figure, Figure)
            assert ax.get_xscale() == scale
            np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), places)
            assert [tick.get_text() for tick in ax.get_xticklabels()] == [
                f"{value:g}" for value in values
            ]
        np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), errors[1].mean("chip"))


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )


@pytest.fixture
def opened(browser):
    """A function that opens a file as a page, what pages asked for, and what they complained of."""
    asked, wrong, contexts = [], [], []

    def opens(path, width=1280, scheme="light"):
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
            )
        )
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield opens, asked, wrong
    for context in contexts:
        context.close()


def test_in_a_browser(folder, text, opened):
    opens, asked, wrong = opened
    page = opens(folder / "report.html")
    assert len(page.query_selector_all("figure")) == text.count("<figure>") >= 4
    for figure in page.query_selector_all("figure > svg"):
        box = figure.bounding_box()
        assert min(box["width"], box["height"]) > 200
    assert page.evaluate("window.ran") is None
    for link in page.query_selector_all("td a"):
        assert (folder / link.get_attribute("href")).is_file()
    assert page.locator("td a").count() == 2  # the deck and the output of what failed
    assert wrong == []
    assert asked == [(folder / "report.html").as_uri()]


def test_a_large_map_has_a_scale(tmp_path, opened):
    """Of 121 values: colours and a bar instead of numbers, which are pictures in the SVG."""
    opens, _, wrong = opened
    values = [(k + 1) * 1e-4 for k in range(11)]
    axes = {"elements.Rtop.siemens": values, "elements.Rbottom.siemens": values}
    report = circuits.report(
        run(tmp_path, axes=axes, chips=1, variation=None, outputs=["out"]).folder
    )
    boxes = [image.bounding_box() for image in opens(report).query_selector_all("figure image")]
    assert len(boxes) == 1
    assert boxes[0]["height"] > 5 * boxes[0]["width"] > 25
    assert wrong == []


def test_tables_sort(folder, text, opened):
    opens, _, wrong = opened
    page = opens(folder / "report.html")
    points = page.get_by_role("region", name="Points")
    column = [head.inner_text() for head in points.locator("th").all()].index("node error (mV)")

    def shown():
        return [
            float(one.inner_text().split()[0])
            for one in points.locator(f"tbody tr td:nth-child({column + 1})").all()
        ]

    before, button = shown(), points.locator("th button").nth(column)
    button.click()
    assert shown() == sorted(before) != before
    button.focus()
    page.keyboard.press("Enter")
    assert shown() == sorted(before, reverse=True)
    assert points.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(folder, text, opened, scheme):
    opens, _, wrong = opened
    page = opens(folder / "report.html", 390, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ground, ink = (
        np.array(
            re.findall(
                r"\d+", page.evaluate(f"getComputedStyle(document.querySelector('{what}')).{of}")
            )[:3],
            float,
        ).mean()
        for what, of in (("body", "backgroundColor"), ("figure svg text", "fill"))
    )
    assert (ground > 200 and ink < 60) if scheme == "light" else (ground < 60 and ink > 200)
    assert wrong == []


def test_a_script_that_is_not_the_pages_does_not_run(folder, text, opened, tmp_path):
    """Were a name ever not escaped; without the page's policy the script would run."""
    opens, _, _ = opened
    torn = text.replace("<main>", "<main><script>window.ran=1</script>")
    for number, (content, ran) in enumerate(
        ((torn, None), (re.sub(r"<meta http-equiv[^>]*>", "", torn), 1))
    ):
        (tmp_path / f"{number}.html").write_text(content)
        assert opens(tmp_path / f"{number}.html").evaluate("window.ran") == ran
