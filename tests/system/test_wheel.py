"""The wheel that is built from this tree, installed into an environment of its own."""

import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers.tiers import IN_FULL, optimised

ROOT = Path(__file__).parents[2]

EMISSION = """
import pathlib, sys
import jax
import circuits, eqprop

for package in (circuits, eqprop):
    assert pathlib.Path(package.__file__).is_relative_to(sys.prefix), package.__file__
net = eqprop.Resistive.init(
    jax.random.key(0), (2, 3, 2), device=circuits.DiodePair(1e-9, 0.1), unit=1e-5, input_gain=1.0
)
deck = circuits.emit(net)
assert circuits.parse(deck.spice()) == deck
print(circuits.__version__, eqprop.__version__, len(deck.elements))
"""


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The folder of the commands of an environment that holds the wheel.

    The dependencies are those of the present environment, whose own `.pth` files, and so an
    editable
    install of this tree, do not count there.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    places = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "dependencies.pth").write_text("\n".join(sorted(places)))
    return folder / "bin"


def test_the_wheel_holds_both_packages_and_all_that_they_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"eqprop/py.typed", "circuits/py.typed", "circuits/__init__.pyi"} <= names
    tree = {
        str(path.relative_to(ROOT))
        for package in ("eqprop", "circuits")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == tree


@pytest.mark.parametrize("command", ["circuits", "eqprop"])
def test_the_commands_of_the_wheel_say_their_version(environment, command, tmp_path):
    output = run(environment / command, "--version", cwd=tmp_path)
    assert output == f"{command} {version('eqprop-circuits')}\n"


def test_the_wheel_emits_a_netlist_away_from_the_tree(environment, tmp_path):
    words = run(environment / "python", "-I", "-c", EMISSION, cwd=tmp_path).split()
    assert words[:2] == [version("eqprop-circuits")] * 2
    assert int(words[2]) > 10


@pytest.mark.skipif(not IN_FULL, reason="trains networks; make test-full runs it")
def test_the_wheel_runs_the_demo(environment, simulator, tmp_path):
    run(environment / "circuits", "demo", "--out", "here", cwd=tmp_path, env=optimised())
    assert (tmp_path / "here" / "summary.json").is_file()
