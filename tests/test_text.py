"""How numbers and names are written."""

import os
from pathlib import Path

from edge.text import clock, count, one_line, path_text, percent


def test_percent_never_rounds_over_a_threshold() -> None:
    for probability, text in (
        (0.0, "under 1 %"),
        (0.01, "1 %"),
        (0.29, "29 %"),
        (0.6999, "69 %"),
        (0.7, "70 %"),
        (0.99, "99 %"),
        (0.995, "over 99 %"),
        (1.0, "over 99 %"),
    ):
        assert percent(probability) == text


def test_times_within_a_clip() -> None:
    times = {0: "0:00", 59.9: "0:59", 754: "12:34", 3723: "1:02:03"}
    assert {seconds: clock(seconds) for seconds in times} == times


def test_numbers_of_things() -> None:
    assert [count(number, "clip") for number in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]


def test_a_path_is_always_text() -> None:
    assert path_text(Path(os.fsdecode(b"caf\xc3\xa9/\xff.mp4"))) == "café/\\xff.mp4"


def test_control_characters_are_escaped() -> None:
    assert one_line("a\n\t\x1b[2J\x9b\u202eb é 顔") == r"a\n\t\x1b[2J\x9b\u202eb é 顔"
