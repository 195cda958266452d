"""`truelight`: lists the commands, runs one, and reports an error in one sentence and a remedy.

Nothing heavy is imported before a command runs, so that `truelight --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from edge import __version__
from edge.cli import archive, bench, config, doctor, history, models, run, scan, serve, web
from edge.errors import TruelightError

WRONG_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="truelight", description="Detects swapped faces in videos and pictures, offline."
    )
    top.add_argument("--version", action="version", version=f"truelight {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (scan, run, serve, web, history, models, archive, doctor, config, bench):
        command.add_parser(commands)
    scan.add_schema_parser(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    chosen = parser().parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
        sys.stdout.flush()
        return status
    except TruelightError as failure:
        lines = [f"truelight: {failure.message}", failure.remedy]
        print("\n  ".join(filter(None, lines)), file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        # A second Ctrl-C ends the program at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("truelight: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. The buffered rest has to go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
