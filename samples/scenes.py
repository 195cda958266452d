"""The contents of the sample clips: generators of frames, made from photographs of faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from camera import SCENE, HandheldCamera, Pixels, frame_times
from swap import Points, swap


@dataclass(frozen=True)
class Portrait:
    """A photograph, resized so that the face is `FACE` pixels wide or high."""

    pixels: Pixels
    centre: tuple[float, float]  # of the face, px
    points: Points


FACE = 240


def one_person(portrait: Portrait, seed: int) -> Iterator[Pixels]:
    """A face that fills a third of the frame's height."""
    camera = HandheldCamera(seed)
    scene = centred(portrait.pixels, portrait.centre)
    return (camera.frame(scene, second) for second in frame_times(6))


def two_people(left: Portrait, right: Portrait, seed: int) -> Iterator[Pixels]:
    """Two portraits change places; the one from the left passes in front."""
    camera = HandheldCamera(seed)
    hills = landscape()
    front, behind = cut_out(left, 200), cut_out(right, 200)
    for second in frame_times(6):
        path = 0.5 - 0.5 * np.cos(np.pi * np.clip((second - 1) / 4, 0, 1))
        scene = hills.copy()
        paste(scene, behind, (1120 - 640 * path, 430))
        paste(scene, front, (480 + 640 * path, 470))
        yield camera.frame(scene, second)


def pasted_face(base: Portrait, donor: Portrait, seed: int) -> Iterator[Pixels]:
    """A portrait into which the face of another photograph is pasted."""
    camera = HandheldCamera(seed)
    random = np.random.default_rng(seed)
    # As in a frame-by-frame swap, the pasted face jitters against the head.
    forged = [
        centred(
            swap(base.pixels, base.points, donor.pixels, jittered(donor.points, random)),
            base.centre,
        )
        for _ in range(8)
    ]
    for second in frame_times(6):
        frame = camera.frame(forged[int(random.integers(len(forged)))], second)
        yield captioned(frame, "FORGED SAMPLE: face pasted by samples/swap.py")


def too_small(portrait: Portrait, seed: int) -> Iterator[Pixels]:
    """A clip of 426 x 240 pixels: the face is found, but too small to be judged."""
    camera = HandheldCamera(seed)
    scene = landscape()
    paste(scene, cut_out(portrait, 96), (760, 480))
    for second in frame_times(4):
        frame = camera.frame(scene, second)
        yield np.asarray(cv2.resize(frame, (426, 240), interpolation=cv2.INTER_AREA), np.uint8)


def nobody_there(seed: int) -> Iterator[Pixels]:
    """A landscape without people."""
    camera = HandheldCamera(seed)
    scene = landscape()
    return (camera.frame(scene, second) for second in frame_times(4))


def centred(picture: Pixels, face: tuple[float, float]) -> Pixels:
    """Put a picture over a blurred copy of itself, with its face in the centre of the scene."""
    width, height = SCENE
    backdrop = cv2.resize(cv2.GaussianBlur(cv2.resize(picture, (64, 36)), (0, 0), 4), SCENE)
    move = np.array([[1, 0, round(width / 2 - face[0])], [0, 1, round(0.45 * height - face[1])]])
    return np.asarray(
        cv2.warpAffine(picture, move * 1.0, SCENE, dst=backdrop, borderMode=cv2.BORDER_TRANSPARENT),
        np.uint8,
    )


def jittered(points: Points, random: np.random.Generator) -> Points:
    """Return the points with random offsets of about 1 % of the distance of the eyes."""
    deviation = 0.012 * float(np.linalg.norm(points[1] - points[0]))
    return (points + random.normal(0, deviation, points.shape)).astype(np.float32)


def cut_out(portrait: Portrait, side: float) -> tuple[Pixels, Pixels]:
    """Return head and shoulders, and the opacity of each pixel (0 to 255): a soft oval."""
    scale = side / FACE
    picture = cv2.resize(portrait.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wide, high = round(1.05 * side), round(1.35 * side)
    middle = (portrait.centre[0] * scale, portrait.centre[1] * scale + 0.3 * side)
    part = cv2.getRectSubPix(picture, (2 * wide, 2 * high), middle)
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.ellipse(mask, (wide, high), (round(0.9 * wide), round(0.9 * high)), 0, 0, 360, 255, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.03 * side), np.uint8)
    return np.asarray(part, np.uint8), mask


def paste(scene: Pixels, cutout: tuple[Pixels, Pixels], at: tuple[float, float]) -> None:
    """Put a cut-out over the scene, centred at `at` (x, y)."""
    part, mask = cutout
    height, width = mask.shape
    left, top = round(at[0] - width / 2), round(at[1] - height / 2)
    below = scene[top : top + height, left : left + width]
    alpha = mask[..., None] / np.float32(255)
    below[:] = (part * alpha + below * (1 - alpha)).round().astype(np.uint8)


def landscape() -> Pixels:
    """Draw a sky, a sun and three rows of hills."""
    width, height = SCENE
    fall = np.linspace(0, 1, height)[:, None, None]
    sky = np.array([120, 170, 225]) * (1 - fall) + np.array([235, 215, 190]) * fall
    picture = np.tile(sky.round().astype(np.uint8), (1, width, 1))
    cv2.circle(picture, (round(0.78 * width), round(0.22 * height)), 46, (255, 244, 214), -1)
    across = np.arange(width + 1)
    for row, colour in enumerate([(150, 170, 160), (105, 140, 110), (70, 105, 70)]):
        waves = np.sin(across / (150 + 40 * row) + row) + 0.5 * np.sin(across / 61 + 2 * row)
        ridge = np.stack([across, height * (0.5 + 0.14 * row) + 38 * waves], axis=1)
        corners = np.array([[width, height], [0, height]])
        cv2.fillPoly(picture, [np.concatenate([ridge, corners]).astype(np.int32)], colour)
    return picture


def captioned(frame: Pixels, text: str) -> Pixels:
    """Return the frame with a line of text at the bottom."""
    place = (24, frame.shape[0] - 24)
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, thickness, cv2.LINE_AA
        )
    return frame
