"""A stage for people: photographs of real faces move over a drawn wall, and the truth of who is
where at every moment is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import hypot
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.scan.faces.blazeface import BlazeFace
from edge.scan.faces.detector import Detection, FaceDetector
from edge.scan.frames import Frame

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "samples"))  # no package, but the photographs are fetched there
from faces import fetch_faces  # noqa: E402

Pixels = NDArray[np.uint8]
Way = Callable[[float], tuple[float, float]]

HD = (1280, 720)


@cache
def detector() -> FaceDetector:
    return BlazeFace()


@cache
def photos() -> dict[str, Path]:
    """The photographs by name; what set-up has fetched is not fetched again."""
    return fetch_faces(ROOT / "third_party" / "faces")


@cache
def photo(name: str) -> Pixels:
    read = cv2.imread(str(photos()[name]))
    assert read is not None
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


@cache
def cutout(name: str, side: int) -> tuple[Pixels, NDArray[np.float32]]:
    """Head and shoulders with a face box of `side` px, and a soft mask from 0 to 1."""
    box = detector().detect(photo(name))[0].box
    scale = side / box.width
    small = cv2.resize(photo(name), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    middle = ((box.x + box.width / 2) * scale, (box.y + box.height * 0.6) * scale)
    part = cv2.getRectSubPix(small, (2 * side, side * 5 // 2), middle)
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.ellipse(mask, (side, side * 5 // 4), (int(side * 0.9), int(side * 1.18)), 0, 0, 360, 1, -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.02 * side), np.float32)
    return np.asarray(part, np.uint8), soft[..., None]


@dataclass(frozen=True)
class Actor:
    """A person on the stage; `way` tells where the middle of the face box is, of `side` px."""

    name: str
    way: Way
    side: int = 130

    def distance(self, time: float, found: Detection) -> float:
        """From the face to a detection, in sides of the face box."""
        x, y = self.way(time)
        box = found.box
        return hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y) / self.side


@cache
def wall(size: tuple[int, int] = HD, room: int = 0) -> Pixels:
    """Stripes and a window; another `room` has other colours."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    stripes = 25 * np.sin(x / 37 + room) + 15 * np.sin(y / 53)
    planes = np.stack([130 + stripes, 120 + stripes / 2 + y / 20, 105 - stripes / 3], axis=-1)
    planes[80:260, size[0] * 2 // 3 : size[0] * 7 // 8] = (190, 205, 220)
    if room:
        planes = planes[:, ::-1, ::-1] * 0.4 + 20 * room
    return np.asarray(np.clip(planes, 0, 255), np.uint8)


def draw(actors: Sequence[Actor], time: float, behind: Pixels) -> Pixels:
    """The picture at `time`, with a camera's noise; later actors stand in front."""
    frame = behind.copy()
    for actor in actors:
        part, mask = cutout(actor.name, actor.side)
        x, y = actor.way(time)
        left, top = round(x) - actor.side, round(y - 1.15 * actor.side)
        rows = np.arange(max(0, top), min(frame.shape[0], top + part.shape[0]))
        columns = np.arange(max(0, left), min(frame.shape[1], left + part.shape[1]))
        here, there = np.ix_(rows, columns), np.ix_(rows - top, columns - left)
        mixed = part[there] * mask[there] + frame[here] * (1 - mask[there])
        frame[here] = mixed.round().astype(np.uint8)
    noise = np.random.default_rng(round(time * 1000)).integers(0, 97, 1)[0]
    return np.asarray(cv2.add(frame, np.roll(_noise(behind.shape), int(noise)), dtype=cv2.CV_8U))


@cache
def _noise(shape: tuple[int, ...]) -> NDArray[np.int16]:
    return np.random.default_rng(7).normal(0, 2, shape).round().astype(np.int16)


def who(actors: Sequence[Actor], time: float, found: Detection) -> str | None:
    """Whose face a detection is: of those it lies on, the one in front; None if nobody's."""
    on = [actor.name for actor in actors if actor.distance(time, found) < 0.3]
    return on[-1] if on else None


def shoot(
    actors: Sequence[Actor],
    times: Sequence[float],
    size: tuple[int, int] = HD,
    window: Callable[[float], int] = lambda _: 0,
    room: Callable[[float], int] = lambda _: 0,
) -> list[Frame]:
    """The frames of a clip with these actors, read-only as the decoder's are."""
    frames = []
    for index, time in enumerate(times):
        pixels = draw(actors, time, wall(size, room(time)))
        pixels.flags.writeable = False
        frames.append(Frame(index, window(time), time, pixels))
    return frames


def walk(start: tuple[float, float], end: tuple[float, float], begin: float, finish: float) -> Way:
    """A straight way between two places and two moments; standing before and after."""

    def at(time: float) -> tuple[float, float]:
        part = min(1.0, max(0.0, (time - begin) / (finish - begin)))
        return (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))

    return at


def stand(x: float, y: float) -> Way:
    """Standing still."""
    return lambda _: (x, y)
