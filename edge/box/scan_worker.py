"""Judges clips in a thread of its own, stores the findings, and makes the reports."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from edge.box.camera_worker import FOLDER
from edge.box.crash_guard import CrashGuard
from edge.box.events import (
    Batch,
    ClipJudged,
    ClipsArrived,
    ClipSkipped,
    Ending,
    Event,
    ModelReady,
    Origin,
    Refused,
    ReportDone,
    ScanProgressed,
    clip_result,
)
from edge.box.recordings import delete_recording, recordings_in
from edge.box.views.status import Trouble, TroubleKind
from edge.box.visit_log import VisitLog
from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from edge.history.writer import Entry
from edge.language import N_
from edge.scan.media.confinement import log_confinement
from edge.scan.media.decoders import Decoders
from edge.scan.model.bundle_info import described_manifest
from edge.scan.progress import Cancelled, Progress
from edge.scan.scanner import Scanner, ScanResult
from edge.settings import Settings
from edge.text import one_line, percent

if TYPE_CHECKING:
    from edge.history.report import Report

HISTORY_SHUT: Final = Trouble(
    TroubleKind.DISK_FULL, N_("Cannot write the history."), N_("Run `truelight doctor`.")
)
NOT_LOADED: Final = Trouble(
    TroubleKind.MODEL_REFUSED, N_("No model is loaded."), N_("Wait a moment.")
)
RETRY_SECONDS: Final = 60.0  # between attempts to write a history that could not be written

Post = Callable[[Event], None]
Deliver = Callable[[Batch, Sequence[Entry], "Report"], None]
"""Puts findings and report where a batch came from, and posts `ReportDone` at once or later."""
Keep = Callable[[Batch, Path, Finding], None]
"""Puts a finding beside its clip at once, so that a batch goes on where it was interrupted."""

_log = logging.getLogger("truelight")


class ScanWorker:
    """Carries out jobs in order; no method but `close` waits.

    The results are posted: `ModelReady`, `Refused`, `ScanProgressed`, `ClipJudged`, `ClipSkipped`,
    `ReportDone`. A history that cannot be written is logged, and clips are judged all the same.
    """

    def __init__(
        self,
        store: Path,
        post: Post,
        deliver: Deliver,
        keep: Keep = lambda *_: None,
        release: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        """Work in the folder `store`; the other functions are called from the thread."""
        self._keep, self._release = keep, release
        self._post = post
        self._deliver = deliver
        self._settings = Settings()
        self._scanner: Scanner | None = None
        self._refusal = NOT_LOADED
        self._recordings: Path | None = store / FOLDER
        self._decoders = Decoders(spare=True)
        self._crash_guard = CrashGuard(store)
        self.suspects_last = self._crash_guard.suspects_last
        """The clips in the order in which to judge them. From any thread."""
        self._visits = VisitLog(store)
        self.delete, self.full = self._visits.delete, self._visits.full
        self.unreported = self._visits.unreported
        self._cancelled = threading.Event()
        self._leaving = False
        self._last_progress: float | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self._thread.start()

    # ---- Called from outside

    def load(self, settings: Settings) -> None:
        """Load the model of these settings."""
        self._jobs.put(partial(self._load, settings))

    def refuse(self, trouble: Trouble) -> None:
        """Judge nothing until the next `load`, since the settings are wrong."""
        self._jobs.put(partial(self._refuse, trouble))

    def scan(self, batch: Batch, clip: Path) -> None:
        """Judge a clip of this batch."""
        self._cancelled.clear()
        self._jobs.put(partial(self._scan, batch, clip))

    def cancel(self) -> None:
        """Cancel the clip that is being judged."""
        self._cancelled.set()

    def finish(self, batch: Batch, ending: Ending) -> None:
        """Close a batch and deliver its report."""
        self._jobs.put(partial(self._finish, batch, ending))

    def report_done(self, event: ReportDone) -> None:
        """Note in the history what became of a report."""
        self._jobs.put(partial(self._visits.note, event.key, event.note))

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Why findings cannot be stored, if they cannot."""
        return (HISTORY_SHUT,) if self._visits.failure else ()

    def silence(self, now: float) -> float:
        """Seconds since the running job made progress; 0 if none runs."""
        last = self._last_progress
        return 0.0 if last is None else now - last

    def close(self, seconds: float) -> bool:
        """Cancel what runs and close everything; False if that takes longer than `seconds`."""
        self._leaving = True
        self._cancelled.set()
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # ---- In the thread

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            self._last_progress = time.monotonic()
            job()
            self._last_progress = None
        self._visits.close()
        self._unload()
        self._decoders.__exit__()

    def _next_job(self) -> Callable[[], None] | None:
        """The next job; while there is none, what the history lacks is written now and then."""
        while True:
            try:
                return self._jobs.get(timeout=RETRY_SECONDS)
            except Empty:
                if self._visits.failure:
                    self._visits.retry()

    def _load(self, settings: Settings) -> None:
        self._unload()
        if self._leaving:
            return
        self._settings = settings
        self._visits.open(settings.store)
        self._crash_guard.use(self._visits.history)
        try:
            self._decoders.renew()
            self._scanner = Scanner(settings, self._decoders)
            self._scanner.wait()
        except TruelightError as failure:
            self._refuse(Trouble.of(TroubleKind.MODEL_REFUSED, failure))
        else:
            log_confinement()
            self._post(ModelReady())
            self._post_recordings()

    def _unload(self) -> None:
        if self._scanner:
            self._scanner.__exit__()
        self._scanner = None

    def _refuse(self, trouble: Trouble) -> None:
        _log.error("%s %s", trouble.message, trouble.remedy)
        self._unload()
        self._crash_guard.use(self._visits.history)
        self._refusal = trouble
        self._post(Refused(trouble))

    def _scan(self, batch: Batch, clip: Path) -> None:
        if self._scanner is None:
            self._post(Refused(self._refusal))
            return
        try:
            waiting = partial(self._progress, clip, Progress("opening"))
            model = self._scanner.unreadable(clip, "").model
            if known := self._visits.take_over(batch, clip, model, waiting):
                self._keep(batch, clip, known)
                self._post(ClipJudged(clip, clip_result(batch.path_of(clip), known)))
                return
            result = self._judge(self._scanner, batch, clip)
        except Cancelled:
            self._post(ClipSkipped(clip))
            if self._leaving:
                return  # a recording is judged when the program starts again
        except TruelightError as failure:
            self._refuse(Trouble.of(TroubleKind.MODEL_REFUSED, failure))
            return
        else:
            self._store(batch, clip, result)
        self._delete_recording(batch)

    def _judge(self, scanner: Scanner, batch: Batch, clip: Path) -> ScanResult:
        """Judge the clip, unless attempts at it ended the program or the machine."""
        self._crash_guard.use(self._visits.history)
        if refusal := self._crash_guard.begin(clip):
            return ScanResult(batch.named(clip, scanner.unreadable(clip, refusal)), {})
        try:
            self._progress(clip, Progress("opening"))
            progress, folder = partial(self._progress, clip), batch.beneath(clip)
            scanner = scanner.for_first_frames(batch.first)
            result = scanner.scan_with_pictures(clip, progress, beneath=folder)
            return replace(result, finding=batch.named(clip, result.finding))
        finally:
            self._crash_guard.end()

    def _progress(self, clip: Path, progress: Progress) -> None:
        self._last_progress = time.monotonic()
        if self._cancelled.is_set():
            raise Cancelled
        self._post(ScanProgressed(clip, progress))

    def _store(self, batch: Batch, clip: Path, result: ScanResult) -> None:
        finding = result.finding
        if finding.verdict is Verdict.UNREADABLE and not clip.exists():
            # Nothing is wrong with the clip: its stick is gone.
            self._post(ClipSkipped(clip))
            return
        self._visits.add(batch, result)
        self._keep(batch, clip, finding)
        shown = clip_result(batch.path_of(clip), finding)
        fields = {
            "TRUELIGHT_CLIP": one_line(finding.path),
            "TRUELIGHT_VERDICT": finding.verdict,
            "TRUELIGHT_MODEL": f"{finding.model.name} {finding.model.version}",
        }
        fake = finding.fake_probability
        figure = "" if fake is None else f", fake {percent(fake)}"
        _log.info("%s: %s%s", shown.name, shown.verdict, figure, extra=fields)
        self._post(ClipJudged(clip, shown))

    def _finish(self, batch: Batch, ending: Ending) -> None:
        self._last_progress = None  # a report on many clips takes time
        self._delete_recording(batch)
        self._visits.end(batch, ending)
        if batch.origin in (Origin.CAMERA, Origin.WEB):
            self._visits.note(batch.key, batch.page)
            if not self._visits.failure:
                self._release(batch)
        elif ending is Ending.PULLED:
            self._visits.note(batch.key, "The stick was pulled out.")
        else:
            self._report(batch)

    def _report(self, batch: Batch) -> None:
        """Make the report and deliver it; `ReportDone` follows in any case."""
        if batch.origin is Origin.STICK and not self._settings.stick.report:
            self._post(ReportDone(batch.key, False, "Safe to remove."))
            return
        from edge.history.report import make_report

        try:
            visit, entries = self._visits.read(batch)
            manifest = described_manifest(self._settings.bundle_folder)
            language = self._settings.language.report
            report = make_report(visit, entries, manifest, self._visits.full, language)
            self._deliver(batch, entries, report)
        except Exception:
            _log.exception("The report on %s failed.", one_line(batch.name))
            self._post(ReportDone(batch.key, False, "The report failed. Safe to remove."))

    def _post_recordings(self) -> None:
        """Recordings that were not judged before the program ended are judged now, once."""
        folder, self._recordings = self._recordings, None
        if folder and not self._settings.camera.keep:
            for batch in recordings_in(folder):
                self._post(ClipsArrived(batch))

    def _delete_recording(self, batch: Batch) -> None:
        if not self._settings.camera.keep:
            delete_recording(batch)
