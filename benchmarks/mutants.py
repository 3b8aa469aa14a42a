"""How many small changes of the code the tests notice: mutants, made by cosmic-ray.

`python -m benchmarks.mutants --number 20 --seed 0 [GROUP ...]`. Of each group of modules so many
places are drawn, and at each one of the changes that cosmic-ray knows: another operator, a number
one off, a condition turned round, a loop that does not run, a decorator left out. Each mutant is
tried by the tests of its group alone, in a copy of the code, until the first of them fails. It
prints every mutant that survives, and a table. Annotations are left alone: they do nothing.
"""

import argparse
import ast
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome

ROOT = Path(__file__).parents[1]
GROUPS = {
    "settling": (
        "eqprop/settling/*.py",
        "eqprop/test_certificate.py eqprop/test_relaxation.py eqprop/test_kinks.py "
        "eqprop/test_phases.py eqprop/test_dynamics.py eqprop/test_awkward.py",
    ),
    "estimators": (
        "eqprop/estimators/*.py",
        "eqprop/test_more_estimators.py eqprop/test_estimators.py",
    ),
    "equations": (
        "circuits/mna/*.py",
        "circuits/test_equations.py circuits/test_small_signal.py circuits/test_nodal.py "
        "circuits/test_circuit_energy.py circuits/test_transistors.py",
    ),
    "reader": (
        "circuits/spice/*.py",
        "circuits/test_written_decks.py circuits/test_parser.py circuits/test_pyspice.py "
        "system/attack/test_decks.py",
    ),
    "plan and store": (
        "circuits/sweeps/[!_]*.py",
        "circuits/test_sweeps.py system/attack/test_sweep_files.py "
        "circuits/test_sweeps_networks.py circuits/test_sweeps_interrupted.py "
        "circuits/test_sweeps_report.py",
    ),
}
"""The modules of each group, and the files in `tests/` that try them, the quickest first."""

KEPT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""Settings by which JAX compiles what a mutant leaves as it is but once."""


def annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where the annotations of a module begin and end, as line and column."""
    places = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                begin = (part.lineno, part.col_offset)
                places.append((begin, (part.end_lineno, part.end_col_offset)))
    return places


def mutants(paths: list[Path], number: int, seed: int, folder: Path) -> Iterator[MutationSpec]:
    """Yield one mutant of each of `number` places, drawn at random."""
    places: dict[tuple, list[MutationSpec]] = {}
    skipped = {path: annotations(path) for path in paths}
    with use_db(folder / "mutants.sqlite", WorkDB.Mode.create) as database:
        init(paths, database, {})
        for item in database.pending_work_items:
            mutant = item.mutations[0]
            begin = tuple(mutant.start_pos)
            if not any(first <= begin < last for first, last in skipped[mutant.module_path]):
                places.setdefault((str(mutant.module_path), begin), []).append(mutant)
    drawn = random.Random(seed)  # noqa: S311 - a sample, no secret
    for place in drawn.sample(sorted(places), min(number, len(places))):
        yield drawn.choice(sorted(places[place], key=lambda m: (m.operator_name, m.occurrence)))


def try_group(name: str, number: int, seed: int) -> tuple[int, int]:
    """Return how many mutants of a group were tried and how many were killed."""
    modules, files = GROUPS[name]
    command = shlex.join(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
            *("-o", "addopts=--import-mode=importlib"),
            *(f"tests/{file}" for file in files.split()),
        ]
    )
    paths = sorted(path for path in Path.cwd().glob(modules) if path.name != "__init__.py")
    start = time.monotonic()
    outcome, output = run_tests(command, 3600)
    if outcome != TestOutcome.SURVIVED:
        raise SystemExit(f"the tests of {name!r} must pass before anything is changed:\n{output}")
    seconds = time.monotonic() - start
    print(f"{name}: its tests take {seconds:.0f} s", flush=True)
    tried = killed = 0
    with tempfile.TemporaryDirectory() as folder:
        for mutant in mutants(paths, number, seed, Path(folder)):
            start = time.monotonic()
            result = mutate_and_test([mutant], command, 3 * seconds + 60)
            if result.worker_outcome != WorkerOutcome.NORMAL:
                raise SystemExit(f"{mutant} cannot be made or tried: {result.output}")
            tried, killed = tried + 1, killed + result.is_killed
            word = "killed" if result.is_killed else "SURVIVED"
            where = f"{mutant.module_path.relative_to(Path.cwd())}:{mutant.start_pos[0]}"
            seconds_taken = time.monotonic() - start
            print(f"{word} {where} {mutant.operator_name} {seconds_taken:.0f} s", flush=True)
            if not result.is_killed:
                print(result.diff, flush=True)
    return tried, killed


def main() -> None:
    """Try the groups, and print the table."""
    parser = argparse.ArgumentParser(description="How many mutants the tests kill.")
    parser.add_argument("groups", nargs="*", default=list(GROUPS), metavar="GROUP")
    parser.add_argument("--number", type=int, default=20, help="of mutants of each group")
    parser.add_argument("--seed", type=int, default=0, help="draws the mutants")
    given = parser.parse_args()
    scores = {}
    with tempfile.TemporaryDirectory() as copy:
        for name in ("eqprop", "circuits", "tests", "sweeps", "pyproject.toml"):
            source, target = ROOT / name, Path(copy, name)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        os.chdir(copy)
        os.environ |= {"PYTHONPATH": copy, **KEPT, "JAX_COMPILATION_CACHE_DIR": f"{copy}/compiled"}
        for group in given.groups:
            scores[group] = try_group(group, given.number, given.seed)
        os.chdir(ROOT)
    print("| modules | mutants | killed | survived | score |\n| --- | --- | --- | --- | --- |")
    for name, (tried, killed) in scores.items():
        print(f"| {name} | {tried} | {killed} | {tried - killed} | {killed / tried:.0%} |")


if __name__ == "__main__":
    main()
