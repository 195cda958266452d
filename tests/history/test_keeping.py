"""What the history keeps, finds again and deletes."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from keeping import Clock, Looks, keep, opened

from edge.errors import TruelightError
from edge.finding import Verdict
from edge.history.database import FILE, MIGRATIONS, migrate
from edge.history.writer import Filter, open_history


def test_what_was_kept_is_there_again(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path / "deep" / "store") as history:
        visit = history.open_visit("stick", "HOLIDAY")
        kept = [keep(history, visit, looks[name]) for name in ("two.mp4", "text.mp4")]
        history.close_visit(visit, "complete", "on the stick")
    archive = open_history(tmp_path / "deep" / "store")
    assert archive is not None
    with archive:
        (found,) = archive.visits()
        assert (found.id, found.origin, found.name) == (visit, "stick", "HOLIDAY")
        assert (found.ending, found.report) == ("complete", "on the stick")
        assert found.ended is not None
        assert found.began < found.ended
        two, text = archive.entries(visit)
        assert [two.id, text.id] == kept
        assert [two.finding, text.finding] == [looks["two.mp4"].finding, looks["text.mp4"].finding]
        assert found.began < two.judged < text.judged < found.ended
        assert archive.entry(two.id) == two
        assert archive.counts(visit) == {Verdict.FAKE: 1, Verdict.UNREADABLE: 1}
        assert (archive.entry(99), archive.visit(99), archive.entries(99)) == (None, None, [])
        look = looks["two.mp4"]
        assert two.first_frames.startswith(b"\xff\xd8") and len(two.first_frames) < 100_000
        assert text.first_frames == b""
        for pictures, kept_ones in ((look.portraits, two.portraits), (look.heat, two.heat)):
            assert set(kept_ones) == set(pictures) == {1, 2}
            for face, pixels in pictures.items():
                jpeg = cv2.imdecode(np.frombuffer(kept_ones[face], np.uint8), cv2.IMREAD_COLOR)
                assert jpeg is not None
                rgb = cv2.cvtColor(jpeg, cv2.COLOR_BGR2RGB).astype(int)
                assert np.abs(rgb - pixels).mean() < 6


def test_the_newest_comes_first_and_filters_choose(tmp_path: Path, looks: Looks) -> None:
    clock = Clock()
    with opened(tmp_path, clock=clock) as history:
        stick = history.open_visit("stick", "A")
        for name in ("red.mp4", "pale.mp4"):
            keep(history, stick, looks[name])
        clock.now += timedelta(days=2)
        camera = history.open_visit("camera", "")
        keep(history, camera, looks["pale.mp4"])
        later = datetime(2026, 11, 23, tzinfo=UTC)

        assert [visit.id for visit in history.visits()] == [camera, stick]
        assert [entry.id for entry in history.find()] == [3, 2, 1]
        for wanted, visits, entries in (
            (Filter(verdict=Verdict.REAL), [camera, stick], [3, 2]),
            (Filter(verdict=Verdict.FAKE), [stick], [1]),
            (Filter(origin="camera"), [camera], [3]),
            (Filter(since=later), [camera], [3]),
            (Filter(until=later), [stick], [2, 1]),
            (Filter(visit=stick), [stick], [2, 1]),
            (Filter(Verdict.FAKE, "camera"), [], []),
        ):
            assert [visit.id for visit in history.visits(wanted)] == visits
            assert [entry.id for entry in history.find(wanted)] == entries


def test_there_is_none_before_something_was_kept(tmp_path: Path) -> None:
    assert open_history(tmp_path) is None
    (tmp_path / FILE).touch()  # a writer was killed before it created the tables
    assert open_history(tmp_path) is None


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path, looks: Looks) -> None:
    look = looks["red.mp4"]
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    with opened(tmp_path, megabytes=10) as history:
        for _ in range(12):
            visit = history.open_visit("stick", "S")
            for _ in range(50):
                last = history.add(visit, look.finding, {1: noise})
            history.close_visit(visit, "complete", "")
        kept = [entry.id for entry in history.find()]
        assert kept == list(range(last, last - len(kept), -1))
        assert 100 < len(kept) < 500
        # Visits go with their last entry, and the file stays as small as was asked.
        assert len(history.visits()) <= -(-len(kept) // 50) + 1
    assert (tmp_path / FILE).stat().st_size < 15_000_000
    with opened(tmp_path, megabytes=1) as history:
        assert 0 < len(list(history.find())) < 50
    assert (tmp_path / FILE).stat().st_size < 6_000_000


def test_an_open_visit_loses_no_finding(tmp_path: Path, looks: Looks) -> None:
    """Only portraits, and that of the FAKE last, which was the first clip of a large stick."""
    look = looks["red.mp4"]
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    real = look.finding.model_copy(update={"verdict": Verdict.REAL})
    with opened(tmp_path, megabytes=3) as history:
        before = history.open_visit("stick", "BEFORE")
        history.add(before, real, {1: noise})
        history.close_visit(before, "complete", "")
        visit = history.open_visit("stick", "S")
        history.add(visit, look.finding, {1: noise})
        for _ in range(300):
            history.add(visit, real, {1: noise})
        entries = history.entries(visit)
        assert len(entries) == 301
        assert entries[0].portraits
        assert not entries[1].portraits
        assert history.visit(before) is None
        history.close_visit(visit, "complete", "")


def test_the_old_go(tmp_path: Path, looks: Looks) -> None:
    clock = Clock()
    with opened(tmp_path, days=10, clock=clock) as history:
        old, empty = history.open_visit("stick", "OLD"), history.open_visit("stick", "EMPTY")
        keep(history, old, looks["red.jpg"])
        history.close_visit(old, "complete", "")
        history.close_visit(empty, "complete", "")
        clock.now += timedelta(days=9)
        recent = history.open_visit("stick", "RECENT")
        keep(history, recent, looks["red.jpg"])
        assert [visit.id for visit in history.visits()] == [recent, empty, old]
        clock.now += timedelta(days=2)
        keep(history, recent, looks["pale.mp4"])
        assert [visit.id for visit in history.visits()] == [recent]
        assert len(history.entries(recent)) == 2


def test_a_wrong_clock_deletes_nothing(tmp_path: Path, looks: Looks) -> None:
    """Forward by years, as with an empty clock battery; or 1970, before the clock is set."""
    clock = Clock()
    right = clock.now
    with opened(tmp_path, days=10, clock=clock) as history:
        for name, now in (
            ("NOW", right),
            ("2040", right.replace(year=2040)),
            ("1970", right.replace(year=1970)),
            ("NOW AGAIN", right + timedelta(days=1)),
        ):
            clock.now = now
            visit = history.open_visit("stick", name)
            keep(history, visit, looks["red.jpg"])
            history.close_visit(visit, "complete", "")
        assert [visit.name for visit in history.visits()] == ["NOW AGAIN", "1970", "2040", "NOW"]
    for now in (right.replace(year=2040), right.replace(year=1970), right + timedelta(days=2)):
        clock.now = now
        with opened(tmp_path, days=10, clock=clock) as history:
            names = [visit.name for visit in history.visits()]
            assert names == ["NOW AGAIN", "1970", "2040", "NOW"]
    clock.now = right + timedelta(days=10.5)
    with opened(tmp_path, days=10, clock=clock) as history:
        names = [visit.name for visit in history.visits()]
        assert names == ["NOW AGAIN", "1970", "2040"], "the clock is right, and one is too old"


def test_of_a_crowd_the_most_suspicious_faces_are_kept(tmp_path: Path, looks: Looks) -> None:
    finding, portraits = looks["red.mp4"].finding, looks["red.mp4"].portraits
    faces = [
        finding.faces[0].model_copy(update={"id": number, "fake_probability": number / 100})
        for number in range(1, 41)
    ]
    crowd = finding.model_copy(update={"faces": tuple(faces)})
    with opened(tmp_path) as history:
        visit = history.open_visit("stick", "crowd")
        entry = history.add(visit, crowd, {face.id: portraits[1] for face in faces})
        found = history.entry(entry)
    assert found is not None
    assert list(found.portraits) == list(range(25, 41))
    assert len(found.finding.faces) == 40


def test_an_entry_needs_its_visit(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path) as history:
        with pytest.raises(TruelightError, match="no such visit"):
            keep(history, 7, looks["red.jpg"])
        assert list(history.find()) == []


def test_two_read_while_one_writes(tmp_path: Path, looks: Looks) -> None:
    """Readers see whole entries only, and ever more of them."""
    done = threading.Event()
    seen: dict[int, list[int]] = {0: [], 1: []}

    def read(reader: int) -> None:
        archive = open_history(tmp_path)
        assert archive is not None
        with archive:
            while not done.is_set() or not seen[reader]:
                found = archive.entries(1)
                assert all(entry.portraits for entry in found)
                seen[reader].append(len(found))

    with opened(tmp_path) as history:
        visit = history.open_visit("stick", "S")
        readers = [threading.Thread(target=read, args=(number,)) for number in seen]
        for reader in readers:
            reader.start()
        for _ in range(60):
            keep(history, visit, looks["two.mp4"])
        done.set()
        for reader in readers:
            reader.join()
        for counts in seen.values():
            assert counts
            assert counts == sorted(counts)
        assert len(history.entries(visit)) == 60


def test_several_threads_may_write(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path) as history:
        visit = history.open_visit("stick", "S")

        def write() -> None:
            for _ in range(20):
                keep(history, visit, looks["red.jpg"])

        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(history.entries(visit)) == 60


def test_a_history_is_brought_up_to_date_in_steps(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path) as history:
        keep(history, history.open_visit("stick", "S"), looks["red.jpg"])
    database = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    step = ("ALTER TABLE visits ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",)
    with pytest.raises(sqlite3.OperationalError):
        migrate(database, (*MIGRATIONS, (*step, "NONSENSE")))
    migrate(database, MIGRATIONS)  # as it was before: no half step
    migrate(database, (*MIGRATIONS, step))
    assert database.execute("SELECT name, note FROM visits").fetchall() == [("S", "none")]
    database.close()


def test_what_was_kept_before_there_were_heat_maps_is_still_there(
    tmp_path: Path, looks: Looks
) -> None:
    """Also where nobody has written since, and the tables are as they were."""
    file = tmp_path / FILE
    finding = looks["red.jpg"].finding
    with sqlite3.connect(file, isolation_level=None) as database:
        migrate(database, MIGRATIONS[:1])
        time = "2026-11-22T12:00:00.000+00:00"
        query = "INSERT INTO visits (origin, name, began) VALUES ('stick', 'A', ?)"
        database.execute(query, [time])
        query = "INSERT INTO entries (visit, judged, verdict, finding) VALUES (1, ?, ?, ?)"
        database.execute(query, [time, finding.verdict, finding.model_dump_json()])
        database.execute("INSERT INTO portraits VALUES (1, 1, ?)", [b"a JPEG"])
    database.close()
    for attempt in range(2):
        archive = open_history(tmp_path)
        assert archive is not None
        with archive:
            first, *later = archive.entries(1)
        assert (first.finding, first.portraits, first.heat) == (finding, {1: b"a JPEG"}, {})
        assert [set(entry.heat) for entry in later] == [{1}] * attempt
        if attempt == 0:
            with opened(tmp_path) as history:
                keep(history, 1, looks["red.jpg"])
