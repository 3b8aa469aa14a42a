"""Execute notebooks: `python notebooks/run.py [--quick] [FILE …]`, all if none is named.

In full, outputs are written in place. With `--quick` nothing is written, and the numbers that make
a notebook heavy, which its cell
tagged `settings` assigns, become those of its metadata's `quick`.
"""

import argparse
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def execute(path: Path, *, quick: bool, environment: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Return the notebook of a file with the outputs of a fresh kernel.

    **Arguments:** `environment`: all variables of the kernel's process; those of this one if not
    given. **Raises** nbclient's
    `CellExecutionError`, with the traceback, where a cell raises, and `RuntimeError` where a figure
    cannot be drawn.
    """
    notebook = nbformat.read(path, as_version=4)
    if quick:
        at = next(k for k, cell in enumerate(notebook.cells) if "settings" in cell.metadata.get("tags", ()))
        lines = [f"{name} = {value!r}" for name, value in notebook.metadata["quick"].items()]
        notebook.cells.insert(at + 1, nbformat.v4.new_code_cell("\n".join(lines)))
    quiet = ["--log-level=ERROR"]  # of the kernel, which else warns at every start that it is reached over TCP
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True, extra_arguments=quiet
    )
    client.execute(cwd=str(path.parent), **({} if environment is None else {"env": environment}))
    errors = [one for cell in notebook.cells for one in cell.get("outputs", ()) if one.output_type == "error"]
    if errors:
        raise RuntimeError(f"{path.name} has an error among its outputs: {errors[0].ename}: {errors[0].evalue}")
    return notebook


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Executes notebooks, and writes their outputs in place.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="notebooks; all of this folder if none is named")
    parser.add_argument("--quick", action="store_true", help="with smaller numbers, writing nothing")
    options = parser.parse_args()
    for path in options.files or sorted(FOLDER.glob("*.ipynb")):
        start = time.perf_counter()
        notebook = execute(path, quick=options.quick)
        if not options.quick:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
