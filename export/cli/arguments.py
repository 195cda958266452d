"""The command as it was typed, for a card."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from export.train.batches import Phase


def typed(arguments: Sequence[str]) -> str:
    """What was typed after the program's name; of whole paths only the names.

    The folders above them say nothing on another machine.
    """
    told = [Path(text).name if Path(text).is_absolute() else text for text in arguments]
    return shlex.join(["truelight-export", *told])


def phase_of(text: str) -> Phase:
    """A phase as [distil:|tutor:]SIDE:STEPS:BATCH:RATE."""
    from typing import get_args

    from export.train.batches import Kind, Phase

    first, _, rest = text.partition(":")
    kind: Kind = first if first in get_args(Kind) else "labels"  # type: ignore[assignment]
    try:
        side, steps, batch, rate = (rest if first == kind else text).split(":")
        phase = Phase(int(side), int(steps), int(batch), float(rate), kind)
    except ValueError:
        phase = Phase(0, 0, 0, 0.0)
    if phase.side < 32 or phase.steps < 1 or phase.batch < 2:
        raise TruelightError(
            f"--phase {text} is not understood.",
            "It is SIDE:STEPS:BATCH:RATE, as 64:1700:64:2e-3, or distil: or tutor: and that.",
        )
    return phase


def weights_of(texts: Sequence[str]) -> dict[str, float]:
    """Weights by folder, each as FOLDER=WEIGHT."""
    weights = {}
    for text in texts:
        name, _, weight = text.rpartition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = -1.0
        if not name or not weights[name] > 0:
            raise TruelightError(f"--weight {text} is not understood.", "As crops=0.5.")
    return weights


def layers_of(text: str) -> tuple[int, int, int, int]:
    """Blocks a stage, as 3,4,6,3."""
    try:
        one, two, three, four = (int(number) for number in text.split(","))
    except ValueError:
        raise TruelightError(f"--layers {text} is not understood.", "As 3,4,6,3.") from None
    return one, two, three, four


def crop_of(text: str) -> dict[str, float]:
    """The deployed crop, as scale,shift_x,shift_y."""
    try:
        scale, shift_x, shift_y = (float(number) for number in text.split(","))
    except ValueError:
        raise TruelightError(f"--crop {text} is not understood.", "As 0.96,0,0.") from None
    return {"scale": scale, "shift_x": shift_x, "shift_y": shift_y}
