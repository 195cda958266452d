"""What people are asked for at the viewfinder, and what they see of it."""

import numpy as np
import pytest

from edge.box.camera_worker import MARGIN, judge_framing, small_image
from edge.box.views.camera import Framing
from edge.finding import Box
from edge.scan.model.manifest import QualityLimits

LIMITS = QualityLimits(face_px=48, light=40)
SCALE = 2.0


def box(side: float, x: float = 100) -> Box:
    return Box(x=x, y=100, width=side, height=side * 1.2)


def frame(luma: int) -> np.ndarray:
    return np.full((360, 640, 3), luma, np.uint8)


ENOUGH = 48 * MARGIN / SCALE
"""Pixels of the viewfinder."""


@pytest.mark.parametrize(
    ("luma", "faces", "aim"),
    [
        (128, [], Framing.NO_FACE),
        (128, [box(ENOUGH - 1)], Framing.CLOSER),
        (128, [box(ENOUGH + 1)], Framing.GOOD),
        (int(40 * MARGIN) - 1, [box(ENOUGH + 1)], Framing.LIGHT),
        (int(40 * MARGIN) + 1, [box(ENOUGH + 1)], Framing.GOOD),
        # In the dark and far away: one thing at a time.
        (5, [box(10)], Framing.CLOSER),
        # Somebody in the background does not matter.
        (128, [box(8, x=400), box(ENOUGH + 1)], Framing.GOOD),
    ],
)
def test_aim(luma: int, faces: list[Box], aim: Framing) -> None:
    assert judge_framing(frame(luma), faces, LIMITS, SCALE) is aim


def test_the_light_is_measured_on_the_face() -> None:
    pixels = frame(250)
    pixels[100:220, 100:200] = 20
    assert judge_framing(pixels, [box(100)], LIMITS, SCALE) is Framing.LIGHT


def test_the_picture_is_small_and_uses_all_of_black_and_white() -> None:
    dull = np.linspace(90, 150, 640, dtype=np.uint8)
    picture = small_image(np.repeat(np.tile(dull, (360, 1))[..., None], 3, axis=2))
    assert picture.shape == (72, 128)
    assert picture.dtype == np.uint8
    assert picture.min() < 16
    assert picture.max() > 240
    assert (np.diff(picture[36].astype(int)) >= -1).all()


def test_a_face_before_a_window_is_seen_to_be_one() -> None:
    pixels = np.full((360, 640, 3), 250, np.uint8)
    pixels[60:340, 160:480] = np.linspace(20, 70, 320).astype(np.uint8)[:, None]
    picture = small_image(pixels).astype(int)
    assert picture[40, 94] - picture[40, 34] > 1.3 * (70 - 20)


@pytest.mark.parametrize("luma", [0, 128, 255])
def test_noise_in_an_even_picture_stays_noise(luma: int) -> None:
    noise = np.random.default_rng(0).integers(-4, 5, (360, 640, 1))
    picture = small_image(np.clip(luma + noise, 0, 255).astype(np.uint8).repeat(3, axis=2))
    assert picture.std() < 10
    assert abs(float(picture.mean()) - luma) < 20


def test_colours_are_weighed_as_eyes_do() -> None:
    pixels = np.zeros((360, 640, 3), np.uint8)
    pixels[:, :320, 1] = 255
    pixels[:, 320:, 2] = 255
    picture = small_image(pixels)
    assert picture[36, 10] > picture[36, 120]
