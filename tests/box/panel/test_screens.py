"""Every view as people see it. TRUELIGHT_GOLDEN=write pytest ... draws the golden pictures."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from shown import DOCS, GERMAN, GREY, SCENES

from edge.box.views import MARKS, Scene, View, draw, drawn
from edge.box.views.camera import CameraImage, Framing, Recording, Viewfinder
from edge.box.views.canvas import HEIGHT, WIDTH, Canvas, Mask
from edge.box.views.clips import (
    BatchSummary,
    ClipVerdict,
    Judging,
    StickListing,
    Stopped,
    WritingReport,
)
from edge.box.views.status import Ready, ShuttingDown, Starting, Trouble, TroubleKind
from edge.finding import Verdict
from edge.language import LANGUAGES, speaking

GOLDEN = Path(__file__).parent / "golden"


def test_screens_are_the_golden_ones() -> None:
    for name, scene in (SCENES | GERMAN).items():
        picture, file = draw(scene, 0.5), GOLDEN / f"{name}.png"
        if os.environ.get("TRUELIGHT_GOLDEN") == "write":
            picture.save(file, optimize=True)
        assert (picture.mode, picture.size) == ("1", (128, 64))
        assert picture.tobytes() == Image.open(file).convert("1").tobytes(), name


def test_no_golden_picture_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.png")} == set(SCENES | GERMAN)


def test_every_view_verdict_and_trouble_has_an_example() -> None:
    views = [scene.view for scene in SCENES.values()]
    assert {type(view) for view in views} == set(View.__subclasses__())
    assert {view.verdict for view in views if isinstance(view, ClipVerdict)} == set(Verdict)
    assert {view.kind for view in views if isinstance(view, Trouble)} == set(TroubleKind)


def test_no_two_states_look_alike() -> None:
    pictures = [draw(row.scene, 0.0).tobytes() for row in DOCS.ROWS]
    assert len(set(pictures)) == len(pictures)


def test_something_moves_every_second_while_anything_runs() -> None:
    for view in (
        Starting(),
        StickListing("A"),
        Viewfinder(None, Framing.NO_FACE),
        Recording(0.5, 4),
        Judging("a.mp4", 1, 1, 0.5, None),
        Judging("a.mp4", 1, 1, 1.0, None),
        WritingReport("A"),
        ShuttingDown(),
    ):
        for start in (0.0, 3.3, 3600.1):
            seen = [draw(Scene(view), start + beat / 8).tobytes() for beat in range(8)]
            assert len(set(seen)) > 1, view


def test_the_remedy_can_be_read_to_its_end() -> None:
    trouble = Trouble(
        TroubleKind.DISK_FULL, "Full", " ".join(f"word{number}" for number in range(40))
    )
    canvases = [drawn(Scene(trouble), seconds, Canvas()) for seconds in range(0, 60, 2)]
    shown = {word for canvas in canvases for line in canvas.words for word in line.split()}
    assert {f"word{number}" for number in range(40)} <= shown


def test_more_marks_than_there_is_room_for_take_turns() -> None:
    scene = SCENES["ready-with-all-marks"]
    pictures = {draw(scene, seconds).crop((80, 0, 128, 14)).tobytes() for seconds in (0, 2, 4, 6)}
    assert len(pictures) == 4


def test_viewfinder_shows_what_the_camera_sees() -> None:
    points = np.asarray(draw(Scene(Viewfinder(GREY, Framing.GOOD)), 0.0), np.float64)
    thirds = [points[at : at + 12, 30:100].mean() for at in (2, 18, 36)]
    assert thirds[0] < 0.25 < thirds[1] < 0.75 and thirds[1] + 0.2 < thirds[2]


def test_every_screen_has_its_words_in_german() -> None:
    for row in DOCS.ROWS:
        english, german = (
            set(drawn(scene, 0.5, Canvas()).words) for scene in (row.scene, row.in_language("de"))
        )
        same = " ".join(english & german)
        assert not re.search(r"\b(?<!\.)(?!Truelight\b)[A-Za-z][a-z]{2,}\b(?![./])", same), same


def test_the_name_of_a_clip_is_never_translated() -> None:
    for name in ("a recording", "REAL", "Ready", "The file is empty."):
        judging = Scene(Judging(name, 1, 1, 0.5, None), language="de")
        judged = Scene(ClipVerdict(Verdict.REAL, 0.1, name, ""), language="de")
        with speaking("de"):
            assert judging.status == f"Beurteilt {name}"
            assert judged.status == f"ECHT: {name}"
        assert name in drawn(judging, 0.0, Canvas()).words
        assert drawn(judged, 0.0, Canvas()).words[0] == name


def test_marks_are_named_in_words() -> None:
    """The page said "Ready (simulated-panel)"."""
    assert set(TroubleKind) < set(MARKS)
    for mark, words in MARKS.items():
        scene = Scene(Ready(), (mark,))
        assert scene.status == f"Ready ({words})"
        with speaking("de"):
            assert re.fullmatch(r"Bereit \([A-Za-zß ]+\)", scene.status)
            assert words not in scene.status


# ---- Nothing runs over, whatever the text


class Strict(Canvas):
    """Cuts nothing off: what lies beyond its edge is an error."""

    def stamp(self, mask: Mask, x: int, y: int, lit: bool = True) -> None:
        rows, columns = np.nonzero(mask)
        if rows.size and lit:
            assert y + rows.min() >= 0 and y + rows.max() < HEIGHT
            assert x + columns.min() >= 0 and x + columns.max() < WIDTH
            self.check(rows + y, columns + x)
        super().stamp(mask, x, y, lit)

    def check(self, rows: Any, columns: Any) -> None:
        pass


class Apart(Strict):
    """Nothing is written over anything."""

    def check(self, rows: Any, columns: Any) -> None:
        assert not self.points[rows, columns].any()


def scenes(words: st.SearchStrategy[str]) -> st.SearchStrategy[Scene]:
    """Every view with words, numbers and marks of any length, in every language."""
    counts = st.integers(0, 10**7)
    fractions = st.floats(0, 1)
    times = st.floats(0, 1e6)
    views = st.one_of(
        st.builds(StickListing, words),
        st.builds(Recording, fractions, times.map(lambda seconds: seconds % 60)),
        st.builds(
            Judging,
            words,
            st.integers(1, 9999),
            st.integers(1, 9999),
            fractions,
            st.none() | st.floats(0, 359_999),
            words,
            st.booleans(),
            st.booleans(),
        ),
        st.builds(WritingReport, words),
        st.builds(
            ClipVerdict,
            st.sampled_from(Verdict),
            st.none() | fractions,
            words,
            words,
            st.integers(1, 9999),
            st.integers(1, 9999),
            words,
            words,
        ),
        st.builds(
            BatchSummary, words, st.dictionaries(st.sampled_from(Verdict), counts), counts, words
        ),
        st.builds(Stopped, words),
        st.builds(Trouble, st.sampled_from(TroubleKind), words, words),
    )
    marks = st.lists(st.sampled_from([*MARKS]), unique=True, max_size=12).map(tuple)
    languages = st.sampled_from(sorted(LANGUAGES))
    return st.builds(Scene, views, marks, language=languages)


PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)


@given(scene=scenes(st.text(max_size=80)), seconds=st.floats(0, 1e6))
@example(scene=Scene(BatchSummary("", {}, 0, "0" * 25 + "j")), seconds=0.0)
@settings(max_examples=300)
def test_nothing_is_cut_off(scene: Scene, seconds: float) -> None:
    points = np.asarray(drawn(scene, seconds, Strict()).image())
    assert not points[[0, -1]].any() and not points[:, [0, -1]].any()


@given(scene=scenes(PRINTED), seconds=st.floats(0, 1e6))
@example(scene=Scene(BatchSummary("", {Verdict.REAL: 444}, 444, "")), seconds=0.0)
@settings(max_examples=300)
def test_nothing_is_written_over_anything(scene: Scene, seconds: float) -> None:
    drawn(scene, seconds, Apart())


@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 200)),
    aim=st.sampled_from(Framing),
    countdown=st.none() | st.integers(0, 9),
    level=st.integers(0, 255),
)
def test_viewfinder_takes_any_picture(
    shape: tuple[int, int], aim: Framing, countdown: int | None, level: int
) -> None:
    view = Viewfinder(CameraImage(np.full(shape, level, np.uint8)), aim, countdown)
    assert drawn(Scene(view), 0.0, Strict()).image().size == (128, 64)


def test_a_bar_that_grows_is_the_same_subject() -> None:
    assert Judging("a", 1, 2, 0.1, 9).subject == Judging("a", 1, 2, 0.2, 8).subject
    assert Judging("a", 1, 2, 0.1, 9).subject != Judging("b", 2, 2, 0.1, 9).subject
    assert Starting().subject != ShuttingDown().subject
