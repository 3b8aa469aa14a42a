import os
import shutil

import jax
import numpy as np
import pytest

import circuits
import eqprop as ep

# Most of the time is tracing and compilation; without LLVM's optimisations, XLA's newer emitters of fused loops and the tracebacks
# kept for each operation they take half. Read when the first program is compiled.
UNOPTIMISED = " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "").replace(UNOPTIMISED, "") + UNOPTIMISED
jax.config.update("jax_traceback_in_locations_limit", 0)
jax.config.update("jax_enable_x64", True)


IN_FULL = os.environ.get("EQPROP_TEST_FULL") == "1"


def optimised() -> dict[str, str]:
    """The environment of a process that runs for so long that LLVM's optimisations pay."""
    return {**os.environ, "XLA_FLAGS": os.environ["XLA_FLAGS"].replace(UNOPTIMISED, "")}


def drawn(brief: int, full: int) -> int:
    """How many examples hypothesis draws, each of which is a circuit to compile: few, or with EQPROP_TEST_FULL=1 many."""
    return full if IN_FULL else brief


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Each compiled program holds memory maps, of which a process may have 65,530: without this the suite runs out and XLA crashes."""
    yield
    jax.clear_caches()


PAIR = circuits.DiodePair(saturation=1e-9, bias=0.1)


@pytest.fixture(scope="session")
def simulator():
    """ngspice; a test that asks for it is skipped where it is missing, and fails there when CI=true."""
    if shutil.which("ngspice") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ngspice is not installed, and CI=true")
        pytest.skip("ngspice is not installed")
    return circuits.Ngspice()


class OnlyOperatingPoints(circuits.Simulator):
    """A simulator of a test's own, which may be asked for operating points alone: anything else is the test's mistake."""

    def version(self):
        raise AssertionError("nobody should ask a test's simulator for its version")

    def transient(self, netlist, *, stop, step, start=None):
        raise AssertionError("nobody should ask a test's simulator for a transient")

    def noise(self, netlist, nodes, *, lowest, highest):
        raise AssertionError("nobody should ask a test's simulator for noise")

    def small_signal(self, netlist, *, lowest, highest, points=10):
        raise AssertionError("nobody should ask a test's simulator for a response")


def network(device=PAIR, sizes=(3, 8, 2), seed=0, unit=1e-5, gain=4.0, biases=0.3):
    """A random network in which every node has some conductance."""
    net = ep.Resistive.init(jax.random.key(seed), sizes, device=device, unit=unit, input_gain=gain)
    random = np.random.default_rng(seed)
    return ep.Resistive(
        tuple(g.at[0].add(0.02).at[:, 0].add(0.02) for g in net.conductances),
        tuple(jax.numpy.asarray(biases * random.standard_normal(b.shape)) for b in net.biases),
        device,
        unit,
        gain,
    )


def examples(n=5, inputs=3, outputs=2, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (n, inputs)), random.uniform(-0.3, 0.3, (n, outputs))
