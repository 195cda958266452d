"""Faces that lie on their side or stand on their head: found, cut and shown upright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_image
from frontdoor import ROOT
from stage import HD, Actor, detector, draw, photo, shoot, stand, wall

from edge.finding import Verdict
from edge.scan.faces.crops import cut, upright
from edge.scan.faces.detector import Detection
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import CropSpec, Frame
from edge.scan.scanner import Scanner, ScanResult
from edge.settings import load_settings

ANGLES = (20, 60, 130)


@pytest.fixture(scope="module")
def scanner() -> Iterator[Scanner]:
    alone = {"second_opinion.ask": "never", "model.bundle": str(ROOT / "models" / "truelight")}
    with Scanner(load_settings().changed("test", alone)) as scanner:
        yield scanner


def turned(pixels: np.ndarray, angle: float) -> np.ndarray:
    """The picture turned clockwise; what was not in it is grey."""
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(pixels, int(-angle // 90)))
    height, width = pixels.shape[:2]
    side = int(np.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, (side, side), borderValue=(120,) * 3))


def scanned(scanner: Scanner, folder: Path, pixels: np.ndarray) -> ScanResult:
    path = folder / "turned.png"
    write_image(path, pixels)
    return scanner.scan_with_pictures(path)


@pytest.mark.parametrize("name", ["obama", "biden", "collins"])
def test_a_face_is_judged_and_shown_as_if_it_were_upright(
    scanner: Scanner, tmp_path: Path, name: str
) -> None:
    probability = scanned(scanner, tmp_path, photo(name)).finding.fake_probability
    assert probability is not None
    for angle in (90, 180, 270, *ANGLES):
        result = scanned(scanner, tmp_path, turned(photo(name), angle))
        face = max(result.finding.faces, key=lambda face: face.quality.face_px)
        assert face.quality.roll == pytest.approx(min(angle, 360 - angle), abs=20)
        assert result.finding.verdict is not Verdict.FAKE
        assert face.fake_probability == pytest.approx(probability, abs=0.15)
        (shown,) = detector().detect(result.portraits[face.id])
        assert abs(shown.roll) < 20, angle


def test_a_film_on_its_side_shows_one_face_in_every_frame() -> None:
    times = [index / 4 for index in range(10)]
    frames = shoot([Actor("biden", stand(640, 360), 250)], times)
    for quarters in (1, 2, 3):
        search = FaceSearch(detector())
        for frame in frames:
            pixels = np.ascontiguousarray(np.rot90(frame.pixels, -quarters))
            (found,) = search.detect(Frame(frame.index, 0, frame.time, pixels))
            assert abs((found.roll - 90 * quarters + 180) % 360 - 180) < 15


def test_nobody_is_found_by_turning() -> None:
    for room in (0, 1, 2):
        pixels = draw([], 0.0, wall(HD, room))
        assert FaceSearch(detector()).detect(Frame(0, 0, 0.0, pixels)) == []


def test_quarter_turns_of_a_detection_are_those_of_the_picture() -> None:
    pixels = photo("obama")
    (face,) = detector().detect(pixels)[:1]
    height, width = pixels.shape[:2]
    once = face.turned(1, width, height)
    assert once.turned(3, height, width).box.model_dump() == pytest.approx(face.box.model_dump())
    inner = CropSpec(64, 0.7)
    expected = np.rot90(cut(pixels, face.box, inner).pixels, -1).astype(int)
    got = cut(np.ascontiguousarray(np.rot90(pixels, -1)), once.box, inner).pixels
    assert np.abs(got - expected).mean() < 3


@pytest.mark.parametrize("side", [32, 112, 400])
@pytest.mark.parametrize("angle", [35, 90, 180, -120])
def test_a_turned_crop_shows_what_the_upright_one_does(side: int, angle: int) -> None:
    pixels = photo("obama")
    face: Detection = detector().detect(pixels)[0]
    spec = CropSpec(side, scale=1.2, shift_x=0.1, shift_y=-0.06)
    expected = upright(pixels, face.box, spec).astype(int)
    box = face.box
    centre = (box.x + box.width / 2, box.y + box.height / 2)
    matrix = cv2.getRotationMatrix2D((centre[0] - 0.5, centre[1] - 0.5), -angle, 1)
    moved = np.asarray(cv2.warpAffine(pixels, matrix, pixels.shape[1::-1]), np.uint8)
    got = upright(moved, box, spec, angle)
    assert got.shape == expected.shape
    middle = slice(side // 6, -side // 6)  # away from what the turn moved out of the picture
    assert np.abs(got[middle, middle] - expected[middle, middle]).mean() < 6


def test_a_face_that_is_nearly_upright_is_cut_as_before() -> None:
    pixels = photo("obama")
    box, spec = detector().detect(pixels)[0].box, CropSpec(112, scale=0.96)
    straight = upright(pixels, box, spec, spec.upright_from - 0.1)
    assert np.array_equal(straight, upright(pixels, box, spec))


def test_shrinking_a_turned_face_averages() -> None:
    board = np.indices((600, 600)).sum(axis=0) % 2 * 255
    pixels = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    box = (
        detector()
        .detect(photo("obama"))[0]
        .box.model_copy(update={"x": 100.0, "y": 100.0, "width": 400.0, "height": 400.0})
    )
    crop = upright(pixels, box, CropSpec(64), 45.0)
    assert np.abs(crop.astype(int) - 127).max() < 40
