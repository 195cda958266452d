"""Findings of a visit: all that were shown are in its report, whatever becomes of the history."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.box.events import Batch, Ending, Origin
from edge.box.visit_log import VisitLog
from edge.finding import Box, Face, Finding, Model, Quality, Thresholds, Verdict
from edge.history.report import make_report
from edge.history.writer import History, HistoryError
from edge.scan.scanner import ScanResult
from edge.settings_schema import StoreSettings

STICK = Batch(Origin.STICK, "sda1", "STICK", ())
TINY = StoreSettings.model_construct(most_megabytes=1, most_days=365, free_megabytes=50)
NOISE = np.kron(
    np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8), np.ones((4, 4, 1), np.uint8)
)
FACES = 8


def result(number: int, verdict: Verdict) -> ScanResult:
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
    faces = tuple(face.model_copy(update={"id": n + 1}) for n in range(FACES))
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


@settings(max_examples=10, deadline=None)
@given(
    verdicts=st.lists(st.sampled_from(Verdict), min_size=1, max_size=60),
    failing=st.sets(st.integers(0, 59)),
)
def test_the_report_counts_what_was_shown(verdicts: list[Verdict], failing: set[int]) -> None:
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
        log = VisitLog(Path(folder))
        log.open(TINY)
        for number, verdict in enumerate(verdicts):
            log.add(STICK, result(number, verdict))
        log.end(STICK, Ending.COMPLETE)
        visit, entries = log.read(STICK)
        shown = [f"/stick/{number:05}.mp4" for number in range(len(verdicts))]
        assert [entry.finding.path for entry in entries] == shown
        assert Counter(entry.finding.verdict for entry in entries) == Counter(verdicts)
        report = make_report(visit, entries, None)
        assert report.json.count('"path"') == len(verdicts)
        log.close()


def test_a_stick_beyond_the_limit_keeps_its_first_fake(tmp_path: Path) -> None:
    """200 clips of 8 faces under 10 MB: 88 were in the report, and the FAKE was not."""
    log = VisitLog(tmp_path)
    log.open(TINY)
    for number in range(40):
        log.add(STICK, result(number, Verdict.FAKE if number == 0 else Verdict.REAL))
    log.end(STICK, Ending.COMPLETE)
    _, entries = log.read(STICK)
    assert len(entries) == 40
    assert (entries[0].finding.verdict, len(entries[0].portraits)) == (Verdict.FAKE, FACES)
    log.close()
