"""Notebooks are as committed: short, with outputs and figures, without errors; and they still run,
in quick mode.
"""

import ast
import copy
import os
import re
import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 60  # lines of code, about two screens
LARGEST = 400_000  # bytes
ABSOLUTE = re.compile(r"(?<![\w.~])/(?:home|root|tmp|usr|var|opt|mnt|work|Users)/")

execute = runpy.run_path(str(FOLDER / "run.py"))["execute"]


def flaws(notebook):
    """What is wrong with a notebook as it is committed, in words."""
    problems = []
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    if not (
        notebook.cells
        and notebook.cells[0].cell_type == "markdown"
        and notebook.cells[0].source.startswith("# ")
    ):
        problems.append("does not begin with a title")
    if any(output.output_type == "error" for output in outputs):
        problems.append("an error among its outputs")
    if any(output.get("name") == "stderr" for output in outputs):
        problems.append("a warning among its outputs")
    if not any("image/png" in output.get("data", {}) for output in outputs):
        problems.append("no figure")
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        problems.append("its cells were not executed in order")
    if (
        lines := sum(bool(line.strip()) for cell in cells for line in cell.source.splitlines())
    ) > LONGEST:
        problems.append(f"{lines} lines of code")
    if len(nbformat.writes(notebook)) > LARGEST:
        problems.append("too large")
    texts = [cell.source for cell in notebook.cells] + [
        str(output.get("text", output.get("data"))) for output in outputs
    ]
    if any(ABSOLUTE.search(text) for text in texts):
        problems.append("an absolute path")
    if any("execution" in cell.metadata for cell in cells):
        problems.append("time stamps")
    settings = [cell for cell in cells if "settings" in cell.metadata.get("tags", ())]
    quick = notebook.metadata.get("quick", {})
    if len(settings) != 1 or not quick:
        problems.append("no one cell of settings, or nothing that makes it quick")
    elif not set(quick) <= assigned(settings[0].source):
        problems.append("quick names that its settings do not have")
    return problems


def assigned(source):
    """The names that a cell assigns."""
    targets = [
        target
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


def small():
    """A notebook without a flaw: it draws `points` points."""
    draw = "import matplotlib.pyplot as plt\nfigure, ax = plt.subplots()\nax.plot(range(points))"
    picture = new_output(
        "display_data",
        {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"},
    )
    cells = [
        new_markdown_cell("# Points"),
        new_code_cell(
            "points, unit = 100, 's'", metadata={"tags": ["settings"]}, execution_count=1
        ),
        new_code_cell(draw, execution_count=2, outputs=[picture]),
    ]
    return new_notebook(cells=cells, metadata={"quick": {"points": 3}})


def test_a_notebook_without_a_flaw_passes():
    assert flaws(small()) == []


@pytest.mark.parametrize(
    ("breaks", "flaw"),
    [
        (lambda n: n.cells[0].update(source="Points"), "does not begin with a title"),
        (
            lambda n: n.cells[2].outputs.append(
                new_output("error", ename="E", evalue="e", traceback=[])
            ),
            "an error among its outputs",
        ),
        (
            lambda n: n.cells[2].outputs.append(new_output("stream", name="stderr", text="w")),
            "a warning among its outputs",
        ),
        (lambda n: n.cells[2].outputs.clear(), "no figure"),
        (lambda n: n.cells[2].update(execution_count=7), "its cells were not executed in order"),
        (lambda n: n.cells[2].update(execution_count=None), "its cells were not executed in order"),
        (lambda n: n.cells[2].update(source="a = 1\n" * LONGEST), "61 lines of code"),
        (lambda n: n.cells[0].update(source="# " + "a" * LARGEST), "too large"),
        (
            lambda n: n.cells[1].update(source="points = open('/home/me/points')"),
            "an absolute path",
        ),
        (
            lambda n: n.cells[2].outputs.append(new_output("stream", text="/tmp/points")),
            "an absolute path",
        ),
        (
            lambda n: n.cells[2].metadata.update(execution={"iopub.execute_input": "2020"}),
            "time stamps",
        ),
        (
            lambda n: n.cells[1].metadata.clear(),
            "no one cell of settings, or nothing that makes it quick",
        ),
        (lambda n: n.metadata.clear(), "no one cell of settings, or nothing that makes it quick"),
        (lambda n: n.metadata.quick.update(pionts=3), "quick names that its settings do not have"),
    ],
)
def test_each_flaw_is_seen(breaks, flaw):
    broken = copy.deepcopy(small())
    breaks(broken)
    assert flaws(broken) == [flaw]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_has_no_flaw(path):
    assert flaws(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_quick_mode(path, simulator):
    execute(path, quick=True, environment=environment())


def environment():
    """Of a kernel: JAX compiles as in the other tests, and figures are drawn inline whatever the
    caller's backend.
    """
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JAX_PLATFORMS": "cpu"}
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    } | inline


def test_quick_mode_sets_what_the_metadata_says_and_a_failing_cell_fails(tmp_path):
    """The negative control of the test above, and of quick mode: the cell fails, and it fails with
    the quick number.
    """
    notebook = small()
    notebook.cells.append(new_code_cell("raise RuntimeError(f'{points} points')"))
    nbformat.write(notebook, tmp_path / "points.ipynb")
    with pytest.raises(CellExecutionError, match=r"(?s)Traceback.*: 3 points"):
        execute(tmp_path / "points.ipynb", quick=True, environment=environment())


def test_a_figure_that_cannot_be_drawn_fails(tmp_path):
    """It is drawn after its cell, which itself has not failed."""
    notebook = small()
    notebook.cells.append(new_code_cell("plt.figure().text(0, 0, r'$\\undefined$');"))
    nbformat.write(notebook, tmp_path / "points.ipynb")
    with pytest.raises(RuntimeError, match=r"(?s)points.ipynb has an error .*undefined"):
        execute(tmp_path / "points.ipynb", quick=True, environment=environment())
