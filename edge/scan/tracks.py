"""The faces of one clip: each frame's faces are found, tracked and cut; the best views are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from edge.finding import Box, Face, Quality, WindowScore
from edge.scan.faces.crops import Crop, cut, detail, portrait, upright
from edge.scan.faces.detector import Detection, load_detector
from edge.scan.faces.first_frames import FirstFrames
from edge.scan.faces.search import FaceSearch
from edge.scan.faces.tracker import TrackedFace, Tracker
from edge.scan.frames import PORTRAIT, CropSpec, Frame, Pixels
from edge.settings_schema import FaceSettings

MOST_KEPT: Final = 192
"""Best crops of all faces of a clip: 29 MB at 224 px."""


class FacePipeline:
    """A loaded detector and how faces are cut for the model: everything that outlasts a clip."""

    def __init__(
        self, settings: FaceSettings, crop: CropSpec, best: tuple[CropSpec, int] | None = None
    ) -> None:
        """Load the detector. With `best`, up to that number of best crops of each face is kept.

        Raises TruelightError: its model or its library is not on this machine.
        """
        self._detector = load_detector(settings.detector)
        self._settings = settings
        self._crop = crop
        self._best = best

    def start_clip(self, before: ClipFaces | None = None) -> ClipFaces:
        """For one clip, from its first frame on, or for what lies behind it in the same file."""
        settings = self._settings
        search = FaceSearch(self._detector, settings.most, settings.least_score)
        if before is not None:
            return before.next_part(search)
        return ClipFaces(search, self._crop, BestCrops(*self._best) if self._best else None)


class ClipFaces:
    """The faces of one clip, or of one part of a file, frame after frame.

    Their ids begin behind `last_id`.
    """

    def __init__(
        self, search: FaceSearch, crop: CropSpec, best: BestCrops | None, last_id: int = 0
    ) -> None:
        self.tracks: dict[int, Track] = {}
        self.frames = 0
        """Frames so far."""
        self.frames_with_face = 0
        self.first = FirstFrames()
        self._search = search
        self._tracker = Tracker(last_id)
        self._crop = crop
        self._best = best
        self._last_id = last_id
        self._steps: list[float] = []
        self._last = (-1, 0.0)

    @property
    def most_in_a_frame(self) -> int:
        """The most faces that were found in one frame, whether they were followed or not."""
        return self._search.most_found

    @property
    def step(self) -> float:
        """Seconds of the clip that a frame stands for; 0 for a single one."""
        return median(self._steps) if self._steps else 0.0

    def next_part(self, search: FaceSearch) -> ClipFaces:
        """For the next part of the file: nobody is tracked from one to the other."""
        last_id = max(self.tracks, default=self._last_id)
        return ClipFaces(search, self._crop, self._best, last_id)

    def best_crops(self, track: int) -> list[Pixels]:
        """The best crops of a face, in the order of time; empty if none are kept."""
        return self._best.crops(track) if self._best else []

    def add(self, frame: Frame) -> list[tuple[TrackedFace, Crop]]:
        """Take the clip's next frame: its faces with their tracks, and their crops."""
        window, time = self._last
        if window == frame.window:
            self._steps.append(frame.time - time)
        self._last = (frame.window, frame.time)
        tracked = self._tracker.step(frame, self._search.detect(frame))
        if self._tracker.changed:
            self._search.faces_changed()
        faces = [(face, self._cut(frame.pixels, face.detection)) for face in tracked]
        for face, crop in faces:
            track = self.tracks.setdefault(face.track, Track(face.track))
            track.add(frame.pixels, frame.time, face.detection, crop)
            if self._best:
                self._best.add(face.track, frame.pixels, face.detection, crop.quality)
        self.first.add(frame.pixels, (face.detection.box for face in tracked))
        self.frames += 1
        self.frames_with_face += bool(faces)
        return faces

    def _cut(self, pixels: Pixels, face: Detection) -> Crop:
        return cut(pixels, face.box, self._crop, face.roll)


class Track:
    """One face tracked through the clip: at least one detection."""

    portrait: Pixels
    """The best view, for people: uint8 `[s, s, 3]` RGB."""
    best: Pixels
    """The model's crop of the same frame: uint8 `[side, side, 3]` RGB."""

    def __init__(self, id_: int) -> None:
        self._id = id_
        self._times: list[float] = []
        self._boxes: list[Box] = []
        self._qualities: list[Quality] = []
        self._detail = -1.0

    def add(self, pixels: Pixels, time: float, face: Detection, crop: Crop) -> None:
        """The face was found in a frame (uint8 `[h, w, 3]` RGB), and cut."""
        self._times.append(time)
        self._boxes.append(face.box)
        self._qualities.append(crop.quality)
        shown = detail(crop.quality, PORTRAIT)
        if shown > self._detail:
            self._detail, self.best = shown, crop.pixels
            self.portrait = portrait(pixels, face.box, face.roll)

    def face(self, windows: tuple[WindowScore, ...] = (), part: int = 0) -> Face:
        """The face as the finding has it, scored by window but not yet judged."""
        return Face(
            id=self._id,
            part=part,
            first_second=self._times[0],
            last_second=self._times[-1],
            frames=len(self._times),
            box=self._boxes[len(self._boxes) // 2],
            quality=Quality(
                face_px=median(quality.face_px for quality in self._qualities),
                light=median(quality.light for quality in self._qualities),
                sharpness=median(quality.sharpness for quality in self._qualities),
                roll=median(quality.roll for quality in self._qualities),
                warmth=median(quality.warmth for quality in self._qualities),
                fine_detail=self._fine_detail(),
            ),
            counted=False,
            fake_probability=None,
            windows=windows,
        )

    def _fine_detail(self) -> float | None:
        measured = [quality.fine_detail for quality in self._qualities]
        known = [value for value in measured if value is not None]
        return median(known) if known else None


class BestCrops:
    """A few crops of each face with much detail, spread over the time that it is seen.

    How long a face will be seen is not known beforehand. So its detections are divided into
    stretches of equal length, and the best crop of each is kept; when there are twice as many
    stretches as crops are wanted, neighbours are merged and later ones are twice as long.
    """

    def __init__(self, crop: CropSpec, most: int) -> None:
        """Keep up to `most` crops of each face, cut as `crop` says."""
        self._crop = crop
        self._most = most
        self._faces: dict[int, _Stretches] = {}

    def add(self, track: int, pixels: Pixels, face: Detection, quality: Quality) -> None:
        """Take a detection: a face of a frame (uint8 `[h, w, 3]` RGB)."""
        kept = self._faces.setdefault(track, _Stretches())
        merit = detail(quality, self._crop)
        kept.offer(merit, lambda: upright(pixels, face.box, self._crop, face.roll), self._most)
        if sum(len(each.best) for each in self._faces.values()) > MOST_KEPT:
            # The face that was seen least is least likely to count.
            del self._faces[min(self._faces, key=lambda each: self._faces[each].seen)]

    def crops(self, track: int) -> list[Pixels]:
        """A face's crops, uint8 `[side, side, 3]` RGB, in the order of time; may be empty."""
        face = self._faces.get(track, _Stretches())
        return [kept.pixels for kept in _merged(face.best, self._most)]


@dataclass(frozen=True)
class _KeptCrop:
    detail: float
    pixels: Pixels


@dataclass
class _Stretches:
    """The best crop of each stretch of one face, in the order of time."""

    seen: int = 0
    """Detections so far."""
    length: int = 1
    """Detections in a stretch."""
    best: list[_KeptCrop] = field(default_factory=list)

    def offer(self, merit: float, crop: Callable[[], Pixels], most: int) -> None:
        """Keep the next detection's crop if it is its stretch's best; else it is not even cut."""
        stretch, self.seen = self.seen // self.length, self.seen + 1
        if stretch == len(self.best):
            self.best.append(_KeptCrop(merit, crop()))
        elif merit > self.best[stretch].detail:
            self.best[stretch] = _KeptCrop(merit, crop())
        if len(self.best) == 2 * most and self.seen == self.length * 2 * most:
            self.best = _merged(self.best, most)
            self.length *= 2


def _merged(best: list[_KeptCrop], most: int) -> list[_KeptCrop]:
    """The best of each of `most` groups of neighbours of nearly equal size."""
    count = min(most, len(best))
    edges = [len(best) * group // max(count, 1) for group in range(count + 1)]
    groups = (best[start:end] for start, end in pairwise(edges))
    return [max(group, key=lambda kept: kept.detail) for group in groups]
