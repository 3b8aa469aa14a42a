"""The command `eqprop`."""

import argparse
import sys
from collections.abc import Sequence

import eqprop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    **Arguments:**

    - `arguments`: those of the command line, without its name; `sys.argv`'s if `None`.

    **Returns** the exit status: 0, or 1 where a check failed.
    """
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

    def report(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    return 0 if verify(report) else 1
