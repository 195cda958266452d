"""Which crops of a face are kept for a second opinion, and how many of all."""

import numpy as np
import pytest

from edge.finding import Box, Quality
from edge.scan.faces.best_crops import MOST_KEPT, BestCrops
from edge.scan.faces.crops import CropSpec, cut

SPEC = CropSpec(32, scale=1.5, shift_y=-0.1)
BOX = Box(x=20, y=20, width=40, height=40)


def quality(sharpness: float = 100, face_px: float = 200) -> Quality:
    return Quality(face_px=face_px, light=100, sharpness=sharpness)


def frame(number: int) -> np.ndarray:
    """A frame that tells its number by its colour."""
    return np.full((80, 80, 3), (number % 250, number // 250, 7), np.uint8)


def numbers(telling: BestCrops, face: int = 1) -> list[int]:
    return [int(crop[0, 0, 0]) + 250 * int(crop[0, 0, 1]) for crop in telling.crops(face)]


@pytest.mark.parametrize("seen", [1, 3, 4, 5, 7, 8, 9, 20, 63, 64, 65, 500])
def test_as_many_as_are_wanted_spread_over_the_time(seen: int) -> None:
    telling = BestCrops(SPEC, 4)
    for number in range(seen):
        telling.add(1, frame(number), BOX, quality())
    kept = numbers(telling)
    assert len(kept) == min(4, seen)
    assert kept == sorted(set(kept))
    gaps = np.diff([0, *kept, seen])
    assert gaps.max() <= max(1, seen // 2)


def test_the_best_of_each_stretch_is_kept() -> None:
    telling = BestCrops(SPEC, 4)
    best = {3, 18, 40, 63}
    for number in range(64):
        telling.add(1, frame(number), BOX, quality(sharpness=200 if number in best else 100))
    assert set(numbers(telling)) == best


def test_more_pixels_than_a_crop_shows_make_it_no_better() -> None:
    telling = BestCrops(SPEC, 1)
    enough = SPEC.side / SPEC.scale
    telling.add(1, frame(0), BOX, quality(face_px=enough / 2))
    telling.add(1, frame(1), BOX, quality(face_px=enough))
    telling.add(1, frame(2), BOX, quality(face_px=enough * 4))
    assert numbers(telling) == [1]


def test_crops_are_cut_as_the_model_wants_them_and_outlive_the_frame() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    telling = BestCrops(SPEC, 2)
    telling.add(1, pixels, BOX, quality())
    expected = cut(pixels, BOX, SPEC).pixels
    pixels[:] = 0
    (crop,) = telling.crops(1)
    assert np.array_equal(crop, expected)


def test_a_crowd_takes_no_more_memory_than_allowed() -> None:
    telling = BestCrops(SPEC, 8)
    people = MOST_KEPT // 8
    for number in range(40):
        telling.add(1, frame(number), BOX, quality())
        for passer in range(people):
            telling.add(100 + number * people + passer, frame(number), BOX, quality())
    crowd = range(1, 100 + 40 * people)
    assert sum(len(telling.crops(face)) for face in crowd) <= MOST_KEPT
    assert len(telling.crops(1)) == 8, "who was seen most stays"
    assert telling.crops(-1) == []
