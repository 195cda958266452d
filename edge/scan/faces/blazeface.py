"""MediaPipe's BlazeFace by LiteRT: full range for most faces, short range for very near ones.

The network's input is a square with the picture letterboxed in it. Every anchor (a point of a
fixed grid) gives a score, a box and six points relative to itself; neighbouring anchors find the
same face, so their boxes are averaged by score.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge.finding import Box
from edge.scan.faces.detector import FULL_RANGE, SHORT_RANGE, Detection, read_model
from edge.scan.frames import CropSpec, Floats, Pixels

# The least scores. Full range at 0.5 instead of MediaPipe's 0.6: on clips of 34
# sources it finds 84 instead of 71 % of faces 11 px wide (as the network sees them), 89 instead of
# 52 % of those as wide as 0.8 of the picture, and still none in 134 pictures without a face.
FULL_RANGE_SCORE = 0.5
SHORT_RANGE_SCORE = 0.5

# Faces of the short-range network count from this part of the picture's longer side on: below, the
# other one is as good (94 % at 0.7), and this one has too many false detections.
NEAR = 0.65

# The overlap from which two boxes are of one face, and the limit of a logit: as MediaPipe.
SAME_FACE = 0.3
LOGIT_LIMIT = 100.0

# The grids of anchors: (cells a side, anchors a cell).
FULL_RANGE_GRIDS = ((48, 1),)
SHORT_RANGE_GRIDS = ((16, 2), (8, 6))

# Makes the short-range box span what the full-range one does, where both find a face (4,593 faces
# of 269 clips): a little larger and higher, and moved aside by this share of the way from its
# centre to the eyes' (the full-range box of a turned head lies more over its face). What is left:
# 0.013 of the box across, 0.017 down, 0.035 of its size (half of the middle 68 %).
SHORT_RANGE_BOX = CropSpec(side=0, scale=1.06, shift_y=-0.052)
EYES_SHARE = 0.8

# Of a large picture this many pixels a side are averaged for one of the network's: enough against
# aliasing, and the cost does not grow with the resolution.
SAMPLES = 4


class BlazeFace:
    """The default detector. Heads may be tilted: on clips of 34 sources 98 % at 50 degrees."""

    def __init__(self) -> None:
        self._full = _Network(FULL_RANGE, FULL_RANGE_GRIDS, FULL_RANGE_SCORE)
        self._short = _Network(SHORT_RANGE, SHORT_RANGE_GRIDS, SHORT_RANGE_SCORE)

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces in `pixels` (uint8 `[h, w, 3]` RGB), best score first.

        Faces down to about 1/16 of the picture's longer side are found. The full-range network
        misses those that fill the picture: if it finds nothing, the short-range one is run.
        """
        return self._full.detect(pixels) or self._near(pixels)

    def detect_close(self, pixels: Pixels) -> list[Detection]:
        """Faces that take a fifth or more of `pixels`, best score first: in a third of the time."""
        return [replace(face, box=_as_full_range(face)) for face in self._short.detect(pixels)]

    def _near(self, pixels: Pixels) -> list[Detection]:
        least = NEAR * max(pixels.shape[:2])
        return [face for face in self.detect_close(pixels) if face.box.width >= least]


def _as_full_range(face: Detection) -> Box:
    """The box that the full-range network would give a face of the short-range one."""
    box = face.box
    eyes = float(face.keypoints[:2, 0].mean())
    aside = EYES_SHARE * (eyes - box.x - box.width / 2)
    return SHORT_RANGE_BOX.square(box.model_copy(update={"x": box.x + aside}))


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Discard what LiteRT writes to stderr when it starts; it has no quiet mode."""
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


class _Network:
    """One BlazeFace network with its anchors."""

    def __init__(self, file: str, grids: tuple[tuple[int, int], ...], least_score: float) -> None:
        # One thread: a second one is not faster, and the other core has other work.
        model = read_model(file)
        with _quiet_stderr():
            self._interpreter = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        outputs = self._interpreter.get_output_details()
        self._boxes = next(o["index"] for o in outputs if o["shape"][-1] == 16)
        self._scores = next(o["index"] for o in outputs if o["shape"][-1] == 1)
        self._side = int(self._input["shape"][1])
        self._anchors = np.concatenate([_grid(cells, each) for cells, each in grids])
        self._least_logit = float(np.log(least_score / (1 - least_score)))

    def detect(self, pixels: Pixels) -> list[Detection]:
        letterbox = _letterbox(pixels, self._side)
        self._interpreter.set_tensor(self._input["index"], letterbox.picture)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        kept = logits >= self._least_logit
        if not kept.any():
            return []
        scores = 1 / (1 + np.exp(-np.clip(logits[kept], -LOGIT_LIMIT, LOGIT_LIMIT)))
        answers = self._interpreter.get_tensor(self._boxes)[0, kept].reshape(-1, 8, 2)
        # Rows: centre, size, six points; the size alone is not relative to the anchor.
        points = answers / self._side + self._anchors[kept, None]
        points[:, 1] = answers[:, 1] / self._side
        return [letterbox.detection(*face) for face in _blend(points, scores)]


@dataclass(frozen=True)
class _Letterbox:
    picture: Floats  # [1, side, side, 3], -1 to 1
    unit: float  # the square's side in pixels of the original
    left: float  # the bars, as a part of the square's side
    top: float

    def detection(self, points: Floats, score: float) -> Detection:
        """Turn [8, 2] (centre, size, six points; parts of the square) into pixels."""
        bars = np.array([self.left, self.top], np.float32)
        centre, size = (points[0] - bars) * self.unit, points[1] * self.unit
        x, y = centre - size / 2
        box = Box(x=float(x), y=float(y), width=float(size[0]), height=float(size[1]))
        return Detection(box, score, ((points[2:] - bars) * self.unit).astype(np.float32))


def _letterbox(pixels: Pixels, side: int) -> _Letterbox:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    wide, high = (max(1, round(edge * side / longest)) for edge in (width, height))
    small: cv2.typing.MatLike = pixels
    if longest > side * SAMPLES:
        sampled = (wide * SAMPLES, high * SAMPLES)
        small = cv2.resize(small, sampled, interpolation=cv2.INTER_NEAREST)
    how = cv2.INTER_AREA if longest > side else cv2.INTER_LINEAR
    small = cv2.resize(small, (wide, high), interpolation=how)
    left, top = (side - wide) // 2, (side - high) // 2
    picture = np.full((1, side, side, 3), -1.0, np.float32)
    picture[0, top : top + high, left : left + wide] = small * np.float32(1 / 127.5) - 1
    return _Letterbox(picture, longest, left / side, top / side)


def _grid(cells: int, each: int) -> Floats:
    centres = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(centres, centres)
    return np.stack([x, y], axis=-1).reshape(-1, 2).repeat(each, axis=0).astype(np.float32)


def _blend(points: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """Merge overlapping boxes: `[n, 8, 2]` and `[n]` -> a list of (`[8, 2]`, score), best first.

    The best box gives the score; all that overlap it are averaged, weighted by score.
    """
    faces = []
    order = np.argsort(-scores, kind="stable")
    while order.size:
        same = _overlaps(points[order[0]], points[order]) > SAME_FACE
        same[0] = True
        group = order[same]
        weights = scores[group] / scores[group].sum()
        faces.append((np.tensordot(weights, points[group], axes=1), float(scores[order[0]])))
        order = order[~same]
    return faces


def _overlaps(one: Floats, many: Floats) -> Floats:
    """Intersection over union of [8, 2] with each of [n, 8, 2] (rows: centre, size, points)."""
    low = np.maximum(one[0] - one[1] / 2, many[:, 0] - many[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, many[:, 0] + many[:, 1] / 2)
    both = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(one[1]) + np.prod(many[:, 1], axis=1) - both
    return np.asarray(both / np.maximum(union, 1e-9), np.float32)
