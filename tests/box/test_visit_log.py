"""Findings of a visit: all that were shown are in its report, whatever becomes of the history."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.box.events import Batch, ClipResult, Ending, Origin
from edge.box.state import Phase, Run, State, scene
from edge.box.views.clips import BatchSummary
from edge.box.visit_log import VisitLog
from edge.finding import Box, Face, Finding, Model, Quality, Thresholds, Verdict
from edge.history.report import make_report
from edge.history.writer import History, HistoryError
from edge.scan.scanner import ScanResult
from edge.settings import Settings
from edge.settings_schema import StoreSettings
from edge.skipped import SkipList, SkipReason
from edge.text import path_text

STICK = Batch(Origin.STICK, "sda1", "STICK", ())
TINY = StoreSettings.model_construct(most_megabytes=1, most_days=365, free_megabytes=50)
NOISE = np.kron(
    np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8), np.ones((4, 4, 1), np.uint8)
)
FACES = 8


def result(number: int, verdict: Verdict, people: int = FACES) -> ScanResult:
    face = Face(
        id=1,
        first_second=0.0,
        last_second=1.0,
        frames=8,
        box=Box(x=0, y=0, width=9, height=9),
        counted=False,
        fake_probability=None,
        quality=Quality(face_px=99, light=99, sharpness=9),
        windows=(),
        reasons=(),
    )
    faces = tuple(face.model_copy(update={"id": n + 1}) for n in range(people))
    finding = Finding(
        path=f"/stick/{number:05}.mp4",
        sha256=None,
        verdict=verdict,
        fake_probability=None,
        reasons=(),
        faces=faces,
        model=Model(name="m", version="1", sha256="0" * 64),
        thresholds=Thresholds(real=0.3, fake=0.7),
    )
    pictures = {face.id: NOISE for face in faces}
    return ScanResult(finding, pictures, pictures)


@settings(max_examples=12, deadline=None)
@given(
    verdicts=st.lists(st.sampled_from(Verdict), min_size=1, max_size=300),
    failing=st.sets(st.integers(0, 299)),
    reached=st.floats(0, 1),
    others=st.integers(0, 300),
    faces=st.integers(0, 8),
)
def test_display_report_and_history_count_the_same(
    verdicts: list[Verdict], failing: set[int], reached: float, others: int, faces: int
) -> None:
    """Over thousands of faces, a tiny limit, and a disk that fails now and then."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        attempts = 0

        def add(history: History, *values: object) -> int:
            nonlocal attempts
            attempts += 1
            if attempts in failing:
                raise HistoryError("The disk is full.", "Make room.")
            return kept(history, *values)  # type: ignore[arg-type]

        kept = History.add
        patch.setattr(History, "add", add)
        files = SkipList()
        for number in range(others):
            files.add(Path(f"/stick/{number}.txt"), SkipReason.NOT_MEDIA)
        clips = tuple(Path(f"/stick/{number:05}.mp4") for number in range(len(verdicts)))
        batch = Batch(Origin.STICK, "sda1", "STICK", clips, files.result())
        log, run = VisitLog(Path(folder)), Run(batch)
        log.open(TINY)
        for number in range(round(reached * len(verdicts))):
            judged = result(number, verdicts[number], faces)
            log.add(batch, judged)
            shown = ClipResult(str(number), judged.finding.verdict, None, "")
            run = replace(run, done=run.done + 1, results=(*run.results, shown))
        run = replace(run, ending=Ending.CANCELLED)
        log.end(batch, Ending.CANCELLED)
        visit, entries = log.read(batch)
        made = json.loads(make_report(visit, entries, None, log.full).json)
        log.note(batch.key, "Safe to remove.")
        log.close()
        with History(Path(folder), 100, 365) as history:
            (stored,) = history.visits()
            counted = history.counts(stored.id)
        state = State(phase=Phase.SHOWING, shown=run)
        view = scene(state, 0.0, Settings()).view
        reported = {verdict: number for verdict, number in made["counts"].items() if number}
        missing = len(clips) - len(run.results)
        assert made["skipped"]["counts"].get("stopped", 0) == missing
        assert stored.skipped == visit.skipped
        assert visit.skipped.total == missing + others
        assert counted == reported == Counter(one.verdict for one in run.results)
        assert [entry.finding.path for entry in entries] == [
            path_text(clip) for clip in clips[: len(run.results)]
        ]
        if run.results:
            assert isinstance(view, BatchSummary)
            assert (dict(view.counts), view.skipped) == (reported, missing + others)


@pytest.mark.parametrize("origin", [Origin.STICK, Origin.INBOX])
def test_a_visit_goes_on_where_the_program_ended(tmp_path: Path, origin: Origin) -> None:
    """After a kill every clip was judged again, and the visits piled up."""
    clips = tuple(tmp_path / f"{number}.mp4" for number in range(4))
    findings = []
    for clip in clips:
        clip.write_bytes(clip.name.encode())
        status = clip.stat()
        finding = result(0, Verdict.REAL).finding.replaced(
            path=str(clip),
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            sha256=hashlib.sha256(clip.read_bytes()).hexdigest(),
        )
        findings.append(ScanResult(finding))
    batch = Batch(origin, "sda1@1", "STICK", clips)
    killed = VisitLog(tmp_path)
    killed.open(TINY)
    for number in (0, 1, 2):
        killed.add(batch, findings[number])
    changed = clips[1].stat()
    clips[1].write_bytes(b"other")
    os.utime(clips[1], ns=(changed.st_atime_ns, changed.st_mtime_ns))
    again = replace(batch, key="sda1@2")
    log = VisitLog(tmp_path)
    log.open(TINY)
    model = findings[0].finding.model
    known = [log.take_over(again, clip, model, lambda: None) for clip in clips]
    assert known == [findings[0].finding, None, findings[2].finding, None]
    other = model.replaced(version="2")
    assert log.take_over(again, clips[0], other, lambda: None) is None
    for number in (1, 3):
        log.add(again, findings[number])
    log.end(again, Ending.COMPLETE)
    log.note(again.key, "Safe to remove.")
    log.close()
    with History(tmp_path, 100, 365) as history:
        whole, before = history.visits()
        paths = [entry.finding.path for entry in history.entries(whole.id)]
        assert sorted(paths) == [str(clip) for clip in clips]
        (left,) = history.entries(before.id)
        assert left.finding == findings[1].finding, "of the content that is gone"


@pytest.mark.parametrize(
    ("origin", "is_hashed", "noted"),
    [
        (Origin.STICK, True, ""),
        (Origin.INBOX, True, ""),
        (Origin.INBOX, False, ""),
        (Origin.INBOX, True, "2 of 2 results not written. No space left on device."),
    ],
)
def test_a_visit_that_ended_without_its_report_goes_on(
    tmp_path: Path, origin: Origin, is_hashed: bool, noted: str
) -> None:
    """Of an inbox whose clips were all judged, no report came after a kill at this moment."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    status = clip.stat()
    finding = result(0, Verdict.REAL).finding.replaced(
        path=str(clip),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(clip.read_bytes()).hexdigest() if is_hashed else None,
    )
    batch = Batch(origin, "1", "Inbox", (clip,))
    killed = VisitLog(tmp_path)
    killed.open(TINY)
    killed.add(batch, ScanResult(finding))
    killed.end(batch, Ending.COMPLETE)
    if noted:
        killed.note(batch.key, noted)
    log = VisitLog(tmp_path)
    log.open(TINY)
    assert log.unreported() == ({str(clip)} if origin is Origin.INBOX else set())
    assert log.take_over(batch, clip, finding.model, lambda: None) == finding
    log.end(batch, Ending.COMPLETE)
    log.note(batch.key, "Results are beside the clips.")
    assert log.unreported() == set()
    log.close()
    last = VisitLog(tmp_path)
    last.open(TINY)
    assert last.unreported() == set()


def test_going_on_with_twice_the_clips_is_twice_the_work(tmp_path: Path) -> None:
    """Each clip was looked for among all findings of the visit, by their JSON."""
    few, many = (steps_to_go_on(tmp_path / str(count), count) for count in (60, 120))
    assert many < 2.5 * few


def steps_to_go_on(folder: Path, count: int) -> int:
    """What SQLite does, in steps of its machine, until a killed visit of so many clips goes on."""
    folder.mkdir()
    clips = tuple(folder / f"{number}.mp4" for number in range(count))
    batch = Batch(Origin.INBOX, "1", "Inbox", clips)
    killed = VisitLog(folder)
    killed.open(TINY)
    for clip in clips:
        clip.write_bytes(b"a clip")
        status = clip.stat()
        finding = result(0, Verdict.NO_FACE).finding.replaced(
            path=str(clip), size=status.st_size, modified_ns=status.st_mtime_ns
        )
        killed.add(batch, ScanResult(finding))
    log = VisitLog(folder)
    log.open(TINY)
    assert log.history
    steps = [0]

    def step() -> None:
        steps[0] += 1

    log.history._database.set_progress_handler(step, 10)
    model = finding.model
    assert all(log.take_over(batch, clip, model, lambda: None) for clip in clips)
    log.close()
    return steps[0]


def test_an_upload_that_was_judged_when_the_program_ended_is_not_judged_again(
    tmp_path: Path,
) -> None:
    """Its findings bear the name that it came with, not that of its file."""
    clip = tmp_path / f"{'0' * 26}.clip"
    clip.write_bytes(b"a clip")
    status = clip.stat()
    finding = result(0, Verdict.REAL).finding.replaced(
        path="holiday.mp4",
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(clip.read_bytes()).hexdigest(),
    )
    batch = Batch(Origin.WEB, "0" * 26, "holiday.mp4", (clip,))
    killed = VisitLog(tmp_path)
    killed.open(TINY)
    killed.add(batch, ScanResult(finding))
    log = VisitLog(tmp_path)
    log.open(TINY)
    assert log.take_over(batch, clip, finding.model, lambda: None) == finding
    log.end(batch, Ending.COMPLETE)
    log.note(batch.key, batch.page)
    log.close()
    with History(tmp_path, 100, 365) as history:
        (visit,) = history.visits()
        assert visit.report == batch.page
        assert visit.skipped.total == 0
        assert [entry.finding.path for entry in history.entries(visit.id)] == ["holiday.mp4"]


def test_a_stick_beyond_the_limit_keeps_its_first_fake(tmp_path: Path) -> None:
    """200 clips of 8 faces under 10 MB: 88 were in the report, and the FAKE was not."""
    log = VisitLog(tmp_path)
    log.open(TINY)
    for number in range(40):
        log.add(STICK, result(number, Verdict.FAKE if number == 0 else Verdict.REAL))
    log.end(STICK, Ending.COMPLETE)
    _, entries = log.read(STICK)
    assert len(entries) == 40
    first = log.full(entries[0])
    assert (first.finding.verdict, len(first.portraits)) == (Verdict.FAKE, FACES)
    log.close()


def test_a_history_that_stays_shut_costs_bounded_memory_and_no_finding_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.box.visit_log.MOST_WAITING", 20)
    monkeypatch.setattr("edge.box.visit_log.MOST_PICTURES", 5)
    obstacle = tmp_path / "history.sqlite"
    obstacle.mkdir()
    log = VisitLog(tmp_path)
    log.open(StoreSettings())
    for number in range(70):
        log.add(STICK, result(number, Verdict.REAL))
    log.end(STICK, Ending.COMPLETE)
    visit, entries = log.read(STICK)
    made = json.loads(make_report(visit, entries, None, log.full).json)
    assert made["counts"]["REAL"] == 70
    assert [len(judged["finding"]["faces"]) for judged in made["findings"]] == [0] * 50 + [8] * 20
    assert log.given_up == 50
    assert caplog.text.count("the oldest are given up") == 1
    obstacle.rmdir()
    with caplog.at_level("INFO", "truelight"):
        log.retry()
    assert "It lacks 50 findings." in caplog.text
    assert log.failure == ""
    log.close()
    with History(tmp_path, 100, 365) as history:
        (kept,) = history.visits()
        written = history.entries(kept.id)
    assert [entry.finding.path for entry in written] == [
        f"/stick/{number:05}.mp4" for number in range(50, 70)
    ]
    assert [bool(entry.portraits) for entry in written] == [False] * 15 + [True] * 5
