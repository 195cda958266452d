"""How numbers and names are said to people, the same wherever they are shown."""

from __future__ import annotations

import math
import os
from pathlib import Path


def percent(probability: float) -> str:
    """A probability in whole per cent, never claiming certainty."""
    if probability > 0.99:
        return "over 99 %"
    if probability < 0.01:
        return "under 1 %"
    return f"{math.floor(probability * 100 + 1e-9)} %"


def clock(seconds: float) -> str:
    """A time within a clip: 0:07, 12:34, 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def path_text(path: Path) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text that cannot steer a terminal: what does not print is written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def shortened(text: str, width: int) -> str:
    """Text of at most `width` characters: the middle gives way, both ends of a name tell more."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
