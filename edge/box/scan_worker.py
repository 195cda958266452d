"""Judges clips in a thread of its own, keeps what was found, and makes the reports."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from edge.box.camera_worker import FOLDER
from edge.box.events import (
    Batch,
    Brought,
    Ending,
    Event,
    Found,
    ModelReady,
    Origin,
    Outcome,
    Progressed,
    Refused,
    Reported,
    Skipped,
)
from edge.box.views import Kind, Trouble
from edge.box.visit_log import Guard, Ledger
from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from edge.history.writer import Entry
from edge.scan.progress import Cancelled, Progress
from edge.scan.scanner import Scanner, ScanResult
from edge.settings import Settings
from edge.text import one_line, path_text, percent

if TYPE_CHECKING:
    from edge.history.report import Report

KILLED: Final = "The program ended while judging this clip."

Post = Callable[[Event], None]
Deliver = Callable[[Batch, list[Entry], "Report"], None]
"""Puts findings and report where a batch came from, and posts `Reported` at once or later."""

_log = logging.getLogger("truelight")


class Worker:
    """Does one thing after the other, in the order in which it is asked. Nothing here waits.

    What comes of it is posted: `ModelReady`, `Refused`, `Progressed`, `Found`, `Skipped`,
    `Reported`. A history that cannot be written is logged and costs nobody a verdict.
    """

    def __init__(self, store: Path, post: Post, deliver: Deliver) -> None:
        """Work with what lies in the folder `store`; `deliver` is called from the thread."""
        self._post = post
        self._deliver = deliver
        self._settings = Settings()
        self._scanner: Scanner | None = None
        self._refusal = Trouble(Kind.MODEL_REFUSED, "There is no model yet.", "Wait a moment.")
        self._recordings: Path | None = store / FOLDER
        self._guard = Guard(store / "working.json")
        self._ledger = Ledger(store)
        self._cancelled = threading.Event()
        self._leaving = False
        self._sign: float | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._thread.start()

    # ---- Asked from outside

    def load(self, settings: Settings) -> None:
        """Load the model anew, by these settings."""
        self._jobs.put(partial(self._load, settings))

    def refuse(self, trouble: Trouble) -> None:
        """Judge nothing, since the settings are wrong, until they are loaded anew."""
        self._jobs.put(partial(self._refuse, trouble))

    def scan(self, batch: Batch, clip: Path) -> None:
        """Judge a clip of this batch."""
        self._cancelled.clear()
        self._jobs.put(partial(self._scan, batch, clip))

    def cancel(self) -> None:
        """Give up the clip that is being judged."""
        self._cancelled.set()

    def finish(self, batch: Batch, ending: Ending) -> None:
        """Close a batch and deliver its report."""
        self._jobs.put(partial(self._finish, batch, ending))

    def reported(self, event: Reported) -> None:
        """Note what became of a report."""
        self._jobs.put(partial(self._ledger.note, event.key, event.note))

    def silence(self, now: float) -> float:
        """For how many seconds the running work has given no sign of life; 0 if none runs."""
        sign = self._sign
        return 0.0 if sign is None else now - sign

    def close(self, seconds: float) -> bool:
        """Give up what runs and close all that is open; False if that takes too long."""
        self._leaving = True
        self._cancelled.set()
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # ---- Done in the thread

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._sign = time.monotonic()
            job()
            self._sign = None
        self._ledger.close()
        self._unload()

    def _load(self, settings: Settings) -> None:
        self._unload()
        if self._leaving:
            return
        self._settings = settings
        self._ledger.open(settings.store)
        try:
            self._scanner = Scanner(settings)
            self._scanner.wait()
        except TruelightError as failure:
            self._refuse(Trouble(Kind.MODEL_REFUSED, failure.message, failure.remedy))
        else:
            self._post(ModelReady())
            self._bring_recordings()

    def _unload(self) -> None:
        if self._scanner:
            self._scanner.__exit__()
        self._scanner = None

    def _refuse(self, trouble: Trouble) -> None:
        _log.error("%s %s", trouble.message, trouble.remedy)
        self._unload()
        self._refusal = trouble
        self._post(Refused(trouble))

    def _scan(self, batch: Batch, clip: Path) -> None:
        if self._scanner is None:
            self._post(Refused(self._refusal))
            return
        try:
            look = self._look(self._scanner, clip)
        except Cancelled:
            self._post(Skipped(clip))
            if self._leaving:
                return  # a recording is judged when the program is started again
        except TruelightError as failure:
            self._refuse(Trouble(Kind.MODEL_REFUSED, failure.message, failure.remedy))
            return
        else:
            self._keep(batch, clip, look)
        self._throw_away(batch)

    def _look(self, scanner: Scanner, clip: Path) -> ScanResult:
        """Judge the clip, unless it took the program down before."""
        if self._guard.accuses(clip):
            self._guard.end()
            return ScanResult(scanner.unread(clip, KILLED), {})
        self._guard.begin(clip)
        try:
            self._tell(clip, Progress("opening"))
            return scanner.look(clip, partial(self._tell, clip))
        finally:
            self._guard.end()

    def _tell(self, clip: Path, progress: Progress) -> None:
        self._sign = time.monotonic()
        if self._cancelled.is_set():
            raise Cancelled
        self._post(Progressed(clip, progress))

    def _keep(self, batch: Batch, clip: Path, look: ScanResult) -> None:
        finding = look.finding
        if finding.verdict is Verdict.UNREADABLE and not clip.exists():
            # Nothing is wrong with the clip: its stick is gone.
            self._post(Skipped(clip))
            return
        self._ledger.add(batch, look)
        outcome = _outcome(clip, finding)
        model = f"{finding.model.name} {finding.model.version}"
        fields = {
            "TRUELIGHT_CLIP": finding.path,
            "TRUELIGHT_VERDICT": finding.verdict,
            "TRUELIGHT_MODEL": model,
        }
        said = "" if outcome.fake_probability is None else f" {percent(outcome.fake_probability)}"
        _log.info("%s: %s%s", outcome.name, outcome.verdict, said, extra=fields)
        self._post(Found(clip, outcome))

    def _finish(self, batch: Batch, ending: Ending) -> None:
        self._sign = None  # of many clips the report takes its time
        self._throw_away(batch)
        self._ledger.end(batch, ending)
        if batch.origin is Origin.CAMERA:
            self._ledger.note(batch.key, "")
        elif ending is Ending.PULLED:
            self._ledger.note(batch.key, "The stick was pulled out.")
        else:
            self._report(batch)

    def _report(self, batch: Batch) -> None:
        """Make the report and have it delivered; whatever becomes of that is told."""
        if batch.origin is Origin.STICK and not self._settings.stick.report:
            self._post(Reported(batch.key, False, "Safe to remove."))
            return
        from edge.history.report import make_report

        manifest = self._scanner.manifest if self._scanner else None
        try:
            visit, entries = self._ledger.read(batch)
            self._deliver(batch, entries, make_report(visit, entries, manifest))
        except Exception:
            _log.exception("The report on %s failed", one_line(batch.name))
            self._post(Reported(batch.key, False, "Report failed. Safe to remove."))

    def _bring_recordings(self) -> None:
        """Recordings that were not judged when the program ended are judged now, once."""
        folder, self._recordings = self._recordings, None
        if folder and not self._settings.camera.keep:
            for clip in sorted(folder.glob("[!.]*")):
                self._post(Brought(Batch(Origin.CAMERA, str(clip), "Recording", (clip,))))

    def _throw_away(self, batch: Batch) -> None:
        """Recordings do not stay longer than needed."""
        if batch.origin is Origin.CAMERA and not self._settings.camera.keep:
            for clip in batch.clips:
                with contextlib.suppress(OSError):
                    clip.unlink(missing_ok=True)


def _outcome(clip: Path, finding: Finding) -> Outcome:
    """What is remembered of a finding while its batch is shown."""
    reason = finding.reasons[0].text if finding.reasons else ""
    name = one_line(path_text(Path(clip.name)))
    return Outcome(name, finding.verdict, finding.fake_probability, reason)
