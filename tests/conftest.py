import itertools
import os
import shutil
from pathlib import Path

import jax
import pytest
from helpers.tiers import UNOPTIMISED

import circuits

# Most of the time is tracing and compilation; without LLVM's optimisations, XLA's newer emitters of
# fused loops and the tracebacks
# kept for each operation they take half. Read when the first program is compiled.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "").replace(UNOPTIMISED, "") + UNOPTIMISED
jax.config.update("jax_traceback_in_locations_limit", 0)
jax.config.update("jax_enable_x64", True)


MOST_MAPS = 30_000
"""Each compiled program holds memory maps, of which a process may have 65,530: then XLA crashes."""
EVERY = 8
"""Maps are counted after every so many tests, as counting takes some milliseconds."""
_ended = itertools.count(1)


LONGEST = ["test_docs", "test_contract", "test_demo", "test_own_energies", "test_notebooks"]
"""Files that are tried first, so that at the end no worker waits long for the other."""


def pytest_collection_modifyitems(items):
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture(autouse=True)
def forget_compiled_programs():
    """Forget compiled programs when the process is about to run out of maps, and not before.

    Modules that settle the same networks share their programs.
    """
    yield
    maps = Path("/proc/self/maps")
    if next(_ended) % EVERY == 0 and maps.exists():
        with maps.open("rb") as lines:
            if sum(1 for _ in lines) > MOST_MAPS:
                jax.clear_caches()


@pytest.fixture(scope="session")
def simulator():
    """ngspice; a test that asks for it is skipped where it is missing, and fails there when
    CI=true.
    """
    if shutil.which("ngspice") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ngspice is not installed, and CI=true")
        pytest.skip("ngspice is not installed")
    return circuits.Ngspice()
