"""Clips dropped into the inbox, as people and their programs drop them."""

import contextlib
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from clips import card, write_clip, write_image
from dropping import drop_together
from frontdoor import ROOT
from waiting import until

from edge.atomic_write import PREFIX, atomic_write
from edge.box.events import ClipsArrived, Event, Origin
from edge.box.sources import FolderWatch
from edge.box.sources import inbox as module
from edge.box.sources.arrivals import (
    SETTLE_SECONDS,
)
from edge.box.sources.inbox import Inbox
from edge.box.sources.inbox_results import REPORT, result_of, write_results
from edge.errors import TruelightError
from edge.finding import Finding, Model, Thresholds, Verdict
from edge.history.reader import Entry
from edge.history.report import Report
from edge.scan import collect

T = TypeVar("T")
PATIENCE = 30.0  # far more than it takes


@pytest.fixture
def events() -> "queue.Queue[Event]":
    return queue.Queue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


@pytest.fixture
def inbox(folder: Path, events: "queue.Queue[Event]") -> Iterator[Inbox]:
    opened = Inbox(folder, events.put)
    until(folder.is_dir)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 3)


def arrived(events: "queue.Queue[Event]") -> list[Path]:
    event = events.get(timeout=PATIENCE)
    assert isinstance(event, ClipsArrived)
    assert event.batch.origin is Origin.INBOX
    return list(event.batch.clips)


# ---- The real folder


def test_what_is_not_judged_is_named_once(
    inbox: Inbox, events: "queue.Queue[Event]", folder: Path, clip: Path
) -> None:
    for name, other in (("first.mp4", "letter.txt"), ("second.mp4", "table.csv")):
        (folder / other).write_text("words")
        (folder / f"{name}.truelight.json").write_text("{}")
        shutil.copy(clip, folder / name)
        event = events.get(timeout=PATIENCE)
        assert isinstance(event, ClipsArrived)
        assert [path.name for path in event.batch.clips][-1:] == [name]
        assert [Path(file.path).name for file in event.batch.skipped.files] == [other]


def test_copied_clips_come_together(
    inbox: Inbox, folder: Path, clip: Path, events: "queue.Queue[Event]", tmp_path: Path
) -> None:
    (folder / "within" / "deeper").mkdir(parents=True)
    write_image(tmp_path / "three.png", card())
    copies = {"one.mp4": clip, "within/deeper/two.mp4": clip, "three.png": tmp_path / "three.png"}
    with ExitStack() as written:
        for name, original in copies.items():
            copy = written.enter_context((folder / name).open("wb"))
            copy.write(original.read_bytes())
        # All are closed at once here, and none stands for long before it is.
    assert arrived(events) == [
        folder / "one.mp4",
        folder / "three.png",
        folder / "within" / "deeper" / "two.mp4",
    ]


def test_what_is_no_clip_or_not_whole_stays(
    inbox: Inbox, folder: Path, clip: Path, events: "queue.Queue[Event]", tmp_path: Path
) -> None:
    (folder / "notes.txt").write_text("to do")
    for name in (".hidden.mp4", "loading.mp4.part", "saving.mp4~", "fetched.mp4.crdownload"):
        shutil.copy(clip, folder / name)
    (folder / "elsewhere.mp4").symlink_to(clip)
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(clip, outside)
    (folder / "linked").symlink_to(outside)
    shutil.copy(clip, folder / "real.mp4")
    assert arrived(events) == [folder / "real.mp4"]
    (folder / "loading.mp4.part").rename(folder / "loaded.mp4")
    assert arrived(events) == [folder / "loaded.mp4"]


def test_a_copy_that_grows_waits_until_it_is_closed(
    inbox: Inbox, folder: Path, clip: Path, events: "queue.Queue[Event]"
) -> None:
    data = clip.read_bytes()
    with (folder / "slow.mp4").open("wb") as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            file.flush()
            time.sleep(0.2)
        shutil.copy(clip, folder / "whole.mp4")
        time.sleep(SETTLE_SECONDS)
        assert events.empty()
    assert arrived(events) == [folder / "slow.mp4", folder / "whole.mp4"]


def test_what_lies_there_comes_unless_it_was_judged(
    folder: Path, clip: Path, events: "queue.Queue[Event]"
) -> None:
    folder.mkdir()
    digest = hashlib.sha256(clip.read_bytes()).hexdigest()
    for name, result in (
        ("new", None),
        ("done", '{"size": SIZE, "modified_ns": TIME}'),
        ("done-before-there-were-times", f'{{"sha256": "{digest}"}}'),
        # Another file with an older time was renamed to the clip's name: mv, cp -p, unzip.
        ("other-time", '{"size": SIZE, "modified_ns": 7}'),
        ("other-size", '{"size": 7, "modified_ns": TIME}'),
        ("other-content", '{"sha256": "00"}'),
        ("forged", "{}"),
        ("no-finding", "[]"),
        ("no-json", "{"),
    ):
        path = Path(shutil.copy(clip, folder / f"{name}.mp4"))
        stamp(path, 60)
        if result is not None:
            status = path.stat()
            text = result.replace("SIZE", str(status.st_size))
            result_of(path).write_text(text.replace("TIME", str(status.st_mtime_ns)))
    (folder / ".half-of-a-result").touch()
    inbox = Inbox(folder, events.put)
    names = "forged new no-finding no-json other-content other-size other-time"
    assert arrived(events) == [folder / f"{name}.mp4" for name in names.split()]
    assert not (folder / ".half-of-a-result").exists()
    inbox.close()


def test_results_lie_beside_their_clips_and_are_no_news(
    inbox: Inbox, folder: Path, clip: Path, events: "queue.Queue[Event]"
) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")  # not UTF-8
    (folder / "within").mkdir()
    first, second = folder / name, folder / "within" / "b.mp4"
    drop_together(folder, {str(path.relative_to(folder)): clip for path in (first, second)})
    clips = arrived(events)
    assert sorted(clips) == sorted([first, second])
    gone = folder / "gone.mp4"
    write_results(
        folder,
        [entry(path) for path in (first, second, gone)],
        Report(html="<p>all of it</p>", json="{}"),
    )
    assert Finding.model_validate_json(result_of(first).read_text()).verdict is Verdict.NO_FACE
    assert Finding.model_validate_json(result_of(second).read_text()).path == str(second)
    assert (folder / REPORT).read_text() == "<p>all of it</p>"
    assert not result_of(gone).exists()
    assert [path.name for path in folder.rglob(".*")] == []
    shutil.copy(clip, folder / "later.mp4")
    assert arrived(events) == [folder / "later.mp4"]


def test_results_never_go_through_links(folder: Path, clip: Path, tmp_path: Path) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path = Path(shutil.copy(clip, folder / "a.mp4"))
    result_of(path).symlink_to(victim)
    (folder / REPORT).symlink_to(victim)
    write_results(folder, [entry(path)], Report(html="<p>all of it</p>", json="{}"))
    assert victim.read_text() == "untouched"
    assert not result_of(path).is_symlink()


def test_one_result_that_cannot_be_written_costs_no_other(folder: Path, clip: Path) -> None:
    folder.mkdir()
    (folder / REPORT).mkdir()
    names = ["a.mp4", "\N{ROCKET}" * 61 + "-1.mp4", "\N{ROCKET}" * 61 + "-2.mp4", "z.mp4"]
    clips = [Path(shutil.copy(clip, folder / name)) for name in names]
    assert {len(os.fsencode(each.name)) for each in clips} == {5, 250}
    write_results(
        folder, [entry(each) for each in clips], Report(html="<p>all of it</p>", json="{}")
    )
    assert len({result_of(each) for each in clips if result_of(each).is_file()}) == 4
    assert (folder / "TRUELIGHT-REPORT-2.html").read_text() == "<p>all of it</p>"
    result_of(clips[0]).unlink()
    result_of(clips[0]).mkdir()
    result_of(clips[3]).unlink()
    with pytest.raises(TruelightError, match="1 of 5 results not written"):
        write_results(
            folder, [entry(each) for each in clips], Report(html="<p>all of it</p>", json="{}")
        )
    assert result_of(clips[3]).is_file()
    shutil.rmtree(folder)
    with pytest.raises(TruelightError, match="not written"):
        write_results(folder, [], Report(html="<p>all of it</p>", json="{}"))


def test_a_path_that_is_no_folder_is_reported(tmp_path: Path, events: "queue.Queue[Event]") -> None:
    (tmp_path / "file").write_text("")
    inbox = Inbox(tmp_path / "file", events.put)
    trouble = until(lambda: inbox.trouble)
    assert trouble and trouble.message == "The inbox cannot be used."
    inbox.close()


def test_clips_beside_many_that_were_judged_are_judged(
    folder: Path, clip: Path, events: "queue.Queue[Event]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches; the one that is last by its name, too."""
    monkeypatch.setattr(collect, "MOST_CLIPS", 2)
    monkeypatch.setattr(module, "MOST_CLIPS", 2)
    names = [f"{number}.mp4" for number in range(5)]
    folder.mkdir()
    for name in names:
        stamp(Path(shutil.copy(clip, folder / name)), 60)
    with contextlib.closing(Inbox(folder, events.put)):
        came = [arrived(events) for _ in range(3)]
        assert [len(batch) for batch in came] == [2, 2, 1]
        assert sorted(path.name for batch in came for path in batch) == names
        last = Path(shutil.copy(clip, folder / "last.mp4"))
        assert arrived(events) == [last]
        write_results(folder, [entry(last)], Report(html="<p>all of it</p>", json="{}"))
        assert result_of(last).is_file()


def test_a_result_causes_no_look_at_the_folder(folder: Path) -> None:
    """Each did, four times a second: at 10,000 clips a processor did nothing else."""
    (folder / "within").mkdir(parents=True)
    noticed: list[Path] = []
    with contextlib.closing(FolderWatch(lambda path, _: noticed.append(path))) as watch:
        watch.add(folder, recursive=True)
        result = folder / "within" / "a.mp4.truelight.json"
        atomic_write(result, "{}")
        result.read_text()
        result.unlink()
        (folder / "last").touch()
        until(lambda: folder / "last" in noticed)
    names = {path.name for path in noticed if not path.name.startswith(PREFIX)}
    assert names == {result.name, "last"}


def test_what_a_power_failure_left_goes_and_what_is_being_written_stays(folder: Path) -> None:
    folder.mkdir()
    left, new = folder / f"{PREFIX}left.json", folder / f"{PREFIX}new.json"
    for file in (left, new):
        file.touch()
    stamp(left, 60.0)
    stamp(new, -60.0)
    with contextlib.closing(Inbox(folder, lambda event: None)):
        until(lambda: not left.exists())
        assert new.exists()


def test_results_that_lie_there_are_not_written_again(
    folder: Path, clip: Path, events: "queue.Queue[Event]"
) -> None:
    """Those of 10,000 clips would take longer than a share may."""
    folder.mkdir()
    paths = [Path(shutil.copy(clip, folder / f"{number}.mp4")) for number in range(3)]
    entries = [entry(path) for path in paths]
    result_of(paths[1]).mkdir()
    asked: list[Entry] = []

    def full(short: Entry) -> Entry:
        asked.append(short)
        return short

    with contextlib.closing(Inbox(folder, events.put)) as inbox:
        for path, one in zip(paths[:2], entries, strict=False):
            inbox.keep(path, one.finding)
        result_of(paths[1]).rmdir()
        before = result_of(paths[0]).stat()
        inbox.deliver("inbox 1", entries, Report(html="<p>all of it</p>", json="{}"), full)
        assert asked == entries[1:]
        assert all(result_of(path).is_file() for path in paths)
        assert result_of(paths[0]).stat().st_ino == before.st_ino
        inbox.deliver("inbox 2", entries[:1], Report(html="<p>all of it</p>", json="{}"), full)
        assert result_of(paths[0]).stat().st_ino != before.st_ino


def test_an_inbox_that_holds_too_many_files_says_so(
    folder: Path, clip: Path, events: "queue.Queue[Event]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MOST_ENTRIES", 2)
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        stamp(Path(shutil.copy(clip, folder / name)), 60)
    with contextlib.closing(Inbox(folder, events.put)) as inbox:
        judged = arrived(events)
        assert len(judged) == 2
        assert inbox.trouble is module.CROWDED
        judged[0].unlink()
        until(lambda: inbox.trouble is None)


NOT_WATCHED = """
import os, resource, sys, time
from pathlib import Path
from edge.box.sources.inbox import Inbox

free = os.open("/", os.O_RDONLY)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
inbox = Inbox(Path(sys.argv[1]), print)
while not inbox.trouble:
    time.sleep(0.01)
print(inbox.trouble.status)
"""


def test_a_watch_that_cannot_be_added_is_reported(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOT_WATCHED, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("The inbox cannot be watched.")
    assert "fs.inotify" in done.stdout


def test_it_waits_without_end_while_nothing_happens(
    folder: Path, events: "queue.Queue[Event]", monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []

    class Condition(threading.Condition):
        def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
            limits.append(timeout)
            return super().wait_for(predicate, timeout)

    monkeypatch.setattr("edge.box.sources.inbox.threading.Condition", Condition)
    inbox = Inbox(folder, events.put)
    # Once at the start, once between two looks, and then until something happens.
    until(lambda: len(limits) == 3)
    assert limits[2] is None
    inbox.close()


# ---- The decision, without waiting


def entry(clip: Path) -> Entry:
    from edge.text import path_text

    return Entry(
        id=1,
        visit=1,
        judged=datetime.now(UTC),
        finding=Finding(
            path=path_text(clip),
            sha256=None,
            verdict=Verdict.NO_FACE,
            fake_probability=None,
            reasons=(),
            model=Model(name="m", version="1", sha256="0"),
            thresholds=Thresholds(real=0.3, fake=0.7),
        ),
    )


def stamp(path: Path, age: float) -> None:
    then = time.time() - age
    os.utime(path, (then, then))
