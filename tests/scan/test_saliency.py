"""Where the network looks: in the right place, on the right faces, and only where it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from stage import photo

from edge.finding import Box
from edge.scan.faces.crops import cut, portrait
from edge.scan.frames import Crops, CropSpec, Floats
from edge.scan.model.bundle import Bundle, load_bundle
from edge.scan.model.saliency import heat_map, overlay
from edge.scan.scanner import Scanner
from edge.settings import load_settings


class Peering(Bundle):
    """Sees how sharp one part of the crop is, given by its upper left corner, and nothing else."""

    def __init__(self, whole: Bundle, top: int, left: int, slope: float) -> None:
        self.info = whole.info
        self._part, self._slope = (slice(top, top + 16), slice(left, left + 16)), slope

    def features(self, crops: Crops, output: str = "features") -> Floats:
        seen = crops[:, *self._part].astype(np.float32).mean(-1)
        return np.asarray(seen.std((1, 2))[:, None] * self._slope, np.float32)

    def sequence(self, features: Floats) -> Floats:
        assert features.shape[1:] == (self.manifest.window.frames, 1)
        return np.asarray(features[..., 0].mean(1), np.float32)


@pytest.fixture(scope="module")
def red(bundle: Path) -> Bundle:
    return load_bundle(bundle)


def scenery(side: int = 64) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 48), (24, 24), (48, 8)])
def test_what_speaks_for_fake_is_hot(red: Bundle, top: int, left: int) -> None:
    heat = heat_map(Peering(red, top, left, slope=0.1), scenery())
    assert heat.shape == (64, 64)
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(y - (top + 7.5)) <= 9
    assert abs(x - (left + 7.5)) <= 9
    assert heat[(y + 32) % 64, (x + 32) % 64] < 0


def test_what_speaks_for_real_is_cold(red: Bundle) -> None:
    heat = heat_map(Peering(red, 24, 24, slope=-0.1), scenery())
    assert heat[32, 32] < 0 < heat[4, 4]


def test_hardly_any_heat_has_hardly_any_colour() -> None:
    picture, crop = np.full((160, 160, 3), 128, np.uint8), CropSpec(64)
    heat = np.zeros((64, 64), np.float32)
    cold = overlay(picture, heat, crop)
    assert np.ptp(cold.astype(int), axis=2).max() == 0
    heat[20:40, 20:40] = 0.01
    assert np.abs(overlay(picture, heat, crop).astype(int) - cold).max() <= 4
    heat *= 1000
    assert np.ptp(overlay(picture, heat, crop)[68:80, 68:80].astype(int), axis=2).min() > 100


@pytest.mark.parametrize(
    "crop", [CropSpec(64, 0.96), CropSpec(112, 1.3, shift_y=-0.1), CropSpec(64, 1.9, 0.1, 0.2)]
)
@pytest.mark.parametrize("box", [(301, 202, 90, 120), (9, 8, 60, 60)])
def test_heat_lies_on_what_is_hot(crop: CropSpec, box: tuple[float, ...]) -> None:
    """The network's crop and the portrait are different squares around a face."""
    frame = np.full((600, 800, 3), 40, np.uint8)
    face = Box(**dict(zip(("x", "y", "width", "height"), box, strict=True)))
    x, y = round(face.x + face.width / 3), round(face.y + face.height / 2)
    frame[y - 6 : y + 6, x - 6 : x + 6] = (0, 255, 0)
    shown = portrait(frame, face)
    heat = 10 * (cut(frame, face, crop).pixels[..., 1] > 150).astype(np.float32)
    drawn = overlay(shown, heat, crop).astype(int)
    coloured, marked = drawn[..., 0] - drawn[..., 2] > 60, shown[..., 1] > 150
    assert marked.sum() > 50
    middles = [np.argwhere(mask).mean(0) for mask in (coloured, marked)]
    assert np.abs(middles[0] - middles[1]).max() < 0.03 * len(shown)
    assert (coloured & marked).sum() > 0.6 * (coloured | marked).sum()


# ---- In a scan


@pytest.fixture(scope="module")
def scanner(bundle: Path) -> Iterator[Scanner]:
    with Scanner(load_settings().changed("test", {"model.bundle": str(bundle)})) as scanner:
        yield scanner


def test_every_face_that_counts_is_drawn_on_its_portrait(scanner: Scanner, clips: Path) -> None:
    look = scanner.scan_with_pictures(clips / "two.mp4")
    assert look.finding.seconds["heat"] > 0
    assert set(look.heat) == {1, 2}
    for face, drawn in look.heat.items():
        assert drawn.shape == look.portraits[face].shape
        assert drawn.dtype == np.uint8
        grey = cv2.cvtColor(look.portraits[face], cv2.COLOR_RGB2GRAY)
        around = np.ones(grey.shape, bool)
        around[20:-20, 20:-20] = False  # within, the network looks
        assert np.array_equal(drawn[around], np.repeat(grey[around][:, None], 3, axis=1))
        assert not np.array_equal(drawn[60:100, 60:100, 0], grey[60:100, 60:100])
    again = scanner.scan_with_pictures(clips / "two.mp4").heat
    assert all(np.array_equal(again[face], drawn) for face, drawn in look.heat.items())


def test_nothing_is_drawn_where_nobody_looks(scanner: Scanner, bundle: Path, clips: Path) -> None:
    nobody = scanner.scan_with_pictures(clips / "nobody.mp4")
    assert (nobody.heat, "heat" in nobody.finding.seconds) == ({}, False)
    # Whoever wants the finding alone does not wait for pictures.
    assert "heat" not in scanner.scan(clips / "red.jpg").seconds
    off = load_settings().changed("test", {"model.bundle": str(bundle), "scan.heat": False})
    with Scanner(off) as other:
        look = other.scan_with_pictures(clips / "red.jpg")
    assert (look.heat, "heat" in look.finding.seconds, set(look.portraits)) == ({}, False, {1})


def test_faces_that_do_not_count_are_not_drawn(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    small = cv2.resize(photo("obama"), None, fx=0.08, fy=0.08, interpolation=cv2.INTER_AREA)
    picture = np.full((400, 600, 3), 110, np.uint8)
    picture[100 : 100 + small.shape[0], 100 : 100 + small.shape[1]] = small
    cv2.imwrite(str(tmp_path / "small.png"), picture[..., ::-1])
    look = scanner.scan_with_pictures(tmp_path / "small.png")
    assert [face.counted for face in look.finding.faces] == [False]
    assert (look.heat, set(look.portraits)) == ({}, {1})
