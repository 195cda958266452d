"""Checks of every part of the box, each with a remedy: `run_checks` runs them.

Parts are tried the way the box uses them. A part that this machine lacks is reported as absent,
which is a fault only if the settings ask for it. To add a check, write `check_NAME` in `system` or
`hardware` and add NAME to the parts here. Importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.doctor.context import Context, Result

HARDWARE = ("lamps", "display", "button", "camera")
PARTS = (
    *("board", "settings", "service", "model", "second", "detector"),
    *HARDWARE,
    *("sticks", "history", "disk", "temperature", "power", "clock"),
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

    for part in PARTS:
        if part in only:
            module = hardware if part in HARDWARE else system
            check: Callable[[Context], Result] = getattr(module, f"check_{part}")
            try:
                result = check(context)
            except TruelightError as failure:
                sentence = failure.message.rstrip(".") + "."
                result = Result(State.FAILURE, sentence, failure.remedy)
            except Exception as failure:  # one broken check must not hide the others
                sentence = f"This check failed: {type(failure).__name__}: {failure}"
                result = Result(State.FAILURE, sentence, "Please report this.")
            yield part, result
