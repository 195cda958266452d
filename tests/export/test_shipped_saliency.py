"""The heat map of the model as it is shipped: it tells what moves the score of blended faces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from frontdoor import ROOT

from edge.scan.faces.blazeface import BlazeFace
from edge.scan.faces.crops import cut
from edge.scan.frames import CropSpec
from edge.scan.model.bundle import Bundle, load_bundle
from edge.scan.model.saliency import heat_map
from export.data.blends import LandmarkNet, blend_of

sys.path.insert(0, str(ROOT / "samples"))
from faces import fetch_faces  # (samples/ is no package)

Fill = Callable[[np.ndarray], np.ndarray]
SIDE, MARGIN, BLENDS, TRIES = 224, 1.6, 4, 8


def blurred(crop: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), len(crop) / 10)


def coarse(crop: np.ndarray) -> np.ndarray:
    """Six by six tiles: full of edges."""
    small = cv2.resize(crop, (6, 6), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, crop.shape[:2], interpolation=cv2.INTER_NEAREST)


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(ROOT / "models" / "truelight")


@pytest.fixture(scope="module")
def blends(shipped: Bundle) -> list[np.ndarray]:
    """Faces blended with changed copies of themselves, as the network is given them."""
    return list(_blends(shipped))


def _blends(bundle: Bundle) -> Iterator[np.ndarray]:
    rng, detector, marks = np.random.default_rng(11), BlazeFace(), LandmarkNet()
    inner = bundle.manifest.input.crop_spec.within(CropSpec(SIDE, MARGIN))
    top, left, size = (round(SIDE * part) for part in (inner.y, inner.x, inner.width))
    for file in fetch_faces(ROOT / "third_party" / "faces").values():
        photo = np.asarray(cv2.imread(str(file)))[..., ::-1].copy()
        face = cut(photo, detector.detect(photo)[0].box, CropSpec(SIDE, MARGIN)).pixels
        points, _ = marks(face, MARGIN)
        for _ in range(BLENDS):
            fake = blend_of(face, points, 0.5, rng).fake()
            seen = fake[top : top + size, left : left + size]
            side = bundle.manifest.input.side
            yield cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)


def logits(bundle: Bundle, crops: list[np.ndarray]) -> np.ndarray:
    features = bundle.features(np.stack(crops))
    return bundle.sequence(np.repeat(features[:, None], bundle.manifest.window.frames, axis=1))


# The map is made by filling strips with the mean colour. To judge it by the same would prove less.
@pytest.mark.parametrize("fill", [blurred, coarse])
def test_hiding_the_hottest_fifth_lowers_the_logit_more_than_hiding_a_random_one(
    shipped: Bundle, blends: list[np.ndarray], fill: Fill
) -> None:
    rng = np.random.default_rng(5)
    more = []
    for crop in blends:
        heat, filling = heat_map(shipped, crop), fill(crop)
        hottest = heat >= np.quantile(heat, 0.8)
        # Places of the same size and shape, elsewhere.
        others = [np.roll(hottest, rng.integers(0, len(crop), 2), (0, 1)) for _ in range(TRIES)]
        hidden = [
            np.where(mask[..., None], filling, crop).astype(np.uint8) for mask in (hottest, *others)
        ]
        answers = logits(shipped, hidden)
        more.append(answers[1:].mean() - answers[0])
    assert len(more) == 6 * BLENDS
    error = np.std(more) / np.sqrt(len(more))
    assert np.mean(more) > 3 * error, more
    assert np.mean(np.array(more) > 0) >= 0.7, more
