"""The command `circuits`."""

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="circuits", description="Resistive networks as circuits.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="train a network, emit its netlist, and hold ngspice against the model"
    )
    demo.add_argument(
        "--out",
        default="demo",
        help="folder for netlists, figures and numbers (default: %(default)s)",
    )
    demo.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the split, the networks, the order and the chips (default: %(default)s)",
    )
    deck = commands.add_parser(
        "run", help="simulate a SPICE deck, and compare ngspice with our own simulator"
    )
    deck.add_argument("deck", help="the file")
    deck.add_argument(
        "--simulator",
        choices=("ngspice", "nodal"),
        default="ngspice",
        help="(default: %(default)s)",
    )
    deck.add_argument(
        "--compare", action="store_true", help="ask both, and print the largest difference"
    )
    deck.add_argument(
        "--trusted", action="store_true", help="follow .include and .lib within the deck's folder"
    )
    devices = commands.add_parser(
        "devices", help="list devices and published ones with their units and sources"
    )
    devices.add_argument(
        "--plot",
        metavar="FILE",
        help="draw the spread of the published ones into FILE, a PNG or SVG",
    )
    sweeps = commands.add_parser(
        "sweep",
        help="simulate a circuit over axes and chips, as a file declares it; or merge its shards",
    )
    sweeps.add_argument("file", help="the declaration, a TOML file; or the word merge")
    sweeps.add_argument("run", nargs="?", help="with merge: the folder that holds the shards")
    sweeps.add_argument(
        "--out", help="folder of the run (default: the file's name without its ending)"
    )
    sweeps.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    sweeps.add_argument(
        "--retry-failed",
        action="store_true",
        help="go on with it, and try again what is on record as failed",
    )
    sweeps.add_argument(
        "--dry-run", action="store_true", help="say what it would take, and keep nothing"
    )
    sweeps.add_argument(
        "--shard", metavar="i/n", help="do the i-th of n parts, in a folder of its own"
    )
    sweeps.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as there are cores)"
    )
    sweeps.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="a scheduler, as tcp://host:8786, or local:4 for four processes",
    )
    sweeps.add_argument(
        "--trusted",
        action="store_true",
        help="run a factory that the file names, and follow .include in decks",
    )
    reports = commands.add_parser(
        "report", help="write what came of a sweep into its folder, as one HTML file"
    )
    reports.add_argument("run", help="the folder of the run, ended or not")
    commands.add_parser(
        "doctor", help="what is installed, what ngspice can do, and what is missing"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command in ("sweep", "report"):
            from .sweep import run_command

            return run_command(options)
        if options.command == "doctor":
            from .doctor import examine

            return examine(print)
        if options.command == "run":
            from .run import run as run_deck

            run_deck(
                options.deck,
                options.simulator,
                print,
                compare=options.compare,
                trusted=options.trusted,
            )
            return 0
        if options.command == "devices":
            from .devices import devices as list_devices

            list_devices(print, options.plot)
            return 0
        import jax
        import matplotlib  # noqa: F401 - so that it is not missed after the training

        jax.config.update("jax_enable_x64", True)
        from .demo import run

        run(options.out, seed=options.seed)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.stderr.write(f"circuits: {error}\n")
        return 1
    return 0
