"""A finding while it is being filled: its parts, their faces, and the time spent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.finding import Clip, Finding, Part, WindowScore
from edge.scan.frames import Pixels
from edge.scan.media.client import OpenClip
from edge.scan.media.protocol import Remark
from edge.scan.verdict import ClipContext, seconds_a_frame

if TYPE_CHECKING:
    from edge.scan.tracks import ClipFaces, FacePipeline, Track

MOST_FACES = 500
"""Faces of a file whose pictures are kept: 60 MB. No further frame is scanned then."""


@dataclass
class ScannedPart:
    """A part of the file: what players show, or something beside it."""

    part: Part | None
    clip: Clip
    faces: ClipFaces
    remarks: Mapping[Remark, int] = field(default_factory=dict)

    def context(self, rate: float, first: int | None) -> ClipContext:
        """What the verdict on its faces depends on; `rate` is that of windows of one frame."""
        frames = self.faces.frames
        step = self.faces.step or seconds_a_frame(frames, self.clip.seconds, rate)
        is_still = bool(self.remarks.get(Remark.STILL))
        return ClipContext(frames, step, first, is_still=is_still)


@dataclass
class Work:
    """A finding while it is being filled."""

    finding: Finding
    parts: list[ScannedPart] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    stopped: bool = False
    """Whether finding the faces took the time that a file may take."""

    @property
    def frames(self) -> int:
        """Frames that were scanned so far."""
        return sum(part.faces.frames for part in self.parts)

    @property
    def frames_with_face(self) -> int:
        """Those of them that show a face."""
        return sum(part.faces.frames_with_face for part in self.parts)

    @property
    def most_in_a_frame(self) -> int:
        """The most faces that were found in one frame, whether they were followed or not."""
        return max(part.faces.most_in_a_frame for part in self.parts)

    @property
    def has_too_many_faces(self) -> bool:
        """Whether the pictures of more faces would take too much memory."""
        return sum(len(part.faces.tracks) for part in self.parts) > MOST_FACES

    def start_part(self, pipeline: FacePipeline, clip: OpenClip) -> ClipFaces:
        """The part that was opened: its faces, to be added frame by frame."""
        before = self.parts[-1].faces if self.parts else None
        faces = pipeline.start_clip(before)
        self.parts.append(ScannedPart(clip.part, clip.clip, faces))
        return faces

    def finish_part(self, clip: OpenClip, windows: Mapping[int, tuple[WindowScore, ...]]) -> None:
        """All its frames are scanned; `windows` are the scores of its faces."""
        current, place = self.parts[-1], len(self.parts) - 1
        if place and not current.faces.frames:
            self.parts.pop()  # the remarks count it
            return
        current.remarks = clip.remarks
        faces = (track.face(windows[id_], place) for id_, track in current.faces.tracks.items())
        parts = tuple(each.part for each in self.parts if each.part)
        self.fill(faces=(*self.finding.faces, *faces), parts=parts)

    def fill(self, **values: object) -> None:
        """Fill in fields of the finding."""
        self.finding = self.finding.replaced(**values)

    def track(self, face: int) -> Track:
        """The track of a face of the finding."""
        return self._faces_with(face).tracks[face]

    def first_frames(self) -> Pixels | None:
        """The first frames of what players show, as one picture; None if there are none."""
        return self.parts[0].faces.first.sheet() if self.parts else None

    def best_crops(self, face: int) -> list[Pixels]:
        """The best crops of a face of the finding; empty if none are kept."""
        return self._faces_with(face).best_crops(face)

    def spend(self, stage: str, seconds: float) -> None:
        """Add to the time of a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def spend_all(self, seconds: Mapping[str, float]) -> None:
        """Add to the time of several stages."""
        for stage, spent in seconds.items():
            self.spend(stage, spent)

    def _faces_with(self, face: int) -> ClipFaces:
        return next(part.faces for part in self.parts if face in part.faces.tracks)
