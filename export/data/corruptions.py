"""Faces of real clips, and the same faces made smaller, darker or more blurred.

Only what lies around a face is changed, not the whole clip: the detector and the follower have seen
the good frames. So this tells when the judging fails, not when the finding does. What is changed is
encoded again (JPEG) and then cut and measured by the code that cuts and measures in a scan; the
unchanged faces it is compared with are encoded again, too.
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
from edge.scan.faces.crops import Crop, CropSpec, cut, measure
from edge.scan.faces.detector import Pixels
from edge.scan.faces.search import FacePipeline
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling

JPEG_QUALITY = 75
LARGEST = 256  # px of a face box
AROUND = 0.3  # of the face box's longer side, kept on each side of the crop's square
MOST_BLUR = 0.2  # sigma, in sides of the face
HALVINGS = 9  # of the range of blurs, when one is looked for


@dataclass(frozen=True)
class Seen:
    """A face in one frame: what is around it, uint8 `[h, w, 3]` RGB, and its box in there."""

    window: int
    time: float
    pixels: Pixels
    box: Box
    crop: Crop
    """As the scan cut it, of the frame as it was."""


Change = Callable[[Seen], tuple[Pixels, Box]]


def follow(path: Path, eyes: FacePipeline, sampling: Sampling, spec: CropSpec) -> list[Seen]:
    """The face of a clip that is seen most often, in the order of time.

    A clip without a face, or that cannot be read, gives none.
    """
    tracks: dict[int, list[Seen]] = defaultdict(list)
    gaze = eyes.gaze()
    try:
        with open_clip(path, sampling) as clip:
            for frame in clip.frames():
                for sighting, crop in gaze.find(frame):
                    box = sighting.detection.box
                    pixels, within = _around(frame.pixels, box, spec)
                    tracks[sighting.track].append(
                        Seen(frame.window, frame.time, pixels, within, crop)
                    )
    except ClipError:
        return []
    return max(tracks.values(), key=len, default=[])


def quality(crops: Sequence[Crop]) -> Quality:
    """The median over crops, as a track's quality is."""
    return Quality(
        face_px=median(crop.quality.face_px for crop in crops),
        light=median(crop.quality.light for crop in crops),
        sharpness=median(crop.quality.sharpness for crop in crops),
    )


def worsened(seen: Seen, change: Change, spec: CropSpec) -> Crop:
    """The face as a scan would see it after `change`."""
    pixels, box = change(seen)
    return cut(_encoded(pixels), box, spec)


def unchanged(seen: Seen) -> tuple[Pixels, Box]:
    """As it is."""
    return seen.pixels, seen.box


def smaller(share: float) -> Change:
    """To a share of the size."""

    def change(seen: Seen) -> tuple[Pixels, Box]:
        return _scaled(seen.pixels, seen.box, share)

    return change


def darker(share: float) -> Change:
    """To a share of each pixel's value.

    That is less light on the scene, too: what encodes light is nearly a power of it. The noise that
    a camera adds in the dark is not there.
    """

    def change(seen: Seen) -> tuple[Pixels, Box]:
        return np.round(seen.pixels * share).astype(np.uint8), seen.box

    return change


def blurred(sigma: float) -> Change:
    """By a normal curve, `sigma` in sides of the face."""

    def change(seen: Seen) -> tuple[Pixels, Box]:
        radius = max(sigma * max(seen.box.width, seen.box.height), 1e-3)
        return np.asarray(cv2.GaussianBlur(seen.pixels, (0, 0), radius), np.uint8), seen.box

    return change


def blur_to(seen: Seen, sharpness: float) -> Change:
    """The blur after which a face measures this sharpness, or the strongest there is."""
    low, high = 0.0, MOST_BLUR
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        pixels, box = blurred(middle)(seen)
        if measure(_encoded(pixels), box).sharpness > sharpness:
            low = middle
        else:
            high = middle
    return blurred(high)


def _around(pixels: Pixels, box: Box, spec: CropSpec) -> tuple[Pixels, Box]:
    """A copy of what is around a face, within the frame, and the face's box in it.

    A very large face is made smaller, which saves time and no crop shows.
    """
    square, longest = spec.square(box), max(box.width, box.height)
    margin = AROUND * longest
    height, width = pixels.shape[:2]
    left = max(0, int(min(square.x, box.x) - margin))
    top = max(0, int(min(square.y, box.y) - margin))
    right = min(width, int(max(square.x + square.width, box.x + box.width) + margin) + 1)
    bottom = min(height, int(max(square.y + square.height, box.y + box.height) + margin) + 1)
    within = Box(x=box.x - left, y=box.y - top, width=box.width, height=box.height)
    part = pixels[top:bottom, left:right]
    if longest > LARGEST:
        return _scaled(part, within, LARGEST / longest)
    return part.copy(), within


def _scaled(pixels: Pixels, box: Box, share: float) -> tuple[Pixels, Box]:
    """To a share of the size, at whole pixels."""
    height, width = pixels.shape[:2]
    small_width, small_height = (max(1, round(share * side)) for side in (width, height))
    x, y = small_width / width, small_height / height
    small = cv2.resize(pixels, (small_width, small_height), interpolation=cv2.INTER_AREA)
    within = Box(x=box.x * x, y=box.y * y, width=box.width * x, height=box.height * y)
    return np.asarray(small, np.uint8), within


def _encoded(pixels: Pixels) -> Pixels:
    """Through JPEG, uint8 `[h, w, 3]` RGB."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None  # what was just encoded decodes
    return np.asarray(again[..., ::-1], np.uint8)
