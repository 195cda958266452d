"""Checks of every part of the box, each with a remedy: `run_checks` runs them.

Parts are tried the way the box uses them. A part that this machine lacks is reported as absent,
which is a fault only if the settings ask for it. To add a check, write `check_NAME` in `system` or
`hardware` and add it to `PARTS` and to the table of `run_checks`. Importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.doctor.context import Context, Result

PARTS = (
    *("board", "settings", "service", "model", "second", "detector", "sandbox", "lamps"),
    *("display", "button", "camera", "sticks", "history", "web", "disk", "temperature", "power"),
    "clock",
)
"""The parts in the order of their checks."""


class Operator:
    """The person in front of the box; this one is nobody."""

    def confirm(self, question: str) -> bool | None:
        """Answer yes or no; None if nobody is there."""
        return None

    def request(self, action: str) -> bool:
        """Ask for an action; False if nobody is there."""
        return False


def run_checks(context: Context, only: Collection[str] = PARTS) -> Iterator[tuple[str, Result]]:
    """Check the parts in `only`, one after another: their names and results."""
    from edge.doctor import hardware, system
    from edge.doctor.context import Result, State

    checks: dict[str, Callable[[Context], Result]] = {
        "board": system.check_board,
        "settings": system.check_settings,
        "service": system.check_service,
        "model": system.check_model,
        "second": system.check_second,
        "detector": system.check_detector,
        "sandbox": system.check_sandbox,
        "lamps": hardware.check_lamps,
        "display": hardware.check_display,
        "button": hardware.check_button,
        "camera": hardware.check_camera,
        "sticks": system.check_sticks,
        "history": system.check_history,
        "web": system.check_web,
        "disk": system.check_disk,
        "temperature": system.check_temperature,
        "power": system.check_power,
        "clock": system.check_clock,
    }
    for part in PARTS:
        if part in only:
            try:
                result = checks[part](context)
            except TruelightError as failure:
                sentence = failure.message.rstrip(".") + "."
                result = Result(State.FAILURE, sentence, failure.remedy)
            except Exception as failure:  # one broken check must not hide the others
                sentence = f"This check failed: {type(failure).__name__}: {failure}"
                result = Result(State.FAILURE, sentence, "Please report this.")
            yield part, result
