"""How much is tried: a part by default, everything with EQPROP_TEST_FULL=1."""

import os

UNOPTIMISED = " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


IN_FULL = os.environ.get("EQPROP_TEST_FULL") == "1"


def optimised() -> dict[str, str]:
    """The environment of a process that runs for so long that LLVM's optimisations pay."""
    return {**os.environ, "XLA_FLAGS": os.environ["XLA_FLAGS"].replace(UNOPTIMISED, "")}


def drawn(brief: int, full: int) -> int:
    """How many examples hypothesis draws, each of which is a circuit to compile: few, or with
    EQPROP_TEST_FULL=1 many.
    """
    return full if IN_FULL else brief
