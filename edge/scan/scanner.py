"""A clip goes in, a finding comes out.

The stages overlap: a child process decodes, this thread finds, follows and cuts the faces, another
asks the network, one more hashes the file. What waits between them is bounded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self, TypeVar

from edge.errors import TruelightError
from edge.finding import Clip, Face, Finding, Model, Reason, ReasonCode, Verdict
from edge.scan.media.client import ClipError, Limits, OpenClip, open_clip
from edge.scan.media.clip_file import FileHash
from edge.scan.media.sampling import Frame, Sampling
from edge.scan.model.bundle import load_bundle, read_manifest
from edge.scan.model.inference import Inference
from edge.scan.model.manifest import Manifest
from edge.scan.model.second_opinion import SecondModel, SecondOpinionScan, find_second
from edge.scan.progress import Cancelled, ProgressListener, ProgressReporter
from edge.scan.verdict import ClipContext, Judgement, judge
from edge.settings import Settings
from edge.text import path_text

if TYPE_CHECKING:
    from edge.scan.faces.best_crops import BestCrops
    from edge.scan.faces.crops import Crop
    from edge.scan.faces.detector import Pixels
    from edge.scan.faces.search import FacePipeline
    from edge.scan.faces.tracker import TrackedFace
    from edge.scan.tracks import Track

Loaded = TypeVar("Loaded")

log = logging.getLogger("truelight")


@dataclass(frozen=True, eq=False)
class ScanResult:
    """What came of one clip."""

    finding: Finding
    portraits: dict[int, Pixels]
    """Each face of the finding at its best, by its id: uint8 `[s, s, 3]` RGB, `s` up to 160."""
    heat: dict[int, Pixels] = field(default_factory=dict)
    """Where the network looks, drawn on the portraits of the faces that count; see `heat.py`."""


class Scanner:
    """Judges clips, one at a time. A context manager.

    The model and the detector are loaded in the background; the first clip is opened meanwhile.
    What a scan says depends on the file, the bundle and the settings only.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin to load what the settings name.

        Raises:
            BundleError: the bundle does not say what it is. (That its files are the right ones is
                known later: then `scan` raises it.)
        """
        folder = settings.bundle_folder
        self._manifest, sha256 = read_manifest(folder)
        self._settings = settings
        named = self._manifest
        self._model = Model(name=named.name, version=named.version, sha256=sha256)
        second = find_second(settings, named)
        self._adviser = (
            SecondOpinionScan(second, named, settings) if isinstance(second, SecondModel) else None
        )
        self._loading = ThreadPoolExecutor(max_workers=2, thread_name_prefix="loading")
        self._eyes = self._loading.submit(
            _loaded, "The face detector", lambda: _open_eyes(settings, self._manifest)
        )
        self._bundle = self._loading.submit(
            _loaded, "The model", lambda: load_bundle(folder, settings.scan.threads)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loading.shutdown(cancel_futures=True)
        if self._adviser:
            self._adviser.close()

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._manifest

    def wait(self) -> None:
        """Wait until all is loaded.

        Raises:
            TruelightError: the model or the detector cannot be used.
        """
        self._eyes.result()
        self._bundle.result()

    def scan(self, path: Path, listener: ProgressListener | None = None) -> Finding:
        """Judge one clip: the finding of `look`, which tells of what it raises."""
        return self._look(path, listener, heat=False).finding

    def look(self, path: Path, listener: ProgressListener | None = None) -> ScanResult:
        """Judge one clip, telling `listener` how far it is, and keep what its faces look like.

        A clip that cannot be judged gives a finding all the same: `UNREADABLE`, with the reason.

        Raises:
            TruelightError: the model or the detector cannot be used; no clip could be judged.
            Cancelled: the listener wanted an end.
        """
        return self._look(path, listener, heat=self._settings.scan.heat)

    def _look(self, path: Path, listener: ProgressListener | None, *, heat: bool) -> ScanResult:
        start = time.perf_counter()
        notes = _Notes()
        with FileHash(path) as file_hash:
            pace = ProgressReporter(listener)
            judgement = self._attempt(path, notes, pace)
            drawn = self._heat(judgement, notes) if heat else {}
            sha256 = file_hash.result(waiting=lambda: pace.tell("judging", notes.frames))
        finding = Finding(
            path=path_text(path),
            sha256=sha256,
            verdict=judgement.verdict,
            fake_probability=judgement.fake_probability,
            reasons=judgement.reasons,
            faces=judgement.faces,
            clip=notes.clip,
            frames_read=notes.frames_read,
            frames_scored=notes.frames_scored,
            seconds=notes.seconds | {"total": time.perf_counter() - start},
            model=self._model,
            thresholds=judgement.thresholds or self._manifest.thresholds,
            second_opinion=judgement.second_opinion,
        )
        return ScanResult(finding, notes.portraits(judgement.faces), drawn)

    def unread(self, path: Path, text: str) -> Finding:
        """A finding on a clip that is not looked at: `UNREADABLE`, for the reason `text`."""
        judgement = _unreadable(text)
        return Finding(
            path=path_text(path),
            sha256=None,
            verdict=judgement.verdict,
            fake_probability=None,
            reasons=judgement.reasons,
            model=self._model,
            thresholds=self._manifest.thresholds,
        )

    def _heat(self, judgement: Judgement, notes: _Notes) -> dict[int, Pixels]:
        """Where the network looks in the faces that count."""
        if judgement.fake_probability is None:
            return {}
        from edge.scan.model.saliency import draw_heat

        started = time.perf_counter()
        drawn = draw_heat(judgement.faces, notes.tracks, self._bundle.result())
        notes.spend("heat", time.perf_counter() - started)
        return drawn

    def _attempt(self, path: Path, notes: _Notes, pace: ProgressReporter) -> Judgement:
        """Judge a clip; what goes wrong with this one is the judgement."""
        pace.tell("opening")
        window, scan = self._manifest.window, self._settings.scan
        deadline = self._settings.decode.deadline
        sampling = Sampling(window.frames, window.rate, scan.windows, scan.first)
        try:
            limits = Limits(silence=deadline)
            with open_clip(path, sampling, limits, waiting=pace.again) as opened:
                notes.clip = opened.clip
                try:
                    return self._judge(opened, notes, pace)
                finally:
                    notes.frames_read = opened.frames_read
                    notes.seconds |= opened.seconds
        except ClipError as failure:
            return _unreadable(failure.message)
        except (TruelightError, Cancelled):
            raise
        except Exception as failure:
            log.exception("%r could not be judged", path)
            return _unreadable(f"The program failed on this clip: {failure!r}.")

    def _judge(self, opened: OpenClip, notes: _Notes, pace: ProgressReporter) -> Judgement:
        """Look through an opened clip, have its faces scored meanwhile, and decide."""
        pace.expect(opened.expected_frames)
        with Inference(self._bundle.result, 1 / self._manifest.window.rate) as scoring:
            gaze = self._eyes.result().gaze()
            notes.telling = self._adviser.telling() if self._adviser else None
            for frame in opened.frames():
                started = time.perf_counter()
                crops = gaze.find(frame)
                notes.add(frame, crops)
                notes.spend("faces", time.perf_counter() - started)
                faces = {face.track: crop.pixels for face, crop in crops}
                scoring.add(frame.window, frame.time, faces)
                pace.tell("looking", notes.frames)
            pace.tell("judging", notes.frames)
            logits = scoring.finish()
            notes.seconds |= scoring.seconds
        tracks = [track.evidence(logits[track.id], notes.step) for track in notes.tracks.values()]
        first, damaged = self._settings.scan.first, opened.damaged
        seconds = notes.frames * notes.step
        circumstances = ClipContext(notes.frames, seconds, first, damaged)
        return self._reconsider(judge(tracks, self._manifest, circumstances), notes, pace)

    def _reconsider(self, judgement: Judgement, notes: _Notes, pace: ProgressReporter) -> Judgement:
        """Have a second opinion, if there is anybody to ask and the judgement is in doubt."""
        if self._adviser is None or notes.telling is None:
            return judgement
        judgement = self._adviser.consider(judgement, notes.telling, pace.again)
        if judgement.second_opinion:
            notes.spend("second", judgement.second_opinion.seconds)
        return judgement


@dataclass
class _Notes:
    """What is noted while a clip goes by."""

    clip: Clip | None = None
    tracks: dict[int, Track] = field(default_factory=dict)
    frames: int = 0
    frames_read: int = 0
    frames_scored: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    telling: BestCrops | None = None
    """Set if a second model may be asked."""
    _steps: list[float] = field(default_factory=list)
    _last: tuple[int, float] = (-1, 0.0)

    @property
    def step(self) -> float:
        """How much of the clip's time a frame stands for, seconds; 0 for a single one."""
        return median(self._steps) if self._steps else 0.0

    def add(self, frame: Frame, crops: list[tuple[TrackedFace, Crop]]) -> None:
        """Note a frame and the faces in it."""
        self.frames += 1
        self.frames_scored += bool(crops)
        window, moment = self._last
        if window == frame.window:
            self._steps.append(frame.time - moment)
        self._last = (frame.window, frame.time)
        from edge.scan.tracks import Track  # brings OpenCV, which is loaded by now

        for face, crop in crops:
            track = self.tracks.setdefault(face.track, Track(face.track))
            track.add(frame.time, face.detection.box, crop, frame.pixels)
            if self.telling:
                self.telling.add(face.track, frame.pixels, face.detection.box, crop.quality)

    def portraits(self, faces: Sequence[Face]) -> dict[int, Pixels]:
        """What these faces look like."""
        tracks = ((face.id, self.tracks[face.id].portrait) for face in faces)
        return {track: pixels for track, pixels in tracks if pixels is not None}

    def spend(self, stage: str, seconds: float) -> None:
        """Note that a stage took time."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def _loaded(what: str, load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives; whatever keeps it from that is no clip's fault, and is told apart."""
    try:
        return load()
    except TruelightError:
        raise
    except Exception as failure:
        message = f"{what} cannot be loaded: {failure!r}."
        raise TruelightError(message, "Run ./setup.sh again.") from failure


def _open_eyes(settings: Settings, manifest: Manifest) -> FacePipeline:
    # Imported here, that is in the thread that loads: it takes as long as a clip takes to open.
    from edge.scan.faces.search import FacePipeline

    return FacePipeline(settings.faces, manifest)


def _unreadable(text: str) -> Judgement:
    return Judgement(
        Verdict.UNREADABLE, None, (Reason(code=ReasonCode.UNREADABLE, text=text),)
    )  # fmt: skip
