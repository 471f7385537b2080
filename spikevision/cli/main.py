"""``spikevision VERB ...``: finds the verb, and turns an error into one clear message and an exit status."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from spikevision import __version__

VERBS = {
    "train": "spikevision.cli.train",
    "test": "spikevision.cli.test",
    "sweep": "spikevision.cli.sweep",
    "infer": "spikevision.cli.infer",
    "convert": "spikevision.cli.convert",
    "find-lr": "spikevision.cli.find_lr",
    "prepare": "spikevision.cli.prepare",
    "import": "spikevision.cli.import_",
    "doctor": "spikevision.cli.doctor",
    "audit": "spikevision.cli.audit",
    "profile": "spikevision.cli.profile",
    "deploy": "spikevision.cli.deploy",
    "report": "spikevision.cli.report",
    "cluster": "spikevision.cli.cluster",
    "submit": "spikevision.cli.submit",
    "jobs": "spikevision.cli.jobs",
    "render": "spikevision.cli.render",
}
INPUT_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError, NotImplementedError)
FAILED = 1
BAD_INPUT = 2
SIGNALLED = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        0 done; 1 failed, or some inputs could not be read; 2 wrong input; 130 or 143 stopped by Ctrl-C or SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser_of(arguments).parse_args(arguments)
    try:
        return int(import_module(VERBS[args.verb]).run(args))
    except KeyboardInterrupt:
        print("stopped at once", file=sys.stderr)
        return SIGNALLED + 2
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        expected = isinstance(error, INPUT_ERRORS)
        kind = "" if expected else f"unexpected {type(error).__name__}: "
        hint = "" if args.debug else "\n(--debug shows where it came from)"
        print(f"error: {kind}{message_of(error)}{hint}", file=sys.stderr)
        return BAD_INPUT if expected else FAILED


def parser_of(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the verb that is called; of all verbs, to list them, when none is."""
    parser = argparse.ArgumentParser(
        prog="spikevision",
        description="Train, convert, measure and deploy spiking vision networks.",
    )
    parser.add_argument("--version", action="version", version=f"spikevision {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for verb in [called] if called in VERBS else VERBS:
        module = import_module(VERBS[verb])
        below = verbs.add_parser(verb, help=module.HELP, description=module.HELP)
        below.add_argument("--debug", action="store_true", help="show the traceback of an error")
        module.add_arguments(below)
    return parser


def message_of(error: BaseException) -> str:
    """The message of an error in one short piece.

    An error of a data loader worker carries the worker's whole traceback as its message: its last line is what counts.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if "Traceback (most recent call last)" in text:
        text = text.strip().splitlines()[-1]
        text = text.partition(": ")[2] or text
    return text.strip() or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
