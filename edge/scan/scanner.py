"""The scanner: from a clip to a finding. The pipeline as one page, read from top to bottom.

The stages overlap: a child process decodes, this thread finds, tracks and cuts the faces, another
thread runs the network, one more hashes the file. What waits between them is bounded.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from edge.scan.begin import decoding_plan
from edge.scan.frames import Pixels
from edge.scan.joint_verdict import TOO_MANY_FACES, in_doubt, reconsider, without_second_opinion
from edge.scan.loading import load_faces, load_network
from edge.scan.media.client import ClipError, OpenClip
from edge.scan.media.clip_file import ClipFile, FileHash
from edge.scan.media.decoders import Decoders
from edge.scan.media.formats import refusal_text
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.confined import ModelProcessError
from edge.scan.model.inference import Inference
from edge.scan.model.manifest import Manifest
from edge.scan.model.second_opinion import SecondModel, find_second
from edge.scan.progress import Cancelled, ProgressListener, ProgressReporter
from edge.scan.reasons import CHANGED, FAILED, limitations, more_faces, withhold_real
from edge.scan.verdict import judge, unreadable
from edge.scan.work import Work
from edge.settings import Settings
from edge.text import path_text

log = logging.getLogger("truelight")

_HASH_SECONDS = 20.0
"""To hash the rest of a file that was judged; a file of 10 TB then has no hash."""
_HASH_SECONDS_UNREADABLE = 2.0


@dataclass(frozen=True, eq=False)
class ScanResult:
    """The result for one clip: the finding and pictures of its faces."""

    finding: Finding
    portraits: dict[int, Pixels] = field(default_factory=dict)
    """The best view of each face of the finding, by id: uint8 `[s, s, 3]` RGB, `s` up to 160."""
    heat: dict[int, Pixels] = field(default_factory=dict)
    """The saliency drawn on the portraits of the faces that count; see `saliency.py`."""
    first_frames: Pixels | None = None
    """The clip's first frames, small, with a box around each face: uint8 `[h, w, 3]` RGB."""


class Scanner:
    """Judges clips, one at a time. A context manager.

    The model and the detector are loaded in the background while the first clip is opened. The
    result of a scan depends on the file, the bundle and the settings only.
    """

    def __init__(self, settings: Settings, decoders: Decoders | None = None) -> None:
        """Start to load what the settings name; `decoders` may have a decoder process ready.

        Raises BundleError if the manifest is not valid; a wrong file is found later, by `scan`.
        """
        self._settings = settings
        self._decoders = decoders or Decoders()
        self._info = read_bundle(settings.bundle_folder)
        second = find_second(settings, self._info.manifest)
        self._second = SecondModel(second, settings) if isinstance(second, BundleInfo) else None
        self._loading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loading")
        self._preparing: Future[None] | None = None
        self._faces = self._loading.submit(load_faces, settings, self._info, self._second)
        self._bundle = self._loading.submit(load_network, settings, self._info)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loading.shutdown(cancel_futures=True)
        if self._second:
            self._second.close()

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self._info.manifest

    def wait(self) -> None:
        """Wait until all is loaded. Raises TruelightError if model or detector cannot be used."""
        self._faces.result()
        self._bundle.result()

    def scan(self, path: Path, listener: ProgressListener | None = None) -> Finding:
        """Judge one clip: the finding of `scan_with_pictures`, which see."""
        return self._scan(path, listener, heat=False).finding

    def scan_with_pictures(
        self,
        path: Path,
        listener: ProgressListener | None = None,
        *,
        beneath: Path | None = None,
    ) -> ScanResult:
        """Judge one clip, reporting the progress to `listener`, and keep pictures of its faces.

        A clip that cannot be judged gives a finding as well: `UNREADABLE`, with the reason. Raises
        TruelightError: the model or the detector cannot be used; no clip could be judged;
        Cancelled: raised by the listener.
        """
        return self._scan(path, listener, heat=self._settings.scan.heat, beneath=beneath)

    def for_first_frames(self, frames: int | None) -> Scanner:
        """The same with the same models, for the first frames of a clip only; None: as it is."""
        if frames is None:
            return self
        other = copy(self)
        other._settings = self._settings.changed("this clip", {"scan.first": frames})
        return other

    def unreadable(self, path: Path, text: str) -> Finding:
        """A finding on a clip that is not scanned: `UNREADABLE`, for the reason `text`."""
        finding = self._new_finding(path)
        with suppress(OSError):  # size and time say which file it is about
            status = path.lstat()
            finding = finding.replaced(size=status.st_size, modified_ns=status.st_mtime_ns)
        return unreadable(finding, text)

    def _new_finding(self, path: Path) -> Finding:
        """The finding that a scan fills step by step."""
        return Finding(
            path=path_text(path),
            sha256=None,
            verdict=Verdict.UNREADABLE,
            fake_probability=None,
            reasons=(),
            model=self._info.model,
            thresholds=self._info.manifest.thresholds,
        )

    def _scan(
        self,
        path: Path,
        listener: ProgressListener | None,
        *,
        heat: bool,
        beneath: Path | None = None,
    ) -> ScanResult:
        progress = ProgressReporter(listener)
        work = Work(self._new_finding(path))
        drawn: dict[int, Pixels] = {}
        try:
            with self._decoders.open_file(path, beneath) as file:
                work.fill(size=file.size, modified_ns=file.modified_ns)
                with FileHash(file.descriptor) as file_hash:
                    self._read_and_judge(file, work, progress)
                    drawn = self._draw_heat(work, progress) if heat else {}
                    read = work.finding.verdict is not Verdict.UNREADABLE
                    seconds = _HASH_SECONDS if read else _HASH_SECONDS_UNREADABLE
                    report = partial(progress.repeat, "judging")
                    work.fill(sha256=file_hash.result(seconds, report))
                if file.changed:
                    work.finding = unreadable(work.finding, CHANGED)
                    work.fill(sha256=None)
        except ClipError as failure:
            work.finding = unreadable(work.finding, str(failure))
        work.seconds["total"] = time.perf_counter() - work.began
        work.fill(seconds=work.seconds)
        portraits = {face.id: work.track(face.id).portrait for face in work.finding.faces}
        return ScanResult(work.finding, portraits, drawn, work.first_frames())

    def _read_and_judge(self, file: ClipFile, work: Work, progress: ProgressReporter) -> None:
        """Open a clip and judge it; a failure with this clip is its finding."""
        progress.report("opening")
        sampling, limits = decoding_plan(self._settings, self.manifest)
        try:
            with OpenClip(file, sampling, limits, self._decoders, progress.repeat) as clip:
                work.fill(clip=clip.clip)
                try:
                    self._score_faces(clip, work, progress)
                finally:
                    work.fill(frames_read=clip.frames_read)
                    work.spend_all(clip.seconds)
            self._decide(work, clip, progress)
            work.finding = withhold_real(work.finding, self.manifest.quality)
        except ClipError as failure:
            work.finding = unreadable(work.finding, refusal_text(failure, Path(work.finding.path)))
        except ModelProcessError as failure:
            work.finding = unreadable(work.finding, str(failure))
        except (TruelightError, Cancelled):
            raise
        except Exception as failure:
            log.exception("%r could not be judged", work.finding.path)
            text = FAILED.format(why=repr(failure))
            work.finding = unreadable(work.finding, text)

    def _score_faces(self, clip: OpenClip, work: Work, progress: ProgressReporter) -> None:
        """Find the faces in all parts of an opened file, and score them meanwhile."""
        until = time.thread_time() + self._settings.decode.budget
        while True:
            self._score_part(clip, work, progress, until)
            if work.stopped or not clip.open_next():
                return

    def _score_part(
        self, clip: OpenClip, work: Work, progress: ProgressReporter, until: float
    ) -> None:
        """Find and score the faces of one part; stop when the thread's time passes `until`."""
        frames = work.frames + clip.expected_frames
        progress.expect(frames, min(frames, self._second.crops) if self._second else 0)
        faces = work.start_part(self._faces.result(), clip)
        with Inference(self._bundle.result, self.manifest, progress.repeat) as inference:
            for frame in clip.frames():
                start = time.perf_counter()
                work.seconds.setdefault("first_frame", start - work.began)
                found = faces.add(frame)
                work.spend("faces", time.perf_counter() - start)
                crops = {face.track: crop.pixels for face, crop in found}
                inference.add(frame.window, frame.time, crops)
                if found and self._second and not self._second.loaded:
                    self._load_second()
                work.fill(frames_scored=work.frames_with_face)
                progress.fake_probability = inference.probability_so_far()
                progress.report("looking", work.frames)
                work.stopped = time.thread_time() > until or work.has_too_many_faces
                if work.stopped:
                    break
            progress.report("judging", work.frames)
            windows = inference.finish()
            work.spend_all(inference.seconds)
        work.finish_part(clip, windows)

    def _load_second(self) -> None:
        """Once there is a face the second model will likely be asked: load it beside the scan."""
        if self._preparing is None and self._second is not None:
            self._preparing = self._loading.submit(self._second.prepare)

    def _decide(self, work: Work, clip: OpenClip, progress: ProgressReporter) -> None:
        """Give the verdict; ask the second model if it lies between the thresholds."""
        rate = self.manifest.window.rate if self.manifest.window.frames == 1 else 0.0
        crowd = more_faces(work.most_in_a_frame, self._settings.faces.most)
        first, *others = (part.context(rate, self._settings.scan.first) for part in work.parts)
        context = replace(
            first,
            damaged=clip.damaged,
            stopped=clip.stopped or work.stopped,
            limitations=(*limitations([part.remarks for part in work.parts]), *crowd),
            parts=tuple(others),
        )
        work.finding = judge(work.finding, self.manifest, context)
        self._ask_second_model(work, progress)
        progress.complete()

    def _ask_second_model(self, work: Work, progress: ProgressReporter) -> None:
        if self._second is None:
            return
        doubtful = in_doubt(work.finding, always=self._second.always)
        if not doubtful:
            return
        start = time.perf_counter()
        crops = {face: work.best_crops(face) for face in doubtful}
        if not all(crops.values()):
            work.finding = without_second_opinion(work.finding, TOO_MANY_FACES)
            return
        progress.expect(work.frames, sum(map(len, crops.values())))
        try:
            answers = self._second.answers(crops, partial(progress.report, "judging", work.frames))
        except TruelightError as failure:
            work.finding = without_second_opinion(work.finding, failure.message)
            return
        seconds = time.perf_counter() - start
        work.spend("second", seconds)
        work.finding = reconsider(work.finding, answers, self._second.info, seconds)

    def _draw_heat(self, work: Work, progress: ProgressReporter) -> dict[int, Pixels]:
        """The saliency of the faces that count; none where that fails."""
        if work.finding.fake_probability is None:
            return {}
        from edge.scan.model.saliency import draw_heat

        start = time.perf_counter()
        views = {face.id: work.track(face.id) for face in work.finding.faces}
        portraits = {face: track.portrait for face, track in views.items()}
        crops, bundle = {face: track.best for face, track in views.items()}, self._bundle.result()
        try:
            return draw_heat(work.finding.faces, portraits, crops, bundle, progress.repeat)
        except Cancelled:
            raise
        except Exception as failure:
            log.warning("The saliency cannot be drawn: %s", failure)
            return {}
        finally:
            work.spend("heat", time.perf_counter() - start)
