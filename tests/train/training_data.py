"""Faces drawn here, folders of them, and networks small enough to train in a test."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from export.clip.teacher import CacheMetadata
from export.data.folders import Example, TrainingData, read_folder
from export.train.network import Detector

Colour = Callable[[np.ndarray, bool], np.ndarray]


def face_points(side: int) -> np.ndarray:
    """468 points laid over an ellipse as a face's are: brows above, chin below."""
    rng = np.random.default_rng(3)
    angle, radius = rng.uniform(0, 2 * np.pi, 468), np.sqrt(rng.uniform(0, 1, 468))
    points = np.stack([np.cos(angle) * radius * 0.32, np.sin(angle) * radius * 0.42], axis=1) + 0.5
    points[9], points[2], points[152] = (0.5, 0.3), (0.5, 0.6), (0.5, 0.92)
    return (points * side).astype(np.float32)


def scenery(seed: int, side: int = 96) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def greener(image: np.ndarray, fake: bool) -> np.ndarray:
    """What is wrong with the fakes of these folders."""
    green = np.array([0, 90, 0]) if fake else 0
    return np.asarray(np.clip(image.astype(int) + green, 0, 255), np.uint8)


def draw_folder(out: Path, sources: int = 12, colour: Colour = greener, first: int = 0) -> Path:
    """A folder with a real and a fake of each of `sources` sources."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "labels.tsv").open("w", newline="") as table:
        rows = csv.writer(table, delimiter="\t")
        rows.writerow(("file", "label", "source"))
        for number in range(first, first + sources):
            for label in ("REAL", "FAKE"):
                name = f"{number}_{label}.png"
                image = colour(scenery(number), label == "FAKE")
                cv2.imwrite(str(out / name), np.ascontiguousarray(image[..., ::-1]))
                rows.writerow((name, label, f"source {number}"))
    return out


def material(
    pictures: list[Example], rows: dict[str, int] | None = None, blends: bool = True
) -> TrainingData:
    marks = {str(p.path): face_points(1) for p in pictures if not p.fake and blends}
    return TrainingData(pictures, marks, rows or {}, {})


def cache_features(folder: Path, out: Path, width: int = 24) -> Path:
    """Features as a teacher would leave them: what the pictures' colours give by chance."""
    pictures = read_folder(folder)
    mixer = np.random.default_rng(5).normal(size=(12, width))
    small = [cv2.resize(p.read(), (2, 2), interpolation=cv2.INTER_AREA) for p in pictures]
    features = (np.stack(small).reshape(len(pictures), 12) / 128.0 - 1) @ mixer
    out.mkdir(parents=True, exist_ok=True)
    metadata = CacheMetadata(tower="0" * 64, taps="1:mean", side=2, extent=1.0, mirrored=False)
    (out / "teacher.json").write_text(metadata.model_dump_json())
    half = len(pictures) // 2
    for at, part in enumerate((slice(None, half), slice(half, None))):
        names = [p.key for p in pictures[part]]
        np.savez(out / f"{at}.npz", names=names, features=features[part].astype(np.float16))
    return out


def small() -> Detector:
    torch.manual_seed(0)
    return Detector(hidden=8, gate=0.0, layers=(1, 1, 1, 1), width=8, zero_init=True)


def quiet(*_: object) -> None:
    pass


class PowerCutError(Exception):
    pass


def cut(step: int, _: float) -> None:
    if step == 5:
        raise PowerCutError
