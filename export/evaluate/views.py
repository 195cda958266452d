"""Figures by how the deciding face is seen: size, light, sharpness, tilt and apparent skin tone.

Skin tone is the individual typology angle (Chardin and others, 1991) of the cheeks in the portrait
of a face: ITA = atan((L* - 50) / b*), light from 41 degrees on, dark below 10. It says how the skin
looks in this picture, and depends on the light as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from edge.finding import Finding
from edge.scan.frames import Pixels
from export.evaluate.figures import Group
from export.evaluate.groups import group_values
from export.evaluate.records import PLAIN, Condition, FaceView, Prediction

CHEEKS: Final = ((0.32, 0.41), (0.59, 0.68))
"""Columns of a portrait, as shares of its side."""
CHEEK_ROWS: Final = (0.54, 0.66)

BANDS: Final[Mapping[str, tuple[tuple[str, float, float], ...]]] = {
    "face_px": (
        ("faces up to 80 px", 0, 80),
        ("faces of 80 to 150 px", 80, 150),
        ("faces of 150 to 250 px", 150, 250),
        ("faces above 250 px", 250, math.inf),
    ),
    "sharpness": (
        ("sharpness up to 60", 0, 60),
        ("sharpness of 60 to 200", 60, 200),
        ("sharpness above 200", 200, math.inf),
    ),
    "light": (
        ("light up to 80 of 255", 0, 80),
        ("light of 80 to 130", 80, 130),
        ("light above 130", 130, math.inf),
    ),
    "roll": (
        ("tilt up to 5 degrees", 0, 5),
        ("tilt of 5 to 15 degrees", 5, 15),
        ("tilt above 15 degrees", 15, math.inf),
    ),
    "skin": (
        ("apparent skin light (ITA above 41)", 41, math.inf),
        ("apparent skin intermediate (28 to 41)", 28, 41),
        ("apparent skin tan (10 to 28)", 10, 28),
        ("apparent skin dark (below 10)", -math.inf, 10),
    ),
}
"""By field of a view: names of bands, and from where to below where."""


def view_of(finding: Finding, portraits: Mapping[int, Pixels]) -> FaceView | None:
    """How the face that counts and is seen most is seen; None if no face counts."""
    counted = [face for face in finding.faces if face.counted]
    if not counted:
        return None
    face = max(counted, key=lambda each: each.frames * each.quality.face_px)
    quality = face.quality
    return FaceView(
        face_px=quality.face_px,
        light=quality.light,
        sharpness=quality.sharpness,
        roll=quality.roll,
        skin=typology_angle(portraits[face.id]) if face.id in portraits else None,
    )


def typology_angle(portrait: Pixels) -> float:
    """ITA of the cheeks, degrees, of a portrait uint8 [s, s, 3] RGB."""
    colours = cv2.cvtColor(portrait.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    side = len(portrait)
    top, bottom = (round(side * edge) for edge in CHEEK_ROWS)
    cheeks = [
        colours[top:bottom, round(side * left) : round(side * right)].reshape(-1, 3)
        for left, right in CHEEKS
    ]
    lightness, _, yellow = np.median(np.concatenate(cheeks), axis=0).tolist()
    return math.degrees(math.atan2(lightness - 50, max(yellow, 1e-3)))


def by_view(predictions: Sequence[Prediction]) -> tuple[Group, ...]:
    """A group for each band; with a second opinion if there was one, else as the box judges."""
    second = [p for p in predictions if p.condition == Condition(second=True)]
    chosen = second or [p for p in predictions if p.condition == PLAIN]
    groups = []
    for field, bands in BANDS.items():
        for name, low, high in bands:
            part = [p for p in chosen if _within(p, field, low, high)]
            if part:
                groups.append(Group(**group_values(name, part, intervals=True)))
    return tuple(groups)


def _within(prediction: Prediction, field: str, low: float, high: float) -> bool:
    value = getattr(prediction.view, field) if prediction.view else None
    return value is not None and low <= value < high
