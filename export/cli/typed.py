"""The command as it was typed, for a card."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def typed(arguments: Sequence[str]) -> str:
    """What was typed after the program's name; of whole paths only the names.

    The folders above them say nothing on another machine.
    """
    told = [Path(text).name if Path(text).is_absolute() else text for text in arguments]
    return shlex.join(["truelight-export", *told])
