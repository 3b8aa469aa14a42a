"""The house rules: who imports whom, what an import loads, and that classes are abstract or
final.
"""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import circuits
import eqprop

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("eqprop/**/*.py"), *ROOT.glob("circuits/**/*.py")])


def imports(path, top_level_only=False):
    """The absolute names of the modules that a file imports."""
    package = path.relative_to(ROOT).with_suffix("").parts
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_eqprop_never_imports_circuits():
    assert [
        str(f)
        for f in FILES
        if f.is_relative_to(ROOT / "eqprop")
        for name in imports(f)
        if name.split(".")[0] == "circuits"
    ] == []


def test_only_learning_sweeps_and_commands_import_eqprop():
    """Besides `eqprop.files`, which all write and read by."""
    reached = {
        f.relative_to(ROOT / "circuits").parts[0]
        for f in FILES
        if f.is_relative_to(ROOT / "circuits")
        for name in imports(f)
        if name.split(".")[0] == "eqprop" and not name.startswith("eqprop.files")
    }
    assert reached == {"learning", "sweeps", "commands"}


ORDER = {
    "eqprop": (
        "files locks archives references citations energies costs increments data models settling "
        "estimators training accuracy plotting cli __main__"
    ),
    "circuits": (
        "references units elements netlist spice mna devices topologies variation simulators "
        "memristors plotting learning sweeps commands __main__"
    ),
}
"""The rooms of each package, folders and loose modules: each imports from rooms before it alone."""


def rooms(package):
    """Which rooms each room imports from, lazy imports and those for types included."""
    graph = {room: set() for room in ORDER[package].split()}
    for path in FILES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != package or parts[1] == "__init__":
            continue
        for name in imports(path):
            target = name.split(".")
            if target[0] == package and len(target) > 1 and target[1] in graph:
                graph[parts[1]].add(target[1])
        graph[parts[1]].discard(parts[1])
    return graph


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_from_rooms_before_them(package):
    order, graph = ORDER[package].split(), rooms(package)
    assert {
        module_name(f).split(".")[1]
        for f in FILES
        if "." in module_name(f) and module_name(f).startswith(package)
    } == set(order)
    wrong = [
        (room, t) for room in order for t in graph[room] if order.index(t) >= order.index(room)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ORDER)
def test_rooms_are_few_and_shallow(package):
    graph, level = rooms(package), {}
    for room in ORDER[package].split():
        level[room] = 1 + max((level[t] for t in graph[room]), default=0)
    assert max(level.values()) <= 12
    if package == "circuits":
        assert len(list((ROOT / package).glob("*.py"))) <= 5


def test_no_test_imports_a_test():
    tests = sorted((ROOT / "tests").glob("**/*.py"))
    names = {path.stem for path in tests if path.stem.startswith("test_")}
    assert len(names) > 40
    wrong = [(f.name, n) for f in tests for n in imports(f) if names & {*n.split(".")}]
    assert wrong == []


def test_the_rule_can_fail(tmp_path):
    """The negative control of the two tests above: such an import is seen."""
    assert "circuits.devices" in set(imports_of_text("from circuits.devices import DiodePair"))
    assert "eqprop" in set(imports_of_text("def f():\n    import eqprop as ep"))


def imports_of_text(text):
    path = ROOT / "eqprop" / "_probe.py"

    class Probe(type(path)):
        def read_text(self, *args, **kwargs):
            return text

    return imports(Probe(path))


def test_modules_form_a_chain():
    """No cycle among the imports that run when a module is imported."""
    names = {module_name(f): f for f in FILES}
    graph = {}
    for name, path in names.items():
        targets = {target for target in imports(path, top_level_only=True) if target in names}
        packages = {name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)}
        graph[name] = targets - packages - {name}
    done, active = set(), []

    def visit(name):
        if name in active:
            raise AssertionError(f"an import cycle: {[*active[active.index(name) :], name]}")
        if name not in done:
            active.append(name)
            for target in graph[name]:
                visit(target)
            active.pop()
            done.add(name)

    for name in graph:
        visit(name)


def loaded(code):
    """The modules that a fresh interpreter has loaded after `code`."""
    code += "; import sys; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(process.stdout.split())


HEAVY = {"PySpice", "matplotlib", "netCDF4", "pandas", "scipy.linalg", "sklearn", "xarray"}
"""Each takes a good part of a second, and few calls need it."""


@pytest.mark.parametrize("package", ["circuits", "eqprop"])
def test_an_import_loads_next_to_nothing(package):
    assert not loaded(f"import {package}") & {*HEAVY, "jax", "numpy", "scipy"}


def test_circuits_without_models_load_no_jax():
    """All public names but those that say that they do: what joins circuits and models, and what
    solves in JAX.
    """
    joins = (
        "learning",
        "simulators.nodal",
        "simulators.langevin",
        "simulators.crossbars",
        "sweeps",
    )
    names = [name for name, home in stub("circuits").items() if not home.startswith(joins)]
    assert len(names) > 70
    modules = loaded(f"import circuits; [getattr(circuits, name) for name in {names}]")
    assert not modules & {*HEAVY, "jax"}
    assert {name for name in modules if name.split(".")[0] == "eqprop"} == {
        "eqprop",
        "eqprop.files",
    }


def test_models_load_no_more_than_jax_and_its_solvers():
    modules = loaded(f"import eqprop; [getattr(eqprop, name) for name in {list(stub('eqprop'))}]")
    assert "jax" in modules
    assert not modules & HEAVY


def stub(package):
    """The public names of a package and the modules that they are loaded from, as its stub has
    them.
    """
    tree = ast.parse((ROOT / package / "__init__.pyi").read_text())
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or alias.name for node in imported for alias in node.names}


def test_importing_eqprop_changes_no_setting():
    code = (
        "import jax; before = dict(jax.config.values); import eqprop, sys; "
        "sys.exit(before != dict(jax.config.values))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def classes():
    for package in (eqprop, circuits):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if info.name.endswith("__main__"):
                continue
            module = importlib.import_module(info.name)
            yield from (
                c
                for _, c in inspect.getmembers(module, inspect.isclass)
                if c.__module__ == info.name
            )


@pytest.mark.parametrize("package", [circuits, eqprop], ids=["circuits", "eqprop"])
def test_no_module_takes_the_place_of_a_public_name(package):
    """Importing `circuits.report` the module would hide `circuits.report` the function, which is
    loaded when it is first asked for.
    """
    modules = {name for _, name, _ in pkgutil.iter_modules(package.__path__)}
    public = {name for name, home in stub(package.__name__).items() if name != home}
    assert {"plotting", "references"} <= modules
    assert len(public) > 40
    assert not modules & public


def test_classes_are_abstract_or_final():
    ours = set(classes())
    assert len(ours) > 30
    for one in ours:
        for base in one.__bases__:
            if base in ours:
                exempt = issubclass(base, Exception)
                assert inspect.isabstract(base) or exempt, (
                    f"{one.__name__} extends {base.__name__}, which is not abstract"
                )


def test_nothing_is_overridden_twice():
    ours = set(classes())
    for one in ours:
        for name, member in vars(one).items():
            if not inspect.isfunction(member) or name.startswith("__"):
                continue
            owners = [
                base
                for base in one.__mro__[1:]
                if base in ours and inspect.isfunction(vars(base).get(name))
            ]
            concrete = [
                base
                for base in owners
                if not getattr(vars(base)[name], "__isabstractmethod__", False)
            ]
            assert len(concrete) <= 1, (
                f"{one.__name__}.{name} overrides {[base.__name__ for base in concrete]}"
            )
            if concrete:
                assert inspect.isabstract(concrete[0])


def test_modules_can_be_read_in_one_sitting():
    assert [(str(f), n) for f in FILES if (n := len(f.read_text().splitlines())) > 400] == []
