import os
import shutil

import jax
import pytest
from helpers.tiers import UNOPTIMISED

import circuits

# Most of the time is tracing and compilation; without LLVM's optimisations, XLA's newer emitters of fused loops and the tracebacks
# kept for each operation they take half. Read when the first program is compiled.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "").replace(UNOPTIMISED, "") + UNOPTIMISED
jax.config.update("jax_traceback_in_locations_limit", 0)
jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Each compiled program holds memory maps, of which a process may have 65,530: without this the suite runs out and XLA crashes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def simulator():
    """ngspice; a test that asks for it is skipped where it is missing, and fails there when CI=true."""
    if shutil.which("ngspice") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ngspice is not installed, and CI=true")
        pytest.skip("ngspice is not installed")
    return circuits.Ngspice()
