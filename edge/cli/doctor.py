"""`truelight doctor`: tries every part of the box and says what to do about what is not well."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__
from edge.doctor import PARTS

if TYPE_CHECKING:
    from edge.doctor.context import Check, Patient

EPILOG = f"""\
parts:
  {" ".join(PARTS[:8])}
  {" ".join(PARTS[8:])}

exit status:
  0  all that is here is well
  1  something is to be looked at
  2  something does not work
"""

_STATUS = {"ok": 0, "absent": 0, "warning": 1, "failure": 2}
_WORDS = {
    "ok": ("ok", "green"),
    "warning": ("look", "bold yellow"),
    "failure": ("FAILS", "bold red"),
    "absent": ("-", "dim"),
}
_COUNTED = {
    "ok": "well",
    "warning": "to be looked at",
    "failure": "not working",
    "absent": "not here or not tried",
}
_INDENT = 2 + 5 + 2 + max(map(len, PARTS)) + 2
_QUESTION = "  ?".ljust(_INDENT)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "doctor",
        help="try every part of the box",
        description="Tries every part of the box: is it well, and what is to be done if not? On a "
        "terminal it asks what you see, and for the button to be pressed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="one JSON object, and no questions")
    command.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        metavar="PART",
        default=[],
        help="only this part; may be given again",
    )
    command.add_argument("--no-questions", action="store_true", help="ask nothing")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Go the round; the exit status tells how the whole is."""
    import logging

    from edge.doctor.context import Check, Nobody, Patient, State
    from edge.doctor.runner import examine, worst
    from edge.errors import TruelightError
    from edge.settings import Settings, load_settings

    logging.getLogger("edge").setLevel(logging.ERROR)  # parts log what is told here anyway
    first: list[Check] = []
    try:
        settings = load_settings(chosen.config)
    except TruelightError as failure:
        # The parts are tried all the same, as they ship: one fault must not hide the others.
        settings = Settings()
        first = [Check("settings", State.FAILURE, failure.message, failure.remedy)]
    asks = not (chosen.json or chosen.no_questions) and sys.stdin.isatty() and sys.stdout.isatty()
    patient = Patient(settings, person=_Somebody() if asks else Nobody())
    only = [part for part in chosen.only or PARTS if not first or part != "settings"]
    show = _JsonShow(patient) if chosen.json else _PeopleShow(patient)
    checks = []
    for check in chain(first, examine(patient, only)):
        show.check(check)
        checks.append(check)
    show.end(checks)
    return _STATUS[worst(checks)]


class _JsonShow:
    """All of it as one object, in the end."""

    def __init__(self, patient: Patient) -> None:
        self._board = patient.board

    def check(self, check: Check) -> None:
        """Wait for the others."""

    def end(self, checks: Sequence[Check]) -> None:
        """Print the object."""
        from edge.doctor.runner import worst

        whole = {"truelight": __version__, "board": self._board, "state": worst(checks)}
        print(json.dumps(whole | {"checks": [asdict(check) for check in checks]}, indent=2))


class _PeopleShow:
    """A line or two for each part, as soon as it is known."""

    def __init__(self, patient: Patient) -> None:
        from edge.cli.output import open_console

        self._console = open_console()

    def check(self, check: Check) -> None:
        """Print the lines."""
        from rich.text import Text

        word, style = _WORDS[check.state]
        head = Text.assemble("  ", (f"{word:<5}", style), "  ", (f"{check.name:<11}", "bold"), "  ")
        room = max(30, self._console.width - _INDENT)
        for line in self._lines(check.sentence, room):
            quiet = "dim" if check.state == "absent" else ""
            self._console.print(head.append(line, quiet), soft_wrap=True)
            head = Text(" " * _INDENT)
        for line in self._lines(check.remedy, room):
            self._console.print(Text(" " * _INDENT).append(line, "cyan"), soft_wrap=True)

    def end(self, checks: Sequence[Check]) -> None:
        """Print how the whole is."""
        counts = Counter(str(check.state) for check in checks)
        told = [f"{counts[state]} {words}" for state, words in _COUNTED.items() if counts[state]]
        self._console.print(f"\n  {', '.join(told)}.", soft_wrap=True)

    def _lines(self, text: str, room: int) -> list[str]:
        from edge.text import one_line

        return textwrap.wrap(one_line(text), room, break_on_hyphens=False)


class _Somebody:
    """The person at this terminal."""

    def confirms(self, question: str) -> bool | None:
        """Ask until it is yes or no; None when the terminal is closed."""
        while True:
            try:
                answer = input(f"{_QUESTION}{question} [y/n] ").strip().lower()
            except EOFError:
                print()
                return None
            if answer[:1] in ("y", "n"):
                return answer[0] == "y"

    def asked(self, request: str) -> bool:
        """Say what is to be done."""
        print(f"{_QUESTION}{request}", flush=True)
        return True
