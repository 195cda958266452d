"""Any text becomes points, and fits."""

import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.box.views.canvas import (
    CELL,
    PACE,
    REST,
    UNKNOWN,
    fitting,
    glyph,
    page,
    plain,
    scrolled,
    shortened,
    text_mask,
    width,
    wrapped,
)

ANY = st.text(max_size=60)
ROOM = st.integers(0, 200)


def test_european_letters_have_glyphs_of_their_own() -> None:
    for code in (*range(0x21, 0x7F), *range(0xC0, 0x180), *range(0x410, 0x450)):
        letter = unicodedata.normalize("NFKC", chr(code))
        assert plain(letter) == letter
    for base, accented in ("aä", "eé", "nñ", "cç", "oő", "sš", "Uů", "ię", "OÖ", "lł", "oø"):
        assert not np.array_equal(glyph(base), glyph(accented)), accented
    drawn = {glyph(chr(code)).tobytes() + bytes(glyph(chr(code)).shape) for code in range(33, 127)}
    assert len(drawn) == 94


def test_what_the_font_lacks_is_transliterated_or_boxed() -> None:
    for text, drawn in (
        ("서울.mp4", "SeoUl.mp4"),
        ("ひらがな", "hiragana"),
        ("映画.mp4", "YingHua.mp4"),
        ("\uff26\uff55ll \ufb01le", "Full file"),
        ("e\u0301\u200b\u202ex\n\ty", "éx  y"),
        ("\udc80\udcff.avi", UNKNOWN * 2 + ".avi"),
    ):
        assert plain(text) == drawn


@given(ANY)
def test_any_text_becomes_points(text: str) -> None:
    drawable = plain(text)
    assert plain(drawable) == drawable
    assert text_mask(drawable).shape == (CELL[1], width(drawable))


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


def test_scrolling_rests_moves_and_starts_again() -> None:
    assert scrolled(-5, 100.0) == 0
    assert scrolled(48, REST / 2) == 0
    assert scrolled(48, REST + 24 / PACE) == 24
    assert scrolled(48, REST + 48 / PACE + REST / 2) == 48
    assert scrolled(48, REST + 48 / PACE + REST + 0.01) == 0
