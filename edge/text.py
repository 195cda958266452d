"""How numbers and names are said to people, the same wherever they are shown."""

from __future__ import annotations

import math
import os
import unicodedata
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


def columns(text: str) -> int:
    """How many columns of a terminal a line of text takes."""
    return sum(_columns(character) for character in text)


def shortened(text: str, width: int) -> str:
    """Text of at most `width` columns: the middle gives way, both ends of a name tell more."""
    if columns(text) <= width:
        return text
    head = _fitting(text, width // 2)
    tail = _fitting(text[::-1], width - 1 - columns(head))[::-1]
    return f"{head}…{tail}"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitting(text: str, width: int) -> str:
    """As much of the text's beginning as fits."""
    taken = 0
    for at, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:at]
    return text
