from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from stage import detector, photo

from edge.finding import Box
from edge.scan.faces.crops import cut, measure
from edge.scan.frames import CropSpec, Pixels


def ramp(width: int = 200, height: int = 160) -> np.ndarray:
    """Red tells the column, green the row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def face(name: str = "obama") -> tuple[np.ndarray, Box]:
    pixels = photo(name)
    return pixels, detector().detect(pixels)[0].box


def test_the_square_lies_where_the_spec_says() -> None:
    box = Box(x=80, y=60, width=30, height=40)

    square = CropSpec(64, scale=1.5, shift_x=0.1, shift_y=-0.25).square(box)

    # The centre (95, 80), moved by a tenth and a quarter of 40; a side of 60.
    assert square == Box(x=69, y=40, width=60, height=60)


def test_the_crop_shows_that_square() -> None:
    crop = cut(ramp(), Box(x=70, y=40, width=60, height=60), CropSpec(60)).pixels

    assert crop.shape == (60, 60, 3)
    assert crop.dtype == np.uint8
    assert np.array_equal(crop, ramp()[40:100, 70:130])


def test_beyond_the_border_the_border_repeats() -> None:
    crop = cut(ramp(), Box(x=-20, y=130, width=60, height=60), CropSpec(60)).pixels

    assert np.array_equal(crop[:30, 20:], ramp()[130:160, :40])
    assert (crop[:, :20, 0] == 0).all()
    assert (crop[30:, :, 1] == 159).all()


@pytest.mark.parametrize("place", [(-500.0, -500.0), (900.0, 40.0)])
def test_a_box_outside_the_frame_gives_a_crop_all_the_same(place: tuple[float, float]) -> None:
    crop = cut(ramp(), Box(x=place[0], y=place[1], width=40, height=40), CropSpec(32))

    assert crop.pixels.shape == (32, 32, 3)


def test_shrinking_averages_fine_patterns() -> None:
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    pixels = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)

    crop = cut(pixels, Box(x=0, y=0, width=256, height=256), CropSpec(100)).pixels

    assert np.abs(crop.astype(int) - 127).max() < 40


def test_the_crop_outlives_the_frame() -> None:
    frame = ramp()
    crop = cut(frame, Box(x=70, y=40, width=60, height=60), CropSpec(60)).pixels
    before = crop.copy()
    frame[:] = 255

    assert np.array_equal(crop, before)


def test_light_is_the_mean_luma_of_the_face() -> None:
    pixels, box = face()
    half = (pixels * 0.5).astype(np.uint8)
    flat = np.full((100, 100, 3), (200, 100, 50), np.uint8)

    assert measure(half, box).light == pytest.approx(measure(pixels, box).light / 2, rel=0.03)
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert measure(flat, Box(x=20, y=20, width=50, height=50)).light == pytest.approx(luma, abs=1)


def test_warmth_tells_skin_from_false_colours() -> None:
    for name in ("obama", "biden", "collins"):
        pixels, box = face(name)
        assert measure(pixels, box).warmth > 0.1
        for false in (255 - pixels, np.ascontiguousarray(pixels[:, :, ::-1])):
            assert measure(false, box).warmth < -0.15


def test_face_px_is_the_side_in_the_clip() -> None:
    assert measure(ramp(), Box(x=20, y=20, width=50, height=44)).face_px == 44


def _uint8(pixels: object) -> Pixels:
    return np.asarray(pixels, np.uint8)


def test_a_blurred_face_is_less_sharp() -> None:
    pixels, box = face()
    sharpness = [measure(pixels, box).sharpness]
    sharpness += [
        measure(_uint8(cv2.GaussianBlur(pixels, (0, 0), part * box.width)), box).sharpness
        for part in (0.01, 0.02, 0.04)
    ]

    assert all(more > 1.5 * less for more, less in pairwise(sharpness))


def test_sharpness_depends_on_neither_resolution_nor_light() -> None:
    pixels, box = face()
    sharpness = measure(pixels, box).sharpness
    larger = cv2.resize(pixels, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
    grown = Box(**{name: 2.5 * value for name, value in box.model_dump().items()})
    darker = (pixels * 0.4).astype(np.uint8)

    assert measure(_uint8(larger), grown).sharpness == pytest.approx(sharpness, rel=0.15)
    assert measure(darker, box).sharpness == pytest.approx(sharpness, rel=0.15)


def test_a_face_enlarged_from_few_pixels_is_not_sharp() -> None:
    pixels, box = face()
    tiny = cv2.resize(pixels, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    blown_up = cv2.resize(tiny, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)

    assert measure(_uint8(blown_up), box).sharpness < measure(pixels, box).sharpness / 4
