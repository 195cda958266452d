"""USB sticks: what the system's units mounted is searched for clips, and given its report.

Nothing here mounts or writes to a stick. `systemd/stick` does, as root: it puts `NAME.json` beside
the folder that it mounted, and takes a report from the folder `NAME` of reports.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.atomic_write import atomic_write
from edge.box.events import (
    Batch,
    ClipsArrived,
    Event,
    Origin,
    ReportDone,
    StickPlugged,
    StickPulled,
    StickUnusable,
)
from edge.box.sources import PATIENCE, FolderWatch
from edge.box.views.status import Trouble, TroubleKind
from edge.history.report import HTML_NAME, JSON_NAME, Report
from edge.language import N_
from edge.scan.collect import Media
from edge.text import one_line

_log = logging.getLogger(__name__)

Collect = Callable[[Path], Media]
Post = Callable[[Event], None]

WRITE_SECONDS = 60.0
"""For a report to get onto a stick."""

_KEPT = "The report is in the history."
_GONE = f"The stick is gone. {_KEPT}"
_NO_ANSWER = f"The stick takes no report. {_KEPT}"


@dataclass(frozen=True)
class _Stick:
    """A stick as its `NAME.json` describes it."""

    device: str
    name: str
    plugged: int
    error: str | None
    remedy: str

    @property
    def key(self) -> str:
        """Unique to each time a stick is plugged in."""
        return f"{self.device}@{self.plugged}"


@dataclass(frozen=True)
class _Handoff:
    """A report that root has to put onto a stick until `deadline`."""

    key: str
    box: Path
    deadline: float

    def result(self) -> tuple[bool, str] | None:
        """Whether it was written, with a note for people; None while nothing is known."""
        try:
            outcome, _, note = (self.box / "result").read_text("utf-8", "replace").partition("\n")
        except OSError:
            return None
        return outcome == "written", one_line(note.strip())[:120]


class UsbSticks:
    """Posts `StickPlugged`, `ClipsArrived`, `StickUnusable`, `StickPulled`, until it is closed.

    What is there already counts as just plugged in. `collect` lists the clips of a stick; it has a
    thread for each stick, so that a slow one holds up nothing.
    """

    def __init__(
        self,
        folder: Path,
        collect: Collect,
        post: Post,
        *,
        reports: Path,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        self._folder = folder
        self._collect = collect
        self._post = post
        self._reports = reports
        self._write_seconds = write_seconds
        self._known: dict[str, _Stick] = {}
        self._handoffs: list[_Handoff] = []
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self._watch = FolderWatch(lambda _, __: self._changed.set())
        self._thread = threading.Thread(target=self._run, name="sticks", daemon=True)
        if not folder.is_dir():
            _log.debug("Sticks are not watched: there is no %s", folder)
            return
        self._watch.add(folder)
        self._thread.start()

    def write_report(self, key: str, report: Report) -> None:
        """Hand over a report for the stick `key`. `ReportDone` is posted in the end."""
        with self._lock:
            stick = self._known.get(key)
        if stick is None:
            self._post(ReportDone(key, False, _GONE))
            return
        box = self._reports / stick.device
        try:
            _leave(box, report)
            self._watch.add(box)
            with self._lock:
                # A stick that is pulled out meanwhile is missed no later than the deadline.
                self._handoffs.append(_Handoff(key, box, time.monotonic() + self._write_seconds))
            atomic_write(box / "ready", str(stick.plugged))
        except OSError as failure:
            _log.warning("A report cannot be handed over: %s", failure)
            self._end_handoff(box, ReportDone(key, False, _NO_ANSWER))
        self._changed.set()

    def close(self) -> None:
        """Watch no longer. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._changed.set()
        self._watch.close()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    # ---- The thread

    def _run(self) -> None:
        while not self._closed:
            self._changed.clear()
            self._look_for_results()
            self._look_for_sticks()
            self._changed.wait(self._until_deadline())

    def _until_deadline(self) -> float | None:
        with self._lock:
            deadlines = [handoff.deadline for handoff in self._handoffs]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _look_for_results(self) -> None:
        with self._lock:
            handoffs = list(self._handoffs)
        for handoff in handoffs:
            result = handoff.result()
            if result is None and time.monotonic() >= handoff.deadline:
                _log.warning("No unit took the report for %s", handoff.key)
                result = False, _NO_ANSWER
            if result is not None:
                self._end_handoff(handoff.box, ReportDone(handoff.key, *result))

    def _look_for_sticks(self) -> None:
        present = {stick.key: stick for stick in _read_all(self._folder)}
        for key in self._known.keys() - present.keys():
            self._remove(key)
        for key in present.keys() - self._known.keys():
            self._add(present[key])

    def _add(self, stick: _Stick) -> None:
        with self._lock:
            self._known[stick.key] = stick
        _log.info("Stick %s plugged in: %s", stick.device, stick.name)
        self._post(StickPlugged(stick.key, stick.name))
        if stick.error is not None:
            self._post(StickUnusable(stick.key, _unreadable(stick.error, stick.remedy)))
            return
        name = f"list {stick.device}"
        threading.Thread(target=self._list, args=(stick,), name=name, daemon=True).start()

    def _remove(self, key: str) -> None:
        with self._lock:
            stick = self._known.pop(key)
            waiting = [handoff for handoff in self._handoffs if handoff.key == key]
            self._post(StickPulled(key))
        _log.info("Stick %s pulled out", stick.device)
        for handoff in waiting:
            self._end_handoff(handoff.box, ReportDone(key, False, _GONE))

    def _list(self, stick: _Stick) -> None:
        """List the clips of a stick, in a thread of its own."""
        answer: Event
        try:
            folder = self._folder / stick.device
            clips, skipped = self._collect(folder)
            batch = Batch(Origin.STICK, stick.key, stick.name, clips, skipped, folder)
            answer = ClipsArrived(batch)
        except OSError as failure:
            _log.warning("Stick %s cannot be read: %s", stick.device, failure)
            answer = StickUnusable(
                stick.key, _unreadable("The stick is damaged.", "Repair it, or try another.")
            )
        with self._lock:
            if stick.key in self._known and not self._closed:
                self._post(answer)

    # ---- Reports

    def _end_handoff(self, box: Path, answer: ReportDone) -> None:
        """Post what became of a report, and delete its copy."""
        with self._lock:
            self._handoffs = [handoff for handoff in self._handoffs if handoff.box != box]
        self._watch.remove(box)
        shutil.rmtree(box, ignore_errors=True)
        self._post(answer)


def _leave(box: Path, report: Report) -> None:
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    (box / HTML_NAME).write_text(report.html, "utf-8")
    (box / JSON_NAME).write_text(report.json, "utf-8")


def _read_all(folder: Path) -> list[_Stick]:
    return [stick for file in sorted(folder.glob("[!.]*.json")) if (stick := _read(file))]


def _read(file: Path) -> _Stick | None:
    try:
        facts = json.loads(file.read_bytes())
        error, remedy = facts["error"], facts.get("remedy")
        return _Stick(
            device=file.stem,
            name=one_line(str(facts["name"])) or "USB stick",
            plugged=int(facts.get("plugged", 0)),
            error=None if error is None else one_line(str(error)),
            remedy=one_line(str(remedy or N_("Try another one."))),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
        _log.warning("%s does not describe a stick: %r", file, failure)
        return None


def _unreadable(message: str, remedy: str) -> Trouble:
    return Trouble(TroubleKind.STICK_UNREADABLE, message, remedy)
