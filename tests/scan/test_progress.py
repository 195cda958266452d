"""What a scan says of its progress when a second opinion may be asked."""

from pathlib import Path

import pytest
from bundles import beside, write_bundle, write_tower_bundle

from edge.finding import Thresholds
from edge.scan.progress import Progress
from edge.scan.scanner import Scanner
from edge.settings import load_settings


@pytest.mark.parametrize(("name", "is_asked"), [("pale.mp4", True), ("two.mp4", False)])
def test_the_progress_leaves_room_for_the_second_opinion(
    tmp_path: Path, clips: Path, name: str, is_asked: bool
) -> None:
    """It takes more than half of the time: nobody should wait for it at 100 %."""
    red = write_bundle(tmp_path / "red", thresholds=Thresholds(real=0.001, fake=0.9999))
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, 6, first=0.0, second=1.0))
    chosen = {"model.folder": str(tmp_path), "model.bundle": "red"}
    reports: list[Progress] = []
    with Scanner(load_settings().changed("test", chosen)) as scanner:
        finding = scanner.scan(clips / name, reports.append)
    assert (finding.second_opinion is not None) is is_asked
    scanned = next(at for at in reports if at.stage == "judging")
    assert scanned.fraction < 0.7
    assert scanned.seconds_left is not None and scanned.seconds_left > 0
    assert any(scanned.fraction < at.fraction < 1 for at in reports) is is_asked
    assert reports[-1].fraction == 1
    done = [at.done for at in reports]
    assert done == sorted(done)
