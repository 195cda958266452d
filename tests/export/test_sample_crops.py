"""Crops to calibrate with are cut from clips as the box cuts them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from checkpoints import noise
from clips import write_clip

from edge.errors import TruelightError
from edge.scan.faces.crops import cut
from edge.scan.faces.detector import load_detector
from edge.scan.frames import CropSpec
from export.data.crop_folders import sample_crops

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "samples"))
from faces import fetch_faces  # noqa: E402  (samples/ is no package)

SPEC = CropSpec(side=64, scale=1.2, shift_y=-0.1)


def ignore(done: int, total: int) -> None:
    pass


def test_crops_of_clips_are_cut_as_in_a_scan(tmp_path: Path) -> None:
    photo = cv2.imread(str(fetch_faces(ROOT / "third_party" / "faces")["coelho"]))
    assert photo is not None
    picture = np.ascontiguousarray(cv2.resize(photo, (300, 376))[..., ::-1], np.uint8)
    write_clip(tmp_path / "face.mp4", [picture] * 20)
    write_clip(tmp_path / "nobody.mp4", list(noise(20, 320, seed=6)))
    (tmp_path / "notes.txt").write_text("No clip at all.\n")
    material = sample_crops(tmp_path, SPEC, 256, ignore)
    box = max((face.box for face in load_detector().detect(picture)), key=lambda box: box.width)
    expected = cut(picture, box, SPEC).pixels
    assert material.fakes is None
    assert len(material.crops) >= 1
    for crop in material.crops:
        assert np.abs(crop.astype(float) - expected).mean() < 10


def test_images_are_taken_as_crops(crops: Path) -> None:
    material = sample_crops(crops, SPEC, 10, ignore)
    assert material.crops.shape == (10, 64, 64, 3)
    assert material.crops.dtype == np.uint8
    assert material.fakes is not None
    assert 0 < sum(material.fakes) < 10


def test_folders_without_a_face_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "nobody.mp4", list(noise(5, 320, seed=6)))
    with pytest.raises(TruelightError, match="No face was found"):
        sample_crops(tmp_path, SPEC, 10, ignore)
    with pytest.raises(TruelightError, match="is not a folder"):
        sample_crops(tmp_path / "missing", SPEC, 10, ignore)
