"""Awkward energies by the default method: `python -m benchmarks.settling`.

Each energy of `benchmarks.awkward` is settled from its own start in double and single precision.
Right is what settles at its minimum, at most ten times as far from it as its certificate says, or
what is said to have none in the words that are true of it.
"""

import argparse
import sys
import time

import jax
import jax.numpy as jnp

from .awkward import CORPUS
from .report import save, table

QUICK = 4
"""Every fourth energy is settled with `--quick`."""


def measure(name: str, dtype: jnp.dtype) -> dict[str, float | bool | str | None]:
    """Return the figures of one energy in one precision.

    **Arguments:**

    - `name`: of the energy.
    - `dtype`: the precision of its state.
    """
    start = time.process_time()
    outcome = CORPUS[name].settle(dtype)
    return {
        "settled": bool(outcome.equilibrium.settled),
        "steps": int(outcome.equilibrium.steps),
        "error": float(outcome.equilibrium.error),
        "distance": outcome.distance,
        "said": outcome.reason,
        "problem": outcome.problem,
        "CPU seconds": time.process_time() - start,
    }


def main() -> int:
    """Settle all and print their table; 1 is returned where anything is not right."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.settling", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help=f"one energy in {QUICK}")
    arguments = parser.parse_args()

    jax.config.update("jax_enable_x64", True)
    names = list(CORPUS)[:: QUICK if arguments.quick else 1]
    figures, wrong = {}, 0
    for dtype in (jnp.dtype("float64"), jnp.dtype("float32")):
        figures[dtype.name] = {name: measure(name, dtype) for name in names}
        rows = [
            [
                name,
                "yes" if row["settled"] else "no",
                str(row["steps"]),
                f"{row['error']:.0e}",
                "" if row["distance"] is None else f"{row['distance']:.0e}",
                f"{row['CPU seconds']:.1f}",
                str(row["problem"] or row["said"]),
            ]
            for name, row in figures[dtype.name].items()
        ]
        columns = ["energy", "settled", "steps", "error", "distance", "CPU s", "said"]
        table(f"The default method, {dtype.name}", columns, rows)
        problems = [name for name, row in figures[dtype.name].items() if row["problem"]]
        wrong += len(problems)
        print(f"{len(names) - len(problems)} of {len(names)} right; not: {problems or 'none'}")
    save(arguments.json, figures)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
