# ruff: noqa: RUF001 (letters that look alike are the point)
"""Any text becomes points, and fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.box.panel.letters import HEIGHT, UNKNOWN, glyph, mask, plain, width
from edge.box.panel.text import PACE, REST, fitting, page, scrolled, shortened, wrapped

LATIN = [
    chr(code) for code in (*range(0x21, 0x7F), *range(0xC0, 0x180)) if code not in (0xD7, 0xF7)
]
ANY = st.text(max_size=60)
ROOM = st.integers(0, 200)


def test_no_two_letters_look_alike() -> None:
    seen = {
        glyph(letter).tobytes() + bytes([glyph(letter).shape[1]])
        for letter in map(chr, range(33, 127))
    }
    assert len(seen) == 94


@pytest.mark.parametrize("letter", LATIN)
def test_latin_letters_are_drawn(letter: str) -> None:
    assert UNKNOWN not in plain(letter)
    assert mask(plain(letter)).any()


def test_accents_change_the_letter() -> None:
    for base, accented in ("aä", "eé", "nñ", "cç", "oő", "sš", "Uů", "ię", "OÖ"):
        assert not np.array_equal(glyph(base), glyph(accented))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Отпуск 2024.mp4", "Otpusk 2024.mp4"),
        ("Ελλάδα", "Ellada"),
        ("서울.mp4", "seoul.mp4"),
        ("ひらがな", "hiragana"),
        ("Ｆｕｌｌ ﬁle ½", "Full file 1/2"),
        ("e\u0301\u200b\u202ex\n\ty", "éx  y"),
        ("“It’s”", '"It\'s"'),
        ("映画.mp4", "□□.mp4"),
        ("\udc80\udcff.avi", "□□.avi"),
    ],
)
def test_other_scripts_are_spelled_or_boxed(text: str, drawn: str) -> None:
    assert plain(text) == drawn


@given(ANY)
def test_any_text_becomes_points(text: str) -> None:
    drawable = plain(text)
    assert plain(drawable) == drawable
    assert mask(drawable).shape == (HEIGHT, width(drawable))


@given(ANY.map(plain), ROOM)
def test_what_is_shortened_fits(text: str, room: int) -> None:
    assert width(fitting(text, room)) <= room
    assert width(shortened(text, room)) <= room
    if width(text) <= room:
        assert shortened(text, room) == text


def test_shortening_keeps_both_ends() -> None:
    short = shortened("holiday at the sea, second day.mp4", 100)
    assert short.startswith("holiday") and short.endswith("day.mp4") and "…" in short


@given(ANY.map(plain), st.integers(12, 200))
def test_wrapping_fits_and_loses_nothing(text: str, room: int) -> None:
    lines = wrapped(text, room)
    assert all(width(line) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(text.split())


@given(st.lists(ANY, max_size=20), st.integers(1, 4))
def test_every_line_has_its_turn(lines: list[str], most: int) -> None:
    shown = [page(lines, most, seconds) for seconds in range(0, 400, 2)]
    assert all(len(each) <= most for each in shown)
    assert {line for each in shown for line in each} == set(lines)


def test_scrolling_rests_moves_and_begins_anew() -> None:
    assert scrolled(-5, 100.0) == 0
    assert scrolled(48, REST / 2) == 0
    assert scrolled(48, REST + 24 / PACE) == 24
    assert scrolled(48, REST + 48 / PACE + REST / 2) == 48
    assert scrolled(48, REST + 48 / PACE + REST + 0.01) == 0
