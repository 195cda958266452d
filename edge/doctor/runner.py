"""The doctor's round: every part in turn, and how the whole is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from edge.doctor import PARTS, hardware, machine, program
from edge.doctor.context import Check, Patient, State

_CHECKS: Final[dict[str, Callable[[Patient], Check]]] = {
    "board": machine.check_board,
    "settings": program.check_settings,
    "service": program.check_service,
    "model": program.check_model,
    "second": program.check_second,
    "detector": program.check_detector,
    "lamps": hardware.check_lamps,
    "display": hardware.check_display,
    "button": hardware.check_button,
    "camera": hardware.check_camera,
    "sticks": program.check_sticks,
    "history": program.check_history,
    "disk": machine.check_disk,
    "temperature": machine.check_temperature,
    "power": machine.check_power,
    "clock": machine.check_clock,
}

_BADNESS = list(State)


def examine(patient: Patient, only: Collection[str] = PARTS) -> Iterator[Check]:
    """Look at the parts named in `only`, one after another; each is told when it is known."""
    for name in PARTS:
        if name in only:
            try:
                yield _CHECKS[name](patient)
            except Exception as failure:  # a doctor who faints helps nobody
                sentence = f"It could not be tried: {type(failure).__name__}: {failure}"
                yield Check(name, State.FAILURE, sentence, "Please report this.")


def worst(checks: Iterable[Check]) -> State:
    """How the whole is."""
    return max((check.state for check in checks), key=_BADNESS.index, default=State.OK)
