"""The command `circuits`: its arguments, and which module carries each subcommand out."""

import argparse
import sys
from collections.abc import Callable, Sequence

import circuits


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    **Arguments:**

    - `arguments`: the words after `circuits`; those of the process where `None`.

    **Returns** the exit status: 0; 1 with one line on standard error for wrong input and missing
    programs; 3 where a sweep ended with points that failed; 130 where a sweep was interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.carry_out(options)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.stderr.write(f"circuits: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    """Return the parser; the function that carries a subcommand out is its default `carry_out`."""
    parser = argparse.ArgumentParser(prog="circuits", description="Resistive networks as circuits.")
    version = f"%(prog)s {circuits.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, carry_out: Callable[[argparse.Namespace], int], help_text: str):
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(carry_out=carry_out)
        return command

    _demo_arguments(
        add("demo", _demo, "train a network, emit its netlist, and hold ngspice against the model")
    )
    _run_arguments(
        add("run", _run, "simulate a SPICE deck, and compare ngspice with our own simulator")
    )
    add(
        "devices", _devices, "list devices and published ones with their units and sources"
    ).add_argument(
        "--plot",
        metavar="FILE",
        help="draw the spread of the published ones into FILE, a PNG or SVG",
    )
    _sweep_arguments(
        add(
            "sweep",
            _sweep,
            "simulate a circuit over axes and chips, as a file declares it; or merge its shards",
        )
    )
    add(
        "report", _sweep, "write what came of a sweep into its folder, as one HTML file"
    ).add_argument("run", help="the folder of the run, ended or not")
    add("doctor", _doctor, "what is installed, what ngspice can do, and what is missing")
    return parser


def _demo_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `circuits demo`."""
    command.add_argument(
        "--out",
        default="demo",
        help="folder for netlists, figures and numbers (default: %(default)s)",
    )
    command.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the split, the networks, the order and the chips (default: %(default)s)",
    )


def _run_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `circuits run`."""
    command.add_argument("deck", help="the file")
    command.add_argument(
        "--simulator",
        choices=("ngspice", "nodal"),
        default="ngspice",
        help="(default: %(default)s)",
    )
    command.add_argument(
        "--compare",
        action="store_true",
        help="ask both and ngspice alone, and print the largest difference",
    )
    command.add_argument("--json", metavar="FILE", help="write all values to FILE")
    command.add_argument(
        "--control",
        choices=("refuse", "skip"),
        default="refuse",
        help="what becomes of .control blocks, which are never run: refuse the deck, or read their "
        "plain analyses as dot lines (default: %(default)s)",
    )
    command.add_argument(
        "--trusted", action="store_true", help="follow .include and .lib within the deck's folder"
    )


def _sweep_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `circuits sweep`."""
    command.add_argument("file", help="the declaration, a TOML file; or the word merge")
    command.add_argument("run", nargs="?", help="with merge: the folder that holds the shards")
    command.add_argument(
        "--out", help="folder of the run (default: the file's name without its ending)"
    )
    command.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    command.add_argument(
        "--retry-failed",
        action="store_true",
        help="go on with it, and try again what is on record as failed",
    )
    command.add_argument(
        "--dry-run", action="store_true", help="say what it would take, and keep nothing"
    )
    command.add_argument(
        "--shard", metavar="i/n", help="do the i-th of n parts, in a folder of its own"
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as there are cores)"
    )
    command.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="a scheduler, as tcp://host:8786, or local:4 for four processes",
    )
    command.add_argument(
        "--trusted",
        action="store_true",
        help="run a factory that the file names, and follow .include in decks",
    )


def _demo(options: argparse.Namespace) -> int:
    """Run the demonstration in double precision."""
    import jax
    import matplotlib  # noqa: F401 - so that it is not missed after the training

    jax.config.update("jax_enable_x64", True)
    from .demo import run

    run(options.out, seed=options.seed)
    return 0


def _run(options: argparse.Namespace) -> int:
    """Simulate a deck."""
    from .run import run

    run(
        options.deck,
        options.simulator,
        print,
        compare=options.compare,
        trusted=options.trusted,
        control=options.control,
        output=options.json,
    )
    return 0


def _devices(options: argparse.Namespace) -> int:
    """List the devices."""
    from .devices import devices

    devices(print, options.plot)
    return 0


def _sweep(options: argparse.Namespace) -> int:
    """Run a sweep, or write the report of one."""
    from .sweep import run_command

    return run_command(options)


def _doctor(options: argparse.Namespace) -> int:
    """Examine the installation."""
    del options
    from .doctor import examine

    return examine(print)
