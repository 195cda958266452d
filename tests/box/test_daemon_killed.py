"""The daemon after it was killed at work: it goes on where it was."""

import json
import shutil
from pathlib import Path

import pytest
from daemon_process import Start
from dropping import drop_together
from waiting import until

from edge.box.crash_guard import clip_identity
from edge.box.sources.inbox_results import REPORT
from edge.history.writer import open_history


@pytest.mark.parametrize("left", ["abc", "a"])
def test_a_batch_goes_on_where_it_was_interrupted(start: Start, clips: Path, left: str) -> None:
    """Earlier it started again after every kill, or had no report if all was judged already."""
    box = start()
    box.says("STATUS=Ready")
    drop_together(box.inbox, {f"{name}.mp4": clips / "red.mp4" for name in "abc"})
    box.says("STATUS=Judging 2 of 3")
    assert (box.inbox / "a.mp4.truelight.json").is_file()
    box.process.kill()
    box.process.wait()
    for name in {"a", "b", "c"} - set(left):
        (box.inbox / f"{name}.mp4").unlink()
        (box.inbox / f"{name}.mp4.truelight.json").unlink(missing_ok=True)
    box = start()
    until((box.inbox / REPORT).is_file, 60, box.log.read_text)
    report = (box.inbox / REPORT).read_text()
    assert {name for name in "abc" if f"{name}.mp4" in report} == set(left)
    archive = open_history(box.store)
    assert archive
    with archive:
        until(lambda: archive.visits()[0].report == "Results are beside the clips.")
        names = [Path(entry.finding.path).stem for entry in archive.find()]
        paths = archive.entries_by_path(archive.visits()[0].id)
    assert names.count("a") == 1
    assert {Path(path).stem for path in paths} == set(left)
    assert box.end() == 0
    (box.inbox / REPORT).unlink()
    box = start()
    shutil.copy(clips / "red.jpg", box.inbox / "d.jpg")
    until((box.inbox / REPORT).is_file, 60, box.log.read_text)
    assert "a.mp4" not in (box.inbox / REPORT).read_text(), "it was reported"


def test_a_stick_goes_on_where_the_program_was_killed(
    start: Start, tmp_path: Path, clips: Path
) -> None:
    sticks = tmp_path / "run" / "sticks"
    (sticks / "sda1").mkdir(parents=True)
    (tmp_path / "run" / "reports").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clips / "red.mp4", sticks / "sda1" / name)
        with (sticks / "sda1" / name).open("ab") as clip:
            clip.write(name.encode())  # each its own content
    (sticks / "sda1" / "letter.txt").write_text("words")
    facts = {"name": "HOLIDAYS", "error": None, "plugged": 1}
    (sticks / "sda1.json").write_text(json.dumps(facts))
    box = start(stick={"report": False})
    box.says("STATUS=Judging 2 of 3")
    until(lambda: box.attempts == [clip_identity(sticks / "sda1" / "b.mp4")])
    box.process.kill()
    box.process.wait()
    (sticks / "sda1.json").write_text(json.dumps(facts | {"plugged": 2}))
    box = start(stick={"report": False})
    box.says("STATUS=All clips are judged")
    assert box.end() == 0
    archive = open_history(box.store)
    assert archive
    with archive:
        (visit,) = archive.visits()
        names = [Path(entry.finding.path).name for entry in archive.entries(visit.id)]
    assert names == ["a.mp4", "c.mp4", "b.mp4"], "b.mp4 was being judged and came last"
    assert (visit.ending, visit.skipped.total) == ("complete", 1)
