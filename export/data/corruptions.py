"""Faces of clips, and the same faces made smaller, darker or blurred.

Only the surroundings of a face are changed, not the whole clip: detector and tracker work on the
unchanged frames, so only the model's robustness is measured. The corrupted face is encoded again
as JPEG and cut and measured by the code of a scan; the unchanged face it is compared with is
encoded again, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from edge.finding import Box, Quality
from edge.scan.faces.crops import Crop, cut, measure
from edge.scan.frames import CropSpec
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from edge.scan.tracks import FacePipeline
from export.data.augment import jpeg
from export.data.folders import Image

JPEG_QUALITY = 75
MAX_FACE = 256  # px, longer side of a face box
PADDING = 0.3  # kept around the crop's square, as a share of the face box's longer side
MAX_BLUR = 0.2  # sigma as a share of the face's longer side
BISECTIONS = 9  # when a blur is searched for


@dataclass(frozen=True)
class FaceFrame:
    """A face in one frame: its surroundings uint8 [h, w, 3] RGB and the face's box in them."""

    window: int
    time: float
    pixels: Image
    box: Box
    roll: float  # degrees, as `Detection.roll`
    crop: Crop  # as the scan cut it from the whole frame


Corruption = Callable[[FaceFrame], tuple[Image, Box]]


def track_face(
    path: Path, faces: FacePipeline, sampling: Sampling, spec: CropSpec
) -> list[FaceFrame]:
    """The frames, in order, of the face that a clip shows most often.

    Empty for clips that are unreadable or show no face.
    """
    tracks: dict[int, list[FaceFrame]] = defaultdict(list)
    clip_faces = faces.start_clip()
    try:
        with open_clip(path, sampling) as clip:
            for frame in clip.frames():
                for face, crop in clip_faces.add(frame):
                    box, roll = face.detection.box, face.detection.roll
                    pixels, within = _surroundings(frame.pixels, box, spec)
                    tracks[face.track].append(
                        FaceFrame(frame.window, frame.time, pixels, within, roll, crop)
                    )
    except ClipError:
        return []
    return max(tracks.values(), key=len, default=[])


def quality(crops: Sequence[Crop]) -> Quality:
    """The median over crops, as for a track."""
    return Quality(
        face_px=median(crop.quality.face_px for crop in crops),
        light=median(crop.quality.light for crop in crops),
        sharpness=median(crop.quality.sharpness for crop in crops),
        roll=median(crop.quality.roll for crop in crops),
    )


def corrupted(face: FaceFrame, corruption: Corruption, spec: CropSpec) -> Crop:
    """The crop that a scan would cut after `corruption`."""
    pixels, box = corruption(face)
    return cut(jpeg(pixels, JPEG_QUALITY), box, spec, face.roll)


def unchanged(face: FaceFrame) -> tuple[Image, Box]:
    """No corruption."""
    return face.pixels, face.box


def smaller(share: float) -> Corruption:
    """Scale to a share of the size."""
    return lambda face: _scale(face.pixels, face.box, share)


def darker(share: float) -> Corruption:
    """Scale pixel values to a share, which approximates less light but adds no sensor noise."""
    return lambda face: (np.round(face.pixels * share).astype(np.uint8), face.box)


def blurred(sigma: float) -> Corruption:
    """Gaussian blur; `sigma` as a share of the face's longer side."""

    def corruption(face: FaceFrame) -> tuple[Image, Box]:
        radius = max(sigma * max(face.box.width, face.box.height), 1e-3)
        return np.asarray(cv2.GaussianBlur(face.pixels, (0, 0), radius), np.uint8), face.box

    return corruption


def blur_to(face: FaceFrame, sharpness: float) -> Corruption:
    """The blur that reduces a face to this measured sharpness, or the strongest blur."""
    low, high = 0.0, MAX_BLUR
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        pixels, box = blurred(middle)(face)
        if measure(jpeg(pixels, JPEG_QUALITY), box).sharpness > sharpness:
            low = middle
        else:
            high = middle
    return blurred(high)


def _surroundings(pixels: Image, box: Box, spec: CropSpec) -> tuple[Image, Box]:
    """A copy of a face's surroundings and its box in them; very large faces are scaled down."""
    square, longest = spec.square(box), max(box.width, box.height)
    margin = PADDING * longest
    height, width = pixels.shape[:2]
    left = max(0, int(min(square.x, box.x) - margin))
    top = max(0, int(min(square.y, box.y) - margin))
    right = min(width, int(max(square.x + square.width, box.x + box.width) + margin) + 1)
    bottom = min(height, int(max(square.y + square.height, box.y + box.height) + margin) + 1)
    within = Box(x=box.x - left, y=box.y - top, width=box.width, height=box.height)
    part = pixels[top:bottom, left:right]
    if longest > MAX_FACE:
        return _scale(part, within, MAX_FACE / longest)
    return part.copy(), within


def _scale(pixels: Image, box: Box, share: float) -> tuple[Image, Box]:
    """Resize to whole pixels, and the box with it."""
    height, width = pixels.shape[:2]
    size = max(1, round(share * width)), max(1, round(share * height))
    x, y = size[0] / width, size[1] / height
    within = Box(x=box.x * x, y=box.y * y, width=box.width * x, height=box.height * y)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), within
