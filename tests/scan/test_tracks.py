from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from stage import detector, photo

from edge.finding import Box
from edge.scan.faces.crops import cut, portrait
from edge.scan.frames import CropSpec
from edge.scan.tracks import Track

CROP = CropSpec(64)


def followed(*frames: np.ndarray) -> Track:
    """A track of the face that stands in the same place in all frames."""
    face = detector().detect(photo("obama"))[0]
    track = Track(1)
    for second, pixels in enumerate(frames):
        scale = pixels.shape[0] / photo("obama").shape[0]
        here = Box(**{name: scale * value for name, value in face.box.model_dump().items()})
        found = replace(face, box=here)
        track.add(pixels, second, found, cut(pixels, here, CROP, found.roll))
    return track


def difference(one: np.ndarray | None, other: np.ndarray | None) -> float:
    assert one is not None
    assert other is not None
    return float(np.abs(one.astype(int) - cv2.resize(other, one.shape[:2])).mean())


def test_the_sharpest_sighting_is_the_portrait() -> None:
    sharp = photo("obama")
    blurred = cv2.GaussianBlur(sharp, (0, 0), sharp.shape[0] / 60)
    alone = followed(sharp).portrait

    assert difference(followed(blurred, sharp, blurred).portrait, alone) == 0
    assert difference(followed(blurred).portrait, alone) > 3


def test_the_crop_that_is_kept_is_of_the_portraits_moment() -> None:
    sharp = photo("obama")
    blurred = cv2.GaussianBlur(sharp, (0, 0), sharp.shape[0] / 60)
    alone = followed(sharp).best

    assert difference(followed(blurred, sharp, blurred).best, alone) == 0
    assert difference(followed(blurred).best, alone) > 3


def test_the_largest_sighting_is_the_portrait() -> None:
    near = photo("obama")
    far = cv2.resize(near, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    alone = followed(near).portrait

    assert difference(followed(far, near, far).portrait, alone) == 0


def test_a_portrait_is_not_enlarged_and_outlives_its_frame() -> None:
    frame = photo("obama").copy()
    small = portrait(frame, Box(x=40, y=40, width=50, height=50))
    assert small.shape == (80, 80, 3)
    before = small.copy()
    frame[:] = 0
    assert np.array_equal(small, before)
