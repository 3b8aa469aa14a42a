"""The command `eqprop`."""

import argparse
import sys
from collections.abc import Sequence

import eqprop


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, or 1 where a check failed."""
    parser = argparse.ArgumentParser(prog="eqprop", description="Equilibrium propagation.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {eqprop.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "verify",
        help="measure the order at which each estimator's error falls, against the exact gradient",
    )
    parser.parse_args(arguments)
    import jax

    jax.config.update("jax_enable_x64", True)
    from .accuracy.verification import verify

    return 0 if verify(lambda line: sys.stdout.write(line + "\n") and sys.stdout.flush()) else 1
