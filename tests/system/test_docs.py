"""The README and the pages: their code runs, their links lead somewhere, and the reference has
every public name.
"""

import ast
import importlib
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

import circuits.commands.cli
import eqprop

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(
    r'^```(python|console|\w+ title="([\w.]+)")\n(.*?)^```', re.DOTALL | re.MULTILINE
)
SUBMODULES = (
    "eqprop.data",
    "eqprop.models",
    "eqprop.plotting",
    "circuits.memristors",
    "circuits.topologies",
    "circuits.plotting",
)


def blocks(page):
    """The blocks of a page that are run, or written to a file: their language or the file's name,
    their text, their first line.
    """
    text = page.read_text()
    return [
        (match[2] or match[1], match[3], text.count("\n", 0, match.start(3)))
        for match in BLOCK.finditer(text)
    ]


def run(page, scope):
    """Runs the blocks of a page in turn, in one scope: Python as it is, of `console` the commands
    of this project; writes its files.
    """
    for language, text, line in blocks(page):
        if language == "python":
            exec(compile("\n" * line + text, page.name, "exec"), scope)
            continue
        if language != "console":
            Path(language).write_text(text)
            continue
        for command in re.findall(r"^\$ \.venv/bin/circuits (.*)$", text, re.MULTILINE):
            assert circuits.commands.cli.main(shlex.split(command)) == 0, (
                f"{page.name}: circuits {command}"
            )


def checks_readme(scope, output):
    assert scope["comparison"].agrees
    assert all(set(one.status.values) == {"ok"} for one in scope["points"])
    assert np.mean(scope["right"]) > 0.6
    assert scope["outcome"].complete
    assert not scope["outcome"].failed
    assert scope["fit"].history["test_accuracy"][-1] > 0.9
    assert {path.name for path in Path().iterdir()} >= {"net.cir", "agreement.png", "chips"}


def checks_extending(scope, output):
    assert scope["blocks"] == (0, 1, 0, 1, 0, 1)
    for points in (scope["ngspice"], scope["nodal"]):
        assert set(points.status.values) == {"ok"}
    assert float(abs(scope["ngspice"].voltage - scope["nodal"].voltage).max()) < 1e-9
    settled = float(scope["settled"].state[0] - scope["point"].voltage.sel(node="a")[0])
    assert abs(settled) < 1e-9
    assert Path("tunnel.svg").read_text().count("<svg") == 1
    assert "beta = " in output
    assert scope["comparison"].agrees


def checks_start(scope, output):
    assert abs(float(scope["estimate"].grad.params["k"]) / scope["exact"] - 1) < 0.01
    assert abs(scope["in_ngspice"] - scope["in_the_model"]).max() < 1e-9


def checks_theory(scope, output):
    assert abs(float(scope["by_hand"] / scope["exact"]) - 1) < 1e-3
    assert "must be below" in output


def checks_sweeps(scope, output):
    assert scope["outcome"].complete
    assert not scope["outcome"].failed
    assert scope["error"].sizes == {"programming.spread": 2, "temperature": 2, "chip": 4}
    assert "24 of 24 jobs, 0 failed, 24 from before" in output
    assert all(
        Path(file).exists()
        for file in ("divider/report.html", "runs/clipper/report.html", "run/results.nc")
    )


CHECKS = {
    "README.md": checks_readme,
    "extending.md": checks_extending,
    "start.md": checks_start,
    "sweeps.md": checks_sweeps,
    "theory.md": checks_theory,
}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, simulator, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "page"}
    run(page, scope)
    CHECKS.get(page.name, lambda *_: None)(scope, capsys.readouterr().out)


def test_every_fence_says_whether_it_runs():
    """A block of code without a language, or one that is only indented, would be skipped without a
    word.
    """
    for page in PAGES:
        outside = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        assert not re.findall(r"\n\n(?: {4}|\t)\S.*", outside), page
        fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
        assert {fence.partition(" title=")[0] for fence in fences[::2]} <= {
            "python",
            "console",
            "sh",
            "text",
            "toml",
        }, page
        assert set(fences[1::2]) <= {""}, page


def test_a_block_that_fails_is_seen(tmp_path):
    """The control of the test above: wrong code, and a command that fails."""
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nassert 1 + 1 == 3\n```\n")
    with pytest.raises(AssertionError):
        run(page, {})
    page.write_text("```console\n$ .venv/bin/circuits run nowhere.cir\n```\n")
    with pytest.raises(AssertionError, match="circuits run nowhere"):
        run(page, {})


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(
            r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        ):
            path, _, anchor = target.partition("#")
            if path.startswith(("http:", "https:")):
                continue
            linked = page.parent / path if path else page
            assert linked.exists(), f"{page.name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
                assert anchor in [
                    re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
                    for heading in headings
                ], target


def public(module):
    """The public names of a module that are not modules."""
    names = [name for name in dir(module) if not name.startswith("_")]
    objects = {f"{module.__name__}.{name}": getattr(module, name) for name in names}
    return {
        name: thing
        for name, thing in objects.items()
        if not isinstance(thing, type(re)) and is_ours(thing)
    }


def is_ours(thing):
    home = getattr(thing, "__module__", "eqprop")
    return home is None or home.startswith(("eqprop", "circuits"))


def resolve(name):
    """What a dotted name stands for."""
    thing, *rest = name.split(".")
    thing = importlib.import_module(thing)
    for part in rest:
        thing = (
            getattr(thing, part)
            if hasattr(thing, part)
            else importlib.import_module(f"{thing.__name__}.{part}")
        )
    return thing


def listed():
    """The names in the reference."""
    return re.findall(
        r"^::: (\S+)$",
        "".join(page.read_text() for page in ROOT.glob("docs/reference/*.md")),
        re.MULTILINE,
    )


def test_the_reference_has_every_public_name():
    names = listed()
    assert len(set(names)) == len(names)
    things = {id(resolve(name)) for name in names}
    for module in (eqprop, circuits, *map(importlib.import_module, SUBMODULES)):
        missing = [
            name
            for name, thing in public(module).items()
            if id(thing) not in things and name.rpartition(".")[2] != "COLOURS"
        ]
        assert not missing, f"these are in no page of docs/reference: {missing}"


def test_the_reference_is_reached_by_two_imports():
    """Every name but those of extensions, whose modules are imported by name."""
    extending = re.findall(
        r"^::: (\S+)$", (ROOT / "docs/reference/extending.md").read_text(), re.MULTILINE
    )
    code = "; ".join(
        ["import circuits, eqprop", *(name for name in listed() if name not in extending)]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def used(code):
    """The names of the toolkit that Python code uses, as dotted names that are as long as they
    go.
    """
    tree, aliases = ast.parse(code), {"ep": "eqprop", "eqprop": "eqprop", "circuits": "circuits"}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] in ("eqprop", "circuits")
        ):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            aliases |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            root, *parts = ast.unparse(node).split(".")
            if root in aliases and all(part.isidentifier() for part in parts):
                yield ".".join((aliases[root], *parts))


def hidden(code):
    """Of these, the names that neither stand in the reference nor belong to what does."""
    known = {
        id(resolve(name))
        for name in (*listed(), "eqprop.plotting.COLOURS", "circuits.plotting.COLOURS")
    }
    for name in used(code):
        heads = [name.rsplit(".", k)[0] for k in range(name.count(".") + 1)]
        things = [resolve(head) for head in heads]
        module = isinstance(things[0], type(re)) and any(
            each.startswith(f"{things[0].__name__}.") for each in listed()
        )
        if not module and not any(id(thing) in known for thing in things):
            yield name


PAGES_AND_NOTEBOOKS = [
    *PAGES,
    *sorted(ROOT.glob("notebooks/*.ipynb")),
    ROOT / "tests/system/newcomer.py",
]


@pytest.mark.parametrize("page", PAGES_AND_NOTEBOOKS, ids=lambda page: page.stem)
def test_pages_and_notebooks_use_public_names_alone(page):
    if page.suffix == ".ipynb":
        code = [
            cell.source
            for cell in nbformat.read(page, as_version=4).cells
            if cell.cell_type == "code"
        ]
    else:
        code = (
            [text for language, text, _ in blocks(page) if language == "python"]
            if page.suffix == ".md"
            else [page.read_text()]
        )
    assert list(hidden("\n".join(code))) == []


def test_a_name_that_is_not_public_is_seen():
    """The control of the test above."""
    code = (
        "from circuits.simulators import raw\n"
        "ep.EqProp.centred(1), ep.settling.phases.Displaced, circuits.plotting.along"
    )
    assert list(hidden(code)) == ["circuits.simulators.raw", "eqprop.settling.phases.Displaced"]


def test_what_a_newcomer_writes(tmp_path, monkeypatch, simulator, capsys):
    """In at most 60 lines, by one who had the README and `help()` alone: an energy, training, a
    circuit, ngspice, chips, figures.
    """
    script = ROOT / "tests/system/newcomer.py"
    assert len(script.read_text().splitlines()) <= 60
    monkeypatch.chdir(tmp_path)
    scope = runpy.run_path(str(script))
    assert scope["mine"].history["test_accuracy"][-1] > 0.9
    assert scope["cosine"] > 0.999
    assert scope["chip"].history["test_accuracy"][-1] > 0.9
    assert scope["seen"].agrees
    assert min(scope["accuracies"]) > 0.7
    assert {path.name for path in tmp_path.iterdir()} >= {
        f"{name}.png" for name in ("landscape", "training", "agreement", "chips")
    }
