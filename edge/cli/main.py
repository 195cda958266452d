"""`truelight`: names the commands, runs one, and says in a sentence what went wrong.

Nothing heavy is imported before a command runs: `truelight --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from edge import __version__
from edge.cli import config, doctor, history, models, run, scan, schema
from edge.errors import TruelightError

WRONG_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="truelight", description="Says whether the faces in a clip are real or fake. Offline."
    )
    top.add_argument("--version", action="version", version=f"truelight {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (scan, run, history, models, doctor, config, schema):
        command.add_parser(commands)
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
        # Whoever is in more of a hurry is obeyed at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("truelight: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough, as `head` does. What is still buffered must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
