"""Attempts to judge a clip that ended the program or the machine, across starts of both."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.box.crash_guard import (
    CRASHED,
    ENDED,
    MOST_ENDS,
    SETTLED,
    CrashGuard,
    clip_identity,
    note_crash,
    oom_kills,
)
from edge.history.writer import History


@contextmanager
def started(
    store: Path, boot: str = "boot 1", version: str = "1.0", crash: bool = True
) -> Iterator[CrashGuard]:
    """The guard of a program that starts; in the end it crashes, or is killed."""
    with History(store, 100, 365) as history:
        guard = CrashGuard(store, version, boot)
        guard.use(history)
        yield guard
    if crash:
        note_crash(store, "Fatal Python error: Segmentation fault")


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in "abc"]
    for clip in made:
        clip.write_bytes(clip.name.encode())
    return made


def test_a_clip_that_crashes_the_program_is_skipped_after_two(
    tmp_path: Path, clips: list[Path]
) -> None:
    """Two such clips in turn took the program down without end: it remembered one name only."""
    skipped = []
    for _ in range(2):  # two crashes for each of b and c
        for clip in clips[1:]:
            with started(tmp_path) as guard:
                assert guard.begin(clips[0]) == "", "judged each time"
                guard.end()
                assert guard.begin(clip) == ""
    with started(tmp_path) as guard:
        skipped = [guard.begin(clip) for clip in clips]
    assert skipped == ["", CRASHED, CRASHED]
    clips[1].rename(tmp_path / "another name")
    clips[2].write_bytes(b"another content")
    with started(tmp_path) as guard:
        assert guard.begin(tmp_path / "another name") == CRASHED
        assert guard.begin(clips[2]) == ""
    with started(tmp_path, version="2.0") as guard:
        assert guard.begin(tmp_path / "another name") == "", "forgiven after an update"


@pytest.mark.parametrize("late", [True, False], ids=["machine, later", "program"])
def test_a_clip_that_ends_program_or_machine_without_a_trace_is_skipped_after_six(
    tmp_path: Path, clips: list[Path], late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.box.crash_guard.uptime", lambda: SETTLED if late else 5.0)
    for number in range(MOST_ENDS):
        with started(tmp_path, f"boot {number * late}", crash=False) as guard:
            assert guard.begin(clips[0]) == ""
    boot = f"boot {MOST_ENDS * late}"
    with started(tmp_path, boot, crash=False) as guard:
        assert guard.begin(clips[0]) == ENDED
    with started(tmp_path, boot, "2.0") as guard:
        assert guard.begin(clips[0]) == ""


def test_a_pulled_plug_is_no_clips_fault(
    tmp_path: Path, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: of 125 power cuts some seconds apart, three clips were accused."""
    monkeypatch.setattr("edge.box.crash_guard.uptime", lambda: 30.0)
    for boot in range(5 * MOST_ENDS):
        with started(tmp_path, f"boot {boot}", crash=False) as guard:
            last = (clips[1], clips[2], clips[0])
            assert guard.suspects_last(clips) == (last if boot else tuple(clips))
            assert guard.begin(clips[0]) == ""


def test_a_clip_that_was_judged_is_forgiven(tmp_path: Path, clips: list[Path]) -> None:
    for boot in range(3 * MOST_ENDS):
        with started(tmp_path, f"boot {boot}") as guard:
            assert guard.begin(clips[0]) == ""
            if boot % 2:
                guard.end()
                assert guard.suspects_last(clips) == tuple(clips)


def test_want_of_memory_is_a_crash(
    tmp_path: Path, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = 5
    monkeypatch.setattr("edge.box.crash_guard.oom_kills", lambda: kills)
    for _ in range(2):
        with started(tmp_path, crash=False) as guard:
            assert guard.begin(clips[0]) == ""
        kills += 1
    with started(tmp_path, crash=False) as guard:
        assert guard.begin(clips[0]) == CRASHED
    assert oom_kills() >= 0


def test_without_a_history_attempts_are_remembered_until_there_is_one(
    tmp_path: Path, clips: list[Path]
) -> None:
    guard = CrashGuard(tmp_path, "1.0", "boot 1")
    assert guard.begin(clips[0]) == ""
    guard.end()
    assert guard.begin(clips[1]) == ""
    with History(tmp_path, 100, 365) as history:
        guard.use(history)
        guard.end()
        assert guard.begin(clips[1]) == ""


def test_what_an_earlier_version_left_is_read_once(tmp_path: Path, clips: list[Path]) -> None:
    note = {"version": "1.0", "attempts": {clip_identity(clips[0]): 2}}
    (tmp_path / "attempts.json").write_text(json.dumps(note))
    for _ in range(2):
        with started(tmp_path) as guard:
            assert guard.begin(clips[0]) == CRASHED
        assert not (tmp_path / "attempts.json").exists()


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"version": "1.0"}', b"\xff", b"7"])
def test_a_note_that_makes_no_sense_accuses_nobody(
    tmp_path: Path, clips: list[Path], left: bytes
) -> None:
    (tmp_path / "attempts.json").write_bytes(left)
    with started(tmp_path) as guard:
        assert guard.begin(clips[0]) == ""
