"""`truelight doctor`: checks every part of the box and says how to mend what is wrong."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from rich.console import Console
from rich.text import Text

from edge import __version__
from edge.cli.output import grid, indented, open_console, show
from edge.doctor import PARTS, Operator, run_checks
from edge.doctor.context import Context, Result, State
from edge.errors import TruelightError
from edge.settings import Settings, load_settings
from edge.text import count, one_line

_STATUS = {"ok": 0, "absent": 0, "warning": 1, "failure": 2}
_WORDS = {
    "ok": ("ok", "green"),
    "warning": ("WARN", "bold yellow"),
    "failure": ("FAIL", "bold red"),
    "absent": ("-", "dim"),
}
_NAME = max(map(len, PARTS))
_QUESTION = "  ?".ljust(2 + 4 + 2 + _NAME + 2)


def run(chosen: argparse.Namespace) -> int:
    """Run the checks; the exit status is that of the worst."""
    logging.getLogger("edge").setLevel(logging.ERROR)  # the checks report the same
    results: list[tuple[str, Result]] = []
    try:
        settings = load_settings(chosen.config)
    except TruelightError as failure:
        # Invalid settings must not hide other faults: the checks go on with the defaults.
        settings = Settings()
        results = [("settings", Result(State.FAILURE, failure.message, failure.remedy))]
    asks = not (chosen.json or chosen.no_questions) and sys.stdin.isatty() and sys.stdout.isatty()
    context = Context(settings, operator=TerminalOperator() if asks else Operator())
    only = [part for part in chosen.only or PARTS if not results or part != "settings"]
    console = open_console()
    first, results = results, []
    for part, result in chain(first, run_checks(context, only)):
        results.append((part, result))
        if not chosen.json:
            _print_result(console, part, result)
    states = [result.state for _, result in results]
    worst = max(states, key=list(State).index, default=State.OK)
    if chosen.json:
        checks = [{"name": part, **result._asdict()} for part, result in results]
        about = {"truelight": __version__, "board": context.board, "state": worst}
        print(json.dumps(about | {"checks": checks}, indent=2))
    else:
        show(console, "", f"  {_summary(states)}")
    return _STATUS[worst]


def _print_result(console: Console, part: str, result: Result) -> None:
    word, style = _WORDS[result.state]
    table = grid("left", "left")
    table.columns[0].width, table.columns[1].width = 4, _NAME
    sentence = Text(one_line(result.sentence), "dim" if result.state == "absent" else "")
    table.add_row(Text(word, style), Text(part, "bold"), sentence)
    if result.remedy:
        table.add_row("", "", Text(one_line(result.remedy), "cyan"))
    show(console, indented(table))


def _summary(states: Sequence[str]) -> str:
    """How many checks passed or not: "12 passed, 1 warning, 3 not present or not tried."."""
    counts = Counter(states)
    failed, warned, absent = counts["failure"], counts["warning"], counts["absent"]
    passed = f"{counts['ok']} passed" if failed or warned else "All checks passed"
    failed_text = f", {failed} failed" if failed else ""
    warned_text = f", {count(warned, 'warning')}" if warned else ""
    absent_text = f", {absent} not present or not tried" if absent else ""
    return f"{passed}{failed_text}{warned_text}{absent_text}."


class TerminalOperator(Operator):
    """The person at this terminal."""

    def confirm(self, question: str) -> bool | None:
        """Ask until the answer is yes or no; None when the terminal is closed."""
        while True:
            try:
                answer = input(f"{_QUESTION}{question} [y/n] ").strip().lower()
            except EOFError:
                print()
                return None
            if answer[:1] in ("y", "n"):
                return answer[0] == "y"

    def request(self, action: str) -> bool:
        """Print what to do."""
        print(f"{_QUESTION}{action}", flush=True)
        return True
