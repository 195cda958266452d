"""Which crops of a face are kept for a second opinion, and how many of all."""

import numpy as np
import pytest

from edge.finding import Box, Quality
from edge.scan.faces.crops import cut
from edge.scan.faces.detector import Detection
from edge.scan.frames import CropSpec
from edge.scan.tracks import MOST_KEPT, BestCrops

SPEC = CropSpec(32, scale=1.5, shift_y=-0.1)
BOX = Box(x=20, y=20, width=40, height=40)
EYES_AND_MOUTH = np.array([[35, 30], [45, 30], [40, 40], [40, 50], [25, 35], [55, 35]], np.float32)
FACE = Detection(BOX, 0.9, EYES_AND_MOUTH)


def quality(sharpness: float = 100, face_px: float = 200) -> Quality:
    return Quality(face_px=face_px, light=100, sharpness=sharpness)


def frame(number: int) -> np.ndarray:
    """A frame that tells its number by its colour."""
    return np.full((80, 80, 3), (number % 250, number // 250, 7), np.uint8)


def numbers(kept: BestCrops, face: int = 1) -> list[int]:
    return [int(crop[0, 0, 0]) + 250 * int(crop[0, 0, 1]) for crop in kept.crops(face)]


@pytest.mark.parametrize("seen", [1, 3, 4, 5, 7, 8, 9, 20, 63, 64, 65, 500])
def test_as_many_as_are_wanted_spread_over_the_time(seen: int) -> None:
    kept = BestCrops(SPEC, 4)
    for number in range(seen):
        kept.add(1, frame(number), FACE, quality())
    numbers_kept = numbers(kept)
    assert len(numbers_kept) == min(4, seen)
    assert numbers_kept == sorted(set(numbers_kept))
    gaps = np.diff([0, *numbers_kept, seen])
    assert gaps.max() <= max(1, seen // 2)


def test_the_best_of_each_stretch_is_kept() -> None:
    kept = BestCrops(SPEC, 4)
    best = {3, 18, 40, 63}
    for number in range(64):
        kept.add(1, frame(number), FACE, quality(sharpness=200 if number in best else 100))
    assert set(numbers(kept)) == best


def test_more_pixels_than_a_crop_shows_make_it_no_better() -> None:
    kept = BestCrops(SPEC, 1)
    enough = SPEC.side / SPEC.scale
    kept.add(1, frame(0), FACE, quality(face_px=enough / 2))
    kept.add(1, frame(1), FACE, quality(face_px=enough))
    kept.add(1, frame(2), FACE, quality(face_px=enough * 4))
    assert numbers(kept) == [1]


def test_crops_are_cut_as_the_model_wants_them_and_outlive_the_frame() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    kept = BestCrops(SPEC, 2)
    kept.add(1, pixels, FACE, quality())
    expected = cut(pixels, BOX, SPEC).pixels
    pixels[:] = 0
    (crop,) = kept.crops(1)
    assert np.array_equal(crop, expected)


def test_a_crowd_takes_no_more_memory_than_allowed() -> None:
    kept = BestCrops(SPEC, 8)
    people = MOST_KEPT // 8
    for number in range(40):
        kept.add(1, frame(number), FACE, quality())
        for passer in range(people):
            kept.add(100 + number * people + passer, frame(number), FACE, quality())
    crowd = range(1, 100 + 40 * people)
    assert sum(len(kept.crops(face)) for face in crowd) <= MOST_KEPT
    assert len(kept.crops(1)) == 8, "who was seen most stays"
    assert kept.crops(-1) == []
