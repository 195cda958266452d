"""How numbers and names are said."""

import os
from pathlib import Path

import pytest

from edge.text import clock, columns, one_line, path_text, percent, shortened


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.0, "under 1 %"),
        (0.01, "1 %"),
        (0.29, "29 %"),
        (0.6999, "69 %"),
        (0.7, "70 %"),
        (0.99, "99 %"),
        (0.995, "over 99 %"),
        (1.0, "over 99 %"),
    ],
)
def test_percent_never_rounds_over_a_threshold(probability: float, said: str) -> None:
    assert percent(probability) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0:00"), (59.9, "0:59"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


def test_a_path_is_always_text() -> None:
    assert path_text(Path(os.fsdecode(b"caf\xc3\xa9/\xff.mp4"))) == "café/\\xff.mp4"


def test_what_could_steer_a_terminal_is_escaped() -> None:
    assert one_line("a\n\t\x1b[2J\x9b\u202eb é 顔") == r"a\n\t\x1b[2J\x9b\u202eb é 顔"


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("short.mp4", 9, "short.mp4"),
        ("a rather long name.mp4", 12, "a rath…e.mp4"),
        ("顔顔顔顔顔顔", 8, "顔顔…顔"),
        ("e\u0301" * 6, 6, "e\u0301" * 6),
    ],
)
def test_the_middle_of_a_long_name_gives_way(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short
    assert columns(short) <= width
